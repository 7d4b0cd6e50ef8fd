// extract: the fields that somebody asks for, out of a parsed document.
//
// The wanted paths form a trie. One walk goes over the members of the root and enters
// only those containers that the trie enters too; each key costs a hash of its first
// eight bytes and, most often, the sight of an empty table slot. A trie place is met
// at most once in a document without repeated keys, so meeting it twice is the proof
// that a wanted path stands twice: such a document means two things and is refused.
#include "jdoc.h"

#include <endian.h>
#include <stdlib.h>

struct key_child {
    struct str key; // owned
    uint64_t prefix;
    uint32_t place;
};

struct index_child {
    int64_t index;
    uint32_t place;
};

struct place {
    unsigned *slots;
    size_t n_slots;
    struct key_child *keys;
    size_t n_keys;
    uint32_t *table; // open addressing over keys: number + 1, 0 for empty; sparse
    size_t mask;
    struct index_child *indexes; // ascending
    size_t n_indexes;
};

struct jpaths {
    struct place *places; // places[0] is the root
    size_t n, cap;
    unsigned *slots; // all that any path fills
    size_t n_slots;
};

struct jpaths *jpaths_new(void) {
    struct jpaths *paths = must_alloc(sizeof *paths);
    paths->cap = 16;
    paths->places = must_alloc(paths->cap * sizeof *paths->places);
    paths->n = 1;
    return paths;
}

void jpaths_free(struct jpaths *paths) {
    if (!paths)
        return;
    for (size_t i = 0; i < paths->n; i++) {
        struct place *place = &paths->places[i];
        for (size_t k = 0; k < place->n_keys; k++)
            free((char *)(uintptr_t)place->keys[k].key.ptr);
        free(place->keys);
        free(place->table);
        free(place->indexes);
        free(place->slots);
    }
    free(paths->places);
    free(paths->slots);
    free(paths);
}

static uint64_t prefix_mask(size_t len) {
    return len >= 8 ? UINT64_MAX : (UINT64_C(1) << (8 * len)) - 1;
}

static size_t hash_key(uint64_t prefix, size_t len) {
    return (size_t)(((prefix ^ len) * UINT64_C(0x9e3779b97f4a7c15)) >> 40);
}

static uint32_t add_place(struct jpaths *paths) {
    must(paths->n < UINT32_MAX);
    if (paths->n == paths->cap) {
        paths->cap *= 2;
        paths->places = must_realloc(paths->places, paths->cap * sizeof *paths->places);
    }
    paths->places[paths->n] = (struct place){0};
    return (uint32_t)paths->n++;
}

static void put_in_table(struct place *place, size_t number) {
    const struct key_child *child = &place->keys[number];
    size_t at = hash_key(child->prefix, child->key.len) & place->mask;
    while (place->table[at] != 0)
        at = (at + 1) & place->mask;
    place->table[at] = (uint32_t)number + 1;
}

// Sparse, a quarter full at most: nearly every key of an event is one that nobody wants.
static void grow_table(struct place *place) {
    size_t size = place->table ? place->mask + 1 : 0;
    if (place->n_keys * 4 <= size) {
        put_in_table(place, place->n_keys - 1);
        return;
    }
    free(place->table);
    size = size ? size * 2 : 8;
    place->table = must_alloc(size * sizeof *place->table);
    place->mask = size - 1;
    for (size_t i = 0; i < place->n_keys; i++)
        put_in_table(place, i);
}

static const struct key_child *find_key(const struct place *place, uint64_t prefix, struct str key) {
    if (place->n_keys == 0)
        return NULL;
    for (size_t at = hash_key(prefix, key.len) & place->mask; place->table[at] != 0; at = (at + 1) & place->mask) {
        const struct key_child *child = &place->keys[place->table[at] - 1];
        if (child->prefix == prefix && str_eq(child->key, key))
            return child;
    }
    return NULL;
}

static uint32_t place_of_key(struct jpaths *paths, uint32_t parent, struct str key) {
    char head[8] = {0};
    if (key.len)
        memcpy(head, key.ptr, key.len < sizeof head ? key.len : sizeof head);
    uint64_t prefix;
    memcpy(&prefix, head, sizeof prefix);
    prefix = le64toh(prefix);
    const struct key_child *known = find_key(&paths->places[parent], prefix, key);
    if (known)
        return known->place;
    uint32_t child = add_place(paths);
    struct place *place = &paths->places[parent];
    place->keys = must_realloc(place->keys, (place->n_keys + 1) * sizeof *place->keys);
    place->keys[place->n_keys++] =
        (struct key_child){.key = {must_strndup(key), key.len}, .prefix = prefix, .place = child};
    grow_table(place);
    return child;
}

static uint32_t place_of_index(struct jpaths *paths, uint32_t parent, int64_t index) {
    size_t at = 0;
    while (at < paths->places[parent].n_indexes && paths->places[parent].indexes[at].index < index)
        at++;
    if (at < paths->places[parent].n_indexes && paths->places[parent].indexes[at].index == index)
        return paths->places[parent].indexes[at].place;
    uint32_t child = add_place(paths);
    struct place *place = &paths->places[parent];
    place->indexes = must_realloc(place->indexes, (place->n_indexes + 1) * sizeof *place->indexes);
    memmove(place->indexes + at + 1, place->indexes + at, (place->n_indexes - at) * sizeof *place->indexes);
    place->indexes[at] = (struct index_child){.index = index, .place = child};
    place->n_indexes++;
    return child;
}

static void add_slot(unsigned **slots, size_t *n, unsigned slot) {
    *slots = must_realloc(*slots, (*n + 1) * sizeof **slots);
    (*slots)[(*n)++] = slot;
}

void jpaths_add(struct jpaths *paths, struct path path, unsigned slot) {
    uint32_t at = 0;
    for (size_t i = 0; i < path.n; i++)
        at = path.steps[i].is_index ? place_of_index(paths, at, path.steps[i].index)
                                    : place_of_key(paths, at, path.steps[i].key);
    add_slot(&paths->places[at].slots, &paths->places[at].n_slots, slot);
    add_slot(&paths->slots, &paths->n_slots, slot);
}

struct walk {
    const struct jdoc *doc;
    const struct jpaths *paths;
    struct value *slots;
};

static enum jdoc_result walk_element(const struct walk *walk, uint32_t number, uint64_t at);

static const struct key_child *find_key_on_tape(const struct place *place, struct str key) {
    uint64_t prefix;
    memcpy(&prefix, key.ptr, sizeof prefix); // the strings' buffer has room behind the last
    return find_key(place, le64toh(prefix) & prefix_mask(key.len), key);
}

static enum jdoc_result walk_object(const struct walk *walk, const struct place *place, uint64_t object) {
    const struct tape *tape = &walk->doc->tape;
    struct seen_places *seen = walk->doc->seen;
    uint64_t end = tape_after(tape, object) - 1;
    for (uint64_t at = object + 1; at < end; at = tape_after(tape, at + 1)) {
        const struct key_child *child = find_key_on_tape(place, tape_string(tape, at));
        if (!child)
            continue;
        if (seen->marks[child->place] == seen->run)
            return JDOC_DUPLICATE_KEY;
        seen->marks[child->place] = seen->run;
        enum jdoc_result result = walk_element(walk, child->place, at + 1);
        if (result != JDOC_OK)
            return result;
    }
    return JDOC_OK;
}

static enum jdoc_result walk_array(const struct walk *walk, const struct place *place, uint64_t array) {
    const struct tape *tape = &walk->doc->tape;
    uint64_t at = array + 1, end = tape_after(tape, array) - 1;
    int64_t index = 0;
    for (size_t i = 0; i < place->n_indexes && at < end; i++) {
        while (index < place->indexes[i].index && at < end) {
            at = tape_after(tape, at);
            index++;
        }
        if (at >= end || index != place->indexes[i].index) // past the end, or a negative index
            continue;
        enum jdoc_result result = walk_element(walk, place->indexes[i].place, at);
        if (result != JDOC_OK)
            return result;
    }
    return JDOC_OK;
}

static enum jdoc_result walk_element(const struct walk *walk, uint32_t number, uint64_t at) {
    const struct place *place = &walk->paths->places[number];
    if (place->n_slots > 0) {
        struct value value = jdoc_value_at(walk->doc, at);
        for (size_t i = 0; i < place->n_slots; i++)
            walk->slots[place->slots[i]] = value;
    }
    char type = tape_type(&walk->doc->tape, at);
    if (type == '{' && place->n_keys > 0)
        return walk_object(walk, place, at);
    if (type == '[' && place->n_indexes > 0)
        return walk_array(walk, place, at);
    return JDOC_OK;
}

static void begin_run(struct seen_places *seen, size_t n_places) {
    if (seen->n < n_places) {
        seen->marks = must_realloc(seen->marks, n_places * sizeof *seen->marks);
        memset(seen->marks + seen->n, 0, (n_places - seen->n) * sizeof *seen->marks);
        seen->n = n_places;
    }
    if (++seen->run == 0) { // after four thousand million extractions old marks would look new
        memset(seen->marks, 0, seen->n * sizeof *seen->marks);
        seen->run = 1;
    }
}

enum jdoc_result jdoc_extract(const struct jdoc *doc, const struct value *root, const struct jpaths *paths,
                              struct value *slots) {
    for (size_t i = 0; i < paths->n_slots; i++)
        slots[paths->slots[i]] = value_absent();
    begin_run(doc->seen, paths->n);
    if (root->type == VALUE_MAP || root->type == VALUE_LIST) {
        must(root->container.source == &doc->source);
        struct walk walk = {.doc = doc, .paths = paths, .slots = slots};
        return walk_element(&walk, 0, root->container.node);
    }
    for (size_t i = 0; i < paths->places[0].n_slots; i++)
        slots[paths->places[0].slots[i]] = *root;
    return JDOC_OK;
}
