// gate: the step: the log's time moves on, then one record is taken.
//
// Whatever is due at or before the record's time happens first, in the order of the
// deadlines and at the record's time, for no other time is known. Everything else
// follows from the record and from what the records before it left behind.
#include "gate_internal.h"

const struct gate_bounds gate_default_bounds = {
    .dedup_keys = 4000000,
    .evidence_keys = 1000000,
    .bucket_keys = 1000000,
    .seen_keys = 1000000,
    .window_keys = 4000000,
    .known_keys = 4000000,
    .held_max = 100000,
    .held_max_bytes = (size_t)128 * 1024 * 1024,
};

// ---- memory -------------------------------------------------------------------------------

// Cuts the caller's memory into pieces; without memory it only measures.
struct carver {
    char *memory;
    size_t used;
};

static void *carve(struct carver *carver, size_t bytes) {
    void *piece = carver->memory ? carver->memory + carver->used : NULL;
    carver->used += (bytes + 63) / 64 * 64;
    return piece;
}

static void lay_out(struct gate *gate, struct carver *carver) {
    const struct gate_bounds *bounds = &gate->bounds;
    table_open(&gate->dedup, carve(carver, table_bytes(bounds->dedup_keys)), bounds->dedup_keys);
    table_open(&gate->evidence, carve(carver, table_bytes(bounds->evidence_keys)), bounds->evidence_keys);
    table_open(&gate->buckets, carve(carver, table_bytes(bounds->bucket_keys)), bounds->bucket_keys);
    table_open(&gate->seen, carve(carver, table_bytes(bounds->seen_keys)), bounds->seen_keys);
    table_open(&gate->windows, carve(carver, table_bytes(bounds->window_keys)), bounds->window_keys);
    table_open(&gate->known, carve(carver, table_bytes(bounds->known_keys)), bounds->known_keys);
    gate->traces = carve(carver, TRACES_MAX * sizeof *gate->traces);
    gate->sources = carve(carver, SOURCES_MAX * sizeof *gate->sources);
    gate->places = carve(carver, PLACES_MAX * sizeof *gate->places);
    gate->place_index = carve(carver, (size_t)PLACES_MAX * 2 * sizeof *gate->place_index);
    gate->streams = carve(carver, STREAMS_MAX * sizeof *gate->streams);
    gate->route_counts = carve(carver, POLICY_MAX_ROUTES * sizeof *gate->route_counts);
    gate->route_index = carve(carver, 65536 * sizeof *gate->route_index);
    gate->previous_route = carve(carver, POLICY_MAX_ROUTES * sizeof *gate->previous_route);
    gate->held = carve(carver, (bounds->held_max + 1) * sizeof *gate->held);
    gate->blocks = carve(carver, (bounds->held_max_bytes / BLOCK_BYTES + 1) * sizeof *gate->blocks);
    gate->queues = carve(carver, (bounds->held_max + 3) * sizeof *gate->queues); // one is being emptied
    gate->queue_index = carve(carver, (bounds->held_max + 1) * sizeof *gate->queue_index);
    gate->guards = carve(carver, (GUARDS_MAX + 1) * sizeof *gate->guards);
    gate->timers = carve(carver, (2 * bounds->held_max + 4) * sizeof *gate->timers);
    for (size_t i = 0; i < COUNT_OF(gate->unit_bytes); i++)
        gate->unit_bytes[i] = carve(carver, CANDIDATE_MAX_BYTES + TAIL_MAX_BYTES);
}

size_t gate_memory_bytes(const struct gate_bounds *bounds) {
    struct gate measured = {.bounds = *bounds};
    struct carver carver = {0};
    carve(&carver, sizeof measured);
    lay_out(&measured, &carver);
    return carver.used;
}

struct gate *gate_open(const struct gate_bounds *bounds, void *memory) {
    must((uintptr_t)memory % 64 == 0);
    must(bounds->held_max < UINT32_MAX / 4 && bounds->held_max_bytes / BLOCK_BYTES < UINT32_MAX);
    struct carver carver = {.memory = memory};
    struct gate *gate = carve(&carver, sizeof *gate);
    gate->bounds = *bounds;
    lay_out(gate, &carver);
    gate->n_blocks_free = (uint32_t)(bounds->held_max_bytes / BLOCK_BYTES);
    gate->streams[0].name = hash128_bytes("", 0);
    gate->n_streams = 1;
    gate->scratch = arena_fixed(SCRATCH_BYTES);
    return gate;
}

void gate_close(struct gate *gate) {
    if (gate->policy)
        policy_unref(gate->policy);
    gate->policy = NULL;
    arena_free(gate->scratch);
    gate->scratch = NULL;
}

// ---- the step -----------------------------------------------------------------------------

void gate_advance(struct gate *gate, int64_t time_ms) {
    if (time_ms > TIME_MAX_MS)
        time_ms = TIME_MAX_MS;
    if (time_ms > gate->now_ms)
        gate->now_ms = time_ms;
    while (gate->n_timers && gate->timers[1].deadline_ms <= gate->now_ms) {
        struct timer due = gate->timers[1];
        timer_clear(gate, (enum timer_kind)due.kind, due.slot);
        if (due.kind == TIMER_EXPIRE)
            unit_expire(gate, due.slot);
        else
            queue_wake(gate, due.slot);
    }
}

// The hit's route under the policy in force; NO_ROUTE: it has none that the hit could mean.
static uint16_t current_route(const struct gate *gate, const struct candidate *candidate, uint16_t route) {
    if (candidate->generation == gate->generation)
        return route < gate->policy->n_routes ? route : NO_ROUTE;
    if (candidate->generation == gate->previous_generation && route < gate->n_previous)
        return gate->previous_route[route];
    return NO_ROUTE;
}

static bool hits_are_whole(const struct candidate *candidate) {
    struct hit hit;
    size_t cursor = 0;
    unsigned n = 0;
    while (candidate_next_hit(candidate, &cursor, &hit))
        n++;
    return n == candidate->n_hits && cursor == candidate->hits.len;
}

static bool take_candidate(struct gate *gate, struct str payload) {
    struct candidate candidate;
    if (!gate->policy || payload.len > CANDIDATE_MAX_BYTES)
        return false;
    if (!candidate_read(payload, &candidate) || !hits_are_whole(&candidate))
        return false;
    if (!take_coordinates(gate, &candidate.at, TAKEN_CANDIDATE)) {
        gate->counts.redelivered++;
        return true;
    }
    gate->counts.candidates++;
    size_t cursor = 0;
    for (uint16_t i = 0; i < candidate.n_hits; i++) {
        struct decision decision;
        decision_begin(&decision, &candidate, payload);
        candidate_next_hit(&candidate, &cursor, &decision.hit);
        decision.hit_index = i;
        gate->counts.hits++;
        decision.route_index = current_route(gate, &candidate, decision.hit.route);
        if (decision.route_index == NO_ROUTE) {
            gate->counts.stale++;
            continue;
        }
        decision.route = &gate->policy->routes[decision.route_index];
        (gate->watch ? decide_watched : decide_hit)(gate, &decision);
    }
    keep_traces(gate);
    return true;
}

static bool take_dead_letter(struct gate *gate, struct str payload) {
    struct dead_letter letter;
    if (!dead_letter_read(payload, &letter))
        return false;
    if (!take_coordinates(gate, &letter.at, TAKEN_DEAD)) {
        gate->counts.redelivered++;
        return true;
    }
    gate->counts.dead_letters++;
    emit_dead_letter(gate, &letter);
    return true;
}

static bool take_position(struct gate *gate, struct str payload) {
    struct position position;
    if (!position_read(payload, &position))
        return false;
    if (!raise_position(gate, &position))
        gate->counts.forgotten++;
    return true;
}

static bool take_policy(struct gate *gate, struct str payload, struct policy *policy) {
    struct policy_record record;
    if (!policy || !policy_record_read(payload, &record))
        return false;
    adopt_policy(gate, policy, record.generation);
    return true;
}

static bool take_record(struct gate *gate, const struct gate_record *record, struct policy *policy) {
    switch (record->type) {
    case RECORD_POLICY: return take_policy(gate, record->payload, policy);
    case RECORD_CANDIDATE: return take_candidate(gate, record->payload);
    case RECORD_DEAD: return take_dead_letter(gate, record->payload);
    case RECORD_POSITION: return take_position(gate, record->payload);
    case RECORD_TICK: return true;
    }
    return false;
}

bool gate_step(struct gate *gate, const struct gate_record *record, struct policy *policy, gate_emit *emit, void *ctx) {
    gate->emit = emit;
    gate->emit_ctx = ctx;
    gate_advance(gate, record->time_ms);
    bool taken = take_record(gate, record, policy);
    if (!taken)
        gate->counts.damaged++;
    gate->applied_seq = record->seq;
    gate->emit = NULL;
    return taken;
}

// ---- what can be asked ------------------------------------------------------------------------

int64_t gate_next_timer_ms(const struct gate *gate) {
    return gate->n_timers ? gate->timers[1].deadline_ms : INT64_MAX;
}

const struct policy *gate_policy(const struct gate *gate) {
    return gate->policy;
}

uint64_t gate_applied_seq(const struct gate *gate) {
    return gate->applied_seq;
}

const struct gate_counts *gate_get_counts(const struct gate *gate) {
    return &gate->counts;
}

const struct route_counts *gate_get_route_counts(const struct gate *gate, size_t route) {
    must(route < POLICY_MAX_ROUTES);
    return &gate->route_counts[route];
}

uint64_t gate_held_by_limit(const struct gate *gate, size_t limit) {
    size_t n_limits = gate->policy ? gate->policy->n_limits : 0;
    must(limit <= n_limits);
    return gate->held_by_limit[limit == n_limits ? LIMIT_KILL_SWITCH : limit];
}

uint64_t gate_consumer_seq(const struct gate *gate, struct str consumer) {
    const struct stream *stream = stream_find(gate, consumer);
    return stream ? stream->seq : 0;
}
