// functions_plain: what conditions over identity events ask for and CEL has not: a comparison without case, a glob; and
// base64, which is CEL's encoders extension.
#include "ast.h"

static struct value eq_fold(struct run *run, const struct node *node, const struct value *args) {
    (void)node;
    return run_charge(run, args[0].string.len / 64) ? value_bool(str_eq_fold(args[0].string, args[1].string))
                                                    : run_failure(run);
}

// '*' stands for any text, '?' for one character. On a mismatch only the last star gives way, so the time is at most
// the product of the lengths, which is charged as it is spent.
static struct value glob(struct run *run, const struct node *node, const struct value *args) {
    struct str text = args[0].string, pattern = args[1].string;
    size_t t = 0, p = 0, star = SIZE_MAX, star_t = 0, steps = 0;
    (void)node;
    while (t < text.len) {
        if (++steps % 64 == 0 && !run_charge(run, 1))
            return run_failure(run);
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            star_t = t;
        } else if (p < pattern.len && pattern.ptr[p] == '?') {
            t += utf8_step(text, t);
            p++;
        } else if (p < pattern.len && pattern.ptr[p] == text.ptr[t]) {
            t++;
            p++;
        } else if (star != SIZE_MAX) {
            star_t += utf8_step(text, star_t);
            t = star_t;
            p = star + 1;
        } else {
            return value_bool(false);
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*')
        p++;
    return value_bool(p == pattern.len);
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static struct value base64_encode(struct run *run, const struct node *node, const struct value *args) {
    struct str s = args->string;
    char *out = run_alloc(run, s.len / 3 * 4 + 4);
    size_t len = 0;
    (void)node;
    for (size_t i = 0; out && i < s.len; i += 3) {
        uint32_t bits = 0;
        for (size_t k = 0; k < 3; k++)
            bits = bits << 8 | (i + k < s.len ? (uint8_t)s.ptr[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            out[len++] = i + k <= s.len ? base64_digits[bits >> (18 - 6 * k) & 63] : '=';
    }
    return out ? value_string((struct str){out, len}) : run_failure(run);
}

static struct value base64_decode(struct run *run, const struct node *node, const struct value *args) {
    struct str s = args->string;
    char *out = run_alloc(run, s.len / 4 * 3 + 3);
    size_t len = 0;
    uint32_t bits = 0;
    (void)node;
    if (!out)
        return run_failure(run);
    if (s.len % 4 == 0) {
        for (size_t pads = 0; pads < 2 && s.len > 0 && s.ptr[s.len - 1] == '='; pads++)
            s.len--;
    }
    for (size_t i = 0; i < s.len; i++) {
        const char *digit = s.ptr[i] == '\0' ? NULL : strchr(base64_digits, s.ptr[i]);
        if (!digit || s.len % 4 == 1)
            return value_error("this string is not base64");
        bits = bits << 6 | (uint32_t)(digit - base64_digits);
        if (i % 4 != 0)
            out[len++] = (char)(bits >> (6 - i % 4 * 2));
    }
    return (struct value){.type = VALUE_BYTES, .string = {out, len}};
}

static const struct function functions[] = {
    {"eq_fold", "ss", 'b', false, eq_fold},
    {"glob", "ss", 'b', false, glob},
    {"base64.encode", "y", 's', false, base64_encode},
    {"base64.decode", "s", 'y', false, base64_decode},
};
const struct function_group plain_functions = {functions, COUNT_OF(functions)};
