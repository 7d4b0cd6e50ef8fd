// prepare: what a constant argument is worth doing once, at compile time: patterns become automata, lists of strings
// become sets, network texts become networks, time zones are read from the system's database.
#include "check.h"
#include "regex.h"

#define PATTERNS_MAX 256 // constant patterns of one condition; each may take a millisecond and a megabyte

static const struct value *constant_arg(const struct node *node, size_t i, enum value_type type) {
    const struct node *kid = i < node->n ? node->kids[i] : NULL;
    return kid && kid->op == NODE_CONST && kid->constant.type == type ? &kid->constant : NULL;
}

static bool prepare_pattern(struct compile *c, struct node *call) {
    const struct value *pattern = constant_arg(call, 1, VALUE_STRING);
    char why[200];
    if (!pattern)
        return true;
    if (c->expr->n_regexes == PATTERNS_MAX)
        return compile_fail(c, call->offset, "more than %d patterns in one condition; split it", PATTERNS_MAX) != NULL;
    call->regex = regex_compile(pattern->string.ptr, pattern->string.len, why, sizeof why);
    if (!call->regex)
        return check_complain(c, call->kids[1], "not a regular expression (RE2 syntax): %s", why);
    struct expr *expr = c->expr;
    expr->regexes = must_realloc(expr->regexes, (expr->n_regexes + 1) * sizeof(struct regex *));
    expr->regexes[expr->n_regexes++] = call->regex;
    return true;
}

static bool prepare_zone(struct compile *c, struct node *call) {
    const struct value *name = constant_arg(call, 1, VALUE_STRING);
    int64_t seconds;
    const char *why = NULL;
    if (!name || zone_is_offset(name->string, &seconds))
        return true;
    call->zone = zone_load(c->expr->tree, name->string, &why);
    return call->zone || check_complain(c, call->kids[1], "time zone '%.*s': %s", STR_ARG(name->string), why);
}

static bool prepare_networks(struct compile *c, struct node *call) {
    const struct value *text = constant_arg(call, 1, VALUE_STRING), *list = constant_arg(call, 1, VALUE_LIST);
    size_t n = text ? 1 : list ? value_size(list) : 0;
    struct arena *arena = c->expr->tree;
    struct value *items = n > 0 ? arena_alloc(arena, n * sizeof *items) : NULL;
    uint64_t cursor = 0;
    if (!items)
        return true;
    for (size_t i = 0; i < n; i++) {
        struct ip_network *network = arena_alloc(arena, sizeof *network);
        struct value item;
        if (text)
            item = *text;
        else if (!list->container.source->next(list->container.source, list->container.node, &cursor, NULL, &item))
            return true;
        if (item.type != VALUE_STRING || !network)
            return true;
        if (!ip_network_parse(item.string, network))
            return check_complain(c, call->kids[1], "'%.*s' is not a network; write it as 10.0.0.0/8 or 2001:db8::/32",
                                  (int)(item.string.len > 60 ? 60 : item.string.len), item.string.ptr);
        items[i] = (struct value){.type = VALUE_CIDR, .network = network};
    }
    struct value networks = value_list(arena, items, n);
    if (networks.type == VALUE_LIST) {
        call->kids[1]->constant = networks;
        call->kids[1]->type = VALUE_LIST;
    }
    return true;
}

bool prepare_call(struct compile *c, struct node *call) {
    if (str_eq(call->name, STR("matches")))
        return prepare_pattern(c, call);
    if (str_eq(call->name, STR("ip_in")))
        return prepare_networks(c, call);
    if (call->is_method && call->n == 2 && str_starts(call->name, STR("get")))
        return prepare_zone(c, call);
    return true;
}

bool prepare_in(struct compile *c, struct node *in) {
    const struct value *list = constant_arg(in, 1, VALUE_LIST);
    size_t n = list ? value_size(list) : 0;
    struct arena *arena = c->expr->tree;
    struct value *strings = n > 0 ? arena_alloc(arena, n * sizeof *strings) : NULL;
    uint64_t cursor = 0;
    if (!strings)
        return true;
    for (size_t i = 0; i < n; i++) {
        if (!list->container.source->next(list->container.source, list->container.node, &cursor, NULL, &strings[i]) ||
            strings[i].type != VALUE_STRING)
            return true;
    }
    in->set = string_set_new(arena, strings, n);
    if (in->set)
        in->op = NODE_IN_SET;
    return true;
}
