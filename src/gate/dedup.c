// dedup: within a key's window only the first output, and whatever is stronger, passes.
//
// A repeat is counted into the first; the count goes out with the key's next output.
// So that a count is not lost with its window, the entry of a key that had repeats
// lingers for a while after it; a lingering entry suppresses nothing.
#include "gate_internal.h"

// The payload: strength 8 bits, repeats 24, by how many ms the entry outlives its window 32.
#define REPEATS_MAX ((UINT32_C(1) << 24) - 1)

struct repeats {
    uint8_t strength;
    uint32_t count;
    int64_t linger_ms;
};

static struct repeats unpack(uint64_t payload) {
    return (struct repeats){
        .strength = (uint8_t)payload,
        .count = (uint32_t)(payload >> 8) & REPEATS_MAX,
        .linger_ms = (int64_t)(payload >> 32),
    };
}

static uint64_t pack(const struct repeats *repeats) {
    return repeats->strength | (uint64_t)repeats->count << 8 | (uint64_t)repeats->linger_ms << 32;
}

static void linger(struct entry *entry, struct repeats *repeats, int64_t linger_ms) {
    if (linger_ms > UINT32_MAX)
        linger_ms = UINT32_MAX;
    if (linger_ms <= repeats->linger_ms)
        return;
    entry->expires_ms += linger_ms - repeats->linger_ms;
    repeats->linger_ms = linger_ms;
}

static struct hash128 dedup_key(const struct decision *decision) {
    // What a shadow route decided must silence nothing once the route is in force.
    struct hash128 parts[3] = {
        decision->hit.dedup_key,
        hash128_bytes(decision->tenant.ptr, decision->tenant.len),
        {.hi = decision->route->mode == MODE_SHADOW},
    };
    return hash128_bytes(parts, sizeof parts);
}

void dedup_prepare(const struct gate *gate, struct decision *decision) {
    if (decision->route->dedup_within_ms <= 0)
        return;
    decision->dedup_key = dedup_key(decision);
    table_prefetch(&gate->dedup, decision->dedup_key);
}

bool dedup_repeats(struct gate *gate, struct decision *decision, unsigned strength) {
    const struct route *route = decision->route;
    if (route->dedup_within_ms <= 0)
        return false;
    struct hash128 key = decision->dedup_key;
    struct entry *entry = table_find(&gate->dedup, key, gate->now_ms);
    struct repeats repeats = {0};
    if (entry) {
        repeats = unpack(entry->payload);
        bool in_window = gate->now_ms < entry->expires_ms - repeats.linger_ms;
        if (in_window && strength <= repeats.strength) {
            if (repeats.count < REPEATS_MAX)
                repeats.count++;
            linger(entry, &repeats, route->dedup_within_ms);
            entry->payload = pack(&repeats);
            return true;
        }
    } else {
        entry = table_add(&gate->dedup, key, gate->now_ms, true, &gate->counts.forgotten);
    }
    decision->has_dedup = true;
    decision->duplicates = repeats.count;
    entry->expires_ms = gate->now_ms + route->dedup_within_ms;
    entry->payload = pack(&(struct repeats){.strength = (uint8_t)strength});
    return false;
}

uint64_t dedup_take(struct gate *gate, struct hash128 key) {
    struct entry *entry = table_find(&gate->dedup, key, gate->now_ms);
    if (!entry)
        return 0;
    struct repeats repeats = unpack(entry->payload);
    uint32_t count = repeats.count;
    repeats.count = 0;
    entry->payload = pack(&repeats);
    return count;
}

void dedup_keep(struct gate *gate, struct hash128 key, int64_t until_ms) {
    struct entry *entry = table_find(&gate->dedup, key, gate->now_ms);
    if (!entry || entry->expires_ms > until_ms)
        return;
    struct repeats repeats = unpack(entry->payload);
    linger(entry, &repeats, repeats.linger_ms + until_ms + 1 - entry->expires_ms);
    entry->payload = pack(&repeats);
}
