// terms: what a condition consists of, for people: the terms of a row of `&&`, each with its own text and truth. The
// tree does not keep where a term ends, so the text is split again at the same signs that made the row: those outside
// of all brackets. A term between brackets that is a row itself counts as its terms, as a definition written out is.
#include "ast.h"
#include "regex.h"

struct splitter {
    struct run run;
    struct expr view; // for the lexer, which reads the source from a compilation
    struct expr_term *out;
    size_t n, max;
};

static struct token next_token(struct splitter *splitter, size_t *at) {
    struct expr_error error = {0};
    struct compile compile = {.expr = &splitter->view, .error = &error};
    return lex_token(&compile, at);
}

struct range {
    size_t begin, end;
};

static int depth_change(int kind) {
    return kind == '(' || kind == '[' || kind == '{' ? 1 : kind == ')' || kind == ']' || kind == '}' ? -1 : 0;
}

// Without blanks and comments at its ends, and without brackets that hold all of it.
static struct range strip(struct splitter *splitter, struct range range) {
    for (;;) {
        size_t at = range.begin, begin = range.end, end = range.begin, last_begin = range.end;
        int depth = 0;
        bool whole = true; // one pair of brackets around everything
        for (;;) {
            struct token token = next_token(splitter, &at);
            if (token.kind == TOKEN_END || token.kind == TOKEN_BAD || token.offset >= range.end)
                break;
            if (begin == range.end)
                begin = token.offset;
            whole = whole && (end == range.begin ? token.kind == '(' : depth > 0);
            depth += depth_change(token.kind);
            last_begin = token.offset;
            end = at;
        }
        if (end <= begin || !whole)
            return (struct range){begin, end > begin ? end : begin};
        range = (struct range){begin + 1, last_begin};
    }
}

// The end of the term that begins at range.begin; *next: where the one behind its `&&` does.
static size_t find_end(struct splitter *splitter, struct range range, size_t *next) {
    size_t at = range.begin;
    for (int depth = 0; at < range.end;) {
        struct token token = next_token(splitter, &at);
        if (token.kind == TOKEN_END || token.kind == TOKEN_BAD || token.offset >= range.end)
            break;
        depth += depth_change(token.kind);
        *next = at;
        if (depth == 0 && token.kind == TOKEN_AND)
            return token.offset;
    }
    *next = range.end;
    return range.end;
}

static size_t count_terms(struct splitter *splitter, struct range range) {
    size_t n = 1, next;
    while (find_end(splitter, range, &next) < range.end) {
        range.begin = next;
        n++;
    }
    return n;
}

static enum expr_truth truth_of(struct splitter *splitter, const struct node *node) {
    struct value v = eval_node(&splitter->run, node);
    if (splitter->run.fatal)
        return EXPR_FAILED;
    if (v.type == VALUE_BOOL)
        return v.boolean ? EXPR_TRUE : EXPR_FALSE;
    return v.type == VALUE_ABSENT || is_null_field(&splitter->run, node, &v) ? EXPR_ABSENT : EXPR_FAILED;
}

static void split(struct splitter *splitter, const struct node *node, struct range range) {
    range = strip(splitter, range);
    if (node->op == NODE_AND && count_terms(splitter, range) == node->n) {
        for (uint32_t i = 0; i < node->n; i++) {
            size_t next, end = find_end(splitter, range, &next);
            split(splitter, node->kids[i], (struct range){range.begin, end});
            range.begin = next;
        }
        return;
    }
    if (splitter->n < splitter->max)
        splitter->out[splitter->n] = (struct expr_term){
            .source = {splitter->view.source.ptr + range.begin, range.end - range.begin},
            .truth = truth_of(splitter, node),
        };
    splitter->n++;
}

size_t expr_terms(const struct expr *expr, const struct value *slots, struct arena *scratch, struct expr_term *out,
                  size_t max) {
    struct value locals[EXPR_LOCALS_MAX];
    struct splitter splitter = {
        .run = {.slots = slots,
                .locals = locals,
                .scratch = scratch,
                .fuel = 10 * EXPR_FUEL_DEFAULT,
                .reads_event = expr->n_slots > 0},
        .view = *expr,
        .out = out,
        .max = max,
    };
    split(&splitter, expr->root, (struct range){0, expr->source.len});
    if (splitter.run.regex)
        regex_free(splitter.run.regex);
    return splitter.n;
}

// ---- what a part reads ------------------------------------------------------------------------

struct reads {
    struct range part;
    struct arena *scratch;
    struct expr_read *out;
    size_t n, max;
};

static void add_read(struct reads *reads, const struct node *slot) {
    struct buf chain;
    buf_init(&chain, 200);
    struct str name = write_chain(slot, &chain) && !chain.overflow ? arena_str(reads->scratch, buf_view(&chain))
                                                                   : (struct str){NULL, 0};
    buf_free(&chain);
    for (size_t i = 0; i < reads->n; i++)
        if (str_eq(reads->out[i].name, name))
            return;
    if (name.ptr && reads->n < reads->max)
        reads->out[reads->n++] = (struct expr_read){.name = name, .slot = slot->index};
}

static void find_reads(struct reads *reads, const struct node *node) {
    if (node->op == NODE_SLOT && node->offset >= reads->part.begin && node->offset < reads->part.end)
        add_read(reads, node);
    for (uint32_t i = 0; i < node->n; i++)
        find_reads(reads, node->kids[i]);
}

size_t expr_reads(const struct expr *expr, struct str part, struct arena *scratch, struct expr_read *out, size_t max) {
    size_t begin = (size_t)(part.ptr - expr->source.ptr);
    must(part.ptr >= expr->source.ptr && begin + part.len <= expr->source.len);
    struct reads reads = {.part = {begin, begin + part.len}, .scratch = scratch, .out = out, .max = max};
    find_reads(&reads, expr->root);
    return reads.n;
}
