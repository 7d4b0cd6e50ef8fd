// functions_convert: one type to another. What a type cannot hold is an error, never cut off.
#include "ast.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static struct value same(struct run *run, const struct node *node, const struct value *args) {
    (void)run, (void)node;
    return *args;
}

static struct value type_of(struct run *run, const struct node *node, const struct value *args) {
    (void)run, (void)node;
    return (struct value){.type = VALUE_TYPE, .string = str_of(value_type_name((enum value_type)args->type))};
}

static struct value to_int(struct run *run, const struct node *node, const struct value *args) {
    int64_t n;
    (void)run, (void)node;
    switch (args->type) {
    case VALUE_UINT: return args->uint64 > INT64_MAX ? value_error("int overflow") : value_int((int64_t)args->uint64);
    case VALUE_DOUBLE:
        // Both borders are out: as doubles they stand for their neighbours as well.
        if (!(args->real > -9223372036854775808.0 && args->real < 9223372036854775808.0))
            return value_error("int overflow");
        return value_int((int64_t)args->real);
    case VALUE_STRING: return str_to_int64(args->string, &n) ? value_int(n) : value_error("this string is not an int");
    case VALUE_TIMESTAMP: return value_int(args->seconds);
    default: return *args;
    }
}

static struct value to_uint(struct run *run, const struct node *node, const struct value *args) {
    uint64_t n = 0;
    (void)run, (void)node;
    switch (args->type) {
    case VALUE_INT: return args->int64 < 0 ? value_error("uint overflow") : value_uint((uint64_t)args->int64);
    case VALUE_DOUBLE:
        if (!(args->real > -1.0 && args->real < 18446744073709551616.0) || args->real < 0)
            return value_error("uint overflow");
        return value_uint((uint64_t)args->real);
    case VALUE_STRING:
        for (size_t i = 0; i < args->string.len; i++) {
            char c = args->string.ptr[i];
            if (c < '0' || c > '9' || __builtin_mul_overflow(n, (uint64_t)10, &n) ||
                __builtin_add_overflow(n, (uint64_t)(c - '0'), &n))
                return value_error("this string is not a uint");
        }
        return args->string.len > 0 ? value_uint(n) : value_error("this string is not a uint");
    default: return *args;
    }
}

static struct value to_double(struct run *run, const struct node *node, const struct value *args) {
    static const struct {
        const char *text;
        double value;
    } words[] = {{"NaN", NAN},       {"Infinity", INFINITY},   {"Inf", INFINITY},  {"+Infinity", INFINITY},
                 {"+Inf", INFINITY}, {"-Infinity", -INFINITY}, {"-Inf", -INFINITY}};
    double d;
    (void)run, (void)node;
    switch (args->type) {
    case VALUE_INT: return value_double((double)args->int64);
    case VALUE_UINT: return value_double((double)args->uint64);
    case VALUE_STRING:
        for (size_t i = 0; i < COUNT_OF(words); i++) {
            if (str_eq_fold(args->string, str_of(words[i].text)))
                return value_double(words[i].value);
        }
        return str_to_double(args->string, &d) ? value_double(d) : value_error("this string is not a number");
    default: return *args;
    }
}

static struct value to_bool(struct run *run, const struct node *node, const struct value *args) {
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"}, *const no[] = {"0",     "f",     "F",
                                                                                             "false", "FALSE", "False"};
    (void)run, (void)node;
    for (size_t i = 0; i < COUNT_OF(yes); i++) {
        if (str_eq(args->string, str_of(yes[i])))
            return value_bool(true);
        if (str_eq(args->string, str_of(no[i])))
            return value_bool(false);
    }
    return value_error("this string is neither true nor false");
}

static struct value to_bytes(struct run *run, const struct node *node, const struct value *args) {
    struct value out = *args;
    (void)run, (void)node;
    out.type = VALUE_BYTES;
    return out;
}

static struct value to_timestamp(struct run *run, const struct node *node, const struct value *args) {
    int64_t seconds = args->int64;
    int32_t nanos = 0;
    struct value out;
    (void)run, (void)node;
    if (args->type == VALUE_STRING && !time_parse(args->string, &seconds, &nanos))
        return value_error("this string is not a time; RFC 3339 is, as 2026-01-31T12:00:00Z");
    return timestamp_make(seconds, nanos, &out) ? out
                                                : value_error("timestamp out of range: only the years 1 to 9999 exist");
}

// Units, largest first where one is another's beginning.
static bool take_unit(struct str *s, int64_t *nanos) {
    static const struct {
        const char *name;
        int64_t nanos;
    } units[] = {{"ms", 1000000},      {"ns", 1},          {"us", 1000},      {"µs", 1000},
                 {"h", 3600000000000}, {"m", 60000000000}, {"s", 1000000000}, {"d", 86400000000000}};
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (str_starts(*s, str_of(units[i].name))) {
            s->ptr += strlen(units[i].name);
            s->len -= strlen(units[i].name);
            *nanos = units[i].nanos;
            return true;
        }
    }
    return false;
}

// One "12.5h" off the front, in nanoseconds of the sign given, added to *total.
static bool take_quantity(struct str *s, int64_t sign, int64_t *total) {
    int64_t whole = 0, unit;
    double fraction = 0, scale = 1;
    size_t digits = 0;
    bool point = false;
    for (; s->len > 0; s->ptr++, s->len--) {
        char c = *s->ptr;
        if (c == '.' && !point) {
            point = true;
            continue;
        }
        if (c < '0' || c > '9')
            break;
        digits++;
        if (point) {
            scale /= 10;
            fraction += (c - '0') * scale;
        } else if (__builtin_mul_overflow(whole, (int64_t)10, &whole) ||
                   __builtin_add_overflow(whole, (int64_t)(c - '0'), &whole)) {
            return false;
        }
    }
    if (digits == 0 || !take_unit(s, &unit))
        return false;
    return !__builtin_mul_overflow(whole, sign * unit, &whole) && !__builtin_add_overflow(*total, whole, total) &&
           !__builtin_add_overflow(*total, sign * (int64_t)llround(fraction * (double)unit), total);
}

static struct value to_duration(struct run *run, const struct node *node, const struct value *args) {
    struct str s = args->string;
    int64_t sign = 1, total = 0;
    struct value out;
    (void)run, (void)node;
    if (args->type == VALUE_DURATION)
        return *args;
    if (s.len > 0 && (*s.ptr == '-' || *s.ptr == '+')) {
        sign = *s.ptr == '-' ? -1 : 1;
        s = (struct str){s.ptr + 1, s.len - 1};
    }
    if (str_eq(s, STR("0")))
        return (struct value){.type = VALUE_DURATION};
    bool any = false;
    for (; s.len > 0; any = true) {
        if (!take_quantity(&s, sign, &total))
            return value_error("this string is not a duration up to 292 years; these are: 90s, 1h30m, 14d, 250ms");
    }
    if (!any || !duration_make(total / 1000000000, total % 1000000000, &out))
        return value_error("this string is not a duration; these are: 90s, 1h30m, 14d, 250ms");
    return out;
}

// The shortest digits that read back as the same number; without an exponent between 1e-5 and 1e21.
size_t double_text(double d, char out[DOUBLE_TEXT_MAX]) {
    int len = 0;
    if (isnan(d) || isinf(d))
        return (size_t)snprintf(out, DOUBLE_TEXT_MAX, "%s", isnan(d) ? "NaN" : d > 0 ? "Infinity" : "-Infinity");
    for (int digits = 1; digits <= 17; digits++) {
        len = snprintf(out, DOUBLE_TEXT_MAX, "%.*e", digits - 1, d);
        if (strtod(out, NULL) == d)
            break;
    }
    const char *mark = strchr(out, 'e');
    int exponent = mark ? (int)strtol(mark + 1, NULL, 10) : 0, written = mark ? (int)(mark - out) - (d < 0) : 1;
    int digits = written > 1 ? written - 1 : 1;
    if (d != 0 && (exponent < -5 || exponent >= 21))
        return (size_t)len;
    return (size_t)snprintf(out, DOUBLE_TEXT_MAX, "%.*f", digits - 1 - exponent > 0 ? digits - 1 - exponent : 0, d);
}

size_t duration_text(const struct value *v, char out[DURATION_TEXT_MAX]) {
    bool minus = v->seconds < 0 || v->nanos < 0;
    uint64_t seconds = v->seconds < 0 ? 0 - (uint64_t)v->seconds : (uint64_t)v->seconds;
    int len = snprintf(out, DURATION_TEXT_MAX, "%s%llu.%09d", minus ? "-" : "", (unsigned long long)seconds,
                       v->nanos < 0 ? -v->nanos : v->nanos);
    while (out[len - 1] == '0')
        len--;
    if (out[len - 1] == '.')
        len--;
    out[len++] = 's';
    return (size_t)len;
}

static struct value network_text(struct run *run, const struct ip_network *network) {
    char out[64];
    size_t len = ip_format(&network->address, out);
    unsigned bits = network->address.v4 ? network->bits - 96u : network->bits;
    return text_copy(run, out, len + (size_t)snprintf(out + len, sizeof out - len, "/%u", bits));
}

struct value text_of(struct run *run, const struct value *v) {
    char out[DOUBLE_TEXT_MAX];
    struct value time;
    int len = 0;
    switch (v->type) {
    case VALUE_NULL: return value_string(STR("null"));
    case VALUE_BOOL: return value_string(v->boolean ? STR("true") : STR("false"));
    case VALUE_INT: len = snprintf(out, sizeof out, "%lld", (long long)v->int64); break;
    case VALUE_UINT: len = snprintf(out, sizeof out, "%llu", (unsigned long long)v->uint64); break;
    case VALUE_DOUBLE: len = (int)double_text(v->real, out); break;
    case VALUE_STRING: return *v;
    case VALUE_TYPE: return value_string(v->string);
    case VALUE_BYTES:
        if (!run_charge(run, v->string.len / 64))
            return run_failure(run);
        return utf8_is_valid(v->string) ? value_string(v->string) : value_error("these bytes are not UTF-8");
    case VALUE_TIMESTAMP:
        if (!timestamp_make(v->seconds, v->nanos, &time))
            return value_error("timestamp out of range: only the years 1 to 9999 exist");
        len = (int)time_format(time.seconds, time.nanos, out);
        break;
    case VALUE_DURATION: len = (int)duration_text(v, out); break;
    case VALUE_IP: len = (int)ip_format(v->ip, out); break;
    case VALUE_CIDR: return network_text(run, v->network);
    default: return no_overload();
    }
    return text_copy(run, out, (size_t)len);
}

static struct value to_string(struct run *run, const struct node *node, const struct value *args) {
    (void)node;
    return args->type == VALUE_NULL || args->type == VALUE_TYPE ? no_overload() : text_of(run, args);
}

static const struct function functions[] = {
    {"dyn", "a", 'a', false, same},
    {"type", "a", 'T', false, type_of},
    {"int", "N", 'i', false, to_int},
    {"int", "s", 'i', false, to_int},
    {"int", "t", 'i', false, to_int},
    {"uint", "N", 'u', false, to_uint},
    {"uint", "s", 'u', false, to_uint},
    {"double", "N", 'd', false, to_double},
    {"double", "s", 'd', false, to_double},
    {"bool", "b", 'b', false, same},
    {"bool", "s", 'b', false, to_bool},
    {"bytes", "y", 'y', false, same},
    {"bytes", "s", 'y', false, to_bytes},
    {"string", "a", 's', false, to_string},
    {"timestamp", "t", 't', false, same},
    {"timestamp", "s", 't', false, to_timestamp},
    {"timestamp", "i", 't', false, to_timestamp},
    {"duration", "D", 'D', false, to_duration},
    {"duration", "s", 'D', false, to_duration},
};
const struct function_group convert_functions = {functions, COUNT_OF(functions)};
