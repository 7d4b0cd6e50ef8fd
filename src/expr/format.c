// format: "…".format([…]): %s %d %f %e %b %o %x %X %% with a precision for %f and %e.
#include "ast.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT_MAX_BYTES (1u << 20)
#define PRECISION_MAX 100
#define NESTING_MAX 64

struct writer {
    struct run *run;
    struct buf out;
    const char *error;
};

static void write_text(struct writer *w, const char *bytes, size_t len) {
    if (len > 0 && run_charge(w->run, 1 + len / 64))
        buf_add(&w->out, bytes, len);
}

static bool fail(struct writer *w, const char *error) {
    w->error = error;
    return false;
}

static bool write_value(struct writer *w, const struct value *v, unsigned depth);

static bool write_list(struct writer *w, const struct value *list, unsigned depth) {
    const struct value_source *source = list->container.source;
    uint64_t cursor = 0;
    struct value item;
    write_text(w, "[", 1);
    for (bool first = true; !w->run->fatal && source->next(source, list->container.node, &cursor, NULL, &item);
         first = false) {
        if (!first)
            write_text(w, ", ", 2);
        if (!write_value(w, &item, depth + 1))
            return false;
    }
    write_text(w, "]", 1);
    return true;
}

struct entry {
    struct str key;
    struct value value;
};

static int compare_entries(const void *a, const void *b) {
    return str_cmp(((const struct entry *)a)->key, ((const struct entry *)b)->key);
}

// In the order of the keys' texts, so that equal maps read the same.
static bool write_map(struct writer *w, const struct value *map, unsigned depth) {
    const struct value_source *source = map->container.source;
    size_t most = value_size(map), n = 0;
    struct entry *entries = run_alloc(w->run, most * sizeof *entries);
    uint64_t cursor = 0;
    struct value key;
    if (!entries || !run_charge(w->run, most))
        return fail(w, NULL);
    for (; n < most && source->next(source, map->container.node, &cursor, &key, &entries[n].value); n++) {
        struct value text = text_of(w->run, &key);
        if (text.type != VALUE_STRING)
            return fail(w, "format: a key that has no text");
        entries[n].key = text.string;
    }
    qsort(entries, n, sizeof *entries, compare_entries);
    write_text(w, "{", 1);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            write_text(w, ", ", 2);
        write_text(w, entries[i].key.ptr, entries[i].key.len);
        write_text(w, ": ", 2);
        if (!write_value(w, &entries[i].value, depth + 1))
            return false;
    }
    write_text(w, "}", 1);
    return true;
}

static bool write_value(struct writer *w, const struct value *v, unsigned depth) {
    if (depth > NESTING_MAX)
        return fail(w, "format: the value is nested too deeply");
    if (w->run->fatal || w->out.overflow)
        return fail(w, NULL);
    if (v->type == VALUE_LIST)
        return write_list(w, v, depth);
    if (v->type == VALUE_MAP)
        return write_map(w, v, depth);
    struct value text = text_of(w->run, v);
    if (text.type != VALUE_STRING)
        return fail(w, "format: %s does not take a value of this type");
    write_text(w, text.string.ptr, text.string.len);
    return true;
}

static bool write_real(struct writer *w, const struct value *v, char verb, int precision) {
    char out[512];
    if (!is_number(v))
        return fail(w, "format: %f and %e take a number");
    double d = v->type == VALUE_INT ? (double)v->int64 : v->type == VALUE_UINT ? (double)v->uint64 : v->real;
    int len = isnan(d) || isinf(d) ? snprintf(out, sizeof out, "%s",
                                              isnan(d) ? "NaN"
                                              : d > 0  ? "Infinity"
                                                       : "-Infinity")
              : verb == 'f'        ? snprintf(out, sizeof out, "%.*f", precision, d)
                                   : snprintf(out, sizeof out, "%.*e", precision, d);
    write_text(w, out, (size_t)len);
    return true;
}

static bool write_decimal(struct writer *w, const struct value *v) {
    if (!is_number(v))
        return fail(w, "format: %d takes an int, a uint or a double");
    return write_value(w, v, 0);
}

static bool write_bits(struct writer *w, const struct value *v, unsigned shift, bool upper) {
    char out[72];
    size_t at = sizeof out;
    bool minus = v->type == VALUE_INT && v->int64 < 0;
    if (v->type != VALUE_INT && v->type != VALUE_UINT && (v->type != VALUE_BOOL || shift != 1))
        return fail(w, "format: %b, %o and %x take an int or a uint");
    uint64_t n = v->type == VALUE_BOOL ? v->boolean : minus ? 0 - v->uint64 : v->uint64;
    do {
        out[--at] = (upper ? "0123456789ABCDEF" : "0123456789abcdef")[n & ((1u << shift) - 1)];
        n >>= shift;
    } while (n > 0);
    if (minus)
        out[--at] = '-';
    write_text(w, out + at, sizeof out - at);
    return true;
}

static bool write_hex(struct writer *w, const struct value *v, bool upper) {
    if (v->type != VALUE_STRING && v->type != VALUE_BYTES)
        return write_bits(w, v, 4, upper);
    for (size_t i = 0; i < v->string.len && !w->run->fatal; i++) {
        char digits[3];
        snprintf(digits, sizeof digits, upper ? "%02X" : "%02x", (unsigned)(uint8_t)v->string.ptr[i]);
        write_text(w, digits, 2);
    }
    return true;
}

static bool write_verb(struct writer *w, char verb, int precision, const struct value *v) {
    switch (verb) {
    case 's': return write_value(w, v, 0);
    case 'd': return write_decimal(w, v);
    case 'f':
    case 'e': return write_real(w, v, verb, precision);
    case 'b': return write_bits(w, v, 1, false);
    case 'o': return write_bits(w, v, 3, false);
    case 'x':
    case 'X': return write_hex(w, v, verb == 'X');
    default: return fail(w, "format: no such verb; there are %s %d %f %e %b %o %x %X %%");
    }
}

// The precision behind a '%', if there is one; moves past it.
static bool take_precision(struct str pattern, size_t *at, int *precision) {
    *precision = 6;
    if (*at >= pattern.len || pattern.ptr[*at] != '.')
        return true;
    for (*precision = 0, (*at)++; *at < pattern.len && pattern.ptr[*at] >= '0' && pattern.ptr[*at] <= '9'; (*at)++) {
        *precision = *precision * 10 + (pattern.ptr[*at] - '0');
        if (*precision > PRECISION_MAX)
            return false;
    }
    return true;
}

static void write_pattern(struct writer *w, struct str pattern, const struct value *list) {
    const struct value_source *source = list->container.source;
    uint64_t cursor = 0;
    struct value v;
    int precision;
    for (size_t at = 0; at < pattern.len && !w->error && !w->run->fatal;) {
        const char *percent = memchr(pattern.ptr + at, '%', pattern.len - at);
        size_t end = percent ? (size_t)(percent - pattern.ptr) : pattern.len;
        write_text(w, pattern.ptr + at, end - at);
        at = end + 1;
        if (!percent)
            break;
        if (at < pattern.len && pattern.ptr[at] == '%') {
            write_text(w, "%", 1);
            at++;
        } else if (!take_precision(pattern, &at, &precision) || at >= pattern.len) {
            w->error = "format: an unfinished '%', or a precision over 100; for the sign itself write %%";
        } else if (!source->next(source, list->container.node, &cursor, NULL, &v)) {
            w->error = "format: more verbs than values";
        } else if (!write_verb(w, pattern.ptr[at++], precision, &v)) {
            break;
        }
    }
}

struct value format_text(struct run *run, const struct value *args) {
    struct writer w = {.run = run};
    buf_init(&w.out, TEXT_MAX_BYTES);
    write_pattern(&w, args[0].string, &args[1]);
    struct value out = run->fatal       ? run_failure(run)
                       : w.error        ? value_error(w.error)
                       : w.out.overflow ? run_fail(run, "the evaluation needed more memory than it may")
                                        : text_copy(run, w.out.ptr, w.out.len);
    buf_free(&w.out);
    return out;
}
