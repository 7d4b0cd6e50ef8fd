// A Kafka sink against the mock cluster, or a real Kafka: order, headers, resending after a failure, a producer made
// anew. The sink's own files are included, so that the producer's handle can be reached to break it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../broker/live.h"
#include "../broker/live_kafka.h"
#include "kafka.c"
#include "sink.c"
#include "sending.h"

static struct live_kafka kafka;
static char topic[128];

static rd_kafka_t *handle_of(struct sink *sink) {
    return ((struct kafka_sink *)sink->state)->client;
}

static struct sink *open_sink(const char *brokers, size_t in_flight) {
    static struct setting quick = {(char *)(uintptr_t) "retry.backoff.ms", (char *)(uintptr_t) "50"};
    struct sink_config config = {
        .name = (char *)(uintptr_t) "out",
        .kind = SINK_KAFKA,
        .kafka = {.brokers = (char *)(uintptr_t)brokers, .settings = &quick, .n_settings = 1},
        .topic = topic,
        .max_in_flight = in_flight,
    };
    struct status status = {0};
    struct sink *sink = sink_open(&config, &status);
    if (!sink)
        fail_msg("%s", status.text);
    return sink;
}

struct record {
    unsigned long long n;
    int32_t partition;
};

// Everything in the topic, each partition in its order; ids, keys and content types are checked.
static size_t read_topic(int partitions, struct record *records, size_t cap, size_t want) {
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    live_kafka_set(conf, "bootstrap.servers", kafka.brokers);
    live_kafka_set(conf, "group.id", topic);
    live_kafka_set(conf, "enable.auto.commit", "false");
    rd_kafka_t *reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    assert_non_null(reader);
    rd_kafka_poll_set_consumer(reader);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    for (int p = 0; p < partitions; p++)
        rd_kafka_topic_partition_list_add(list, topic, p)->offset = RD_KAFKA_OFFSET_BEGINNING;
    assert_int_equal(rd_kafka_assign(reader, list), 0);
    rd_kafka_topic_partition_list_destroy(list);
    size_t n = 0;
    for (int64_t until_ms = clock_monotonic_ms() + 15000, quiet_ms = 0; clock_monotonic_ms() < until_ms && n < cap;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, 100);
        if (!message) {
            quiet_ms += 100;
            if (n >= want && quiet_ms >= 500)
                break;
            continue;
        }
        if (!message->err) {
            char id[33], key[32];
            rd_kafka_headers_t *headers = NULL;
            const void *value = NULL;
            size_t len = 0;
            assert_int_equal(sscanf(message->payload, "{\"n\":%llu", &records[n].n), 1);
            records[n].partition = message->partition;
            sending_id(records[n].n, id);
            snprintf(key, sizeof key, "subject-%llu", records[n].n % 7);
            assert_true(str_eq((struct str){message->key, message->key_len}, str_of(key)));
            assert_int_equal(rd_kafka_message_headers(message, &headers), 0);
            assert_int_equal(rd_kafka_header_get_last(headers, "id", &value, &len), 0);
            assert_true(str_eq((struct str){value, len}, str_of(id)));
            assert_int_equal(rd_kafka_header_get_last(headers, "content-type", &value, &len), 0);
            assert_true(str_eq((struct str){value, len}, STR("application/json")));
            n++;
        }
        rd_kafka_message_destroy(message);
    }
    rd_kafka_consumer_close(reader);
    rd_kafka_destroy(reader);
    return n;
}

static int set_up(void **state) {
    (void)state;
    live_kafka_name(topic, sizeof topic, "signals");
    return 0;
}

static void test_all_in_order(void **state) {
    (void)state;
    static struct record records[20000];
    live_kafka_topic(&kafka, topic, 4);
    struct sink *sink = open_sink(kafka.brokers, 256);
    struct sending sending = {.sink = sink};
    send_up_to(&sending, 5000, 30000);
    assert_int_equal(sending.acked, 5000);
    assert_int_equal(sending.failures, 0);
    struct sink_stats stats;
    sink_get_stats(sink, &stats);
    assert_true(stats.ready);
    assert_int_equal(stats.acked, 5000);
    assert_int_equal(stats.resent, 0);
    sink_close(sink, 1000);
    size_t n = read_topic(4, records, COUNT_OF(records), 5000);
    assert_int_equal(n, 5000);
    unsigned long long last[4] = {0};
    bool spread = false;
    for (size_t i = 0; i < n; i++) {
        assert_true(records[i].n > last[records[i].partition]); // in order within a partition, once each
        last[records[i].partition] = records[i].n;
        spread |= records[i].partition != records[0].partition;
    }
    assert_true(spread);
}

// In the order of first appearance each record must come; again is allowed, with the same id.
static void assert_nothing_lost(size_t n, const struct record *records, unsigned long long last) {
    static unsigned times[20001];
    memset(times, 0, sizeof times);
    for (size_t i = 0; i < n; i++) {
        assert_in_range(records[i].n, 1, last);
        times[records[i].n]++;
    }
    for (unsigned long long i = 1; i <= last; i++)
        if (times[i] == 0)
            fail_msg("record %llu is not there", i);
}

static void test_a_refused_record_is_sent_again(void **state) {
    (void)state;
    if (kafka.real) {
        print_message("skipped: a real Kafka cannot be told to refuse\n");
        skip();
    }
    static struct record records[20000];
    live_kafka_topic(&kafka, topic, 1);
    struct sink *sink = open_sink(kafka.brokers, 64);
    struct sending sending = {.sink = sink};
    send_up_to(&sending, 100, 20000);
    rd_kafka_mock_push_request_errors(kafka.mock, 0, 2, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    send_up_to(&sending, 1000, 30000);
    assert_int_equal(sending.acked, 1000);
    assert_true(sending.failures >= 1);
    struct sink_stats stats;
    sink_get_stats(sink, &stats);
    assert_true(stats.refused >= 1);
    assert_true(stats.resent >= 1);
    sink_close(sink, 1000);
    assert_nothing_lost(read_topic(1, records, COUNT_OF(records), 1000), records, 1000);
}

static void test_a_fatal_error_costs_the_handle_only(void **state) {
    (void)state;
    static struct record records[20000];
    live_kafka_topic(&kafka, topic, 2);
    struct sink *sink = open_sink(kafka.brokers, 64);
    struct sending sending = {.sink = sink};
    send_up_to(&sending, 500, 20000);
    assert_int_equal(sending.acked, 500);
    for (uint64_t seq = 501; seq <= 520; seq++)
        assert_int_equal(send_one(&sending, seq), SINK_SENT);
    rd_kafka_test_fatal_error(handle_of(sink), RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                              "as older libraries have them");
    send_up_to(&sending, 1000, 20000);
    assert_int_equal(sending.acked, 1000);
    assert_true(sending.failures >= 1);
    struct sink_stats stats;
    sink_get_stats(sink, &stats);
    assert_true(stats.ready);
    assert_true(stats.reconnects >= 1);
    sink_close(sink, 1000);
    assert_nothing_lost(read_topic(2, records, COUNT_OF(records), 1000), records, 1000);
}

// What is in flight when the caller goes back is let go, and does not follow what is sent again.
static void test_offered_again_from_before(void **state) {
    (void)state;
    static struct record records[20000];
    live_kafka_topic(&kafka, topic, 1);
    struct sink *sink = open_sink(kafka.brokers, 64);
    struct sending sending = {.sink = sink};
    send_up_to(&sending, 50, 20000);
    for (uint64_t seq = 51; seq <= 80; seq++)
        assert_int_equal(send_one(&sending, seq), SINK_SENT);
    sending.next = 51;
    send_up_to(&sending, 200, 20000);
    assert_int_equal(sending.acked, 200);
    sink_close(sink, 1000);
    assert_nothing_lost(read_topic(1, records, COUNT_OF(records), 200), records, 200);
}

static void test_nobody_there(void **state) {
    (void)state;
    char brokers[64];
    snprintf(brokers, sizeof brokers, "127.0.0.1:%d", live_free_port());
    struct sink *sink = open_sink(brokers, 16);
    struct sending sending = {.sink = sink};
    send_up_to(&sending, 100, 2000);
    assert_int_equal(sending.acked, 0);
    assert_int_equal(send_one(&sending, sending.next), SINK_BUSY); // the in-flight bound
    struct sink_stats stats;
    sink_get_stats(sink, &stats);
    assert_false(stats.ready);
    if (!strstr(stats.detail, "no broker answers"))
        fail_msg("says: %s", stats.detail);
    int64_t began_ms = clock_monotonic_ms();
    sink_close(sink, 500);
    assert_true(clock_monotonic_ms() - began_ms < 6000);
}

static void test_too_large_fails_alone(void **state) {
    (void)state;
    live_kafka_topic(&kafka, topic, 1);
    struct sink *sink = open_sink(kafka.brokers, 16);
    struct sending sending = {.sink = sink};
    send_up_to(&sending, 5, 20000);
    size_t len = 2 << 20;
    char *big = malloc(len);
    memset(big, 'x', len);
    struct sink_record record = {.seq = 6, .id = STR("x"), .payload = {big, len}};
    struct status status = {0};
    assert_int_equal(sink_send(sink, &record, &status), SINK_FAILED);
    assert_int_equal(status.code, STATUS_INVALID);
    assert_non_null(strstr(status.text, topic));
    free(big);
    send_up_to(&sending, 10, 20000);
    assert_int_equal(sending.acked, 10);
    sink_close(sink, 1000);
}

static void test_a_topic_that_is_missing(void **state) {
    (void)state;
    if (!kafka.real) {
        print_message("skipped: the mock cluster makes topics by itself\n");
        skip();
    }
    struct sink *sink = open_sink(kafka.brokers, 16);
    struct sending sending = {.sink = sink};
    send_up_to(&sending, 5, 2500);
    assert_int_equal(sending.acked, 0);
    struct sink_stats stats;
    sink_get_stats(sink, &stats);
    assert_false(stats.ready);
    if (!strstr(stats.detail, topic))
        fail_msg("says: %s", stats.detail);
    live_kafka_topic(&kafka, topic, 1);
    send_up_to(&sending, 5, 20000);
    assert_int_equal(sending.acked, 5);
    sink_get_stats(sink, &stats);
    assert_true(stats.ready);
    sink_close(sink, 1000);
}

int main(int argc, char **argv) {
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL); // "*rebalance*": only these
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_all_in_order, set_up),
        cmocka_unit_test_setup(test_a_refused_record_is_sent_again, set_up),
        cmocka_unit_test_setup(test_a_fatal_error_costs_the_handle_only, set_up),
        cmocka_unit_test_setup(test_offered_again_from_before, set_up),
        cmocka_unit_test_setup(test_too_large_fails_alone, set_up),
        cmocka_unit_test_setup(test_a_topic_that_is_missing, set_up),
        cmocka_unit_test(test_nobody_there),
    };
    live_kafka_open(&kafka);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    live_kafka_close(&kafka);
    return failed;
}
