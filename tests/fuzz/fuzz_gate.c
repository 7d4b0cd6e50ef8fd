// Fuzz target: a gate's saved state, damaged, is loaded and gone on with; any bytes come as any record.
//
// The input is a script: how long a true gate runs before it is saved, which bytes of
// the saved state are overwritten, and what the rest of the records hold. Then: no
// crash, nothing fires early, and what was saved undamaged is saved again as it was.
//
//     clang -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -Iinclude -Isrc/gate -Itests/unit/gate
//         tests/fuzz/fuzz_gate.c src/gate/*.c src/record/*.c src/expr/*.c src/json/*.c src/base/*.c
//         -x c++ src/json/*.cc src/expr/*.cc -lcmocka -lsimdjson -lre2 -lxxhash -lm
#include "scenario.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct script {
    const uint8_t *at, *end;
};

static unsigned take(struct script *script) {
    return script->at < script->end ? *script->at++ : 0;
}

static const struct gate_bounds bounds = {
    .dedup_keys = 20,
    .evidence_keys = 20,
    .bucket_keys = 20,
    .seen_keys = 20,
    .window_keys = 20,
    .known_keys = 20,
    .held_max = 20,
    .held_max_bytes = 20 * BLOCK_BYTES,
};

static void load(struct fixture *f, struct str bytes, bool undamaged) {
    gate_close(f->gate);
    free(f->memory);
    f->gate = open_gate(&bounds, &f->memory);
    struct status status = {0};
    bool loaded = gate_load(f->gate, bytes, &f->made->policy, &status);
    must(loaded || (status.code != STATUS_OK && status.text[0]));
    must(loaded || !undamaged);
    if (loaded && undamaged) {
        struct buf again;
        buf_init(&again, (size_t)1 << 24);
        gate_save(f->gate, &again);
        must(str_eq(buf_view(&again), bytes));
        buf_free(&again);
    }
    if (!loaded) { // thrown away; a new one goes on
        gate_close(f->gate);
        free(f->memory);
        f->gate = open_gate(&bounds, &f->memory);
        f->made->policy.generation = 0;
        adopt(f, START, f->made);
    }
}

static void go_on(struct fixture *f, struct script *script, struct test_policy *other, int64_t at_ms) {
    uint64_t seed = take(script);
    for (unsigned n = take(script) % 16; n > 0; n--)
        scenario_step(f, &seed, &at_ms);
    if (take(script) % 2)
        adopt(f, at_ms, f->made->policy.hash.lo == other->policy.hash.lo ? f->made : other);
    while (script->at < script->end) {
        enum record_type type = (enum record_type)(take(script) % 6);
        size_t len = take(script);
        if (len > (size_t)(script->end - script->at))
            len = (size_t)(script->end - script->at);
        buf_clear(&f->record);
        buf_add(&f->record, script->at, len);
        script->at += len;
        step(f, type, at_ms, type == RECORD_POLICY ? &f->made->policy : NULL);
        must(gate_next_timer_ms(f->gate) > at_ms);
    }
    tick(f, at_ms + HOUR);
    must(gate_get_counts(f->gate)->held_now == 0 || gate_next_timer_ms(f->gate) != INT64_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct script script = {data, data + size};
    struct test_policy *made = scenario_policy(take(&script) % 6), *other = scenario_policy(7);
    struct fixture f;
    struct buf saved;
    uint64_t seed = take(&script);
    int64_t at_ms = START;
    buf_init(&saved, (size_t)1 << 24);
    fixture_open(&f, &bounds, made);
    for (unsigned n = take(&script); n > 0; n--)
        scenario_step(&f, &seed, &at_ms);
    gate_save(f.gate, &saved);
    unsigned changes = take(&script) % 8;
    for (unsigned n = changes; n > 0; n--) {
        size_t at = take(&script) | take(&script) << 8;
        saved.ptr[at % saved.len] = (char)take(&script);
    }
    load(&f, buf_view(&saved), changes == 0);
    go_on(&f, &script, other, at_ms);
    buf_free(&saved);
    fixture_close(&f);
    free_policy(made);
    free_policy(other);
    return 0;
}
