// write: values -> JSON text. The same values give the same bytes on every machine,
// for ids are made of such bytes and outputs are compared by them.
#include "tape.h"

#include <math.h>
#include <stdio.h>

#define WRITE_DEPTH_MAX 512 // deeper than anything that is let in; beyond: null

// Whether eight bytes are all printable ASCII without '"' and '\': the top bit of each byte of the sum tells.
static bool eight_plain(const char *bytes) {
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    uint64_t control = word - ones * 0x20;
    uint64_t quote = (word ^ ones * '"') - ones;
    uint64_t backslash = (word ^ ones * '\\') - ones;
    return ((word | control | quote | backslash) & tops) == 0;
}

static void write_escape(struct buf *out, unsigned char c) {
    static const char shorts[0x20] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    static const char hex[] = "0123456789abcdef";
    if (c >= 0x20)
        buf_add(out, (char[]){'\\', (char)c}, 2);
    else if (shorts[c])
        buf_add(out, (char[]){'\\', shorts[c]}, 2);
    else
        buf_add(out, (char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
}

void json_write_string(struct buf *out, struct str s) {
    size_t written = 0, at = 0; // bytes before `written` are out, those up to `at` may go as they are
    buf_char(out, '"');
    while (at < s.len) {
        if (s.len - at >= 8 && eight_plain(s.ptr + at)) {
            at += 8;
            continue;
        }
        unsigned char c = (unsigned char)s.ptr[at];
        size_t len = utf8_length((struct str){s.ptr + at, s.len - at});
        if (len > 0 && c >= 0x20 && c != '"' && c != '\\') {
            at += len;
            continue;
        }
        if (at > written)
            buf_add(out, s.ptr + written, at - written);
        if (len == 0)
            buf_str(out, STR("\xef\xbf\xbd"));
        else
            write_escape(out, c);
        written = ++at;
    }
    if (at > written)
        buf_add(out, s.ptr + written, at - written);
    buf_char(out, '"');
}

void json_write_key(struct buf *out, struct str key) {
    if (out->len > 0 && out->ptr[out->len - 1] != '{')
        buf_char(out, ',');
    json_write_string(out, key);
    buf_char(out, ':');
}

void json_write_base64(struct buf *out, struct str bytes) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    buf_char(out, '"');
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t n = bytes.len - i < 3 ? bytes.len - i : 3;
        uint32_t bits = 0;
        for (size_t k = 0; k < 3; k++)
            bits = bits << 8 | (k < n ? (unsigned char)bytes.ptr[i + k] : 0u);
        char four[] = {digits[bits >> 18], digits[bits >> 12 & 63], digits[bits >> 6 & 63], digits[bits & 63]};
        for (size_t k = n + 1; k < 4; k++)
            four[k] = '=';
        buf_add(out, four, sizeof four);
    }
    buf_char(out, '"');
}

static void write_uint(struct buf *out, uint64_t n) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n != 0);
    buf_add(out, digits + at, sizeof digits - at);
}

static void write_int(struct buf *out, int64_t n) {
    if (n < 0)
        buf_char(out, '-');
    write_uint(out, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}

static void write_zeros(struct buf *out, int n) {
    for (int i = 0; i < n; i++)
        buf_char(out, '0');
}

// Laid out as ECMAScript does, but for two cases where digits alone would be read as an integer that is another number:
// from 1e16 on (not 1e21) there is an exponent, because the zeros that fill up the shortest digits are not exact there;
// and -0 has a fraction.
void json_write_double(struct buf *out, double number) {
    char digits[DOUBLE_DIGITS_MAX];
    int exponent;
    if (!isfinite(number)) {
        buf_str(out, STR("null"));
        return;
    }
    if (number == 0) {
        buf_str(out, signbit(number) ? STR("-0.0") : STR("0"));
        return;
    }
    if (number < 0)
        buf_char(out, '-');
    int n = (int)double_digits(fabs(number), digits, &exponent);
    if (exponent >= 16 || exponent < -6) {
        buf_char(out, digits[0]);
        if (n > 1)
            buf_char(out, '.');
        buf_add(out, digits + 1, (size_t)n - 1);
        buf_printf(out, "e%+d", exponent);
    } else if (exponent < 0) {
        buf_str(out, STR("0."));
        write_zeros(out, -exponent - 1);
        buf_add(out, digits, (size_t)n);
    } else if (n <= exponent + 1) {
        buf_add(out, digits, (size_t)n);
        write_zeros(out, exponent + 1 - n);
    } else {
        buf_add(out, digits, (size_t)exponent + 1);
        buf_char(out, '.');
        buf_add(out, digits + exponent + 1, (size_t)(n - exponent - 1));
    }
}

// "1.5s", "-0.25s": as few digits as there are.
static void write_duration(struct buf *out, int64_t seconds, int32_t nanos) {
    bool negative = seconds < 0 || nanos < 0;
    buf_str(out, negative ? STR("\"-") : STR("\""));
    write_uint(out, seconds < 0 ? 0 - (uint64_t)seconds : (uint64_t)seconds);
    if (nanos != 0) {
        char fraction[16];
        int len = snprintf(fraction, sizeof fraction, ".%09d", nanos < 0 ? -nanos : nanos);
        while (fraction[len - 1] == '0')
            len--;
        buf_add(out, fraction, (size_t)len);
    }
    buf_str(out, STR("s\""));
}

static void write_network(struct buf *out, const struct ip_network *network) {
    char text[48];
    ip_format(&network->address, text);
    buf_printf(out, "\"%s/%d\"", text, network->address.v4 ? network->bits - 96 : network->bits);
}

static void write_value(struct buf *out, const struct value *value, unsigned depth);

static void write_map_key(struct buf *out, const struct value *key) {
    if (key->type == VALUE_STRING) {
        json_write_key(out, key->string);
        return;
    }
    // CEL's maps may have keys that JSON has not: they become the text of the value.
    char text[32];
    struct buf quoted = {.ptr = text, .cap = sizeof text, .max = sizeof text};
    write_value(&quoted, key, 0);
    json_write_key(out, buf_view(&quoted));
}

static void write_container(struct buf *out, const struct value *v, unsigned depth) {
    const struct value_source *source = v->container.source;
    bool map = v->type == VALUE_MAP;
    uint64_t cursor = 0;
    struct value key, item;
    bool first = true;
    buf_char(out, map ? '{' : '[');
    while (!out->overflow && source->next(source, v->container.node, &cursor, &key, &item)) {
        if (map)
            write_map_key(out, &key);
        else if (!first)
            buf_char(out, ',');
        write_value(out, &item, depth);
        first = false;
    }
    buf_char(out, map ? '}' : ']');
}

static void write_text(struct buf *out, const struct value *v) {
    char text[TIME_TEXT_MAX + 48];
    if (v->type == VALUE_TIMESTAMP)
        time_format(v->seconds, v->nanos, text);
    else
        ip_format(v->ip, text);
    json_write_string(out, str_of(text));
}

static void write_value(struct buf *out, const struct value *v, unsigned depth) {
    switch ((enum value_type)v->type) {
    case VALUE_BOOL: buf_str(out, v->boolean ? STR("true") : STR("false")); return;
    case VALUE_INT: write_int(out, v->int64); return;
    case VALUE_UINT: write_uint(out, v->uint64); return;
    case VALUE_DOUBLE: json_write_double(out, v->real); return;
    case VALUE_STRING:
    case VALUE_TYPE: json_write_string(out, v->string); return;
    case VALUE_BYTES: json_write_base64(out, v->string); return;
    case VALUE_TIMESTAMP:
    case VALUE_IP: write_text(out, v); return;
    case VALUE_DURATION: write_duration(out, v->seconds, v->nanos); return;
    case VALUE_CIDR: write_network(out, v->network); return;
    case VALUE_LIST:
    case VALUE_MAP:
        if (depth > 0) {
            write_container(out, v, depth - 1);
            return;
        }
        break;
    case VALUE_OPTIONAL:
        if (v->inner && depth > 0) {
            write_value(out, v->inner, depth - 1);
            return;
        }
        break;
    case VALUE_ABSENT:
    case VALUE_NULL:
    case VALUE_ERROR:
    case VALUE_ANY: break;
    }
    buf_str(out, STR("null"));
}

void json_write_value(struct buf *out, const struct value *value) {
    write_value(out, value, WRITE_DEPTH_MAX);
}
