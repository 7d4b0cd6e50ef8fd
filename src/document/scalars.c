// scalars: what a node means, by YAML 1.2's core schema. Only plain text can be a
// bool or a number ("5" in quotes is a string), and yes, no, on and off are strings:
// a country code NO stays one.
#include "penstock/document.h"

#include <math.h>

const struct doc_node *doc_get(const struct doc_node *mapping, const char *key) {
    if (!mapping || mapping->kind != DOC_MAPPING)
        return NULL;
    struct str wanted = str_of(key);
    for (size_t i = 0; i < mapping->n; i++)
        if (str_eq(mapping->members[i].key, wanted))
            return &mapping->members[i].node;
    return NULL;
}

bool doc_is_null(const struct doc_node *node) {
    return node && node->kind == DOC_NULL;
}

static bool is_plain(const struct doc_node *node) {
    return node && node->kind == DOC_SCALAR && !node->quoted;
}

bool doc_bool(const struct doc_node *node, bool *out) {
    if (!is_plain(node))
        return false;
    bool yes = str_eq(node->text, STR("true")) || str_eq(node->text, STR("True")) || str_eq(node->text, STR("TRUE"));
    if (!yes && !str_eq(node->text, STR("false")) && !str_eq(node->text, STR("False")) &&
        !str_eq(node->text, STR("FALSE")))
        return false;
    *out = yes;
    return true;
}

// "0o17" and "0x1f"; without a sign, as the schema has it.
static bool parse_radix(struct str text, uint64_t *out) {
    uint64_t radix = str_starts(text, STR("0x")) ? 16 : str_starts(text, STR("0o")) ? 8 : 0;
    if (radix == 0 || text.len == 2)
        return false;
    uint64_t n = 0;
    for (size_t i = 2; i < text.len; i++) {
        char c = text.ptr[i];
        uint64_t digit = c >= '0' && c <= '9'   ? (uint64_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint64_t)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (uint64_t)(c - 'A' + 10)
                                                : radix;
        if (digit >= radix || __builtin_mul_overflow(n, radix, &n) || __builtin_add_overflow(n, digit, &n))
            return false;
    }
    *out = n;
    return true;
}

static struct str without_plus(struct str text) {
    bool plus = text.len > 1 && text.ptr[0] == '+' && text.ptr[1] != '-';
    return (struct str){text.ptr + plus, text.len - plus};
}

bool doc_int(const struct doc_node *node, int64_t *out) {
    if (!is_plain(node))
        return false;
    uint64_t n;
    if (parse_radix(node->text, &n)) {
        if (n > INT64_MAX)
            return false;
        *out = (int64_t)n;
        return true;
    }
    return str_to_int64(without_plus(node->text), out);
}

bool doc_double(const struct doc_node *node, double *out) {
    int64_t whole;
    if (doc_int(node, &whole)) {
        *out = (double)whole;
        return true;
    }
    return is_plain(node) && str_to_double(node->text, out);
}

bool doc_str(const struct doc_node *node, struct str *out) {
    if (!node || node->kind != DOC_SCALAR)
        return false;
    *out = node->text;
    return true;
}

// Digits alone that are above int64 but within uint64.
static bool parse_large(struct str text, uint64_t *out) {
    text = without_plus(text);
    uint64_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c < '0' || c > '9' || __builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(c - '0'), &n))
            return false;
    }
    *out = n;
    return text.len > 0;
}

// ".inf", "-.Inf", ".NaN": numbers to the schema, though no setting takes them.
static bool parse_not_finite(struct str text, double *out) {
    if (str_eq(text, STR(".nan")) || str_eq(text, STR(".NaN")) || str_eq(text, STR(".NAN"))) {
        *out = NAN;
        return true;
    }
    bool negative = str_starts(text, STR("-"));
    if (negative || str_starts(text, STR("+")))
        text = (struct str){text.ptr + 1, text.len - 1};
    if (!str_eq(text, STR(".inf")) && !str_eq(text, STR(".Inf")) && !str_eq(text, STR(".INF")))
        return false;
    *out = negative ? -INFINITY : INFINITY;
    return true;
}

static struct value scalar_value(const struct doc_node *node) {
    bool boolean;
    int64_t whole;
    uint64_t large;
    double real;
    if (doc_bool(node, &boolean))
        return value_bool(boolean);
    if (doc_int(node, &whole))
        return value_int(whole);
    if (!node->quoted) {
        if (parse_radix(node->text, &large) || parse_large(node->text, &large))
            return value_uint(large);
        if (str_to_double(node->text, &real) || parse_not_finite(node->text, &real))
            return value_double(real);
    }
    return value_string(node->text);
}

struct value doc_value(const struct doc_node *node, struct arena *arena) {
    if (!node)
        return value_absent();
    if (node->kind == DOC_NULL)
        return (struct value){.type = VALUE_NULL};
    if (node->kind == DOC_SCALAR)
        return scalar_value(node);
    bool mapping = node->kind == DOC_MAPPING;
    size_t stride = mapping ? 2 : 1;
    struct value *values = arena_alloc(arena, node->n * stride * sizeof *values);
    if (!values)
        return value_error("the memory bound is reached");
    for (size_t i = 0; i < node->n; i++) {
        if (mapping)
            values[2 * i] = value_string(node->members[i].key);
        struct value child = doc_value(mapping ? &node->members[i].node : &node->items[i], arena);
        if (child.type == VALUE_ERROR)
            return child;
        values[stride * i + stride - 1] = child;
    }
    return mapping ? value_map(arena, values, node->n) : value_list(arena, values, node->n);
}
