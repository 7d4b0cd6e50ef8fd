// memory: whether an event is one too many, one more of many kinds, a new one, or one after another.
//
// All that is remembered are entries of a table, so that each has its end, its place
// in snapshots and its turn at the bound like any other. A count is a ring of the
// times of its last events, an entry each under the key and its number, beside a head
// that says how far the ring is: there are N in time if the one N - 1 before is still
// there. The N different values seen last are N entries. Nothing is ever counted that
// was not there, so what is forgotten at a bound makes evidence late, never early; only
// first_seen, which fires on what it does not know, fires again.
#include "gate_internal.h"

// Counts over this many are kept in grains of several events, by the time of each grain's first: exact to 1/64.
#define RING_EVENTS 64

// ---- entries --------------------------------------------------------------------------------

static struct hash128 part_key(struct hash128 key, uint64_t part, uint64_t salt) {
    uint64_t parts[4] = {key.hi, key.lo, part, salt};
    return hash128_bytes(parts, sizeof parts);
}

// Kept for `keep_ms` from now on. Other entries may move.
static struct entry *keep(struct gate *gate, struct table *table, struct hash128 key, int64_t keep_ms) {
    uint64_t *forgotten = table == &gate->known ? &gate->counts.forgotten_known : &gate->counts.forgotten_windows;
    struct entry *entry = table_find(table, key, gate->now_ms);
    if (!entry)
        entry = table_add(table, key, gate->now_ms, true, forgotten);
    if (entry->expires_ms < gate->now_ms + keep_ms)
        entry->expires_ms = gate->now_ms + keep_ms;
    return entry;
}

// ---- count ----------------------------------------------------------------------------------

struct ring {
    uint32_t grain;  // events in each of its entries
    uint32_t places; // entries
};

static struct ring ring_for(uint32_t n) {
    uint32_t grain = (n + RING_EVENTS - 1) / RING_EVENTS;
    return (struct ring){.grain = grain, .places = (n - 1 + grain - 1) / grain + 1};
}

// The head's payload: the event's number, which goes round with the ring, and a salt, without which the entries of a
// ring whose head was forgotten would pass for those of the next.
static bool count_fires(struct gate *gate, const struct memory *memory, struct hash128 key) {
    uint32_t n = (uint32_t)memory->at_least;
    struct ring ring = ring_for(n);
    uint32_t round = ring.grain * ring.places;
    struct entry *head = table_find(&gate->windows, key, gate->now_ms);
    uint64_t salt = head ? head->payload >> 32 : (uint32_t)gate->applied_seq;
    uint32_t number = head ? (uint32_t)head->payload % round : 0;
    head = keep(gate, &gate->windows, key, memory->within_ms);
    head->payload = salt << 32 | (number + 1) % round;
    if (number % ring.grain == 0)
        keep(gate, &gate->windows, part_key(key, number / ring.grain, salt), memory->within_ms);
    uint32_t first = (number + round - (n - 1)) % round;
    return table_find(&gate->windows, part_key(key, first / ring.grain, salt), gate->now_ms);
}

// ---- distinct -------------------------------------------------------------------------------

struct values { // of one key, as they stand in the table
    struct hash128 keys[DISTINCT_MAX];
    uint32_t n_used, n_live; // places ever used; of them, those in time
    uint32_t place;          // of the value; else a free one, else the one seen longest ago
    bool is_known;
};

static void find_values(const struct gate *gate, struct hash128 key, uint64_t value, struct values *values) {
    int64_t oldest_ms = INT64_MAX;
    bool has_free = false;
    values->n_live = values->place = 0;
    values->is_known = false;
    for (uint32_t i = 0; i < values->n_used; i++) {
        values->keys[i] = part_key(key, i, 0);
        table_prefetch(&gate->windows, values->keys[i]);
    }
    for (uint32_t i = 0; i < values->n_used; i++) {
        const struct entry *entry = table_find(&gate->windows, values->keys[i], gate->now_ms);
        values->n_live += entry != NULL;
        if (entry && entry->payload == value) {
            values->is_known = true;
            values->place = i;
        }
        if (values->is_known)
            continue;
        if (!entry && !has_free) {
            has_free = true;
            values->place = i;
        } else if (!has_free && entry->expires_ms < oldest_ms) {
            oldest_ms = entry->expires_ms;
            values->place = i;
        }
    }
}

static bool distinct_fires(struct gate *gate, const struct memory *memory, struct hash128 key, uint64_t value) {
    uint32_t n = (uint32_t)memory->at_least;
    struct values values;
    struct entry *head = keep(gate, &gate->windows, key, memory->within_ms);
    values.n_used = head->payload > n ? n : (uint32_t)head->payload;
    find_values(gate, key, value, &values);
    if (!values.is_known && values.n_live < n) {
        if (values.n_live == values.n_used) {
            values.place = values.n_used;
            head->payload = values.n_used + 1;
        }
        values.n_live++;
    }
    keep(gate, &gate->windows, part_key(key, values.place, 0), memory->within_ms)->payload = value;
    return values.n_live >= n;
}

// ---- first_seen -----------------------------------------------------------------------------

static bool first_seen_fires(struct gate *gate, const struct memory *memory, struct hash128 key, uint64_t value) {
    struct hash128 tuple = part_key(key, value, 0);
    bool is_known = table_find(&gate->known, tuple, gate->now_ms);
    keep(gate, &gate->known, tuple, memory->within_ms);
    if (memory->learn_ms <= 0)
        return !is_known;
    bool has_begun = table_find(&gate->known, key, gate->now_ms);
    int64_t keep_ms = memory->learn_ms > memory->within_ms ? memory->learn_ms : memory->within_ms;
    struct entry *head = keep(gate, &gate->known, key, keep_ms);
    if (!has_begun)
        head->payload = (uint64_t)gate->now_ms;
    uint64_t age_ms = (uint64_t)gate->now_ms - head->payload;
    return !is_known && age_ms >= (uint64_t)memory->learn_ms;
}

// ---- after ----------------------------------------------------------------------------------

static struct hash128 trace_key(const struct decision *decision, struct hash128 trace) {
    return part_key(decision->subject_hash, trace.hi, trace.lo);
}

static bool after_fires(const struct gate *gate, const struct decision *decision, const struct memory *memory) {
    if (!decision->definite)
        return false;
    const struct entry *entry = table_find(&gate->windows, trace_key(decision, memory->trace), gate->now_ms);
    return entry && (uint64_t)gate->now_ms - entry->payload < (uint64_t)memory->within_ms;
}

void leave_trace(struct gate *gate, const struct decision *decision, const struct evidence *evidence) {
    if (evidence->trace_ms <= 0 || !decision->definite)
        return;
    must(gate->n_traces < TRACES_MAX); // a candidate has no room for more evidence
    gate->traces[gate->n_traces++] =
        (struct trace){.key = trace_key(decision, evidence->trace), .keep_ms = evidence->trace_ms};
}

void keep_traces(struct gate *gate) {
    for (uint32_t i = 0; i < gate->n_traces; i++)
        keep(gate, &gate->windows, gate->traces[i].key, gate->traces[i].keep_ms)->payload = (uint64_t)gate->now_ms;
    gate->n_traces = 0;
}

// ---- all of them ----------------------------------------------------------------------------

void memory_prefetch(const struct gate *gate, const struct decision *decision, const struct evidence *evidence,
                     const struct hit_evidence *found) {
    if (evidence->trace_ms > 0)
        table_prefetch(&gate->windows, trace_key(decision, evidence->trace));
    switch (evidence->memory.kind) {
    case MEMORY_NONE: return;
    case MEMORY_COUNT:
    case MEMORY_DISTINCT: table_prefetch(&gate->windows, found->key); return;
    case MEMORY_FIRST_SEEN:
        table_prefetch(&gate->known, part_key(found->key, found->value, 0));
        if (evidence->memory.learn_ms > 0)
            table_prefetch(&gate->known, found->key);
        return;
    case MEMORY_AFTER: table_prefetch(&gate->windows, trace_key(decision, evidence->memory.trace)); return;
    }
}

bool memory_fires(struct gate *gate, const struct decision *decision, const struct evidence *evidence,
                  const struct hit_evidence *found) {
    const struct memory *memory = &evidence->memory;
    if (memory->kind == MEMORY_NONE)
        return true;
    if (memory->kind == MEMORY_AFTER)
        return after_fires(gate, decision, memory);
    if (!found->has_key)
        return false;
    switch (memory->kind) {
    case MEMORY_COUNT: return count_fires(gate, memory, found->key);
    case MEMORY_DISTINCT: return distinct_fires(gate, memory, found->key, found->value);
    default: return first_seen_fires(gate, memory, found->key, found->value);
    }
}
