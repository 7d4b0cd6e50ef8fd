// kafka: an idempotent producer as a sink.
//
// Records go out in order; delivery reports come back by ticket (see window.h). When
// one fails, everything in flight is let go: the library's queues are purged so that
// nothing old can follow what is sent again, and poll answers false. An error that is
// fatal for the idempotent producer (old libraries have them without need) costs the
// handle, not the process: a new one is made from the same settings.
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>

#include "sink_ops.h"
#include "window.h"

#define IN_FLIGHT_DEFAULT 1024
#define MESSAGE_TIMEOUT "30000" // ms, from send to acknowledged, with the library's own retries
#define LOOK_EVERY_MS 1000      // while not ready: does the topic answer?
#define LOOK_WAIT_MS 250
#define PURGE_WAIT_MS 2000
#define FREE_WAIT_MS 3000

struct kafka_sink {
    struct sink_meter *meter;
    struct kafka_settings settings; // copied: a new handle may have to be made
    char *topic_name;
    struct kafka_plan *plan; // the handle's; a handle that is left behind keeps it
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
    struct window window;
    bool failed;    // a delivery failed since the last poll
    bool delivered; // one succeeded
    struct status why;
    int64_t look_ms;
};

// ---- the handle ----------------------------------------------------------------------

static void on_delivered(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque) {
    struct kafka_sink *kafka = ((struct kafka_plan *)opaque)->owner;
    uint64_t ticket = (uint64_t)(uintptr_t)message->_private;
    (void)client;
    if (ticket < kafka->window.first || ticket >= kafka->window.next)
        return; // of a flight that was let go
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        kafka->delivered = true;
        if (window_ack(&kafka->window, ticket))
            atomic_fetch_add(&kafka->meter->acked, 1);
        return;
    }
    atomic_fetch_add(&kafka->meter->refused, 1);
    if (!kafka->failed)
        status_fail(&kafka->why, STATUS_UNAVAILABLE, "topic %s did not take a record: %s", kafka->topic_name,
                    rd_kafka_err2str(message->err));
    kafka->failed = true;
}

static bool make_client(struct kafka_sink *kafka, struct status *status) {
    static const struct kafka_default defaults[] = {
        {"linger.ms", "1", false},
        {"partitioner", "murmur2_random", false}, // as Java's clients choose, so that a key meets its kind
        {"queue.buffering.max.messages", "100000", false},
        {"queue.buffering.max.kbytes", "65536", false},
    };
    static const struct kafka_default fixed[] = {
        {"enable.idempotence", "true", false},
        {"acks", "all", false},
        {"message.timeout.ms", MESSAGE_TIMEOUT, false},
    };
    kafka->plan = must_alloc(sizeof *kafka->plan);
    *kafka->plan = (struct kafka_plan){
        .defaults = defaults,
        .n_defaults = COUNT_OF(defaults),
        .fixed = fixed,
        .n_fixed = COUNT_OF(fixed),
        .door = &kafka->meter->door,
        .owner = kafka,
    };
    rd_kafka_conf_t *conf = kafka_conf_new(&kafka->settings, kafka->plan, status);
    if (conf) {
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivered);
        kafka->client = kafka_client_new(conf, &kafka->settings, true, status);
    }
    if (!kafka->client) {
        free(kafka->plan);
        kafka->plan = NULL;
        return false;
    }
    kafka->topic = rd_kafka_topic_new(kafka->client, kafka->topic_name, NULL);
    must(kafka->topic != NULL);
    return true;
}

static bool free_client(struct kafka_sink *kafka) {
    rd_kafka_topic_destroy(kafka->topic);
    kafka->topic = NULL;
    bool gone = kafka_client_free(kafka->client, FREE_WAIT_MS);
    if (gone)
        free(kafka->plan);
    kafka->plan = NULL;
    kafka->client = NULL;
    return gone;
}

static void copy_settings(struct kafka_settings *to, const struct kafka_settings *from) {
    to->brokers = from->brokers ? must_strdup(from->brokers) : NULL;
    to->n_settings = from->n_settings;
    to->settings = from->n_settings ? must_alloc(from->n_settings * sizeof *to->settings) : NULL;
    for (size_t i = 0; i < from->n_settings; i++)
        to->settings[i] = (struct setting){must_strdup(from->settings[i].key), must_strdup(from->settings[i].value)};
}

static void free_state(struct kafka_sink *kafka) {
    for (size_t i = 0; i < kafka->settings.n_settings; i++) {
        free(kafka->settings.settings[i].key);
        free(kafka->settings.settings[i].value);
    }
    free(kafka->settings.settings);
    free(kafka->settings.brokers);
    free(kafka->topic_name);
    window_free(&kafka->window);
    free(kafka);
}

static void *kafka_open(const struct sink_config *config, struct sink_meter *meter, struct status *status) {
    if (!config->topic || !config->topic[0]) {
        status_fail(status, STATUS_INVALID, "sink \"%s\": `topic` is missing", config->name);
        return NULL;
    }
    struct kafka_sink *kafka = must_alloc(sizeof *kafka);
    kafka->meter = meter;
    kafka->topic_name = must_strdup(config->topic);
    copy_settings(&kafka->settings, &config->kafka);
    window_init(&kafka->window, config->max_in_flight ? config->max_in_flight : IN_FLIGHT_DEFAULT);
    if (!make_client(kafka, status)) {
        free_state(kafka);
        return NULL;
    }
    door_is_waiting(&meter->door, "connecting to %s", config->kafka.brokers);
    return kafka;
}

// ---- letting go ------------------------------------------------------------------------

static void let_go(struct kafka_sink *kafka) {
    window_let_go(&kafka->window);
    rd_kafka_purge(kafka->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    int64_t until_ms = clock_monotonic_ms() + PURGE_WAIT_MS;
    while (rd_kafka_outq_len(kafka->client) > 0 && clock_monotonic_ms() < until_ms)
        rd_kafka_poll(kafka->client, 10);
    kafka->failed = false; // the reports of what was purged
}

// False: no producer now. The same settings worked before, but files that they name may be away for a while.
static bool keep_client(struct kafka_sink *kafka) {
    int64_t now_ms = clock_monotonic_ms();
    if (kafka->client)
        return true;
    if (now_ms < kafka->look_ms)
        return false;
    kafka->look_ms = now_ms + LOOK_EVERY_MS;
    struct status status = {0};
    if (!make_client(kafka, &status)) {
        door_has_trouble(&kafka->meter->door, DOOR_UNREACHABLE, "%s", status.text);
        return false;
    }
    door_reconnected(&kafka->meter->door);
    return true;
}

static void rebuild(struct kafka_sink *kafka) {
    logline(LOGLINE_WARN, "sink", "making a new Kafka producer", "name", kafka->meter->door.name, NULL);
    window_let_go(&kafka->window);
    free_client(kafka); // or leave it behind: it no longer knows us
    kafka->failed = false;
    kafka->look_ms = 0;
    keep_client(kafka);
}

// ---- sending ---------------------------------------------------------------------------

static enum sink_sent kafka_send(void *state, const struct sink_record *record, struct status *status) {
    struct kafka_sink *kafka = state;
    if (!kafka->client || kafka->failed || kafka->plan->fatal)
        return SINK_BUSY; // the next poll tells
    if (window_goes_back(&kafka->window, record->seq))
        let_go(kafka);
    if (window_is_full(&kafka->window))
        return SINK_BUSY;
    uint64_t ticket = window_push(&kafka->window, record->seq);
    rd_kafka_resp_err_t error = rd_kafka_producev(
        kafka->client, RD_KAFKA_V_RKT(kafka->topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)record->payload.ptr, record->payload.len),
        RD_KAFKA_V_KEY((const void *)(record->key.len ? record->key.ptr : NULL), record->key.len),
        RD_KAFKA_V_HEADER("id", record->id.ptr, (ssize_t)record->id.len),
        RD_KAFKA_V_HEADER("content-type", record->content_type.ptr, (ssize_t)record->content_type.len),
        RD_KAFKA_V_OPAQUE((void *)(uintptr_t)ticket), RD_KAFKA_V_END);
    if (!error) {
        atomic_fetch_add(&kafka->meter->resent, window_was_sent_before(&kafka->window, record->seq));
        return SINK_SENT;
    }
    window_unpush(&kafka->window);
    if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL || error == RD_KAFKA_RESP_ERR__FATAL)
        return SINK_BUSY;
    atomic_fetch_add(&kafka->meter->refused, 1);
    door_has_trouble(&kafka->meter->door, DOOR_REFUSED, "record %llu (%zu bytes) cannot be sent to topic %s: %s",
                     (unsigned long long)record->seq, record->payload.len, kafka->topic_name, rd_kafka_err2str(error));
    status_fail(status, STATUS_INVALID, "record %llu (%zu bytes) cannot be sent to topic %s: %s",
                (unsigned long long)record->seq, record->payload.len, kafka->topic_name, rd_kafka_err2str(error));
    return SINK_FAILED;
}

// While the door is not ready: does a broker answer, and is the topic there? Asking also warms the library's knowledge
// of it.
static void look_at_topic(struct kafka_sink *kafka) {
    int64_t now_ms = clock_monotonic_ms();
    if (door_ready(&kafka->meter->door) || now_ms < kafka->look_ms)
        return;
    kafka->look_ms = now_ms + LOOK_EVERY_MS;
    const struct rd_kafka_metadata *metadata = NULL;
    if (rd_kafka_metadata(kafka->client, 0, kafka->topic, &metadata, LOOK_WAIT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    kafka->plan->down = false;
    rd_kafka_resp_err_t error =
        metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    if (!error)
        door_is_ready(&kafka->meter->door, "producing to topic %s", kafka->topic_name);
    else if (error == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
        door_has_trouble(&kafka->meter->door, DOOR_DENIED, "not permitted to write topic %s", kafka->topic_name);
    else
        door_has_trouble(&kafka->meter->door, DOOR_MISSING, "topic %s: %s; waiting for it", kafka->topic_name,
                         rd_kafka_err2str(error));
    rd_kafka_metadata_destroy(metadata);
}

static bool kafka_poll(void *state, int timeout_ms, uint64_t *acked_seq, struct status *status) {
    struct kafka_sink *kafka = state;
    *acked_seq = kafka->window.acked_seq;
    if (!keep_client(kafka)) {
        clock_sleep_ms(timeout_ms < 100 ? timeout_ms : 100);
        return true;
    }
    rd_kafka_poll(kafka->client, timeout_ms);
    if (kafka->delivered && !door_ready(&kafka->meter->door))
        door_is_ready(&kafka->meter->door, "producing to topic %s", kafka->topic_name);
    kafka->delivered = false;
    look_at_topic(kafka);
    bool ok = !kafka->failed && !kafka->plan->fatal;
    if (!ok) {
        if (kafka->failed)
            door_has_trouble(&kafka->meter->door, DOOR_REFUSED, "%s", kafka->why.text);
        else
            status_fail(&kafka->why, STATUS_UNAVAILABLE, "the producer of topic %s had to be made anew",
                        kafka->topic_name);
        if (status)
            *status = kafka->why;
        if (kafka->plan->fatal)
            rebuild(kafka);
        else
            let_go(kafka);
    }
    *acked_seq = kafka->window.acked_seq;
    return ok;
}

static bool kafka_close(void *state, int timeout_ms) {
    struct kafka_sink *kafka = state;
    if (timeout_ms > 0 && window_in_flight(&kafka->window) > 0)
        rd_kafka_flush(kafka->client, timeout_ms);
    if (window_in_flight(&kafka->window) > 0)
        let_go(kafka);
    if (kafka->client && !free_client(kafka))
        return false;
    free_state(kafka);
    return true;
}

const struct sink_ops kafka_sink_ops = {
    .open = kafka_open,
    .send = kafka_send,
    .poll = kafka_poll,
    .close = kafka_close,
};
