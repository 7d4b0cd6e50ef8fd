// A JetStream sink against a real nats-server: order, resending, a killed server, a stream that refuses.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <nats/nats.h>

#include "../broker/live.h"
#include "penstock/sink.h"
#include "sending.h"

#define STREAM "SIGNALS"

static struct live_server server;

struct side {
    natsConnection *connection;
    jsCtx *js;
};

static struct side side_open(void) {
    struct side side = {0};
    natsStatus result = NATS_ERR;
    for (int i = 0; i < 100 && result != NATS_OK; i++) {
        result = natsConnection_ConnectTo(&side.connection, server.url);
        if (result != NATS_OK)
            clock_sleep_ms(50);
    }
    assert_int_equal(result, NATS_OK);
    assert_int_equal(natsConnection_JetStream(&side.js, side.connection, NULL), NATS_OK);
    return side;
}

static void side_close(struct side *side) {
    jsCtx_Destroy(side->js);
    natsConnection_Destroy(side->connection);
}

static void make_stream(int64_t max_messages, bool update) {
    struct side side = side_open();
    const char *subject = "signals.>";
    jsStreamConfig config;
    jsStreamConfig_Init(&config);
    config.Name = STREAM;
    config.Subjects = &subject;
    config.SubjectsLen = 1;
    config.Storage = js_FileStorage;
    config.MaxMsgs = max_messages;
    config.Discard = js_DiscardNew;
    jsErrCode error = 0;
    natsStatus result = update ? js_UpdateStream(NULL, side.js, &config, NULL, &error)
                               : js_AddStream(NULL, side.js, &config, NULL, &error);
    assert_int_equal(result, NATS_OK);
    side_close(&side);
}

// What the stream holds, in order: the record's number from its body, its headers checked.
static size_t read_stream(uint64_t *numbers, size_t cap) {
    struct side side = side_open();
    jsStreamInfo *info = NULL;
    assert_int_equal(js_GetStreamInfo(&info, side.js, STREAM, NULL, NULL), NATS_OK);
    uint64_t last = info->State.LastSeq;
    jsStreamInfo_Destroy(info);
    size_t n = 0;
    for (uint64_t seq = 1; seq <= last && n < cap; seq++) {
        natsMsg *message = NULL;
        assert_int_equal(js_GetMsg(&message, side.js, STREAM, seq, NULL, NULL), NATS_OK);
        const char *id = NULL, *type = NULL;
        unsigned long long number = 0;
        assert_int_equal(sscanf(natsMsg_GetData(message), "{\"n\":%llu", &number), 1);
        numbers[n++] = number;
        char want[33];
        sending_id(number, want);
        assert_int_equal(natsMsgHeader_Get(message, "Nats-Msg-Id", &id), NATS_OK);
        assert_string_equal(id, want);
        assert_int_equal(natsMsgHeader_Get(message, "Content-Type", &type), NATS_OK);
        assert_string_equal(type, "application/json");
        natsMsg_Destroy(message);
    }
    side_close(&side);
    return n;
}

static void assert_stream_is(uint64_t from, uint64_t to) {
    static uint64_t numbers[20000];
    size_t n = read_stream(numbers, COUNT_OF(numbers));
    assert_int_equal(n, to - from + 1);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(numbers[i], from + i);
}

// All in order; only what the server had acknowledged and not yet written when it was killed may be gone: 2.9 answers
// from memory and flushes a moment later, so `lost_from`..`lost_to` is its to lose and not the sink's.
static void assert_stream_is_but(uint64_t from, uint64_t to, uint64_t lost_from, uint64_t lost_to) {
    static uint64_t numbers[20000];
    size_t n = read_stream(numbers, COUNT_OF(numbers));
    uint64_t next = from;
    for (size_t i = 0; i < n; i++) {
        while (next < numbers[i] && next >= lost_from && next <= lost_to)
            next++;
        assert_int_equal(numbers[i], next);
        next++;
    }
    assert_int_equal(next, to + 1);
}

static struct sink *open_sink(size_t in_flight) {
    struct sink_config config = {
        .name = (char *)(uintptr_t) "out",
        .kind = SINK_NATS,
        .nats = {.url = server.url},
        .subject = (char *)(uintptr_t) "signals.soc",
        .max_in_flight = in_flight,
    };
    struct status status = {0};
    struct sink *sink = sink_open(&config, &status);
    if (!sink)
        fail_msg("%s", status.text);
    return sink;
}

static int set_up(void **state) {
    (void)state;
    live_nats_prepare(&server, NULL);
    live_nats_run(&server);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    live_nats_end(&server);
    return 0;
}

static void test_all_in_order(void **state) {
    (void)state;
    make_stream(-1, false);
    struct sink *sink = open_sink(256);
    struct sending sending = {.sink = sink};
    send_up_to(&sending, 5000, 20000);
    assert_int_equal(sending.acked, 5000);
    assert_int_equal(sending.failures, 0);
    struct sink_stats stats;
    sink_get_stats(sink, &stats);
    assert_true(stats.ready);
    assert_int_equal(stats.acked, 5000);
    assert_int_equal(stats.sent, 5000);
    assert_int_equal(stats.resent, 0);
    sink_close(sink, 1000);
    assert_stream_is(1, 5000);
}

static void test_sending_again_is_harmless(void **state) {
    (void)state;
    make_stream(-1, false);
    struct sink *sink = open_sink(0);
    struct sending sending = {.sink = sink};
    send_up_to(&sending, 500, 10000);
    sink_close(sink, 1000);
    sink = open_sink(0); // the router forgot: it sends the last ones again
    sending = (struct sending){.sink = sink, .acked = 300, .next = 301};
    send_up_to(&sending, 700, 10000);
    assert_int_equal(sending.acked, 700);
    sink_close(sink, 1000);
    assert_stream_is(1, 700);
}

static void test_server_killed_in_flight(void **state) {
    (void)state;
    make_stream(-1, false);
    struct sink *sink = open_sink(512);
    struct sending sending = {.sink = sink};
    send_up_to(&sending, 2000, 20000);
    clock_sleep_ms(500); // the server has written these
    for (uint64_t seq = 2001; seq <= 2300; seq++)
        assert_int_equal(send_one(&sending, seq), SINK_SENT);
    live_nats_kill(&server);
    send_up_to(&sending, 3000, 1500); // nobody there
    assert_true(sending.acked < 3000);
    uint64_t acked_at_kill = sending.acked;
    struct sink_stats stats;
    sink_get_stats(sink, &stats);
    assert_false(stats.ready);
    live_nats_run(&server);
    send_up_to(&sending, 4000, 30000);
    assert_int_equal(sending.acked, 4000);
    assert_true(sending.failures >= 1);
    sink_get_stats(sink, &stats);
    assert_true(stats.ready);
    assert_true(stats.reconnects >= 1);
    sink_close(sink, 1000);
    assert_stream_is_but(1, 4000, 2001, acked_at_kill);
}

static void test_no_stream_yet(void **state) {
    (void)state;
    struct sink *sink = open_sink(64);
    struct sending sending = {.sink = sink};
    send_up_to(&sending, 10, 2500);
    assert_int_equal(sending.acked, 0);
    struct sink_stats stats;
    sink_get_stats(sink, &stats);
    assert_false(stats.ready);
    if (!strstr(stats.detail, "no stream takes subject signals.soc"))
        fail_msg("says: %s", stats.detail);
    make_stream(-1, false);
    send_up_to(&sending, 10, 10000);
    assert_int_equal(sending.acked, 10);
    struct side side = side_open(); // and gone again in between
    assert_int_equal(js_DeleteStream(side.js, STREAM, NULL, NULL), NATS_OK);
    side_close(&side);
    send_up_to(&sending, 20, 2500);
    assert_int_equal(sending.acked, 10);
    assert_true(sending.failures >= 1);
    make_stream(-1, false);
    send_up_to(&sending, 20, 10000);
    assert_int_equal(sending.acked, 20);
    sink_close(sink, 1000);
    assert_stream_is(11, 20);
}

static void test_a_full_stream_refuses_until_there_is_room(void **state) {
    (void)state;
    make_stream(100, false);
    struct sink *sink = open_sink(64);
    struct sending sending = {.sink = sink};
    send_up_to(&sending, 300, 3000);
    assert_int_equal(sending.acked, 100);
    struct sink_stats stats;
    sink_get_stats(sink, &stats);
    assert_true(stats.refused >= 1);
    if (!strstr(stats.detail, "maximum messages exceeded"))
        fail_msg("says: %s", stats.detail);
    make_stream(-1, true);
    send_up_to(&sending, 300, 20000);
    assert_int_equal(sending.acked, 300);
    sink_close(sink, 1000);
    static uint64_t numbers[1000];
    size_t n =
        read_stream(numbers, COUNT_OF(numbers)); // once each; a refusal in the middle may cost order, never a record
    assert_int_equal(n, 300);
    bool there[301] = {false};
    for (size_t i = 0; i < n; i++) {
        assert_false(there[numbers[i]]);
        there[numbers[i]] = true;
    }
}

static void test_too_large_fails_alone(void **state) {
    (void)state;
    make_stream(-1, false);
    struct sink *sink = open_sink(64);
    struct sending sending = {.sink = sink};
    send_up_to(&sending, 5, 10000);
    size_t len = 2 << 20;
    char *big = malloc(len);
    memset(big, 'x', len);
    struct sink_record record = {.seq = 6, .id = STR("x"), .payload = {big, len}};
    struct status status = {0};
    assert_int_equal(sink_send(sink, &record, &status), SINK_FAILED);
    assert_int_equal(status.code, STATUS_INVALID);
    free(big);
    send_up_to(&sending, 10, 10000);
    assert_int_equal(sending.acked, 10);
    sink_close(sink, 1000);
    assert_stream_is(1, 10);
}

int main(int argc, char **argv) {
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL); // "*rebalance*": only these
    if (!live_have_nats())
        return 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sending_again_is_harmless, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_server_killed_in_flight, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_stream_yet, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_full_stream_refuses_until_there_is_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_large_fails_alone, set_up, tear_down),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    nats_CloseAndWait(2000);
    return failed;
}
