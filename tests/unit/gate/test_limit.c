// Limits: exact in every interval, charged all or none, kept apart by their keys.
#include "fixture.h"
#include "random.h"

static struct test_policy *limited_policy(struct route **route) {
    struct test_policy *made = new_policy();
    add_consumer(made, "machines", "kind == \"signal\"");
    add_consumer(made, "people", "kind == \"alert\"");
    *route = add_route(made, "misuse");
    return made;
}

static struct limit *alerting_limit(struct test_policy *made, const char *name, unsigned per, int64_t count,
                                    int64_t per_ms, int64_t burst) {
    struct limit *limit = add_limit(made, name, per, count, per_ms, burst);
    limit->over = OVER_ALERT;
    return limit;
}

// ---- exactness --------------------------------------------------------------------------------

#define ARRIVALS 400

// May one more pass at `at_ms`? If in every interval that ends now at most burst + rate·t have passed, it included.
static bool may_pass(const struct limit *limit, const int64_t *passed, size_t n, int64_t at_ms) {
    if (limit->burst < 1)
        return false;
    for (size_t i = 0; i < n; i++) {
        __int128 over = (__int128)((int64_t)(n - i) + 1 - limit->burst) * limit->rate_per_ms;
        if (over > (__int128)(at_ms - passed[i]) * limit->rate_count)
            return false;
    }
    return true;
}

static void check_exact(uint64_t seed) {
    struct route *route;
    struct fixture f;
    struct test_policy *made = limited_policy(&route);
    static const int64_t periods[] = {1, 7, SECOND, 10 * SECOND, MINUTE, HOUR};
    int64_t period = periods[random_below(&seed, COUNT_OF(periods))];
    int64_t count = 1 + (int64_t)random_below(&seed, random_below(&seed, 2) ? 5 : 1000);
    int64_t burst = 1 + (int64_t)random_below(&seed, 20);
    struct limit *limit = alerting_limit(made, "exact", 0, count, period, burst);
    int64_t gap = period / count * 2 + 3;
    fixture_open(&f, &small_bounds, made);
    int64_t passed[ARRIVALS], at_ms = START;
    size_t n = 0;
    for (size_t i = 0; i < ARRIVALS; i++) {
        if (random_below(&seed, 20) == 0)
            at_ms += (int64_t)random_below(&seed, (uint64_t)(burst * gap));
        else
            at_ms += (int64_t)random_below(&seed, (uint64_t)gap);
        bool expected = may_pass(limit, passed, n, at_ms);
        give(&f, (struct event){.at_ms = at_ms});
        bool sent = last_of(&f, i + 1)->kind == OUTPUT_IS_SIGNAL;
        if (sent != expected)
            fail_msg("%lld per %lld ms, burst %lld: arrival %zu", (long long)count, (long long)period, (long long)burst,
                     i);
        if (sent)
            passed[n++] = at_ms;
    }
    check_laws(f.gate);
    fixture_close(&f);
    free_policy(made);
}

static void test_exact_in_every_interval(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 150; seed++)
        check_exact(seed);
}

static void test_extreme_numbers(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = limited_policy(&route);
    alerting_limit(made, "huge", 0, INT64_MAX, INT64_MAX, INT64_MAX);
    alerting_limit(made, "fast", 0, INT64_MAX, 1, INT64_MAX);
    alerting_limit(made, "slow", 0, 1, INT64_MAX, 2);
    fixture_open(&f, &small_bounds, made);
    for (int i = 0; i < 3; i++)
        give(&f, (struct event){.at_ms = START + i});
    assert_int_equal(f.said[0].kind, OUTPUT_IS_SIGNAL);
    assert_int_equal(f.said[1].kind, OUTPUT_IS_SIGNAL);
    assert_int_equal(f.said[2].kind, OUTPUT_IS_ALERT);
    assert_string_equal(f.said[2].guard, "slow");
    fixture_close(&f);
    free_policy(made);
}

// ---- keys, stages, all or none -------------------------------------------------------------------

static void test_over_alert(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = limited_policy(&route);
    alerting_limit(made, "per-subject", 1u << LIMIT_SUBJECT, 1, MINUTE, 1);
    fixture_open(&f, &small_bounds, made);
    give(&f, (struct event){.at_ms = START});
    give(&f, (struct event){.at_ms = START});
    const struct said *said = last_of(&f, 2);
    assert_string_equal(said->why, "limited");
    assert_string_equal(said->guard, "per-subject");
    assert_string_equal(said->guard_limit, "as written");
    assert_int_equal(said->guard_generation, 1);
    assert_int_equal(gate_get_counts(f.gate)->over_alerts, 1);
    assert_int_equal(gate_get_counts(f.gate)->signals, 2);
    check_laws(f.gate);
    fixture_close(&f);
    free_policy(made);
}

static void check_key(unsigned per, struct event other, bool apart) {
    struct route *route;
    struct fixture f;
    struct test_policy *made = limited_policy(&route);
    add_route(made, "other")->action = STR("restrict");
    alerting_limit(made, "keyed", per, 1, MINUTE, 1);
    fixture_open(&f, &small_bounds, made);
    give(&f, (struct event){.at_ms = START, .tenant = "t"});
    give(&f, other);
    assert_int_equal(last_of(&f, 2)->kind, apart ? OUTPUT_IS_SIGNAL : OUTPUT_IS_ALERT);
    fixture_close(&f);
    free_policy(made);
}

static void test_keys(void **state) {
    (void)state;
    const struct event subject = {.at_ms = START, .tenant = "t", .subject = "eve"};
    const struct event alias = {.at_ms = START, .tenant = "t", .subject = "alias", .known_as = "ann"};
    const struct event tenant = {.at_ms = START, .tenant = "u"};
    const struct event detector = {.at_ms = START, .tenant = "t", .detector = "d"};
    const struct event route = {.at_ms = START, .tenant = "t", .route = 1};
    check_key(0, subject, false);
    check_key(0, tenant, false);
    check_key(1u << LIMIT_SUBJECT, subject, true);
    check_key(1u << LIMIT_SUBJECT, alias, false);
    check_key(1u << LIMIT_SUBJECT, tenant, true);
    check_key(1u << LIMIT_SUBJECT, detector, false);
    check_key(1u << LIMIT_DETECTOR, detector, true);
    check_key(1u << LIMIT_DETECTOR, subject, false);
    check_key(1u << LIMIT_ROUTE, route, true);
    check_key(1u << LIMIT_ROUTE, tenant, false);
    check_key(1u << LIMIT_TENANT, tenant, true);
    check_key(1u << LIMIT_TENANT, subject, false);
    check_key(1u << LIMIT_ACTION, route, true);
    check_key(1u << LIMIT_ACTION, subject, false);
    check_key(1u << LIMIT_TENANT | 1u << LIMIT_ACTION, route, true);
    check_key(1u << LIMIT_TENANT | 1u << LIMIT_ACTION, subject, false);
}

static void test_only_some_actions(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = limited_policy(&route);
    struct str actions[] = {STR("isolate"), STR("revoke")};
    struct limit *limit = alerting_limit(made, "hard", 0, 1, MINUTE, 1);
    limit->actions = actions;
    limit->n_actions = COUNT_OF(actions);
    add_route(made, "mild")->action = STR("notify");
    fixture_open(&f, &small_bounds, made);
    for (int i = 0; i < 3; i++)
        give(&f, (struct event){.at_ms = START, .route = 1});
    give(&f, (struct event){.at_ms = START});
    assert_int_equal(last_of(&f, 4)->kind, OUTPUT_IS_SIGNAL);
    give(&f, (struct event){.at_ms = START});
    assert_int_equal(last_of(&f, 5)->kind, OUTPUT_IS_ALERT);
    fixture_close(&f);
    free_policy(made);
}

static void test_refused_by_a_later_limit_charges_none(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = limited_policy(&route);
    alerting_limit(made, "subject", 1u << LIMIT_SUBJECT, 1, HOUR, 3);
    alerting_limit(made, "global", 0, 1, MINUTE, 1);
    fixture_open(&f, &small_bounds, made);
    give(&f, (struct event){.at_ms = START});
    for (int i = 0; i < 10; i++) // all refused by the second limit
        give(&f, (struct event){.at_ms = START});
    give(&f, (struct event){.at_ms = START + MINUTE});
    give(&f, (struct event){.at_ms = START + 2 * MINUTE});
    assert_int_equal(gate_get_counts(f.gate)->sent_units, 3);
    give(&f, (struct event){.at_ms = START + 3 * MINUTE});
    assert_string_equal(last_of(&f, 14)->guard, "subject");
    fixture_close(&f);
    free_policy(made);
}

static void test_consumer_stage(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = new_policy();
    add_consumer(made, "one", "kind == \"signal\"");
    add_consumer(made, "two", "kind == \"signal\"");
    add_consumer(made, "people", "kind == \"alert\"");
    route = add_route(made, "misuse");
    route->has_signal = true;
    alerting_limit(made, "global", 0, 1, MINUTE, 3); // charged once a signal, whatever the number of consumers
    alerting_limit(made, "per-consumer", 1u << LIMIT_CONSUMER, 1, HOUR, 2);
    fixture_open(&f, &small_bounds, made);
    give(&f, (struct event){.at_ms = START});
    give(&f, (struct event){.at_ms = START});
    assert_int_equal(gate_get_counts(f.gate)->sent_units, 4);
    give(&f, (struct event){.at_ms = START});
    assert_int_equal(f.n_said, 6); // an alert for each consumer's unit
    assert_string_equal(f.said[4].guard, "per-consumer");
    assert_string_equal(f.said[5].guard, "per-consumer");
    assert_false(hash128_eq(f.said[4].id, f.said[5].id));
    give(&f, (struct event){.at_ms = START});
    assert_string_equal(last_of(&f, 7)->guard, "global");
    assert_int_equal(gate_get_counts(f.gate)->signal_units, 7);
    check_laws(f.gate);
    fixture_close(&f);
    free_policy(made);
}

// ---- the table of buckets is full ------------------------------------------------------------------

static void test_no_room_for_a_bucket_holds(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = limited_policy(&route);
    struct gate_bounds tiny = small_bounds;
    tiny.bucket_keys = 1; // a few slots, and no number of them that three goes into
    add_limit(made, "subject", 1u << LIMIT_SUBJECT, 1, MINUTE, 1);
    add_limit(made, "second", 1u << LIMIT_SUBJECT, 1, MINUTE, 1);
    add_limit(made, "third", 1u << LIMIT_SUBJECT, 1, MINUTE, 1);
    made->policy.hold_ttl_ms = 2 * HOUR;
    fixture_open(&f, &tiny, made);
    char subject[16];
    for (int i = 0; i < 100; i++) {
        snprintf(subject, sizeof subject, "s%d", i);
        give(&f, (struct event){.at_ms = START, .subject = subject});
    }
    const struct gate_counts *counts = gate_get_counts(f.gate);
    assert_true(counts->held_now > 80);
    assert_int_equal(counts->forgotten, 0);
    assert_int_equal(counts->sent_units + counts->held_now, 100);
    assert_true(table_slots(&f.gate->buckets) % 3 != 0);
    uint64_t charged = 0; // all buckets of a signal or none
    for (uint64_t slot = 0; slot < table_slots(&f.gate->buckets); slot++)
        charged += f.gate->buckets.entries[slot].expires_ms > START;
    assert_int_equal(charged, 3 * counts->sent_units);
    check_laws(f.gate);
    for (int64_t minute = 1; counts->held_now > 0 && minute < 60; minute++)
        tick(&f, START + minute * MINUTE + minute);
    assert_int_equal(counts->sent_units, 100);
    assert_int_equal(counts->expired, 0);
    check_laws(f.gate);
    fixture_close(&f);
    free_policy(made);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact_in_every_interval),
        cmocka_unit_test(test_extreme_numbers),
        cmocka_unit_test(test_over_alert),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_only_some_actions),
        cmocka_unit_test(test_refused_by_a_later_limit_charges_none),
        cmocka_unit_test(test_consumer_stage),
        cmocka_unit_test(test_no_room_for_a_bucket_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
