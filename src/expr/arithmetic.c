// arithmetic: + - * / % and the unary minus, checked: what does not fit its type is an error, never a wrap.
#include "ast.h"

static struct value calculate_ints(enum node_op op, int64_t a, int64_t b) {
    int64_t out = 0;
    bool over = false;
    switch (op) {
    case NODE_ADD: over = __builtin_add_overflow(a, b, &out); break;
    case NODE_SUB: over = __builtin_sub_overflow(a, b, &out); break;
    case NODE_MUL: over = __builtin_mul_overflow(a, b, &out); break;
    default:
        if (b == 0)
            return value_error(op == NODE_DIV ? "division by zero" : "modulus by zero");
        over = a == INT64_MIN && b == -1;
        if (!over)
            out = op == NODE_DIV ? a / b : a % b;
        break;
    }
    return over ? value_error("int overflow") : value_int(out);
}

static struct value calculate_uints(enum node_op op, uint64_t a, uint64_t b) {
    uint64_t out = 0;
    bool over = false;
    switch (op) {
    case NODE_ADD: over = __builtin_add_overflow(a, b, &out); break;
    case NODE_SUB: over = __builtin_sub_overflow(a, b, &out); break;
    case NODE_MUL: over = __builtin_mul_overflow(a, b, &out); break;
    default:
        if (b == 0)
            return value_error(op == NODE_DIV ? "division by zero" : "modulus by zero");
        out = op == NODE_DIV ? a / b : a % b;
        break;
    }
    return over ? value_error("uint overflow") : value_uint(out);
}

// Doubles follow IEEE 754: a division by zero is an infinity. A sanitizer may count that as an error of C: it is told.
#if defined(__clang__)
__attribute__((no_sanitize("float-divide-by-zero")))
#endif
static struct value
calculate_doubles(enum node_op op, double a, double b) {
    switch (op) {
    case NODE_ADD: return value_double(a + b);
    case NODE_SUB: return value_double(a - b);
    case NODE_MUL: return value_double(a * b);
    case NODE_DIV: return value_double(a / b);
    default: return no_overload();
    }
}

static struct value join_texts(struct run *run, const struct value *a, const struct value *b) {
    size_t len = a->string.len + b->string.len;
    char *joined = run_alloc(run, len);
    if (!joined)
        return run_failure(run);
    if (a->string.len > 0)
        memcpy(joined, a->string.ptr, a->string.len);
    if (b->string.len > 0)
        memcpy(joined + a->string.len, b->string.ptr, b->string.len);
    struct value out = *a;
    out.string = (struct str){joined, len};
    return out;
}

static struct value join_lists(struct run *run, const struct value *a, const struct value *b) {
    size_t most = value_size(a) + value_size(b), n = 0;
    struct value *items = run_alloc(run, most * sizeof *items);
    const struct value *const both[] = {a, b};
    if (!items || !run_charge(run, most))
        return run_failure(run);
    for (size_t i = 0; i < COUNT_OF(both); i++) {
        const struct value_source *source = both[i]->container.source;
        uint64_t cursor = 0;
        while (n < most && source->next(source, both[i]->container.node, &cursor, NULL, &items[n]))
            n++;
    }
    return make_list(run, items, n);
}

static struct value calculate_times(enum node_op op, const struct value *a, const struct value *b) {
    int64_t sign = op == NODE_SUB ? -1 : 1, seconds = 0;
    bool a_time = a->type == VALUE_TIMESTAMP, b_time = b->type == VALUE_TIMESTAMP;
    struct value out;
    if ((op != NODE_ADD && op != NODE_SUB) || (a_time && b_time && op == NODE_ADD) ||
        (b_time && !a_time && op == NODE_SUB))
        return no_overload();
    bool over = op == NODE_SUB ? __builtin_sub_overflow(a->seconds, b->seconds, &seconds)
                               : __builtin_add_overflow(a->seconds, b->seconds, &seconds);
    int64_t nanos = (int64_t)a->nanos + sign * b->nanos;
    if (a_time != b_time)
        return !over && timestamp_make(seconds, nanos, &out)
                   ? out
                   : value_error("timestamp overflow: only the years 1 to 9999 exist");
    return !over && duration_make(seconds, nanos, &out) ? out : value_error("duration overflow: over 292 years");
}

struct value calculate(struct run *run, enum node_op op, const struct value *a, const struct value *b) {
    bool same = a->type == b->type;
    if (same && a->type == VALUE_INT)
        return calculate_ints(op, a->int64, b->int64);
    if (same && a->type == VALUE_UINT)
        return calculate_uints(op, a->uint64, b->uint64);
    if (same && a->type == VALUE_DOUBLE)
        return calculate_doubles(op, a->real, b->real);
    if (same && (a->type == VALUE_STRING || a->type == VALUE_BYTES) && op == NODE_ADD)
        return join_texts(run, a, b);
    if (same && a->type == VALUE_LIST && op == NODE_ADD)
        return join_lists(run, a, b);
    if ((a->type == VALUE_TIMESTAMP || a->type == VALUE_DURATION) &&
        (b->type == VALUE_TIMESTAMP || b->type == VALUE_DURATION))
        return calculate_times(op, a, b);
    return no_overload();
}

struct value negate(const struct value *a) {
    struct value out;
    if (a->type == VALUE_INT)
        return a->int64 == INT64_MIN ? value_error("int overflow") : value_int(-a->int64);
    if (a->type == VALUE_DOUBLE)
        return value_double(-a->real);
    if (a->type == VALUE_DURATION && a->seconds != INT64_MIN)
        return duration_make(-a->seconds, -(int64_t)a->nanos, &out) ? out
                                                                    : value_error("duration overflow: over 292 years");
    return no_overload();
}
