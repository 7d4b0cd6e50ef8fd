// functions_text: strings and bytes. Indexes count characters. Work over a text costs fuel by its length.
#include "ast.h"
#include "regex.h"

struct value text_copy(struct run *run, const char *bytes, size_t len) {
    char *copy = run_alloc(run, len);
    if (!copy)
        return run_failure(run);
    if (len > 0)
        memcpy(copy, bytes, len);
    return value_string((struct str){copy, len});
}

// The byte where character `index` begins; false: there are fewer.
static bool byte_at(struct str s, int64_t index, size_t *out) {
    size_t at = 0;
    if (index < 0 || (uint64_t)index > s.len)
        return false;
    for (; index > 0 && at < s.len; index--)
        at += utf8_step(s, at);
    *out = at;
    return index == 0;
}

static struct str part(struct str s, size_t from, size_t to) {
    return (struct str){s.ptr + from, to - from};
}

// Where `what` begins at or after byte `from`; s.len + 1: nowhere.
static size_t find_text(struct str s, struct str what, size_t from) {
    if (what.len == 0)
        return from;
    const char *found =
        from <= s.len && s.len - from >= what.len ? memmem(s.ptr + from, s.len - from, what.ptr, what.len) : NULL;
    return found ? (size_t)(found - s.ptr) : s.len + 1;
}

static struct value size_of_text(struct run *run, const struct node *node, const struct value *args) {
    (void)node;
    return run_charge(run, args->string.len / 64) ? value_int((int64_t)utf8_count(args->string)) : run_failure(run);
}

static struct value size_of_bytes(struct run *run, const struct node *node, const struct value *args) {
    (void)run, (void)node;
    return value_int((int64_t)args->string.len);
}

static struct value size_of_container(struct run *run, const struct node *node, const struct value *args) {
    (void)run, (void)node;
    return value_int((int64_t)value_size(args));
}

static struct value starts_with(struct run *run, const struct node *node, const struct value *args) {
    (void)node;
    return run_charge(run, args[1].string.len / 64) ? value_bool(str_starts(args[0].string, args[1].string))
                                                    : run_failure(run);
}

static struct value ends_with(struct run *run, const struct node *node, const struct value *args) {
    (void)node;
    return run_charge(run, args[1].string.len / 64) ? value_bool(str_ends(args[0].string, args[1].string))
                                                    : run_failure(run);
}

static struct value contains(struct run *run, const struct node *node, const struct value *args) {
    (void)node;
    if (!run_charge(run, args[0].string.len / 16))
        return run_failure(run);
    return value_bool(find_text(args[0].string, args[1].string, 0) <= args[0].string.len);
}

// A pattern that is computed is compiled here and kept until another comes: a loop over one pattern compiles once.
static struct value matches(struct run *run, const struct node *node, const struct value *args) {
    const struct regex *regex = node->regex;
    struct str pattern = args[1].string;
    char why[8];
    if (!run_charge(run, 1 + args[0].string.len / 8))
        return run_failure(run);
    if (!regex && (!run->regex || !str_eq(run->regex_pattern, pattern))) {
        if (!run_charge(run, 500 + pattern.len * 50))
            return run_failure(run);
        regex_free(run->regex);
        run->regex = regex_compile(pattern.ptr, pattern.len, why, sizeof why);
        run->regex_pattern = pattern;
    }
    regex = regex ? regex : run->regex;
    if (!regex)
        return value_error("not a regular expression (RE2 syntax)");
    return value_bool(regex_matches(regex, args[0].string.ptr, args[0].string.len));
}

static struct value fold_case(struct run *run, const struct value *text, char first, int shift) {
    struct str s = text->string;
    char *out = run_alloc(run, s.len);
    for (size_t i = 0; out && i < s.len; i++) {
        bool folds = s.ptr[i] >= first && s.ptr[i] < first + 26;
        out[i] = (char)(s.ptr[i] + (folds ? shift : 0));
    }
    return out ? value_string((struct str){out, s.len}) : run_failure(run);
}

static struct value lower_ascii(struct run *run, const struct node *node, const struct value *args) {
    (void)node;
    return fold_case(run, args, 'A', 'a' - 'A');
}

static struct value upper_ascii(struct run *run, const struct node *node, const struct value *args) {
    (void)node;
    return fold_case(run, args, 'a', 'A' - 'a');
}

static struct value char_at(struct run *run, const struct node *node, const struct value *args) {
    size_t at;
    struct str s = args[0].string;
    (void)node;
    if (!run_charge(run, s.len / 64))
        return run_failure(run);
    if (!byte_at(s, args[1].int64, &at))
        return value_error("charAt: index out of range");
    return value_string(part(s, at, at < s.len ? at + utf8_step(s, at) : at));
}

static struct value index_of(struct run *run, const struct node *node, const struct value *args) {
    struct str s = args[0].string, what = args[1].string;
    size_t from = 0;
    if (!run_charge(run, s.len / 16))
        return run_failure(run);
    if (node->n == 3 && !byte_at(s, args[2].int64, &from))
        return value_error("indexOf: offset out of range");
    size_t at = find_text(s, what, from);
    return value_int(at > s.len ? -1 : (int64_t)utf8_count(part(s, 0, at)));
}

static struct value last_index_of(struct run *run, const struct node *node, const struct value *args) {
    struct str s = args[0].string, what = args[1].string;
    size_t at = s.len;
    if (node->n == 3 && !byte_at(s, args[2].int64, &at))
        return value_error("lastIndexOf: offset out of range");
    if (!run_charge(run, s.len / 16 + s.len / 64 * (what.len / 64)))
        return run_failure(run);
    if (what.len > s.len)
        return value_int(-1);
    if (at > s.len - what.len)
        at = s.len - what.len;
    for (;; at--) {
        if (what.len == 0 || memcmp(s.ptr + at, what.ptr, what.len) == 0)
            return value_int((int64_t)utf8_count(part(s, 0, at)));
        if (at == 0)
            return value_int(-1);
    }
}

static struct value substring(struct run *run, const struct node *node, const struct value *args) {
    struct str s = args[0].string;
    size_t from, to = s.len;
    if (!run_charge(run, s.len / 64))
        return run_failure(run);
    if (!byte_at(s, args[1].int64, &from) || (node->n == 3 && !byte_at(s, args[2].int64, &to)) || from > to)
        return value_error("substring: range out of the string");
    return value_string(part(s, from, to));
}

static bool is_space(uint32_t c) {
    return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
           c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

static struct value trim(struct run *run, const struct node *node, const struct value *args) {
    struct str s = args[0].string;
    size_t from = 0, to = 0;
    (void)node;
    if (!run_charge(run, s.len / 64))
        return run_failure(run);
    while (from < s.len && is_space(utf8_decode(s, from)))
        from += utf8_step(s, from);
    to = from;
    for (size_t at = from; at < s.len; at += utf8_step(s, at)) {
        if (!is_space(utf8_decode(s, at)))
            to = at + utf8_step(s, at);
    }
    return value_string(part(s, from, to));
}

static struct value reverse(struct run *run, const struct node *node, const struct value *args) {
    struct str s = args[0].string;
    char *out = run_alloc(run, s.len);
    (void)node;
    if (!out)
        return run_failure(run);
    for (size_t at = 0; at < s.len;) {
        size_t step = utf8_step(s, at);
        memcpy(out + s.len - at - step, s.ptr + at, step);
        at += step;
    }
    return value_string((struct str){out, s.len});
}

// How often `what` is in `s`, at most `most`; an empty one is between all characters.
static size_t count_text(struct str s, struct str what, size_t most) {
    size_t n = 0;
    if (what.len == 0) {
        n = utf8_count(s) + 1;
        return n < most ? n : most;
    }
    for (size_t at = find_text(s, what, 0); at <= s.len && n < most; at = find_text(s, what, at + what.len))
        n++;
    return n;
}

static struct value replace(struct run *run, const struct node *node, const struct value *args) {
    struct str s = args[0].string, from = args[1].string, to = args[2].string;
    size_t most = node->n == 4 && args[3].int64 >= 0 ? (size_t)args[3].int64 : SIZE_MAX;
    if (!run_charge(run, s.len / 8))
        return run_failure(run);
    size_t n = count_text(s, from, most), len = 0, add;
    if (__builtin_mul_overflow(n, to.len, &add) || add > SIZE_MAX / 4)
        return run_fail(run, "the evaluation needed more memory than it may");
    char *out = run_alloc(run, s.len - n * from.len + add);
    size_t at = 0;
    if (!out)
        return run_failure(run);
    for (; n > 0; n--) {
        size_t found = find_text(s, from, at);
        memcpy(out + len, s.ptr + at, found - at);
        len += found - at;
        memcpy(out + len, to.ptr, to.len);
        len += to.len;
        at = found + from.len;
        if (from.len == 0 && at < s.len) { // one character moves along, so that the next find is behind it
            size_t step = utf8_step(s, at);
            memcpy(out + len, s.ptr + at, step);
            len += step;
            at += step;
        }
    }
    if (at < s.len)
        memcpy(out + len, s.ptr + at, s.len - at);
    return value_string((struct str){out, len + s.len - at});
}

static struct value split(struct run *run, const struct node *node, const struct value *args) {
    struct str s = args[0].string, by = args[1].string;
    int64_t limit = node->n == 3 ? args[2].int64 : -1;
    if (limit == 0)
        return make_list(run, NULL, 0);
    if (!run_charge(run, s.len / 8))
        return run_failure(run);
    size_t most = limit < 0 ? SIZE_MAX : (size_t)limit, n = 0, at = 0;
    size_t pieces = count_text(s, by, most - 1 < SIZE_MAX - 2 ? most - 1 : SIZE_MAX - 2) + 1;
    struct value *items = run_alloc(run, pieces * sizeof *items);
    if (!items)
        return run_failure(run);
    while (n + 1 < pieces && (by.len > 0 || at < s.len)) {
        size_t end = by.len > 0 ? find_text(s, by, at) : at + utf8_step(s, at);
        items[n++] = value_string(part(s, at, end));
        at = end + by.len;
    }
    if (by.len > 0 || at < s.len)
        items[n++] = value_string(part(s, at, s.len));
    return make_list(run, items, n);
}

static struct value join(struct run *run, const struct node *node, const struct value *args) {
    const struct value_source *source = args->container.source;
    struct str by = node->n == 2 ? args[1].string : (struct str){"", 0};
    uint64_t cursor = 0;
    struct value item;
    size_t len = 0, n = 0, at = 0;
    while (source->next(source, args->container.node, &cursor, NULL, &item)) {
        if (item.type != VALUE_STRING)
            return value_error("join: the list holds something that is no string");
        if (!run_charge(run, 1))
            return run_failure(run);
        len += item.string.len + (n++ > 0 ? by.len : 0);
    }
    char *out = run_alloc(run, len);
    if (!out)
        return run_failure(run);
    bool first = true;
    for (cursor = 0; source->next(source, args->container.node, &cursor, NULL, &item); first = false) {
        const struct str pieces[] = {first ? (struct str){"", 0} : by, item.string};
        for (size_t i = 0; i < COUNT_OF(pieces); i++) {
            if (pieces[i].len > 0)
                memcpy(out + at, pieces[i].ptr, pieces[i].len);
            at += pieces[i].len;
        }
    }
    return value_string((struct str){out, len});
}

static struct value quote(struct run *run, const struct node *node, const struct value *args) {
    static const char from[] = "\a\b\f\n\r\t\v\\\"", to[] = "abfnrtv\\\"";
    struct str s = args[0].string;
    char *out = run_alloc(run, 2 * s.len + 2);
    size_t len = 0;
    (void)node;
    if (!out)
        return run_failure(run);
    out[len++] = '"';
    for (size_t i = 0; i < s.len; i++) {
        const char *found = s.ptr[i] == '\0' ? NULL : strchr(from, s.ptr[i]);
        if (found)
            out[len++] = '\\';
        out[len++] = found ? to[found - from] : s.ptr[i];
    }
    out[len++] = '"';
    return value_string((struct str){out, len});
}

static struct value format_call(struct run *run, const struct node *node, const struct value *args) {
    (void)node;
    return format_text(run, args);
}

static const struct function functions[] = {
    {"size", "s", 'i', false, size_of_text},
    {"size", "y", 'i', false, size_of_bytes},
    {"size", "l", 'i', false, size_of_container},
    {"size", "m", 'i', false, size_of_container},
    {"size", "s", 'i', true, size_of_text},
    {"size", "y", 'i', true, size_of_bytes},
    {"size", "l", 'i', true, size_of_container},
    {"size", "m", 'i', true, size_of_container},
    {"startsWith", "ss", 'b', true, starts_with},
    {"endsWith", "ss", 'b', true, ends_with},
    {"contains", "ss", 'b', true, contains},
    {"matches", "ss", 'b', true, matches},
    {"matches", "ss", 'b', false, matches},
    {"lowerAscii", "s", 's', true, lower_ascii},
    {"upperAscii", "s", 's', true, upper_ascii},
    {"charAt", "si", 's', true, char_at},
    {"indexOf", "ss", 'i', true, index_of},
    {"indexOf", "ssi", 'i', true, index_of},
    {"lastIndexOf", "ss", 'i', true, last_index_of},
    {"lastIndexOf", "ssi", 'i', true, last_index_of},
    {"substring", "si", 's', true, substring},
    {"substring", "sii", 's', true, substring},
    {"trim", "s", 's', true, trim},
    {"reverse", "s", 's', true, reverse},
    {"replace", "sss", 's', true, replace},
    {"replace", "sssi", 's', true, replace},
    {"split", "ss", 'l', true, split},
    {"split", "ssi", 'l', true, split},
    {"join", "l", 's', true, join},
    {"join", "ls", 's', true, join},
    {"strings.quote", "s", 's', false, quote},
    {"format", "sl", 's', true, format_call},
};
const struct function_group text_functions = {functions, COUNT_OF(functions)};
