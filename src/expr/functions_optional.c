// functions_optional: optional values. or, orValue, optMap and optFlatMap are nodes of their own, since their arguments
// are evaluated only when needed.
#include "ast.h"

static struct value optional_of(struct run *run, const struct node *node, const struct value *args) {
    (void)node;
    return make_optional(run, args);
}

static struct value optional_none(struct run *run, const struct node *node, const struct value *args) {
    (void)node, (void)args;
    return make_optional(run, NULL);
}

static bool is_zero_value(const struct value *v) {
    switch (v->type) {
    case VALUE_NULL: return true;
    case VALUE_BOOL: return !v->boolean;
    case VALUE_INT:
    case VALUE_UINT: return v->uint64 == 0;
    case VALUE_DOUBLE: return v->real == 0;
    case VALUE_STRING:
    case VALUE_BYTES: return v->string.len == 0;
    case VALUE_DURATION:
    case VALUE_TIMESTAMP: return v->seconds == 0 && v->nanos == 0;
    case VALUE_LIST:
    case VALUE_MAP: return value_size(v) == 0;
    case VALUE_OPTIONAL: return !v->inner;
    default: return false;
    }
}

static struct value optional_of_non_zero(struct run *run, const struct node *node, const struct value *args) {
    (void)node;
    return make_optional(run, is_zero_value(args) ? NULL : args);
}

static struct value has_value(struct run *run, const struct node *node, const struct value *args) {
    (void)run, (void)node;
    return value_bool(args->inner != NULL);
}

static struct value value_of(struct run *run, const struct node *node, const struct value *args) {
    (void)run, (void)node;
    return args->inner ? *args->inner : value_error("optional.none() has no value");
}

// The values of a list of optionals that have one.
static struct value unwrap(struct run *run, const struct node *node, const struct value *args) {
    const struct value_source *source = args->container.source;
    size_t most = value_size(args), n = 0;
    struct value *items = run_alloc(run, most * sizeof *items), item;
    uint64_t cursor = 0;
    (void)node;
    if (!items || !run_charge(run, most))
        return run_failure(run);
    while (n < most && source->next(source, args->container.node, &cursor, NULL, &item)) {
        if (item.type != VALUE_OPTIONAL)
            return no_overload();
        if (item.inner)
            items[n++] = *item.inner;
    }
    return make_list(run, items, n);
}

static const struct function functions[] = {
    {"optional.of", "a", 'O', false, optional_of},
    {"optional.none", "", 'O', false, optional_none},
    {"optional.ofNonZeroValue", "a", 'O', false, optional_of_non_zero},
    {"optional.unwrap", "l", 'l', false, unwrap},
    {"unwrapOpt", "l", 'l', true, unwrap},
    {"hasValue", "O", 'b', true, has_value},
    {"value", "O", 'a', true, value_of},
};
const struct function_group optional_functions = {functions, COUNT_OF(functions)};
