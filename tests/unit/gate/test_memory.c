// Memory of evidence: windows to the millisecond, the same as a list of all events would say, bounds, traces.
#include "fixture.h"
#include "random.h"

#define TRIES 4000

// Says everything that fires: any evidence is an alert.
static struct test_policy *memory_policy(struct route **route) {
    struct test_policy *made = new_policy();
    add_consumer(made, "all", "true");
    *route = add_route(made, "misuse");
    (*route)->threshold_alert = 0.01;
    (*route)->has_signal = false;
    return made;
}

// Whether the route's evidence of that number fires at an event.
static bool fires(struct fixture *f, int64_t at_ms, size_t number, const char *per, uint64_t value) {
    struct event event = {.at_ms = at_ms, .per = per, .value = value, .n_weights = number + 1};
    for (size_t i = 0; i < number; i++)
        event.weights[i] = -1;
    event.weights[number] = 0.5;
    size_t said = f->n_said;
    give(f, event);
    return f->n_said > said;
}

static void test_count_at_the_edges(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = memory_policy(&route);
    add_memory(route, "burst", MEMORY_COUNT, 3, MINUTE);
    fixture_open(&f, &small_bounds, made);
    assert_false(fires(&f, START, 0, "a", 0));
    assert_false(fires(&f, START + 1, 0, "a", 0));
    assert_false(fires(&f, START + 1, 0, "b", 0)); // of its own
    assert_true(fires(&f, START + MINUTE - 1, 0, "a", 0));
    assert_true(fires(&f, START + MINUTE, 0, "a", 0)); // the second, the third and this one
    assert_false(fires(&f, START + 2 * MINUTE - 1, 0, "a", 0));
    assert_true(fires(&f, START + 2 * MINUTE - 1, 0, "a", 0)); // with the one of START + MINUTE
    assert_true(fires(&f, START + 2 * MINUTE, 0, "a", 0));     // with the two of a millisecond ago
    assert_false(fires(&f, START + 3 * MINUTE, 0, "a", 0));
    fixture_close(&f);
    free_policy(made);
}

// Every count up to 64 against all times kept; over that it is late by less than a grain, and never early.
static void test_count_is_the_count(void **state) {
    (void)state;
    static const int64_t sizes[] = {2, 3, 7, 63, 64, 65, 128, 200, 1000};
    static int64_t times[TRIES];
    for (size_t s = 0; s < COUNT_OF(sizes); s++) {
        struct route *route;
        struct fixture f;
        struct test_policy *made = memory_policy(&route);
        uint64_t seed = s;
        int64_t at_ms = START, n = sizes[s], grain = (n + 63) / 64;
        size_t n_fired = 0, n_quiet = 0;
        add_memory(route, "burst", MEMORY_COUNT, n, n * SECOND);
        fixture_open(&f, &small_bounds, made);
        for (int64_t i = 0; i < TRIES; i++) {
            int64_t pace = at_ms / (200 * SECOND) % 2 ? 2300 : 1700; // around one a second, now over, now under
            at_ms += (int64_t)random_below(&seed, (uint64_t)pace);
            times[i] = at_ms;
            bool fired = fires(&f, at_ms, 0, "a", 0);
            bool in_time = i >= n - 1 && times[i - (n - 1)] > at_ms - n * SECOND;
            bool well_in_time = i >= n - 1 + grain && times[i - (n - 1) - (grain - 1)] > at_ms - n * SECOND;
            if (fired && !in_time)
                fail_msg("%lld: event %lld fires early", (long long)n, (long long)i);
            if (!fired && (grain == 1 ? in_time : well_in_time))
                fail_msg("%lld: event %lld does not fire", (long long)n, (long long)i);
            n_fired += fired;
            n_quiet += !fired && i > n;
        }
        assert_true(n_fired > 20 && n_quiet > 20);
        assert_int_equal(gate_get_counts(f.gate)->forgotten_windows, 0);
        fixture_close(&f);
        free_policy(made);
    }
}

// Against a list of when each value was last seen.
static void test_distinct_is_distinct(void **state) {
    (void)state;
    static const struct {
        int64_t at_least;
        uint64_t values;
    } cases[] = {{2, 3}, {3, 6}, {10, 14}, {40, 60}};
    for (size_t c = 0; c < COUNT_OF(cases); c++) {
        struct route *route;
        struct fixture f;
        struct test_policy *made = memory_policy(&route);
        uint64_t seed = c;
        int64_t at_ms = START, last_ms[64] = {0};
        size_t n_fired = 0;
        add_memory(route, "spray", MEMORY_DISTINCT, cases[c].at_least, 10 * SECOND);
        fixture_open(&f, &small_bounds, made);
        for (int i = 0; i < TRIES; i++) {
            uint64_t value = random_below(&seed, cases[c].values);
            int64_t pace = at_ms / MINUTE % 2 ? 4 * SECOND : 20 * SECOND; // now many in the window, now few
            at_ms += (int64_t)random_below(&seed, (uint64_t)(pace / cases[c].at_least));
            last_ms[value] = at_ms;
            int64_t n = 0;
            for (size_t v = 0; v < cases[c].values; v++)
                n += last_ms[v] > at_ms - 10 * SECOND;
            bool fired = fires(&f, at_ms, 0, "a", value);
            if (fired != (n >= cases[c].at_least))
                fail_msg("at least %lld: %lld at event %d", (long long)cases[c].at_least, (long long)n, i);
            n_fired += fired;
        }
        assert_in_range(n_fired, TRIES / 40, TRIES - TRIES / 40);
        assert_int_equal(gate_get_counts(f.gate)->forgotten_windows, 0);
        fixture_close(&f);
        free_policy(made);
    }
}

static void test_first_seen(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = memory_policy(&route);
    int64_t remember_ms = 14 * 24 * HOUR;
    add_memory(route, "new", MEMORY_FIRST_SEEN, 0, remember_ms);
    fixture_open(&f, &small_bounds, made);
    assert_true(fires(&f, START, 0, "a", 1)); // nothing was known
    assert_false(fires(&f, START, 0, "a", 1));
    assert_true(fires(&f, START, 0, "b", 1));
    assert_true(fires(&f, START + 1, 0, "a", 2));
    assert_false(fires(&f, START + remember_ms - 1, 0, "a", 1)); // and is seen again
    assert_true(fires(&f, START + remember_ms + 1, 0, "a", 2));
    assert_false(fires(&f, START + 2 * remember_ms - 2, 0, "a", 1));
    assert_true(fires(&f, START + 3 * remember_ms - 2, 0, "a", 1));
    fixture_close(&f);
    free_policy(made);
}

static void test_learning(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = memory_policy(&route);
    add_memory(route, "new", MEMORY_FIRST_SEEN, 0, HOUR)->learn_ms = MINUTE;
    fixture_open(&f, &small_bounds, made);
    assert_false(fires(&f, START, 0, "a", 1));
    assert_false(fires(&f, START + MINUTE - 1, 0, "a", 2));
    assert_true(fires(&f, START + MINUTE, 0, "a", 3));
    assert_false(fires(&f, START + MINUTE, 0, "b", 3)); // begins to learn only now
    assert_false(fires(&f, START + MINUTE, 0, "a", 2)); // learnt
    assert_true(fires(&f, START + 2 * MINUTE, 0, "b", 4));
    // Of a key that was not seen for so long that all is forgotten, so is that it was there.
    assert_false(fires(&f, START + MINUTE + HOUR, 0, "a", 9));
    fixture_close(&f);
    free_policy(made);
}

static void test_after(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = memory_policy(&route);
    add_evidence(route, "reset", BOUNDARY_NONE);
    add_after(route, "sign-in", &route->evidence[0], MINUTE);
    struct route *other = add_route(made, "other");
    other->threshold_alert = 0.01;
    add_after(other, "late", &route->evidence[0], HOUR);
    fixture_open(&f, &small_bounds, made);
    assert_false(fires(&f, START, 1, NULL, 0));
    // The event of the reset itself does not come after it, though it would be a sign-in.
    give(&f, (struct event){.at_ms = START, .weights = {0.5, 0.5}, .n_weights = 2});
    assert_string_equal(last_of(&f, 1)->evidence, "reset=0.500");
    give(&f, (struct event){.at_ms = START, .subject = "eve", .weights = {-1, 0.5}, .n_weights = 2});
    give(&f, (struct event){.at_ms = START, .tenant = "y", .weights = {-1, 0.5}, .n_weights = 2});
    assert_int_equal(f.n_said, 1);
    assert_true(fires(&f, START, 1, NULL, 0)); // the same millisecond, but later in the log
    assert_true(fires(&f, START + MINUTE - 1, 1, NULL, 0));
    assert_false(fires(&f, START + MINUTE, 1, NULL, 0));
    size_t said = f.n_said;
    give(&f, (struct event){.at_ms = START + HOUR - 1, .route = 1, .weights = {0.5}, .n_weights = 1});
    assert_int_equal(f.n_said, said + 1);
    give(&f, (struct event){.at_ms = START + HOUR, .route = 1, .weights = {0.5}, .n_weights = 1});
    assert_int_equal(f.n_said, said + 1);
    // Nobody's reset and nobody's sign-in are not the same nobody's.
    give(&f, (struct event){.at_ms = START + HOUR, .no_subject = true, .weights = {0.5}, .n_weights = 1});
    give(&f, (struct event){.at_ms = START + HOUR, .no_subject = true, .weights = {-1, 0.5}, .n_weights = 2});
    assert_int_equal(f.n_said, said + 2);
    fixture_close(&f);
    free_policy(made);
}

// What weighs nothing says nothing by itself, not even what is remembered of others; it can still be come after.
static void test_trace_without_weight(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = memory_policy(&route);
    add_evidence(route, "mark", BOUNDARY_NONE);
    add_after(route, "then", &route->evidence[0], MINUTE);
    add_evidence(route, "else", BOUNDARY_NONE);
    route->confidence_within_ms = HOUR;
    fixture_open(&f, &small_bounds, made);
    give(&f, (struct event){.at_ms = START, .weights = {-1, -1, 0.5}, .n_weights = 3});
    give(&f, (struct event){.at_ms = START, .weights = {0}, .n_weights = 1});
    assert_int_equal(f.n_said, 1);
    assert_int_equal(gate_get_counts(f.gate)->below, 1);
    give(&f, (struct event){.at_ms = START, .weights = {-1, 0.4}, .n_weights = 2});
    assert_string_equal(last_of(&f, 2)->evidence, "then=0.400 else=0.500");
    check_laws(f.gate);
    fixture_close(&f);
    free_policy(made);
}

// What did not fire adds nothing, and does not bring up again what is remembered.
static void test_quiet_evidence_decides_nothing(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = memory_policy(&route);
    add_memory(route, "burst", MEMORY_COUNT, 2, MINUTE);
    add_evidence(route, "plain", BOUNDARY_NONE);
    route->confidence_within_ms = HOUR;
    fixture_open(&f, &small_bounds, made);
    give(&f, (struct event){.at_ms = START, .weights = {0.6, 0.5}, .n_weights = 2});
    assert_string_equal(last_of(&f, 1)->evidence, "plain=0.500");
    assert_false(fires(&f, START + 2 * MINUTE, 0, NULL, 0));
    assert_true(fires(&f, START + 2 * MINUTE, 0, NULL, 0));
    assert_string_equal(last_of(&f, 2)->evidence, "burst=0.500 plain=0.500");
    assert_int_equal(gate_get_counts(f.gate)->below, 1);
    check_laws(f.gate);
    fixture_close(&f);
    free_policy(made);
}

// At the bound keys are forgotten and counted: counts come late, never early; first_seen fires again.
static void test_bounds(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = memory_policy(&route);
    struct gate_bounds tiny = small_bounds;
    tiny.window_keys = tiny.known_keys = 30;
    add_memory(route, "burst", MEMORY_COUNT, 4, HOUR);
    add_memory(route, "spray", MEMORY_DISTINCT, 4, HOUR);
    add_memory(route, "new", MEMORY_FIRST_SEEN, 0, HOUR);
    fixture_open(&f, &tiny, made);
    uint64_t seed = 1, counted[10] = {0}, sprayed[10] = {0};
    size_t n_fired = 0, n_quiet = 0, n_again = 0;
    bool known[10] = {false};
    for (int i = 0; i < TRIES; i++) {
        uint64_t key = random_below(&seed, 10), value = random_below(&seed, 7);
        char per[8];
        snprintf(per, sizeof per, "k%d", (int)key);
        bool burst = fires(&f, START + i, 0, per, 0), spray = fires(&f, START + i, 1, per, value);
        counted[key]++;
        sprayed[key] |= UINT64_C(1) << value;
        assert_false(burst && counted[key] < 4);
        assert_false(spray && __builtin_popcountll(sprayed[key]) < 4);
        n_fired += burst;
        n_quiet += !burst && counted[key] >= 4;
    }
    assert_true(n_fired > 100 && n_quiet > 100); // some are forgotten, some are not
    assert_true(gate_get_counts(f.gate)->forgotten_windows > 100);
    assert_int_equal(gate_get_counts(f.gate)->forgotten_known, 0);
    for (int i = 0; i < 200; i++) {
        uint64_t value = random_below(&seed, 100);
        bool is_new = fires(&f, START + TRIES + i, 2, "k", value);
        n_again += is_new && value < 10 && known[value];
        assert_true(is_new || value >= 10 || known[value]);
        if (value < 10)
            known[value] = true;
    }
    assert_true(n_again > 0);
    assert_true(gate_get_counts(f.gate)->forgotten_known > 50);
    fixture_close(&f);
    free_policy(made);
}

// A ring whose head was forgotten begins anew: its old entries do not pass for events of the new one.
static void test_a_forgotten_head_makes_nothing_early(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = memory_policy(&route);
    add_memory(route, "burst", MEMORY_COUNT, 5, HOUR);
    fixture_open(&f, &small_bounds, made);
    for (int i = 0; i < 7; i++)
        fires(&f, START + i, 0, "a", 0);
    struct entry *head = NULL;
    for (uint64_t i = 0; i < table_slots(&f.gate->windows); i++)
        if (f.gate->windows.entries[i].expires_ms && f.gate->windows.entries[i].payload)
            head = &f.gate->windows.entries[i];
    assert_non_null(head);
    *head = (struct entry){0};
    for (int i = 0; i < 4; i++)
        assert_false(fires(&f, START + 10 + i, 0, "a", 0));
    assert_true(fires(&f, START + 20, 0, "a", 0));
    fixture_close(&f);
    free_policy(made);
}

// Candidates sifted under a policy that counts otherwise are not counted under this one.
static void test_policy_change(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *one = memory_policy(&route);
    add_memory(route, "burst", MEMORY_COUNT, 3, HOUR)->id.hi = 3;
    struct test_policy *two = memory_policy(&route), *same = memory_policy(&route);
    two->policy.n_routes = same->policy.n_routes = 0;
    add_memory(add_route(two, "misuse"), "burst", MEMORY_COUNT, 2, HOUR)->id.hi = 2;
    struct route *again = add_route(same, "misuse");
    again->threshold_alert = 0.01;
    again->has_signal = false;
    add_memory(again, "burst", MEMORY_COUNT, 3, HOUR)->id.hi = 3;
    fixture_open(&f, &small_bounds, one);
    assert_false(fires(&f, START, 0, "a", 0));
    adopt(&f, START, same);
    assert_false(fires(&f, START, 0, "a", 0));
    assert_true(fires(&f, START, 0, "a", 0)); // the memory stays
    adopt(&f, START, two);
    give(&f, (struct event){.at_ms = START, .per = "a", .weights = {0.5}, .n_weights = 1, .generation = 2});
    assert_int_equal(gate_get_counts(f.gate)->stale, 1);
    fixture_close(&f);
    free_policy(one);
    free_policy(two);
    free_policy(same);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_count_at_the_edges),
        cmocka_unit_test(test_count_is_the_count),
        cmocka_unit_test(test_distinct_is_distinct),
        cmocka_unit_test(test_first_seen),
        cmocka_unit_test(test_learning),
        cmocka_unit_test(test_after),
        cmocka_unit_test(test_trace_without_weight),
        cmocka_unit_test(test_quiet_evidence_decides_nothing),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_a_forgotten_head_makes_nothing_early),
        cmocka_unit_test(test_policy_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
