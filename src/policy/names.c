// names: an open-addressing hash table over the entries in their order of arrival. At least half of the places are
// empty.
#include "names.h"

#include <stdlib.h>

static size_t find_place(const struct name_table *names, struct str name) {
    size_t mask = names->n_places - 1;
    size_t place = (size_t)hash64_bytes(name.ptr, name.len) & mask;
    while (names->places[place] != 0 && !str_eq(names->entries[names->places[place] - 1].name, name))
        place = (place + 1) & mask;
    return place;
}

static void enlarge(struct name_table *names) {
    names->cap = names->cap ? names->cap * 2 : 16;
    names->entries = must_realloc(names->entries, names->cap * sizeof *names->entries);
    free(names->places);
    names->n_places = names->cap * 2;
    names->places = must_alloc(names->n_places * sizeof *names->places);
    for (size_t i = 0; i < names->n; i++)
        names->places[find_place(names, names->entries[i].name)] = (uint32_t)(i + 1);
}

bool names_add(struct name_table *names, struct str name, size_t number, size_t *found) {
    if (names->n == names->cap)
        enlarge(names);
    size_t place = find_place(names, name);
    bool is_new = names->places[place] == 0;
    if (is_new) {
        names->entries[names->n] = (struct name_entry){name, number};
        names->places[place] = (uint32_t)++names->n;
    }
    if (found)
        *found = names->entries[names->places[place] - 1].number;
    return is_new;
}

bool names_find(const struct name_table *names, struct str name, size_t *number) {
    if (names->n == 0)
        return false;
    uint32_t entry = names->places[find_place(names, name)];
    if (entry != 0 && number)
        *number = names->entries[entry - 1].number;
    return entry != 0;
}

struct str names_nearest(const struct name_table *names, struct str typo) {
    struct str *words = must_alloc((names->n + 1) * sizeof *words);
    for (size_t i = 0; i < names->n; i++)
        words[i] = names->entries[i].name;
    struct str nearest = str_nearest(typo, words, names->n);
    free(words);
    return nearest;
}

void names_free(struct name_table *names) {
    free(names->entries);
    free(names->places);
    *names = (struct name_table){0};
}
