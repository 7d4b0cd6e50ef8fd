// compare: equality and order as CEL defines them. Lists and maps are compared deep, at a cost in fuel: a value may
// hold another many times over, so its size says nothing of the work.
#include "ast.h"

#define COMPARE_DEPTH_MAX 512

static int order_doubles(double a, double b) {
    return a < b ? -1 : a > b ? 1 : a == b ? 0 : ORDER_NONE;
}

static double as_double(const struct value *v) {
    return v->type == VALUE_INT ? (double)v->int64 : v->type == VALUE_UINT ? (double)v->uint64 : v->real;
}

// Whole numbers exactly; as soon as one is a double, as doubles.
int compare_numbers(const struct value *a, const struct value *b) {
    if (a->type == VALUE_DOUBLE || b->type == VALUE_DOUBLE)
        return order_doubles(as_double(a), as_double(b));
    if (a->type == VALUE_INT && b->type == VALUE_INT)
        return a->int64 < b->int64 ? -1 : a->int64 > b->int64;
    if (a->type == VALUE_INT && a->int64 < 0)
        return -1;
    if (b->type == VALUE_INT && b->int64 < 0)
        return 1;
    return a->uint64 < b->uint64 ? -1 : a->uint64 > b->uint64;
}

static int compare_times(const struct value *a, const struct value *b) {
    if (a->seconds != b->seconds)
        return a->seconds < b->seconds ? -1 : 1;
    return a->nanos < b->nanos ? -1 : a->nanos > b->nanos;
}

static bool equal_deep(struct run *run, const struct value *a, const struct value *b, unsigned depth);

static bool equal_lists(struct run *run, const struct value *a, const struct value *b, unsigned depth) {
    const struct value_source *sa = a->container.source, *sb = b->container.source;
    uint64_t ca = 0, cb = 0;
    struct value va, vb;
    if (value_size(a) != value_size(b))
        return false;
    while (sa->next(sa, a->container.node, &ca, NULL, &va) && sb->next(sb, b->container.node, &cb, NULL, &vb)) {
        if (!equal_deep(run, &va, &vb, depth + 1))
            return false;
    }
    return true;
}

static bool equal_maps(struct run *run, const struct value *a, const struct value *b, unsigned depth) {
    const struct value_source *sa = a->container.source, *sb = b->container.source;
    uint64_t cursor = 0;
    struct value key, va, vb;
    if (value_size(a) != value_size(b))
        return false;
    while (sa->next(sa, a->container.node, &cursor, &key, &va)) {
        if (!sb->get(sb, b->container.node, &key, &vb) || !equal_deep(run, &va, &vb, depth + 1))
            return false;
    }
    return true;
}

static bool equal_deep(struct run *run, const struct value *a, const struct value *b, unsigned depth) {
    if (is_number(a) && is_number(b))
        return compare_numbers(a, b) == 0;
    if (a->type != b->type)
        return false;
    if (depth > COMPARE_DEPTH_MAX) {
        run_fail(run, "values nested too deeply to compare");
        return false;
    }
    if (!run_charge(run, 1))
        return false;
    switch (a->type) {
    case VALUE_BOOL: return a->boolean == b->boolean;
    case VALUE_STRING:
    case VALUE_BYTES:
        return a->string.len == b->string.len && run_charge(run, a->string.len / 64) && str_eq(a->string, b->string);
    case VALUE_TYPE: return str_eq(a->string, b->string);
    case VALUE_TIMESTAMP:
    case VALUE_DURATION: return compare_times(a, b) == 0;
    case VALUE_LIST: return equal_lists(run, a, b, depth);
    case VALUE_MAP: return equal_maps(run, a, b, depth);
    case VALUE_IP: return memcmp(a->ip->bytes, b->ip->bytes, sizeof a->ip->bytes) == 0;
    case VALUE_CIDR:
        return a->network->bits == b->network->bits &&
               memcmp(a->network->address.bytes, b->network->address.bytes, sizeof a->network->address.bytes) == 0;
    case VALUE_OPTIONAL:
        return !a->inner || !b->inner ? a->inner == b->inner : equal_deep(run, a->inner, b->inner, depth + 1);
    default: return a->type == VALUE_NULL;
    }
}

struct value equal_values(struct run *run, const struct value *a, const struct value *b) {
    bool equal = equal_deep(run, a, b, 0);
    return run->fatal ? run_failure(run) : value_bool(equal);
}

struct value order_values(struct run *run, enum node_op op, const struct value *a, const struct value *b) {
    int order;
    bool same = a->type == b->type;
    if (is_number(a) && is_number(b))
        order = compare_numbers(a, b);
    else if (same && (a->type == VALUE_STRING || a->type == VALUE_BYTES)) {
        size_t shorter = a->string.len < b->string.len ? a->string.len : b->string.len;
        if (!run_charge(run, shorter / 64))
            return run_failure(run);
        order = str_cmp(a->string, b->string);
    } else if (same && a->type == VALUE_BOOL)
        order = (int)a->boolean - (int)b->boolean;
    else if (same && (a->type == VALUE_TIMESTAMP || a->type == VALUE_DURATION))
        order = compare_times(a, b);
    else
        return no_overload();
    if (order == ORDER_NONE && is_number(a))
        return value_bool(false);
    switch (op) {
    case NODE_LT: return value_bool(order < 0);
    case NODE_LE: return value_bool(order <= 0);
    case NODE_GT: return value_bool(order > 0);
    default: return value_bool(order >= 0);
    }
}

struct value value_in(struct run *run, const struct value *needle, const struct value *in) {
    const struct value_source *source = in->container.source;
    struct value item;
    uint64_t cursor = 0;
    if (in->type == VALUE_MAP) {
        bool is_key = needle->type == VALUE_STRING || needle->type == VALUE_BOOL || is_number(needle);
        return value_bool(is_key && source->get(source, in->container.node, needle, &item));
    }
    if (in->type != VALUE_LIST)
        return no_overload();
    while (source->next(source, in->container.node, &cursor, NULL, &item)) {
        if (!run_charge(run, 1))
            return run_failure(run);
        if (equal_deep(run, needle, &item, 0))
            return value_bool(true);
        if (run->fatal)
            return run_failure(run);
    }
    return value_bool(false);
}
