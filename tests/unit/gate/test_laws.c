// Laws: whatever comes in, the counts add up, nothing fires early, and the same log gives the same bytes.
#include "scenario.h"

#define POLICIES 6

struct run {
    struct fixture f;
    struct test_policy *policies[POLICIES];
    uint64_t seed;
    int64_t at_ms;
};

static void run_open(struct run *run, uint64_t seed) {
    *run = (struct run){.seed = seed, .at_ms = START};
    for (unsigned i = 0; i < POLICIES; i++)
        run->policies[i] = scenario_policy(i);
    fixture_open(&run->f, &small_bounds, run->policies[0]);
}

static void run_step(struct run *run) {
    if (random_below(&run->seed, 400) == 0) {
        struct test_policy *next = run->policies[random_below(&run->seed, POLICIES)];
        if (next != run->f.made)
            adopt(&run->f, run->at_ms, next);
    }
    scenario_step(&run->f, &run->seed, &run->at_ms);
}

static void run_close(struct run *run) {
    fixture_close(&run->f);
    for (unsigned i = 0; i < POLICIES; i++)
        free_policy(run->policies[i]);
}

static void check_streams(const struct fixture *f) {
    static const char *const names[] = {"machines", "others", "people"};
    for (size_t c = 0; c < COUNT_OF(names); c++) {
        uint64_t seq = 0;
        for (size_t i = 0; i < f->n_said; i++)
            if (strcmp(f->said[i].consumer, names[c]) == 0)
                assert_int_equal(f->said[i].seq, ++seq);
        assert_int_equal(gate_consumer_seq(f->gate, str_of(names[c])), seq);
    }
}

static int compare_ids(const void *a, const void *b) {
    return memcmp(a, b, sizeof(struct hash128));
}

static void check_ids_differ(const struct fixture *f) {
    struct hash128 *ids = malloc((f->n_said + 1) * sizeof *ids);
    assert_non_null(ids);
    for (size_t i = 0; i < f->n_said; i++)
        ids[i] = f->said[i].id;
    qsort(ids, f->n_said, sizeof *ids, compare_ids);
    for (size_t i = 1; i < f->n_said; i++)
        assert_false(hash128_eq(ids[i - 1], ids[i]));
    free(ids);
}

static void add_up(struct gate_counts *total, const struct gate_counts *counts) {
#define X(name, help) total->name += counts->name;
    GATE_COUNTS(X)
#undef X
}

static void test_counts_add_up(void **state) {
    (void)state;
    struct gate_counts total = {0};
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct run run;
        run_open(&run, seed);
        for (int i = 0; i < 3000; i++) {
            run_step(&run);
            check_laws(run.f.gate);
            assert_true(gate_next_timer_ms(run.f.gate) > run.at_ms);
        }
        check_streams(&run.f);
        check_ids_differ(&run.f);
        tick(&run.f, run.at_ms + 10 * MINUTE); // everything held has ended one way or another
        assert_int_equal(gate_get_counts(run.f.gate)->held_now, 0);
        assert_int_equal(run.f.gate->n_blocks_free, small_bounds.held_max_bytes / BLOCK_BYTES);
        check_laws(run.f.gate);
        add_up(&total, gate_get_counts(run.f.gate));
        run_close(&run);
    }
    // A run that never held, expired or withdrew would prove nothing.
    assert_true(total.below && total.alerts && total.signals && total.deduplicated && total.unknown_subject);
    assert_true(total.shadow_alerts && total.shadow_signals && total.redelivered && total.released && total.expired);
    assert_true(total.hold_full && total.over_alerts && total.withdrawn && total.unowned);
}

static void test_same_log_same_bytes(void **state) {
    (void)state;
    for (uint64_t seed = 50; seed < 54; seed++) {
        struct run one, two;
        run_open(&one, seed);
        run_open(&two, seed);
        for (int i = 0; i < 3000; i++) {
            run_step(&one);
            run_step(&two);
        }
        assert_true(one.f.transcript.len > 1000);
        assert_true(str_eq(buf_view(&one.f.transcript), buf_view(&two.f.transcript)));
        run_close(&one);
        run_close(&two);
    }
}

// The reference for a timer: with a tick at every due time, nothing of a unit comes before its deadline, and each once.
static void test_timers_are_never_early_and_fire_once(void **state) {
    (void)state;
    struct run run;
    run_open(&run, 99);
    for (int i = 0; i < 2000; i++) {
        run_step(&run);
        for (int64_t due; (due = gate_next_timer_ms(run.f.gate)) < run.at_ms + 200;) {
            uint64_t ended = gate_get_counts(run.f.gate)->expired + gate_get_counts(run.f.gate)->released;
            size_t said = run.f.n_said;
            tick(&run.f, due - 1);
            assert_int_equal(ended, gate_get_counts(run.f.gate)->expired + gate_get_counts(run.f.gate)->released);
            assert_int_equal(run.f.n_said, said);
            tick(&run.f, due);
            assert_true(gate_next_timer_ms(run.f.gate) > due);
        }
    }
    check_laws(run.f.gate);
    run_close(&run);
}

// Ticks that find nothing due change nothing.
static void test_needless_ticks(void **state) {
    (void)state;
    struct run quiet, noisy;
    run_open(&quiet, 7);
    run_open(&noisy, 7);
    for (int i = 0; i < 2000; i++) {
        run_step(&quiet);
        run_step(&noisy);
        tick(&noisy.f, noisy.at_ms - 1);
        tick(&noisy.f, noisy.at_ms);
    }
    assert_true(str_eq(buf_view(&quiet.f.transcript), buf_view(&noisy.f.transcript)));
    run_close(&quiet);
    run_close(&noisy);
}

static void test_time_never_goes_back(void **state) {
    (void)state;
    struct run run;
    run_open(&run, 3);
    tick(&run.f, START + HOUR);
    tick(&run.f, START);
    tick(&run.f, INT64_MIN);
    give(&run.f, (struct event){.at_ms = START, .weights = {0.9}, .n_weights = 2});
    assert_int_equal(run.f.said[0].time_ms, START + HOUR);
    tick(&run.f, INT64_MAX);
    give(&run.f, (struct event){.at_ms = START, .subject = "eve", .weights = {0.9}, .n_weights = 2});
    check_laws(run.f.gate);
    run_close(&run);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_add_up),
        cmocka_unit_test(test_same_log_same_bytes),
        cmocka_unit_test(test_timers_are_never_early_and_fire_once),
        cmocka_unit_test(test_needless_ticks),
        cmocka_unit_test(test_time_never_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
