// fixture: policies made by hand, candidates by the line, and everything a gate says.
//
// The gate only borrows its policy, so the tests count its references themselves. Each
// output is kept twice: as fields to look at, and as bytes in one transcript, so that
// two runs can be compared whole.
#ifndef GATE_FIXTURE_H
#define GATE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gate_internal.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define START (INT64_C(1700000000) * 1000)

// ---- policies -----------------------------------------------------------------------------

struct test_policy {
    struct policy policy; // first: the gate knows only this
    unsigned references;
    struct route routes[8];
    struct evidence evidence[8][8];
    struct consumer consumers[8];
    struct limit limits[8];
};

struct policy *policy_ref(struct policy *policy) {
    ((struct test_policy *)policy)->references++;
    return policy;
}

void policy_unref(struct policy *policy) {
    struct test_policy *owner = (struct test_policy *)policy;
    assert_true(owner->references > 0);
    owner->references--;
}

static inline size_t resolve_accepts(void *ctx, struct path chain, struct expr_ref *out, struct buf *why) {
    static const struct {
        const char *name;
        int slot;
    } names[] = {
        {"kind", ACCEPT_KIND},         {"action", ACCEPT_ACTION},         {"type", ACCEPT_TYPE},
        {"severity", ACCEPT_SEVERITY}, {"confidence", ACCEPT_CONFIDENCE}, {"why", ACCEPT_WHY},
        {"tenant", ACCEPT_TENANT},     {"owner", ACCEPT_OWNER},           {"route", ACCEPT_ROUTE},
        {"source", SLOT_SOURCE},
    };
    (void)ctx;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (str_eq(chain.steps[0].key, str_of(names[i].name))) {
            *out = (struct expr_ref){.slot = names[i].slot, .type = VALUE_ANY};
            return 1;
        }
    buf_str(why, STR("no such name"));
    return 0;
}

static inline struct test_policy *new_policy(void) {
    struct test_policy *made = calloc(1, sizeof *made);
    assert_non_null(made);
    struct policy *policy = &made->policy;
    policy->routes = made->routes;
    policy->consumers = made->consumers;
    policy->limits = made->limits;
    policy->default_owner = STR("nobody-else");
    policy->hold_ttl_ms = 30 * MINUTE;
    policy->hold_max = 1000;
    policy->hold_order[0] = HOLD_BY_CONFIDENCE;
    policy->hold_order[1] = HOLD_BY_SEVERITY;
    policy->hold_order[2] = HOLD_BY_AGE;
    policy->hash = (struct hash128){1, 2};
    return made;
}

static inline void free_policy(struct test_policy *made) {
    assert_int_equal(made->references, 0);
    for (size_t i = 0; i < made->policy.n_consumers; i++)
        expr_free((struct expr *)made->consumers[i].accepts);
    free(made);
}

static inline struct consumer *add_consumer(struct test_policy *made, const char *name, const char *accepts) {
    struct consumer *consumer = &made->consumers[made->policy.n_consumers++];
    struct expr_env env = {.resolve = resolve_accepts};
    struct expr_error error = {0};
    consumer->name = str_of(name);
    consumer->accepts = expr_compile(str_of(accepts), &env, &error);
    if (!consumer->accepts)
        fail_msg("%s: %s", accepts, error.text);
    consumer->fields = OUTPUT_ALL_FIELDS;
    return consumer;
}

// A route in force that revokes from 0.85 and alerts from 0.4.
static inline struct route *add_route(struct test_policy *made, const char *name) {
    size_t index = made->policy.n_routes++;
    struct route *route = &made->routes[index];
    *route = (struct route){
        .name = str_of(name),
        .version = 1,
        .mode = MODE_ENFORCE,
        .evidence = made->evidence[index],
        .threshold_alert = 0.4,
        .threshold_signal = 0.85,
        .has_signal = true,
        .signal_type = STR("session-revoked"),
        .action = STR("revoke"),
        .acknowledge_within_ms = 15 * MINUTE,
        .resolve_within_ms = 4 * HOUR,
    };
    return route;
}

static inline void add_evidence(struct route *route, const char *name, enum boundary boundary) {
    route->evidence[route->n_evidence++] = (struct evidence){.name = str_of(name), .boundary = boundary};
}

static inline struct memory *add_memory(struct route *route, const char *name, enum memory_kind kind, int64_t at_least,
                                        int64_t within_ms) {
    add_evidence(route, name, BOUNDARY_NONE);
    struct memory *memory = &route->evidence[route->n_evidence - 1].memory;
    *memory = (struct memory){.kind = kind, .at_least = at_least, .within_ms = within_ms};
    return memory;
}

// The last evidence of `route` comes after that one.
static inline void add_after(struct route *route, const char *name, struct evidence *target, int64_t within_ms) {
    struct memory *memory = add_memory(route, name, MEMORY_AFTER, 0, within_ms);
    memory->trace = target->trace = hash128_bytes(target->name.ptr, target->name.len);
    target->trace_ms = target->trace_ms > within_ms ? target->trace_ms : within_ms;
}

static inline struct limit *add_limit(struct test_policy *made, const char *name, unsigned per, int64_t count,
                                      int64_t per_ms, int64_t burst) {
    struct limit *limit = &made->limits[made->policy.n_limits++];
    *limit = (struct limit){
        .name = str_of(name),
        .per = per,
        .rate_count = count,
        .rate_per_ms = per_ms,
        .burst = burst,
        .level = STR("level"),
        .text = STR("as written"),
    };
    return limit;
}

// ---- what comes out ---------------------------------------------------------------------------

struct said {
    enum output_kind kind;
    char consumer[32], route[32], why[32], action[16], owner[32], guard[32], guard_limit[32], runbook[32], subject[32];
    char evidence[128]; // "name=0.600 …"
    double confidence;
    uint64_t seq, duplicates, guard_generation;
    int64_t time_ms, acknowledge_by_ms, received_ms;
    struct hash128 id;
};

struct fixture {
    struct gate *gate;
    void *memory;
    struct gate_bounds bounds;
    struct test_policy *made;
    struct said *said;
    size_t n_said, said_room;
    struct buf transcript, record;
    uint64_t seq, generation;
    int64_t offset; // of the next event
};

static inline void keep(char *to, size_t room, struct str text) {
    snprintf(to, room, "%.*s", STR_ARG(text));
}

static inline void hear(void *ctx, const struct emission *emission) {
    struct fixture *f = ctx;
    const struct output *output = emission->output;
    if (f->n_said == f->said_room) {
        f->said_room = f->said_room ? f->said_room * 2 : 64;
        f->said = realloc(f->said, f->said_room * sizeof *f->said);
        assert_non_null(f->said);
    }
    struct said *said = &f->said[f->n_said++];
    *said = (struct said){
        .kind = output->kind,
        .confidence = output->confidence,
        .seq = emission->seq,
        .duplicates = output->duplicates,
        .time_ms = output->time_ms,
        .acknowledge_by_ms = output->acknowledge_by_ms,
        .received_ms = emission->received_ms,
        .id = output->id,
    };
    keep(said->consumer, sizeof said->consumer, emission->consumer ? emission->consumer->name : STR(""));
    keep(said->route, sizeof said->route, output->route);
    keep(said->why, sizeof said->why, output->why);
    keep(said->action, sizeof said->action, output->action);
    keep(said->owner, sizeof said->owner, output->owner);
    keep(said->runbook, sizeof said->runbook, output->runbook);
    if (output->guard) {
        keep(said->guard, sizeof said->guard, output->guard->name);
        keep(said->guard_limit, sizeof said->guard_limit, output->guard->limit);
        said->guard_generation = output->guard->generation;
    }
    if (output->candidate && output->candidate->event[EVENT_SUBJECT_ID].type == VALUE_STRING)
        keep(said->subject, sizeof said->subject, output->candidate->event[EVENT_SUBJECT_ID].string);
    for (size_t i = 0, at = 0; i < output->n_evidence && at < sizeof said->evidence; i++)
        at += (size_t)snprintf(said->evidence + at, sizeof said->evidence - at, "%s%.*s=%.3f", i ? " " : "",
                               STR_ARG(output->evidence[i].name), output->evidence[i].weight);
    buf_printf(&f->transcript, "%s %llu ", said->consumer, (unsigned long long)emission->seq);
    if (output->dead_letter)
        dead_letter_write_json(&f->transcript, output->dead_letter, output->time_ms);
    else
        output_write(&f->transcript, output, FORMAT_JSON, OUTPUT_ALL_FIELDS);
    buf_char(&f->transcript, '\n');
}

// ---- a gate ---------------------------------------------------------------------------------

static const struct gate_bounds small_bounds = {
    .dedup_keys = 1000,
    .evidence_keys = 1000,
    .bucket_keys = 1000,
    .seen_keys = 1000,
    .window_keys = 1000,
    .known_keys = 1000,
    .held_max = 1000,
    .held_max_bytes = 4 * 1024 * 1024,
};

static inline struct gate *open_gate(const struct gate_bounds *bounds, void **memory) {
    size_t bytes = (gate_memory_bytes(bounds) + 63) / 64 * 64;
    *memory = aligned_alloc(64, bytes);
    assert_non_null(*memory);
    memset(*memory, 0, bytes);
    return gate_open(bounds, *memory);
}

static inline bool step(struct fixture *f, enum record_type type, int64_t at_ms, struct policy *policy) {
    struct gate_record record = {.type = type, .seq = ++f->seq, .time_ms = at_ms, .payload = buf_view(&f->record)};
    return gate_step(f->gate, &record, policy, hear, f);
}

static inline void adopt(struct fixture *f, int64_t at_ms, struct test_policy *made) {
    f->made = made;
    made->policy.generation = ++f->generation;
    buf_clear(&f->record);
    policy_record_write(&f->record, &(struct policy_record){.generation = f->generation, .bundle = STR("bundle")});
    assert_true(step(f, RECORD_POLICY, at_ms, &made->policy));
}

static inline void fixture_open(struct fixture *f, const struct gate_bounds *bounds, struct test_policy *made) {
    *f = (struct fixture){.bounds = *bounds};
    f->gate = open_gate(bounds, &f->memory);
    buf_init(&f->transcript, (size_t)1 << 30);
    buf_init(&f->record, (size_t)1 << 24);
    if (made)
        adopt(f, START, made);
}

static inline void fixture_close(struct fixture *f) {
    gate_close(f->gate);
    free(f->memory);
    free(f->said);
    buf_free(&f->transcript);
    buf_free(&f->record);
}

static inline void tick(struct fixture *f, int64_t at_ms) {
    buf_clear(&f->record);
    assert_true(step(f, RECORD_TICK, at_ms, NULL));
}

// ---- what goes in -------------------------------------------------------------------------------

struct event {
    int64_t at_ms;
    const char *subject, *owner; // NULL: ann and bob
    bool no_subject, no_owner;
    const char *tenant, *steward, *known_as, *detector, *severity, *key, *runbook;
    bool shared, protected, unordered;
    uint16_t route;
    double weights[8]; // negative: the evidence did not fire
    size_t n_weights;
    uint64_t value;  // what distinct and first_seen compare
    const char *per; // what counts are kept apart by; NULL: the subject
    double adjust_alert, adjust_signal;
    int64_t offset; // 0: the next
    uint32_t index;
    uint64_t generation; // 0: the policy's
};

static inline struct value text_or_absent(const char *text) {
    return text ? value_string(str_of(text)) : value_absent();
}

static inline void write_event(struct fixture *f, const struct event *e) {
    const char *subject = e->no_subject ? NULL : e->subject ? e->subject : "ann";
    const char *owner = e->no_owner ? NULL : e->owner ? e->owner : "bob";
    struct candidate candidate = {
        .generation = e->generation ? e->generation : f->generation,
        .at = {.source = STR("okta"), .partition = e->unordered, .index = e->index, .ordered = !e->unordered},
        .received_ms = e->at_ms - 5,
        .known_identity = e->known_as || owner,
    };
    candidate.at.offset = e->offset ? e->offset : ++f->offset;
    candidate.event[EVENT_ID] = value_string(STR("event"));
    candidate.event[EVENT_SUBJECT_ID] = text_or_absent(subject);
    candidate.event[EVENT_TENANT] = text_or_absent(e->tenant);
    candidate.event[EVENT_DETECTOR_NAME] = text_or_absent(e->detector);
    candidate.identity[IDENTITY_ID] = text_or_absent(e->known_as);
    candidate.identity[IDENTITY_OWNER] = text_or_absent(owner);
    candidate.identity[IDENTITY_STEWARD] = text_or_absent(e->steward);
    candidate.identity[IDENTITY_RUNBOOK] = text_or_absent(e->runbook);
    if (e->shared)
        candidate.identity[IDENTITY_SHARED] = value_bool(true);
    if (e->protected)
        candidate.identity[IDENTITY_PROTECTED] = value_bool(true);
    const struct route *route = &f->made->routes[e->route];
    struct hash_parts key = {.len = 0};
    hash_parts_str(&key, route->name);
    hash_parts_str(&key, str_of(e->key ? e->key : subject ? subject : ""));
    struct hit hit = {
        .route = e->route,
        .adjust_alert = e->adjust_alert,
        .adjust_signal = e->adjust_signal,
        .dedup_key = hash_parts_end(&key),
        .severity = str_of(e->severity ? e->severity : "high"),
        .title = STR("a title"),
        .reason = STR("a reason"),
    };
    for (size_t i = 0; i < e->n_weights; i++) {
        if (e->weights[i] < 0)
            continue;
        struct hit_evidence *found = &hit.evidence[hit.n_evidence++];
        *found = (struct hit_evidence){.index = (uint8_t)i, .weight = e->weights[i], .value = e->value};
        struct hash_parts per = {.len = 0};
        hash_parts_int(&per, e->route);
        hash_parts_int(&per, (int64_t)i);
        hash_parts_str(&per, str_of(e->per ? e->per : subject ? subject : ""));
        found->has_key = i < route->n_evidence && route->evidence[i].memory.kind != MEMORY_NONE &&
                         route->evidence[i].memory.kind != MEMORY_AFTER;
        found->key = hash_parts_end(&per);
    }
    buf_clear(&f->record);
    struct candidate_writer writer;
    candidate_begin(&writer, &f->record, &candidate);
    candidate_add_hit(&writer, &hit);
    candidate_end(&writer);
}

static inline void give(struct fixture *f, struct event e) {
    write_event(f, &e);
    assert_true(step(f, RECORD_CANDIDATE, e.at_ms, NULL));
}

// ---- the laws -------------------------------------------------------------------------------------

static inline void check_laws(const struct gate *gate) {
    const struct gate_counts *n = gate_get_counts(gate);
    uint64_t verdicts = n->below + n->alerts + n->signals + n->deduplicated;
    assert_int_equal(n->hits, verdicts + n->shadow_alerts + n->shadow_signals + n->unknown_subject + n->stale);
    assert_int_equal(n->signal_units, n->sent_units + n->held_now + n->expired + n->hold_full + n->over_alerts +
                                          n->unrouted + n->withdrawn);
    uint64_t waiting = 0;
    for (size_t i = 0; i <= gate_policy(gate)->n_limits; i++)
        waiting += gate_held_by_limit(gate, i);
    assert_int_equal(waiting, n->held_now);
}

// The last thing that was said, which must be the `n`th.
static inline const struct said *last_of(const struct fixture *f, size_t n) {
    assert_int_equal(f->n_said, n);
    return &f->said[n - 1];
}

#endif
