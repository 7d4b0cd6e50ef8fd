// Conditions written to hurt: too deep, too long, too dear. Each is refused with a reason or stops at its fuel or its
// memory, in bounded time; none crashes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "test_names.h"

static struct buf repeat(const char *before, const char *again, size_t n, const char *middle, const char *after) {
    struct buf out;
    buf_init(&out, 1 << 20);
    buf_str(&out, str_of(before));
    for (size_t i = 0; i < n; i++)
        buf_str(&out, str_of(again));
    buf_str(&out, str_of(middle));
    for (size_t i = 0; after && i < n; i++)
        buf_str(&out, str_of(after));
    must(!out.overflow);
    return out;
}

// Compiles and frees `source`; what it came to, and its time bound.
enum came_to { REFUSED, ERRED, GAVE };

static enum came_to try_source(struct str source, bool unchecked, size_t memory) {
    struct names names;
    struct expr_error error;
    int64_t begin = clock_monotonic_ms();
    names_init(&names, 4);
    struct expr *expr =
        unchecked ? expr_compile_unchecked(source, &names.env, &error) : expr_compile(source, &names.env, &error);
    enum came_to came_to = REFUSED;
    if (expr) {
        struct arena *scratch = arena_new(memory);
        struct value v = expr_eval(expr, names.slots, scratch, EXPR_FUEL_DEFAULT);
        came_to = v.type == VALUE_ERROR ? ERRED : GAVE;
        arena_free(scratch);
    } else {
        assert_true(error.text[0] != '\0' && error.line > 0 && error.offset <= source.len);
    }
    expr_free(expr);
    names_free(&names);
    assert_true(clock_monotonic_ms() - begin < 20000); // seconds only under a sanitizer on a busy machine
    return came_to;
}

static enum came_to try_repeated(const char *before, const char *again, size_t n, const char *middle,
                                 const char *after) {
    struct buf source = repeat(before, again, n, middle, after);
    enum came_to checked = try_source(buf_view(&source), false, 1 << 20);
    enum came_to unchecked = try_source(buf_view(&source), true, 1 << 20);
    assert_true(checked == unchecked || checked == REFUSED);
    buf_free(&source);
    return checked;
}

static void test_deep_nesting_is_refused(void **state) {
    static const struct {
        const char *again, *middle, *after;
    } shapes[] = {
        {"(", "1", ")"},
        {"[", "1", "]"},
        {"{1:", "1", "}"},
        {"raw[", "1", "]"},
        {"size(", "[]", ")"},
        {"true ? 1 : ", "1", NULL},
        {"1 + ", "1", NULL},
        {"1 - (", "1", ")"},
        {"raw.x.?y.", "z", NULL},
        {"!(", "true", ")"},
        {"-(", "1", ")"},
        {"[1].all(x, ", "true", ")"},
        {"cel.bind(x, ", "1", ", x)"},
        {"1 == ", "1", NULL},
        {"true && (", "true", ")"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        for (size_t n = 120; n < 5000; n = n < 140 ? n + 1 : n * 6) {
            struct buf source = repeat("", shapes[i].again, n, shapes[i].middle, shapes[i].after);
            enum came_to came_to = try_source(buf_view(&source), true, 1 << 20);
            if (n > EXPR_DEPTH_MAX)
                assert_int_equal(came_to, REFUSED);
            buf_free(&source);
        }
    }
}

static void test_long_rows_are_not_deep(void **state) {
    (void)state;
    assert_int_equal(try_repeated("", "event.n == 5 && ", 4000, "true", NULL), GAVE);
    assert_int_equal(try_repeated("", "event.n == 4 || ", 4000, "true", NULL), GAVE);
    assert_int_equal(try_repeated("", "!", 65000, "true", NULL), GAVE);
    assert_int_equal(try_repeated("", "-", 65000, "1", NULL), GAVE);
    assert_int_equal(try_repeated("event.n in [", "1,", 32000, "5]", NULL), GAVE);
    assert_int_equal(try_repeated("event.type in [", "'a',", 16000, "'token_use']", NULL), GAVE);
    assert_int_equal(try_repeated("[", "raw.n,", 10000, "1].size() == 10001", NULL), GAVE);
    assert_int_equal(try_repeated("'", "x", 65000, "' == event.type", NULL), GAVE);
    assert_int_equal(try_repeated("", " ", 65000, "true", NULL), GAVE);
    assert_int_equal(try_repeated("", " ", 66000, "true", NULL), REFUSED);
    assert_int_equal(try_repeated("", "\n", 65000, "%", NULL), REFUSED);
}

static void test_big_maps(void **state) {
    struct buf source;
    (void)state;
    buf_init(&source, 1 << 20);
    buf_char(&source, '{');
    for (int i = 0; i < 5000; i++)
        buf_printf(&source, "%d: 1,", i);
    buf_str(&source, STR("}[4999] == 1"));
    assert_int_equal(try_source(buf_view(&source), false, 1 << 20), GAVE);
    buf_clear(&source);
    buf_char(&source, '{');
    for (int i = 0; i < 5000; i++)
        buf_printf(&source, "%du: 1,", i);
    buf_str(&source, STR("4999: 1}.size() == 1"));
    assert_int_equal(try_source(buf_view(&source), true, 1 << 20), ERRED);
    buf_free(&source);
}

static void test_dear_evaluations_stop(void **state) {
    static const char *const dear[] = {
        // loops in loops
        "raw.list.map(a, raw.list.map(b, raw.list.map(c, raw.list.map(d, raw.list.map(e, raw.list.map(f,"
        "raw.list.map(g, raw.list.map(h, raw.list.map(i, raw.list.map(j, raw.list.map(k, raw.n))))))))))).size() > 0",
        // a string that doubles forty times
        "cel.bind(a, raw.text + raw.text, cel.bind(b, a + a, cel.bind(a, b + b, cel.bind(b, a + a, cel.bind(a, b + b,"
        "cel.bind(b, a + a, cel.bind(a, b + b, cel.bind(b, a + a, cel.bind(a, b + b, cel.bind(b, a + a, cel.bind(a, b "
        "+ b,"
        "cel.bind(b, a + a, cel.bind(a, b + b, cel.bind(b, a + a, cel.bind(a, b + b, cel.bind(b, a + a, cel.bind(a, b "
        "+ b,"
        "cel.bind(b, a + a, cel.bind(a, b + b, cel.bind(b, a + a, b.size() > 0))))))))))))))))))))",
        // a list that holds itself ten times, ten times over, and is compared
        "cel.bind(a, [raw, raw, raw, raw, raw, raw, raw, raw], cel.bind(b, [a, a, a, a, a, a, a, a], cel.bind(c, "
        "[b, b, b, b, b, b, b, b], cel.bind(d, [c, c, c, c, c, c, c, c], cel.bind(e, [d, d, d, d, d, d, d, d],"
        "cel.bind(f, [e, e, e, e, e, e, e, e], cel.bind(g, [f, f, f, f, f, f, f, f], g == [f, f, f, f, f, f, f, "
        "f])))))))",
        // the same, written out
        "cel.bind(a, [raw, raw, raw, raw, raw, raw, raw, raw], cel.bind(b, [a, a, a, a, a, a, a, a], cel.bind(c, "
        "[b, b, b, b, b, b, b, b], cel.bind(d, [c, c, c, c, c, c, c, c], cel.bind(e, [d, d, d, d, d, d, d, d],"
        "cel.bind(f, [e, e, e, e, e, e, e, e], '%s'.format([f]))))))) == ''",
        // replacements that grow
        "raw.text.replace('', raw.text).replace('', raw.text).replace('', raw.text).replace('', raw.text)"
        ".replace('', raw.text).replace('', raw.text).replace('', raw.text).replace('', raw.text) == ''",
        // lists that grow
        "cel.bind(a, raw.list + raw.list, cel.bind(b, a + a, cel.bind(a, b + b, cel.bind(b, a + a, cel.bind(a, b + b,"
        "cel.bind(b, a + a, cel.bind(a, b + b, cel.bind(b, a + a, cel.bind(a, b + b, cel.bind(b, a + a, cel.bind(a, b "
        "+ b,"
        "cel.bind(b, a + a, cel.bind(a, b + b, cel.bind(b, a + a, cel.bind(a, b + b, cel.bind(b, a + a, cel.bind(a, b "
        "+ b,"
        "b.size() > 0)))))))))))))))))",
        // patterns made anew each turn
        "raw.list.all(a, raw.list.all(b, raw.list.all(c, raw.list.all(d, raw.list.all(e, raw.list.all(f,"
        "raw.text.matches('h' + a + b + c + d + e + f) || true))))))",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(dear); i++) {
        enum came_to came_to = try_source(str_of(dear[i]), false, 8 << 20);
        if (came_to != ERRED)
            printf("%s\n", dear[i]);
        assert_int_equal(came_to, ERRED);
    }
}

static void test_glob_is_charged(void **state) {
    struct buf source;
    (void)state;
    source = repeat("glob('", "a", 30000, "', '", NULL);
    for (int i = 0; i < 10000; i++)
        buf_str(&source, STR("*a"));
    buf_str(&source, STR("b') || raw.n == 5"));
    try_source(buf_view(&source), true, 1 << 20); // in bounded time, whatever it comes to
    buf_free(&source);
}

static void test_regex_bombs(void **state) {
    struct buf source;
    (void)state;
    assert_int_equal(try_source(STR("raw.text.matches('((((a{100}){100}){100}){100})')"), false, 1 << 20), REFUSED);
    assert_int_equal(try_source(STR("raw.text.matches('(((((a*)*)*)*)*)*b')"), false, 1 << 20), GAVE);
    assert_int_equal(
        try_source(STR("'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac'.matches('^(a+)+$')"), false, 1 << 20), GAVE);
    assert_int_equal(try_repeated("raw.text.matches('", "(", 4000, "')", NULL), REFUSED);
    assert_int_equal(try_repeated("raw.text.matches('", "x", 5000, "')", NULL), REFUSED);
    buf_init(&source, 1 << 20);
    for (int i = 0; i < 1000; i++)
        buf_printf(&source, "raw.text.matches('x{%d}y') || ", i);
    buf_str(&source, STR("true"));
    assert_int_equal(try_source(buf_view(&source), false, 1 << 20), REFUSED);
    buf_free(&source);
}

static void test_overflows_are_errors(void **state) {
    static const char *const over[] = {
        "9223372036854775807 + raw.n",
        "-9223372036854775808 - raw.n",
        "raw.n * 4611686018427387904",
        "-(raw.n - 6 - 9223372036854775807)",
        "(raw.n - 6 - 9223372036854775807) / (raw.n - 6)",
        "(raw.n - 6 - 9223372036854775807) % (raw.n - 6)",
        "raw.n / (raw.n - 5)",
        "raw.n % (raw.n - 5)",
        "uint(raw.n) - 6u",
        "uint(raw.n) * 18446744073709551615u",
        "uint(raw.n - 6)",
        "int(double(raw.n) * 1e300)",
        "uint(double(raw.n) * -1.0)",
        "duration('292y' + raw.text)",
        "duration(string(raw.n) + '000000000000000000h')",
        "timestamp(raw.n * 1000000000000)",
        "event.time + duration('200000000000s')",
        "timestamp(-62135596800) - timestamp(253402300799)",
        "math.abs(raw.n - 6 - 9223372036854775807)",
        "raw.text.charAt(9223372036854775807)",
        "raw.text.substring(-9223372036854775808)",
        "raw.text.replace('', raw.text, -9223372036854775808).substring(1, raw.n - 6)",
        "math.bitShiftLeft(raw.n, -9223372036854775808)",
        "'%.999999999999f'.format([1.0])",
        "'%d'.format([])",
        "'%'.format([1])",
        "'%.'.format([1])",
        "'%q'.format([raw.n])",
    };
    size_t wrong = 0;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(over); i++) {
        enum came_to came_to = try_source(str_of(over[i]), true, 1 << 20);
        if (came_to != ERRED) {
            wrong++;
            printf("%s: %s\n", over[i], came_to == REFUSED ? "refused" : "has a value");
        }
    }
    assert_int_equal(wrong, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deep_nesting_is_refused),
        cmocka_unit_test(test_long_rows_are_not_deep),
        cmocka_unit_test(test_big_maps),
        cmocka_unit_test(test_dear_evaluations_stop),
        cmocka_unit_test(test_glob_is_charged),
        cmocka_unit_test(test_regex_bombs),
        cmocka_unit_test(test_overflows_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
