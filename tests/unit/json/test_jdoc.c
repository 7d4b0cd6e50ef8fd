// Parsing: what is accepted, what is refused and for which reason, and values read in place.
#include "penstock/json.h"

#include "../base/random.h"
#include "padded.h"

#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

static struct jdoc *doc;
static struct buf out;

static int make_doc(void **state) {
    (void)state;
    doc = jdoc_new(1 << 20, 64);
    buf_init(&out, 4 << 20);
    return 0;
}

static int free_doc(void **state) {
    (void)state;
    jdoc_free(doc);
    jdoc_free(NULL);
    buf_free(&out);
    return 0;
}

static void check_refused(struct str text, enum jdoc_result reason) {
    enum jdoc_result result = parse_text(doc, text, NULL);
    if (result != reason)
        fail_msg("%.60s: %s, not %s", text.ptr, jdoc_result_name(result), jdoc_result_name(reason));
    assert_int_equal(jdoc_root(doc).type, VALUE_ABSENT);
}

static void check_read_as(const char *text, const char *expected) {
    assert_int_equal(parse_text(doc, str_of(text), &out), JDOC_OK);
    if (!str_eq(buf_view(&out), str_of(expected)))
        fail_msg("%s was read as %.*s", text, STR_ARG(buf_view(&out)));
}

static void refuses_with_a_reason(void **state) {
    (void)state;
    static const struct {
        struct str text;
        enum jdoc_result reason;
    } cases[] = {
        {{"", 0}, JDOC_EMPTY},
        {{NULL, 0}, JDOC_EMPTY},
        {{" \n\t\r ", 5}, JDOC_EMPTY},
        {{"{\"a\":\"\xff\"}", 9}, JDOC_INVALID_UTF8},
        {{"\xff\xfe{\0}\0", 6}, JDOC_INVALID_UTF8}, // UTF-16
        {{"\"\xed\xa0\x80\"", 5}, JDOC_INVALID_UTF8},
        {{"\"\xc0\x80\"", 4}, JDOC_INVALID_UTF8},
        {{"\"\xf0\x9f\x98\"", 5}, JDOC_INVALID_UTF8},
        {{"1e999", 5}, JDOC_INVALID_NUMBER},
        {{"[-1e999]", 8}, JDOC_INVALID_NUMBER},
        {{"18446744073709551616", 20}, JDOC_INVALID_NUMBER},
        {{"-9223372036854775809", 20}, JDOC_INVALID_NUMBER},
        {{"[123456789012345678901234567890]", 32}, JDOC_INVALID_NUMBER},
        {{"01", 2}, JDOC_INVALID_NUMBER},
        {{"1.", 2}, JDOC_INVALID_NUMBER},
        {{"-", 1}, JDOC_INVALID_NUMBER},
        {{"1e", 2}, JDOC_INVALID_NUMBER},
        {{"0x10", 4}, JDOC_INVALID_NUMBER},
        {{"\"\\x\"", 4}, JDOC_INVALID_STRING},
        {{"\"\\ud800\"", 8}, JDOC_INVALID_STRING}, // half a character
        {{"\"\\u12g4\"", 8}, JDOC_INVALID_STRING},
        {{"\"a\nb\"", 5}, JDOC_INVALID_STRING},
        {{"\"a\0b\"", 5}, JDOC_INVALID_STRING},
        {{"{\"a\":\"b", 7}, JDOC_INVALID_STRING},
        {{"{\"a\":1", 6}, JDOC_INVALID_SYNTAX},
        {{"{\"a\":", 5}, JDOC_INVALID_SYNTAX},
        {{"[", 1}, JDOC_INVALID_SYNTAX},
        {{"[1,]", 4}, JDOC_INVALID_SYNTAX},
        {{"{\"a\":1,}", 8}, JDOC_INVALID_SYNTAX},
        {{"{\"a\" 1}", 7}, JDOC_INVALID_SYNTAX},
        {{"{1:2}", 5}, JDOC_INVALID_SYNTAX},
        {{"{'a':1}", 7}, JDOC_INVALID_SYNTAX},
        {{"[1 2]", 5}, JDOC_INVALID_SYNTAX},
        {{"{}]", 3}, JDOC_INVALID_SYNTAX},
        {{"{} x", 4}, JDOC_INVALID_SYNTAX},
        {{"{} {}", 5}, JDOC_INVALID_SYNTAX},
        {{"{}\n{}", 5}, JDOC_INVALID_SYNTAX},
        {{"1 2", 3}, JDOC_INVALID_SYNTAX},
        {{"{}\0", 3}, JDOC_INVALID_SYNTAX},
        {{"\xef\xbb\xbf{}", 5}, JDOC_INVALID_SYNTAX}, // a byte order mark
        {{"nul", 3}, JDOC_INVALID_SYNTAX},
        {{"nullx", 5}, JDOC_INVALID_SYNTAX},
        {{"True", 4}, JDOC_INVALID_SYNTAX},
        {{"NaN", 3}, JDOC_INVALID_SYNTAX},
        {{"+1", 2}, JDOC_INVALID_SYNTAX},
        {{".5", 2}, JDOC_INVALID_SYNTAX},
        {{"// x\n1", 6}, JDOC_INVALID_SYNTAX},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        check_refused(cases[i].text, cases[i].reason);
    check_read_as("{\"still\":\"works\"}", "{\"still\":\"works\"}"); // after any failure
}

static void reads_values_as_they_are(void **state) {
    (void)state;
    check_read_as(" { \"a\" : [ 1 , -2.50 , true , false , null , \"x\" ] , \"b\" : { } } ",
                  "{\"a\":[1,-2.5,true,false,null,\"x\"],\"b\":{}}");
    check_read_as("\"\\u0000\\b\\f\\n\\r\\t\\\"\\\\\\/\\u00e9\\ud83d\\ude00\"",
                  "\"\\u0000\\b\\f\\n\\r\\t\\\"\\\\/é😀\"");
    check_read_as("[9223372036854775807,-9223372036854775808,9223372036854775808,18446744073709551615]",
                  "[9223372036854775807,-9223372036854775808,9223372036854775808,18446744073709551615]");
    check_read_as("[0,-0,-0.0,0.1e-999,1E2,1e-6,1e-7,5e-324,1.7976931348623157e308]",
                  "[0,0,-0.0,0,100,0.000001,1e-7,5e-324,1.7976931348623157e+308]");
    check_read_as("{\"\":1,\"a.b/c:d e\":2}", "{\"\":1,\"a.b/c:d e\":2}");
    check_read_as("1", "1");
    check_read_as("\"x\"", "\"x\"");
}

static void integers_keep_their_type(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum value_type type;
    } cases[] = {{"0", VALUE_INT},
                 {"9223372036854775807", VALUE_INT},
                 {"9223372036854775808", VALUE_UINT},
                 {"18446744073709551615", VALUE_UINT},
                 {"-9223372036854775808", VALUE_INT},
                 {"9007199254740993", VALUE_INT},
                 {"1.0", VALUE_DOUBLE},
                 {"1e3", VALUE_DOUBLE}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(parse_text(doc, str_of(cases[i].text), NULL), JDOC_OK);
        assert_int_equal(jdoc_root(doc).type, cases[i].type);
    }
    parse_text(doc, STR("9007199254740993"), NULL);
    assert_true(jdoc_root(doc).int64 == INT64_C(9007199254740993)); // no double on the way
    parse_text(doc, STR("18446744073709551615"), NULL);
    assert_true(jdoc_root(doc).uint64 == UINT64_MAX);
}

static enum jdoc_result parse_nested(size_t depth, const char *open, const char *inner, const char *close) {
    struct buf text;
    buf_init(&text, 1 << 20);
    for (size_t i = 0; i < depth; i++)
        buf_str(&text, str_of(open));
    buf_str(&text, str_of(inner));
    for (size_t i = 0; i < depth; i++)
        buf_str(&text, str_of(close));
    enum jdoc_result result = parse_text(doc, buf_view(&text), NULL);
    buf_free(&text);
    return result;
}

static void depth_is_bounded(void **state) {
    (void)state;
    assert_int_equal(parse_nested(64, "[", "1", "]"), JDOC_OK);
    assert_int_equal(parse_nested(65, "[", "1", "]"), JDOC_TOO_DEEP);
    assert_int_equal(parse_nested(64, "{\"a\":", "1", "}"), JDOC_OK);
    assert_int_equal(parse_nested(65, "{\"a\":", "1", "}"), JDOC_TOO_DEEP);
    assert_int_equal(parse_nested(10000, "[", "", "]"), JDOC_TOO_DEEP);
    assert_int_equal(parse_nested(10000, "[", "", ""), JDOC_INVALID_SYNTAX); // not closed, which is seen first
    // The bound must also hold when buffers have grown since.
    static char large[300000];
    memset(large, ' ', sizeof large);
    large[0] = '1';
    assert_int_equal(parse_text(doc, (struct str){large, sizeof large}, NULL), JDOC_OK);
    assert_int_equal(parse_nested(64, "[", "1", "]"), JDOC_OK);
    assert_int_equal(parse_nested(65, "[", "1", "]"), JDOC_TOO_DEEP);
}

static void size_is_bounded(void **state) {
    (void)state;
    static char text[1000];
    for (size_t max = 0; max < 200; max++) {
        struct jdoc *small = jdoc_new(max, 8);
        memset(text, ' ', sizeof text);
        text[0] = '7';
        if (max > 0)
            assert_int_equal(parse_text(small, (struct str){text, max}, NULL), JDOC_OK);
        assert_int_equal(parse_text(small, (struct str){text, max + 1}, NULL), JDOC_TOO_LARGE);
        jdoc_free(small);
    }
    // The densest document of the largest size: each two bytes an element.
    char *dense = must_alloc(1 << 20);
    memset(dense, ',', 1 << 20);
    for (size_t i = 1; i < (1 << 20); i += 2)
        dense[i] = '1';
    dense[0] = '[';
    dense[(1 << 20) - 1] = ']';
    dense[(1 << 20) - 2] = ' ';
    assert_int_equal(parse_text(doc, (struct str){dense, 1 << 20}, NULL), JDOC_OK);
    struct value root = jdoc_root(doc);
    assert_int_equal(value_size(&root), (1 << 19) - 1);
    free(dense);
}

static bool get(struct value map, const char *key, struct value *found) {
    struct value k = value_string(str_of(key));
    return map.container.source->get(map.container.source, map.container.node, &k, found);
}

static void containers_are_read_in_place(void **state) {
    (void)state;
    assert_int_equal(parse_text(doc, STR("{\"a\":[1,[2,{\"x\":3}],\"s\",4.5,{}],\"b\":{\"a\":null},\"c\":[]}"), NULL),
                     JDOC_OK);
    struct value root = jdoc_root(doc), list, item, key;
    assert_int_equal(root.type, VALUE_MAP);
    assert_int_equal(value_size(&root), 3);
    assert_true(get(root, "a", &list));
    assert_int_equal(list.type, VALUE_LIST);
    assert_int_equal(value_size(&list), 5);
    const struct value_source *source = list.container.source;
    assert_true(source->at(source, list.container.node, 3, &item) && item.real == 4.5);
    assert_true(source->at(source, list.container.node, 2, &item) && str_eq(item.string, STR("s")));
    assert_true(source->at(source, list.container.node, 4, &item) && value_size(&item) == 0);
    assert_false(source->at(source, list.container.node, 5, &item));
    assert_false(source->at(source, list.container.node, SIZE_MAX, &item));
    assert_false(source->at(source, root.container.node, 0, &item)); // no list
    assert_false(get(list, "a", &item));                             // no map
    uint64_t cursor = 0;
    int64_t n = 0;
    while (source->next(source, list.container.node, &cursor, &key, &item)) {
        struct value direct;
        assert_true(key.type == VALUE_INT && key.int64 == n);
        assert_true(source->at(source, list.container.node, (size_t)n++, &direct));
        assert_true(value_equal(&item, &direct));
    }
    assert_int_equal(n, 5);
    assert_true(get(root, "b", &item) && get(item, "a", &item));
    assert_int_equal(item.type, VALUE_NULL);
    assert_false(get(root, "d", &item));
    struct value number = value_int(0);
    assert_false(source->get(source, root.container.node, &number, &item));
    assert_true(get(root, "c", &list));
    cursor = 0;
    assert_false(source->next(source, list.container.node, &cursor, NULL, &item));
}

static void equality_goes_across_sources(void **state) {
    (void)state;
    struct arena *arena = arena_new(4096);
    assert_int_equal(parse_text(doc, STR("{\"b\":[1,2.0],\"a\":\"x\"}"), NULL), JDOC_OK);
    struct value items[] = {value_double(1), value_uint(2)};
    struct value pairs[] = {value_string(STR("a")), value_string(STR("x")), value_string(STR("b")),
                            value_list(arena, items, 2)};
    struct value built = value_map(arena, pairs, 2), root = jdoc_root(doc);
    assert_true(value_equal(&root, &built));
    assert_true(value_equal(&built, &root));
    arena_free(arena);
}

// The tape's own count stops at 2^24 - 1.
static void counts_beyond_the_tapes_counter(void **state) {
    (void)state;
    size_t n = 0xffffff + 5;
    struct jdoc *large = jdoc_new(64 << 20, 4);
    char *text = must_alloc(n * 2 + 1 + JDOC_PADDING);
    for (size_t i = 0; i < n; i++) {
        text[1 + 2 * i] = '1';
        text[2 + 2 * i] = ',';
    }
    text[0] = '[';
    text[2 * n] = ']';
    assert_int_equal(jdoc_parse(large, (struct str){text, 2 * n + 1}), JDOC_OK);
    struct value root = jdoc_root(large);
    assert_int_equal(value_size(&root), n);
    free(text);
    jdoc_free(large);
}

// Noise and damaged documents: always an answer, never a read beyond (AddressSanitizer looks on), and whatever is
// accepted reads back the same.
static void damage_is_refused_or_understood(void **state) {
    (void)state;
    static const char whole[] =
        "{\"id\":\"a\\u00e9\",\"n\":[1,-2.5e3,18446744073709551615],\"o\":{\"t\":true,\"f\":null},\"é\":\"x\\\\\"}";
    static const char salt[] = "{}[]\",:\\0129.eE+-tfn \n\x00\xff\xc3\xa9\x80u";
    uint64_t seed = 9;
    struct buf again;
    buf_init(&again, 1 << 20);
    size_t accepted = 0;
    for (int i = 0; i < 40000; i++) {
        char text[256];
        size_t len;
        if (i % 4 == 0) {
            len = random_below(&seed, sizeof text);
            for (size_t k = 0; k < len; k++)
                text[k] = i % 8 ? (char)random_next(&seed) : salt[random_below(&seed, sizeof salt - 1)];
        } else {
            len = i % 4 == 1 ? random_below(&seed, sizeof whole) : sizeof whole - 1;
            memcpy(text, whole, len);
            for (uint64_t k = random_below(&seed, 3); k > 0 && len > 0; k--)
                text[random_below(&seed, len)] = salt[random_below(&seed, sizeof salt - 1)];
        }
        enum jdoc_result result = parse_text(doc, (struct str){text, len}, &out);
        assert_true(result >= JDOC_OK && result < JDOC_DUPLICATE_KEY);
        if (result != JDOC_OK)
            continue;
        accepted++;
        assert_int_equal(parse_text(doc, buf_view(&out), &again), JDOC_OK);
        assert_true(str_eq(buf_view(&out), buf_view(&again)));
    }
    assert_true(accepted > 1000);
    buf_free(&again);
}

static void reasons_have_names(void **state) {
    (void)state;
    assert_string_equal(jdoc_result_name(JDOC_OK), "ok");
    assert_string_equal(jdoc_result_name(JDOC_TOO_DEEP), "too_deep");
    assert_string_equal(jdoc_result_name(JDOC_DUPLICATE_KEY), "duplicate_key");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_with_a_reason),
        cmocka_unit_test(reads_values_as_they_are),
        cmocka_unit_test(integers_keep_their_type),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(size_is_bounded),
        cmocka_unit_test(containers_are_read_in_place),
        cmocka_unit_test(equality_goes_across_sources),
        cmocka_unit_test(counts_beyond_the_tapes_counter),
        cmocka_unit_test(damage_is_refused_or_understood),
        cmocka_unit_test(reasons_have_names),
    };
    return cmocka_run_group_tests(tests, make_doc, free_doc);
}
