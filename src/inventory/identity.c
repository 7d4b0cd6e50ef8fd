// identity: checks one record of an inventory and keeps it.
//
// Nothing is guessed: an unknown key, a wrong type, a name that is taken are errors
// that say what to write instead. What is kept is copied, packed, into the
// inventory's own memory.
#include <math.h>
#include <stdio.h>

#include "inventory_internal.h"

#define TEXT_BLOCK_BYTES ((size_t)64 << 10)

// The keys of a record: the identity's fields, and behind them one that names rather than tells.
enum { KEY_ALIASES = IDENTITY_FIELD_COUNT, KEY_COUNT };

static const struct str keys[KEY_COUNT] = {
#define X(name, path, type, text) [IDENTITY_##name] = {(path), sizeof(path) - 1},
    IDENTITY_FIELDS(X)
#undef X
        [KEY_ALIASES] = {"aliases", 7},
};

static const enum value_type types[KEY_COUNT] = {
#define X(name, path, type, text) [IDENTITY_##name] = (type),
    IDENTITY_FIELDS(X)
#undef X
        [KEY_ALIASES] = VALUE_LIST,
};

static int find_key(struct str key) {
    for (int i = 0; i < KEY_COUNT; i++) {
        if (str_eq(keys[i], key)) {
            return i;
        }
    }
    return -1;
}

int identity_key_type(struct str key) {
    int found = find_key(key);
    return found < 0 ? -1 : (int)types[found];
}

bool place_fail(const struct place *place, struct status *status, const char *format, ...) {
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (place->column > 0) {
        return status_fail(status, STATUS_INVALID, "%s:%zu:%zu: %s", place->file, place->line, place->column, text);
    }
    return status_fail(status, STATUS_INVALID, "%s:%zu: %s", place->file, place->line, text);
}

static bool unknown_key(const struct member *member, struct status *status) {
    struct str key = {member->key.ptr, member->key.len < 80 ? member->key.len : 80};
    struct str nearest = str_nearest(key, keys, KEY_COUNT);
    if (nearest.len > 0) {
        return place_fail(&member->place, status, "an identity has no '%.*s'; did you mean '%.*s'?", STR_ARG(key),
                          STR_ARG(nearest));
    }
    char all[300] = "";
    size_t len = 0;
    for (int i = 0; i < KEY_COUNT && len < sizeof all; i++) {
        len += (size_t)snprintf(all + len, sizeof all - len, "%s%s", i > 0 ? ", " : "", keys[i].ptr);
    }
    return place_fail(&member->place, status, "an identity has no '%.*s'; it has: %s", STR_ARG(key), all);
}

// ---- what a value must be ----------------------------------------------------------------

static const char *wanted(enum value_type type) {
    switch (type) {
    case VALUE_STRING: return "a text in quotes";
    case VALUE_INT: return "a whole number";
    case VALUE_DOUBLE: return "a number";
    case VALUE_BOOL: return "true or false";
    case VALUE_LIST: return "a list of texts, [\"…\", \"…\"]";
    default: return "another value";
    }
}

static bool wrong_type(const struct member *member, enum value_type type, struct status *status) {
    return place_fail(&member->place, status, "'%.*s' must be %s, not %s", STR_ARG(member->key), wanted(type),
                      value_type_name((enum value_type)member->value.type));
}

static bool check_list(const struct member *member, bool networks, struct status *status) {
    const struct value *list = &member->value;
    struct value element;
    uint64_t cursor = 0;
    if (value_size(list) > IDENTITY_MAX_LIST) {
        return place_fail(&member->place, status, "'%.*s' has %zu elements; at most %u", STR_ARG(member->key),
                          value_size(list), IDENTITY_MAX_LIST);
    }
    while (list->container.source->next(list->container.source, list->container.node, &cursor, NULL, &element)) {
        struct ip_network network;
        if (!value_is_string(&element) || element.string.len == 0) {
            return place_fail(&member->place, status, "'%.*s' must be a list of texts, none of them empty",
                              STR_ARG(member->key));
        }
        if (networks && !ip_network_parse(element.string, &network)) {
            return place_fail(
                &member->place, status,
                "'%.*s' in 'networks' is neither an address nor a network; write 10.0.0.0/8, 192.0.2.7 or "
                "2001:db8::/32",
                (int)(element.string.len < 60 ? element.string.len : 60), element.string.ptr);
        }
    }
    return true;
}

// Brings a number into the field's type and checks what the table alone does not say.
static bool check_value(struct member *member, int key, struct status *status) {
    struct value *value = &member->value;
    enum value_type type = types[key];
    if (type == VALUE_DOUBLE && value->type == VALUE_INT) {
        *value = value_double((double)value->int64);
    }
    if (type != VALUE_ANY && value->type != type) {
        return wrong_type(member, type, status);
    }
    if (key == IDENTITY_ID && value->string.len == 0) {
        return place_fail(&member->place, status, "'id' is empty; an identity needs one");
    }
    if (key == IDENTITY_PRIVILEGE && (value->int64 < 0 || value->int64 > 3)) {
        return place_fail(&member->place, status, "'privilege' is %lld; it goes from 0 (none) to 3 (total)",
                          (long long)value->int64);
    }
    if (key == IDENTITY_BLAST_RADIUS && !(isfinite(value->real) && value->real >= 0)) {
        return place_fail(&member->place, status, "'blast_radius' must be a number of 0 or more");
    }
    return type != VALUE_LIST || check_list(member, key == IDENTITY_NETWORKS, status);
}

// ---- copies ------------------------------------------------------------------------------

static void *keep(struct inventory *inventory, size_t bytes) {
    void *memory = arena_alloc(inventory->arena, bytes);
    must(memory); // the arena is bounded only by what was read
    return memory;
}

static struct str keep_text(struct inventory *inventory, struct str s) {
    if (s.len > inventory->text_left) {
        inventory->text_left = s.len > TEXT_BLOCK_BYTES ? s.len : TEXT_BLOCK_BYTES;
        inventory->text_at = keep(inventory, inventory->text_left);
    }
    if (s.len == 0) {
        return STR("");
    }
    char *kept = inventory->text_at;
    memcpy(kept, s.ptr, s.len);
    inventory->text_at += s.len;
    inventory->text_left -= s.len;
    return (struct str){kept, s.len};
}

static bool keep_value(struct inventory *inventory, const struct value *value, unsigned depth, struct value *out) {
    *out = *value;
    if (value->type == VALUE_STRING) {
        out->string = keep_text(inventory, value->string);
        return true;
    }
    if (value->type != VALUE_LIST && value->type != VALUE_MAP) {
        return true;
    }
    if (depth == IDENTITY_MAX_DEPTH) {
        return false;
    }
    const size_t each = value->type == VALUE_MAP ? 2 : 1;
    const size_t n = value_size(value);
    struct value *items = keep(inventory, n * each * sizeof *items);
    uint64_t cursor = 0;
    struct value key, element;
    for (size_t i = 0; i < n; i++) {
        must(value->container.source->next(value->container.source, value->container.node, &cursor, &key, &element));
        if ((each == 2 && !keep_value(inventory, &key, depth + 1, &items[2 * i])) ||
            !keep_value(inventory, &element, depth + 1, &items[each * i + each - 1])) {
            return false;
        }
    }
    *out = each == 2 ? value_map(inventory->arena, items, n) : value_list(inventory->arena, items, n);
    must(out->type == value->type);
    return true;
}

// ---- a record ----------------------------------------------------------------------------

static bool read_members(struct identity *identity, struct inventory *inventory, const struct member *members, size_t n,
                         struct member *aliases, struct status *status) {
    for (size_t i = 0; i < n; i++) {
        struct member member = members[i];
        int key = find_key(member.key);
        if (key < 0) {
            return unknown_key(&member, status);
        }
        if (member.value.type == VALUE_NULL) {
            continue;
        }
        if (!check_value(&member, key, status)) {
            return false;
        }
        if (key == KEY_ALIASES) {
            *aliases = member;
        } else if (!keep_value(inventory, &member.value, 0, &identity->fields[key])) {
            return place_fail(&member.place, status, "'%.*s' is nested more than %u deep", STR_ARG(member.key),
                              IDENTITY_MAX_DEPTH);
        }
    }
    return true;
}

static bool add_name(struct inventory *inventory, struct str name, const struct place *place, struct status *status) {
    uint32_t taken = 0;
    const struct identity *holder = NULL;
    switch (inventory_name(inventory, (uint32_t)(inventory->n - 1), name, &taken)) {
    case NAMED: return true;
    case NAME_TAKEN:
        holder = &inventory->identities[taken];
        return place_fail(
            place, status, "the name '%.*s' is given twice: it is the id or an alias of '%.*s' already",
            (int)(name.len < 80 ? name.len : 80), name.ptr,
            (int)(holder->fields[IDENTITY_ID].string.len < 80 ? holder->fields[IDENTITY_ID].string.len : 80),
            holder->fields[IDENTITY_ID].string.ptr);
    case NAMES_FULL: break;
    }
    return place_fail(place, status, "more than %u ids and aliases, the maximum of one inventory", INVENTORY_MAX_NAMES);
}

bool inventory_add(struct inventory *inventory, const struct member *members, size_t n, struct place place,
                   struct status *status) {
    struct identity identity = {.fields[IDENTITY_BLAST_RADIUS] = {.type = VALUE_DOUBLE, .real = 1}};
    struct member aliases = {.key = keys[KEY_ALIASES]};
    if (inventory->n == INVENTORY_MAX_IDENTITIES) {
        return place_fail(&place, status, "more than %d identities, the maximum of one inventory",
                          INVENTORY_MAX_IDENTITIES);
    }
    if (!read_members(&identity, inventory, members, n, &aliases, status)) {
        return false;
    }
    if (identity.fields[IDENTITY_ID].type == VALUE_ABSENT) {
        return place_fail(&place, status, "an identity without 'id'; add one");
    }
    if (inventory->n == inventory->cap) {
        inventory->cap = inventory->cap ? inventory->cap + inventory->cap / 2 : 16;
        inventory->identities = must_realloc(inventory->identities, inventory->cap * sizeof identity);
    }
    inventory->identities[inventory->n++] = identity;
    if (!add_name(inventory, identity.fields[IDENTITY_ID].string, &place, status)) {
        return false;
    }
    struct value alias;
    uint64_t cursor = 0;
    const struct value *list = &aliases.value;
    while (list->type == VALUE_LIST &&
           list->container.source->next(list->container.source, list->container.node, &cursor, NULL, &alias)) {
        if (!add_name(inventory, keep_text(inventory, alias.string), &aliases.place, status)) {
            return false;
        }
    }
    return true;
}
