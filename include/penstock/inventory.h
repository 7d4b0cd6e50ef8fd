// inventory: who an identity is: owner, purpose, blast radius, networks.
//
// Loaded whole from a file (NDJSON, or YAML with a list of identities), then read
// by any thread without locks; a change is a new inventory beside the old one.
// Keys of a record are the identity fields and `aliases`, a list of further names.
// Names are unique within a tenant. About 850 bytes of memory an identity.
#ifndef PENSTOCK_INVENTORY_H
#define PENSTOCK_INVENTORY_H

#include "penstock/event.h"

#define INVENTORY_MAX_IDENTITIES 10000000

struct identity {
    struct value fields[IDENTITY_FIELD_COUNT]; // checked types; blast_radius present always (default 1)
};

struct inventory;
// NULL and *status with file:line: what is wrong and how to mend it. Unknown keys, wrong types, an id or alias twice
// are errors. By the name's ending: .yaml, .yml, .json: a list or {identities: [list]}; else an object a line.
struct inventory *inventory_load(const char *path, struct status *status);
// The same from text; `name` stands in messages. `yaml`: a YAML list, else NDJSON.
struct inventory *inventory_parse(struct str text, const char *name, bool yaml, struct status *status);
struct inventory *inventory_empty(void);
struct inventory *inventory_ref(struct inventory *inventory); // counts references, any thread
void inventory_unref(struct inventory *inventory);
size_t inventory_size(const struct inventory *inventory);
// By id or alias; an identity with a tenant is found for that tenant only (an empty `tenant` finds it too if it is the
// only one of that name), one without for every tenant that has none of that name itself. NULL: unknown.
const struct identity *inventory_find(const struct inventory *inventory, struct str tenant, struct str id);

#endif
