// inventory: the identities and the index by which they are found.
//
// The index is one table of names, each within a scope: a tenant, no tenant, or "any
// tenant", where a name is held once more and turns ambiguous when a second tenant
// uses it. A tenant's own name stands in the table too, in a scope for tenants, and
// tells the tenant's number. So every question is a look-up or two, however many
// tenants share a name. Nothing changes after loading: readers need no locks.
#include "penstock/inventory.h"

#include <stdlib.h>

#include "inventory_internal.h"

#define AMBIGUOUS UINT32_MAX

// Scopes; those between are tenants by number.
#define NO_TENANT 0u
#define ANY_TENANT (UINT32_MAX - 1)
#define TENANTS UINT32_MAX

struct name {
    const char *ptr;
    uint32_t len;
    uint32_t scope;
    uint32_t target; // an identity, or a tenant's number
    uint32_t tag;    // of the hash: most strangers are told apart without a look at the text
};

static uint64_t hash_name(uint32_t scope, struct str name) {
    uint64_t hash = hash64_bytes(name.ptr, name.len) ^ ((uint64_t)scope + 1) * 0x9e3779b97f4a7c15u;
    hash = (hash ^ hash >> 32) * 0xd6e8feb86659fd93u;
    return hash ^ hash >> 32;
}

// The slot of the name, or the empty one where it would go.
static uint32_t *find_slot(const struct inventory *inventory, uint32_t scope, struct str name, uint64_t hash) {
    for (size_t at = hash & (inventory->n_slots - 1);; at = (at + 1) & (inventory->n_slots - 1)) {
        uint32_t *slot = &inventory->slots[at];
        if (*slot == 0) {
            return slot;
        }
        const struct name *entry = &inventory->names[*slot - 1];
        if (entry->tag == (uint32_t)(hash >> 32) && entry->scope == scope &&
            str_eq((struct str){entry->ptr, entry->len}, name)) {
            return slot;
        }
    }
}

static void grow_slots(struct inventory *inventory) {
    free(inventory->slots);
    inventory->n_slots = inventory->n_slots ? inventory->n_slots * 2 : 64;
    inventory->slots = must_alloc(inventory->n_slots * sizeof *inventory->slots);
    for (size_t i = 0; i < inventory->n_names; i++) {
        const struct name *entry = &inventory->names[i];
        size_t at = hash_name(entry->scope, (struct str){entry->ptr, entry->len}) & (inventory->n_slots - 1);
        while (inventory->slots[at] != 0) {
            at = (at + 1) & (inventory->n_slots - 1);
        }
        inventory->slots[at] = (uint32_t)i + 1;
    }
}

// The entry of the name; when there was none, it is made and given `target`.
static struct name *find_or_add(struct inventory *inventory, uint32_t scope, struct str name, uint32_t target) {
    uint64_t hash = hash_name(scope, name);
    uint32_t *slot = find_slot(inventory, scope, name, hash);
    if (*slot == 0) {
        if (inventory->n_names == inventory->names_cap) {
            inventory->names_cap = inventory->names_cap ? inventory->names_cap + inventory->names_cap / 2 : 64;
            inventory->names = must_realloc(inventory->names, inventory->names_cap * sizeof *inventory->names);
        }
        must(name.len <= UINT32_MAX);
        inventory->names[inventory->n_names++] =
            (struct name){name.ptr, (uint32_t)name.len, scope, target, (uint32_t)(hash >> 32)};
        *slot = (uint32_t)inventory->n_names;
    }
    return &inventory->names[*slot - 1];
}

enum naming inventory_name(struct inventory *inventory, uint32_t identity, struct str name, uint32_t *taken) {
    const struct value *tenant = &inventory->identities[identity].fields[IDENTITY_TENANT];
    uint32_t scope = NO_TENANT;
    const size_t most = inventory->n_names + 3;
    if (most > INVENTORY_MAX_NAMES) {
        return NAMES_FULL;
    }
    if (inventory->slots == NULL || most * 3 > inventory->n_slots * 2) {
        grow_slots(inventory);
    }
    if (value_is_present(tenant)) {
        scope = find_or_add(inventory, TENANTS, tenant->string, inventory->n_tenants + 1)->target;
        inventory->n_tenants += scope > inventory->n_tenants;
    }
    const size_t before = inventory->n_names;
    uint32_t target = find_or_add(inventory, scope, name, identity)->target;
    if (inventory->n_names == before) {
        *taken = target;
        return NAME_TAKEN;
    }
    if (scope != NO_TENANT) {
        struct name *anywhere = find_or_add(inventory, ANY_TENANT, name, identity);
        if (anywhere->target != identity) {
            anywhere->target = AMBIGUOUS;
        }
    }
    return NAMED;
}

static uint32_t look_up(const struct inventory *inventory, uint32_t scope, struct str name) {
    uint32_t number = *find_slot(inventory, scope, name, hash_name(scope, name));
    return number == 0 ? AMBIGUOUS : inventory->names[number - 1].target;
}

const struct identity *inventory_find(const struct inventory *inventory, struct str tenant, struct str id) {
    if (inventory->n_names == 0) {
        return NULL;
    }
    uint32_t found = AMBIGUOUS;
    uint32_t scope = tenant.len > 0 ? look_up(inventory, TENANTS, tenant) : AMBIGUOUS;
    if (scope != AMBIGUOUS) {
        found = look_up(inventory, scope, id);
    }
    if (found == AMBIGUOUS) {
        found = look_up(inventory, NO_TENANT, id); // an identity without a tenant is everybody's
    }
    if (found == AMBIGUOUS && tenant.len == 0) {
        found = look_up(inventory, ANY_TENANT, id);
    }
    return found == AMBIGUOUS ? NULL : &inventory->identities[found];
}

size_t inventory_size(const struct inventory *inventory) {
    return inventory->n;
}

struct inventory *inventory_empty(void) {
    struct inventory *inventory = must_alloc(sizeof *inventory);
    atomic_init(&inventory->references, 1);
    inventory->arena = arena_new(SIZE_MAX / 2); // bounded by the text that is read
    return inventory;
}

struct inventory *inventory_ref(struct inventory *inventory) {
    atomic_fetch_add(&inventory->references, 1);
    return inventory;
}

void inventory_unref(struct inventory *inventory) {
    if (!inventory || atomic_fetch_sub(&inventory->references, 1) > 1) {
        return;
    }
    arena_free(inventory->arena);
    free(inventory->identities);
    free(inventory->names);
    free(inventory->slots);
    free(inventory);
}
