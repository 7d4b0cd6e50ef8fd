// table: a fixed number of 32-byte entries by 128-bit key, each with its expiry.
//
// A key has two buckets of four slots (one from each half of its hash) and may lie
// in any of the eight; it is put into the emptier one, and if both are full, an entry
// that has room in its other bucket moves there. An entry whose time is over
// counts as a free slot, so nothing is ever swept. Since only live entries matter,
// a table that was saved and loaded behaves as the one that was not.
#include "gate_internal.h"

#define BUCKET_SLOTS 4
// With one entry moved aside where need be, nine tenths of the slots fill before a key finds no place.
#define SPARE_NUMERATOR 9
#define SPARE_DENOMINATOR 8

static uint64_t buckets_for(size_t keys) {
    uint64_t slots = (uint64_t)keys * SPARE_NUMERATOR / SPARE_DENOMINATOR;
    return slots / BUCKET_SLOTS + 2;
}

size_t table_bytes(size_t keys) {
    return (size_t)buckets_for(keys) * BUCKET_SLOTS * sizeof(struct entry);
}

void table_open(struct table *table, void *memory, size_t keys) {
    *table = (struct table){.entries = memory, .n_buckets = buckets_for(keys)};
}

uint64_t table_slots(const struct table *table) {
    return table->n_buckets * BUCKET_SLOTS;
}

static struct entry *bucket_at(const struct table *table, uint64_t hash) {
    uint64_t bucket = (uint64_t)(((unsigned __int128)hash * table->n_buckets) >> 64);
    return table->entries + bucket * BUCKET_SLOTS;
}

void table_prefetch(const struct table *table, struct hash128 key) {
    const struct entry *one = bucket_at(table, key.hi), *two = bucket_at(table, key.lo);
    __builtin_prefetch(one);
    __builtin_prefetch(one + BUCKET_SLOTS / 2);
    __builtin_prefetch(two);
    __builtin_prefetch(two + BUCKET_SLOTS / 2);
}

static struct entry *find_in(struct entry *bucket, struct hash128 key, int64_t now_ms) {
    for (unsigned i = 0; i < BUCKET_SLOTS; i++)
        if (hash128_eq(bucket[i].key, key) && bucket[i].expires_ms > now_ms)
            return &bucket[i];
    return NULL;
}

struct entry *table_find(const struct table *table, struct hash128 key, int64_t now_ms) {
    struct entry *found = find_in(bucket_at(table, key.hi), key, now_ms);
    return found ? found : find_in(bucket_at(table, key.lo), key, now_ms);
}

static struct entry *first_free(struct entry *bucket, int64_t now_ms, unsigned *n_free) {
    struct entry *first = NULL;
    *n_free = 0;
    for (unsigned i = BUCKET_SLOTS; i-- > 0;)
        if (bucket[i].expires_ms <= now_ms) {
            first = &bucket[i];
            ++*n_free;
        }
    return first;
}

// Makes a slot of a full bucket free by moving an entry to its key's other bucket. NULL: all of those are full too.
static struct entry *move_one_aside(struct table *table, struct entry *bucket, int64_t now_ms) {
    for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
        struct entry *other = bucket_at(table, bucket[i].key.hi);
        if (other == bucket)
            other = bucket_at(table, bucket[i].key.lo);
        unsigned n_free;
        struct entry *to = first_free(other, now_ms, &n_free);
        if (to) {
            *to = bucket[i];
            return &bucket[i];
        }
    }
    return NULL;
}

static struct entry *first_to_expire(struct entry *bucket) {
    struct entry *first = bucket;
    for (unsigned i = 1; i < BUCKET_SLOTS; i++)
        if (bucket[i].expires_ms < first->expires_ms)
            first = &bucket[i];
    return first;
}

struct entry *table_add(struct table *table, struct hash128 key, int64_t now_ms, bool evict, uint64_t *forgotten) {
    struct entry *one = bucket_at(table, key.hi), *two = bucket_at(table, key.lo);
    unsigned free_one, free_two;
    table->touched = true;
    struct entry *in_one = first_free(one, now_ms, &free_one), *in_two = first_free(two, now_ms, &free_two);
    struct entry *slot = free_two > free_one ? in_two : in_one;
    if (!slot)
        slot = move_one_aside(table, one, now_ms);
    if (!slot)
        slot = move_one_aside(table, two, now_ms);
    if (!slot) {
        if (!evict)
            return NULL;
        one = first_to_expire(one);
        two = first_to_expire(two);
        slot = two->expires_ms < one->expires_ms ? two : one;
        ++*forgotten;
    }
    *slot = (struct entry){.key = key};
    return slot;
}

bool table_may_hold(const struct table *table, struct hash128 key, uint64_t slot) {
    const struct entry *bucket = table->entries + slot / BUCKET_SLOTS * BUCKET_SLOTS;
    return bucket == bucket_at(table, key.hi) || bucket == bucket_at(table, key.lo);
}

int64_t table_room_ms(const struct table *table, struct hash128 key) {
    int64_t one = first_to_expire(bucket_at(table, key.hi))->expires_ms;
    int64_t two = first_to_expire(bucket_at(table, key.lo))->expires_ms;
    return one < two ? one : two;
}
