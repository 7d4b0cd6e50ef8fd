// findings: what is wrong with the users' files, one line each, kept in the order they stand in the files.
#include "penstock/policy.h"

#include <stdio.h>
#include <stdlib.h>

#define FINDING_MAX_BYTES 1000
#define FINDINGS_MAX_BYTES (16u << 20)

void findings_init(struct findings *findings) {
    *findings = (struct findings){.arena = arena_new(FINDINGS_MAX_BYTES)};
}

void findings_free(struct findings *findings) {
    free(findings->items);
    arena_free(findings->arena);
    *findings = (struct findings){0};
}

// Users' texts are quoted in findings; none of them may break the line or speak to the terminal.
static void make_one_line(char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '\n' || c == '\t')
            text[i] = ' ';
        else if (c < 0x20 || c == 0x7f)
            text[i] = '?';
    }
}

static struct str copy_file(struct findings *findings, struct str file) {
    if (findings->n > 0 && str_eq(findings->items[findings->n - 1].file, file))
        return findings->items[findings->n - 1].file;
    struct str copy = arena_str(findings->arena, file);
    make_one_line((char *)(uintptr_t)copy.ptr, copy.len);
    return copy;
}

void findings_add(struct findings *findings, bool error, struct str file, unsigned line, unsigned column,
                  const char *format, ...) {
    if (error)
        findings->n_errors++;
    if (findings->n == FINDINGS_MAX)
        return;
    if (findings->n == findings->cap) {
        findings->cap = findings->cap ? findings->cap * 2 : 16;
        findings->items = must_realloc(findings->items, findings->cap * sizeof *findings->items);
    }
    char text[FINDING_MAX_BYTES];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    must(len >= 0);
    make_one_line(text, strlen(text));
    struct finding finding = {.error = error, .line = line, .column = column};
    finding.file = copy_file(findings, file);
    finding.text = arena_str(findings->arena, str_of(text));
    findings->items[findings->n++] = finding;
}

struct ranked {
    const struct finding *finding;
    size_t arrival;
};

static int compare_findings(const void *left, const void *right) {
    const struct ranked *a = left, *b = right;
    int order = str_cmp(a->finding->file, b->finding->file);
    if (order == 0)
        order = (a->finding->line > b->finding->line) - (a->finding->line < b->finding->line);
    if (order == 0)
        order = (a->finding->column > b->finding->column) - (a->finding->column < b->finding->column);
    return order ? order : (a->arrival > b->arrival) - (a->arrival < b->arrival);
}

static void write_finding(struct buf *out, const struct finding *finding) {
    if (finding->file.len > 0)
        buf_printf(out, "%.*s:", STR_ARG(finding->file));
    if (finding->line > 0)
        buf_printf(out, "%u:%u:", finding->line, finding->column);
    buf_printf(out, "%s%s: %.*s\n", finding->file.len > 0 ? " " : "", finding->error ? "error" : "warning",
               STR_ARG(finding->text));
}

void findings_write(const struct findings *findings, struct buf *out) {
    struct ranked *ranked = must_alloc((findings->n + 1) * sizeof *ranked);
    for (size_t i = 0; i < findings->n; i++)
        ranked[i] = (struct ranked){&findings->items[i], i};
    qsort(ranked, findings->n, sizeof *ranked, compare_findings);
    for (size_t i = 0; i < findings->n; i++)
        write_finding(out, ranked[i].finding);
    if (findings->n == FINDINGS_MAX)
        buf_str(out, STR("error: there may be further findings; mend these first\n"));
    free(ranked);
}
