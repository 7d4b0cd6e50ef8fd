// condition: one expression of a route file, compiled or reported at the very token that is wrong.
//
// Equal texts in equal scopes are one expression: a thousand routes that share a condition share its compiled form.
#include "compile.h"

#include <stdlib.h>

static struct place place_of_offset(struct compile *c, const struct doc_node *scalar, size_t offset) {
    return place_in_scalar(c->file, scalar, offset);
}

static void want_slots(struct compile *c, const struct expr *expr) {
    if (!c->slots)
        return;
    size_t n = expr_slots(expr, NULL, 0);
    int *slots = must_alloc((n + 1) * sizeof *slots);
    expr_slots(expr, slots, n);
    for (size_t i = 0; i < n; i++) {
        if (slots[i] < SLOT_RAW)
            continue;
        c->slots->items = grow_list(c->slots->items, c->slots->n, &c->slots->cap, sizeof *c->slots->items);
        c->slots->items[c->slots->n++] = slots[i];
    }
    free(slots);
}

static struct expr *compile_cached(struct compile *c, struct str text, struct expr_error *error) {
    struct compiled *out = c->out;
    size_t index;
    struct buf key; // the scope and the text
    buf_init(&key, EXPR_SOURCE_MAX_BYTES + 1);
    buf_char(&key, (char)('0' + c->scope));
    buf_str(&key, text);
    bool known = !key.overflow && names_find(&c->expressions, buf_view(&key), &index);
    struct resolver resolver = {.c = c, .scope = c->scope};
    struct expr *expr =
        known ? out->exprs[index] : expr_compile(text, &(struct expr_env){&resolver, resolve_name}, error);
    if (expr && !known) {
        out->exprs = grow_list(out->exprs, out->n_exprs, &out->cap_exprs, sizeof(struct expr *));
        names_add(&c->expressions, policy_str(c, buf_view(&key)), out->n_exprs, NULL);
        out->exprs[out->n_exprs++] = expr;
    }
    buf_free(&key);
    return expr;
}

static bool type_fits(const struct expr *expr, enum value_type wanted) {
    enum value_type type = expr_type(expr);
    if (wanted == VALUE_ANY || type == VALUE_ANY || type == wanted)
        return true;
    return wanted == VALUE_DOUBLE && (type == VALUE_INT || type == VALUE_UINT);
}

static const char *type_words(enum value_type type) {
    switch (type) {
    case VALUE_BOOL: return "true or false";
    case VALUE_INT:
    case VALUE_UINT:
    case VALUE_DOUBLE: return "a number";
    case VALUE_STRING: return "a text";
    default: return value_type_name(type);
    }
}

struct expr *compile_part(struct compile *c, const struct doc_node *scalar, size_t offset, size_t len,
                          enum value_type wanted) {
    struct expansion expansion;
    struct expr_error error = {0};
    struct expr *expr = NULL;
    struct str text = {scalar->text.ptr + offset, len};
    bool expanded = expand_definitions(c, text, &expansion, &error);
    if (expanded && expansion.broken) { // told where the definition stands; here it must not pass for a whole condition
        expansion_free(&expansion);
        return NULL;
    }
    if (expanded)
        expr = compile_cached(c, expansion.text, &error);
    if (expanded && !expr)
        error.offset = expansion_place(&expansion, error.offset);
    expansion_free(&expansion);
    if (!expr) {
        report_error(c, place_of_offset(c, scalar, offset + error.offset), "%s", error.text);
        return NULL;
    }
    if (!type_fits(expr, wanted)) {
        report_error(c, place_of_offset(c, scalar, offset), "this gives %s where %s is needed",
                     type_words(expr_type(expr)), type_words(wanted));
        return NULL;
    }
    want_slots(c, expr);
    return expr;
}

struct expr *compile_condition(struct compile *c, const struct doc_node *scalar, enum value_type wanted) {
    if (scalar->kind == DOC_SCALAR)
        return compile_part(c, scalar, 0, scalar->text.len, wanted);
    report_error(c, place_of(c->file, scalar),
                 "an expression must be a text; put it between quotes if it begins with '[' or '{'");
    return NULL;
}

struct expr *compile_text(struct compile *c, const char *source) {
    struct expr_error error;
    struct expr *expr = compile_cached(c, str_of(source), &error);
    must(expr);
    want_slots(c, expr);
    return expr;
}

bool compile_path(struct compile *c, const struct doc_node *scalar, struct path *out) {
    *out = (struct path){0};
    struct str text;
    if (!doc_str(scalar, &text)) {
        report_error(c, place_of(c->file, scalar), "a path must be a text such as raw.Records");
        return false;
    }
    if (str_ends(text, STR("[]")))
        text.len -= 2;
    struct expr_error error;
    struct resolver resolver = {.c = c, .scope = SCOPE_MAP, .path = out};
    struct expr *expr = expr_compile(text, &(struct expr_env){&resolver, resolve_name}, &error);
    bool is_path = expr && expr_only_slot(expr) == SLOT_RAW && out->n > 0;
    if (!expr)
        report_error(c, place_of_offset(c, scalar, error.offset), "%s", error.text);
    else if (!is_path)
        report_error(c, place_of(c->file, scalar), "this must be a path alone, such as raw.Records");
    expr_free(expr);
    return is_path;
}
