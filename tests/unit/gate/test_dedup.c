// Dedup and redelivery: what is a repeat, what is the same event again, and what must pass.
#include "fixture.h"

static struct test_policy *dedup_policy(struct route **route) {
    struct test_policy *made = new_policy();
    add_consumer(made, "all", "true");
    *route = add_route(made, "misuse");
    add_evidence(*route, "odd", BOUNDARY_NONE);
    (*route)->dedup_within_ms = 15 * MINUTE;
    return made;
}

#define WEIGHT(weight) .weights = {weight}, .n_weights = 1

static void test_window(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = dedup_policy(&route);
    fixture_open(&f, &small_bounds, made);
    give(&f, (struct event){.at_ms = START, WEIGHT(0.5)});
    give(&f, (struct event){.at_ms = START, WEIGHT(0.5)});
    give(&f, (struct event){.at_ms = START + 15 * MINUTE - 1, WEIGHT(0.5)});
    assert_int_equal(last_of(&f, 1)->duplicates, 0);
    // The window ends with its first, not with its last; the next output tells how many there were.
    give(&f, (struct event){.at_ms = START + 15 * MINUTE, WEIGHT(0.5)});
    assert_int_equal(last_of(&f, 2)->duplicates, 2);
    give(&f, (struct event){.at_ms = START + 31 * MINUTE, WEIGHT(0.5)});
    assert_int_equal(last_of(&f, 3)->duplicates, 0);
    assert_int_equal(gate_get_counts(f.gate)->deduplicated, 2);
    assert_int_equal(gate_get_route_counts(f.gate, 0)->deduplicated, 2);
    check_laws(f.gate);
    fixture_close(&f);
    free_policy(made);
}

static void test_below_is_no_repeat(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = dedup_policy(&route);
    fixture_open(&f, &small_bounds, made);
    give(&f, (struct event){.at_ms = START, WEIGHT(0.1)});
    give(&f, (struct event){.at_ms = START, WEIGHT(0.5)});
    assert_int_equal(f.n_said, 1);
    assert_int_equal(gate_get_counts(f.gate)->below, 1);
    fixture_close(&f);
    free_policy(made);
}

static void test_stronger_passes(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = dedup_policy(&route);
    fixture_open(&f, &small_bounds, made);
    give(&f, (struct event){.at_ms = START, WEIGHT(0.5)});
    give(&f, (struct event){.at_ms = START + MINUTE, WEIGHT(0.5)});
    give(&f, (struct event){.at_ms = START + 2 * MINUTE, WEIGHT(0.9)}); // the signal passes, and renews
    assert_int_equal(last_of(&f, 2)->kind, OUTPUT_IS_SIGNAL);
    assert_int_equal(f.said[1].duplicates, 1);
    give(&f, (struct event){.at_ms = START + 3 * MINUTE, WEIGHT(0.9)});
    give(&f, (struct event){.at_ms = START + 16 * MINUTE, WEIGHT(0.5)}); // weaker, in the renewed window
    assert_int_equal(f.n_said, 2);
    give(&f, (struct event){.at_ms = START + 17 * MINUTE, WEIGHT(0.9)});
    assert_int_equal(last_of(&f, 3)->duplicates, 2);
    fixture_close(&f);
    free_policy(made);
}

static void test_stronger_action_passes(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = dedup_policy(&route);
    struct test_policy *harder = dedup_policy(&route);
    made->routes[0].action = STR("restrict");
    fixture_open(&f, &small_bounds, made);
    give(&f, (struct event){.at_ms = START, WEIGHT(0.9)});
    adopt(&f, START, harder);
    give(&f, (struct event){.at_ms = START, WEIGHT(0.9)});
    assert_string_equal(last_of(&f, 2)->action, "revoke");
    give(&f, (struct event){.at_ms = START, WEIGHT(0.9)});
    assert_int_equal(f.n_said, 2);
    fixture_close(&f);
    free_policy(made);
    free_policy(harder);
}

static void test_keys_are_apart(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = dedup_policy(&route);
    fixture_open(&f, &small_bounds, made);
    give(&f, (struct event){.at_ms = START, .tenant = "x", WEIGHT(0.5)});
    give(&f, (struct event){.at_ms = START, .tenant = "y", WEIGHT(0.5)});
    give(&f, (struct event){.at_ms = START, .tenant = "x", .key = "other", WEIGHT(0.5)});
    assert_int_equal(f.n_said, 3);
    give(&f, (struct event){.at_ms = START, .tenant = "x", .subject = "eve", .key = "other", WEIGHT(0.5)});
    assert_int_equal(f.n_said, 3);
    fixture_close(&f);
    free_policy(made);
}

static void test_shadow_silences_nothing(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = dedup_policy(&route), *shadow = dedup_policy(&route);
    shadow->routes[0].mode = MODE_SHADOW;
    fixture_open(&f, &small_bounds, shadow);
    give(&f, (struct event){.at_ms = START, WEIGHT(0.9)});
    give(&f, (struct event){.at_ms = START, WEIGHT(0.9)});
    const struct gate_counts *counts = gate_get_counts(f.gate);
    assert_int_equal(f.n_said, 0);
    assert_int_equal(counts->shadow_signals, 1);
    assert_int_equal(counts->deduplicated, 1);
    assert_int_equal(gate_get_route_counts(f.gate, 0)->shadow, 1);
    adopt(&f, START, made);
    give(&f, (struct event){.at_ms = START, WEIGHT(0.9)});
    assert_int_equal(f.n_said, 1);
    check_laws(f.gate);
    fixture_close(&f);
    free_policy(made);
    free_policy(shadow);
}

static void test_full_table_forgets_the_oldest(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = dedup_policy(&route);
    struct gate_bounds tiny = small_bounds;
    tiny.dedup_keys = 8;
    fixture_open(&f, &tiny, made);
    char key[16];
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "k%d", i);
        give(&f, (struct event){.at_ms = START + i, .key = key, WEIGHT(0.5)});
        // What came last is never what is forgotten.
        give(&f, (struct event){.at_ms = START + i, .key = key, WEIGHT(0.5)});
    }
    assert_int_equal(f.n_said, 200);
    assert_int_equal(gate_get_counts(f.gate)->deduplicated, 200);
    assert_true(gate_get_counts(f.gate)->forgotten > 150);
    fixture_close(&f);
    free_policy(made);
}

// ---- redelivery -----------------------------------------------------------------------------

static void test_ordered_redelivery(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = dedup_policy(&route);
    route->dedup_within_ms = 0;
    fixture_open(&f, &small_bounds, made);
    const struct event events[] = {
        {.at_ms = START, .offset = 10, .index = 0, WEIGHT(0.5)},
        {.at_ms = START, .offset = 10, .index = 1, WEIGHT(0.5)},
        {.at_ms = START, .offset = 12, .index = 0, WEIGHT(0.5)},
    };
    for (size_t i = 0; i < COUNT_OF(events); i++)
        give(&f, events[i]);
    for (size_t i = 0; i < COUNT_OF(events); i++)
        give(&f, events[i]);
    assert_int_equal(f.n_said, 3);
    assert_int_equal(gate_get_counts(f.gate)->redelivered, 3);
    assert_int_equal(gate_get_counts(f.gate)->candidates, 3);
    give(&f, (struct event){.at_ms = START, .offset = 12, .index = 1, WEIGHT(0.5)});
    assert_int_equal(f.n_said, 4);
    check_laws(f.gate);
    fixture_close(&f);
    free_policy(made);
}

static void test_redelivery_never_suppresses_itself(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = dedup_policy(&route);
    fixture_open(&f, &small_bounds, made);
    give(&f, (struct event){.at_ms = START, .offset = 5, WEIGHT(0.5)});
    give(&f, (struct event){.at_ms = START, .offset = 5, WEIGHT(0.5)});
    assert_int_equal(gate_get_counts(f.gate)->deduplicated, 0);
    assert_int_equal(gate_get_counts(f.gate)->redelivered, 1);
    fixture_close(&f);
    free_policy(made);
}

static void test_unordered_redelivery(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = dedup_policy(&route);
    route->dedup_within_ms = 0;
    fixture_open(&f, &small_bounds, made);
    give(&f, (struct event){.at_ms = START, .unordered = true, .offset = 9, WEIGHT(0.5)});
    give(&f, (struct event){.at_ms = START, .unordered = true, .offset = 7, WEIGHT(0.5)}); // late, not taken before
    assert_int_equal(f.n_said, 2);
    give(&f, (struct event){.at_ms = START + HOUR - 1, .unordered = true, .offset = 9, WEIGHT(0.5)});
    give(&f, (struct event){.at_ms = START + HOUR - 1, .unordered = true, .offset = 7, WEIGHT(0.5)});
    assert_int_equal(f.n_said, 2);
    assert_int_equal(gate_get_counts(f.gate)->redelivered, 2);
    give(&f, (struct event){.at_ms = START + HOUR, .unordered = true, .offset = 9, WEIGHT(0.5)});
    assert_int_equal(f.n_said, 3);
    fixture_close(&f);
    free_policy(made);
}

struct positions {
    struct position first;
    size_t n;
};

static void note_position(void *ctx, const struct position *position) {
    struct positions *noted = ctx;
    if (noted->n++ == 0)
        noted->first = *position;
}

static void give_dead_letter(struct fixture *f, int64_t offset) {
    struct dead_letter letter = {
        .at = {.source = STR("okta"), .offset = offset, .ordered = true},
        .reason = STR("invalid_json"),
        .bytes = STR("{"),
    };
    buf_clear(&f->record);
    dead_letter_write(&f->record, &letter);
    assert_true(step(f, RECORD_DEAD, START, NULL));
}

static void give_position(struct fixture *f, int64_t next_offset) {
    buf_clear(&f->record);
    position_write(&f->record, &(struct position){.source = STR("okta"), .next_offset = next_offset});
    assert_true(step(f, RECORD_POSITION, START, NULL));
}

static void check_position(const struct fixture *f, int64_t next_offset) {
    struct positions noted = {.n = 0};
    gate_each_position(f->gate, note_position, &noted);
    assert_int_equal(noted.n, 1);
    assert_true(str_eq(noted.first.source, STR("okta")));
    assert_int_equal(noted.first.next_offset, next_offset);
}

static void test_positions(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = dedup_policy(&route);
    route->dedup_within_ms = 0;
    fixture_open(&f, &small_bounds, made);
    give(&f, (struct event){.at_ms = START, .offset = 10, WEIGHT(0.5)});
    check_position(&f, 10); // elements of 10 may be still to come
    give_position(&f, 11);
    check_position(&f, 11);
    give_position(&f, 4); // never back
    check_position(&f, 11);
    give(&f, (struct event){.at_ms = START, .offset = 10, .index = 3, WEIGHT(0.5)});
    assert_int_equal(gate_get_counts(f.gate)->redelivered, 1);
    give_position(&f, 20);
    give(&f, (struct event){.at_ms = START, .offset = 19, WEIGHT(0.5)});
    assert_int_equal(gate_get_counts(f.gate)->redelivered, 2);
    assert_int_equal(f.n_said, 1);
    fixture_close(&f);
    free_policy(made);
}

static void test_dead_letters(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = dedup_policy(&route);
    fixture_open(&f, &small_bounds, made);
    give_dead_letter(&f, 3);
    assert_int_equal(last_of(&f, 1)->kind, OUTPUT_IS_DEAD_LETTER);
    assert_string_equal(f.said[0].consumer, "");
    assert_int_equal(f.said[0].seq, 1);
    check_position(&f, 3);
    give_dead_letter(&f, 3);
    assert_int_equal(f.n_said, 1);
    // One event may give a dead letter and a candidate, in either order.
    give(&f, (struct event){.at_ms = START, .offset = 3, WEIGHT(0.5)});
    give(&f, (struct event){.at_ms = START, .offset = 4, .key = "other", WEIGHT(0.5)});
    give_dead_letter(&f, 4);
    assert_int_equal(f.n_said, 4);
    assert_int_equal(gate_consumer_seq(f.gate, STR("")), 2);
    assert_int_equal(gate_get_counts(f.gate)->dead_letters, 2);
    assert_int_equal(gate_get_counts(f.gate)->redelivered, 1);
    fixture_close(&f);
    free_policy(made);
}

static void test_damaged_records(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = dedup_policy(&route);
    fixture_open(&f, &small_bounds, NULL);
    struct event event = {.at_ms = START, .offset = 1, .generation = 1, WEIGHT(0.5)};
    f.made = made;
    write_event(&f, &event);
    assert_false(step(&f, RECORD_CANDIDATE, START, NULL)); // no policy to decide by
    adopt(&f, START, made);
    write_event(&f, &event);
    size_t whole = f.record.len;
    for (f.record.len = 0; f.record.len < whole; f.record.len++)
        assert_false(step(&f, RECORD_CANDIDATE, START, NULL));
    assert_int_equal(gate_get_counts(f.gate)->damaged, whole + 1);
    assert_int_equal(gate_get_counts(f.gate)->candidates, 0);
    assert_false(step(&f, (enum record_type)99, START, NULL));
    assert_false(step(&f, RECORD_POLICY, START, NULL));
    f.record.len = whole;
    assert_true(step(&f, RECORD_CANDIDATE, START, NULL));
    assert_int_equal(f.n_said, 1);
    fixture_close(&f);
    free_policy(made);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_below_is_no_repeat),
        cmocka_unit_test(test_stronger_passes),
        cmocka_unit_test(test_stronger_action_passes),
        cmocka_unit_test(test_keys_are_apart),
        cmocka_unit_test(test_shadow_silences_nothing),
        cmocka_unit_test(test_full_table_forgets_the_oldest),
        cmocka_unit_test(test_ordered_redelivery),
        cmocka_unit_test(test_redelivery_never_suppresses_itself),
        cmocka_unit_test(test_unordered_redelivery),
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_dead_letters),
        cmocka_unit_test(test_damaged_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
