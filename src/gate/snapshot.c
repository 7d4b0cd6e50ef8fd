// snapshot: the gate's state as bytes, both ways.
//
// Only what decides the future is written: live entries with their slots, the held
// units in the order in which they came, each with its queue and guard. Heaps, chains
// and free lists are built anew; their shape has no influence. Bytes to be loaded may
// be anybody's: every number is checked before it is believed.
#include "gate_internal.h"
#include "penstock/bytes.h"

#define MAGIC UINT64_C(0x3145544147545350) // "PSTGATE1"
#define VERSION 2
#define EXPIRES_MAX_MS (INT64_C(1) << 55)

struct loading {
    struct gate *gate;
    struct reader in;
    struct status *status;
};

static bool damaged(struct loading *load, const char *what) {
    return status_fail(load->status, STATUS_CORRUPT,
                       "the gate's saved state is damaged (%s); use an older snapshot or read the log from its start",
                       what);
}

static bool too_small(struct loading *load, const char *what) {
    return status_fail(load->status, STATUS_FULL, "the gate's saved state holds more %s than fit; raise that bound",
                       what);
}

static bool is_time(int64_t ms) {
    return ms > 0 && ms <= EXPIRES_MAX_MS;
}

// ---- header -------------------------------------------------------------------------------

static void save_header(const struct gate *gate, struct buf *out) {
    put_u64(out, MAGIC);
    put_u32(out, VERSION);
    put_u8(out, gate->policy != NULL);
    put_hash(out, gate->policy ? gate->policy->hash : (struct hash128){0});
    put_u64(out, gate->generation);
    put_u64(out, gate->applied_seq);
    put_u64(out, gate->next_id);
    put_i64(out, gate->now_ms);
}

static bool load_header(struct loading *load, struct policy *policy) {
    struct gate *gate = load->gate;
    struct reader *in = &load->in;
    if (get_u64(in) != MAGIC)
        return damaged(load, "it does not begin as one");
    uint32_t version = get_u32(in);
    if (version != VERSION)
        return status_fail(load->status, STATUS_CORRUPT,
                           "the gate's saved state is of version %u, this program reads version %d; "
                           "start the program that wrote it",
                           version, VERSION);
    uint8_t has_policy = get_u8(in);
    struct hash128 hash = get_hash(in);
    if (in->failed || has_policy > 1)
        return damaged(load, "header");
    if (has_policy && (!policy || !hash128_eq(hash, policy->hash)))
        return status_fail(load->status, STATUS_INVALID,
                           "the gate's saved state was made under another policy; "
                           "load it with the policy that the log names");
    gate->generation = get_u64(in);
    gate->applied_seq = get_u64(in);
    gate->next_id = get_u64(in);
    gate->now_ms = get_i64(in);
    if (in->failed || gate->now_ms < 0 || gate->now_ms > TIME_MAX_MS || gate->next_id > INT64_MAX)
        return damaged(load, "header");
    if (has_policy) {
        if (policy->n_routes > POLICY_MAX_ROUTES || policy->n_limits > POLICY_MAX_LIMITS)
            return damaged(load, "policy");
        gate->policy = policy_ref(policy);
    }
    return true;
}

// ---- counts -------------------------------------------------------------------------------

static void save_counts(const struct gate *gate, struct buf *out) {
#define X(name, help) put_u64(out, gate->counts.name);
    GATE_COUNTS(X)
#undef X
    size_t n_routes = gate->policy ? gate->policy->n_routes : 0;
    for (size_t i = 0; i < n_routes; i++) {
        const struct route_counts *counts = &gate->route_counts[i];
        put_u64(out, counts->below);
        put_u64(out, counts->alerts);
        put_u64(out, counts->signals);
        put_u64(out, counts->deduplicated);
        put_u64(out, counts->shadow);
    }
    put_u64(out, gate->previous_generation);
    put_u32(out, gate->n_previous);
    for (uint32_t i = 0; i < gate->n_previous; i++)
        put_u16(out, gate->previous_route[i]);
}

static bool load_counts(struct loading *load) {
    struct gate *gate = load->gate;
    struct reader *in = &load->in;
#define X(name, help) gate->counts.name = get_u64(in);
    GATE_COUNTS(X)
#undef X
    size_t n_routes = gate->policy ? gate->policy->n_routes : 0;
    for (size_t i = 0; i < n_routes; i++) {
        struct route_counts *counts = &gate->route_counts[i];
        counts->below = get_u64(in);
        counts->alerts = get_u64(in);
        counts->signals = get_u64(in);
        counts->deduplicated = get_u64(in);
        counts->shadow = get_u64(in);
    }
    gate->previous_generation = get_u64(in);
    gate->n_previous = get_u32(in);
    if (in->failed || gate->n_previous > POLICY_MAX_ROUTES)
        return damaged(load, "counts");
    for (uint32_t i = 0; i < gate->n_previous; i++) {
        gate->previous_route[i] = get_u16(in);
        if (in->failed || (gate->previous_route[i] != NO_ROUTE && gate->previous_route[i] >= n_routes))
            return damaged(load, "routes");
    }
    return true;
}

// ---- positions and streams -------------------------------------------------------------------

static void save_places(const struct gate *gate, struct buf *out) {
    put_u32(out, gate->n_places);
    for (uint32_t i = 0; i < gate->n_places; i++) {
        const struct place *place = &gate->places[i];
        const struct source_name *source = &gate->sources[place->source];
        put_str(out, (struct str){source->text, source->len});
        put_u32(out, (uint32_t)place->partition);
        for (unsigned kind = 0; kind < TAKEN_KINDS; kind++) {
            put_i64(out, place->marks[kind].offset);
            put_u64(out, place->marks[kind].index);
        }
    }
    put_u32(out, gate->n_streams);
    for (uint32_t i = 0; i < gate->n_streams; i++) {
        put_hash(out, gate->streams[i].name);
        put_u64(out, gate->streams[i].seq);
    }
}

static bool load_places(struct loading *load) {
    struct gate *gate = load->gate;
    struct reader *in = &load->in;
    uint32_t n = get_u32(in);
    for (uint32_t i = 0; i < n && !in->failed; i++) {
        struct str source = get_str(in);
        int32_t partition = (int32_t)get_u32(in);
        if (in->failed || place_find(gate, source, partition))
            return damaged(load, "positions");
        struct place *place = place_add(gate, source, partition);
        if (!place)
            return damaged(load, "number of positions");
        for (unsigned kind = 0; kind < TAKEN_KINDS; kind++) {
            place->marks[kind].offset = get_i64(in);
            place->marks[kind].index = get_u64(in);
        }
    }
    uint32_t n_streams = get_u32(in);
    if (in->failed || n_streams < 1 || n_streams > STREAMS_MAX)
        return damaged(load, "streams");
    struct hash128 dead_letters = gate->streams[0].name;
    gate->n_streams = n_streams;
    for (uint32_t i = 0; i < n_streams; i++) {
        gate->streams[i].name = get_hash(in);
        gate->streams[i].seq = get_u64(in);
    }
    if (in->failed || !hash128_eq(gate->streams[0].name, dead_letters))
        return damaged(load, "streams");
    if (gate->policy)
        streams_adopt(gate);
    return true;
}

// ---- tables ---------------------------------------------------------------------------------

static void save_table(const struct gate *gate, const struct table *table, struct buf *out) {
    uint64_t n_slots = table_slots(table);
    put_u64(out, n_slots);
    for (uint64_t slot = 0; table->touched && slot < n_slots; slot++) {
        const struct entry *entry = &table->entries[slot];
        if (entry->expires_ms <= gate->now_ms)
            continue;
        put_u32(out, (uint32_t)slot + 1);
        put_hash(out, entry->key);
        put_i64(out, entry->expires_ms);
        put_u64(out, entry->payload);
    }
    put_u32(out, 0);
}

// Into a table of the same size each entry goes where it was: which entry is evicted first hangs on that.
static struct entry *place_entry(struct gate *gate, struct table *table, uint64_t n_slots, uint32_t slot,
                                 struct hash128 key) {
    if (n_slots != table_slots(table))
        return table_add(table, key, gate->now_ms, false, NULL);
    table->touched = true;
    return &table->entries[slot];
}

static bool is_weight(uint64_t payload) {
    double weight;
    memcpy(&weight, &payload, sizeof weight);
    return weight > 0 && weight <= 1;
}

static bool load_table(struct loading *load, struct table *table, const char *what) {
    struct gate *gate = load->gate;
    struct reader *in = &load->in;
    uint64_t n_slots = get_u64(in);
    uint32_t before = 0;
    for (;;) {
        uint32_t slot = get_u32(in);
        if (in->failed || (slot != 0 && slot <= before) || slot > n_slots)
            return damaged(load, what);
        if (slot == 0)
            return true;
        struct hash128 key = get_hash(in);
        int64_t expires_ms = get_i64(in);
        uint64_t payload = get_u64(in);
        bool misplaced = n_slots == table_slots(table) && !table_may_hold(table, key, slot - 1);
        if (in->failed || misplaced || !is_time(expires_ms) || expires_ms <= gate->now_ms ||
            (table == &gate->evidence && !is_weight(payload)) || table_find(table, key, gate->now_ms))
            return damaged(load, what);
        struct entry *entry = place_entry(gate, table, n_slots, slot - 1, key);
        if (!entry)
            return too_small(load, what);
        *entry = (struct entry){.key = key, .expires_ms = expires_ms, .payload = payload};
        before = slot;
    }
}

// ---- held units -------------------------------------------------------------------------------

static void save_unit(const struct gate *gate, uint32_t slot, struct buf *out) {
    const struct held *unit = &gate->held[slot];
    const struct queue *queue = &gate->queues[unit->queue];
    struct guard_entry copy;
    struct guard guard = unit_guard(gate, slot, &copy);
    put_double(out, unit->priority.confidence);
    put_u64(out, unit->priority.id);
    put_u16(out, unit->priority.consumer);
    put_u8(out, unit->priority.severity);
    put_i64(out, unit->deadline_ms);
    put_u64(out, unit->duplicates);
    put_u8(out, unit->has_dedup);
    put_hash(out, unit->dedup_key);
    put_u16(out, unit->route);
    put_u16(out, unit->hit);
    put_u8(out, unit->n_evidence);
    put_hash(out, queue->key);
    put_u16(out, queue->limit);
    put_i64(out, queue->wake_ms);
    put_u8(out, unit->guard != 0);
    if (unit->guard) {
        put_u64(out, guard.generation);
        put_str(out, guard.name);
        put_str(out, guard.level);
        put_str(out, guard.limit);
    }
    struct str bytes = unit_copy_bytes(gate, slot, gate->unit_bytes[0]);
    put_str(out, (struct str){bytes.ptr, unit->candidate_bytes});
    put_str(out, (struct str){bytes.ptr + unit->candidate_bytes, unit->tail_bytes});
}

// A unit as its bytes say it is.
struct saved_unit {
    struct priority priority;
    int64_t deadline_ms, wake_ms;
    struct hash128 bucket;
    uint16_t limit;
    uint8_t n_evidence, has_guard, has_dedup;
    struct guard guard;
    struct str tail;
    struct candidate candidate;
    struct decision decision;
};

static void read_unit(struct reader *in, struct saved_unit *unit) {
    struct decision *decision = &unit->decision;
    unit->priority.confidence = get_double(in);
    unit->priority.id = get_u64(in);
    unit->priority.consumer = get_u16(in);
    unit->priority.severity = get_u8(in);
    unit->deadline_ms = get_i64(in);
    decision->duplicates = get_u64(in);
    unit->has_dedup = get_u8(in);
    decision->has_dedup = unit->has_dedup == 1;
    decision->dedup_key = get_hash(in);
    decision->route_index = get_u16(in);
    decision->hit_index = get_u16(in);
    unit->n_evidence = get_u8(in);
    unit->bucket = get_hash(in);
    unit->limit = get_u16(in);
    unit->wake_ms = get_i64(in);
    unit->has_guard = get_u8(in);
    if (unit->has_guard == 1) {
        unit->guard.generation = get_u64(in);
        unit->guard.name = get_str(in);
        unit->guard.level = get_str(in);
        unit->guard.limit = get_str(in);
    }
    decision->bytes = get_str(in);
    unit->tail = get_str(in);
}

static bool evidence_is_sound(const struct decision *decision) {
    for (size_t i = 0; i < decision->n_evidence; i++) {
        const struct output_evidence *evidence = &decision->evidence[i];
        unsigned boundary = (unsigned)evidence->boundary;
        if (!(evidence->weight >= 0 && evidence->weight <= 1))
            return false;
        if (boundary > BOUNDARY_TRUST || (boundary & (boundary - 1)))
            return false;
    }
    return true;
}

static bool content_is_sound(struct saved_unit *unit) {
    struct decision *decision = &unit->decision;
    if (decision->bytes.len > CANDIDATE_MAX_BYTES || unit->tail.len > TAIL_MAX_BYTES || !unit->tail.ptr)
        return false;
    if (!candidate_read(decision->bytes, &unit->candidate) || !read_tail(unit->tail, decision, unit->n_evidence))
        return false;
    size_t cursor = 0;
    for (uint32_t i = 0; i <= decision->hit_index; i++)
        if (!candidate_next_hit(&unit->candidate, &cursor, &decision->hit))
            return false;
    return evidence_is_sound(decision);
}

static bool unit_is_sound(const struct gate *gate, struct saved_unit *unit) {
    const struct policy *policy = gate->policy;
    const struct priority *priority = &unit->priority;
    bool killed = unit->limit == LIMIT_KILL_SWITCH;
    bool asleep = unit->wake_ms == INT64_MAX;
    if (!(priority->confidence >= 0 && priority->confidence <= 1) || priority->id >= gate->next_id ||
        (priority->consumer != ALL_CONSUMERS && priority->consumer >= policy->n_consumers) || priority->severity > 5)
        return false;
    if (!is_time(unit->deadline_ms) || unit->deadline_ms <= gate->now_ms || unit->has_dedup > 1 || unit->has_guard > 1)
        return false;
    if (unit->decision.route_index >= policy->n_routes ||
        (killed ? !policy->kill_switch : unit->limit >= policy->n_limits))
        return false;
    if (asleep != policy->kill_switch || (!asleep && (!is_time(unit->wake_ms) || unit->wake_ms <= gate->now_ms)))
        return false;
    return content_is_sound(unit);
}

static bool load_unit(struct loading *load) {
    struct gate *gate = load->gate;
    struct saved_unit unit = {0};
    read_unit(&load->in, &unit);
    if (load->in.failed || !unit_is_sound(gate, &unit))
        return damaged(load, "a held signal");
    if (!hold_fits(gate, unit_bytes_needed(&unit.decision)))
        return too_small(load, "held signals");
    uint32_t number = queue_find(gate, unit.bucket);
    if (number && (gate->queues[number].limit != unit.limit || gate->queues[number].wake_ms != unit.wake_ms))
        return damaged(load, "a queue");
    uint32_t slot = unit_add(gate, &unit.decision, &unit.priority, unit.deadline_ms);
    if (unit.has_guard)
        unit_set_guard(gate, slot, &unit.guard);
    unit_enqueue(gate, slot, unit.limit, unit.bucket);
    if (!number)
        queue_arm(gate, gate->held[slot].queue, unit.wake_ms);
    return true;
}

static bool load_units(struct loading *load) {
    uint64_t n = get_u64(&load->in);
    if (n > 0 && !load->gate->policy)
        return damaged(load, "held signals without a policy");
    for (uint64_t i = 0; i < n; i++)
        if (!load_unit(load))
            return false;
    return true;
}

// ---- all of it --------------------------------------------------------------------------------

void gate_save(const struct gate *gate, struct buf *out) {
    save_header(gate, out);
    save_counts(gate, out);
    save_places(gate, out);
    save_table(gate, &gate->dedup, out);
    save_table(gate, &gate->evidence, out);
    save_table(gate, &gate->buckets, out);
    save_table(gate, &gate->seen, out);
    save_table(gate, &gate->windows, out);
    save_table(gate, &gate->known, out);
    put_u64(out, gate->counts.held_now);
    for (uint32_t slot = gate->oldest; slot; slot = gate->held[slot].newer)
        save_unit(gate, slot, out);
}

bool gate_load(struct gate *gate, struct str bytes, struct policy *policy, struct status *status) {
    struct loading load = {.gate = gate, .in = reader_of(bytes), .status = status};
    if (!load_header(&load, policy) || !load_counts(&load) || !load_places(&load) ||
        !load_table(&load, &gate->dedup, "dedup keys") || !load_table(&load, &gate->evidence, "evidence keys") ||
        !load_table(&load, &gate->buckets, "bucket keys") || !load_table(&load, &gate->seen, "seen keys") ||
        !load_table(&load, &gate->windows, "window keys") || !load_table(&load, &gate->known, "known keys") ||
        !load_units(&load))
        return false;
    if (load.in.failed || reader_left(&load.in) > 0)
        return damaged(&load, "its end");
    return true;
}
