// case_reader: JSON lines into plain values, for the conformance cases. It reads what that file holds and stops the
// test at anything else.
#ifndef PENSTOCK_TESTS_EXPR_CASE_READER_H
#define PENSTOCK_TESTS_EXPR_CASE_READER_H

#include "ast.h"

#include <stdlib.h>

struct case_reader {
    const char *at, *end;
    struct arena *arena;
};

static struct value read_json(struct case_reader *r);

static void read_space(struct case_reader *r) {
    while (r->at < r->end && strchr(" \t\r\n", *r->at))
        r->at++;
}

static bool read_sign(struct case_reader *r, char sign) {
    read_space(r);
    if (r->at == r->end || *r->at != sign)
        return false;
    r->at++;
    return true;
}

static uint32_t read_hex4(struct case_reader *r) {
    char digits[5] = {0};
    must(r->end - r->at >= 4);
    memcpy(digits, r->at, 4);
    r->at += 4;
    return (uint32_t)strtoul(digits, NULL, 16);
}

static struct str read_json_string(struct case_reader *r) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    must(read_sign(r, '"'));
    const char *close = r->at;
    while (close < r->end && *close != '"')
        close += *close == '\\' ? 2 : 1;
    char *out = arena_alloc(r->arena, (size_t)(close - r->at) + 1);
    size_t len = 0;
    must(out);
    while (r->at < r->end && *r->at != '"') {
        char c = *r->at++;
        if (c != '\\') {
            out[len++] = c;
            continue;
        }
        must(r->at < r->end);
        c = *r->at++;
        if (c != 'u') {
            const char *found = strchr(from, c);
            must(c != '\0' && found);
            out[len++] = to[found - from];
            continue;
        }
        uint32_t code = read_hex4(r);
        if (code >= 0xD800 && code < 0xDC00) {
            must(r->end - r->at > 2 && r->at[0] == '\\' && r->at[1] == 'u');
            r->at += 2;
            code = 0x10000 + ((code - 0xD800) << 10) + (read_hex4(r) - 0xDC00);
        }
        len += utf8_encode(code, out + len);
    }
    must(read_sign(r, '"'));
    return (struct str){out, len};
}

// Elements of an array, or keys and values of an object, up to `close`.
static size_t read_items(struct case_reader *r, char close, bool pairs, struct value **out) {
    size_t n = 0, cap = 0;
    struct value *items = NULL;
    if (read_sign(r, close))
        return 0;
    do {
        if (n + 2 > cap) {
            cap = cap ? cap * 2 : 8;
            items = must_realloc(items, cap * sizeof *items);
        }
        items[n++] = pairs ? value_string(read_json_string(r)) : read_json(r);
        if (pairs) {
            must(read_sign(r, ':'));
            items[n++] = read_json(r);
        }
    } while (read_sign(r, ','));
    must(read_sign(r, close));
    *out = arena_alloc(r->arena, n * sizeof **out);
    must(*out);
    memcpy(*out, items, n * sizeof *items);
    free(items);
    return n;
}

static struct value read_json(struct case_reader *r) {
    static const struct {
        const char *word;
        struct value value;
    } words[] = {{"true", {.type = VALUE_BOOL, .boolean = true}},
                 {"false", {.type = VALUE_BOOL}},
                 {"null", {.type = VALUE_NULL}}};
    struct value *items = NULL;
    size_t n;
    read_space(r);
    must(r->at < r->end);
    if (*r->at == '"')
        return value_string(read_json_string(r));
    if (read_sign(r, '[')) {
        n = read_items(r, ']', false, &items);
        return value_list(r->arena, items, n);
    }
    if (read_sign(r, '{')) {
        n = read_items(r, '}', true, &items);
        return value_map(r->arena, items, n / 2);
    }
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (str_starts((struct str){r->at, (size_t)(r->end - r->at)}, str_of(words[i].word))) {
            r->at += strlen(words[i].word);
            return words[i].value;
        }
    }
    char *behind;
    long long whole = strtoll(r->at, &behind, 10);
    must(behind > r->at && behind <= r->end);
    r->at = behind;
    return value_int(whole);
}

static struct value member(const struct value *object, const char *name) {
    struct value key = value_string(str_of(name)), out = value_absent();
    if (object->type == VALUE_MAP &&
        object->container.source->get(object->container.source, object->container.node, &key, &out))
        return out;
    return value_absent();
}

static struct value element(const struct value *list, size_t index) {
    struct value out = value_absent();
    must(list->container.source->at(list->container.source, list->container.node, index, &out));
    return out;
}

static struct value base64_value(struct case_reader *r, struct str text) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = arena_alloc(r->arena, text.len + 1);
    size_t len = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < text.len && text.ptr[i] != '='; i++) {
        const char *digit = strchr(digits, text.ptr[i]);
        must(out && digit);
        bits = bits << 6 | (uint32_t)(digit - digits);
        if (i % 4 != 0)
            out[len++] = (char)(bits >> (6 - i % 4 * 2));
    }
    return (struct value){.type = VALUE_BYTES, .string = {out, len}};
}

static struct value typed_value(struct case_reader *r, const struct value *json);

static struct value typed_container(struct case_reader *r, const struct value *json, bool map) {
    size_t n = value_size(json);
    struct value *items = arena_alloc(r->arena, (2 * n + 1) * sizeof *items);
    must(items);
    for (size_t i = 0; i < n; i++) {
        struct value item = element(json, i);
        if (map) {
            struct value key = element(&item, 0), value = element(&item, 1);
            items[2 * i] = typed_value(r, &key);
            items[2 * i + 1] = typed_value(r, &value);
        } else {
            items[i] = typed_value(r, &item);
        }
    }
    return map ? value_map(r->arena, items, n) : value_list(r->arena, items, n);
}

// {"int":"1"} and its like: the value they name.
static struct value typed_value(struct case_reader *r, const struct value *json) {
    uint64_t cursor = 0;
    struct value kind, v;
    must(json->type == VALUE_MAP);
    must(json->container.source->next(json->container.source, json->container.node, &cursor, &kind, &v));
    struct str type = kind.string;
    if (str_eq(type, STR("int")))
        return value_int(strtoll(arena_str(r->arena, v.string).ptr, NULL, 10));
    if (str_eq(type, STR("uint")))
        return value_uint(strtoull(arena_str(r->arena, v.string).ptr, NULL, 10));
    if (str_eq(type, STR("double")))
        return value_double(strtod(arena_str(r->arena, v.string).ptr, NULL));
    if (str_eq(type, STR("bytes")))
        return base64_value(r, v.string);
    if (str_eq(type, STR("type")))
        return (struct value){.type = VALUE_TYPE, .string = v.string};
    if (str_eq(type, STR("list")) || str_eq(type, STR("map")))
        return typed_container(r, &v, type.ptr[0] == 'm');
    if (str_eq(type, STR("timestamp")) || str_eq(type, STR("duration")))
        return (struct value){.type = type.ptr[0] == 't' ? VALUE_TIMESTAMP : VALUE_DURATION,
                              .nanos = (int32_t)element(&v, 1).int64,
                              .seconds = element(&v, 0).int64};
    must(str_eq(type, STR("string")) || str_eq(type, STR("bool")) || str_eq(type, STR("null")));
    return v;
}

#endif
