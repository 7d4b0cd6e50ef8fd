// batch: bounds, padding, reuse.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "penstock/source.h"

static struct message message_of(const char *text, const char *ack) {
    return (struct message){
        .bytes = str_of(text), .ack = str_of(ack), .full_bytes = strlen(text), .offset = 7, .partition = 3};
}

static void test_messages_keep_bytes_and_ack(void **state) {
    (void)state;
    struct batch batch;
    batch_init(&batch, 100, 1 << 20);
    for (int i = 0; i < 100; i++) {
        char text[32], ack[32];
        snprintf(text, sizeof text, "{\"n\":%d}", i);
        snprintf(ack, sizeof ack, "$JS.ACK.%d", i);
        struct message message = message_of(text, i % 2 ? ack : "");
        assert_false(batch_is_full(&batch));
        assert_true(batch_add(&batch, &message));
    }
    assert_true(batch_is_full(&batch));
    struct message more = message_of("x", "");
    assert_false(batch_add(&batch, &more));
    batch_seal(&batch);
    batch_seal(&batch); // once is enough
    assert_int_equal(batch.n, 100);
    for (int i = 0; i < 100; i++) {
        char text[32], ack[32];
        snprintf(text, sizeof text, "{\"n\":%d}", i);
        snprintf(ack, sizeof ack, "$JS.ACK.%d", i);
        assert_true(str_eq(batch.messages[i].bytes, str_of(text)));
        assert_true(str_eq(batch.messages[i].ack, str_of(i % 2 ? ack : "")));
        for (int p = 0; p < BATCH_PADDING; p++)
            assert_int_equal(batch.messages[i].bytes.ptr[batch.messages[i].bytes.len + (size_t)p], 0);
        assert_int_equal(batch.messages[i].offset, 7);
        assert_int_equal(batch.messages[i].partition, 3);
    }
    batch_free(&batch);
}

static void test_bytes_bound_counts_padding_and_ack(void **state) {
    (void)state;
    struct batch batch;
    batch_init(&batch, 100, 200);
    struct message message = message_of("0123456789", "ack");
    assert_true(batch_add(&batch, &message)); // 77
    assert_true(batch_add(&batch, &message)); // 154
    assert_false(batch_add(&batch, &message));
    assert_int_equal(batch.n, 2);
    batch_free(&batch);
}

static void test_an_empty_batch_takes_any_message(void **state) {
    (void)state;
    struct batch batch;
    batch_init(&batch, 10, 100);
    char *big = malloc(5001);
    memset(big, 'x', 5000);
    big[5000] = '\0';
    struct message message = message_of(big, "a"), small = message_of("s", "");
    for (int round = 0; round < 3; round++) {
        assert_true(batch_add(&batch, &message));
        assert_true(batch_is_full(&batch));
        assert_false(batch_add(&batch, &small));
        batch_seal(&batch);
        assert_int_equal(batch.messages[0].bytes.len, 5000);
        assert_memory_equal(batch.messages[0].bytes.ptr, big, 5000);
        batch_clear(&batch);
        assert_true(batch_add(&batch, &small)); // the old bound holds again
        assert_false(batch_add(&batch, &message));
        batch_clear(&batch);
    }
    free(big);
    batch_free(&batch);
}

static void test_empty_message(void **state) {
    (void)state;
    struct batch batch;
    batch_init(&batch, 2, 100);
    struct message tombstone = {.offset = 1};
    assert_true(batch_add(&batch, &tombstone));
    batch_seal(&batch);
    assert_int_equal(batch.messages[0].bytes.len, 0);
    assert_int_equal(batch.messages[0].bytes.ptr[0], 0);
    batch_free(&batch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_keep_bytes_and_ack),
        cmocka_unit_test(test_bytes_bound_counts_padding_and_ack),
        cmocka_unit_test(test_an_empty_batch_takes_any_message),
        cmocka_unit_test(test_empty_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
