// set: a constant set of strings. A few are compared one by one (the length decides most); more are hashed.
#include "ast.h"

#define LINEAR_MAX 6

struct string_set {
    size_t n;
    size_t mask; // 0: no table, look at each
    const struct str *strings;
    const uint32_t *table; // index + 1, 0: free
};

const struct string_set *string_set_new(struct arena *arena, const struct value *strings, size_t n) {
    struct string_set *set = arena_alloc(arena, sizeof *set);
    struct str *copies = arena_alloc(arena, (n + 1) * sizeof *copies);
    if (!set || !copies)
        return NULL;
    for (size_t i = 0; i < n; i++)
        copies[i] = strings[i].string;
    *set = (struct string_set){.n = n, .strings = copies};
    if (n <= LINEAR_MAX)
        return set;
    size_t size = 16;
    while (size < 2 * n)
        size *= 2;
    uint32_t *table = arena_alloc(arena, size * sizeof *table);
    if (!table)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        size_t at = hash64_bytes(copies[i].ptr, copies[i].len) & (size - 1);
        while (table[at] != 0)
            at = (at + 1) & (size - 1);
        table[at] = (uint32_t)i + 1;
    }
    set->mask = size - 1;
    set->table = table;
    return set;
}

bool string_set_has(const struct string_set *set, struct str s) {
    if (set->mask == 0) {
        for (size_t i = 0; i < set->n; i++) {
            if (str_eq(set->strings[i], s))
                return true;
        }
        return false;
    }
    for (size_t at = hash64_bytes(s.ptr, s.len) & set->mask; set->table[at] != 0; at = (at + 1) & set->mask) {
        if (str_eq(set->strings[set->table[at] - 1], s))
            return true;
    }
    return false;
}
