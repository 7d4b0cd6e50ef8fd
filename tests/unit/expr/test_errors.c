// What is refused at compile time, where the caret stands and what the message advises; and that no mistake in a
// condition is let through to the events.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "test_names.h"

static const struct {
    const char *source;
    unsigned line, column;
    const char *says; // a part of the message
} mistakes[] = {
    {"", 1, 1, "empty"},
    {"  ", 1, 1, "empty"},
    {"event.x == 5", 1, 7, "event has no field 'x'"},
    {"event.tpye == 'x'", 1, 7, "did you mean 'type'?"},
    {"identity.owner == 'x'", 1, 1, "there is no 'identity' here"},
    {"event.type == 5", 1, 12, "string and int never compare equal"},
    {"event.type != 5.0", 1, 12, "put the number between quotes"},
    {"event.n == '5'", 1, 9, "int and string never compare equal"},
    {"event.type in [1, 2]", 1, 12, "string is never in this list"},
    {"event.type in 'token'", 1, 12, "text.contains(part)"},
    {"'a' in event.n", 1, 5, "'in' looks into lists and maps"},
    {"event.n < 'x'", 1, 9, "int and string cannot be ordered"},
    {"[1] < [2]", 1, 1, "list has no order"},
    {"event.type && true", 1, 7, "'&&' needs a bool, this is string"},
    {"true || event.n", 1, 15, "'||' needs a bool, this is int"},
    {"!event.n", 1, 8, "'!' needs a bool"},
    {"event.n ? 1 : 2", 1, 7, "'?' needs a bool before it"},
    {"event.n + 'x'", 1, 9, "convert the other side with string(…)"},
    {"event.n + 1.5", 1, 9, "int(…), uint(…) or double(…)"},
    {"-event.type", 1, 1, "'-' does not take string"},
    {"event.type.size", 1, 12, "string has no fields"},
    {"event.n[0]", 1, 8, "int has no elements"},
    {"[1, 2].x", 1, 8, "a list has no fields"},
    {"[1, 2]['x']", 1, 8, "indexed by int"},
    {"event.type.startWith('x')", 1, 12, "did you mean 'startsWith'?"},
    {"nosuch(1)", 1, 1, "there is no function 'nosuch'"},
    {"startsWith(event.type, 'x')", 1, 1, "write value.startsWith(…)"},
    {"event.ip.ip_in('10.0.0.0/8')", 1, 10, "write ip_in(…)"},
    {"event.n.startsWith('x')", 1, 9, "is called on a string, this is int"},
    {"event.type.startsWith(5)", 1, 23, "needs a string here, this is int"},
    {"event.type.startsWith()", 1, 12, "takes 1 argument, not 0"},
    {"event.type.split('a', 1, 2)", 1, 12, "takes 1 to 2 arguments, not 3"},
    {"['a', 'b'].contains(event.type)", 1, 12, "write `element in list`"},
    {"raw.user-agent == 'x'", 1, 10, "raw[\"user-agent\"]"},
    {"math.sine(1.0)", 1, 6, "there is no function 'math.sine'"},
    {"event.type.matches('(')", 1, 20, "missing )"},
    {"event.type.matches('a{2000}')", 1, 20, "RE2"},
    {"ip_in(event.ip, '10.0.0.0/33')", 1, 17, "'10.0.0.0/33' is not a network"},
    {"ip_in(event.ip, ['10.0.0.0/8', 'lan'])", 1, 17, "'lan' is not a network"},
    {"event.time.getHours('Mars/Olympus')", 1, 21, "not a time zone"},
    {"event.time.getHours('../../etc/passwd')", 1, 21, "not a time zone"},
    {"event.time > timestamp('yesterday')", 1, 14, "this always fails: this string is not a time"},
    {"event.time - event.time > duration('5 minutes')", 1, 27, "90s, 1h30m, 14d, 250ms"},
    {"event.n == 1 / 0", 1, 14, "this always fails: division by zero"},
    {"event.n == 9223372036854775808", 1, 12, "does not fit an int"},
    {"event.n == 18446744073709551616u", 1, 12, "does not fit a uint"},
    {"event.n = 5", 1, 9, "write '==' to compare"},
    {"event.n == 5 and true", 1, 14, "did you mean '&&'?"},
    {"event.n == 5 & true", 1, 14, "write '&&' for and"},
    {"event.n == 5 | true", 1, 14, "write '||' for or"},
    {"event.type == 'abc", 1, 15, "not closed"},
    {"event.type == \"abc\n\"", 1, 15, "three quotes"},
    {"event.type == '''abc''", 1, 15, "three quotes as at its start"},
    {"'a\\q'", 1, 3, "no such escape"},
    {"'\\ud800'", 1, 2, "not a Unicode character"},
    {"'\\x4'", 1, 2, "needs 2 hexadecimal digits"},
    {"b'\\u0041'", 1, 3, "bytes take"},
    {"event.type ==", 1, 14, "the condition ends where an expression should follow"},
    {"(event.n == 5", 1, 14, "ends where ')' should follow"},
    {"event.n == 5)", 1, 13, "')' where an operator or the end should be"},
    {"[1, 2", 1, 6, "',' or ']'"},
    {"{1: 2, 3}", 1, 9, "':' should be"},
    {"{1.5: 2}[1]", 1, 1, ""},
    {"f(1,)", 1, 5, "another argument"},
    {"Thing{a: 1}", 1, 6, "no message types"},
    {"for == 1", 1, 1, "reserved word"},
    {"raw.in", 1, 5, "write [\"in\"]"},
    {"raw.list.exists(x)", 1, 10, "one or two variables"},
    {"raw.list.all(1, true)", 1, 14, "needs the name of a variable"},
    {"raw.list.map(x.y, x)", 1, 16, "needs the name of a variable"},
    {"raw.list.all(x, x, true)", 1, 17, "different names"},
    {"raw.list.filter(x, 5)", 1, 20, "needs a condition, this is int"},
    {"event.n.exists(x, true)", 1, 7, "goes over a list or a map"},
    {"has(event)", 1, 5, "has(event.subject)"},
    {"has(1 + 1)", 1, 7, "asks whether a field is there"},
    {"event.type.orValue('x')", 1, 12, "called on an optional"},
    {"raw.?x.or('y')", 1, 11, "orValue(…)"},
    {"event.n == 5 &&\n  event.type == 7", 2, 14, "never compare equal"},
    {"'é' == 'é' && event.n == 'x'", 1, 23, "never compare equal"},
    {"event.n == é", 1, 12, "outside of a string"},
    {"event.n == 5x", 1, 12, "a number ends where a name begins"},
    {"event.n == 0x", 1, 12, "hexadecimal digits"},
    {"raw.`a", 1, 5, "backquotes"},
    {"event.n == \xff", 1, 12, "UTF-8"},
};

static void test_mistakes_are_placed_and_explained(void **state) {
    size_t wrong = 0;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(mistakes); i++) {
        struct names names;
        struct expr_error error;
        names_init(&names, 4);
        struct expr *expr = expr_compile(str_of(mistakes[i].source), &names.env, &error);
        bool said = !expr && strstr(error.text, mistakes[i].says) && !strchr(error.text, '\n');
        if (expr && mistakes[i].says[0] == '\0') // refused at evaluation only
            said = expr_eval(expr, names.slots, names.arena, 100).type == VALUE_ERROR;
        else if (expr || error.line != mistakes[i].line || error.column != mistakes[i].column)
            said = false;
        if (!said) {
            wrong++;
            printf("%s\n    %u:%u %s\n", mistakes[i].source, expr ? 0 : error.line, expr ? 0 : error.column,
                   expr ? "was let through" : error.text);
        }
        expr_free(expr);
        names_free(&names);
    }
    assert_int_equal(wrong, 0);
}

static void test_picture_has_a_caret(void **state) {
    struct names names;
    struct expr_error error;
    struct buf out;
    (void)state;
    names_init(&names, 4);
    buf_init(&out, 4096);
    struct str source = STR("true &&\n  'é' == event.tpye");
    assert_null(expr_compile(source, &names.env, &error));
    expr_show_error(&out, source, &error);
    assert_true(str_eq(buf_view(&out), STR("2:16: event has no field 'tpye'; did you mean 'type'?\n"
                                           "      'é' == event.tpye\n"
                                           "                   ^\n")));
    buf_free(&out);
    names_free(&names);
}

static void test_picture_of_a_long_line_is_cut(void **state) {
    struct names names;
    struct expr_error error;
    struct buf source, out;
    (void)state;
    names_init(&names, 4);
    buf_init(&source, 1 << 16);
    buf_init(&out, 4096);
    for (int i = 0; i < 1000; i++)
        buf_str(&source, STR("'é' == 'é' && "));
    size_t at = source.len;
    buf_str(&source, STR("%%"));
    for (int i = 0; i < 1000; i++)
        buf_str(&source, STR(" && true"));
    assert_null(expr_compile(buf_view(&source), &names.env, &error));
    assert_int_equal(error.offset, at);
    expr_show_error(&out, buf_view(&source), &error);
    assert_true(out.len < 600 && !out.overflow);
    buf_free(&source);
    buf_free(&out);
    names_free(&names);
}

static void test_results_are_explained(void **state) {
    static const struct {
        const char *source;
        unsigned line, column;
        const char *says; // the whole message
    } all[] = {
        {"true &&\n 'é' < event.gone", 2, 14, "event.gone is not there"},
        {"raw.people[1].age > 3", 1, 15, "raw.people[1].age is not there"},
        {"raw.no['k']", 1, 7, "raw.no[\"k\"] is not there"},
        {"raw.list[raw.n] == 'x'", 1, 9, "a field that this hangs on is not there"},
        {"!raw.text.startsWith(raw.nothing)", 1, 26, "raw.nothing is null"},
        {"raw.n == 5 && 10 < raw.nothing", 1, 24, "raw.nothing is null"},
        {"raw.nothing ? 1 : 2", 1, 5, "raw.nothing is null"},
        {"raw.nothing.exists(x, x == 'a')", 1, 5, "raw.nothing is null"},
        {"raw.list.all(x, x != event.gone)", 1, 10, "a field that this hangs on is not there"},
        {"raw.n == 5 ? 1 / (raw.n - 5) : 2 / (raw.n - 5)", 1, 16, "division by zero"},
        {"raw.n == 6 ? 1 / (raw.n - 5) : 2 / (raw.n - 5)", 1, 34, "division by zero"},
        {"event.gone == 'x' || raw.n + 9223372036854775807 > 0", 1, 28, "int overflow"},
        {"cel.bind(x, raw.n / (raw.n - 5), x > 3)", 1, 19, "division by zero"},
        {"raw.text.matches('(' + raw.text)", 1, 10, "not a regular expression (RE2 syntax)"},
    };
    size_t wrong = 0;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        struct names names;
        struct expr_error error;
        names_init(&names, 4);
        struct expr *expr = expr_compile(str_of(all[i].source), &names.env, &error);
        assert_non_null(expr);
        struct value result = expr_eval(expr, names.slots, names.arena, EXPR_FUEL_DEFAULT);
        assert_true(!is_settled(&result));
        expr_explain(expr, names.slots, names.arena, &result, &error);
        if (error.line != all[i].line || error.column != all[i].column || strcmp(error.text, all[i].says) != 0) {
            wrong++;
            printf("%s\n    %u:%u %s\n", all[i].source, error.line, error.column, error.text);
        }
        expr_free(expr);
        names_free(&names);
    }
    assert_int_equal(wrong, 0);
}

static void test_what_cannot_be_evaluated_anew_is_explained_too(void **state) {
    struct names names;
    struct expr_error error;
    (void)state;
    names_init(&names, 4);
    struct expr *expr = expr_compile(STR("true && raw.list.all(x, x != event.action)"), &names.env, &error);
    assert_non_null(expr);
    struct value result = expr_eval(expr, names.slots, names.arena, 3);
    assert_int_equal(result.type, VALUE_ERROR);
    expr_explain(expr, names.slots, names.arena, &result, &error);
    assert_int_equal(error.column, 6);
    assert_string_equal(error.text, "the evaluation took more steps than it may");
    struct arena *full = arena_fixed(16);
    while (arena_alloc(full, 1))
        continue;
    expr_explain(expr, names.slots, full, &result, &error);
    assert_string_equal(error.text, "the evaluation took more steps than it may");
    arena_free(full);
    expr_free(expr);
    names_free(&names);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mistakes_are_placed_and_explained),
        cmocka_unit_test(test_picture_has_a_caret),
        cmocka_unit_test(test_picture_of_a_long_line_is_cut),
        cmocka_unit_test(test_results_are_explained),
        cmocka_unit_test(test_what_cannot_be_evaluated_anew_is_explained_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
