// What conditions come to: missing fields, presence, the operators' corners, the functions beyond CEL's own, results
// that hang on how much of a path the environment resolves (they must not).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>

#include "test_names.h"

struct expectation {
    const char *source;
    enum expr_truth truth;
};

static const char *const truth_names[] = {
    [EXPR_FALSE] = "false", [EXPR_TRUE] = "true", [EXPR_ABSENT] = "absent", [EXPR_FAILED] = "failed"};

static size_t check_all(const struct expectation *all, size_t n) {
    size_t wrong = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t steps = 1; steps <= 4; steps += 3) {
            struct names names;
            struct expr_error error;
            names_init(&names, steps);
            struct expr *expr = expr_compile(str_of(all[i].source), &names.env, &error);
            enum expr_truth got = expr ? expr_holds(expr, names.slots, names.arena) : EXPR_FAILED;
            if (!expr || got != all[i].truth) {
                wrong++;
                printf("%s: %s, wanted %s (%zu steps) %s\n", all[i].source, expr ? truth_names[got] : "no condition",
                       truth_names[all[i].truth], steps, expr ? "" : error.text);
            }
            expr_free(expr);
            names_free(&names);
        }
    }
    return wrong;
}

static void test_missing_is_not_false(void **state) {
    static const struct expectation all[] = {
        {"event.gone == 'x'", EXPR_ABSENT},
        {"event.gone != 'x'", EXPR_ABSENT},
        {"!(event.gone == 'x')", EXPR_ABSENT},
        {"!raw.no", EXPR_ABSENT},
        {"event.gone in ['a', 'b']", EXPR_ABSENT},
        {"!(event.gone in ['a', 'b'])", EXPR_ABSENT},
        {"'a' in raw.no", EXPR_ABSENT},
        {"false && event.gone == 'x'", EXPR_FALSE},
        {"event.gone == 'x' && false", EXPR_FALSE},
        {"true && event.gone == 'x'", EXPR_ABSENT},
        {"true || event.gone == 'x'", EXPR_TRUE},
        {"event.gone == 'x' || true", EXPR_TRUE},
        {"event.gone == 'x' || false", EXPR_ABSENT},
        {"event.gone == 'x' ? true : true", EXPR_ABSENT},
        {"event.n == 5 ? true : event.gone == 'x'", EXPR_TRUE},
        {"event.gone == event.gone", EXPR_ABSENT},
        {"raw.no == null", EXPR_ABSENT},
        {"event.gone.startsWith('x')", EXPR_ABSENT},
        {"ip_in(event.gone, '10.0.0.0/8')", EXPR_ABSENT},
        {"ip_in(event.ip, raw.no)", EXPR_ABSENT},
        {"event.gone == 'x' && raw.n / 0 == 1", EXPR_FAILED},
        {"raw.n / 0 == 1 && event.gone == 'x'", EXPR_FAILED},
        {"raw.n / 0 == 1 || event.gone == 'x' || event.n == 5", EXPR_TRUE},
        {"[event.gone, 'x'] == ['x']", EXPR_ABSENT},
        {"raw.list.exists(x, x == 'b' || x == event.gone)", EXPR_TRUE},
        {"raw.list.exists(x, x == event.gone)", EXPR_ABSENT},
        {"raw.list.all(x, x != event.gone)", EXPR_ABSENT},
        {"raw.people.filter(p, p.age > 30).size() == 1", EXPR_ABSENT},
        {"raw.people.filter(p, has(p.age) && p.age > 30).size() == 1", EXPR_TRUE},
        {"raw.people.exists(p, p.age > 30)", EXPR_TRUE},
        {"raw.people.exists(p, p.age > 300)", EXPR_ABSENT},
    };
    (void)state;
    assert_int_equal(check_all(all, COUNT_OF(all)), 0);
}

static void test_presence(void **state) {
    static const struct expectation all[] = {
        {"has(event.type)", EXPR_TRUE},
        {"has(event.gone)", EXPR_FALSE},
        {"has(raw.nothing)", EXPR_TRUE},
        {"has(raw.no)", EXPR_FALSE},
        {"has(raw.no.way.down)", EXPR_FALSE},
        {"has(raw.nothing.x)", EXPR_FALSE},
        {"has(raw.text.x)", EXPR_FALSE},
        {"has(raw.list[0])", EXPR_TRUE},
        {"has(raw.list[9])", EXPR_FALSE},
        {"has(raw['with space'])", EXPR_TRUE},
        {"has(raw.people[1].name)", EXPR_TRUE},
        {"has(raw.people[1].age)", EXPR_FALSE},
        {"!has(event.gone) && event.n == 5", EXPR_TRUE},
        {"raw.nothing == null", EXPR_TRUE},
        {"raw.nothing.x == 1", EXPR_ABSENT},
        {"raw.text.x == 1", EXPR_ABSENT},
        {"raw.text[0] == 1", EXPR_ABSENT},
        {"raw.list.x == 1", EXPR_ABSENT},
        {"raw.list[1] == 'b'", EXPR_TRUE},
        {"raw.list[7] == 'b'", EXPR_ABSENT},
        {"raw.`with space` == 1", EXPR_TRUE},
        {"raw.?no.hasValue()", EXPR_FALSE},
        {"raw.?text.hasValue()", EXPR_TRUE},
        {"raw.?no.orValue('d') == 'd'", EXPR_TRUE},
        {"raw.?text.orValue('d') == 'hello'", EXPR_TRUE},
        {"raw.map[?'k'].orValue(0) == 7", EXPR_TRUE},
        {"raw.map.?q.or(raw.map.?k).value() == 7", EXPR_TRUE},
        {"event.?gone.orValue('none') == 'none'", EXPR_TRUE},
        {"raw.?map.k.orValue(0) == 7", EXPR_TRUE},
        {"raw.?text.optMap(t, t.size()).orValue(0) == 5", EXPR_TRUE},
        {"raw.?no.orValue(raw.text / 0) == 1", EXPR_FAILED},
        {"raw.?text.orValue(raw.n / 0) == 'hello'", EXPR_TRUE},
    };
    (void)state;
    assert_int_equal(check_all(all, COUNT_OF(all)), 0);
}

static void test_null_is_missing_where_nothing_takes_it(void **state) {
    static const struct expectation all[] = {
        {"raw.nothing == null", EXPR_TRUE},
        {"raw.nothing != 'x'", EXPR_TRUE},
        {"raw.nothing == 'x'", EXPR_FALSE},
        {"has(raw.nothing)", EXPR_TRUE},
        {"raw.nothing in ['a', null]", EXPR_TRUE},
        {"raw.nothing in ['a', 'b']", EXPR_FALSE},
        {"raw.nothing in raw.map", EXPR_FALSE},
        {"type(raw.nothing) == type(null)", EXPR_TRUE},
        {"raw.nothing.matches('x')", EXPR_ABSENT},
        {"!raw.nothing.matches('x')", EXPR_ABSENT},
        {"raw.nothing.matches('x') || raw.n == 5", EXPR_TRUE},
        {"raw.nothing.matches('x') && raw.n == 6", EXPR_FALSE},
        {"raw.text.contains(raw.nothing)", EXPR_ABSENT},
        {"ip_in(raw.nothing, ['10.0.0.0/8'])", EXPR_ABSENT},
        {"!ip_in(event.ip, raw.nothing)", EXPR_ABSENT},
        {"eq_fold(raw.nothing, 'a')", EXPR_ABSENT},
        {"string(raw.nothing) == ''", EXPR_ABSENT},
        {"timestamp(raw.nothing) > event.time", EXPR_ABSENT},
        {"size(raw.nothing) == 0", EXPR_ABSENT},
        {"raw.nothing > 5", EXPR_ABSENT},
        {"5 <= raw.nothing", EXPR_ABSENT},
        {"raw.nothing + 'x' == 'x'", EXPR_ABSENT},
        {"-raw.nothing == 0", EXPR_ABSENT},
        {"raw.nothing", EXPR_ABSENT},
        {"!raw.nothing", EXPR_ABSENT},
        {"raw.nothing && true", EXPR_ABSENT},
        {"raw.nothing && false", EXPR_FALSE},
        {"false || raw.nothing", EXPR_ABSENT},
        {"raw.nothing || raw.n / 0 == 1", EXPR_FAILED},
        {"raw.nothing ? true : true", EXPR_ABSENT},
        {"'a' in raw.nothing", EXPR_ABSENT},
        {"!('a' in raw.nothing)", EXPR_ABSENT},
        {"raw.map[raw.nothing] == 1", EXPR_ABSENT},
        {"has(raw.map[raw.nothing])", EXPR_ABSENT},
        {"raw.nothing.exists(x, x == 'a')", EXPR_ABSENT},
        {"raw.mixed.exists(x, x.startsWith('a'))", EXPR_TRUE},
        {"raw.mixed.exists(x, x.startsWith('b'))", EXPR_ABSENT},
        {"raw.mixed.all(x, x.startsWith('a'))", EXPR_ABSENT},
        {"raw.mixed.filter(x, x != null).all(x, x.startsWith('a'))", EXPR_TRUE},
        {"raw.mixed.exists(x, x)", EXPR_FAILED},
        {"raw.mixed.map(x, x + '!').size() == 2", EXPR_ABSENT},
        {"raw.nothing.orValue('x') == 'x'", EXPR_ABSENT},
        {"raw.?nothing.orValue('x') == null", EXPR_TRUE},
        {"raw.?nothing.?x.orValue('x') == 'x'", EXPR_TRUE},
        {"raw.nothing.?x.orValue('x') == 'x'", EXPR_TRUE},
        {"raw.nothing[?0].orValue('x') == 'x'", EXPR_TRUE},
        {"raw.no.?x.orValue('x') == 'x'", EXPR_TRUE},
        {"raw.no[?'x'].orValue('x') == 'x'", EXPR_TRUE},
        {"raw.no.way[?0].orValue('x') == 'x'", EXPR_TRUE},
        {"raw.text.?x.orValue('x') == 'x'", EXPR_TRUE},
        {"raw.list[?raw.n].orValue('x') == 'x'", EXPR_TRUE},
        {"dyn(event.time).?x.hasValue()", EXPR_FAILED},
        {"cel.bind(x, raw.nothing, x < 3)", EXPR_ABSENT},
        {"[?raw.nothing].size() == 0", EXPR_ABSENT},
        // one that stands in the condition is a mistake
        {"raw.n == 5 && dyn([null])[raw.n - 5] == null", EXPR_TRUE},
        {"(raw.n < 0 || dyn(raw.n)) && raw.n == 5", EXPR_FAILED},
        {"[1, 2].exists(x, x < raw.nothing)", EXPR_ABSENT},
    };
    (void)state;
    assert_int_equal(check_all(all, COUNT_OF(all)), 0);
}

static void test_literal_null_is_a_mistake(void **state) {
    static const char *const sources[] = {"raw.n > null", "null.matches('x')", "dyn(null) + 1 == raw.n", "!null",
                                          "raw.n == 5 && null"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        struct names names;
        struct expr_error error;
        names_init(&names, 4);
        assert_null(expr_compile(str_of(sources[i]), &names.env, &error));
        struct expr *expr = expr_compile_unchecked(str_of(sources[i]), &names.env, &error);
        assert_non_null(expr);
        assert_int_equal(expr_holds(expr, names.slots, names.arena), EXPR_FAILED);
        expr_free(expr);
        names_free(&names);
    }
}

static void test_own_functions(void **state) {
    static const struct expectation all[] = {
        {"ip_in(event.ip, '203.0.113.0/24')", EXPR_TRUE},
        {"ip_in(event.ip, ['10.0.0.0/8', '203.0.113.0/24'])", EXPR_TRUE},
        {"ip_in(event.ip, ['10.0.0.0/8', '192.168.0.0/16'])", EXPR_FALSE},
        {"!ip_in(event.ip, raw.networks)", EXPR_FALSE},
        {"ip_in('203.0.113.9:443', raw.networks)", EXPR_TRUE},
        {"ip_in(ip('203.0.113.9'), cidr('203.0.113.0/28'))", EXPR_TRUE},
        {"ip_in('2001:db8::7', '2001:db8::/32')", EXPR_TRUE},
        {"ip_in(raw.text, raw.networks)", EXPR_FALSE},
        {"ip_in(event.ip, raw.text)", EXPR_FAILED},
        {"ip_in(event.ip, raw.list)", EXPR_FAILED},
        {"eq_fold(event.type, 'TOKEN_use')", EXPR_TRUE},
        {"eq_fold(event.type, 'token-use')", EXPR_FALSE},
        {"glob(event.type, 'token_*')", EXPR_TRUE},
        {"glob(event.type, '*_?se')", EXPR_TRUE},
        {"glob(event.type, '*')", EXPR_TRUE},
        {"glob(event.type, 'token')", EXPR_FALSE},
        {"glob('', '')", EXPR_TRUE},
        {"glob('', '?')", EXPR_FALSE},
        {"glob('aXbXc', 'a*b*c')", EXPR_TRUE},
        {"glob('grün', 'gr?n')", EXPR_TRUE},
        {"glob(raw.empty, '**')", EXPR_TRUE},
        {"duration('14d') == duration('336h')", EXPR_TRUE},
        {"timestamp('2026-01-31T12:00:00Z') + duration('1h30m') > timestamp('2026-01-31T13:29:59Z')", EXPR_TRUE},
    };
    (void)state;
    assert_int_equal(check_all(all, COUNT_OF(all)), 0);
}

static void test_operators(void **state) {
    static const struct expectation all[] = {
        {"event.type == \"token_use\" && event.action in [\"a\", \"b\"]", EXPR_TRUE},
        {"event.action in ['q1', 'q2', 'q3', 'q4', 'q5', 'q6', 'q7', 'q8', 'q9', 'b']", EXPR_TRUE},
        {"event.action in ['q1', 'q2', 'q3', 'q4', 'q5', 'q6', 'q7', 'q8', 'q9', 'c']", EXPR_FALSE},
        {"raw.n in ['q1', 'q2']", EXPR_FALSE},
        {"event.action in allowed && !(event.type in allowed)", EXPR_TRUE},
        {"allowed[1] == event.action && allowed.exists(x, x == event.action)", EXPR_TRUE},
        {"limits.high == 9 && has(limits.high) && !has(limits.low)", EXPR_TRUE},
        {"limits.low == 9", EXPR_ABSENT},
        {"[1].exists(raw, raw == 1) && raw.n == 5 && [2].exists(allowed, allowed == 2)", EXPR_TRUE},
        {"[1].exists(raw, .raw.n == 5)", EXPR_TRUE},
        {"raw.n in [3, 4.0, 5u]", EXPR_TRUE},
        {"raw.text in {'hello': 1}", EXPR_TRUE},
        {"raw.n + 9223372036854775807 > 0", EXPR_FAILED},
        {"raw.n - 5 == 0 && raw.n * 2 == 10 && raw.n % 3 == 2 && raw.n / 2 == 2", EXPR_TRUE},
        {"raw.n / (raw.n - 5) == 0", EXPR_FAILED},
        {"raw.n + 1.5 == 6.5", EXPR_FAILED},
        {"double(raw.n) + 1.5 == 6.5", EXPR_TRUE},
        {"raw.real == 2.5 && raw.real > 2 && raw.real < 3u", EXPR_TRUE},
        {"raw.n", EXPR_FAILED},
        {"raw.n < 'x'", EXPR_FAILED},
        {"!raw.n", EXPR_FAILED},
        {"raw.n && raw.n", EXPR_FAILED},
        {"raw.empty == '' && raw.empty.size() == 0 && raw.empty.replace('', 'x') == 'x'", EXPR_TRUE},
        {"raw.empty.reverse() + raw.empty.trim() + raw.empty.substring(0) == ''", EXPR_TRUE},
        {"raw.empty.split('') == [] && raw.empty.split(',') == [''] && [raw.empty].join(raw.empty) == ''", EXPR_TRUE},
        {"raw.empty.contains('') && raw.empty.matches('^$') && raw.empty.indexOf('') == 0", EXPR_TRUE},
        {"'%s|%d'.format([raw.empty, raw.n]) == '|5' && bytes(raw.empty) == b''", EXPR_TRUE},
        {"raw.text.matches(raw.text) && raw.text.matches('^h.*' + 'o$')", EXPR_TRUE},
        {"raw.text.matches('(' + raw.text)", EXPR_FAILED},
        {"'a,b,c'.split(',', 2) == ['a', 'b,c'] && 'abc'.split('', 2) == ['a', 'bc']", EXPR_TRUE},
        {"'aaa'.replace('a', 'bb', 2) == 'bbbba' && 'abc'.replace('', '-') == '-a-b-c-'", EXPR_TRUE},
        {"[1, 2, 3].map(x, x > 1, x * 2) == [4, 6] && {'a': 1}.map(k, k) == ['a']", EXPR_TRUE},
        {"[[1, 2], [3]].map(l, l.map(x, x + l.size())) == [[3, 4], [4]]", EXPR_TRUE},
        {"raw.map.all(k, v, v == 7 && k == 'k') && raw.map.exists(k, k == 'k')", EXPR_TRUE},
        {"cel.bind(n, raw.n + 1, n * n) == 36", EXPR_TRUE},
        {"type(raw.n) == int && type(raw.text) == string && type(raw.list) == list && type(int) == type", EXPR_TRUE},
        {"string(1.0) == '1' && string(1e21) == '1e+21' && string(-0.25) == '-0.25' && string(1e-7) == '1e-07'",
         EXPR_TRUE},
        {"string(duration('-1.5s')) == '-1.5s' && string(duration('90m')) == '5400s'", EXPR_TRUE},
        {"int('-9223372036854775808') == -9223372036854775808 && uint('18446744073709551615') > 0u", EXPR_TRUE},
        {"timestamp('2026-01-01T00:00:00Z').getHours(raw.text) == 3", EXPR_FAILED},
        {"timestamp('2024-02-29T12:00:00Z').getDayOfYear() == 59", EXPR_TRUE},
        {"timestamp('2024-12-31T12:00:00Z').getDayOfYear() == 365", EXPR_TRUE},
        {"timestamp('1969-12-31T23:59:59Z').getFullYear() == 1969", EXPR_TRUE},
        {"math.greatest(raw.n, 9) == 9 && math.least([raw.n, 2.5]) == 2.5", EXPR_TRUE},
        {"math.least(raw.list.filter(x, x == 'q')) == 2.5 || raw.n == 5", EXPR_TRUE},
        {"event.n == 5 // a comment\n && true", EXPR_TRUE},
    };
    (void)state;
    assert_int_equal(check_all(all, COUNT_OF(all)), 0);
}

static void test_time_zones(void **state) {
    static const struct expectation all[] = {
        {"timestamp('2026-03-29T00:59:59Z').getHours('Europe/Zurich') == 1", EXPR_TRUE},
        {"timestamp('2026-03-29T01:00:00Z').getHours('Europe/Zurich') == 3", EXPR_TRUE},
        {"timestamp('2026-10-25T00:59:59Z').getHours('Europe/Zurich') == 2", EXPR_TRUE},
        {"timestamp('2026-10-25T01:00:00Z').getHours('Europe/Zurich') == 2", EXPR_TRUE},
        {"timestamp('1850-01-01T00:00:00Z').getMinutes('Europe/Zurich') == 34", EXPR_TRUE},
        // behind the table's end, where the yearly rule holds
        {"timestamp('2060-07-01T12:00:00Z').getHours('Europe/Zurich') == 14", EXPR_TRUE},
        {"timestamp('2060-12-01T12:00:00Z').getHours('America/New_York') == 7", EXPR_TRUE},
        {"timestamp('2060-12-01T12:00:00Z').getHours('Australia/Sydney') == 23", EXPR_TRUE},
        {"timestamp('2060-12-01T12:00:00Z').getHours('Asia/Tokyo') == 21", EXPR_TRUE},
        {"event.time.getHours('Europe/Zurich') == event.time.getHours('+01:00')", EXPR_TRUE},
    };
    (void)state;
    if (access("/usr/share/zoneinfo/Australia/Sydney", R_OK) != 0)
        skip(); // this machine has no time zone database
    assert_int_equal(check_all(all, COUNT_OF(all)), 0);
}

static void test_reflection(void **state) {
    struct names names;
    struct expr_error error;
    struct value value;
    int slots[4];
    (void)state;
    names_init(&names, 2);
    struct expr *expr = expr_compile(STR("raw.b == 1 || event.type == 'x' || raw.b == 2"), &names.env, &error);
    assert_non_null(expr);
    assert_int_equal(expr_slots(expr, slots, COUNT_OF(slots)), 2);
    assert_true(slots[0] < slots[1]);
    assert_int_equal(expr_type(expr), VALUE_BOOL);
    assert_int_equal(expr_only_slot(expr), -1);
    assert_false(expr_is_constant(expr, &value));
    expr_free(expr);
    expr = expr_compile(STR(" event.type "), &names.env, &error);
    assert_non_null(expr);
    assert_true(expr_only_slot(expr) >= 0);
    assert_int_equal(expr_type(expr), VALUE_STRING);
    assert_true(str_eq(expr_source(expr), STR(" event.type ")));
    expr_free(expr);
    expr = expr_compile(STR("['a', 'b'].map(x, x + '!')[1]"), &names.env, &error);
    assert_non_null(expr);
    assert_true(expr_is_constant(expr, &value));
    assert_int_equal(value.type, VALUE_STRING);
    assert_true(str_eq(value.string, STR("b!")));
    assert_int_equal(expr_slots(expr, slots, COUNT_OF(slots)), 0);
    expr_free(expr);
    names_free(&names);
}

static void test_fuel_and_memory_are_not_absorbed(void **state) {
    static const char source[] = "true || raw.list.all(x, raw.list.all(y, raw.list.all(z, x + y + z != 'no')))";
    struct names names;
    struct expr_error error;
    (void)state;
    names_init(&names, 4);
    struct expr *expr =
        expr_compile(STR("raw.list.all(x, raw.list.all(y, x != y + 'q')) || event.n == 5"), &names.env, &error);
    assert_non_null(expr);
    assert_int_equal(expr_eval(expr, names.slots, names.arena, 1000).type, VALUE_BOOL);
    assert_int_equal(expr_eval(expr, names.slots, names.arena, 10).type, VALUE_ERROR);
    struct arena *small = arena_new(64);
    assert_int_equal(expr_eval(expr, names.slots, small, 1000).type, VALUE_ERROR);
    arena_free(small);
    expr_free(expr);
    expr = expr_compile(str_of(source), &names.env, &error);
    assert_non_null(expr);
    assert_true(expr_eval(expr, names.slots, names.arena, 5).boolean); // what is not needed costs nothing
    expr_free(expr);
    names_free(&names);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing_is_not_false),
        cmocka_unit_test(test_presence),
        cmocka_unit_test(test_null_is_missing_where_nothing_takes_it),
        cmocka_unit_test(test_literal_null_is_a_mistake),
        cmocka_unit_test(test_own_functions),
        cmocka_unit_test(test_operators),
        cmocka_unit_test(test_time_zones),
        cmocka_unit_test(test_reflection),
        cmocka_unit_test(test_fuel_and_memory_are_not_absorbed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
