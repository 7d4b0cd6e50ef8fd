// value: equality and the plain lists and maps that live in an arena.
//
// A list or map points at a small descriptor in the arena through the value's
// `node`; the items themselves stay where the caller has them. Equality reads any
// container through its source, so a JSON list equals a compiled one.
#include "penstock/value.h"

#include <stdlib.h>

#define LINEAR_PAIRS 16     // up to here comparing keys is faster than hashing one
#define EQUAL_DEPTH_MAX 512 // deeper than any document or expression that is let in; beyond: unequal

static bool equal_at(const struct value *a, const struct value *b, unsigned depth);

bool value_is_present(const struct value *v) {
    switch ((enum value_type)v->type) {
    case VALUE_ABSENT:
    case VALUE_NULL:
    case VALUE_ERROR: return false;
    case VALUE_STRING:
    case VALUE_BYTES: return v->string.len > 0;
    case VALUE_LIST:
    case VALUE_MAP: return value_size(v) > 0;
    case VALUE_OPTIONAL: return v->inner != NULL;
    default: return true;
    }
}

const char *value_type_name(enum value_type type) {
    static const char *const names[] = {
        [VALUE_ABSENT] = "absent",
        [VALUE_NULL] = "null_type",
        [VALUE_BOOL] = "bool",
        [VALUE_INT] = "int",
        [VALUE_UINT] = "uint",
        [VALUE_DOUBLE] = "double",
        [VALUE_STRING] = "string",
        [VALUE_BYTES] = "bytes",
        [VALUE_TIMESTAMP] = "google.protobuf.Timestamp",
        [VALUE_DURATION] = "google.protobuf.Duration",
        [VALUE_LIST] = "list",
        [VALUE_MAP] = "map",
        [VALUE_TYPE] = "type",
        [VALUE_IP] = "net.IP",
        [VALUE_CIDR] = "net.CIDR",
        [VALUE_OPTIONAL] = "optional_type",
        [VALUE_ERROR] = "error",
        [VALUE_ANY] = "any",
    };
    must((size_t)type < COUNT_OF(names));
    return names[type];
}

struct list {
    const struct value *items;
    size_t n;
};

static const struct list *list_of(uint64_t node) {
    return (const struct list *)(uintptr_t)node;
}

static size_t list_size(const struct value_source *source, uint64_t node) {
    (void)source;
    return list_of(node)->n;
}

static bool list_at(const struct value_source *source, uint64_t node, size_t index, struct value *out) {
    (void)source;
    if (index >= list_of(node)->n)
        return false;
    *out = list_of(node)->items[index];
    return true;
}

static bool list_next(const struct value_source *source, uint64_t node, uint64_t *cursor, struct value *key,
                      struct value *out) {
    if (!list_at(source, node, (size_t)*cursor, out))
        return false;
    if (key)
        *key = value_int((int64_t)*cursor);
    ++*cursor;
    return true;
}

static bool no_members(const struct value_source *source, uint64_t node, const struct value *key, struct value *out) {
    (void)source, (void)node, (void)key, (void)out;
    return false;
}

static const struct value_source list_source = {.size = list_size, .at = list_at, .get = no_members, .next = list_next};

static struct value container(enum value_type type, const struct value_source *source, const void *descriptor) {
    return (struct value){.type = (uint8_t)type, .container = {.source = source, .node = (uintptr_t)descriptor}};
}

static struct value out_of_bound(void) {
    return value_error("the memory bound is reached");
}

struct value value_list(struct arena *arena, const struct value *items, size_t n) {
    struct list *list = arena_alloc(arena, sizeof *list);
    if (!list)
        return out_of_bound();
    *list = (struct list){.items = items, .n = n};
    return container(VALUE_LIST, &list_source, list);
}

struct map {
    const struct value *pairs;
    size_t n;
    size_t mask;     // of `index`; meaningless when that is NULL
    uint32_t *index; // open addressing: pair number + 1, 0 for empty
};

// Equal values have equal hashes: a number hashes as the integer it equals, if there is one.
static uint64_t hash_value(const struct value *v) {
    switch ((enum value_type)v->type) {
    case VALUE_BOOL: return v->boolean ? 3 : 5;
    case VALUE_DOUBLE: {
        // An int64 and a uint64 that are equal have the same bits.
        if (v->real >= 0x1p63 && v->real < 0x1p64) {
            uint64_t whole = (uint64_t)v->real;
            return hash64_bytes(&whole, sizeof whole);
        }
        if (v->real >= -0x1p63 && v->real < 0x1p63 && v->real == (double)(int64_t)v->real) {
            int64_t whole = (int64_t)v->real;
            return hash64_bytes(&whole, sizeof whole);
        }
        return hash64_bytes(&v->real, sizeof v->real);
    }
    case VALUE_INT:
    case VALUE_UINT: return hash64_bytes(&v->uint64, sizeof v->uint64);
    case VALUE_STRING:
    case VALUE_BYTES: return hash64_bytes(v->string.ptr, v->string.len);
    default: return v->type; // no key of CEL or JSON
    }
}

// Of two equal keys the first counts.
static bool map_find(const struct map *map, const struct value *key, struct value *out) {
    if (!map->index) {
        for (size_t i = 0; i < map->n; i++)
            if (value_equal(&map->pairs[2 * i], key)) {
                *out = map->pairs[2 * i + 1];
                return true;
            }
        return false;
    }
    for (size_t at = hash_value(key) & map->mask; map->index[at] != 0; at = (at + 1) & map->mask) {
        const struct value *pair = &map->pairs[2 * (size_t)(map->index[at] - 1)];
        if (value_equal(&pair[0], key)) {
            *out = pair[1];
            return true;
        }
    }
    return false;
}

static size_t index_slots(size_t n) {
    size_t slots = 4;
    while (slots < n * 2)
        slots *= 2;
    return slots;
}

// `index` is zeroed and has index_slots(map->n) places.
static void map_fill_index(struct map *map, uint32_t *index) {
    must(map->n < UINT32_MAX);
    map->index = index;
    map->mask = index_slots(map->n) - 1;
    for (size_t i = 0; i < map->n; i++) {
        size_t at = hash_value(&map->pairs[2 * i]) & map->mask;
        while (index[at] != 0)
            at = (at + 1) & map->mask;
        index[at] = (uint32_t)i + 1;
    }
}

static const struct map *map_of(uint64_t node) {
    return (const struct map *)(uintptr_t)node;
}

static size_t map_size(const struct value_source *source, uint64_t node) {
    (void)source;
    return map_of(node)->n;
}

static bool no_elements(const struct value_source *source, uint64_t node, size_t index, struct value *out) {
    (void)source, (void)node, (void)index, (void)out;
    return false;
}

static bool map_get(const struct value_source *source, uint64_t node, const struct value *key, struct value *out) {
    (void)source;
    return map_find(map_of(node), key, out);
}

static bool map_next(const struct value_source *source, uint64_t node, uint64_t *cursor, struct value *key,
                     struct value *out) {
    (void)source;
    const struct map *map = map_of(node);
    if (*cursor >= map->n)
        return false;
    if (key)
        *key = map->pairs[2 * *cursor];
    *out = map->pairs[2 * *cursor + 1];
    ++*cursor;
    return true;
}

static const struct value_source map_source = {.size = map_size, .at = no_elements, .get = map_get, .next = map_next};

struct value value_map(struct arena *arena, const struct value *pairs, size_t n) {
    struct map *map = arena_alloc(arena, sizeof *map);
    if (!map)
        return out_of_bound();
    *map = (struct map){.pairs = pairs, .n = n};
    if (n > LINEAR_PAIRS) {
        uint32_t *index = arena_alloc(arena, index_slots(n) * sizeof *index);
        if (!index)
            return out_of_bound();
        map_fill_index(map, index);
    }
    return container(VALUE_MAP, &map_source, map);
}

size_t value_size(const struct value *v) {
    if (v->type != VALUE_LIST && v->type != VALUE_MAP)
        return 0;
    return v->container.source->size(v->container.source, v->container.node);
}

static bool equal_int_double(int64_t n, double d) {
    return d >= -0x1p63 && d < 0x1p63 && d == (double)(int64_t)d && (int64_t)d == n;
}

static bool equal_uint_double(uint64_t n, double d) {
    return d >= 0 && d < 0x1p64 && d == (double)(uint64_t)d && (uint64_t)d == n;
}

// Exact on the number line: no integer is rounded to a double first.
static bool equal_numbers(const struct value *a, const struct value *b) {
    if (a->type > b->type)
        return equal_numbers(b, a);
    if (a->type == VALUE_INT) {
        if (b->type == VALUE_INT)
            return a->int64 == b->int64;
        if (b->type == VALUE_UINT)
            return a->int64 >= 0 && (uint64_t)a->int64 == b->uint64;
        return equal_int_double(a->int64, b->real);
    }
    if (a->type == VALUE_UINT)
        return b->type == VALUE_UINT ? a->uint64 == b->uint64 : equal_uint_double(a->uint64, b->real);
    return a->real == b->real;
}

static bool next_of(const struct value *v, uint64_t *cursor, struct value *key, struct value *out) {
    return v->container.source->next(v->container.source, v->container.node, cursor, key, out);
}

static bool equal_lists(const struct value *a, const struct value *b, unsigned depth) {
    uint64_t cursor_a = 0, cursor_b = 0;
    struct value item_a, item_b;
    for (;;) {
        bool more_a = next_of(a, &cursor_a, NULL, &item_a);
        bool more_b = next_of(b, &cursor_b, NULL, &item_b);
        if (!more_a || !more_b)
            return more_a == more_b;
        if (!equal_at(&item_a, &item_b, depth))
            return false;
    }
}

// Whether each member of `a` stands in `b`, by an index made for the purpose: a source's own look-up may be a linear
// scan, and large objects in another order must not cost the square of their size.
static bool equal_by_index(const struct value *a, const struct value *b, size_t n, unsigned depth) {
    struct value *pairs = must_alloc(2 * n * sizeof *pairs);
    uint64_t cursor = 0;
    struct map map = {.pairs = pairs};
    while (map.n < n && next_of(b, &cursor, &pairs[2 * map.n], &pairs[2 * map.n + 1]))
        map.n++;
    uint32_t *index = must_alloc(index_slots(map.n) * sizeof *index);
    map_fill_index(&map, index);
    struct value key, item_a, item_b;
    bool equal = true;
    cursor = 0;
    while (equal && next_of(a, &cursor, &key, &item_a))
        equal = map_find(&map, &key, &item_b) && equal_at(&item_a, &item_b, depth);
    free(index);
    free(pairs);
    return equal;
}

static bool same_keys_in_order(const struct value *a, const struct value *b, unsigned depth) {
    uint64_t cursor_a = 0, cursor_b = 0;
    struct value key_a, key_b, ignored;
    while (next_of(a, &cursor_a, &key_a, &ignored))
        if (!next_of(b, &cursor_b, &key_b, &ignored) || !equal_at(&key_a, &key_b, depth))
            return false;
    return true;
}

// The keys are compared before any member is: were members compared twice, once in step and once by index, the cost
// would double with each level of nesting.
static bool equal_maps(const struct value *a, const struct value *b, unsigned depth) {
    size_t n = value_size(a);
    if (n != value_size(b))
        return false;
    if (!same_keys_in_order(a, b, depth))
        return equal_by_index(a, b, n, depth);
    uint64_t cursor_a = 0, cursor_b = 0;
    struct value item_a, item_b;
    while (next_of(a, &cursor_a, NULL, &item_a) && next_of(b, &cursor_b, NULL, &item_b))
        if (!equal_at(&item_a, &item_b, depth))
            return false;
    return true;
}

static bool is_number(const struct value *v) {
    return v->type == VALUE_INT || v->type == VALUE_UINT || v->type == VALUE_DOUBLE;
}

static bool equal_at(const struct value *a, const struct value *b, unsigned depth) {
    if (is_number(a) && is_number(b))
        return equal_numbers(a, b);
    if (a->type != b->type || depth == 0)
        return false;
    switch ((enum value_type)a->type) {
    case VALUE_NULL: return true;
    case VALUE_BOOL: return a->boolean == b->boolean;
    case VALUE_STRING:
    case VALUE_BYTES:
    case VALUE_TYPE: return str_eq(a->string, b->string);
    case VALUE_TIMESTAMP:
    case VALUE_DURATION: return a->seconds == b->seconds && a->nanos == b->nanos;
    case VALUE_LIST: return equal_lists(a, b, depth - 1);
    case VALUE_MAP: return equal_maps(a, b, depth - 1);
    case VALUE_IP: return memcmp(a->ip->bytes, b->ip->bytes, sizeof a->ip->bytes) == 0;
    case VALUE_CIDR:
        return a->network->bits == b->network->bits &&
               memcmp(a->network->address.bytes, b->network->address.bytes, sizeof a->network->address.bytes) == 0;
    case VALUE_OPTIONAL: return a->inner && b->inner ? equal_at(a->inner, b->inner, depth - 1) : a->inner == b->inner;
    default: return false; // what is absent or failed equals nothing, not even itself
    }
}

bool value_equal(const struct value *a, const struct value *b) {
    return equal_at(a, b, EQUAL_DEPTH_MAX);
}
