// functions_math: the math extension.
#include "ast.h"

#include <math.h>

// The greatest (sign 1) or least (sign -1) of numbers of any types; the first of equals.
static struct value extreme(const struct value *numbers, size_t n, int sign) {
    const struct value *best = &numbers[0];
    for (size_t i = 1; i < n; i++) {
        int order = compare_numbers(&numbers[i], best);
        if (order == sign)
            best = &numbers[i];
    }
    return *best;
}

static struct value extreme_of(struct run *run, const struct node *node, const struct value *args, int sign) {
    if (args[0].type != VALUE_LIST)
        return extreme(args, node->n, sign);
    const struct value_source *source = args->container.source;
    uint64_t cursor = 0;
    struct value pair[2];
    bool any = false;
    while (source->next(source, args->container.node, &cursor, NULL, &pair[any])) {
        if (!is_number(&pair[any]))
            return value_error("the list holds something that is no number");
        if (!run_charge(run, 1))
            return run_failure(run);
        pair[0] = extreme(pair, any ? 2 : 1, sign);
        any = true;
    }
    return any ? pair[0] : value_error("the list is empty");
}

static struct value greatest(struct run *run, const struct node *node, const struct value *args) {
    return extreme_of(run, node, args, 1);
}

static struct value least(struct run *run, const struct node *node, const struct value *args) {
    return extreme_of(run, node, args, -1);
}

#define ON_DOUBLE(function_name, result) \
    static struct value function_name(struct run *run, const struct node *node, const struct value *args) { \
        (void)run, (void)node; \
        return result; \
    }
ON_DOUBLE(math_ceil, value_double(ceil(args->real)))
ON_DOUBLE(math_floor, value_double(floor(args->real)))
ON_DOUBLE(math_round, value_double(round(args->real)))
ON_DOUBLE(math_trunc, value_double(trunc(args->real)))
ON_DOUBLE(is_nan, value_bool(isnan(args->real) != 0))
ON_DOUBLE(is_inf, value_bool(isinf(args->real) != 0))
ON_DOUBLE(is_finite, value_bool(isfinite(args->real) != 0))

static struct value math_sqrt(struct run *run, const struct node *node, const struct value *args) {
    (void)run, (void)node;
    return value_double(sqrt(args->type == VALUE_INT    ? (double)args->int64
                             : args->type == VALUE_UINT ? (double)args->uint64
                                                        : args->real));
}

static struct value math_abs(struct run *run, const struct node *node, const struct value *args) {
    (void)run, (void)node;
    if (args->type == VALUE_DOUBLE)
        return value_double(fabs(args->real));
    if (args->type == VALUE_UINT || args->int64 >= 0)
        return *args;
    return args->int64 == INT64_MIN ? value_error("int overflow") : value_int(-args->int64);
}

static struct value sign_of(struct run *run, const struct node *node, const struct value *args) {
    (void)run, (void)node;
    if (args->type == VALUE_DOUBLE)
        return value_double(args->real > 0 ? 1 : args->real < 0 ? -1 : args->real);
    if (args->type == VALUE_UINT)
        return value_uint(args->uint64 > 0);
    return value_int((args->int64 > 0) - (args->int64 < 0));
}

static struct value with_bits(const struct value *like, uint64_t bits) {
    return like->type == VALUE_UINT ? value_uint(bits) : value_int((int64_t)bits);
}

static struct value bit_and(struct run *run, const struct node *node, const struct value *args) {
    (void)run, (void)node;
    return with_bits(args, args[0].uint64 & args[1].uint64);
}

static struct value bit_or(struct run *run, const struct node *node, const struct value *args) {
    (void)run, (void)node;
    return with_bits(args, args[0].uint64 | args[1].uint64);
}

static struct value bit_xor(struct run *run, const struct node *node, const struct value *args) {
    (void)run, (void)node;
    return with_bits(args, args[0].uint64 ^ args[1].uint64);
}

static struct value bit_not(struct run *run, const struct node *node, const struct value *args) {
    (void)run, (void)node;
    return with_bits(args, ~args->uint64);
}

// Shifts are of the bits alone (a negative int does not keep its sign); 64 places or more leave nothing.
static struct value shift_left(struct run *run, const struct node *node, const struct value *args) {
    (void)run, (void)node;
    if (args[1].int64 < 0)
        return value_error("a shift cannot be negative");
    return with_bits(args, args[1].int64 > 63 ? 0 : args[0].uint64 << args[1].int64);
}

static struct value shift_right(struct run *run, const struct node *node, const struct value *args) {
    (void)run, (void)node;
    if (args[1].int64 < 0)
        return value_error("a shift cannot be negative");
    return with_bits(args, args[1].int64 > 63 ? 0 : args[0].uint64 >> args[1].int64);
}

static const struct function functions[] = {
    {"math.greatest", "N*", 'a', false, greatest},
    {"math.greatest", "l", 'a', false, greatest},
    {"math.least", "N*", 'a', false, least},
    {"math.least", "l", 'a', false, least},
    {"math.ceil", "d", 'd', false, math_ceil},
    {"math.floor", "d", 'd', false, math_floor},
    {"math.round", "d", 'd', false, math_round},
    {"math.trunc", "d", 'd', false, math_trunc},
    {"math.sqrt", "N", 'd', false, math_sqrt},
    {"math.abs", "i", 'i', false, math_abs},
    {"math.abs", "u", 'u', false, math_abs},
    {"math.abs", "d", 'd', false, math_abs},
    {"math.sign", "i", 'i', false, sign_of},
    {"math.sign", "u", 'u', false, sign_of},
    {"math.sign", "d", 'd', false, sign_of},
    {"math.isNaN", "d", 'b', false, is_nan},
    {"math.isInf", "d", 'b', false, is_inf},
    {"math.isFinite", "d", 'b', false, is_finite},
    {"math.bitAnd", "ii", 'i', false, bit_and},
    {"math.bitAnd", "uu", 'u', false, bit_and},
    {"math.bitOr", "ii", 'i', false, bit_or},
    {"math.bitOr", "uu", 'u', false, bit_or},
    {"math.bitXor", "ii", 'i', false, bit_xor},
    {"math.bitXor", "uu", 'u', false, bit_xor},
    {"math.bitNot", "i", 'i', false, bit_not},
    {"math.bitNot", "u", 'u', false, bit_not},
    {"math.bitShiftLeft", "ii", 'i', false, shift_left},
    {"math.bitShiftLeft", "ui", 'u', false, shift_left},
    {"math.bitShiftRight", "ii", 'i', false, shift_right},
    {"math.bitShiftRight", "ui", 'u', false, shift_right},
};
const struct function_group math_functions = {functions, COUNT_OF(functions)};
