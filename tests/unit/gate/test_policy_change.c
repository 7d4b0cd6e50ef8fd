// A new policy: what is held follows the names it knows, and what has lost its place becomes an alert.
#include "fixture.h"

static struct test_policy *base_policy(void) {
    struct test_policy *made = new_policy();
    add_consumer(made, "machines", "kind == \"signal\"");
    add_consumer(made, "people", "kind == \"alert\"");
    add_evidence(add_route(made, "misuse"), "odd", BOUNDARY_NONE);
    add_limit(made, "global", 0, 1, MINUTE, 1);
    return made;
}

#define SIGNAL(at, who) \
    (struct event) { \
        .at_ms = at, .subject = who, .weights = {0.9}, .n_weights = 1 \
    }

// A gate that has sent one signal and holds two.
static void open_holding(struct fixture *f, struct test_policy *made) {
    fixture_open(f, &small_bounds, made);
    give(f, SIGNAL(START, "sent"));
    give(f, SIGNAL(START, "one"));
    give(f, SIGNAL(START, "two"));
    assert_int_equal(gate_get_counts(f->gate)->held_now, 2);
}

static void check_withdrawn(struct test_policy *next) {
    struct fixture f;
    struct test_policy *made = base_policy();
    open_holding(&f, made);
    adopt(&f, START + 1, next);
    assert_int_equal(f.n_said, 3);
    for (size_t i = 1; i < 3; i++) {
        assert_string_equal(f.said[i].why, "withdrawn");
        assert_string_equal(f.said[i].subject, i == 1 ? "one" : "two");
        assert_string_equal(f.said[i].route, "misuse");
        assert_string_equal(f.said[i].guard, "global");
        assert_int_equal(f.said[i].guard_generation, 1);
        assert_int_equal(f.said[i].kind, OUTPUT_IS_ALERT);
    }
    assert_int_equal(gate_get_counts(f.gate)->withdrawn, 2);
    assert_int_equal(made->references, 0);
    assert_int_equal(gate_next_timer_ms(f.gate), INT64_MAX);
    check_laws(f.gate);
    fixture_close(&f);
    free_policy(made);
    free_policy(next);
}

static void test_route_is_gone(void **state) {
    (void)state;
    struct test_policy *next = base_policy();
    next->routes[0].name = STR("another");
    check_withdrawn(next);
}

static void test_route_is_no_longer_in_force(void **state) {
    (void)state;
    struct test_policy *next = base_policy();
    next->routes[0].mode = MODE_ALERT;
    check_withdrawn(next);
    next = base_policy();
    next->routes[0].has_signal = false;
    check_withdrawn(next);
}

static void test_consumer_is_gone(void **state) {
    (void)state;
    struct fixture f;
    struct test_policy *made = base_policy(), *next = base_policy();
    made->limits[0].per = 1u << LIMIT_CONSUMER;
    next->limits[0].per = 1u << LIMIT_CONSUMER;
    next->consumers[0].name = STR("other-machines");
    open_holding(&f, made);
    adopt(&f, START + 1, next);
    assert_int_equal(gate_get_counts(f.gate)->withdrawn, 2);
    assert_string_equal(last_of(&f, 3)->why, "withdrawn");
    check_laws(f.gate);
    fixture_close(&f);
    free_policy(made);
    free_policy(next);
}

static void test_undivided_units_find_their_new_consumers(void **state) {
    (void)state;
    struct fixture f;
    struct test_policy *made = base_policy(), *next = base_policy();
    next->consumers[0].name = STR("other-machines");
    open_holding(&f, made);
    adopt(&f, START + 1, next);
    tick(&f, START + MINUTE);
    assert_string_equal(last_of(&f, 2)->consumer, "other-machines");
    assert_int_equal(f.said[1].seq, 1);
    fixture_close(&f);
    free_policy(made);
    free_policy(next);
}

static void test_nobody_accepts_any_more(void **state) {
    (void)state;
    struct fixture f;
    struct test_policy *made = base_policy(), *next = new_policy();
    add_consumer(next, "people", "kind == \"alert\"");
    add_evidence(add_route(next, "misuse"), "odd", BOUNDARY_NONE);
    add_limit(next, "global", 0, 1, MINUTE, 1);
    open_holding(&f, made);
    adopt(&f, START + 1, next);
    assert_int_equal(f.n_said, 1);
    tick(&f, START + MINUTE);
    assert_int_equal(f.n_said, 3); // no token is needed to become an alert
    assert_string_equal(f.said[1].why, "no_consumer");
    assert_int_equal(gate_get_counts(f.gate)->unrouted, 2);
    check_laws(f.gate);
    fixture_close(&f);
    free_policy(made);
    free_policy(next);
}

static void test_everything_has_moved(void **state) {
    (void)state;
    struct fixture f;
    struct test_policy *made = base_policy(), *next = new_policy();
    add_consumer(next, "people", "kind == \"alert\"");
    add_consumer(next, "machines", "kind == \"signal\"");
    add_evidence(add_route(next, "new"), "odd", BOUNDARY_NONE);
    add_evidence(add_route(next, "misuse"), "odd", BOUNDARY_NONE);
    next->routes[1].version = 2;
    add_limit(next, "subject", 1u << LIMIT_SUBJECT, 100, MINUTE, 100);
    add_limit(next, "global", 0, 1, MINUTE, 1);
    open_holding(&f, made);
    adopt(&f, START + 1, next);
    assert_int_equal(f.n_said, 1);
    assert_int_equal(gate_held_by_limit(f.gate, 0), 0);
    assert_int_equal(gate_held_by_limit(f.gate, 1), 2);
    tick(&f, START + MINUTE);
    const struct said *said = last_of(&f, 2);
    assert_string_equal(said->consumer, "machines");
    assert_string_equal(said->subject, "one");
    assert_int_equal(said->seq, 2); // its stream goes on
    assert_int_equal(said->guard_generation, 1);
    check_laws(f.gate);
    fixture_close(&f);
    free_policy(made);
    free_policy(next);
}

static void test_limit_is_gone(void **state) {
    (void)state;
    struct fixture f;
    struct test_policy *made = base_policy(), *next = base_policy();
    next->policy.n_limits = 0;
    open_holding(&f, made);
    adopt(&f, START + 1, next);
    assert_int_equal(f.n_said, 3); // nothing holds them any more
    assert_int_equal(f.said[2].kind, OUTPUT_IS_SIGNAL);
    assert_string_equal(f.said[2].guard, "global");
    assert_int_equal(f.said[2].time_ms, START + 1);
    check_laws(f.gate);
    fixture_close(&f);
    free_policy(made);
    free_policy(next);
}

static void test_limit_is_another(void **state) {
    (void)state;
    struct fixture f;
    struct test_policy *made = base_policy(), *next = base_policy();
    next->limits[0].name = STR("stricter");
    next->limits[0].rate_per_ms = 10 * MINUTE;
    open_holding(&f, made);
    adopt(&f, START + 1, next);
    assert_int_equal(f.n_said, 2); // its bucket is full; one goes, the other waits for it
    assert_int_equal(gate_held_by_limit(f.gate, 0), 1);
    tick(&f, START + 10 * MINUTE);
    assert_int_equal(f.n_said, 2);
    tick(&f, START + 10 * MINUTE + 1);
    assert_string_equal(last_of(&f, 3)->guard, "stricter");
    assert_int_equal(f.said[2].guard_generation, 2);
    check_laws(f.gate);
    fixture_close(&f);
    free_policy(made);
    free_policy(next);
}

static void test_limit_is_per_another_thing(void **state) {
    (void)state;
    struct fixture f;
    struct test_policy *made = base_policy(), *next = base_policy();
    next->limits[0].per = 1u << LIMIT_SUBJECT;
    open_holding(&f, made);
    adopt(&f, START + 1, next);
    assert_int_equal(f.n_said, 3); // each subject has a bucket of its own now
    check_laws(f.gate);
    fixture_close(&f);
    free_policy(made);
    free_policy(next);
}

static void test_buckets_survive(void **state) {
    (void)state;
    struct fixture f;
    struct test_policy *made = base_policy(), *next = base_policy();
    fixture_open(&f, &small_bounds, made);
    give(&f, SIGNAL(START, "sent"));
    adopt(&f, START + 1, next);
    give(&f, SIGNAL(START + 2, "held"));
    assert_int_equal(gate_get_counts(f.gate)->held_now, 1);
    assert_int_equal(gate_next_timer_ms(f.gate), START + MINUTE);
    fixture_close(&f);
    free_policy(made);
    free_policy(next);
}

static void test_a_smaller_debt_under_a_quicker_limit(void **state) {
    (void)state;
    struct fixture f;
    struct test_policy *made = base_policy(), *next = base_policy();
    made->limits[0].rate_per_ms = HOUR;
    next->limits[0].rate_count = 3;
    next->limits[0].rate_per_ms = SECOND;
    fixture_open(&f, &small_bounds, made);
    give(&f, SIGNAL(START, "sent"));
    give(&f, SIGNAL(START, "held"));
    adopt(&f, START + 1, next);
    tick(&f, START + 1 + 334); // an empty bucket at most, not an hour's debt
    assert_int_equal(f.n_said, 2);
    fixture_close(&f);
    free_policy(made);
    free_policy(next);
}

static void test_candidates_of_the_policy_before(void **state) {
    (void)state;
    struct fixture f;
    struct test_policy *made = base_policy(), *next = new_policy();
    add_route(made, "going");
    add_route(made, "changing");
    add_evidence(&made->routes[2], "old-name", BOUNDARY_NONE);
    add_consumer(next, "all", "true");
    add_route(next, "new");
    add_evidence(add_route(next, "changing"), "new-name", BOUNDARY_NONE);
    add_evidence(add_route(next, "misuse"), "odd", BOUNDARY_NONE);
    fixture_open(&f, &small_bounds, made);
    adopt(&f, START, next);
    struct event old = {.at_ms = START, .generation = 1, .weights = {0.9}, .n_weights = 1};
    give(&f, old);
    assert_string_equal(last_of(&f, 1)->route, "misuse");
    old.route = 1; // gone
    give(&f, old);
    old.route = 2; // its evidence means something else now
    give(&f, old);
    old.generation = 77; // nobody knows any more
    old.route = 0;
    give(&f, old);
    old.generation = 2;
    old.route = 3; // out of range: sift and gate disagree
    give(&f, old);
    assert_int_equal(f.n_said, 1);
    assert_int_equal(gate_get_counts(f.gate)->stale, 4);
    check_laws(f.gate);
    fixture_close(&f);
    free_policy(made);
    free_policy(next);
}

static void test_streams_at_their_bound(void **state) {
    (void)state;
    struct fixture f;
    fixture_open(&f, &small_bounds, NULL);
    struct test_policy *policies[2] = {base_policy(), base_policy()};
    char names[2][32];
    for (int i = 0; i < STREAMS_MAX + 100; i++) {
        struct test_policy *next = policies[i % 2];
        snprintf(names[i % 2], sizeof names[i % 2], "machines-%d", i);
        next->consumers[0].name = str_of(names[i % 2]);
        adopt(&f, START, next);
    }
    assert_int_equal(f.gate->n_streams, STREAMS_MAX);
    assert_true(gate_get_counts(f.gate)->forgotten > 0);
    give(&f, SIGNAL(START, "ann"));
    assert_int_equal(last_of(&f, 1)->seq, 1);
    fixture_close(&f);
    free_policy(policies[0]);
    free_policy(policies[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_route_is_gone),
        cmocka_unit_test(test_route_is_no_longer_in_force),
        cmocka_unit_test(test_consumer_is_gone),
        cmocka_unit_test(test_undivided_units_find_their_new_consumers),
        cmocka_unit_test(test_nobody_accepts_any_more),
        cmocka_unit_test(test_everything_has_moved),
        cmocka_unit_test(test_limit_is_gone),
        cmocka_unit_test(test_limit_is_another),
        cmocka_unit_test(test_limit_is_per_another_thing),
        cmocka_unit_test(test_buckets_survive),
        cmocka_unit_test(test_a_smaller_debt_under_a_quicker_limit),
        cmocka_unit_test(test_candidates_of_the_policy_before),
        cmocka_unit_test(test_streams_at_their_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
