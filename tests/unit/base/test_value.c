// Values: presence, equality across types, lists and maps.
#include "penstock/value.h"

#include "random.h"

#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>
#include <math.h>

static struct arena *arena;

static int make_arena(void **state) {
    (void)state;
    arena = arena_new(64 << 20);
    return 0;
}

static int free_arena(void **state) {
    (void)state;
    arena_free(arena);
    return 0;
}

static bool equal(struct value a, struct value b) {
    bool forth = value_equal(&a, &b);
    assert_int_equal(forth, value_equal(&b, &a));
    return forth;
}

static struct value text(const char *s) {
    return value_string(str_of(s));
}

static struct value null_value(void) {
    return (struct value){.type = VALUE_NULL};
}

static void values_are_small(void **state) {
    (void)state;
    assert_int_equal(sizeof(struct value), 24);
}

static void presence(void **state) {
    (void)state;
    struct value v = value_absent();
    assert_false(value_is_present(&v));
    v = null_value();
    assert_false(value_is_present(&v));
    v = text("");
    assert_false(value_is_present(&v));
    v = text("-");
    assert_true(value_is_present(&v));
    v = value_bool(false);
    assert_true(value_is_present(&v));
    v = value_int(0);
    assert_true(value_is_present(&v));
    v = value_list(arena, NULL, 0);
    assert_false(value_is_present(&v));
    v = value_map(arena, NULL, 0);
    assert_false(value_is_present(&v));
    struct value one = value_int(1);
    v = value_list(arena, &one, 1);
    assert_true(value_is_present(&v));
    v = value_error("x");
    assert_false(value_is_present(&v));
}

static void numbers_are_compared_exactly(void **state) {
    (void)state;
    assert_true(equal(value_int(1), value_uint(1)));
    assert_true(equal(value_int(1), value_double(1.0)));
    assert_true(equal(value_double(0.0), value_double(-0.0)));
    assert_true(equal(value_int(0), value_double(-0.0)));
    assert_false(equal(value_int(-1), value_uint(UINT64_MAX)));
    assert_true(equal(value_uint(UINT64_MAX), value_uint(UINT64_MAX)));
    assert_false(equal(value_int(INT64_C(9007199254740993)), value_double(9007199254740992.0)));
    assert_true(equal(value_int(INT64_C(9007199254740992)), value_double(9007199254740992.0)));
    assert_false(equal(value_int(INT64_MAX), value_double(0x1p63)));
    assert_true(equal(value_uint(UINT64_C(1) << 63), value_double(0x1p63)));
    assert_true(equal(value_int(INT64_MIN), value_double(-0x1p63)));
    assert_false(equal(value_uint(UINT64_MAX), value_double(0x1p64)));
    assert_false(equal(value_int(1), value_double(1.5)));
    assert_false(equal(value_double(NAN), value_double(NAN)));
    assert_false(equal(value_int(0), value_double(NAN)));
    assert_false(equal(value_int(1), value_double(INFINITY)));
    assert_true(equal(value_double(INFINITY), value_double(INFINITY)));
}

static void other_types_are_unequal(void **state) {
    (void)state;
    assert_true(equal(text("a"), text("a")));
    assert_false(equal(text("1"), value_int(1)));
    struct value bytes = text("a");
    bytes.type = VALUE_BYTES;
    assert_false(equal(text("a"), bytes));
    assert_true(equal(bytes, bytes));
    assert_false(equal(value_bool(true), value_int(1)));
    assert_true(equal(null_value(), null_value()));
    assert_false(equal(null_value(), value_bool(false)));
    assert_false(equal(value_absent(), value_absent()));
    assert_false(equal(value_error("x"), value_error("x")));
    assert_true(equal(value_timestamp(5, 1), value_timestamp(5, 1)));
    assert_false(equal(value_timestamp(5, 1), value_timestamp(5, 2)));
    struct value duration = value_timestamp(5, 1);
    duration.type = VALUE_DURATION;
    assert_false(equal(duration, value_timestamp(5, 1)));
    struct ip_address a, b;
    ip_parse(STR("10.0.0.1"), &a);
    ip_parse(STR("::ffff:10.0.0.1"), &b);
    assert_true(equal((struct value){.type = VALUE_IP, .ip = &a}, (struct value){.type = VALUE_IP, .ip = &b}));
    struct ip_network n, m;
    ip_network_parse(STR("10.0.0.0/8"), &n);
    ip_network_parse(STR("10.0.0.0/9"), &m);
    assert_false(
        equal((struct value){.type = VALUE_CIDR, .network = &n}, (struct value){.type = VALUE_CIDR, .network = &m}));
    struct value one = value_int(1), one_real = value_double(1);
    struct value some = {.type = VALUE_OPTIONAL, .inner = &one},
                 some_real = {.type = VALUE_OPTIONAL, .inner = &one_real};
    struct value none = {.type = VALUE_OPTIONAL};
    assert_true(equal(some, some_real));
    assert_false(equal(some, none));
    assert_true(equal(none, none));
}

static void lists(void **state) {
    (void)state;
    struct value items[] = {value_int(1), text("b"), null_value()};
    struct value list = value_list(arena, items, 3), shorter = value_list(arena, items, 2), out, key;
    assert_int_equal(value_size(&list), 3);
    assert_true(list.container.source->at(list.container.source, list.container.node, 1, &out));
    assert_true(equal(out, text("b")));
    assert_false(list.container.source->at(list.container.source, list.container.node, 3, &out));
    assert_false(list.container.source->get(list.container.source, list.container.node, &items[0], &out));
    uint64_t cursor = 0;
    int64_t n = 0;
    while (list.container.source->next(list.container.source, list.container.node, &cursor, &key, &out)) {
        assert_true(equal(key, value_int(n)));
        assert_true(equal(out, items[n++]));
    }
    assert_int_equal(n, 3);
    assert_true(equal(list, value_list(arena, items, 3)));
    assert_false(equal(list, shorter));
    struct value others[] = {value_double(1), text("b"), null_value()};
    assert_true(equal(list, value_list(arena, others, 3)));
    others[2] = value_bool(false);
    assert_false(equal(list, value_list(arena, others, 3)));
    assert_false(equal(value_list(arena, NULL, 0), value_map(arena, NULL, 0)));
}

static bool get(struct value map, struct value key, struct value *out) {
    return map.container.source->get(map.container.source, map.container.node, &key, out);
}

// Of all sizes about the one where the index begins; keys of all types, sought by equal keys of other types.
static void maps_find_their_members(void **state) {
    (void)state;
    for (size_t n = 0; n < 60; n++) {
        struct value pairs[120] = {0}, out;
        for (size_t i = 0; i < n; i++) {
            pairs[2 * i] = i % 4 == 0   ? value_int((int64_t)i)
                           : i % 4 == 1 ? value_string(arena_printf(arena, "key%zu", i))
                           : i % 4 == 2 ? value_uint((UINT64_C(1) << 63) + (i << 20))
                                        : value_double((double)i + 0.5);
            pairs[2 * i + 1] = value_int((int64_t)i * 10);
        }
        struct value map = value_map(arena, pairs, n);
        assert_int_equal(value_size(&map), n);
        for (size_t i = 0; i < n; i++) {
            assert_true(get(map, pairs[2 * i], &out));
            assert_true(equal(out, value_int((int64_t)i * 10)));
            if (i % 4 == 0) {
                assert_true(get(map, value_double((double)i), &out) && out.int64 == (int64_t)i * 10);
                assert_true(get(map, value_uint(i), &out) && out.int64 == (int64_t)i * 10);
            }
            if (i % 4 == 2)
                assert_true(get(map, value_double((double)pairs[2 * i].uint64), &out) && out.int64 == (int64_t)i * 10);
        }
        assert_false(get(map, text("key"), &out));
        assert_false(get(map, value_int(-1), &out));
        assert_false(get(map, value_double(NAN), &out));
        assert_false(get(map, null_value(), &out));
        assert_false(map.container.source->at(map.container.source, map.container.node, 0, &out));
        uint64_t cursor = 0;
        size_t walked = 0;
        struct value key;
        while (map.container.source->next(map.container.source, map.container.node, &cursor, &key, &out))
            assert_true(equal(key, pairs[2 * walked++]));
        assert_int_equal(walked, n);
    }
}

static void maps_are_equal_in_any_order(void **state) {
    (void)state;
    uint64_t seed = 7;
    for (size_t n = 1; n < 200; n = n * 3 / 2 + 1) {
        struct value *pairs = arena_alloc(arena, 2 * n * sizeof *pairs),
                     *shuffled = arena_alloc(arena, 2 * n * sizeof *pairs);
        for (size_t i = 0; i < n; i++) {
            pairs[2 * i] = value_string(arena_printf(arena, "%zu", i));
            pairs[2 * i + 1] = value_int((int64_t)i);
        }
        memcpy(shuffled, pairs, 2 * n * sizeof *pairs);
        for (size_t i = n - 1; i > 0; i--) {
            size_t k = random_below(&seed, i + 1);
            for (size_t part = 0; part < 2; part++) {
                struct value swapped = shuffled[2 * i + part];
                shuffled[2 * i + part] = shuffled[2 * k + part];
                shuffled[2 * k + part] = swapped;
            }
        }
        struct value map = value_map(arena, pairs, n);
        assert_true(equal(map, value_map(arena, shuffled, n)));
        size_t at = random_below(&seed, n);
        shuffled[2 * at + 1] = value_int(-1);
        assert_false(equal(map, value_map(arena, shuffled, n)));
        shuffled[2 * at + 1] = shuffled[2 * at];
        shuffled[2 * at] = text("other");
        assert_false(equal(map, value_map(arena, shuffled, n)));
        if (n > 1)
            assert_false(equal(map, value_map(arena, pairs, n - 1)));
    }
}

// Maps in maps, each level in another order than its twin's: the cost must not double with each level.
static void deep_maps_in_other_orders_cost_little(void **state) {
    (void)state;
    struct value a = value_int(1), b = value_int(1);
    for (int level = 0; level < 100; level++) {
        struct value *pairs = arena_alloc(arena, 8 * sizeof *pairs);
        pairs[0] = pairs[6] = text("deeper");
        pairs[1] = a;
        pairs[2] = pairs[4] = text("flat");
        pairs[3] = pairs[5] = value_int(level);
        pairs[7] = b;
        a = value_map(arena, pairs, 2);
        b = value_map(arena, pairs + 4, 2);
    }
    assert_true(equal(a, b));
}

static void depth_is_bounded(void **state) {
    (void)state;
    struct value v = value_int(1);
    for (int level = 0; level < 100000; level++) {
        struct value *inner = arena_alloc(arena, sizeof *inner);
        *inner = v;
        v = value_list(arena, inner, 1);
    }
    assert_false(equal(v, v));
}

static void out_of_memory_is_an_error_value(void **state) {
    (void)state;
    struct arena *tiny = arena_new(16);
    struct value v = value_list(tiny, NULL, 0);
    assert_int_equal(v.type, VALUE_LIST);
    v = value_list(tiny, NULL, 0);
    assert_int_equal(v.type, VALUE_ERROR);
    arena_free(tiny);
}

static void types_have_their_names(void **state) {
    (void)state;
    assert_string_equal(value_type_name(VALUE_NULL), "null_type");
    assert_string_equal(value_type_name(VALUE_TIMESTAMP), "google.protobuf.Timestamp");
    assert_string_equal(value_type_name(VALUE_ANY), "any");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_small),
        cmocka_unit_test(presence),
        cmocka_unit_test(numbers_are_compared_exactly),
        cmocka_unit_test(other_types_are_unequal),
        cmocka_unit_test(lists),
        cmocka_unit_test(maps_find_their_members),
        cmocka_unit_test(maps_are_equal_in_any_order),
        cmocka_unit_test(deep_maps_in_other_orders_cost_little),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(out_of_memory_is_an_error_value),
        cmocka_unit_test(types_have_their_names),
    };
    return cmocka_run_group_tests(tests, make_arena, free_arena);
}
