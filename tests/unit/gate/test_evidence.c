// Evidence: how weights add up, fade and are forgotten, to the last digit.
#include "fixture.h"

static struct test_policy *evidence_policy(struct route **route) {
    struct test_policy *made = new_policy();
    add_consumer(made, "all", "true");
    *route = add_route(made, "misuse");
    add_evidence(*route, "a", BOUNDARY_NONE);
    add_evidence(*route, "b", BOUNDARY_TRUST);
    add_evidence(*route, "c", BOUNDARY_NONE);
    (*route)->threshold_alert = 0.01;
    (*route)->has_signal = false;
    (*route)->confidence_within_ms = 10 * MINUTE;
    return made;
}

#define WEIGHTS(...) .weights = {__VA_ARGS__}, .n_weights = 3

static double distance(double a, double b) {
    return a > b ? a - b : b - a;
}

static void test_noisy_or(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = evidence_policy(&route);
    route->confidence_within_ms = 0;
    fixture_open(&f, &small_bounds, made);
    give(&f, (struct event){.at_ms = START, WEIGHTS(0.6, 0.4, 0.5)});
    assert_true(distance(last_of(&f, 1)->confidence, 0.88) < 1e-15);
    assert_string_equal(f.said[0].evidence, "a=0.600 b=0.400 c=0.500");
    give(&f, (struct event){.at_ms = START, WEIGHTS(-1, 0.25, -1)});
    assert_true(last_of(&f, 2)->confidence == 0.25);
    assert_string_equal(f.said[1].evidence, "b=0.250");
    give(&f, (struct event){.at_ms = START, WEIGHTS(7, 0.25, -1)}); // clamped
    assert_true(last_of(&f, 3)->confidence == 1);
    fixture_close(&f);
    free_policy(made);
}

static void test_no_evidence_is_certain(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = evidence_policy(&route);
    route->n_evidence = 0;
    fixture_open(&f, &small_bounds, made);
    give(&f, (struct event){.at_ms = START});
    assert_true(last_of(&f, 1)->confidence == 1);
    fixture_close(&f);
    free_policy(made);
}

static void test_memory(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = evidence_policy(&route);
    fixture_open(&f, &small_bounds, made);
    give(&f, (struct event){.at_ms = START, WEIGHTS(0.6, -1, -1)});
    give(&f, (struct event){.at_ms = START + MINUTE, WEIGHTS(-1, -1, 0.5)});
    assert_string_equal(last_of(&f, 2)->evidence, "a=0.600 c=0.500");
    assert_true(distance(f.said[1].confidence, 0.8) < 1e-15);
    // The strongest of a name, once.
    give(&f, (struct event){.at_ms = START + 2 * MINUTE, WEIGHTS(0.2, -1, 0.7)});
    assert_string_equal(last_of(&f, 3)->evidence, "a=0.600 c=0.700");
    // a ends ten minutes after its strongest.
    give(&f, (struct event){.at_ms = START + 10 * MINUTE - 1, WEIGHTS(-1, 0.1, -1)});
    assert_string_equal(last_of(&f, 4)->evidence, "a=0.600 b=0.100 c=0.700");
    give(&f, (struct event){.at_ms = START + 10 * MINUTE, WEIGHTS(-1, 0.1, -1)});
    assert_string_equal(last_of(&f, 5)->evidence, "b=0.100 c=0.700");
    fixture_close(&f);
    free_policy(made);
}

static void test_memory_is_of_one_subject(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = evidence_policy(&route);
    struct route *other = add_route(made, "other");
    other->threshold_alert = 0.01;
    other->confidence_within_ms = 10 * MINUTE;
    add_evidence(other, "a", BOUNDARY_NONE);
    add_evidence(other, "b", BOUNDARY_NONE);
    fixture_open(&f, &small_bounds, made);
    give(&f, (struct event){.at_ms = START, .tenant = "x", WEIGHTS(0.6, -1, -1)});
    const struct event others[] = {
        {.at_ms = START, .tenant = "x", .subject = "eve", WEIGHTS(-1, 0.1, -1)},
        {.at_ms = START, .tenant = "y", WEIGHTS(-1, 0.1, -1)},
        {.at_ms = START, .tenant = "x", .route = 1, .weights = {-1, 0.1}, .n_weights = 2},
    };
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        give(&f, others[i]);
        assert_string_equal(last_of(&f, i + 2)->evidence, "b=0.100");
    }
    // Aliases of one identity are one subject.
    struct event alias = {.at_ms = START, .tenant = "x", .subject = "alias", .known_as = "ann", WEIGHTS(-1, 0.1, -1)};
    give(&f, alias);
    assert_string_equal(last_of(&f, 5)->evidence, "a=0.600 b=0.100");
    fixture_close(&f);
    free_policy(made);
}

static void test_nobody_has_no_memory(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = evidence_policy(&route);
    fixture_open(&f, &small_bounds, made);
    give(&f, (struct event){.at_ms = START, .no_subject = true, WEIGHTS(0.6, -1, -1)});
    give(&f, (struct event){.at_ms = START, .no_subject = true, WEIGHTS(-1, 0.1, -1)});
    assert_string_equal(last_of(&f, 2)->evidence, "b=0.100");
    fixture_close(&f);
    free_policy(made);
}

static void test_half_life_numbers(void **state) {
    (void)state;
    assert_true(half_life_factor(0, 1000) == 1);
    assert_true(half_life_factor(1000, 0) == 1);
    assert_true(half_life_factor(1000, 1000) == 0.5);
    assert_true(half_life_factor(10000, 1000) == 0x1p-10);
    assert_true(half_life_factor(64000, 1000) == 0);
    assert_true(half_life_factor(INT64_C(1) << 52, 1) == 0);
    int64_t year_ms = INT64_C(365) * 24 * HOUR;
    assert_true(distance(half_life_factor(year_ms / 2, year_ms), 0.70710678118654752440) < 2e-10);
    // 2^(-1/2), 2^(-1/3), 2^(-5/3), 2^(-1/1000), from tables of more digits than a double has
    assert_true(distance(half_life_factor(500, 1000), 0.70710678118654752440) < 1e-15);
    assert_true(distance(half_life_factor(100, 300), 0.79370052598409973737) < 2e-10);
    assert_true(distance(half_life_factor(500, 300), 0.31498026247371829) < 2e-10);
    assert_true(distance(half_life_factor(1, 1000), 0.99930709299045240) < 2e-10);
    double before = 1;
    for (int64_t age = 1; age < 5000; age++) { // falls, and multiplies as a power must
        double now = half_life_factor(age, 777);
        assert_true(now < before);
        assert_true(distance(half_life_factor(age + 777, 777), now / 2) < 1e-15);
        before = now;
    }
}

static void test_decay(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = evidence_policy(&route);
    route->confidence_half_life_ms = 5 * MINUTE;
    fixture_open(&f, &small_bounds, made);
    give(&f, (struct event){.at_ms = START, WEIGHTS(0.8, -1, -1)});
    give(&f, (struct event){.at_ms = START + 5 * MINUTE, WEIGHTS(-1, -1, 0.5)});
    assert_string_equal(last_of(&f, 2)->evidence, "a=0.400 c=0.500");
    assert_true(distance(f.said[1].confidence, 0.7) < 1e-15);
    // 0.4 is left of the first; the new 0.5 is stronger now and begins a window of its own.
    give(&f, (struct event){.at_ms = START + 5 * MINUTE, WEIGHTS(0.5, -1, -1)});
    assert_string_equal(last_of(&f, 3)->evidence, "a=0.500 c=0.500");
    give(&f, (struct event){.at_ms = START + 10 * MINUTE, WEIGHTS(-1, 0.1, -1)});
    assert_string_equal(last_of(&f, 4)->evidence, "a=0.250 b=0.100 c=0.250");
    fixture_close(&f);
    free_policy(made);
}

static void test_boundary_is_remembered(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = evidence_policy(&route);
    route->threshold_alert = 0.9;
    route->escalate_on = BOUNDARY_TRUST;
    fixture_open(&f, &small_bounds, made);
    give(&f, (struct event){.at_ms = START, WEIGHTS(0.1, -1, -1)});
    assert_int_equal(f.n_said, 0);
    give(&f, (struct event){.at_ms = START, WEIGHTS(-1, 0.1, -1)});
    assert_int_equal(f.n_said, 1);
    give(&f, (struct event){.at_ms = START + 9 * MINUTE, WEIGHTS(-1, -1, 0.1)});
    assert_int_equal(f.n_said, 2);
    give(&f, (struct event){.at_ms = START + 11 * MINUTE, WEIGHTS(-1, -1, 0.1)});
    assert_int_equal(f.n_said, 2);
    fixture_close(&f);
    free_policy(made);
}

static void test_bound(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = evidence_policy(&route);
    struct gate_bounds tiny = small_bounds;
    tiny.evidence_keys = 8;
    fixture_open(&f, &tiny, made);
    char subject[16];
    for (int i = 0; i < 100; i++) {
        snprintf(subject, sizeof subject, "s%d", i);
        give(&f, (struct event){.at_ms = START + i, .subject = subject, WEIGHTS(0.6, -1, -1)});
    }
    const struct gate_counts *counts = gate_get_counts(f.gate);
    assert_in_range(counts->forgotten, 100 - table_slots(&f.gate->evidence), 99);
    // The last ones are there, the first ones are not.
    give(&f, (struct event){.at_ms = START + 100, .subject = "s99", WEIGHTS(-1, 0.1, -1)});
    assert_string_equal(last_of(&f, 101)->evidence, "a=0.600 b=0.100");
    give(&f, (struct event){.at_ms = START + 100, .subject = "s0", WEIGHTS(-1, 0.1, -1)});
    assert_string_equal(last_of(&f, 102)->evidence, "b=0.100");
    fixture_close(&f);
    free_policy(made);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_noisy_or),
        cmocka_unit_test(test_no_evidence_is_certain),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_memory_is_of_one_subject),
        cmocka_unit_test(test_nobody_has_no_memory),
        cmocka_unit_test(test_half_life_numbers),
        cmocka_unit_test(test_decay),
        cmocka_unit_test(test_boundary_is_remembered),
        cmocka_unit_test(test_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
