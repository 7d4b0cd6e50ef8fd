// names: text -> number, by hash. Texts are borrowed and must outlive the table.
#ifndef PENSTOCK_POLICY_NAMES_H
#define PENSTOCK_POLICY_NAMES_H

#include "penstock/base.h"

struct name_table {
    struct name_entry {
        struct str name;
        size_t number;
    } * entries; // by number of insertion
    size_t n, cap;
    uint32_t *places; // 1 + index of an entry; a power of two of them
    size_t n_places;
};
// False: the name is there already; *number is its number in any case.
bool names_add(struct name_table *names, struct str name, size_t number, size_t *found);
bool names_find(const struct name_table *names, struct str name, size_t *number);
struct str names_nearest(const struct name_table *names, struct str typo);
void names_free(struct name_table *names);

#endif
