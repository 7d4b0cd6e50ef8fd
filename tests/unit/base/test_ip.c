// Addresses and networks.
#include "penstock/base.h"

#include "random.h"

#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

static void reads_and_writes_addresses(void **state) {
    (void)state;
    static const struct {
        const char *text, *formatted;
        bool v4;
    } good[] = {
        {"10.1.2.3", "10.1.2.3", true},
        {"255.255.255.255", "255.255.255.255", true},
        {"::", "::", false},
        {"2001:DB8:0:0::1", "2001:db8::1", false},
        {"::ffff:10.1.2.3", "10.1.2.3", true},
        {"::ffff:a01:203", "10.1.2.3", true},
        {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8", false},
    };
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct ip_address ip;
        char text[48];
        assert_true(ip_parse(str_of(good[i].text), &ip));
        assert_int_equal(ip.v4, good[i].v4);
        assert_int_equal(ip_format(&ip, text), strlen(good[i].formatted));
        assert_string_equal(text, good[i].formatted);
    }
    static const char *const bad[] = {"",
                                      "10.1.2",
                                      "10.1.2.3.4",
                                      "010.1.2.3",
                                      "10.1.2.256",
                                      " 10.1.2.3",
                                      "10.1.2.3 ",
                                      "10.1.2.3:80",
                                      "[::1]",
                                      "fe80::1%eth0",
                                      "1:2:3",
                                      "::1::",
                                      "ec2.amazonaws.com",
                                      "0x7f.0.0.1",
                                      "10.1.2.3/8",
                                      "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct ip_address ip;
        if (ip_parse(str_of(bad[i]), &ip))
            fail_msg("accepted: %s", bad[i]);
    }
    struct ip_address ip;
    assert_false(ip_parse((struct str){"10.1.2.3\0x", 10}, &ip));
    struct ip_network network;
    assert_false(ip_parse((struct str){0}, &ip));
    assert_false(ip_parse_port((struct str){0}, &ip));
    assert_false(ip_network_parse((struct str){0}, &network));
}

static void reads_addresses_with_ports(void **state) {
    (void)state;
    static const char *const good[][2] = {
        {"1.2.3.4", "1.2.3.4"}, {"1.2.3.4:443", "1.2.3.4"}, {"1.2.3.4:0", "1.2.3.4"}, {"1.2.3.4:65535", "1.2.3.4"},
        {"[::1]:443", "::1"},   {"[::1]", "::1"},           {"::1", "::1"},           {"[::ffff:1.2.3.4]:5", "1.2.3.4"},
    };
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct ip_address ip;
        char text[48];
        assert_true(ip_parse_port(str_of(good[i][0]), &ip));
        ip_format(&ip, text);
        assert_string_equal(text, good[i][1]);
    }
    static const char *const bad[] = {
        "",     ":",  ":80",      "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:08", "1.2.3.4:-1", "1.2.3.4:80:80",
        "[::1", "[]", "[::1]443", "[::1]:",   "[1.2.3.4]:80",  "host:80",    "1.2.3.4:8x", "[[::1]]:80"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct ip_address ip;
        if (ip_parse_port(str_of(bad[i]), &ip))
            fail_msg("accepted: %s", bad[i]);
    }
}

static bool is_in(const char *address, const char *net) {
    struct ip_address ip;
    struct ip_network network;
    assert_true(ip_parse(str_of(address), &ip));
    assert_true(ip_network_parse(str_of(net), &network));
    return ip_in_network(&ip, &network);
}

static void networks(void **state) {
    (void)state;
    assert_true(is_in("10.255.0.1", "10.0.0.0/8"));
    assert_false(is_in("11.0.0.1", "10.0.0.0/8"));
    assert_true(is_in("192.168.1.130", "192.168.1.128/25"));
    assert_false(is_in("192.168.1.127", "192.168.1.128/25"));
    assert_true(is_in("10.1.2.3", "10.1.2.3"));
    assert_false(is_in("10.1.2.4", "10.1.2.3/32"));
    assert_true(is_in("8.8.8.8", "0.0.0.0/0"));
    assert_false(is_in("::1", "0.0.0.0/0"));
    assert_true(is_in("::ffff:10.0.0.1", "10.0.0.0/8")); // the same address, written longer
    assert_true(is_in("2001:db8:1::5", "2001:db8::/32"));
    assert_false(is_in("2001:db9::", "2001:db8::/32"));
    assert_true(is_in("10.0.0.1", "::/0"));
    assert_true(is_in("10.9.9.9", "10.1.2.3/8")); // host bits of a network do not count
    static const char *const bad[] = {
        "",       "/8",          "10.0.0.0/",          "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08", "10.0.0.0/8/8",
        "::/129", "10.0.0.0/ 8", "10.0.0.0/255.0.0.0", "10/8"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct ip_network network;
        if (ip_network_parse(str_of(bad[i]), &network))
            fail_msg("accepted: %s", bad[i]);
    }
}

// Bit by bit, the slow and sure way.
static void membership_is_equality_of_the_prefix(void **state) {
    (void)state;
    uint64_t seed = 6;
    for (int i = 0; i < 50000; i++) {
        struct ip_address ip = {0};
        struct ip_network network = {.bits = (uint8_t)random_below(&seed, 129)};
        for (int k = 0; k < 16; k++)
            network.address.bytes[k] = (uint8_t)random_next(&seed);
        ip = network.address;
        size_t flipped = random_below(&seed, 128);
        ip.bytes[flipped / 8] ^= (uint8_t)(0x80 >> flipped % 8);
        assert_int_equal(ip_in_network(&ip, &network), flipped >= network.bits);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_writes_addresses),
        cmocka_unit_test(reads_addresses_with_ports),
        cmocka_unit_test(networks),
        cmocka_unit_test(membership_is_equality_of_the_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
