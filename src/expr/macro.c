// macro: calls that are really loops or bindings: has, all, exists, exists_one, map, filter, the two-variable forms,
// cel.bind, and the optionals' or, orValue, optMap and optFlatMap (whose arguments are evaluated only when needed).
#include "parse.h"

static const struct {
    const char *name;
    uint8_t loop;
    uint8_t one_var_args,
        two_var_args; // most arguments of each form, 0: no such form; LOOP_MAP and transforms take one less too
    bool filter;      // the middle argument may be left out
} loops[] = {
    {"all", LOOP_ALL, 2, 3, false},
    {"exists", LOOP_EXISTS, 2, 3, false},
    {"exists_one", LOOP_EXISTS_ONE, 2, 3, false},
    {"existsOne", LOOP_EXISTS_ONE, 2, 3, false},
    {"filter", LOOP_FILTER, 2, 0, false},
    {"map", LOOP_MAP, 3, 0, true},
    {"transformList", LOOP_TRANSFORM_LIST, 0, 4, true},
    {"transformMap", LOOP_TRANSFORM_MAP, 0, 4, true},
    {"transformMapEntry", LOOP_TRANSFORM_ENTRY, 0, 4, true},
};

static bool is_plain_name(const struct node *node) {
    return node->op == NODE_NAME && !node->absolute;
}

static struct node *make_loop(struct parser *p, struct node *call, size_t form) {
    size_t args = call->n - 1;
    bool two = loops[form].two_var_args > 0 &&
               (args == loops[form].two_var_args || (loops[form].filter && args + 1 == loops[form].two_var_args));
    bool one = loops[form].one_var_args > 0 &&
               (args == loops[form].one_var_args || (loops[form].filter && args + 1 == loops[form].one_var_args));
    if (!one && !two) {
        return compile_fail(p->compile, call->offset, "%s(…) takes %s", loops[form].name,
                            loops[form].two_var_args == 0   ? "a variable and an expression of it"
                            : loops[form].one_var_args == 0 ? "two variables and an expression of them"
                                                            : "one or two variables and a condition on them");
    }
    size_t n_vars = two ? 2 : 1;
    for (size_t i = 1; i <= n_vars; i++) {
        if (!is_plain_name(call->kids[i]))
            return compile_fail(p->compile, call->kids[i]->offset, "%s(…) needs the name of a variable here",
                                loops[form].name);
    }
    if (two && str_eq(call->kids[1]->name, call->kids[2]->name))
        return compile_fail(p->compile, call->kids[2]->offset, "the two variables need different names");
    size_t base = p->compile->stack_n;
    parse_push(p, call->kids[0]);
    for (size_t i = 1 + n_vars; i < call->n; i++)
        parse_push(p, call->kids[i]);
    struct node *loop = parse_node(p, NODE_LOOP, call->offset, base);
    if (!loop)
        return NULL;
    loop->loop = loops[form].loop;
    loop->n_vars = (uint8_t)n_vars;
    for (size_t i = 0; i < n_vars; i++)
        loop->vars[i] = call->kids[1 + i]->name;
    loop->name = call->name;
    return loop;
}

static struct node *make_has(struct parser *p, struct node *call) {
    struct node *what = call->n == 1 ? call->kids[0] : NULL;
    if (!what || (what->op != NODE_SELECT && what->op != NODE_OPT_SELECT && what->op != NODE_INDEX))
        return compile_fail(p->compile, what ? what->offset : call->offset,
                            "has(…) asks whether a field is there: has(event.subject)");
    what->keep = true;
    return parse_node_of(p, NODE_HAS, call->offset, what, NULL);
}

static struct node *make_binding(struct parser *p, struct node *call, enum node_op op, struct node *name,
                                 struct node *value, struct node *body) {
    if (!is_plain_name(name))
        return compile_fail(p->compile, name->offset, "%.*s(…) needs the name of a variable here", STR_ARG(call->name));
    struct node *made = parse_node_of(p, op, call->offset, value, body);
    if (made) {
        made->vars[0] = name->name;
        made->n_vars = 1;
        made->name = call->name;
    }
    return made;
}

struct node *parse_macro(struct parser *p, struct node *call) {
    struct str name = call->name;
    if (!call->is_method)
        return str_eq(name, STR("has")) ? make_has(p, call) : call;
    struct node *receiver = call->kids[0];
    for (size_t i = 0; i < COUNT_OF(loops); i++) {
        if (str_eq(name, str_of(loops[i].name)))
            return make_loop(p, call, i);
    }
    if (str_eq(name, STR("bind")) && call->n == 4 && is_plain_name(receiver) && str_eq(receiver->name, STR("cel")))
        return make_binding(p, call, NODE_BIND, call->kids[1], call->kids[2], call->kids[3]);
    if (str_eq(name, STR("optMap")) && call->n == 3)
        return make_binding(p, call, NODE_OPT_MAP, call->kids[1], receiver, call->kids[2]);
    if (str_eq(name, STR("optFlatMap")) && call->n == 3)
        return make_binding(p, call, NODE_OPT_FLAT_MAP, call->kids[1], receiver, call->kids[2]);
    if (str_eq(name, STR("or")) && call->n == 2)
        return parse_node_of(p, NODE_OPT_OR, call->offset, receiver, call->kids[1]);
    if (str_eq(name, STR("orValue")) && call->n == 2)
        return parse_node_of(p, NODE_OPT_OR_VALUE, call->offset, receiver, call->kids[1]);
    return call;
}
