// window: the acknowledged prefix, void tickets, going back; and JetStream's answers.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "nats_reply.h"
#include "window.h"

static void test_acks_out_of_order_give_the_longest_prefix(void **state) {
    (void)state;
    struct window window;
    window_init(&window, 4);
    uint64_t tickets[4];
    for (uint64_t i = 0; i < 4; i++)
        tickets[i] = window_push(&window, 10 + i * 5); // gaps in the numbers are fine
    assert_true(window_is_full(&window));
    assert_int_equal(window.acked_seq, 0);
    assert_true(window_ack(&window, tickets[2]));
    assert_int_equal(window.acked_seq, 0);
    assert_true(window_ack(&window, tickets[0]));
    assert_int_equal(window.acked_seq, 10);
    assert_true(window_ack(&window, tickets[1]));
    assert_int_equal(window.acked_seq, 20);
    assert_int_equal(window_in_flight(&window), 1);
    assert_true(window_ack(&window, tickets[3]));
    assert_int_equal(window.acked_seq, 25);
    assert_int_equal(window_in_flight(&window), 0);
    assert_false(window_ack(&window, tickets[3]));
    window_free(&window);
}

static void test_tickets_of_a_flight_let_go_are_void(void **state) {
    (void)state;
    struct window window;
    window_init(&window, 3);
    uint64_t old = window_push(&window, 1);
    window_push(&window, 2);
    assert_true(window_goes_back(&window, 2));
    assert_false(window_goes_back(&window, 3));
    window_let_go(&window);
    assert_false(window_goes_back(&window, 1));
    uint64_t fresh = window_push(&window, 1);
    assert_false(window_ack(&window, old));
    assert_int_equal(window.acked_seq, 0);
    assert_true(window_ack(&window, fresh));
    assert_int_equal(window.acked_seq, 1);
    window_free(&window);
}

static void test_unpush_and_resent(void **state) {
    (void)state;
    struct window window;
    window_init(&window, 3);
    window_push(&window, 1);
    assert_false(window_was_sent_before(&window, 1));
    window_push(&window, 2);
    window_unpush(&window);
    assert_false(window_goes_back(&window, 2)); // it may be offered again
    window_push(&window, 2);
    assert_false(window_was_sent_before(&window, 2));
    assert_true(window_was_sent_before(&window, 1));
    window_free(&window);
}

static void test_many_rounds_wrap(void **state) {
    (void)state;
    struct window window;
    window_init(&window, 7);
    uint64_t seq = 0;
    for (int round = 0; round < 1000; round++) {
        uint64_t tickets[5];
        for (int i = 0; i < 5; i++)
            tickets[i] = window_push(&window, ++seq);
        for (int i = 4; i >= 0; i--)
            assert_true(window_ack(&window, tickets[i]));
        assert_int_equal(window.acked_seq, seq);
    }
    window_free(&window);
}

static void test_answers(void **state) {
    (void)state;
    char why[64];
    assert_true(nats_reply_is_ack(STR("{\"stream\":\"S\",\"seq\":12}"), why, sizeof why));
    assert_true(nats_reply_is_ack(STR("{\"stream\":\"S\", \"seq\" : 12, \"duplicate\": true}"), why, sizeof why));
    assert_true(
        nats_reply_is_ack(STR("{\"stream\":\"error\",\"seq\":12}"), why, sizeof why)); // a stream may be called that
    assert_false(nats_reply_is_ack(
        STR("{\"error\":{\"code\":503,\"err_code\":10077,\"description\":\"maximum messages exceeded\"},"
            "\"stream\":\"S\",\"seq\":0}"),
        why, sizeof why));
    assert_string_equal(why, "maximum messages exceeded");
    assert_false(nats_reply_is_ack(STR("{\"error\":{\"description\":\""), why, sizeof why));
    assert_false(nats_reply_is_ack(STR("{\"error\":{\"description\":\"cut off"), why, sizeof why));
    assert_string_equal(why, "cut off");
    assert_false(nats_reply_is_ack(STR(""), why, sizeof why));
    assert_false(nats_reply_is_ack((struct str){NULL, 0}, why, sizeof why));
    assert_false(nats_reply_is_ack(STR("hello"), why, sizeof why));
    assert_string_equal(why, "an answer that is none");
    assert_false(nats_reply_is_ack(
        STR("{\"error\":{\"description\":"
            "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}}"),
        why, sizeof why));
    assert_int_equal(strlen(why), sizeof why - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_acks_out_of_order_give_the_longest_prefix),
        cmocka_unit_test(test_tickets_of_a_flight_let_go_are_void),
        cmocka_unit_test(test_unpush_and_resent),
        cmocka_unit_test(test_many_rounds_wrap),
        cmocka_unit_test(test_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
