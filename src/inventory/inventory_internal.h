// inventory_internal: how an inventory is built. Not for other rooms.
#ifndef PENSTOCK_INVENTORY_INTERNAL_H
#define PENSTOCK_INVENTORY_INTERNAL_H

#include <stdatomic.h>

#include "penstock/inventory.h"

#define INVENTORY_MAX_NAMES 100000000u // ids, aliases, tenants; with the copies for any tenant
#define INVENTORY_MAX_TEXT_BYTES ((size_t)8 << 30)
#define INVENTORY_MAX_LINE_BYTES ((size_t)1 << 20)
#define IDENTITY_MAX_LIST 10000u // aliases, networks… of one identity
#define IDENTITY_MAX_DEPTH 16u   // of a value within `hours`

struct inventory {
    _Atomic size_t references;
    struct arena *arena; // of the values
    char *text_at;       // packed texts: what is left of the last block of them
    size_t text_left;
    struct identity *identities;
    size_t n, cap;
    struct name *names;
    size_t n_names, names_cap;
    uint32_t *slots; // open addressing over names: number + 1, 0 for empty
    size_t n_slots;
    uint32_t n_tenants;
};

// Where a record or a key of it stands in the file; column 0: unknown.
struct place {
    const char *file;
    size_t line, column;
};

// Always false: "file:line:column: …".
bool place_fail(const struct place *place, struct status *status, const char *format, ...) PENSTOCK_PRINTF(3, 4);

// One member of an identity's record, with a value that lives only during the call.
struct member {
    struct str key;
    struct value value;
    struct place place;
};

// A record's members in the file's order; each key once. Checked, copied, added and named.
bool inventory_add(struct inventory *inventory, const struct member *members, size_t n, struct place place,
                   struct status *status);
// The type that a key's value must have; -1: no such key. `aliases` is a list.
int identity_key_type(struct str key);

enum naming { NAMED, NAME_TAKEN, NAMES_FULL };
// Names an identity that has been added. NAME_TAKEN: by *taken, in the same tenant.
enum naming inventory_name(struct inventory *inventory, uint32_t identity, struct str name, uint32_t *taken);

#endif
