// Writing: escapes, numbers that read back the same, every type of value.
#include "penstock/json.h"

#include "../base/random.h"
#include "padded.h"

#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>
#include <math.h>

static struct buf out;

static int make_buf(void **state) {
    (void)state;
    buf_init(&out, 1 << 20);
    return 0;
}

static int free_buf(void **state) {
    (void)state;
    buf_free(&out);
    return 0;
}

static void check_out(const char *expected) {
    if (!str_eq(buf_view(&out), str_of(expected)))
        fail_msg("%.*s instead of %s", STR_ARG(buf_view(&out)), expected);
    buf_clear(&out);
}

static void check_string(struct str s, const char *expected) {
    json_write_string(&out, s);
    check_out(expected);
}

static void check_double(double number, const char *expected) {
    json_write_double(&out, number);
    check_out(expected);
}

static void check_value(struct value v, const char *expected) {
    json_write_value(&out, &v);
    check_out(expected);
}

static void strings(void **state) {
    (void)state;
    check_string(STR(""), "\"\"");
    check_string((struct str){0}, "\"\"");
    check_string(STR("plain"), "\"plain\"");
    check_string(STR("a\"b\\c/\b\f\n\r\t"), "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\"");
    check_string((struct str){"\0\x1f\x7f", 3}, "\"\\u0000\\u001f\x7f\"");
    check_string(STR("é€😀"), "\"é€😀\"");
    check_string(STR("a\xff\xc3\x28\xed\xa0\x80z"),
                 "\"a\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\"");
    check_string(STR("cut \xe2\x82"), "\"cut \xef\xbf\xbd\xef\xbf\xbd\"");
    check_string(STR("0123456789abcdef\"0123456789abcdef"), "\"0123456789abcdef\\\"0123456789abcdef\"");
}

// Every byte at every place of the eight that are looked at together.
static void each_byte_at_each_place(void **state) {
    (void)state;
    struct jdoc *doc = jdoc_new(1000, 4);
    for (size_t place = 0; place < 17; place++)
        for (int byte = 0; byte < 256; byte++) {
            char text[17] = "aaaaaaaaaaaaaaaaa";
            text[place] = (char)byte;
            buf_clear(&out);
            json_write_string(&out, (struct str){text, sizeof text});
            assert_int_equal(parse_text(doc, buf_view(&out), NULL), JDOC_OK);
            struct str back = jdoc_root(doc).string;
            if (byte < 0x80) {
                assert_true(str_eq(back, (struct str){text, sizeof text}));
            } else {
                assert_int_equal(back.len, sizeof text + 2);
                assert_memory_equal(back.ptr + place, "\xef\xbf\xbd", 3);
            }
        }
    buf_clear(&out);
    jdoc_free(doc);
}

static void keys(void **state) {
    (void)state;
    buf_char(&out, '{');
    json_write_key(&out, STR("a"));
    buf_char(&out, '{');
    json_write_key(&out, STR("b\""));
    buf_str(&out, STR("\"{\"}"));
    json_write_key(&out, STR("c"));
    buf_str(&out, STR("1}"));
    check_out("{\"a\":{\"b\\\"\":\"{\"},\"c\":1}");
}

static void base64(void **state) {
    (void)state;
    static const char *const cases[][2] = {{"", "\"\""},
                                           {"f", "\"Zg==\""},
                                           {"fo", "\"Zm8=\""},
                                           {"foo", "\"Zm9v\""},
                                           {"foob", "\"Zm9vYg==\""},
                                           {"fooba", "\"Zm9vYmE=\""},
                                           {"foobar", "\"Zm9vYmFy\""},
                                           {"\xff\xfe\xfb", "\"//77\""}}; // RFC 4648
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        json_write_base64(&out, str_of(cases[i][0]));
        check_out(cases[i][1]);
    }
}

static void doubles(void **state) {
    (void)state;
    check_double(0, "0");
    check_double(-0.0, "-0.0");
    check_double(1, "1");
    check_double(-1.5, "-1.5");
    check_double(0.1, "0.1");
    check_double(0.3, "0.3");
    check_double(0.1 + 0.2, "0.30000000000000004");
    check_double(100, "100");
    check_double(123456.789, "123456.789");
    check_double(1700000000000, "1700000000000");
    check_double(9.1e15, "9100000000000000");
    check_double(0x1p53, "9007199254740992");
    check_double(1e16, "1e+16");
    check_double(0x1p59, "5.764607523034235e+17");
    check_double(0x1p63, "9.223372036854776e+18");
    check_double(1e21, "1e+21");
    check_double(1e-6, "0.000001");
    check_double(1.5e-7, "1.5e-7");
    check_double(1e-8, "1e-8");
    check_double(5e-324, "5e-324");
    check_double(1.7976931348623157e308, "1.7976931348623157e+308");
    check_double(NAN, "null");
    check_double(INFINITY, "null");
    check_double(-INFINITY, "null");
}

// Bit patterns over all exponents, decimal fractions as people write them, and integers about the powers of two: each
// reads back the same by the C library and by our own parser, and no text of fewer digits would.
static void doubles_read_back_the_same(void **state) {
    (void)state;
    uint64_t seed = 12;
    struct jdoc *doc = jdoc_new(1000, 4);
    for (int i = 0; i < 200000; i++) {
        double number, read;
        uint64_t bits = random_next(&seed);
        if (i % 3 == 0)
            memcpy(&number, &bits, sizeof number);
        else if (i % 3 == 1)
            number = (double)(int64_t)random_below(&seed, 1000000000) / pow(10, (double)random_below(&seed, 12));
        else
            number = ldexp(1, (int)random_below(&seed, 128) - 64) + (double)random_below(&seed, 3);
        buf_clear(&out);
        json_write_double(&out, number);
        if (!isfinite(number)) {
            assert_true(str_eq(buf_view(&out), STR("null")));
            continue;
        }
        assert_true(str_to_double(buf_view(&out), &read));
        assert_memory_equal(&read, &number, sizeof number);
        assert_int_equal(parse_text(doc, buf_view(&out), NULL), JDOC_OK);
        struct value back = jdoc_root(doc), expected = value_double(number);
        assert_true(value_equal(&back, &expected));
        if (back.type == VALUE_DOUBLE)
            assert_memory_equal(&back.real, &number, sizeof number);
        char fewer[40];
        size_t digits = 0;
        for (size_t k = 0; k < out.len && out.ptr[k] != 'e'; k++)
            digits += out.ptr[k] >= '0' && out.ptr[k] <= '9';
        if (digits > 1 && digits <= 17 && out.ptr[0] >= '1' && memchr(out.ptr, '.', out.len)) {
            snprintf(fewer, sizeof fewer, "%.*e", (int)digits - 2, number);
            assert_true(strtod(fewer, NULL) != number);
        }
    }
    buf_clear(&out);
    jdoc_free(doc);
}

static void every_type(void **state) {
    (void)state;
    struct arena *arena = arena_new(10000);
    check_value(value_absent(), "null");
    check_value((struct value){.type = VALUE_NULL}, "null");
    check_value(value_error("x"), "null");
    check_value(value_bool(true), "true");
    check_value(value_int(INT64_MIN), "-9223372036854775808");
    check_value(value_uint(UINT64_MAX), "18446744073709551615");
    check_value(value_double(2.5), "2.5");
    check_value(value_string(STR("a\n")), "\"a\\n\"");
    check_value((struct value){.type = VALUE_BYTES, .string = STR("foo")}, "\"Zm9v\"");
    check_value((struct value){.type = VALUE_TYPE, .string = STR("int")}, "\"int\"");
    check_value(value_timestamp(1795229721, 5000000), "\"2026-11-21T02:55:21.005Z\"");
    check_value((struct value){.type = VALUE_DURATION, .seconds = 1, .nanos = 500000000}, "\"1.5s\"");
    check_value((struct value){.type = VALUE_DURATION, .seconds = 0, .nanos = -1}, "\"-0.000000001s\"");
    check_value((struct value){.type = VALUE_DURATION, .seconds = -3600}, "\"-3600s\"");
    check_value((struct value){.type = VALUE_DURATION}, "\"0s\"");
    struct ip_address ip;
    struct ip_network v4, v6;
    ip_parse(STR("::ffff:10.1.2.3"), &ip);
    ip_network_parse(STR("10.0.0.0/8"), &v4);
    ip_network_parse(STR("2001:db8::/32"), &v6);
    check_value((struct value){.type = VALUE_IP, .ip = &ip}, "\"10.1.2.3\"");
    check_value((struct value){.type = VALUE_CIDR, .network = &v4}, "\"10.0.0.0/8\"");
    check_value((struct value){.type = VALUE_CIDR, .network = &v6}, "\"2001:db8::/32\"");
    struct value one = value_int(1);
    check_value((struct value){.type = VALUE_OPTIONAL, .inner = &one}, "1");
    check_value((struct value){.type = VALUE_OPTIONAL}, "null");
    struct value items[] = {value_int(1), value_list(arena, NULL, 0), value_map(arena, NULL, 0)};
    struct value pairs[] = {value_string(STR("z")), value_list(arena, items, 3),
                            value_int(-5),          value_bool(false),
                            value_uint(7),          value_absent(),
                            value_bool(true),       value_string(STR(""))};
    check_value(value_map(arena, pairs, 4), "{\"z\":[1,[],{}],\"-5\":false,\"7\":null,\"true\":\"\"}");
    arena_free(arena);
}

static void depth_and_size_are_bounded(void **state) {
    (void)state;
    struct arena *arena = arena_new(64 << 20);
    struct value v = value_int(1);
    for (int level = 0; level < 100000; level++) {
        struct value *inner = arena_alloc(arena, sizeof *inner);
        *inner = v;
        v = value_list(arena, inner, 1);
    }
    json_write_value(&out, &v);
    assert_int_equal(out.len, 512 + 4 + 512);
    assert_memory_equal(out.ptr + 511, "[null]", 6);
    buf_clear(&out);
    struct buf small;
    buf_init(&small, 10);
    json_write_value(&small, &v);
    assert_true(small.overflow);
    assert_int_equal(small.len, 10);
    buf_free(&small);
    arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings),    cmocka_unit_test(each_byte_at_each_place),
        cmocka_unit_test(keys),       cmocka_unit_test(base64),
        cmocka_unit_test(doubles),    cmocka_unit_test(doubles_read_back_the_same),
        cmocka_unit_test(every_type), cmocka_unit_test(depth_and_size_are_bounded),
    };
    return cmocka_run_group_tests(tests, make_buf, free_buf);
}
