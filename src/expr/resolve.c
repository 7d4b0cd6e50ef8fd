// resolve: names. The longest chain of constant selections is offered to the environment (raw.target[0].id is one
// look-up, not four); what it does not take stays a selection at evaluation. Macro variables come first, names of
// types last.
#include "check.h"

#include <stdio.h>

static int find_local(const struct compile *c, const struct node *name) {
    for (size_t i = c->n_scope; !name->absolute && i-- > 0;) {
        if (str_eq(c->scope[i], name->name))
            return (int)i;
    }
    return -1;
}

static bool constant_step(const struct node *node, struct path_step *out) {
    if (node->op == NODE_SELECT || node->op == NODE_OPT_SELECT) {
        *out = (struct path_step){.key = node->name};
        return true;
    }
    const struct node *key =
        node->n == 2 && (node->op == NODE_INDEX || node->op == NODE_OPT_INDEX) ? node->kids[1] : NULL;
    if (!key || key->op != NODE_CONST)
        return false;
    *out = (struct path_step){.is_index = key->constant.type == VALUE_INT};
    if (out->is_index)
        out->index = key->constant.int64;
    else
        out->key = key->constant.string;
    return key->constant.type == VALUE_STRING || (out->is_index && out->index >= 0);
}

// The nodes of a chain from its name up to `top`; 0 when it is none. Only the top may be an optional selection.
static size_t find_chain(struct node *top, struct node *nodes[EXPR_DEPTH_MAX], struct path_step steps[EXPR_DEPTH_MAX]) {
    size_t n = 0;
    for (struct node *node = top; n < EXPR_DEPTH_MAX; node = node->kids[0]) {
        nodes[n++] = node;
        if (node->op == NODE_NAME)
            break;
        bool plain = node->op == NODE_SELECT || node->op == NODE_INDEX;
        if ((!plain && node != top) || !constant_step(node, &steps[0]))
            return 0;
    }
    for (size_t i = 0; i < n / 2; i++) {
        struct node *swap = nodes[i];
        nodes[i] = nodes[n - 1 - i];
        nodes[n - 1 - i] = swap;
    }
    steps[0] = (struct path_step){.key = nodes[0]->name};
    for (size_t i = 1; i < n; i++)
        constant_step(nodes[i], &steps[i]);
    return nodes[0]->op == NODE_NAME ? n : 0;
}

static void become_constant(struct node *node, struct value value) {
    node->op = NODE_CONST;
    node->constant = value;
    node->type = (uint8_t)(is_settled(&value) ? value.type : VALUE_ANY);
    node->n = 0;
}

static bool add_slot(struct expr *expr, int slot) {
    size_t at = 0;
    while (at < expr->n_slots && expr->slots[at] < slot)
        at++;
    if (at < expr->n_slots && expr->slots[at] == slot)
        return true;
    expr->slots = must_realloc(expr->slots, (expr->n_slots + 1) * sizeof *expr->slots);
    memmove(expr->slots + at + 1, expr->slots + at, (expr->n_slots - at) * sizeof *expr->slots);
    expr->slots[at] = slot;
    expr->n_slots++;
    return true;
}

static void become_slot(struct compile *c, struct node *node, const struct expr_ref *ref) {
    if (ref->slot < 0) {
        become_constant(node, ref->constant);
        return;
    }
    node->op = NODE_SLOT;
    node->index = ref->slot;
    node->type = (uint8_t)(ref->type == VALUE_ABSENT ? VALUE_ANY : ref->type);
    node->reads_slot = true;
    node->n = 0;
    add_slot(c->expr, ref->slot);
}

// How many steps name a type: `int`, `net.IP`, `google.protobuf.Timestamp`.
static size_t find_type_name(const struct path_step *steps, size_t n, struct value *out) {
    static const enum value_type types[] = {VALUE_NULL,   VALUE_BOOL,  VALUE_INT,       VALUE_UINT,     VALUE_DOUBLE,
                                            VALUE_STRING, VALUE_BYTES, VALUE_TIMESTAMP, VALUE_DURATION, VALUE_LIST,
                                            VALUE_MAP,    VALUE_TYPE,  VALUE_IP,        VALUE_CIDR,     VALUE_OPTIONAL};
    for (size_t t = 0; t < COUNT_OF(types); t++) {
        struct str name = str_of(value_type_name(types[t]));
        size_t at = 0, i = 0;
        for (; i < n && at < name.len && !steps[i].is_index; i++) {
            struct str rest = {name.ptr + at, name.len - at};
            if (!str_starts(rest, steps[i].key))
                break;
            at += steps[i].key.len;
            if (at < name.len && name.ptr[at++] != '.')
                break;
        }
        if (i > 0 && at == name.len && name.ptr[at - 1] != '.') {
            *out = (struct value){.type = VALUE_TYPE, .string = name};
            return i;
        }
    }
    return 0;
}

// `raw.user-agent` is a difference of two names, the second of which nobody knows.
static const char *dash_hint(const struct compile *c, const struct node *name) {
    struct str source = c->expr->source;
    size_t at = name->offset;
    bool dashed = at >= 2 && (source.ptr[at - 1] == '-' || source.ptr[at - 1] == '/') && source.ptr[at - 2] != ' ';
    return dashed ? "; a key with such a sign in it is written between quotes, as raw[\"user-agent\"]" : "";
}

static bool unknown_name(struct compile *c, struct node **nodes, size_t n, const struct expr_ref *ref,
                         const struct buf *why) {
    struct node *at = nodes[ref->wrong_step < n ? ref->wrong_step : 0];
    const char *hint = dash_hint(c, nodes[0]);
    if (why->len > 0 ? !check_complain(c, at, "%.*s%s", STR_ARG(buf_view(why)), hint)
                     : !check_complain(c, at, "there is no '%.*s' here%s", STR_ARG(nodes[0]->name), hint))
        return false;
    become_constant(nodes[0], value_error("no such name"));
    return true;
}

// Offers nodes[0..n) to the environment. *taken: how many it took; false: no such name, recorded.
static bool resolve_steps(struct compile *c, struct node **nodes, const struct path_step *steps, size_t n,
                          size_t *taken) {
    struct expr_ref ref = {.type = VALUE_ANY};
    struct buf why;
    buf_init(&why, sizeof c->error->text);
    bool optional = n > 1 && (nodes[n - 1]->op == NODE_OPT_SELECT || nodes[n - 1]->op == NODE_OPT_INDEX);
    *taken = c->env && c->env->resolve ? c->env->resolve(c->env->ctx, (struct path){steps, n}, &ref, &why) : 0;
    must(*taken <= n);
    struct value type;
    bool known = true;
    if (*taken == 0 && (*taken = find_type_name(steps, n, &type)) > 0) {
        become_constant(nodes[*taken - 1], type);
    } else if (*taken == 0) {
        known = unknown_name(c, nodes, n, &ref, &why);
        *taken = 1;
    } else if (*taken == n && optional) {
        // The field itself is a slot; what makes it an optional stays on top of it.
        struct node *top = nodes[n - 1], *found = top->kids[0];
        become_slot(c, found, &ref);
        top->op = NODE_OPT_FOUND;
        top->n = 1;
        *taken = n - 1;
    } else {
        become_slot(c, nodes[*taken - 1], &ref);
    }
    buf_free(&why);
    return known;
}

bool resolve_chain(struct compile *c, struct node *node, bool *done) {
    struct node *nodes[EXPR_DEPTH_MAX];
    struct path_step steps[EXPR_DEPTH_MAX];
    *done = false;
    size_t n = find_chain(node, nodes, steps), taken = 1;
    if (n == 0)
        return true;
    int local = find_local(c, nodes[0]);
    if (local >= 0) {
        nodes[0]->op = NODE_LOCAL;
        nodes[0]->index = local;
        nodes[0]->lowest_local = (uint8_t)local;
    } else if (!resolve_steps(c, nodes, steps, n, &taken)) {
        return false;
    }
    for (size_t i = taken; i < n; i++) {
        if (nodes[i]->n == 2 && !check_node(c, nodes[i]->kids[1]))
            return false;
        if (!check_over_kids(c, nodes[i]))
            return false;
    }
    *done = true;
    return true;
}

void resolve_namespace(struct compile *c, struct node *call) {
    char dotted[80];
    struct node *space = call->is_method ? call->kids[0] : NULL;
    if (!space || space->op != NODE_NAME || find_local(c, space) >= 0)
        return;
    int len = snprintf(dotted, sizeof dotted, "%.*s.%.*s", STR_ARG(space->name), STR_ARG(call->name));
    struct str name = {dotted, (size_t)len};
    if (len <= 0 || (size_t)len >= sizeof dotted)
        return;
    bool ours = function_name_exists(name, false) || str_eq(space->name, STR("math")) ||
                str_eq(space->name, STR("strings")) || str_eq(space->name, STR("optional")) ||
                str_eq(space->name, STR("base64"));
    if (!ours)
        return;
    struct str kept = arena_str(c->expr->tree, name);
    if (!kept.ptr)
        return;
    call->name = kept;
    call->is_method = false;
    call->kids++;
    call->n--;
}
