// Instants, durations and sizes: the forms that real events and people write, and the ones that only look like them.
#include "penstock/base.h"

#include "random.h"

#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>
#include <time.h>

static void reads_the_forms_of_real_events(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t sec;
        int32_t nanos;
    } cases[] = {
        {"2023-07-18T07:29:47Z", 1689665387, 0},                 // CloudTrail
        {"2022-12-10T19:42:23.6660478Z", 1670701343, 666047800}, // Azure, seven digits
        {"2023-02-01T17:51:16.123456789Z", 1675273876, 123456789},
        {"2020-05-11T01:37:38.000-07:00", 1589186258, 0},
        {"2024-02-29T23:59:59+05:30", 1709231399, 0},
        {"2024-02-29T23:59:59+0530", 1709231399, 0},
        {"2023-05-16T15:28:26", 1684250906, 0}, // Microsoft 365: no zone is UTC
        {"2022-11-08 20:09:01.512", 1667938141, 512000000},
        {"2022-11-08 20:09:01.512000000", 1667938141, 512000000},
        {"2022-11-08 20:09:01Z", 1667938141, 0},
        {"2020-10-08 12:00:00 UTC", 1602158400, 0},
        {"2020-10-08 12:00:00 +00:00", 1602158400, 0},
        {"2020-10-08t12:00:00z", 1602158400, 0},
        {"10/20/2022 2:08:52 PM", 1666274932, 0},
        {"1/2/2023 12:00:00 AM", 1672617600, 0}, // twelve in the night is zero
        {"1/2/2023 12:00:00 pm", 1672660800, 0},
        {"1689665387", 1689665387, 0},
        {"1689665387.25", 1689665387, 250000000},
        {"1689665387.123456789", 1689665387, 123456789}, // more than a double holds
        {"1689665387123", 1689665387, 123000000},
        {"1689665387123.5", 1689665387, 123500000},
        {"1689665387123456", 1689665387, 123456000},
        {"1689665387123456789", 1689665387, 123456789},
        {"133341389871234567", 1689665387, 123456700}, // Windows file time
        {"0", 0, 0},
        {"1970-01-01T00:00:00Z", 0, 0},
        {"1969-12-31T23:59:59.999Z", -1, 999000000},
        {"0001-01-01T00:00:00Z", -62135596800, 0},
        {"9999-12-31T23:59:59.999999999Z", 253402300799, 999999999},
        {"2016-12-31T23:59:60Z", 1483228800, 0}, // a leap second
        {"2017-01-01T00:59:60+01:00", 1483228800, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t sec = -7;
        int32_t nanos = -7;
        if (!time_parse(str_of(cases[i].text), &sec, &nanos))
            fail_msg("refused: %s", cases[i].text);
        if (sec != cases[i].sec || nanos != cases[i].nanos)
            fail_msg("%s: %lld.%09d", cases[i].text, (long long)sec, nanos);
    }
}

static void refuses_what_only_looks_like_a_time(void **state) {
    (void)state;
    static const char *const cases[] = {
        "",
        " ",
        "-",
        "None",
        "unlimited",
        "-1",
        "+5",
        "1e9",
        "12:00:00",
        "2023-07-18",
        "2023-07-18T07:29Z",
        "2023-7-18T07:29:47Z",
        "2023-02-29T00:00:00Z",
        "2023-13-01T00:00:00Z",
        "2023-00-01T00:00:00Z",
        "2023-04-31T00:00:00Z",
        "2023-01-00T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2023-01-01T24:00:00Z",
        "2023-01-01T00:60:00Z",
        "2023-01-01T00:00:61Z",
        "2023-01-01T12:00:60Z",
        "2023-01-01T00:00:00.Z",
        "2023-01-01T00:00:00.1234567890123456789Z",
        "2023-01-01T00:00:123.4Z",
        "2023-01-01T00:00:00ZZ",
        "2023-01-01T00:00:00+24:00",
        "2023-01-01T00:00:00+5",
        "2023-01-01T00:00:00+05:60",
        "2023-01-01T00:00:00 CET",
        "2023-01-01T00:00:00 ",
        " 2023-01-01T00:00:00Z",
        "2023-01-01_00:00:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "10000-01-01T00:00:00Z",
        "13/20/2022 2:08:52 PM",
        "10/32/2022 2:08:52 PM",
        "10/20/2022 0:08:52 PM",
        "10/20/2022 13:08:52 PM",
        "10/20/2022 2:08:52",
        "10/20/2022 2:08 PM",
        "10/20/22 2:08:52 PM",
        "10/20/2022 2:08:52PM",
        "10/20/2022 2:08:52 PM ",
        "9223372036854775808",
        "99999999999999999999",
        "1689665387.",
        "1689665387.x",
        "0x5f",
        "16896 65387",
        "2022-11-08 20:09:01512000",
        "Jul 18, 2023 07:29:47 AM",
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t sec;
        int32_t nanos;
        if (time_parse(str_of(cases[i]), &sec, &nanos))
            fail_msg("accepted: %s", cases[i]);
    }
    int64_t sec;
    int32_t nanos;
    assert_false(time_parse((struct str){"2023-07-18T07:29:47Z\0", 21}, &sec, &nanos));
}

static void reads_numbers(void **state) {
    (void)state;
    int64_t sec;
    int32_t nanos;
    assert_true(time_from_int(1689665387, &sec, &nanos) && sec == 1689665387 && nanos == 0);
    assert_true(time_from_int(INT64_MAX, &sec, &nanos) && sec == 9223372036 && nanos == 854775807);
    assert_false(time_from_int(-1, &sec, &nanos));
    assert_false(time_from_int(INT64_MIN, &sec, &nanos));
    assert_true(time_from_number(1689665387.123, &sec, &nanos) && sec == 1689665387 && nanos == 123000000);
    assert_true(time_from_number(1689665387.9999999, &sec, &nanos) && sec == 1689665388 && nanos == 0);
    assert_true(time_from_number(1689665387123.25, &sec, &nanos) && sec == 1689665387 && nanos == 123250000);
    assert_true(time_from_number(1.689665387e15, &sec, &nanos) && sec == 1689665387 && nanos == 0);
    assert_false(time_from_number(-0.5, &sec, &nanos));
    assert_false(time_from_number(0.0 / 0.0, &sec, &nanos));
    assert_false(time_from_number(1e300, &sec, &nanos));
    assert_false(time_from_number(9.3e18, &sec, &nanos));
}

// Against the C library's calendar, over the whole range.
static void format_and_parse_are_inverse(void **state) {
    (void)state;
    uint64_t seed = 4;
    for (int i = 0; i < 100000; i++) {
        int64_t sec = -62135596800 + (int64_t)random_below(&seed, UINT64_C(315537897600));
        int32_t nanos = (int32_t)random_below(&seed, 1000000000);
        if (i % 4 == 1)
            nanos = nanos / 1000 * 1000;
        if (i % 4 == 2)
            nanos = nanos / 1000000 * 1000000;
        if (i % 4 == 3)
            nanos = 0;
        char text[TIME_TEXT_MAX], expected[128];
        size_t len = time_format(sec, nanos, text);
        assert_int_equal(len, strlen(text));
        assert_int_equal(len, i % 4 == 0 && nanos % 1000 ? 30 : strlen(text));
        time_t instant = (time_t)sec;
        struct tm civil;
        gmtime_r(&instant, &civil);
        snprintf(expected, sizeof expected, "%04d-%02d-%02dT%02d:%02d:%02d", civil.tm_year + 1900, civil.tm_mon + 1,
                 civil.tm_mday, civil.tm_hour, civil.tm_min, civil.tm_sec);
        assert_memory_equal(text, expected, 19);
        int64_t sec_again;
        int32_t nanos_again;
        assert_true(time_parse((struct str){text, len}, &sec_again, &nanos_again));
        assert_true(sec_again == sec && nanos_again == nanos);
    }
}

static void formats_milliseconds(void **state) {
    (void)state;
    char text[TIME_TEXT_MAX];
    assert_int_equal(time_format_ms(1795229721000, text), 24);
    assert_string_equal(text, "2026-11-21T02:55:21.000Z");
    time_format_ms(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
    time_format_ms(INT64_MAX, text); // clamped, not garbled
    assert_memory_equal(text, "9999-12-31T23:59:59", 19);
    time_format_ms(INT64_MIN, text);
    assert_memory_equal(text, "0001-01-01T00:00:00", 19);
    time_format(5, 120000000, text);
    assert_string_equal(text, "1970-01-01T00:00:05.120Z");
    time_format(5, 120000, text);
    assert_string_equal(text, "1970-01-01T00:00:05.000120Z");
    time_format(5, 0, text);
    assert_string_equal(text, "1970-01-01T00:00:05Z");
}

static void clocks_run(void **state) {
    (void)state;
    int64_t before = clock_monotonic_us(), before_ms = clock_monotonic_ms();
    clock_sleep_ms(5);
    clock_sleep_ms(0);
    clock_sleep_ms(-1);
    assert_true(clock_monotonic_us() - before >= 5000);
    assert_true(clock_monotonic_ms() - before_ms >= 4);
    assert_true(clock_now_ms() > INT64_C(1700000000000));
}

static void durations(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
        const char *formatted;
    } good[] = {
        {"250ms", 250, "250ms"},
        {"30s", 30000, "30s"},
        {"15m", 900000, "15m"},
        {"4h", 14400000, "4h"},
        {"14d", 1209600000, "14d"},
        {"1h30m", 5400000, "1h30m"},
        {"90m", 5400000, "1h30m"},
        {"1d2h3m4s5ms", 93784005, "1d2h3m4s5ms"},
        {"0s", 0, "0s"},
        {"36h", 129600000, "1d12h"},
        {"3653d", 315619200000, "3653d"},
        {"1m500ms", 60500, "1m500ms"},
    };
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        int64_t ms = -1;
        char text[TIME_TEXT_MAX];
        assert_true(duration_parse(str_of(good[i].text), &ms));
        assert_true(ms == good[i].ms);
        assert_int_equal(duration_format(ms, text), strlen(good[i].formatted));
        assert_string_equal(text, good[i].formatted);
    }
    static const char *const bad[] = {"",
                                      "5",
                                      "m",
                                      "5 m",
                                      " 5m",
                                      "5m ",
                                      "-5m",
                                      "+5m",
                                      "1.5h",
                                      "30m1h",
                                      "1h1h",
                                      "5min",
                                      "5M",
                                      "3654d",
                                      "99999999999999999999s",
                                      "9223372036854775807d",
                                      "5w",
                                      "1h30"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        int64_t ms;
        if (duration_parse(str_of(bad[i]), &ms))
            fail_msg("accepted: %s", bad[i]);
    }
    char text[TIME_TEXT_MAX];
    duration_format(-1500, text);
    assert_string_equal(text, "-1s500ms");
    duration_format(INT64_MIN, text);
    assert_string_equal(text, "-106751991167d7h12m55s808ms");
    uint64_t seed = 5;
    for (int i = 0; i < 20000; i++) {
        int64_t ms = (int64_t)random_below(&seed, UINT64_C(315619200001)), again;
        size_t len = duration_format(ms, text);
        assert_true(duration_parse((struct str){text, len}, &again));
        assert_true(again == ms);
    }
}

static void sizes(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0},
                {"1000", 1000},
                {"7B", 7},
                {"64KiB", 65536},
                {"1MiB", 1048576},
                {"2GiB", UINT64_C(2147483648)},
                {"10MB", 10000000},
                {"3kB", 3000},
                {"3KB", 3000},
                {"1TB", UINT64_C(1000000000000)},
                {"1TiB", UINT64_C(1099511627776)}};
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        uint64_t bytes = 1;
        assert_true(size_parse(str_of(good[i].text), &bytes));
        assert_true(bytes == good[i].bytes);
    }
    static const char *const bad[] = {
        "", "KiB", "-1", "1 KiB", "1.5MiB", "1mib", "1K", "1PB", "9999999999999TiB", "99999999999999999999"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        uint64_t bytes;
        if (size_parse(str_of(bad[i]), &bytes))
            fail_msg("accepted: %s", bad[i]);
    }
}

static void nothing_is_none_of_them(void **state) {
    (void)state;
    struct str nothing = {0};
    int64_t n;
    int32_t nanos;
    uint64_t bytes;
    assert_false(time_parse(nothing, &n, &nanos));
    assert_false(duration_parse(nothing, &n));
    assert_false(size_parse(nothing, &bytes));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_forms_of_real_events),
        cmocka_unit_test(refuses_what_only_looks_like_a_time),
        cmocka_unit_test(reads_numbers),
        cmocka_unit_test(format_and_parse_are_inverse),
        cmocka_unit_test(formats_milliseconds),
        cmocka_unit_test(clocks_run),
        cmocka_unit_test(durations),
        cmocka_unit_test(sizes),
        cmocka_unit_test(nothing_is_none_of_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
