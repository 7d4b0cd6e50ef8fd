// The hold: who waits, who goes first, who may not pass, and what ends the waiting.
#include "fixture.h"

// One token a minute for all, one signal consumer, one for alerts. Confidence is the weight.
static struct test_policy *holding_policy(void) {
    struct test_policy *made = new_policy();
    add_consumer(made, "machines", "kind == \"signal\"");
    add_consumer(made, "people", "kind == \"alert\"");
    struct route *route = add_route(made, "misuse");
    route->threshold_signal = 0.1;
    add_evidence(route, "odd", BOUNDARY_DATA);
    add_limit(made, "global", 0, 1, MINUTE, 1);
    return made;
}

#define SIGNAL(at, who, weight, ...) \
    (struct event) { \
        .at_ms = at, .subject = who, .weights = {weight}, .n_weights = 1, __VA_ARGS__ \
    }

static void check_said(const struct fixture *f, size_t n, const char *consumer, const char *subject) {
    const struct said *said = last_of(f, n);
    assert_string_equal(said->consumer, consumer);
    assert_string_equal(said->subject, subject);
}

static void test_released_in_order_of_priority(void **state) {
    (void)state;
    struct fixture f;
    struct test_policy *made = holding_policy();
    fixture_open(&f, &small_bounds, made);
    assert_int_equal(gate_next_timer_ms(f.gate), INT64_MAX);
    give(&f, SIGNAL(START, "first", 0.5));
    give(&f, SIGNAL(START + 1, "weak", 0.5));
    give(&f, SIGNAL(START + 2, "sure", 0.9, .severity = "low"));
    give(&f, SIGNAL(START + 3, "sure-and-grave", 0.9, .severity = "critical"));
    give(&f, SIGNAL(START + 4, "sure-and-late", 0.9, .severity = "low"));
    assert_int_equal(f.n_said, 1);
    assert_int_equal(gate_get_counts(f.gate)->held_now, 4);
    assert_int_equal(gate_held_by_limit(f.gate, 0), 4);
    assert_int_equal(gate_next_timer_ms(f.gate), START + MINUTE);
    tick(&f, START + MINUTE - 1);
    assert_int_equal(f.n_said, 1);
    const char *order[] = {"sure-and-grave", "sure", "sure-and-late", "weak"};
    for (size_t i = 0; i < COUNT_OF(order); i++) {
        tick(&f, START + ((int64_t)i + 1) * MINUTE);
        check_said(&f, i + 2, "machines", order[i]);
    }
    const struct said *said = last_of(&f, 5);
    assert_string_equal(said->guard, "global");
    assert_int_equal(said->guard_generation, 1);
    assert_string_equal(said->evidence, "odd=0.500");
    assert_int_equal(said->time_ms, START + 4 * MINUTE);
    assert_int_equal(gate_get_counts(f.gate)->released, 4);
    assert_int_equal(gate_next_timer_ms(f.gate), INT64_MAX);
    check_laws(f.gate);
    fixture_close(&f);
    free_policy(made);
}

static void test_a_late_record_fires_what_is_due(void **state) {
    (void)state;
    struct fixture f;
    struct test_policy *made = holding_policy();
    made->limits[0].burst = 2;
    fixture_open(&f, &small_bounds, made);
    for (int i = 0; i < 5; i++)
        give(&f, SIGNAL(START, "ann", 0.9));
    assert_int_equal(f.n_said, 2);
    // Ten minutes pass in one step: no more than the burst has gathered, at the time of the record.
    give(&f, SIGNAL(START + 10 * MINUTE, "late", 0.2));
    assert_int_equal(f.n_said, 4);
    assert_int_equal(f.said[3].time_ms, START + 10 * MINUTE);
    tick(&f, START + 11 * MINUTE);
    check_said(&f, 5, "machines", "ann");
    tick(&f, START + 12 * MINUTE);
    check_said(&f, 6, "machines", "late");
    fixture_close(&f);
    free_policy(made);
}

static void test_nobody_overtakes(void **state) {
    (void)state;
    struct fixture f;
    struct test_policy *made = holding_policy();
    struct limit *subject = add_limit(made, "subject", 1u << LIMIT_SUBJECT, 1, 10 * MINUTE, 1);
    subject->over = OVER_HOLD;
    fixture_open(&f, &small_bounds, made);
    give(&f, SIGNAL(START, "a", 0.5));
    give(&f, SIGNAL(START, "b", 0.5));          // waits for the global token
    give(&f, SIGNAL(START + MINUTE, "c", 0.5)); // the timer gave the token to b; c waits
    check_said(&f, 2, "machines", "b");
    give(&f, SIGNAL(START + MINUTE, "d", 0.9));
    tick(&f, START + 2 * MINUTE);
    check_said(&f, 3, "machines", "d");
    tick(&f, START + 3 * MINUTE);
    check_said(&f, 4, "machines", "c");
    check_laws(f.gate);
    fixture_close(&f);
    free_policy(made);
}

// Two queues are due at the same moment, and there is one token for both: whichever is looked at first, the surer goes.
static void test_nobody_overtakes_from_another_queue(void **state) {
    (void)state;
    for (int i = 0; i < 16; i++) {
        struct fixture f;
        struct test_policy *made = new_policy();
        char name[16];
        snprintf(name, sizeof name, "name-%d", i);
        add_consumer(made, "machines", "kind == \"signal\"");
        add_evidence(add_route(made, "misuse"), "odd", BOUNDARY_DATA);
        made->routes[0].threshold_signal = 0.1;
        add_limit(made, "subject", 1u << LIMIT_SUBJECT, 1, MINUTE, 1);
        add_limit(made, "global", 0, 1, MINUTE, 1);
        fixture_open(&f, &small_bounds, made);
        give(&f, SIGNAL(START, name, 0.5));
        give(&f, SIGNAL(START, name, 0.5));   // waits for its subject
        give(&f, SIGNAL(START, "sure", 0.9)); // waits for all
        assert_int_equal(gate_held_by_limit(f.gate, 0), 1);
        assert_int_equal(gate_held_by_limit(f.gate, 1), 1);
        tick(&f, START + MINUTE);
        check_said(&f, 2, "machines", "sure");
        tick(&f, START + 2 * MINUTE);
        check_said(&f, 3, "machines", name);
        check_laws(f.gate);
        fixture_close(&f);
        free_policy(made);
    }
}

static void test_a_waiter_moves_to_the_limit_that_refuses(void **state) {
    (void)state;
    struct fixture f;
    struct test_policy *made = holding_policy();
    add_limit(made, "subject", 1u << LIMIT_SUBJECT, 1, 10 * MINUTE, 1);
    fixture_open(&f, &small_bounds, made);
    give(&f, SIGNAL(START, "a", 0.5));
    give(&f, SIGNAL(START, "a", 0.9));
    give(&f, SIGNAL(START, "b", 0.5));
    assert_int_equal(gate_held_by_limit(f.gate, 0), 2);
    tick(&f, START + MINUTE); // a's subject still owes: it moves, and the token is b's
    check_said(&f, 2, "machines", "b");
    assert_int_equal(gate_held_by_limit(f.gate, 0), 0);
    assert_int_equal(gate_held_by_limit(f.gate, 1), 1);
    tick(&f, START + 10 * MINUTE);
    check_said(&f, 3, "machines", "a");
    assert_string_equal(f.said[2].guard, "subject");
    assert_int_equal(gate_get_counts(f.gate)->held, 2);
    check_laws(f.gate);
    fixture_close(&f);
    free_policy(made);
}

static void test_expires_into_an_alert(void **state) {
    (void)state;
    struct fixture f;
    struct test_policy *made = holding_policy();
    made->limits[0].rate_per_ms = 2 * HOUR;
    fixture_open(&f, &small_bounds, made);
    give(&f, SIGNAL(START, "a", 0.5));
    give(&f, SIGNAL(START + 1, "b", 0.5));
    tick(&f, START + 30 * MINUTE);
    assert_int_equal(f.n_said, 1);
    tick(&f, START + 30 * MINUTE + 1);
    check_said(&f, 2, "people", "b");
    assert_string_equal(f.said[1].why, "held_expired");
    assert_string_equal(f.said[1].guard, "global");
    assert_string_equal(f.said[1].evidence, "odd=0.500");
    assert_int_equal(f.said[1].acknowledge_by_ms, START + 45 * MINUTE + 1);
    assert_int_equal(gate_get_counts(f.gate)->expired, 1);
    assert_int_equal(gate_next_timer_ms(f.gate), INT64_MAX);
    check_laws(f.gate);
    fixture_close(&f);
    free_policy(made);
}

static void test_what_expired_is_not_released(void **state) {
    (void)state;
    struct fixture f;
    struct test_policy *made = holding_policy();
    fixture_open(&f, &small_bounds, made);
    give(&f, SIGNAL(START, "a", 0.5));
    give(&f, SIGNAL(START, "b", 0.5));
    give(&f, SIGNAL(START, "c", 0.9));
    tick(&f, START + 5 * HOUR); // tokens are back since long, but nobody looked until it was too late
    assert_int_equal(f.n_said, 3);
    assert_string_equal(f.said[1].why, "held_expired");
    assert_string_equal(f.said[2].why, "held_expired");
    check_laws(f.gate);
    fixture_close(&f);
    free_policy(made);
}

static void test_full_hold_gives_up_the_least(void **state) {
    (void)state;
    struct fixture f;
    struct test_policy *made = holding_policy();
    made->policy.hold_max = 2;
    fixture_open(&f, &small_bounds, made);
    give(&f, SIGNAL(START, "sent", 0.5));
    give(&f, SIGNAL(START, "middle", 0.5));
    give(&f, SIGNAL(START, "high", 0.9));
    give(&f, SIGNAL(START, "low", 0.2)); // the least is the new one
    check_said(&f, 2, "people", "low");
    assert_string_equal(f.said[1].why, "hold_full");
    assert_string_equal(f.said[1].guard, "hold");
    assert_string_equal(f.said[1].guard_limit, "2");
    give(&f, SIGNAL(START, "higher", 0.95)); // the least is a held one
    check_said(&f, 3, "people", "middle");
    give(&f, SIGNAL(START, "equal", 0.9)); // of equals the new one
    check_said(&f, 4, "people", "equal");
    tick(&f, START + MINUTE);
    check_said(&f, 5, "machines", "higher");
    tick(&f, START + 2 * MINUTE);
    check_said(&f, 6, "machines", "high");
    assert_int_equal(gate_get_counts(f.gate)->hold_full, 3);
    check_laws(f.gate);
    fixture_close(&f);
    free_policy(made);
}

static void test_full_bytes(void **state) {
    (void)state;
    struct fixture f;
    struct test_policy *made = holding_policy();
    struct gate_bounds tiny = small_bounds;
    tiny.held_max_bytes = 4 * BLOCK_BYTES; // each of these takes one block, the long one two
    fixture_open(&f, &tiny, made);
    static char long_name[600];
    memset(long_name, 'x', sizeof long_name - 1);
    give(&f, SIGNAL(START, "sent", 0.5));
    for (int i = 0; i < 4; i++)
        give(&f, SIGNAL(START, i == 0 ? "low" : i == 1 ? "lower" : "high", i == 0 ? 0.3 : i == 1 ? 0.2 : 0.9));
    assert_int_equal(gate_get_counts(f.gate)->held_now, 4);
    give(&f, SIGNAL(START, long_name, 0.8));
    assert_int_equal(f.n_said, 3); // two had to go
    assert_string_equal(f.said[1].subject, "lower");
    assert_string_equal(f.said[2].subject, "low");
    assert_int_equal(gate_get_counts(f.gate)->held_now, 3);
    tick(&f, START + 20 * MINUTE);
    tick(&f, START + 21 * MINUTE);
    tick(&f, START + 22 * MINUTE);
    assert_int_equal(gate_get_counts(f.gate)->held_now, 0);
    assert_int_equal(f.gate->n_blocks_free, 4);
    static char longer_name[4000];
    memset(longer_name, 'y', sizeof longer_name - 1);
    give(&f, SIGNAL(START + 22 * MINUTE, "kept", 0.1));
    give(&f, SIGNAL(START + 22 * MINUTE, longer_name, 0.9)); // can never fit: nobody is given up for it
    assert_int_equal(gate_get_counts(f.gate)->held_now, 1);
    check_laws(f.gate);
    fixture_close(&f);
    free_policy(made);
}

static void test_no_hold_at_all(void **state) {
    (void)state;
    struct fixture f;
    struct test_policy *made = holding_policy();
    struct gate_bounds none = small_bounds;
    none.held_max = 0;
    none.held_max_bytes = 0;
    fixture_open(&f, &none, made);
    give(&f, SIGNAL(START, "a", 0.5));
    give(&f, SIGNAL(START, "b", 0.5));
    assert_string_equal(last_of(&f, 2)->why, "hold_full");
    check_laws(f.gate);
    fixture_close(&f);
    free_policy(made);
}

static void test_repeats_of_a_held_signal_are_counted_into_it(void **state) {
    (void)state;
    struct fixture f;
    struct test_policy *made = holding_policy();
    made->routes[0].dedup_within_ms = 15 * MINUTE;
    made->limits[0].rate_per_ms = 29 * MINUTE;
    fixture_open(&f, &small_bounds, made);
    give(&f, SIGNAL(START, "a", 0.5));
    give(&f, SIGNAL(START, "b", 0.5));
    for (int i = 0; i < 3; i++)
        give(&f, SIGNAL(START + i * MINUTE, "b", 0.5));
    tick(&f, START + 29 * MINUTE); // long after the window's end
    check_said(&f, 2, "machines", "b");
    assert_int_equal(f.said[1].duplicates, 3);
    assert_int_equal(gate_get_counts(f.gate)->deduplicated, 3);
    fixture_close(&f);
    free_policy(made);
}

static void test_hold_order_is_the_policys(void **state) {
    (void)state;
    struct fixture f;
    struct test_policy *made = holding_policy();
    made->policy.hold_order[0] = HOLD_BY_AGE;
    fixture_open(&f, &small_bounds, made);
    give(&f, SIGNAL(START, "sent", 0.5));
    give(&f, SIGNAL(START, "old", 0.2));
    give(&f, SIGNAL(START, "new", 0.9));
    tick(&f, START + MINUTE);
    check_said(&f, 2, "machines", "old");
    fixture_close(&f);
    free_policy(made);
}

static void test_each_consumer_waits_for_itself(void **state) {
    (void)state;
    struct fixture f;
    struct test_policy *made = new_policy();
    add_consumer(made, "slow", "kind == \"signal\"");
    add_consumer(made, "people", "kind == \"alert\"");
    add_consumer(made, "quick", "kind == \"signal\" && confidence > 0.6");
    struct route *route = add_route(made, "misuse");
    route->threshold_signal = 0.1;
    add_evidence(route, "odd", BOUNDARY_DATA);
    add_limit(made, "global", 0, 1, MINUTE, 2);
    add_limit(made, "per-consumer", 1u << LIMIT_CONSUMER, 1, 5 * MINUTE, 1);
    fixture_open(&f, &small_bounds, made);
    give(&f, SIGNAL(START, "a", 0.5)); // slow only
    give(&f, SIGNAL(START, "b", 0.9)); // quick gets it, slow's waits
    assert_string_equal(last_of(&f, 2)->consumer, "quick");
    give(&f, SIGNAL(START, "c", 0.95)); // both wait, undivided, for the global token
    assert_int_equal(gate_held_by_limit(f.gate, 0), 1);
    assert_int_equal(gate_held_by_limit(f.gate, 1), 1);
    check_laws(f.gate);
    tick(&f, START + MINUTE); // divided now; both consumers' buckets are empty
    assert_int_equal(gate_held_by_limit(f.gate, 0), 0);
    assert_int_equal(gate_held_by_limit(f.gate, 1), 3);
    assert_int_equal(gate_get_counts(f.gate)->signal_units, 5);
    check_laws(f.gate);
    tick(&f, START + 5 * MINUTE);
    assert_int_equal(f.n_said, 4); // c first at slow, for it is surer than b; and at quick
    assert_string_equal(f.said[2].subject, "c");
    assert_string_equal(f.said[3].subject, "c");
    tick(&f, START + 10 * MINUTE);
    check_said(&f, 5, "slow", "b");
    check_laws(f.gate);
    fixture_close(&f);
    free_policy(made);
}

static void test_kill_switch(void **state) {
    (void)state;
    struct fixture f;
    struct test_policy *made = holding_policy(), *killed = holding_policy();
    killed->policy.kill_switch = true;
    fixture_open(&f, &small_bounds, made);
    give(&f, SIGNAL(START, "sent", 0.9));
    give(&f, SIGNAL(START, "waits", 0.5));
    adopt(&f, START + 1, killed);
    give(&f, SIGNAL(START + 2, "killed", 0.9));
    give(&f, SIGNAL(START + 2, "eve", 0.9, .no_owner = true)); // alerts still flow
    assert_string_equal(last_of(&f, 2)->why, "unowned");
    assert_int_equal(gate_held_by_limit(f.gate, 0), 1);
    assert_int_equal(gate_held_by_limit(f.gate, 1), 1); // the kill switch
    tick(&f, START + 10 * MINUTE);
    assert_int_equal(f.n_said, 2);
    check_laws(f.gate);
    adopt(&f, START + 11 * MINUTE, made);
    assert_int_equal(f.n_said, 3); // one token had gathered: for the surest
    assert_string_equal(f.said[2].subject, "killed");
    assert_string_equal(f.said[2].guard, "kill_switch");
    assert_int_equal(f.said[2].guard_generation, 2);
    tick(&f, START + 12 * MINUTE);
    check_said(&f, 4, "machines", "waits");
    assert_int_equal(f.said[3].guard_generation, 1);
    check_laws(f.gate);
    fixture_close(&f);
    free_policy(made);
    free_policy(killed);
}

static void test_killed_expires(void **state) {
    (void)state;
    struct fixture f;
    struct test_policy *killed = holding_policy();
    killed->policy.kill_switch = true;
    fixture_open(&f, &small_bounds, killed);
    give(&f, SIGNAL(START, "a", 0.9));
    assert_int_equal(gate_next_timer_ms(f.gate), START + 30 * MINUTE);
    tick(&f, START + 30 * MINUTE);
    assert_string_equal(last_of(&f, 1)->why, "held_expired");
    assert_string_equal(f.said[0].guard, "kill_switch");
    check_laws(f.gate);
    fixture_close(&f);
    free_policy(killed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_released_in_order_of_priority),
        cmocka_unit_test(test_a_late_record_fires_what_is_due),
        cmocka_unit_test(test_nobody_overtakes),
        cmocka_unit_test(test_nobody_overtakes_from_another_queue),
        cmocka_unit_test(test_a_waiter_moves_to_the_limit_that_refuses),
        cmocka_unit_test(test_expires_into_an_alert),
        cmocka_unit_test(test_what_expired_is_not_released),
        cmocka_unit_test(test_full_hold_gives_up_the_least),
        cmocka_unit_test(test_full_bytes),
        cmocka_unit_test(test_no_hold_at_all),
        cmocka_unit_test(test_repeats_of_a_held_signal_are_counted_into_it),
        cmocka_unit_test(test_hold_order_is_the_policys),
        cmocka_unit_test(test_each_consumer_waits_for_itself),
        cmocka_unit_test(test_kill_switch),
        cmocka_unit_test(test_killed_expires),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
