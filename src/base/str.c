// str: comparing and reading views of bytes. Letter case means ASCII only: names,
// keys and words of the language are ASCII, and Unicode folding differs by version.
#include "penstock/base.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

int str_cmp(struct str a, struct str b) {
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.ptr, b.ptr, common) : 0;
    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

static char fold(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool str_eq_fold(struct str a, struct str b) {
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (fold(a.ptr[i]) != fold(b.ptr[i]))
            return false;
    return true;
}

bool str_starts(struct str s, struct str prefix) {
    return s.len >= prefix.len && str_eq((struct str){s.ptr, prefix.len}, prefix);
}

bool str_ends(struct str s, struct str suffix) {
    return suffix.len == 0 ||
           (s.len >= suffix.len && str_eq((struct str){s.ptr + (s.len - suffix.len), suffix.len}, suffix));
}

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str str_trim(struct str s) {
    while (s.len > 0 && is_space(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && is_space(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

bool str_to_int64(struct str s, int64_t *out) {
    bool negative = s.len > 0 && s.ptr[0] == '-';
    size_t i = negative;
    if (i == s.len)
        return false;
    int64_t n = 0;
    for (; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        // Counted downwards, because INT64_MIN has no positive twin.
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_sub_overflow(n, s.ptr[i] - '0', &n))
            return false;
    }
    if (!negative && n == INT64_MIN)
        return false;
    *out = negative ? n : -n;
    return true;
}

// The grammar is checked here because strtod also takes hexadecimal, "inf", "nan" and leading spaces.
static bool looks_decimal(struct str s) {
    size_t i = s.len > 0 && (s.ptr[0] == '-' || s.ptr[0] == '+');
    size_t digits = 0;
    for (; i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9'; i++)
        digits++;
    if (i < s.len && s.ptr[i] == '.')
        for (i++; i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9'; i++)
            digits++;
    if (digits == 0)
        return false;
    if (i < s.len && (s.ptr[i] == 'e' || s.ptr[i] == 'E')) {
        i++;
        if (i < s.len && (s.ptr[i] == '-' || s.ptr[i] == '+'))
            i++;
        size_t first = i;
        while (i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9')
            i++;
        if (i == first)
            return false;
    }
    return i == s.len;
}

bool str_to_double(struct str s, double *out) {
    char text[512]; // longer than any number that a person or a machine writes
    if (s.len >= sizeof text || !looks_decimal(s))
        return false;
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    // The process never calls setlocale, so the decimal point is '.'.
    double number = strtod(text, NULL);
    if (!isfinite(number))
        return false;
    *out = number;
    return true;
}

#define NEAREST_MAX_LEN 64 // no name of ours is longer, and the cost grows with its square

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

// Damerau-Levenshtein (optimal string alignment): insertions, deletions, substitutions and swaps of neighbours.
static size_t edit_distance(struct str a, struct str b) {
    size_t rows[3][NEAREST_MAX_LEN + 1];
    size_t *before = rows[0], *previous = rows[1], *current = rows[2];
    for (size_t j = 0; j <= b.len; j++)
        previous[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        current[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t differ = fold(a.ptr[i - 1]) != fold(b.ptr[j - 1]);
            current[j] = least(least(previous[j] + 1, current[j - 1] + 1), previous[j - 1] + differ);
            if (i > 1 && j > 1 && fold(a.ptr[i - 1]) == fold(b.ptr[j - 2]) && fold(a.ptr[i - 2]) == fold(b.ptr[j - 1]))
                current[j] = least(current[j], before[j - 2] + 1);
        }
        size_t *oldest = before;
        before = previous;
        previous = current;
        current = oldest;
    }
    return previous[b.len];
}

struct str str_nearest(struct str typo, const struct str *words, size_t n) {
    struct str nearest = {0};
    size_t allowed = typo.len / 3;
    if (typo.len == 0 || typo.len > NEAREST_MAX_LEN)
        return nearest;
    for (size_t i = 0; i < n; i++) {
        size_t longer = words[i].len > typo.len ? words[i].len - typo.len : typo.len - words[i].len;
        if (words[i].len > NEAREST_MAX_LEN || longer > allowed)
            continue;
        size_t distance = edit_distance(typo, words[i]);
        if (distance > allowed || (nearest.ptr && distance == allowed))
            continue;
        nearest = words[i];
        allowed = distance; // from here on only a nearer one, so the first of equals wins
        if (distance == 0)
            break;
    }
    return nearest;
}
