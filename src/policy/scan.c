// scan: CEL's tokens, coarsely. What is no valid token is a sign of one byte: the compiler of expressions says so
// later.
#include "scan.h"

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
static bool is_name_start(char c) {
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static bool is_name(char c) {
    return is_name_start(c) || is_digit(c);
}
static char char_at(struct str text, size_t at) {
    return at < text.len ? text.ptr[at] : '\0';
}

static size_t skip_space(struct str text, size_t at) {
    while (at < text.len) {
        char c = text.ptr[at];
        if (c == '/' && char_at(text, at + 1) == '/') {
            while (at < text.len && text.ptr[at] != '\n')
                at++;
        } else if (c == ' ' || (c >= '\t' && c <= '\r')) {
            at++;
        } else {
            break;
        }
    }
    return at;
}

// `at`: the opening quote. Returns the place behind the closing one.
static size_t skip_string(struct str text, size_t at, bool raw) {
    char quote = text.ptr[at];
    bool triple = char_at(text, at + 1) == quote && char_at(text, at + 2) == quote;
    for (at += triple ? 3 : 1; at < text.len; at++) {
        if (text.ptr[at] == '\\' && !raw)
            at++;
        else if (text.ptr[at] == quote && !triple)
            return at + 1;
        else if (text.ptr[at] == quote && char_at(text, at + 1) == quote && char_at(text, at + 2) == quote)
            return at + 3;
    }
    return text.len;
}

// "r", "b", "rb" and so on in front of a string's quote.
static bool is_string_prefix(struct str word, bool *raw) {
    *raw = false;
    if (word.len == 0 || word.len > 2)
        return false;
    for (size_t i = 0; i < word.len; i++) {
        char c = word.ptr[i];
        if (c == 'r' || c == 'R')
            *raw = true;
        else if (c != 'b' && c != 'B')
            return false;
    }
    return true;
}

static size_t skip_number(struct str text, size_t at) {
    while (is_name(char_at(text, at)) || (char_at(text, at) == '.' && is_digit(char_at(text, at + 1))))
        at++;
    return at;
}

struct scan_token scan_next(struct str text, size_t *at) {
    size_t start = skip_space(text, *at), end = start + 1;
    enum scan_kind kind = SCAN_SIGN;
    char c = char_at(text, start);
    if (start >= text.len) {
        *at = text.len;
        return (struct scan_token){SCAN_END, text.len, 0};
    }
    if (c == '"' || c == '\'' || c == '`') {
        kind = SCAN_STRING;
        end = skip_string(text, start, c == '`');
    } else if (is_digit(c)) {
        kind = SCAN_NUMBER;
        end = skip_number(text, start);
    } else if (is_name_start(c)) {
        kind = SCAN_NAME;
        while (is_name(char_at(text, end)))
            end++;
        bool raw;
        char next = char_at(text, end);
        if ((next == '"' || next == '\'') && is_string_prefix((struct str){text.ptr + start, end - start}, &raw)) {
            kind = SCAN_STRING;
            end = skip_string(text, end, raw);
        }
    }
    *at = end;
    return (struct scan_token){kind, start, end - start};
}
