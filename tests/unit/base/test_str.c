// Text: comparing, reading numbers, finding the word that was meant.
#include "penstock/base.h"

#include "random.h"

#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

static void compares(void **state) {
    (void)state;
    assert_true(str_eq(STR("a"), STR("a")));
    assert_false(str_eq(STR("a"), STR("b")));
    assert_true(str_eq((struct str){0}, STR("")));
    assert_true(str_cmp(STR("a"), STR("b")) < 0);
    assert_true(str_cmp(STR("b"), STR("a")) > 0);
    assert_true(str_cmp(STR("a"), STR("ab")) < 0);
    assert_true(str_cmp(STR("\x80"), STR("a")) > 0); // bytes are unsigned
    assert_int_equal(str_cmp((struct str){0}, STR("")), 0);
    assert_true(str_eq_fold(STR("SuCCess"), STR("success")));
    assert_false(str_eq_fold(STR("success"), STR("succesz")));
    assert_false(str_eq_fold(STR("["), STR("{"))); // only letters are folded
    assert_true(str_starts(STR("abc"), STR("ab")));
    assert_true(str_starts(STR("abc"), STR("")));
    assert_false(str_starts(STR("a"), STR("ab")));
    assert_true(str_ends(STR("abc"), STR("bc")));
    assert_true(str_ends((struct str){0}, (struct str){0}));
    assert_false(str_ends(STR("c"), STR("bc")));
    assert_true(str_eq(str_trim(STR(" \t\r\n x y \v\f")), STR("x y")));
    assert_int_equal(str_trim(STR(" \n ")).len, 0);
    struct str nothing = {0};
    assert_int_equal(str_trim(nothing).len, 0);
    assert_true(str_starts(nothing, nothing) && str_eq_fold(nothing, STR("")));
}

static void reads_integers(void **state) {
    (void)state;
    int64_t n;
    assert_true(str_to_int64(STR("0"), &n) && n == 0);
    assert_true(str_to_int64(STR("-0"), &n) && n == 0);
    assert_true(str_to_int64(STR("007"), &n) && n == 7);
    assert_true(str_to_int64(STR("9223372036854775807"), &n) && n == INT64_MAX);
    assert_true(str_to_int64(STR("-9223372036854775808"), &n) && n == INT64_MIN);
    const char *bad[] = {"",
                         "-",
                         "+1",
                         " 1",
                         "1 ",
                         "1.0",
                         "0x1",
                         "9223372036854775808",
                         "-9223372036854775809",
                         "99999999999999999999",
                         "--1",
                         "1-",
                         "\xd9\xa1"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(str_to_int64(str_of(bad[i]), &n));
    assert_false(str_to_int64((struct str){"1\0", 2}, &n));
    assert_false(str_to_int64((struct str){0}, &n));
    uint64_t seed = 2;
    for (int i = 0; i < 20000; i++) {
        char text[32];
        int64_t number = (int64_t)random_next(&seed) >> random_below(&seed, 64);
        int len = snprintf(text, sizeof text, "%lld", (long long)number);
        assert_true(str_to_int64((struct str){text, (size_t)len}, &n));
        assert_true(n == number);
    }
}

static void reads_doubles(void **state) {
    (void)state;
    double d;
    assert_true(str_to_double(STR("1.5"), &d) && d == 1.5);
    assert_true(str_to_double(STR("-1e3"), &d) && d == -1000);
    assert_true(str_to_double(STR("+.5E-1"), &d) && d == 0.05);
    assert_true(str_to_double(STR("5."), &d) && d == 5);
    assert_true(str_to_double(STR("1e-999"), &d) && d == 0);
    const char *bad[] = {"",      ".",  "-",  "e1",  "1e",    "1e+",    "inf",  "nan",
                         "0x1p3", " 1", "1 ", "1,5", "1e999", "-1e999", "1.2.3"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(str_to_double(str_of(bad[i]), &d));
    char lengthy[600];
    memset(lengthy, '1', sizeof lengthy);
    assert_false(str_to_double((struct str){lengthy, sizeof lengthy}, &d));
}

static struct str nearest_of(const char *typo) {
    static const struct str words[] = {STR("subject"), STR("session"), STR("source"), STR("outcome"),
                                       STR("id"),      STR("action"),  STR("actor")};
    return str_nearest(str_of(typo), words, COUNT_OF(words));
}

static void finds_the_nearest_word(void **state) {
    (void)state;
    assert_true(str_eq(nearest_of("subjet"), STR("subject")));   // a letter is missing
    assert_true(str_eq(nearest_of("sujbect"), STR("subject")));  // neighbours swapped count once
    assert_true(str_eq(nearest_of("subjeect"), STR("subject"))); // one too many
    assert_true(str_eq(nearest_of("Subject"), STR("subject")));
    assert_true(str_eq(nearest_of("sesion"), STR("session")));
    assert_true(str_eq(nearest_of("acton"), STR("action")));
    assert_true(str_eq(nearest_of("ID"), STR("id")));
    assert_null(nearest_of("").ptr);
    assert_null(nearest_of("xy").ptr); // a third of two letters is none
    assert_null(nearest_of("banana").ptr);
    char lengthy[200];
    memset(lengthy, 'a', sizeof lengthy);
    struct str word = {lengthy, sizeof lengthy};
    assert_null(str_nearest(word, &word, 1).ptr); // over the bound of 64
    assert_null(str_nearest(STR("subject"), NULL, 0).ptr);
}

static void knows_where_characters_end(void **state) {
    (void)state;
    assert_int_equal(utf8_length(STR("a")), 1);
    assert_int_equal(utf8_length(STR("é")), 2);
    assert_int_equal(utf8_length(STR("€")), 3);
    assert_int_equal(utf8_length(STR("😀")), 4);
    assert_int_equal(utf8_length(STR("\xf4\x8f\xbf\xbf")), 4);
    const char *bad[] = {"\x80",         "\xc0\x80",         "\xc1\xbf",         "\xc3",         "\xc3x",
                         "\xe0\x9f\xbf", "\xe2\x82",         "\xe2\x82x",        "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                         "\xf0\x9f\x98", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(utf8_length(str_of(bad[i])), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares),
        cmocka_unit_test(reads_integers),
        cmocka_unit_test(reads_doubles),
        cmocka_unit_test(finds_the_nearest_word),
        cmocka_unit_test(knows_where_characters_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
