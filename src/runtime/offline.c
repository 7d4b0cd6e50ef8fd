// Offline: the same sift and the same gate, one event after the other, without
// threads, journal or brokers. Timers fire at their own time before each event, so
// the outputs follow from the input alone, byte for byte.
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "penstock/runtime.h"

// An event dated further ahead than this does not move the clock: one bad date must not expire everything.
#define CLOCK_LEAP_MAX_MS (INT64_C(366) * 24 * 3600 * 1000)

struct offline {
    struct policy *policy;
    struct inventory *inventory;
    struct sifter *sifter;
    struct sift_output records;
    struct gate *gate;
    void *memory;
    size_t memory_bytes;
    gate_emit *emit;
    void *ctx;
    uint64_t seq;
    int64_t clock_ms;
    bool clock_set;
};

static void step(struct offline *offline, enum record_type type, struct str payload, struct policy *policy) {
    struct gate_record record = {.type = type, .seq = ++offline->seq, .time_ms = offline->clock_ms, .payload = payload};
    must(gate_step(offline->gate, &record, policy, offline->emit, offline->ctx));
}

struct offline *offline_new(struct policy *policy, struct inventory *inventory, gate_emit *emit, void *ctx) {
    struct offline *offline = must_alloc(sizeof *offline);
    *offline = (struct offline){.policy = policy_ref(policy),
                                .inventory = inventory_ref(inventory),
                                .sifter = sifter_new(1024 * 1024),
                                .emit = emit,
                                .ctx = ctx};
    sift_output_init(&offline->records);
    offline->memory_bytes = gate_memory_bytes(&gate_default_bounds);
    offline->memory =
        mmap(NULL, offline->memory_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    must(offline->memory != MAP_FAILED); // as any memory that cannot be had
    offline->gate = gate_open(&gate_default_bounds, offline->memory);
    struct buf payload;
    buf_init(&payload, 64);
    policy->generation = 1;
    policy_record_write(&payload, &(struct policy_record){.generation = 1, .bundle = STR("")});
    step(offline, RECORD_POLICY, buf_view(&payload), policy);
    buf_free(&payload);
    return offline;
}

void offline_free(struct offline *offline) {
    if (!offline)
        return;
    gate_close(offline->gate);
    munmap(offline->memory, offline->memory_bytes);
    sift_output_free(&offline->records);
    sifter_free(offline->sifter);
    inventory_unref(offline->inventory);
    policy_unref(offline->policy);
    free(offline);
}

void offline_advance(struct offline *offline, int64_t clock_ms) {
    if (clock_ms <= offline->clock_ms)
        return;
    for (int64_t due; (due = gate_next_timer_ms(offline->gate)) <= clock_ms;) {
        if (due > offline->clock_ms)
            offline->clock_ms = due;
        step(offline, RECORD_TICK, STR(""), NULL);
        if (gate_next_timer_ms(offline->gate) == due && due < offline->clock_ms)
            break; // a timer that stays in the past would never end
    }
    offline->clock_ms = clock_ms;
}

static void follow_event_time(struct offline *offline, struct str payload) {
    struct candidate candidate;
    must(candidate_read(payload, &candidate));
    const struct value *time = &candidate.event[EVENT_TIME];
    if (time->type != VALUE_TIMESTAMP || time->seconds < 0 || time->seconds > INT64_MAX / 1000 - 1)
        return;
    int64_t ms = time->seconds * 1000 + time->nanos / 1000000;
    if (offline->clock_set && ms > offline->clock_ms + CLOCK_LEAP_MAX_MS)
        return;
    offline_advance(offline, ms);
    offline->clock_set = true;
}

void offline_message(struct offline *offline, const struct source_binding *source, const struct sift_input *input,
                     int64_t clock_ms) {
    if (clock_ms >= 0)
        offline_advance(offline, clock_ms);
    sift_output_clear(&offline->records);
    sift_message(offline->sifter, offline->policy, source, offline->inventory, input, &offline->records);
    for (size_t i = 0; i < offline->records.n; i++) {
        const struct sift_record *record = &offline->records.records[i];
        struct str payload = sift_record_bytes(&offline->records, record);
        if (clock_ms < 0 && record->type == RECORD_CANDIDATE)
            follow_event_time(offline, payload);
        step(offline, record->type, payload, NULL);
    }
}

void offline_set_watch(struct offline *offline, sift_watch *sift, gate_watch *gate, void *ctx) {
    sifter_set_watch(offline->sifter, sift, ctx);
    gate_set_watch(offline->gate, gate, ctx);
}

const struct sift_counts *offline_sift_counts(const struct offline *offline) {
    return sifter_counts(offline->sifter);
}
const struct gate *offline_gate(const struct offline *offline) {
    return offline->gate;
}
