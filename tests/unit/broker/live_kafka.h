// live_kafka: the Kafka that tests talk to. With PENSTOCK_TEST_KAFKA=host:port a real one
// (tests/kafka/broker starts one), else librdkafka's mock cluster in this process.
#ifndef PENSTOCK_TEST_LIVE_KAFKA_H
#define PENSTOCK_TEST_LIVE_KAFKA_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "penstock/base.h"

struct live_kafka {
    bool real;
    char brokers[256];
    rd_kafka_t *handle; // a producer; also where the mock cluster lives
    rd_kafka_mock_cluster_t *mock;
};

static inline void live_kafka_delivered(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque) {
    (void)handle;
    (void)opaque;
    must(message->err == RD_KAFKA_RESP_ERR_NO_ERROR);
}

static inline void live_kafka_set(rd_kafka_conf_t *conf, const char *key, const char *value) {
    char text[256];
    must(rd_kafka_conf_set(conf, key, value, text, sizeof text) == RD_KAFKA_CONF_OK);
}

static inline void live_kafka_open(struct live_kafka *kafka) {
    char text[256];
    const char *given = getenv("PENSTOCK_TEST_KAFKA");
    *kafka = (struct live_kafka){.real = given && given[0]};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    live_kafka_set(conf, "linger.ms", "5");
    rd_kafka_conf_set_dr_msg_cb(conf, live_kafka_delivered);
    if (kafka->real)
        live_kafka_set(conf, "bootstrap.servers", given);
    else
        live_kafka_set(conf, "test.mock.num.brokers", "1");
    kafka->handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    must(kafka->handle != NULL);
    if (!kafka->real) {
        kafka->mock = rd_kafka_handle_mock_cluster(kafka->handle);
        given = rd_kafka_mock_cluster_bootstraps(kafka->mock);
    }
    snprintf(kafka->brokers, sizeof kafka->brokers, "%s", given);
    fprintf(stderr, "kafka: %s at %s, librdkafka %s\n", kafka->real ? "a real one" : "the mock cluster", kafka->brokers,
            rd_kafka_version_str());
}

static inline void live_kafka_close(struct live_kafka *kafka) {
    rd_kafka_destroy(kafka->handle);
}

// A name that no other test or run uses.
static inline void live_kafka_name(char *name, size_t size, const char *what) {
    static int n;
    snprintf(name, size, "%s-%d-%d-%lld", what, (int)getpid(), ++n, (long long)(clock_now_ms() % 1000000));
}

static inline void live_kafka_admin(struct live_kafka *kafka, rd_kafka_NewTopic_t *topic, const char *deleted) {
    rd_kafka_queue_t *queue = rd_kafka_queue_new(kafka->handle);
    if (topic) {
        rd_kafka_CreateTopics(kafka->handle, &topic, 1, NULL, queue);
    } else {
        rd_kafka_DeleteTopic_t *gone = rd_kafka_DeleteTopic_new(deleted);
        rd_kafka_DeleteTopics(kafka->handle, &gone, 1, NULL, queue);
        rd_kafka_DeleteTopic_destroy(gone);
    }
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 20000);
    must(event && rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    clock_sleep_ms(200); // until every broker's metadata know it
}

static inline void live_kafka_topic(struct live_kafka *kafka, const char *name, int partitions) {
    if (!kafka->real) {
        must(rd_kafka_mock_topic_create(kafka->mock, name, partitions, 1) == RD_KAFKA_RESP_ERR_NO_ERROR);
        return;
    }
    char text[256];
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, partitions, 1, text, sizeof text);
    must(topic != NULL);
    live_kafka_admin(kafka, topic, NULL);
    rd_kafka_NewTopic_destroy(topic);
}

// Messages {"n":from} … {"n":to}, n to partition n % partitions; all delivered.
static inline void live_kafka_produce(struct live_kafka *kafka, const char *topic, int partitions, int from, int to) {
    for (int n = from; n <= to; n++) {
        char body[64];
        int len = snprintf(body, sizeof body, "{\"n\":%d}", n);
        rd_kafka_resp_err_t error;
        do {
            error = rd_kafka_producev(kafka->handle, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(n % partitions),
                                      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_VALUE(body, (size_t)len),
                                      RD_KAFKA_V_END);
            rd_kafka_poll(kafka->handle, error ? 10 : 0);
        } while (error == RD_KAFKA_RESP_ERR__QUEUE_FULL);
        must(!error);
    }
    must(rd_kafka_flush(kafka->handle, 20000) == RD_KAFKA_RESP_ERR_NO_ERROR);
}

#endif
