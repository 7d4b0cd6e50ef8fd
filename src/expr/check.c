// check: names to slots and locals, functions to their overloads, static types where they are known. A type that only
// the event knows is VALUE_ANY and fits everywhere; what can never work is an error here, with its place and a remedy.
// Unchecked such errors wait for the evaluation, as CEL's own programs without a check do.
#include "check.h"

#include <stdio.h>

bool check_complain(struct compile *c, const struct node *at, const char *format, ...) {
    if (c->unchecked)
        return true;
    char text[sizeof c->error->text];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    return compile_fail(c, at->offset, "%s", text) != NULL;
}

const char *type_word(const struct node *node) {
    return value_type_name((enum value_type)node->type);
}

static bool is_numeric(uint8_t type) {
    return type == VALUE_INT || type == VALUE_UINT || type == VALUE_DOUBLE;
}
static bool may_be(const struct node *node, enum value_type type) {
    return node->type == type || node->type == VALUE_ANY;
}

static bool may_equal(uint8_t a, uint8_t b) {
    return a == b || a == VALUE_ANY || b == VALUE_ANY || a == VALUE_NULL || b == VALUE_NULL ||
           (is_numeric(a) && is_numeric(b));
}

// A node knows what is read below it, without the variables it binds itself (those from `bound` on, in its last kids).
static void note_reads(struct node *node, size_t bound) {
    for (size_t i = 0; i < node->n; i++) {
        const struct node *kid = node->kids[i];
        node->reads_slot |= kid->reads_slot;
        if (kid->lowest_local < node->lowest_local && kid->lowest_local < bound)
            node->lowest_local = kid->lowest_local;
    }
}

static bool check_kids(struct compile *c, struct node *node) {
    for (size_t i = 0; i < node->n; i++) {
        if (!check_node(c, node->kids[i]))
            return false;
    }
    return true;
}

static bool check_bools(struct compile *c, struct node *node, const char *sign) {
    node->type = VALUE_BOOL;
    for (size_t i = 0; i < node->n; i++) {
        if (!may_be(node->kids[i], VALUE_BOOL) &&
            !check_complain(c, node->kids[i], "'%s' needs a bool, this is %s; compare it with something", sign,
                            type_word(node->kids[i])))
            return false;
    }
    return true;
}

static bool check_equality(struct compile *c, struct node *node) {
    const struct node *a = node->kids[0], *b = node->kids[1];
    node->type = VALUE_BOOL;
    if (may_equal(a->type, b->type))
        return true;
    bool text = (a->type == VALUE_STRING && is_numeric(b->type)) || (b->type == VALUE_STRING && is_numeric(a->type));
    return check_complain(
        c, node, "%s and %s never compare equal%s", type_word(a), type_word(b),
        text ? "; put the number between quotes, or convert one side with string(…), int(…) or double(…)"
             : "; convert one side");
}

static bool check_order(struct compile *c, struct node *node) {
    const struct node *a = node->kids[0], *b = node->kids[1];
    node->type = VALUE_BOOL;
    for (size_t i = 0; i < 2; i++) {
        uint8_t type = node->kids[i]->type;
        if (type != VALUE_ANY && type != VALUE_BOOL && type != VALUE_STRING && type != VALUE_BYTES &&
            type != VALUE_TIMESTAMP && type != VALUE_DURATION && !is_numeric(type) &&
            !check_complain(c, node->kids[i],
                            "%s has no order; only numbers, strings, bytes, bools, timestamps and durations do",
                            type_word(node->kids[i])))
            return false;
    }
    if (a->type == VALUE_ANY || b->type == VALUE_ANY || a->type == b->type ||
        (is_numeric(a->type) && is_numeric(b->type)))
        return true;
    return check_complain(c, node, "%s and %s cannot be ordered; convert one side", type_word(a), type_word(b));
}

static bool check_in(struct compile *c, struct node *node) {
    const struct node *needle = node->kids[0], *in = node->kids[1];
    node->type = VALUE_BOOL;
    if (in->type == VALUE_STRING)
        return check_complain(c, node,
                              "'in' looks into lists and maps; for a part of a string write text.contains(part)");
    if (!may_be(in, VALUE_LIST) && in->type != VALUE_MAP)
        return check_complain(c, node, "'in' looks into lists and maps, this is %s", type_word(in));
    if (in->op != NODE_CONST || in->type != VALUE_LIST || needle->type == VALUE_ANY)
        return true;
    const struct value_source *source = in->constant.container.source;
    uint64_t cursor = 0, at = in->constant.container.node;
    struct value item;
    bool any = false;
    while (source->next(source, at, &cursor, NULL, &item)) {
        any = true;
        if (may_equal(needle->type, item.type))
            return true;
    }
    return !any || check_complain(c, node, "%s is never in this list: it has none", type_word(needle));
}

// The static result of arithmetic; VALUE_ABSENT when there is none.
static enum value_type arithmetic_type(enum node_op op, uint8_t a, uint8_t b) {
    if (a == VALUE_ANY || b == VALUE_ANY)
        return VALUE_ANY;
    bool plus = op == NODE_ADD, minus = op == NODE_SUB;
    if (a == b && (a == VALUE_INT || a == VALUE_UINT || (a == VALUE_DOUBLE && op != NODE_MOD)))
        return (enum value_type)a;
    if (a == b && plus && (a == VALUE_STRING || a == VALUE_BYTES || a == VALUE_LIST))
        return (enum value_type)a;
    if (a == VALUE_DURATION && b == VALUE_DURATION && (plus || minus))
        return VALUE_DURATION;
    if (a == VALUE_TIMESTAMP && b == VALUE_DURATION && (plus || minus))
        return VALUE_TIMESTAMP;
    if (a == VALUE_DURATION && b == VALUE_TIMESTAMP && plus)
        return VALUE_TIMESTAMP;
    if (a == VALUE_TIMESTAMP && b == VALUE_TIMESTAMP && minus)
        return VALUE_DURATION;
    return VALUE_ABSENT;
}

static bool check_arithmetic(struct compile *c, struct node *node) {
    static const char signs[] = "+-*/%";
    const struct node *a = node->kids[0], *b = node->kids[1];
    enum value_type type = arithmetic_type((enum node_op)node->op, a->type, b->type);
    node->type = (uint8_t)(type == VALUE_ABSENT ? VALUE_ANY : type);
    if (type != VALUE_ABSENT)
        return true;
    const char *mend = is_numeric(a->type) && is_numeric(b->type)
                           ? "; convert one side with int(…), uint(…) or double(…)"
                       : a->type == VALUE_STRING || b->type == VALUE_STRING ? "; convert the other side with string(…)"
                                                                            : "";
    return check_complain(c, node, "'%c' does not take %s and %s%s", signs[node->op - NODE_ADD], type_word(a),
                          type_word(b), mend);
}

static bool check_negation(struct compile *c, struct node *node) {
    const struct node *kid = node->kids[0];
    node->type = kid->type;
    if (kid->type == VALUE_INT || kid->type == VALUE_DOUBLE || kid->type == VALUE_DURATION || kid->type == VALUE_ANY)
        return true;
    return check_complain(c, node, "'-' does not take %s", type_word(kid));
}

static bool check_selection(struct compile *c, struct node *node) {
    const struct node *from = node->kids[0];
    bool optional = node->op == NODE_OPT_SELECT || node->op == NODE_OPT_INDEX || from->type == VALUE_OPTIONAL;
    node->type = optional ? VALUE_OPTIONAL : VALUE_ANY;
    bool by_name = node->op == NODE_SELECT || node->op == NODE_OPT_SELECT;
    if (from->type == VALUE_ANY || from->type == VALUE_MAP || from->type == VALUE_OPTIONAL)
        return true;
    if (from->type != VALUE_LIST)
        return check_complain(c, node, "%s has no %s", type_word(from), by_name ? "fields" : "elements");
    if (by_name)
        return check_complain(c, node, "a list has no fields; take an element as in [0], or ask with .exists(x, …)");
    uint8_t key = node->kids[1]->type;
    return key == VALUE_ANY || is_numeric(key) ||
           check_complain(c, node->kids[1], "a list is indexed by int, this is %s",
                          value_type_name((enum value_type)key));
}

static bool enter_scope(struct compile *c, struct node *node) {
    node->index = (int32_t)c->n_scope;
    if (c->n_scope + node->n_vars > EXPR_LOCALS_MAX)
        return compile_fail(c, node->offset, "more than %d variables at one place", EXPR_LOCALS_MAX) != NULL;
    for (size_t i = 0; i < node->n_vars; i++)
        c->scope[c->n_scope++] = node->vars[i];
    return true;
}

static bool check_loop(struct compile *c, struct node *node) {
    static const uint8_t types[] = {
        [LOOP_ALL] = VALUE_BOOL,          [LOOP_EXISTS] = VALUE_BOOL,        [LOOP_EXISTS_ONE] = VALUE_BOOL,
        [LOOP_MAP] = VALUE_LIST,          [LOOP_FILTER] = VALUE_LIST,        [LOOP_TRANSFORM_LIST] = VALUE_LIST,
        [LOOP_TRANSFORM_MAP] = VALUE_MAP, [LOOP_TRANSFORM_ENTRY] = VALUE_MAP};
    struct node *range = node->kids[0];
    size_t outer = c->n_scope;
    if (!check_node(c, range))
        return false;
    if (!may_be(range, VALUE_LIST) && range->type != VALUE_MAP &&
        !check_complain(c, range, "%.*s(…) goes over a list or a map, this is %s", STR_ARG(node->name),
                        type_word(range)))
        return false;
    if (!enter_scope(c, node))
        return false;
    for (size_t i = 1; i < node->n; i++) {
        struct node *kid = node->kids[i];
        bool condition = i + 1 < node->n || types[node->loop] == VALUE_BOOL || node->loop == LOOP_FILTER;
        if (!check_node(c, kid))
            return false;
        if (condition && !may_be(kid, VALUE_BOOL) &&
            !check_complain(c, kid, "%.*s(…) needs a condition, this is %s", STR_ARG(node->name), type_word(kid)))
            return false;
    }
    c->n_scope = outer;
    node->type = types[node->loop];
    note_reads(node, outer);
    return true;
}

static bool check_binding(struct compile *c, struct node *node) {
    size_t outer = c->n_scope;
    struct node *value = node->kids[0], *body = node->kids[1];
    if (!check_node(c, value))
        return false;
    if (node->op != NODE_BIND && !may_be(value, VALUE_OPTIONAL) &&
        !check_complain(c, value, "%.*s(…) is called on an optional, this is %s", STR_ARG(node->name),
                        type_word(value)))
        return false;
    if (!enter_scope(c, node) || !check_node(c, body))
        return false;
    c->n_scope = outer;
    node->type = node->op == NODE_BIND ? body->type : VALUE_OPTIONAL;
    note_reads(node, outer);
    return true;
}

static bool check_alternative(struct compile *c, struct node *node) {
    const struct node *first = node->kids[0], *second = node->kids[1];
    const char *name = node->op == NODE_OPT_OR ? "or" : "orValue";
    node->type = node->op == NODE_OPT_OR ? VALUE_OPTIONAL : VALUE_ANY;
    if (!may_be(first, VALUE_OPTIONAL))
        return check_complain(c, node, "%s(…) is called on an optional, as in raw.?a.%s(…); this is %s", name, name,
                              type_word(first));
    if (node->op == NODE_OPT_OR && !may_be(second, VALUE_OPTIONAL))
        return check_complain(c, second, "or(…) takes an optional; for a plain value write orValue(…)");
    return true;
}

static bool check_if(struct compile *c, struct node *node) {
    const struct node *when = node->kids[0], *yes = node->kids[1], *no = node->kids[2];
    node->type = yes->type == no->type ? yes->type : VALUE_ANY;
    return may_be(when, VALUE_BOOL) ||
           check_complain(c, when, "'?' needs a bool before it, this is %s", type_word(when));
}

static bool check_operator(struct compile *c, struct node *node) {
    switch (node->op) {
    case NODE_OPT_FOUND: node->type = VALUE_OPTIONAL; return true;
    case NODE_HAS: node->type = VALUE_BOOL; return true;
    case NODE_LIST: node->type = VALUE_LIST; return true;
    case NODE_MAP: node->type = VALUE_MAP; return true;
    case NODE_AND: return check_bools(c, node, "&&");
    case NODE_OR: return check_bools(c, node, "||");
    case NODE_NOT: return check_bools(c, node, "!");
    case NODE_NEGATE: return check_negation(c, node);
    case NODE_IF: return check_if(c, node);
    case NODE_EQ:
    case NODE_NE: return check_equality(c, node);
    case NODE_LT:
    case NODE_LE:
    case NODE_GT:
    case NODE_GE: return check_order(c, node);
    case NODE_IN: return check_in(c, node) && prepare_in(c, node);
    case NODE_CALL: return check_call(c, node);
    case NODE_OPT_OR:
    case NODE_OPT_OR_VALUE: return check_alternative(c, node);
    case NODE_SELECT:
    case NODE_INDEX:
    case NODE_OPT_SELECT:
    case NODE_OPT_INDEX: return check_selection(c, node);
    default: return check_arithmetic(c, node);
    }
}

bool check_over_kids(struct compile *c, struct node *node) {
    note_reads(node, EXPR_LOCALS_MAX);
    return check_operator(c, node) && fold_node(c, node);
}

bool check_node(struct compile *c, struct node *node) {
    bool done = false;
    switch (node->op) {
    case NODE_CONST: node->type = node->constant.type; return true;
    case NODE_LOOP: return check_loop(c, node) && fold_node(c, node);
    case NODE_BIND:
    case NODE_OPT_MAP:
    case NODE_OPT_FLAT_MAP: return check_binding(c, node) && fold_node(c, node);
    case NODE_NAME:
    case NODE_SELECT:
    case NODE_INDEX:
    case NODE_OPT_SELECT:
    case NODE_OPT_INDEX:
        if (!resolve_chain(c, node, &done))
            return false;
        break;
    case NODE_CALL: resolve_namespace(c, node); break;
    default: break;
    }
    return done || (check_kids(c, node) && check_over_kids(c, node));
}
