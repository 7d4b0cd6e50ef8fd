// Hashes: published vectors, and parts that keep their borders.
#include "penstock/base.h"

#include "random.h"

#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

// The room's file itself, so that both ways of the sum are tested on any machine.
#include "crc32c.c"

static void xxh3_has_its_published_values(void **state) {
    (void)state;
    assert_true(hash64_bytes("", 0) == UINT64_C(0x2d06800538d394c2));
    struct hash128 empty = hash128_bytes("", 0);
    assert_true(empty.hi == UINT64_C(0x99aa06d3014798d8) && empty.lo == UINT64_C(0x6001c324468d497f));
    char hex[33];
    hash128_hex(empty, hex);
    assert_string_equal(hex, "99aa06d3014798d86001c324468d497f");
    hash128_hex((struct hash128){.hi = 1, .lo = 0xab}, hex);
    assert_string_equal(hex, "000000000000000100000000000000ab");
    assert_true(hash128_eq(empty, hash128_bytes("x", 0)));
    assert_false(hash128_eq(empty, hash128_bytes("x", 1)));
}

static struct hash128 hash_of(const char *a, const char *b) {
    struct hash_parts parts = {.len = 0};
    hash_parts_str(&parts, str_of(a));
    if (b)
        hash_parts_str(&parts, str_of(b));
    return hash_parts_end(&parts);
}

static void parts_keep_their_borders(void **state) {
    (void)state;
    assert_true(hash128_eq(hash_of("ab", "c"), hash_of("ab", "c")));
    assert_false(hash128_eq(hash_of("ab", "c"), hash_of("a", "bc")));
    assert_false(hash128_eq(hash_of("abc", ""), hash_of("abc", NULL)));
    assert_false(hash128_eq(hash_of("", "abc"), hash_of("abc", "")));
    struct hash_parts number = {.len = 0}, text = {.len = 0};
    hash_parts_int(&number, 0x41);
    hash_parts_str(&text, STR("A"));
    assert_false(hash128_eq(hash_parts_end(&number), hash_parts_end(&text)));
    struct hash_parts negative = {.len = 0};
    hash_parts_int(&negative, -0x41);
    assert_false(hash128_eq(hash_parts_end(&number), hash_parts_end(&negative)));
}

// Ids stand in stored data: if this value changes, ids change.
static void parts_hash_the_same_for_ever(void **state) {
    (void)state;
    struct hash_parts parts = {.len = 0};
    hash_parts_str(&parts, STR("okta"));
    hash_parts_int(&parts, 3);
    hash_parts_int(&parts, 1234567890123);
    char hex[33];
    hash128_hex(hash_parts_end(&parts), hex);
    const char bytes[] = "s\4\0\0\0\0\0\0\0okta"
                         "i\3\0\0\0\0\0\0\0"
                         "i\xcb\x04\xfb\x71\x1f\x01\0\0";
    assert_int_equal(parts.len, sizeof bytes - 1);
    assert_memory_equal(parts.bytes, bytes, parts.len);
    assert_true(hash128_eq(hash_parts_end(&parts), hash128_bytes(bytes, sizeof bytes - 1)));
}

static void parts_beyond_the_buffer_still_count(void **state) {
    (void)state;
    char lengthy[5000];
    memset(lengthy, 'x', sizeof lengthy);
    struct hash128 seen[200];
    for (size_t n = 0; n < COUNT_OF(seen); n++) { // n long parts, then one that differs at its last byte
        struct hash_parts parts = {.len = 0};
        for (size_t i = 0; i < n; i++)
            hash_parts_str(&parts, (struct str){lengthy, 100 + i});
        lengthy[4999] = 'a';
        hash_parts_str(&parts, (struct str){lengthy, 5000});
        assert_true(parts.len <= sizeof parts.bytes);
        seen[n] = hash_parts_end(&parts);
        for (size_t i = 0; i < n; i++)
            assert_false(hash128_eq(seen[i], seen[n]));
        struct hash_parts other = {.len = 0};
        for (size_t i = 0; i < n; i++)
            hash_parts_str(&other, (struct str){lengthy, 100 + i});
        lengthy[4999] = 'b';
        hash_parts_str(&other, (struct str){lengthy, 5000});
        assert_false(hash128_eq(seen[n], hash_parts_end(&other)));
    }
}

static void crc32c_has_its_published_values(void **state) {
    (void)state;
    char bytes[32];
    assert_int_equal(crc32c(0, "", 0), 0);
    assert_true(crc32c(0, "123456789", 9) == 0xe3069283u);
    memset(bytes, 0, sizeof bytes); // RFC 3720 B.4
    assert_true(crc32c(0, bytes, 32) == 0x8a9136aau);
    memset(bytes, 0xff, sizeof bytes);
    assert_true(crc32c(0, bytes, 32) == 0x62a8ab43u);
    for (int i = 0; i < 32; i++)
        bytes[i] = (char)i;
    assert_true(crc32c(0, bytes, 32) == 0x46dd794eu);
    for (int i = 0; i < 32; i++)
        bytes[i] = (char)(31 - i);
    assert_true(crc32c(0, bytes, 32) == 0x113fdb5cu);
}

// By the definition, a bit at a time.
static uint32_t crc32c_slow(uint32_t sum, const uint8_t *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) {
        sum ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            sum = (sum >> 1) ^ ((sum & 1) ? POLYNOMIAL_REFLECTED : 0);
    }
    return sum;
}

static void crc32c_agrees_with_its_definition_at_all_lengths_and_cuts(void **state) {
    (void)state;
    uint64_t seed = 3;
    uint8_t bytes[300];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)random_next(&seed);
    for (size_t start = 0; start < 9; start++)
        for (size_t len = 0; len < 280; len++) {
            uint32_t expected = crc32c_slow(~0u, bytes + start, len);
            assert_true(crc32c_by_table(~0u, bytes + start, len) == expected);
            assert_true(crc32c(0, bytes + start, len) == ~expected);
            size_t cut = random_below(&seed, len + 1);
            assert_true(crc32c(crc32c(0, bytes + start, cut), bytes + start + cut, len - cut) == ~expected);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(xxh3_has_its_published_values),
        cmocka_unit_test(parts_keep_their_borders),
        cmocka_unit_test(parts_hash_the_same_for_ever),
        cmocka_unit_test(parts_beyond_the_buffer_still_count),
        cmocka_unit_test(crc32c_has_its_published_values),
        cmocka_unit_test(crc32c_agrees_with_its_definition_at_all_lengths_and_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
