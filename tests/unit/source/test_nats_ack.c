// nats_ack: both forms of the ack subject, and what is none.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "nats_ack.h"

static void test_old_form(void **state) {
    (void)state;
    struct nats_ack ack;
    assert_true(nats_ack_parse(STR("$JS.ACK.EVENTS.penstock.3.418.521.1763694921123456789.77"), &ack));
    assert_true(str_eq(ack.stream, STR("EVENTS")));
    assert_true(str_eq(ack.consumer, STR("penstock")));
    assert_int_equal(ack.deliveries, 3);
    assert_int_equal(ack.stream_seq, 418);
    assert_int_equal(ack.consumer_seq, 521);
    assert_true(ack.time_ns == INT64_C(1763694921123456789));
    assert_int_equal(ack.pending, 77);
}

static void test_new_form_with_domain_and_more(void **state) {
    (void)state;
    static const char *const forms[] = {
        "$JS.ACK.hub.AB12CD.EVENTS.penstock.1.5.6.1700000000000000000.0",
        "$JS.ACK._.AB12CD.EVENTS.penstock.1.5.6.1700000000000000000.0.r4nd0m",
        "$JS.ACK._.AB12CD.EVENTS.penstock.1.5.6.1700000000000000000.0.r4nd0m.later",
    };
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        struct nats_ack ack;
        assert_true(nats_ack_parse(str_of(forms[i]), &ack));
        assert_true(str_eq(ack.stream, STR("EVENTS")));
        assert_true(str_eq(ack.consumer, STR("penstock")));
        assert_int_equal(ack.stream_seq, 5);
        assert_true(ack.time_ns == INT64_C(1700000000000000000));
        assert_int_equal(ack.pending, 0);
    }
}

static void test_what_is_none(void **state) {
    (void)state;
    static const char *const forms[] = {
        "",
        "$JS.ACK.",
        "$JS.ACK.EVENTS.penstock",
        "$JS.ACK.EVENTS.penstock.3.418.521.1763694921123456789",      // eight tokens
        "$JS.ACK.a.EVENTS.penstock.3.418.521.1763694921123456789.77", // ten
        "$JS.ACK.EVENTS.penstock.3.x18.521.1763694921123456789.77",   // not a number
        "$JS.ACK.EVENTS.penstock.3.-418.521.1763694921123456789.77",  // no sequence
        "$JS.ACK.EVENTS.penstock.3.0.521.1763694921123456789.77",     // no sequence
        "$JS.ACK.EVENTS.penstock.0.418.521.1763694921123456789.77",   // never delivered
        "$JS.ACK..penstock.3.418.521.1763694921123456789.77",         // no stream
        "$JS.ACK.EVENTS.penstock.3.99999999999999999999.521.1.77",    // overflow
        "$JS.FC.EVENTS.penstock.3.418.521.1763694921123456789.77",
        "_INBOX.abc.1",
        "$JS.ACK.1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18", // more than any form
    };
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        struct nats_ack ack;
        assert_false(nats_ack_parse(str_of(forms[i]), &ack));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_old_form),
        cmocka_unit_test(test_new_form_with_domain_and_more),
        cmocka_unit_test(test_what_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
