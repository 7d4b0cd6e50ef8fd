// literal: the values of number and string tokens. Escapes are undone into the expression's arena; what CEL forbids
// (a surrogate, a number over 64 bits) is an error at its own place.
#include "ast.h"

#include <stdlib.h>

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool whole_number(struct str text, uint64_t *out) {
    uint64_t base = text.len > 2 && (text.ptr[1] == 'x' || text.ptr[1] == 'X') ? 16 : 10, n = 0;
    for (size_t i = base == 16 ? 2 : 0; i < text.len; i++) {
        if (__builtin_mul_overflow(n, base, &n) || __builtin_add_overflow(n, (uint64_t)hex_digit(text.ptr[i]), &n))
            return false;
    }
    *out = n;
    return true;
}

static bool int_value(struct compile *compile, const struct token *token, bool minus, struct value *out) {
    uint64_t n = 0;
    uint64_t most = (uint64_t)INT64_MAX + (minus ? 1 : 0);
    if (!whole_number(token->text, &n) || n > most)
        return compile_fail(compile, token->offset,
                            "this number does not fit an int (64 bits); write it as a uint (with 'u') "
                            "or a double (with '.0')") != NULL;
    *out = value_int(minus ? (int64_t)(0 - n) : (int64_t)n);
    return true;
}

static bool double_value(struct compile *compile, const struct token *token, struct value *out) {
    char digits[512];
    if (token->text.len >= sizeof digits)
        return compile_fail(compile, token->offset, "this number has too many digits") != NULL;
    memcpy(digits, token->text.ptr, token->text.len);
    digits[token->text.len] = '\0';
    *out = value_double(strtod(digits, NULL));
    return true;
}

// How many digits of which base an escape takes; 0: not a numeric one.
static size_t escape_digits(char c, int *base) {
    *base = 16;
    switch (c) {
    case 'x':
    case 'X': return 2;
    case 'u': return 4;
    case 'U': return 8;
    default: *base = 8; return c >= '0' && c <= '3' ? 3 : 0;
    }
}

static int simple_escape(char c) {
    static const char from[] = "abfnrtv\\?\"'`", to[] = "\a\b\f\n\r\t\v\\?\"'`";
    const char *found = c == '\0' ? NULL : strchr(from, c);
    return found ? to[found - from] : -1;
}

// The escape after the backslash at text[*at]; moves behind it and appends to out[*len].
static bool unescape(struct compile *compile, const struct token *token, size_t *at, char *out, size_t *len) {
    struct str text = token->text;
    size_t place = (size_t)(text.ptr - compile->expr->source.ptr) + *at;
    size_t i = *at + 1;
    char c = i < text.len ? text.ptr[i] : '\0';
    int simple = simple_escape(c), base = 0;
    size_t digits = simple >= 0 ? 0 : escape_digits(c, &base);
    if (simple >= 0) {
        out[(*len)++] = (char)simple;
        *at = i + 1;
        return true;
    }
    if (digits == 0)
        return compile_fail(compile, place,
                            "no such escape in a string; write '\\\\' for a backslash, or r\"…\" for a raw string") !=
               NULL;
    if (base == 16)
        i++;
    uint32_t code = 0;
    for (size_t end = i + digits; i < end; i++) {
        int digit = i < text.len ? hex_digit(text.ptr[i]) : -1;
        if (digit < 0 || digit >= base)
            return compile_fail(compile, place, "this escape needs %zu %s digits", digits,
                                base == 16 ? "hexadecimal" : "octal") != NULL;
        code = code * (uint32_t)base + (uint32_t)digit;
    }
    *at = i;
    if (token->kind == TOKEN_BYTES) {
        if (digits > 3)
            return compile_fail(compile, place, "bytes take \\x and octal escapes only") != NULL;
        out[(*len)++] = (char)code;
        return true;
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
        return compile_fail(compile, place, "this escape is not a Unicode character") != NULL;
    *len += utf8_encode(code, out + *len);
    return true;
}

static bool text_value(struct compile *compile, const struct token *token, struct value *out) {
    struct str text = token->text;
    if (!token->raw && text.len > 0 && memchr(text.ptr, '\\', text.len)) {
        // No escape is longer than what it is written as.
        char *copy = compile_alloc(compile, text.len + 1);
        size_t len = 0;
        if (!copy)
            return false;
        for (size_t i = 0; i < text.len;) {
            if (text.ptr[i] != '\\')
                copy[len++] = text.ptr[i++];
            else if (!unescape(compile, token, &i, copy, &len))
                return false;
        }
        text = (struct str){copy, len};
    }
    *out = value_string(text);
    if (token->kind == TOKEN_BYTES)
        out->type = VALUE_BYTES;
    return true;
}

bool literal_value(struct compile *compile, const struct token *token, bool minus, struct value *out) {
    uint64_t n = 0;
    switch (token->kind) {
    case TOKEN_INT: return int_value(compile, token, minus, out);
    case TOKEN_UINT:
        if (!whole_number(token->text, &n))
            return compile_fail(compile, token->offset, "this number does not fit a uint (64 bits)") != NULL;
        *out = value_uint(n);
        return true;
    case TOKEN_DOUBLE: return double_value(compile, token, out);
    case TOKEN_TRUE:
    case TOKEN_FALSE: *out = value_bool(token->kind == TOKEN_TRUE); return true;
    case TOKEN_NULL: *out = (struct value){.type = VALUE_NULL}; return true;
    default: return text_value(compile, token, out);
    }
}
