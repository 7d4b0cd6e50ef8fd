// eval: a walk over the tree. Operands that have a place (constants, slots, locals) are read where they are; fuel pays
// for each node and turn. Errors and absent values pass through every operation but those that can do without the
// operand: `false && x`, `true || x`, the branch of `?:` not taken, has(), optionals. A null out of the event that an
// operation does not take makes it absent, as if the field were not there.
#include "ast.h"

struct value no_overload(void) {
    return value_error("no such overload: the operation does not take values of these types");
}

struct value run_fail(struct run *run, const char *why) {
    if (!run->fatal)
        run->fatal = why;
    return value_error(run->fatal);
}

struct value run_failure(const struct run *run) {
    return value_error(run->fatal ? run->fatal : "the evaluation failed");
}

void *run_alloc(struct run *run, size_t bytes) {
    if (!run_charge(run, bytes / 64))
        return NULL;
    void *memory = arena_alloc(run->scratch, bytes > 0 ? bytes : 1);
    if (!memory)
        run_fail(run, "the evaluation needed more memory than it may");
    return memory;
}

struct value make_list(struct run *run, const struct value *items, size_t n) {
    struct value list = value_list(run->scratch, items, n);
    return list.type == VALUE_LIST ? list : run_fail(run, "the evaluation needed more memory than it may");
}

struct value make_map(struct run *run, const struct value *pairs, size_t n) {
    struct value map = value_map(run->scratch, pairs, n);
    return map.type == VALUE_MAP ? map : run_fail(run, "the evaluation needed more memory than it may");
}

struct value make_optional(struct run *run, const struct value *inner) {
    struct value out = {.type = VALUE_OPTIONAL};
    if (!inner)
        return out;
    struct value *copy = run_alloc(run, sizeof *copy);
    if (!copy)
        return run_failure(run);
    *copy = *inner;
    out.inner = copy;
    return out;
}

struct value unfit(const struct run *run, const struct node *node, const struct value *v) {
    if (!is_settled(v))
        return *v;
    return is_null_field(run, node, v) ? value_absent() : no_overload();
}

void note_worse(struct value *worst, struct value unfit_term) {
    if (worst->type == VALUE_BOOL || (worst->type == VALUE_ABSENT && unfit_term.type == VALUE_ERROR))
        *worst = unfit_term;
}

// && and ||: `decisive` ends the row, whatever stands beside it; otherwise an error outweighs an absent value.
static struct value eval_row(struct run *run, const struct node *node, bool decisive) {
    struct value worst = value_bool(!decisive), space;
    for (uint32_t i = 0; i < node->n; i++) {
        const struct value *v = eval_operand(run, node->kids[i], &space);
        if (v->type == VALUE_BOOL) {
            if (v->boolean == decisive)
                return value_bool(decisive);
        } else {
            note_worse(&worst, unfit(run, node->kids[i], v));
        }
        if (run->fatal)
            return run_failure(run);
    }
    return worst;
}

static struct value eval_equality(struct run *run, const struct node *node, bool wanted) {
    struct value left_space, right_space;
    const struct value *a = eval_operand(run, node->kids[0], &left_space);
    if (!is_settled(a))
        return *a;
    const struct value *b = eval_operand(run, node->kids[1], &right_space);
    if (!is_settled(b))
        return *b;
    if (a->type == VALUE_STRING && b->type == VALUE_STRING && a->string.len <= 256)
        return value_bool(str_eq(a->string, b->string) == wanted);
    struct value equal = equal_values(run, a, b);
    return equal.type == VALUE_BOOL ? value_bool(equal.boolean == wanted) : equal;
}

static struct value eval_in_set(struct run *run, const struct node *node) {
    struct value space;
    const struct value *needle = eval_operand(run, node->kids[0], &space);
    if (!is_settled(needle))
        return *needle;
    return value_bool(needle->type == VALUE_STRING && string_set_has(node->set, needle->string));
}

static struct value operate(struct run *run, const struct node *node, const struct value *a, const struct value *b) {
    switch (node->op) {
    case NODE_IN: return value_in(run, a, b);
    case NODE_INDEX: return select_key(run, a, b);
    case NODE_OPT_INDEX: return select_optional(run, a, b);
    case NODE_LT:
    case NODE_LE:
    case NODE_GT:
    case NODE_GE: return order_values(run, (enum node_op)node->op, a, b);
    default: return calculate(run, (enum node_op)node->op, a, b);
    }
}

static struct value eval_binary(struct run *run, const struct node *node) {
    struct value left_space, right_space;
    const struct value *a = eval_operand(run, node->kids[0], &left_space);
    bool none = node->op == NODE_OPT_INDEX && run->reads_event && a->type == VALUE_ABSENT;
    if (!is_settled(a) && !none)
        return *a;
    const struct value *b = eval_operand(run, node->kids[1], &right_space);
    if (!is_settled(b))
        return *b;
    if (none)
        return make_optional(run, NULL);
    struct value out = operate(run, node, a, b);
    bool missing = is_null_field(run, node->kids[0], a) || is_null_field(run, node->kids[1], b);
    return out.type == VALUE_ERROR && missing ? value_absent() : out;
}

static struct value eval_unary(struct run *run, const struct node *node) {
    struct value space;
    const struct value *v = eval_operand(run, node->kids[0], &space);
    if ((node->op == NODE_OPT_FOUND || (node->op == NODE_OPT_SELECT && run->reads_event)) && v->type == VALUE_ABSENT)
        return make_optional(run, NULL);
    if (!is_settled(v))
        return *v;
    switch (node->op) {
    case NODE_OPT_FOUND: return make_optional(run, v);
    case NODE_NOT: return v->type == VALUE_BOOL ? value_bool(!v->boolean) : unfit(run, node->kids[0], v);
    case NODE_NEGATE: return v->type == VALUE_NULL ? unfit(run, node->kids[0], v) : negate(v);
    case NODE_OPT_SELECT: return select_optional(run, v, &node->constant);
    default: return select_key(run, v, &node->constant);
    }
}

// A field of what is absent is not there either: has() asks for presence, so the answer is no and not a failure.
static struct value eval_has(struct run *run, const struct node *node) {
    const struct node *what = node->kids[0];
    struct value space;
    if (what->op != NODE_SELECT && what->op != NODE_OPT_SELECT && what->op != NODE_INDEX) {
        const struct value *v = eval_operand(run, what, &space);
        bool there = v->type != VALUE_ABSENT && (v->type != VALUE_OPTIONAL || what->op != NODE_OPT_FOUND || v->inner);
        return v->type == VALUE_ERROR ? *v : value_bool(there);
    }
    const struct value *from = eval_operand(run, what->kids[0], &space);
    if (from->type == VALUE_ABSENT)
        return value_bool(false);
    if (from->type == VALUE_ERROR)
        return *from;
    struct value key_space;
    const struct value *key = what->op == NODE_INDEX ? eval_operand(run, what->kids[1], &key_space) : &what->constant;
    if (!is_settled(key))
        return *key;
    bool optional = from->type == VALUE_OPTIONAL || what->op == NODE_OPT_SELECT;
    struct value found = optional ? select_optional(run, from, key) : select_key(run, from, key);
    if (found.type == VALUE_ERROR)
        return what->op == NODE_INDEX && is_null_field(run, what->kids[1], key) ? value_absent() : found;
    return value_bool(optional ? found.inner != NULL : found.type != VALUE_ABSENT);
}

static struct value eval_if(struct run *run, const struct node *node) {
    struct value space;
    const struct value *when = eval_operand(run, node->kids[0], &space);
    if (when->type != VALUE_BOOL)
        return unfit(run, node->kids[0], when);
    const struct value *taken = eval_operand(run, node->kids[when->boolean ? 1 : 2], &space);
    return *taken;
}

static struct value eval_binding(struct run *run, const struct node *node) {
    struct value space;
    const struct value *value = eval_operand(run, node->kids[0], &space);
    if (node->op == NODE_BIND) {
        run->locals[node->index] = *value;
        return *eval_operand(run, node->kids[1], &space);
    }
    if (value->type != VALUE_OPTIONAL)
        return unfit(run, node->kids[0], value);
    if (!value->inner)
        return *value;
    run->locals[node->index] = *value->inner;
    struct value out = *eval_operand(run, node->kids[1], &space);
    if (!is_settled(&out))
        return out;
    if (node->op == NODE_OPT_FLAT_MAP)
        return out.type == VALUE_OPTIONAL ? out : unfit(run, node->kids[1], &out);
    return make_optional(run, &out);
}

static struct value eval_alternative(struct run *run, const struct node *node) {
    struct value space;
    const struct value *first = eval_operand(run, node->kids[0], &space);
    if (first->type != VALUE_OPTIONAL)
        return unfit(run, node->kids[0], first);
    if (first->inner)
        return node->op == NODE_OPT_OR ? *first : *first->inner;
    struct value second = *eval_operand(run, node->kids[1], &space);
    return node->op == NODE_OPT_OR && second.type != VALUE_OPTIONAL ? unfit(run, node->kids[1], &second) : second;
}

#define CALL_ARGS_QUICK 4

static struct value call_overload(struct run *run, const struct node *node, const struct value *args) {
    for (uint32_t i = 0; i < node->n_functions; i++) {
        if (function_takes(&node->functions[i], args, node->n))
            return node->functions[i].call(run, node, args);
    }
    return no_overload();
}

static struct value eval_call(struct run *run, const struct node *node) {
    struct value quick[CALL_ARGS_QUICK];
    struct value *args = node->n <= CALL_ARGS_QUICK ? quick : run_alloc(run, node->n * sizeof *args);
    if (!args)
        return run_failure(run);
    for (uint32_t i = 0; i < node->n; i++) {
        const struct value *v = eval_operand(run, node->kids[i], &args[i]);
        if (!is_settled(v))
            return *v;
        if (v != &args[i])
            args[i] = *v;
        if ((v->type == VALUE_STRING || v->type == VALUE_BYTES) && !v->string.ptr)
            args[i].string.ptr = ""; // so that functions may count on a pointer
    }
    if (node->n_functions == 0)
        return value_error("no such function");
    struct value out = call_overload(run, node, args);
    for (uint32_t i = 0; out.type == VALUE_ERROR && i < node->n; i++) {
        if (is_null_field(run, node->kids[i], &args[i]))
            return value_absent();
    }
    return out;
}

struct value eval_node(struct run *run, const struct node *node) {
    if (!run_charge(run, 1))
        return run_failure(run);
    switch (node->op) {
    case NODE_CONST: return node->constant;
    case NODE_SLOT: return run->slots[node->index];
    case NODE_LOCAL: return run->locals[node->index];
    case NODE_AND: return eval_row(run, node, false);
    case NODE_OR: return eval_row(run, node, true);
    case NODE_EQ: return eval_equality(run, node, true);
    case NODE_NE: return eval_equality(run, node, false);
    case NODE_IN_SET: return eval_in_set(run, node);
    case NODE_NOT:
    case NODE_NEGATE:
    case NODE_SELECT:
    case NODE_OPT_SELECT:
    case NODE_OPT_FOUND: return eval_unary(run, node);
    case NODE_HAS: return eval_has(run, node);
    case NODE_IF: return eval_if(run, node);
    case NODE_LIST: return eval_list_literal(run, node);
    case NODE_MAP: return eval_map_literal(run, node);
    case NODE_CALL: return eval_call(run, node);
    case NODE_LOOP: return eval_loop(run, node);
    case NODE_BIND:
    case NODE_OPT_MAP:
    case NODE_OPT_FLAT_MAP: return eval_binding(run, node);
    case NODE_OPT_OR:
    case NODE_OPT_OR_VALUE: return eval_alternative(run, node);
    default: return eval_binary(run, node);
    }
}
