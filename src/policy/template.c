// template: a text with expressions in it, between {{ and }}.
#include "compile.h"
#include "scan.h"

#define HOLES_MAX 32

// The end of the expression that begins at `at`: the first "}}" that is neither in a string nor closes a '{' of its
// own.
static bool find_end(struct str text, size_t at, size_t *end) {
    unsigned open = 0;
    for (;;) {
        struct scan_token token = scan_next(text, &at);
        char sign = token.kind == SCAN_SIGN ? text.ptr[token.offset] : '\0';
        if (token.kind == SCAN_END)
            return false;
        if (sign == '{')
            open++;
        else if (sign == '}' && open > 0)
            open--;
        else if (sign == '}' && at < text.len && text.ptr[at] == '}') {
            *end = token.offset;
            return true;
        }
    }
}

static void add_part(struct template *out, struct template_part part) {
    out->parts[out->n++] = part;
}

// At least as many as there are, and no more than are allowed.
static size_t count_holes(struct str text) {
    size_t n = 0;
    for (size_t i = 0; i + 1 < text.len && n < HOLES_MAX; i++)
        n += text.ptr[i] == '{' && text.ptr[i + 1] == '{';
    return n;
}

static bool compile_holes(struct compile *c, const struct doc_node *scalar, struct template *out) {
    struct str text = scalar->text;
    size_t at = 0, holes = 0;
    bool ok = true;
    while (at < text.len) {
        const char *open = memmem(text.ptr + at, text.len - at, "{{", 2);
        size_t start = open ? (size_t)(open - text.ptr) : text.len, end;
        if (start > at)
            add_part(out, (struct template_part){.literal = policy_str(c, (struct str){text.ptr + at, start - at})});
        if (start == text.len)
            return ok;
        if (!find_end(text, start + 2, &end)) {
            report_error(c, place_in_scalar(c->file, scalar, start), "'{{' without its '}}'");
            return false;
        }
        if (++holes > HOLES_MAX) {
            report_error(c, place_in_scalar(c->file, scalar, start), "a text may have %d expressions at most",
                         HOLES_MAX);
            return false;
        }
        struct expr *expr = compile_part(c, scalar, start + 2, end - start - 2, VALUE_ANY);
        ok = ok && expr;
        add_part(out, (struct template_part){.expr = expr});
        at = end + 2;
    }
    return ok;
}

bool compile_template(struct compile *c, const struct doc_node *scalar, struct template *out) {
    *out = (struct template){0};
    if (scalar->kind != DOC_SCALAR || scalar->text.len == 0 || scalar->text.len > TEXT_MAX_BYTES * 4) {
        report_error(c, place_of(c->file, scalar),
                     "this must be a text of at most %d bytes, with expressions between {{ and }}", TEXT_MAX_BYTES * 4);
        return false;
    }
    out->parts = policy_alloc(c, (2 * count_holes(scalar->text) + 1) * sizeof *out->parts);
    return compile_holes(c, scalar, out);
}
