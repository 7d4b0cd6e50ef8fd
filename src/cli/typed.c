// typed: each type of a condition's values has one JSON form, which tells 1 from 1u and 1.0 and bytes from text. What
// is read is held to the bounds of its type, so that no expression meets a value that none could make.
#include "typed.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "penstock/json.h"

// Timestamps are of the years 1 to 9999; durations what 64 bits of nanoseconds hold.
#define TIMESTAMP_MIN_S (-62135596800LL)
#define TIMESTAMP_MAX_S 253402300799LL
#define SECOND_NS 1000000000LL

static const struct {
    double number;
    const char *text;
} special_doubles[] = {{(double)NAN, "nan"}, {(double)INFINITY, "inf"}, {-(double)INFINITY, "-inf"}};

// ---- reading -----------------------------------------------------------------

static struct str text_of_json(const json_t *json) {
    return (struct str){json_string_value(json), json_string_length(json)};
}

static bool too_big(struct status *status) {
    return status_fail(status, STATUS_FULL, "the bindings are too big");
}

static bool read_int(const json_t *json, struct arena *arena, struct value *out) {
    (void)arena;
    *out = value_int(json_integer_value(json));
    return json_is_integer(json) || (json_is_string(json) && str_to_int64(text_of_json(json), &out->int64));
}

static bool read_uint(const json_t *json, struct arena *arena, struct value *out) {
    const char *text = json_string_value(json);
    (void)arena;
    *out = value_uint((uint64_t)json_integer_value(json));
    if (!text)
        return json_is_integer(json) && json_integer_value(json) >= 0;
    size_t digits = strspn(text, "0123456789");
    errno = 0;
    out->uint64 = strtoull(text, NULL, 10);
    return digits > 0 && digits == json_string_length(json) && errno == 0;
}

static bool read_double(const json_t *json, struct arena *arena, struct value *out) {
    (void)arena;
    *out = value_double(json_number_value(json));
    for (size_t i = 0; json_is_string(json) && i < COUNT_OF(special_doubles); i++) {
        out->real = special_doubles[i].number;
        if (str_eq(text_of_json(json), str_of(special_doubles[i].text)))
            return true;
    }
    return json_is_number(json) || (json_is_string(json) && str_to_double(text_of_json(json), &out->real));
}

static bool read_string(const json_t *json, struct arena *arena, struct value *out) {
    (void)arena;
    *out = value_string(text_of_json(json));
    return json_is_string(json);
}

static bool read_type(const json_t *json, struct arena *arena, struct value *out) {
    (void)arena;
    *out = (struct value){.type = VALUE_TYPE, .string = text_of_json(json)};
    return json_is_string(json);
}

static bool read_bytes(const json_t *json, struct arena *arena, struct value *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct str text = text_of_json(json);
    size_t len = 0;
    uint32_t bits = 0;
    for (size_t pads = text.len % 4 == 0 ? 2 : 0; pads > 0 && str_ends(text, STR("=")); pads--)
        text.len--;
    char *bytes = json_is_string(json) && text.len % 4 != 1 ? arena_alloc(arena, text.len + 1) : NULL;
    for (size_t i = 0; bytes && i < text.len; i++) {
        const char *digit = text.ptr[i] ? strchr(digits, text.ptr[i]) : NULL;
        if (!digit)
            return false;
        bits = bits << 6 | (uint32_t)(digit - digits);
        if (i % 4 != 0)
            bytes[len++] = (char)(bits >> (6 - i % 4 * 2));
    }
    *out = (struct value){.type = VALUE_BYTES, .string = {bytes, len}};
    return bytes != NULL;
}

static bool read_bool(const json_t *json, struct arena *arena, struct value *out) {
    (void)arena;
    *out = value_bool(json_is_true(json));
    return json_is_boolean(json);
}

static bool read_null(const json_t *json, struct arena *arena, struct value *out) {
    (void)arena;
    *out = (struct value){.type = VALUE_NULL};
    return json_is_null(json);
}

// [seconds, nanoseconds]
static bool read_time(const json_t *json, enum value_type type, struct value *out) {
    const json_t *seconds = json_array_get(json, 0), *nanos = json_array_get(json, 1);
    int64_t ns = json_integer_value(nanos);
    *out = (struct value){.type = (uint8_t)type, .seconds = json_integer_value(seconds), .nanos = (int32_t)ns};
    return json_array_size(json) == 2 && json_is_integer(seconds) && json_is_integer(nanos) && ns > -SECOND_NS &&
           ns < SECOND_NS;
}

static bool read_timestamp(const json_t *json, struct arena *arena, struct value *out) {
    (void)arena;
    return read_time(json, VALUE_TIMESTAMP, out) && out->nanos >= 0 && out->seconds >= TIMESTAMP_MIN_S &&
           out->seconds <= TIMESTAMP_MAX_S;
}

static bool read_duration(const json_t *json, struct arena *arena, struct value *out) {
    int64_t total;
    (void)arena;
    return read_time(json, VALUE_DURATION, out) && !__builtin_mul_overflow(out->seconds, SECOND_NS, &total) &&
           !__builtin_add_overflow(total, out->nanos, &total) &&
           (out->seconds == 0 || out->nanos == 0 || (out->seconds < 0) == (out->nanos < 0));
}

static bool read_ip(const json_t *json, struct arena *arena, struct value *out) {
    struct ip_address *ip = arena_alloc(arena, sizeof *ip);
    *out = (struct value){.type = VALUE_IP, .ip = ip};
    return ip && json_is_string(json) && ip_parse(text_of_json(json), ip);
}

static bool read_cidr(const json_t *json, struct arena *arena, struct value *out) {
    struct ip_network *network = arena_alloc(arena, sizeof *network);
    *out = (struct value){.type = VALUE_CIDR, .network = network};
    return network && json_is_string(json) && ip_network_parse(text_of_json(json), network);
}

// Types whose values hold no others; `needs` is what a person is told.
static const struct {
    const char *name;
    bool (*read)(const json_t *json, struct arena *arena, struct value *out);
    const char *needs;
} scalars[] = {
    {"int", read_int, "a whole number of 64 bits, as text or as a number"},
    {"uint", read_uint, "a whole number from 0, as text or as a number"},
    {"double", read_double, "a number, as such or as text; also \"inf\", \"-inf\", \"nan\""},
    {"string", read_string, "a text"},
    {"bytes", read_bytes, "base64"},
    {"bool", read_bool, "true or false"},
    {"null", read_null, "null"},
    {"type", read_type, "the name of a type"},
    {"timestamp", read_timestamp, "[seconds since 1970, nanoseconds], within the years 1 to 9999"},
    {"duration", read_duration, "[seconds, nanoseconds], of one sign and within 292 years"},
    {"ip", read_ip, "an address, such as \"192.0.2.1\""},
    {"cidr", read_cidr, "a network, such as \"192.0.2.0/24\""},
};

static bool read_plain(const json_t *json, struct arena *arena, struct value *out, struct status *status);

// Elements of an array, or one optional's: all by `read`.
static bool read_items(const json_t *array, struct arena *arena, struct value *out, struct status *status,
                       bool (*read)(const json_t *, struct arena *, struct value *, struct status *)) {
    size_t n = json_array_size(array);
    struct value *items = arena_alloc(arena, n * sizeof *items + 1);
    for (size_t i = 0; i < n; i++)
        if (!items || !read(json_array_get(array, i), arena, &items[i], status))
            return items ? false : too_big(status);
    *out = items ? value_list(arena, items, n) : value_absent();
    return out->type == VALUE_LIST || too_big(status);
}

static bool make_map(struct arena *arena, const struct value *pairs, size_t n, struct value *out,
                     struct status *status) {
    *out = pairs ? value_map(arena, pairs, n) : value_absent();
    return out->type == VALUE_MAP || too_big(status);
}

static bool read_plain_map(const json_t *object, struct arena *arena, struct value *out, struct status *status) {
    struct value *pairs = arena_alloc(arena, 2 * json_object_size(object) * sizeof *pairs + 1);
    size_t n = 0;
    json_t *mutable = (json_t *)(uintptr_t)object; // jansson's iterators know no const
    for (void *at = json_object_iter(mutable); pairs && at; at = json_object_iter_next(mutable, at), n++) {
        pairs[2 * n] = value_string((struct str){json_object_iter_key(at), json_object_iter_key_len(at)});
        if (!read_plain(json_object_iter_value(at), arena, &pairs[2 * n + 1], status))
            return false;
    }
    return make_map(arena, pairs, n, out, status);
}

static bool read_plain(const json_t *json, struct arena *arena, struct value *out, struct status *status) {
    switch (json_typeof(json)) {
    case JSON_OBJECT: return read_plain_map(json, arena, out, status);
    case JSON_ARRAY: return read_items(json, arena, out, status, read_plain);
    case JSON_STRING: return read_string(json, arena, out);
    case JSON_INTEGER: return read_int(json, arena, out);
    case JSON_REAL: return read_double(json, arena, out);
    case JSON_NULL: return read_null(json, arena, out);
    default: return read_bool(json, arena, out);
    }
}

static bool is_key(const struct value *v) {
    return v->type == VALUE_STRING || v->type == VALUE_INT || v->type == VALUE_UINT || v->type == VALUE_BOOL;
}

static bool read_typed_map(const json_t *array, struct arena *arena, struct value *out, struct status *status) {
    size_t n = json_array_size(array);
    struct value *pairs = arena_alloc(arena, 2 * n * sizeof *pairs + 1);
    for (size_t i = 0; pairs && i < n; i++) {
        const json_t *pair = json_array_get(array, i);
        if (json_array_size(pair) != 2)
            return status_fail(status, STATUS_INVALID, "{\"map\": …} needs a list of pairs [key, value]");
        if (!typed_read(json_array_get(pair, 0), arena, &pairs[2 * i], status) ||
            !typed_read(json_array_get(pair, 1), arena, &pairs[2 * i + 1], status))
            return false;
        if (!is_key(&pairs[2 * i]))
            return status_fail(status, STATUS_INVALID, "a map's keys are strings, ints, uints and bools");
    }
    return make_map(arena, pairs, n, out, status);
}

static bool read_optional(const json_t *json, struct arena *arena, struct value *out, struct status *status) {
    struct value *inner = json_is_null(json) ? NULL : arena_alloc(arena, sizeof *inner);
    *out = (struct value){.type = VALUE_OPTIONAL, .inner = inner};
    if (json_is_null(json))
        return true;
    return inner ? typed_read(json, arena, inner, status) : too_big(status);
}

bool typed_read(const json_t *json, struct arena *arena, struct value *out, struct status *status) {
    void *only = json_object_size(json) == 1 ? json_object_iter((json_t *)(uintptr_t)json) : NULL;
    if (!only)
        return read_plain(json, arena, out, status);
    struct str name = {json_object_iter_key(only), json_object_iter_key_len(only)};
    const json_t *value = json_object_iter_value(only);
    for (size_t i = 0; i < COUNT_OF(scalars); i++)
        if (str_eq(name, str_of(scalars[i].name)))
            return scalars[i].read(value, arena, out) ||
                   status_fail(status, STATUS_INVALID, "{\"%s\": …} needs %s", scalars[i].name, scalars[i].needs);
    bool list = str_eq(name, STR("list")), map = str_eq(name, STR("map"));
    if ((list || map) && !json_is_array(value))
        return status_fail(status, STATUS_INVALID, "{\"%s\": …} needs an array%s", list ? "list" : "map",
                           list ? "" : " of pairs [key, value]");
    if (list)
        return read_items(value, arena, out, status, typed_read);
    if (map)
        return read_typed_map(value, arena, out, status);
    if (str_eq(name, STR("optional")))
        return read_optional(value, arena, out, status);
    return read_plain(json, arena, out, status);
}

// ---- writing -----------------------------------------------------------------

static void write_double(struct buf *out, double number) {
    for (size_t i = 0; i < COUNT_OF(special_doubles); i++) {
        if (number == special_doubles[i].number || (isnan(number) && i == 0)) {
            buf_printf(out, "\"%s\"", special_doubles[i].text);
            return;
        }
    }
    buf_char(out, '"');
    json_write_double(out, number);
    buf_char(out, '"');
}

static void write_items(struct buf *out, const struct value *value) {
    const struct value_source *source = value->container.source;
    uint64_t cursor = 0;
    struct value key, item;
    buf_char(out, '[');
    for (bool first = true; !out->overflow && source->next(source, value->container.node, &cursor, &key, &item);
         first = false) {
        buf_str(out, first ? STR("") : STR(","));
        if (value->type == VALUE_MAP) {
            buf_char(out, '[');
            typed_write(out, &key);
            buf_char(out, ',');
        }
        typed_write(out, &item);
        buf_str(out, value->type == VALUE_MAP ? STR("]") : STR(""));
    }
    buf_char(out, ']');
}

static void write_address(struct buf *out, const struct ip_address *ip, const struct ip_network *network) {
    char text[48];
    buf_printf(out, "\"%.*s", (int)ip_format(ip, text), text);
    if (network)
        buf_printf(out, "/%d", (int)network->bits - (ip->v4 ? 96 : 0));
    buf_char(out, '"');
}

static void write_payload(struct buf *out, const struct value *value) {
    switch (value->type) {
    case VALUE_BOOL: buf_str(out, value->boolean ? STR("true") : STR("false")); break;
    case VALUE_INT: buf_printf(out, "\"%lld\"", (long long)value->int64); break;
    case VALUE_UINT: buf_printf(out, "\"%llu\"", (unsigned long long)value->uint64); break;
    case VALUE_DOUBLE: write_double(out, value->real); break;
    case VALUE_STRING:
    case VALUE_TYPE: json_write_string(out, value->string); break;
    case VALUE_BYTES: json_write_base64(out, value->string); break;
    case VALUE_TIMESTAMP:
    case VALUE_DURATION: buf_printf(out, "[%lld,%d]", (long long)value->seconds, (int)value->nanos); break;
    case VALUE_LIST:
    case VALUE_MAP: write_items(out, value); break;
    case VALUE_IP: write_address(out, value->ip, NULL); break;
    case VALUE_CIDR: write_address(out, &value->network->address, value->network); break;
    case VALUE_OPTIONAL:
        if (value->inner) {
            typed_write(out, value->inner);
            break;
        }
        // fall through
    default: buf_str(out, STR("null")); break;
    }
}

void typed_write(struct buf *out, const struct value *value) {
    static const char *const names[] = {
        [VALUE_NULL] = "null",   [VALUE_BOOL] = "bool",         [VALUE_INT] = "int",
        [VALUE_UINT] = "uint",   [VALUE_DOUBLE] = "double",     [VALUE_STRING] = "string",
        [VALUE_BYTES] = "bytes", [VALUE_LIST] = "list",         [VALUE_MAP] = "map",
        [VALUE_TYPE] = "type",   [VALUE_DURATION] = "duration", [VALUE_TIMESTAMP] = "timestamp",
        [VALUE_IP] = "ip",       [VALUE_CIDR] = "cidr",         [VALUE_OPTIONAL] = "optional"};
    must(value->type < COUNT_OF(names) && names[value->type]);
    buf_printf(out, "{\"%s\":", names[value->type]);
    write_payload(out, value);
    buf_char(out, '}');
}
