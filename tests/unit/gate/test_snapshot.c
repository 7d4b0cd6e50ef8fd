// Snapshots: the future is the same with and without one, at any record; damaged bytes are refused, never believed.
#include "scenario.h"

#define RECORDS 300

struct world {
    struct fixture f;
    struct test_policy *policies[2];
    uint64_t seed;
    int64_t at_ms;
    size_t n;
};

// So small that keys are forgotten and buckets find no room: which ones hangs on where every entry lies.
static const struct gate_bounds tight_bounds = {
    .dedup_keys = 10,
    .evidence_keys = 10,
    .bucket_keys = 12,
    .seen_keys = 20,
    .window_keys = 20,
    .known_keys = 4,
    .held_max = 12,
    .held_max_bytes = 12 * BLOCK_BYTES,
};

static void world_open_in(struct world *world, uint64_t seed, struct test_policy *one, struct test_policy *two,
                          const struct gate_bounds *bounds) {
    *world = (struct world){.seed = seed, .at_ms = START, .policies = {one, two}};
    fixture_open(&world->f, bounds, one);
}

static void world_open(struct world *world, uint64_t seed, struct test_policy *one, struct test_policy *two) {
    world_open_in(world, seed, one, two, &small_bounds);
}

static void world_step(struct world *world) {
    if (++world->n % 170 == 0)
        adopt(&world->f, world->at_ms, world->policies[world->n / 170 % 2]);
    scenario_step(&world->f, &world->seed, &world->at_ms);
}

// Puts another gate, loaded from `bytes`, in the place of the world's own.
static void replace_gate(struct world *world, struct str bytes, const struct gate_bounds *bounds) {
    void *memory;
    struct gate *gate = open_gate(bounds, &memory);
    struct status status = {0};
    if (!gate_load(gate, bytes, &world->f.made->policy, &status))
        fail_msg("%s", status.text);
    gate_close(world->f.gate);
    free(world->f.memory);
    world->f.gate = gate;
    world->f.memory = memory;
}

static void check_same_counts(const struct gate *a, const struct gate *b) {
    assert_memory_equal(gate_get_counts(a), gate_get_counts(b), sizeof(struct gate_counts));
    for (size_t i = 0; i < gate_policy(a)->n_routes; i++)
        assert_memory_equal(gate_get_route_counts(a, i), gate_get_route_counts(b, i), sizeof(struct route_counts));
    for (size_t i = 0; i <= gate_policy(a)->n_limits; i++)
        assert_int_equal(gate_held_by_limit(a, i), gate_held_by_limit(b, i));
    assert_int_equal(gate_applied_seq(a), gate_applied_seq(b));
    assert_int_equal(gate_next_timer_ms(a), gate_next_timer_ms(b));
}

// One world runs on; the other is saved and loaded after every record.
static void check_saved_at_every_record(const struct gate_bounds *bounds) {
    struct test_policy *one = scenario_policy(1), *two = scenario_policy(0);
    struct world on, again;
    struct buf saved, once_more;
    buf_init(&saved, (size_t)1 << 24);
    buf_init(&once_more, (size_t)1 << 24);
    world_open_in(&on, 11, one, two, bounds);
    world_open_in(&again, 11, one, two, bounds);
    for (int i = 0; i < RECORDS; i++) {
        buf_clear(&saved);
        gate_save(again.f.gate, &saved);
        buf_clear(&once_more);
        gate_save(on.f.gate, &once_more);
        assert_true(str_eq(buf_view(&saved), buf_view(&once_more)));
        replace_gate(&again, buf_view(&saved), bounds);
        check_same_counts(on.f.gate, again.f.gate);
        buf_clear(&once_more);
        gate_save(again.f.gate, &once_more);
        assert_true(str_eq(buf_view(&saved), buf_view(&once_more)));
        world_step(&on);
        world_step(&again);
    }
    assert_true(gate_get_counts(on.f.gate)->released > 5);
    bool is_tight = bounds == &tight_bounds;
    assert_int_equal(gate_get_counts(on.f.gate)->forgotten > 0, is_tight);
    assert_int_equal(gate_get_counts(on.f.gate)->forgotten_windows > 0, is_tight);
    assert_int_equal(gate_get_counts(on.f.gate)->forgotten_known > 0, is_tight);
    static const char *const with_memory[] = {"often=", "many=", "new=", "next="};
    for (size_t i = 0; i < COUNT_OF(with_memory); i++) {
        bool fired = false;
        for (size_t s = 0; s < on.f.n_said && !fired; s++)
            fired = strstr(on.f.said[s].evidence, with_memory[i]);
        if (!fired && !is_tight)
            fail_msg("%s never fired", with_memory[i]);
    }
    assert_true(str_eq(buf_view(&on.f.transcript), buf_view(&again.f.transcript)));
    buf_free(&saved);
    buf_free(&once_more);
    fixture_close(&on.f);
    fixture_close(&again.f);
    free_policy(one);
    free_policy(two);
}

static void test_saved_at_every_record(void **state) {
    (void)state;
    check_saved_at_every_record(&small_bounds);
}

static void test_saved_at_every_record_at_the_bounds(void **state) {
    (void)state;
    check_saved_at_every_record(&tight_bounds);
}

static void run_to(struct world *world, int records) {
    for (int i = 0; i < records; i++)
        world_step(world);
}

static void test_other_bounds(void **state) {
    (void)state;
    struct test_policy *one = scenario_policy(1), *two = scenario_policy(0);
    struct world on, again;
    struct buf saved;
    struct gate_bounds larger = {5000, 3000, 2000, 4000, 5000, 5000, 2000, 8 * 1024 * 1024};
    buf_init(&saved, (size_t)1 << 24);
    world_open(&on, 21, one, two);
    world_open(&again, 21, one, two);
    run_to(&on, 300);
    run_to(&again, 300);
    gate_save(on.f.gate, &saved);
    assert_true(gate_get_counts(on.f.gate)->held_now > 0);
    replace_gate(&again, buf_view(&saved), &larger);
    check_same_counts(on.f.gate, again.f.gate);
    run_to(&on, 200);
    run_to(&again, 200);
    assert_true(str_eq(buf_view(&on.f.transcript), buf_view(&again.f.transcript)));
    fixture_close(&again.f);

    struct gate_bounds smaller[] = {small_bounds, small_bounds, small_bounds, small_bounds, small_bounds, small_bounds};
    smaller[0].dedup_keys = 1;
    smaller[1].seen_keys = 1;
    smaller[2].held_max = 1;
    smaller[3].held_max_bytes = BLOCK_BYTES;
    smaller[4].window_keys = 1;
    smaller[5].known_keys = 1;
    buf_clear(&saved);
    while (gate_get_counts(on.f.gate)->held_now < 3)
        world_step(&on);
    gate_save(on.f.gate, &saved);
    for (size_t i = 0; i < COUNT_OF(smaller); i++) {
        void *memory;
        struct gate *gate = open_gate(&smaller[i], &memory);
        struct status status = {0};
        assert_false(gate_load(gate, buf_view(&saved), &on.f.made->policy, &status));
        assert_int_equal(status.code, STATUS_FULL);
        gate_close(gate);
        free(memory);
    }
    buf_free(&saved);
    fixture_close(&on.f);
    free_policy(one);
    free_policy(two);
}

static bool loads(struct str bytes, struct test_policy *made, struct status *status) {
    void *memory;
    struct gate *gate = open_gate(&small_bounds, &memory);
    *status = (struct status){0};
    bool loaded = gate_load(gate, bytes, &made->policy, status);
    gate_close(gate);
    free(memory);
    return loaded;
}

static void test_what_is_refused(void **state) {
    (void)state;
    struct test_policy *one = scenario_policy(1), *two = scenario_policy(0);
    struct world world;
    struct buf saved;
    struct status status;
    buf_init(&saved, (size_t)1 << 24);
    world_open(&world, 31, one, two);
    run_to(&world, 100);
    gate_save(world.f.gate, &saved);
    assert_true(loads(buf_view(&saved), one, &status));
    assert_false(loads(buf_view(&saved), two, &status)); // another policy than the one in force
    assert_int_equal(status.code, STATUS_INVALID);
    assert_false(loads((struct str){saved.ptr, saved.len - 1}, one, &status));
    assert_int_equal(status.code, STATUS_CORRUPT);
    buf_char(&saved, 0);
    assert_false(loads(buf_view(&saved), one, &status));
    assert_int_equal(status.code, STATUS_CORRUPT);
    saved.len--;
    saved.ptr[8] = 9; // the version
    assert_false(loads(buf_view(&saved), one, &status));
    assert_non_null(strstr(status.text, "version 9"));
    assert_false(loads(STR(""), one, &status));
    buf_free(&saved);
    fixture_close(&world.f);
    free_policy(one);
    free_policy(two);
}

static void test_without_a_policy(void **state) {
    (void)state;
    struct fixture f;
    struct buf saved;
    struct status status = {0};
    void *memory;
    buf_init(&saved, (size_t)1 << 24);
    fixture_open(&f, &small_bounds, NULL);
    tick(&f, START);
    gate_save(f.gate, &saved);
    struct gate *gate = open_gate(&small_bounds, &memory);
    assert_true(gate_load(gate, buf_view(&saved), NULL, &status));
    assert_int_equal(gate_applied_seq(gate), 1);
    assert_null(gate_policy(gate));
    gate_close(gate);
    free(memory);
    buf_free(&saved);
    fixture_close(&f);
}

// Bytes changed at random: refused, or a state that a gate can go on from without harm.
static void test_hostile_bytes(void **state) {
    (void)state;
    struct test_policy *one = scenario_policy(1), *two = scenario_policy(0);
    struct world world;
    struct buf saved, changed;
    uint64_t seed = 5;
    size_t refused = 0, taken = 0;
    buf_init(&saved, (size_t)1 << 24);
    buf_init(&changed, (size_t)1 << 24);
    world_open(&world, 41, one, two);
    run_to(&world, 150);
    while (gate_get_counts(world.f.gate)->held_now < 8)
        world_step(&world);
    gate_save(world.f.gate, &saved);
    for (int i = 0; i < 400; i++) {
        buf_clear(&changed);
        buf_str(&changed, buf_view(&saved));
        for (uint64_t n = 1 + random_below(&seed, 3); n > 0; n--)
            changed.ptr[random_below(&seed, changed.len)] = (char)random_next(&seed);
        if (random_below(&seed, 10) == 0)
            changed.len = random_below(&seed, changed.len);
        struct fixture f = {.bounds = small_bounds, .made = world.f.made, .generation = world.f.generation};
        buf_init(&f.transcript, (size_t)1 << 24);
        buf_init(&f.record, (size_t)1 << 24);
        f.offset = world.f.offset;
        f.gate = open_gate(&small_bounds, &f.memory);
        struct status status = {0};
        if (gate_load(f.gate, buf_view(&changed), &world.f.made->policy, &status)) {
            taken++;
            int64_t at_ms = world.at_ms;
            for (int k = 0; k < 20; k++)
                scenario_step(&f, &seed, &at_ms);
            adopt(&f, at_ms, world.f.made == one ? two : one);
            tick(&f, at_ms + HOUR);
        } else {
            refused++;
            assert_true(status.code != STATUS_OK && status.text[0]);
        }
        fixture_close(&f);
    }
    assert_true(refused > 100 && taken > 100);
    buf_free(&saved);
    buf_free(&changed);
    fixture_close(&world.f);
    free_policy(one);
    free_policy(two);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_saved_at_every_record), cmocka_unit_test(test_saved_at_every_record_at_the_bounds),
        cmocka_unit_test(test_other_bounds),          cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_without_a_policy),      cmocka_unit_test(test_hostile_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
