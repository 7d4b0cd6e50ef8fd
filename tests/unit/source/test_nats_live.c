// A JetStream source against a real nats-server: nothing lost, nothing twice, and what it says when the server is not
// as it should be.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <nats/nats.h>

#include "../broker/live.h"
#include "penstock/source.h"

#define STREAM "EVENTS"
#define DURABLE "penstock"

static struct live_server server;

// ---- the other side ----------------------------------------------------------------------

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

static void make_stream(const char *name, const char *subject) {
    struct side side = side_open();
    jsStreamConfig config;
    jsStreamConfig_Init(&config);
    config.Name = name;
    config.Subjects = &subject;
    config.SubjectsLen = 1;
    config.Storage = js_FileStorage;
    jsErrCode error = 0;
    assert_int_equal(js_AddStream(NULL, side.js, &config, NULL, &error), NATS_OK);
    side_close(&side);
}

static void publish(const char *subject, int from, int to) {
    struct side side = side_open();
    for (int i = from; i <= to; i++) {
        char body[64];
        int len = snprintf(body, sizeof body, "{\"n\":%d}", i);
        assert_int_equal(js_Publish(NULL, side.js, subject, body, len, NULL, NULL), NATS_OK); // one by one: in order
    }
    side_close(&side);
}

// ---- reading -------------------------------------------------------------------------------

static struct source *open_source(const char *stream, const char *durable, uint32_t ack_wait_ms) {
    struct source_config config = {
        .name = (char *)(uintptr_t) "in",
        .kind = SOURCE_NATS,
        .max_message_bytes = 1 << 20,
        .nats = {.url = server.url},
        .stream = (char *)(uintptr_t)stream,
        .durable = (char *)(uintptr_t)durable,
        .ack_wait_ms = ack_wait_ms,
    };
    struct status status = {0};
    struct source *source = source_open(&config, NULL, 0, &status);
    assert_non_null(source);
    return source;
}

struct seen {
    unsigned times[20001];
    size_t n, distinct;
};

// Reads till `want` distinct messages have been seen since the call or `for_ms` are over; commits all if told so.
static void read_some(struct source *source, struct seen *seen, size_t per_batch, size_t want, int for_ms,
                      bool commit) {
    struct batch batch;
    struct status status = {0};
    int64_t until_ms = clock_monotonic_ms() + for_ms;
    size_t before = seen->distinct;
    while (seen->distinct - before < want && clock_monotonic_ms() < until_ms) {
        size_t left = want - (seen->distinct - before); // never more than wanted: what is read may be committed
        batch_init(&batch, left < per_batch ? left : per_batch, 1 << 20);
        assert_true(source_read(source, &batch, 200, &status));
        for (size_t i = 0; i < batch.n; i++) {
            const struct message *message = &batch.messages[i];
            int n = 0;
            assert_int_equal(sscanf(message->bytes.ptr, "{\"n\":%d}", &n), 1);
            assert_int_equal(message->offset, n); // published in order from 1
            assert_int_equal(message->full_bytes, message->bytes.len);
            assert_true(message->time_ms > 1600000000000);
            assert_in_range(n, 1, 20000);
            seen->n++;
            seen->distinct += seen->times[n]++ == 0;
        }
        if (commit && batch.n > 0)
            source_commit(source, &batch);
        batch_free(&batch);
    }
}

static void assert_once_each(const struct seen *seen, int from, int to) {
    for (int i = from; i <= to; i++)
        if (seen->times[i] != 1)
            fail_msg("message %d came %u times", i, seen->times[i]);
}

static void await_detail(struct source *source, const char *text, int for_ms) {
    struct source_stats stats;
    struct batch batch;
    struct status status = {0};
    batch_init(&batch, 1, 1000);
    for (int64_t until_ms = clock_monotonic_ms() + for_ms; clock_monotonic_ms() < until_ms;) {
        assert_true(source_read(source, &batch, 50, &status));
        source_get_stats(source, &stats);
        if (strstr(stats.detail, text))
            break;
    }
    batch_free(&batch);
    if (!strstr(stats.detail, text))
        fail_msg("says \"%s\" instead of \"%s\"", stats.detail, text);
}

// ---- tests -----------------------------------------------------------------------------------

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

static void test_waits_for_the_stream_then_reads_all_once(void **state) {
    (void)state;
    static struct seen seen, again;
    seen = again = (struct seen){0};
    struct source *source = open_source(STREAM, DURABLE, 0);
    await_detail(source, "stream " STREAM " does not exist yet", 5000);
    make_stream(STREAM, "events.>");
    publish("events.a", 1, 10000);
    read_some(source, &seen, 300, 10000, 20000, true);
    assert_int_equal(seen.n, 10000);
    assert_once_each(&seen, 1, 10000);
    struct source_stats stats;
    source_get_stats(source, &stats);
    assert_true(stats.ready);
    assert_int_equal(stats.messages, 10000);
    assert_int_equal(stats.lag, 0);
    source_close(source);

    source = open_source(STREAM, DURABLE, 0); // all was acked: nothing comes again
    read_some(source, &again, 300, 1, 1000, true);
    assert_int_equal(again.n, 0);
    publish("events.b", 10001, 10100);
    read_some(source, &again, 300, 100, 5000, true);
    read_some(source, &again, 300, 1, 300, true);
    assert_int_equal(again.n, 100);
    assert_once_each(&again, 10001, 10100);
    source_close(source);
}

static void test_what_was_not_committed_comes_again(void **state) {
    (void)state;
    static struct seen seen, again;
    seen = again = (struct seen){0};
    make_stream(STREAM, "events.>");
    publish("events.a", 1, 300);
    struct source *source = open_source(STREAM, DURABLE, 1000);
    read_some(source, &seen, 100, 100, 5000, true);
    assert_once_each(&seen, 1, 100);
    read_some(source, &seen, 100, 100, 5000, false); // read, never durable
    assert_once_each(&seen, 101, 200);
    source_close(source);
    source = open_source(STREAM, DURABLE, 1000);
    read_some(source, &again, 50, 200, 25000, true);
    read_some(source, &again, 50, 1, 1500, true);
    // When messages fall due while nobody pulls, nats-server 2.9 gives one or the other of them twice.
    for (int i = 1; i <= 300; i++)
        if (i <= 100 ? again.times[i] != 0 : again.times[i] == 0)
            fail_msg("message %d came %u times", i, again.times[i]);
    assert_in_range(again.n, 200, 220);
    source_close(source);
}

static void test_server_killed_and_restarted(void **state) {
    (void)state;
    static struct seen seen;
    seen = (struct seen){0};
    make_stream(STREAM, "events.>");
    publish("events.a", 1, 5000);
    struct source *source = open_source(STREAM, DURABLE, 2000);
    read_some(source, &seen, 200, 2000, 10000, true);
    clock_sleep_ms(200); // the acks are out
    live_nats_kill(&server);
    await_detail(source, "lost", 5000);
    live_nats_run(&server);
    read_some(source, &seen, 200, 5000 - seen.distinct, 20000, true);
    assert_int_equal(seen.distinct, 5000);
    publish("events.a", 5001, 5100);
    read_some(source, &seen, 200, 100, 10000, true);
    assert_once_each(&seen, 5001, 5100);
    struct source_stats stats;
    source_get_stats(source, &stats);
    assert_true(stats.ready);
    assert_true(stats.reconnects >= 1);
    // The file store of a killed server may forget acks of its last moments: redelivery is allowed, but of few.
    assert_true(seen.n - seen.distinct <= 2000);
    source_close(source);
}

static void test_server_away_at_start_and_stop(void **state) {
    (void)state;
    live_nats_kill(&server);
    struct source *source = open_source(STREAM, DURABLE, 0);
    await_detail(source, "cannot connect", 5000);
    live_nats_run(&server);
    make_stream(STREAM, "events.>");
    await_detail(source, "pulling from consumer", 10000);
    live_nats_kill(&server);
    int64_t began_ms = clock_monotonic_ms();
    source_stop(source);
    struct batch batch;
    struct status status = {0};
    batch_init(&batch, 1, 1000);
    source_read(source, &batch, 10000, &status);
    batch_free(&batch);
    source_close(source);
    assert_true(clock_monotonic_ms() - began_ms < 5000);
    live_nats_run(&server);
}

static void add_consumer(const char *durable, jsAckPolicy policy, const char *filter, const char *deliver) {
    struct side side = side_open();
    jsConsumerConfig config;
    jsConsumerConfig_Init(&config);
    config.Durable = durable;
    config.AckPolicy = policy;
    config.FilterSubject = filter;
    config.DeliverSubject = deliver;
    assert_int_equal(js_AddConsumer(NULL, side.js, STREAM, &config, NULL, NULL), NATS_OK);
    side_close(&side);
}

static void test_consumers_of_others(void **state) {
    (void)state;
    static struct seen seen;
    seen = (struct seen){0};
    make_stream(STREAM, "events.>");
    publish("events.a", 1, 10);
    add_consumer("unacked", js_AckNone, NULL, NULL);
    add_consumer("pushed", js_AckExplicit, NULL, "elsewhere");
    add_consumer("other", js_AckExplicit, "events.a", NULL);
    static const char *const bad[] = {"unacked", "pushed"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct source *source = open_source(STREAM, bad[i], 0);
        struct batch batch;
        struct status status = {0};
        batch_init(&batch, 10, 1000);
        bool ok = true;
        for (int round = 0; round < 50 && ok; round++)
            ok = source_read(source, &batch, 100, &status);
        assert_false(ok);
        assert_int_equal(status.code, STATUS_INVALID);
        assert_non_null(strstr(status.text, bad[i]));
        batch_free(&batch);
        source_close(source);
    }
    struct source *source = open_source(STREAM, "other", 0); // used as it is
    read_some(source, &seen, 10, 10, 5000, true);
    assert_int_equal(seen.n, 10);
    struct source_stats stats;
    source_get_stats(source, &stats);
    assert_true(stats.errors >= 1);
    source_close(source);
}

// Too long, larger than one batch, empty; then small ones: one after the other.
static void test_sizes(void **state) {
    (void)state;
    make_stream(STREAM, "events.>");
    struct side side = side_open();
    char *big = malloc(900000);
    memset(big, 'b', 900000);
    static const int sizes[] = {900000, 0, 10, 100000, 100001, 5};
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        assert_int_equal(js_Publish(NULL, side.js, "events.x", big, sizes[i], NULL, NULL), NATS_OK);
    side_close(&side);
    struct source_config config = {
        .name = (char *)(uintptr_t) "in",
        .kind = SOURCE_NATS,
        .max_message_bytes = 100000,
        .nats = {.url = server.url},
        .stream = (char *)(uintptr_t)STREAM,
        .durable = (char *)(uintptr_t)DURABLE,
    };
    struct status status = {0};
    struct source *source = source_open(&config, NULL, 0, &status);
    struct batch batch;
    size_t n = 0;
    batch_init(&batch, 4, 60000);
    for (int round = 0; round < 50 && n < COUNT_OF(sizes); round++) {
        assert_true(source_read(source, &batch, 200, &status));
        for (size_t i = 0; i < batch.n; i++, n++) {
            assert_int_equal(batch.messages[i].offset, n + 1);
            assert_int_equal(batch.messages[i].full_bytes, sizes[n]);
            assert_int_equal(batch.messages[i].bytes.len, sizes[n] < 100000 ? sizes[n] : 100000);
            assert_memory_equal(batch.messages[i].bytes.ptr, big, batch.messages[i].bytes.len);
        }
        source_commit(source, &batch);
    }
    assert_int_equal(n, COUNT_OF(sizes));
    batch_free(&batch);
    source_close(source);
    free(big);
}

static void test_wrong_password_is_said_and_retried(void **state) {
    (void)state;
    live_nats_kill(&server);
    server.user = "router";
    live_nats_run(&server);
    struct source *source = open_source(STREAM, DURABLE, 0);
    await_detail(source, "refuses the credentials", 5000);
    struct source_stats stats;
    source_get_stats(source, &stats);
    assert_false(stats.ready);
    live_nats_kill(&server);
    server.user = NULL;
    live_nats_run(&server);
    await_detail(source, "stream " STREAM " does not exist yet", 10000);
    source_close(source);
}

int main(int argc, char **argv) {
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL); // "*rebalance*": only these
    if (!live_have_nats())
        return 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_waits_for_the_stream_then_reads_all_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_was_not_committed_comes_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_server_killed_and_restarted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_server_away_at_start_and_stop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_consumers_of_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sizes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_password_is_said_and_retried, set_up, tear_down),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    nats_CloseAndWait(2000);
    return failed;
}
