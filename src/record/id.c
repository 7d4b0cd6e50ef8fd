// Ids: hashes of where a cause stood. No clock, no random number and no delivery
// count goes in, so the same cause has the same ids at every try, on every machine.
#include "penstock/record.h"

static struct hash_parts coordinate_parts(const struct coordinates *at) {
    struct hash_parts parts = {.len = 0};
    hash_parts_str(&parts, at->source);
    hash_parts_int(&parts, at->partition);
    hash_parts_int(&parts, at->offset);
    hash_parts_int(&parts, at->index);
    return parts;
}

struct hash128 cause_id(const struct coordinates *at) {
    struct hash_parts parts = coordinate_parts(at);
    return hash_parts_end(&parts);
}

struct hash128 output_id(const struct coordinates *at, struct str route, struct str what, struct str consumer) {
    struct hash_parts parts = coordinate_parts(at);
    hash_parts_str(&parts, route);
    hash_parts_str(&parts, what);
    hash_parts_str(&parts, consumer);
    return hash_parts_end(&parts);
}

struct hash128 dead_letter_id(const struct coordinates *at, struct str reason) {
    return output_id(at, STR(""), STR("dead_letter"), reason);
}
