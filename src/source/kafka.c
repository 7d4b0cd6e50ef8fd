// kafka: a consumer group's member as a source.
//
// Offsets are committed by us alone, from what source_commit says is durable: the next
// offset a partition, asynchronously, what has gathered since the last time. Partitions
// come and go by eager rebalances, inside the poll: before one is given up, what has
// been read is given a moment to become durable, and is committed. A message is taken
// only if it stands at or after the place where its partition must go on; so the library
// may rewind (older ones do) without anything passing twice.
//
// Threads: everything on the source's own but kafka_commit, which only moves `durable`
// under the mutex. The library's callbacks run inside our polls.
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "source_ops.h"

#define COMMIT_EVERY_MS 100
#define SETTLE_MS 5000      // at a revocation: for what was read to become durable
#define COMMIT_SYNC_MS 3000 // for a commit that is waited for
#define COMMITTED_MS 5000   // at an assignment: for the broker to say where the group stands
#define CLOSE_MS 5000
#define PAUSE_AFTER_MS 1000 // pausing throws the prefetched away, so a short stall just does not poll
#define HELD_MAX 64         // messages that still come while a pause takes effect
#define LAG_EVERY_MS 1000
#define PREFETCH_BYTES_MIN (32 << 20)
#define PREFETCH_BYTES_MAX (128 << 20)
#define PREFETCH_MESSAGES_MAX 64 // of the largest size: the bound follows max_message_bytes

struct partition {
    bool assigned;
    int64_t expected; // the next offset to take; -1: whatever comes
    int64_t durable;  // next offset after what the log holds; -1: nothing known
    int64_t asked;    // next offset that a commit was sent for, or that the broker had
};

struct topic {
    char *name;
    const rd_kafka_topic_t *handle; // the library's, as last seen: saves comparing names
    struct partition *partitions;
    int32_t n;
};

struct kafka_source {
    struct source_meter *meter;
    struct kafka_plan plan;
    rd_kafka_t *client;
    rd_kafka_queue_t *commits; // answers to commits
    struct topic *topics;
    size_t n_topics;
    char *group;
    uint32_t max_message_bytes;

    pthread_mutex_t mutex; // guards the partitions' `durable`, `epoch` and these two
    pthread_cond_t settled_cond;
    uint64_t handed, settled; // batches
    int64_t epoch;            // of the assignment in force

    bool has_assignment, revoked; // revoked: since the running read began
    bool closing, paused;
    int64_t stalled_ms; // since when nobody reads; 0: somebody does
    bool commit_out;    // one is under way
    int64_t commit_ms, lag_ms;
    rd_kafka_message_t *held[HELD_MAX]; // taken from the library, not yet given out
    size_t held_at, held_n;
    struct status failure; // sticks: only a person can mend it
};

// ---- partitions ------------------------------------------------------------------------

static int32_t topic_index(struct kafka_source *kafka, const char *name) {
    for (size_t i = 0; i < kafka->n_topics; i++)
        if (strcmp(kafka->topics[i].name, name) == 0)
            return (int32_t)i;
    return -1;
}

// With the mutex held, or before there are threads.
static struct partition *partition_at(struct topic *topic, int32_t id) {
    must(id >= 0);
    if (id >= topic->n) {
        topic->partitions = must_realloc(topic->partitions, (size_t)(id + 1) * sizeof *topic->partitions);
        for (int32_t i = topic->n; i <= id; i++)
            topic->partitions[i] = (struct partition){.expected = -1, .durable = -1, .asked = -1};
        topic->n = id + 1;
    }
    return &topic->partitions[id];
}

static void place_positions(struct kafka_source *kafka, const struct source_position *positions, size_t n) {
    for (size_t i = 0; i < n; i++) {
        int32_t topic =
            positions[i].topic[0] ? topic_index(kafka, positions[i].topic) : source_topic_of(positions[i].partition);
        if (topic < 0 || (size_t)topic >= kafka->n_topics || positions[i].partition < 0)
            continue;
        struct partition *partition = partition_at(&kafka->topics[topic], source_partition_of(positions[i].partition));
        if (positions[i].next_offset > partition->durable)
            partition->durable = positions[i].next_offset;
    }
}

static void drop_held(struct kafka_source *kafka) {
    while (kafka->held_n > 0) {
        rd_kafka_message_destroy(kafka->held[kafka->held_at]);
        kafka->held_at = (kafka->held_at + 1) % HELD_MAX;
        kafka->held_n--;
    }
}

static void hold(struct kafka_source *kafka, rd_kafka_message_t *message) {
    must(kafka->held_n < HELD_MAX);
    kafka->held[(kafka->held_at + kafka->held_n++) % HELD_MAX] = message;
}

static rd_kafka_message_t *unhold(struct kafka_source *kafka) {
    rd_kafka_message_t *message = kafka->held[kafka->held_at];
    kafka->held_at = (kafka->held_at + 1) % HELD_MAX;
    kafka->held_n--;
    return message;
}

// ---- commits ---------------------------------------------------------------------------

// What is durable and was not yet asked for. NULL: nothing. Counts as asked from here on.
static rd_kafka_topic_partition_list_t *gather_commits(struct kafka_source *kafka) {
    rd_kafka_topic_partition_list_t *list = NULL;
    pthread_mutex_lock(&kafka->mutex);
    for (size_t t = 0; t < kafka->n_topics; t++) {
        struct topic *topic = &kafka->topics[t];
        for (int32_t p = 0; p < topic->n; p++) {
            struct partition *partition = &topic->partitions[p];
            if (!partition->assigned || partition->durable <= partition->asked)
                continue;
            if (!list)
                list = rd_kafka_topic_partition_list_new(16);
            rd_kafka_topic_partition_list_add(list, topic->name, p)->offset = partition->durable;
            partition->asked = partition->durable;
        }
    }
    pthread_mutex_unlock(&kafka->mutex);
    return list;
}

// A commit that failed is asked for again with the next one.
static void unask(struct kafka_source *kafka, const rd_kafka_topic_partition_list_t *list, bool all) {
    pthread_mutex_lock(&kafka->mutex);
    for (int i = 0; list && i < list->cnt; i++) {
        int32_t topic = topic_index(kafka, list->elems[i].topic);
        if (topic >= 0 && (all || list->elems[i].err))
            partition_at(&kafka->topics[topic], list->elems[i].partition)->asked = -1;
    }
    pthread_mutex_unlock(&kafka->mutex);
}

static void take_commit_answer(struct kafka_source *kafka, rd_kafka_event_t *event) {
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_OFFSET_COMMIT) {
        rd_kafka_resp_err_t error = rd_kafka_event_error(event);
        kafka->commit_out = false;
        unask(kafka, rd_kafka_event_topic_partition_list(event), error != 0);
        if (!error)
            atomic_fetch_add(&kafka->meter->commits, 1);
        else if (error != RD_KAFKA_RESP_ERR__NO_OFFSET)
            door_has_trouble(&kafka->meter->door, DOOR_REFUSED, "commit failed, trying again: %s",
                             rd_kafka_err2str(error));
    }
    rd_kafka_event_destroy(event);
}

static void await_commit(struct kafka_source *kafka, int64_t until_ms) {
    while (kafka->commit_out) {
        int64_t left_ms = until_ms - clock_monotonic_ms();
        rd_kafka_event_t *event = rd_kafka_queue_poll(kafka->commits, left_ms > 0 ? (int)left_ms : 0);
        if (event)
            take_commit_answer(kafka, event);
        else if (left_ms <= 0)
            return;
    }
}

static void send_commit(struct kafka_source *kafka) {
    rd_kafka_topic_partition_list_t *list = gather_commits(kafka);
    if (!list)
        return;
    rd_kafka_resp_err_t error = rd_kafka_commit_queue(kafka->client, list, kafka->commits, NULL, NULL);
    if (error)
        unask(kafka, list, true);
    else
        kafka->commit_out = true;
    rd_kafka_topic_partition_list_destroy(list);
}

static void serve_commits(struct kafka_source *kafka) {
    await_commit(kafka, 0);
    int64_t now_ms = clock_monotonic_ms();
    if (kafka->commit_out || now_ms - kafka->commit_ms < COMMIT_EVERY_MS)
        return;
    kafka->commit_ms = now_ms;
    send_commit(kafka);
}

static void commit_sync(struct kafka_source *kafka, int timeout_ms) {
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;
    await_commit(kafka, until_ms);
    if (!kafka->commit_out)
        send_commit(kafka);
    await_commit(kafka, until_ms);
}

// ---- assignments -----------------------------------------------------------------------

static void await_settled(struct kafka_source *kafka) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += SETTLE_MS / 1000;
    pthread_mutex_lock(&kafka->mutex);
    while (kafka->settled < kafka->handed && !atomic_load(&kafka->meter->stop) &&
           pthread_cond_timedwait(&kafka->settled_cond, &kafka->mutex, &until) == 0)
        ;
    pthread_mutex_unlock(&kafka->mutex);
}

// Where each partition begins: the larger of what the log and what the broker knows. If the broker does not answer in
// time, the log's position; without one the library asks by itself.
static void choose_starts(struct kafka_source *kafka, rd_kafka_topic_partition_list_t *list) {
    rd_kafka_topic_partition_list_t *committed = rd_kafka_topic_partition_list_copy(list);
    rd_kafka_resp_err_t error = rd_kafka_committed(kafka->client, committed, COMMITTED_MS);
    pthread_mutex_lock(&kafka->mutex);
    for (int i = 0; i < list->cnt; i++) {
        int32_t topic = topic_index(kafka, list->elems[i].topic);
        if (topic < 0)
            continue;
        struct partition *partition = partition_at(&kafka->topics[topic], list->elems[i].partition);
        int64_t at_broker = error || committed->elems[i].err ? -1 : committed->elems[i].offset;
        int64_t start = at_broker > partition->durable ? at_broker : partition->durable;
        partition->assigned = true;
        partition->asked = at_broker >= 0 ? at_broker : -1;
        partition->expected = start;
        list->elems[i].offset = start >= 0 ? start : RD_KAFKA_OFFSET_INVALID;
    }
    kafka->epoch++;
    pthread_mutex_unlock(&kafka->mutex);
    rd_kafka_topic_partition_list_destroy(committed);
}

static void on_assign(struct kafka_source *kafka, rd_kafka_topic_partition_list_t *list) {
    choose_starts(kafka, list);
    rd_kafka_resp_err_t error = rd_kafka_assign(kafka->client, list);
    if (error) {
        door_has_trouble(&kafka->meter->door, DOOR_REFUSED, "cannot take the assignment: %s", rd_kafka_err2str(error));
        return;
    }
    if (kafka->paused)
        rd_kafka_pause_partitions(kafka->client, list);
    kafka->has_assignment = true;
    door_is_ready(&kafka->meter->door, "assigned %d partitions as a member of group %s", list->cnt, kafka->group);
}

static void on_revoke(struct kafka_source *kafka) {
    bool lost = rd_kafka_assignment_lost(kafka->client);
    if (!lost && !kafka->closing)
        await_settled(kafka);
    if (!lost)
        commit_sync(kafka, COMMIT_SYNC_MS);
    pthread_mutex_lock(&kafka->mutex);
    kafka->epoch++;
    for (size_t t = 0; t < kafka->n_topics; t++) {
        kafka->topics[t].handle = NULL;
        for (int32_t p = 0; p < kafka->topics[t].n; p++)
            kafka->topics[t].partitions[p].assigned = false;
    }
    pthread_mutex_unlock(&kafka->mutex);
    drop_held(kafka);
    kafka->revoked = true;
    kafka->has_assignment = false;
    rd_kafka_assign(kafka->client, NULL);
    door_is_waiting(&kafka->meter->door, "%s; waiting for an assignment of group %s",
                    lost ? "the assignment was lost" : "partitions revoked", kafka->group);
}

static void on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t *list,
                         void *opaque) {
    struct kafka_source *kafka = ((struct kafka_plan *)opaque)->owner;
    (void)client;
    atomic_fetch_add(&kafka->meter->rebalances, 1);
    if (what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
        on_assign(kafka, list);
    else
        on_revoke(kafka);
}

// ---- opening ---------------------------------------------------------------------------

static bool check_config(const struct source_config *config, struct status *status) {
    if (config->n_topics == 0)
        return status_fail(status, STATUS_INVALID, "source \"%s\": no topics", config->name);
    if (!config->group || !config->group[0])
        return status_fail(status, STATUS_INVALID, "source \"%s\": `group` is missing", config->name);
    for (size_t i = 0; i < config->n_topics; i++) {
        if (!config->topics[i][0] || config->topics[i][0] == '^' || strlen(config->topics[i]) > 249)
            return status_fail(status, STATUS_INVALID,
                               "source \"%s\": \"%s\" is not a topic's name (patterns are not taken)", config->name,
                               config->topics[i]);
        for (size_t j = 0; j < i; j++)
            if (strcmp(config->topics[i], config->topics[j]) == 0)
                return status_fail(status, STATUS_INVALID, "source \"%s\": topic %s is named twice", config->name,
                                   config->topics[i]);
    }
    static const char *const resets[] = {"earliest", "latest", "error"};
    for (size_t i = 0; config->offset_reset && i < COUNT_OF(resets); i++)
        if (strcmp(config->offset_reset, resets[i]) == 0)
            return true;
    return status_fail(status, STATUS_INVALID, "source \"%s\": offset_reset must be earliest, latest or error",
                       config->name);
}

static rd_kafka_conf_t *make_conf(struct kafka_source *kafka, const struct source_config *config,
                                  struct status *status) {
    uint64_t prefetch = (uint64_t)config->max_message_bytes * PREFETCH_MESSAGES_MAX;
    prefetch = prefetch < PREFETCH_BYTES_MIN   ? PREFETCH_BYTES_MIN
               : prefetch > PREFETCH_BYTES_MAX ? PREFETCH_BYTES_MAX
                                               : prefetch;
    char prefetch_kbytes[24];
    snprintf(prefetch_kbytes, sizeof prefetch_kbytes, "%llu", (unsigned long long)prefetch / 1024);
    const struct kafka_default defaults[] = {
        {"queued.max.messages.kbytes", prefetch_kbytes, false},
        {"fetch.max.bytes", "16777216", false},
        {"fetch.queue.backoff.ms", "20", true}, // a second in versions that cannot say it
        {"session.timeout.ms", "45000", false},
        {"max.poll.interval.ms", "300000", false},
    };
    const struct kafka_default fixed[] = {
        {"group.id", config->group, false},
        {"auto.offset.reset", config->offset_reset, false},
        {"enable.auto.commit", "false", false},
        {"enable.auto.offset.store", "false", false},
        {"partition.assignment.strategy", "range", false},
        {"isolation.level", "read_committed", false},
        {"check.crcs", "true", false},
        {"enable.partition.eof", "false", false},
    };
    kafka->plan = (struct kafka_plan){
        .defaults = defaults,
        .n_defaults = COUNT_OF(defaults),
        .fixed = fixed,
        .n_fixed = COUNT_OF(fixed),
        .door = &kafka->meter->door,
        .owner = kafka,
    };
    rd_kafka_conf_t *conf = kafka_conf_new(&config->kafka, &kafka->plan, status);
    kafka->plan.defaults = kafka->plan.fixed = NULL; // used up
    if (conf)
        rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    return conf;
}

static void free_state(struct kafka_source *kafka) {
    for (size_t i = 0; i < kafka->n_topics; i++) {
        free(kafka->topics[i].name);
        free(kafka->topics[i].partitions);
    }
    free(kafka->topics);
    free(kafka->group);
    pthread_mutex_destroy(&kafka->mutex);
    pthread_cond_destroy(&kafka->settled_cond);
    free(kafka);
}

static bool subscribe(struct kafka_source *kafka, struct status *status) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)kafka->n_topics);
    for (size_t i = 0; i < kafka->n_topics; i++)
        rd_kafka_topic_partition_list_add(list, kafka->topics[i].name, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t error = rd_kafka_poll_set_consumer(kafka->client);
    if (!error)
        error = rd_kafka_subscribe(kafka->client, list);
    rd_kafka_topic_partition_list_destroy(list);
    return !error || status_fail(status, STATUS_INVALID, "kafka: cannot subscribe: %s", rd_kafka_err2str(error));
}

static void *kafka_open(const struct source_config *config, const struct source_position *positions, size_t n_positions,
                        struct source_meter *meter, struct status *status) {
    if (!check_config(config, status))
        return NULL;
    struct kafka_source *kafka = must_alloc(sizeof *kafka);
    kafka->meter = meter;
    kafka->group = must_strdup(config->group);
    kafka->max_message_bytes = config->max_message_bytes;
    kafka->n_topics = config->n_topics;
    kafka->topics = must_alloc(config->n_topics * sizeof *kafka->topics);
    for (size_t i = 0; i < config->n_topics; i++)
        kafka->topics[i].name = must_strdup(config->topics[i]);
    place_positions(kafka, positions, n_positions);
    pthread_mutex_init(&kafka->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&kafka->settled_cond, &attributes);
    pthread_condattr_destroy(&attributes);

    rd_kafka_conf_t *conf = make_conf(kafka, config, status);
    if (conf)
        kafka->client = kafka_client_new(conf, &config->kafka, false, status);
    if (!kafka->client) {
        free_state(kafka);
        return NULL;
    }
    kafka->commits = rd_kafka_queue_new(kafka->client);
    if (!subscribe(kafka, status)) {
        rd_kafka_queue_destroy(kafka->commits);
        if (kafka_client_free(kafka->client, CLOSE_MS))
            free_state(kafka);
        return NULL;
    }
    door_is_waiting(&meter->door, "connecting to %s", config->kafka.brokers);
    return kafka;
}

// ---- reading ---------------------------------------------------------------------------

static bool fail_for_good(struct kafka_source *kafka, const char *text) {
    door_has_trouble(&kafka->meter->door, DOOR_REFUSED, "%s", text);
    return status_fail(&kafka->failure, STATUS_INVALID, "source \"%s\": %s", kafka->meter->door.name, text);
}

// False: only a person can mend it.
static bool take_error(struct kafka_source *kafka, const rd_kafka_message_t *message) {
    struct door_state *door = &kafka->meter->door;
    const char *topic = message->rkt ? rd_kafka_topic_name(message->rkt) : "?";
    const char *text = rd_kafka_message_errstr(message);
    char long_text[400];
    switch (message->err) {
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        door_has_trouble(door, DOOR_MISSING, "topic %s does not exist yet; waiting for it", topic);
        return true;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        door_has_trouble(door, DOOR_DENIED, "not permitted to read topic %s", topic);
        return true;
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
        door_has_trouble(door, DOOR_DENIED, "not permitted to use consumer group %s", kafka->group);
        return true;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
        snprintf(long_text, sizeof long_text,
                 "topic %s partition %d cannot be read where it should go on (%s). Set the offsets of group %s by hand "
                 "(kafka-consumer-groups --reset-offsets), or offset_reset to earliest or latest, knowing what is "
                 "skipped or read again",
                 topic, (int)message->partition, text, kafka->group);
        return fail_for_good(kafka, long_text);
    default:
        door_has_trouble(door, DOOR_REFUSED, "%s", text);
        return true;
    }
}

static struct topic *topic_of(struct kafka_source *kafka, const rd_kafka_message_t *message, int32_t *index) {
    for (size_t i = 0; i < kafka->n_topics; i++)
        if (kafka->topics[i].handle == message->rkt) {
            *index = (int32_t)i;
            return &kafka->topics[i];
        }
    *index = topic_index(kafka, rd_kafka_topic_name(message->rkt));
    if (*index < 0)
        return NULL;
    kafka->topics[*index].handle = message->rkt;
    return &kafka->topics[*index];
}

// A message from before the place where its partition goes on: the library has rewound (then it is only passed over),
// or the topic is not the one we knew.
static void judge_rewind(struct kafka_source *kafka, const rd_kafka_message_t *message, int64_t expected) {
    int64_t low = -1, high = -1;
    const char *topic = rd_kafka_topic_name(message->rkt);
    rd_kafka_get_watermark_offsets(kafka->client, topic, message->partition, &low, &high);
    if (high < 0 || high >= expected)
        return;
    char text[400];
    snprintf(text, sizeof text,
             "topic %s partition %d ends at offset %lld, but reading must go on at %lld: it was truncated or made "
             "anew. If what it "
             "holds now is to be read, give the source another name or remove its position, and reset group %s",
             topic, (int)message->partition, (long long)high, (long long)expected, kafka->group);
    fail_for_good(kafka, text);
}

enum taken { TAKEN, TAKEN_NOT, TAKEN_NO_ROOM };

static enum taken take_message(struct kafka_source *kafka, struct batch *batch, const rd_kafka_message_t *raw) {
    int32_t index;
    struct topic *topic = topic_of(kafka, raw, &index);
    if (!topic || raw->partition < 0 || raw->partition >= topic->n || !topic->partitions[raw->partition].assigned)
        return TAKEN_NOT; // of an assignment that is over
    struct partition *partition = &topic->partitions[raw->partition];
    if (raw->offset < partition->expected) {
        judge_rewind(kafka, raw, partition->expected);
        return TAKEN_NOT;
    }
    int64_t time_ms = rd_kafka_message_timestamp(raw, NULL);
    struct message message = {
        .bytes = {raw->payload, raw->len < kafka->max_message_bytes ? raw->len : kafka->max_message_bytes},
        .full_bytes = raw->len,
        .partition = raw->partition + 65536 * index,
        .offset = raw->offset,
        .time_ms = time_ms > 0 ? time_ms : 0,
    };
    if (!batch_add(batch, &message))
        return TAKEN_NO_ROOM;
    partition->expected = raw->offset + 1;
    return TAKEN;
}

// Waits at most wait_ms for one message. False: the batch is to be given out now.
static bool read_one(struct kafka_source *kafka, struct batch *batch, int wait_ms, bool *idle) {
    rd_kafka_message_t *message = kafka->held_n > 0 ? unhold(kafka) : rd_kafka_consumer_poll(kafka->client, wait_ms);
    if (kafka->revoked) { // inside that poll: what was gathered belongs to nobody now, and comes again to whom it is
                          // assigned
        kafka->revoked = false;
        batch_clear(batch);
    }
    *idle = !message;
    if (!message)
        return batch->n == 0;
    bool go_on = true;
    if (message->err) {
        go_on = take_error(kafka, message);
    } else {
        kafka->plan.down = false;
        if (take_message(kafka, batch, message) == TAKEN_NO_ROOM) {
            must(kafka->held_n < HELD_MAX);
            kafka->held_at = (kafka->held_at + HELD_MAX - 1) % HELD_MAX; // back to the front
            kafka->held[kafka->held_at] = message;
            kafka->held_n++;
            return false;
        }
    }
    rd_kafka_message_destroy(message);
    return go_on && kafka->failure.code == STATUS_OK && !batch_is_full(batch);
}

static void update_lag(struct kafka_source *kafka) {
    int64_t now_ms = clock_monotonic_ms(), lag = 0;
    if (now_ms - kafka->lag_ms < LAG_EVERY_MS)
        return;
    kafka->lag_ms = now_ms;
    bool known = kafka->has_assignment;
    for (size_t t = 0; t < kafka->n_topics; t++)
        for (int32_t p = 0; p < kafka->topics[t].n; p++) {
            struct partition *partition = &kafka->topics[t].partitions[p];
            int64_t low = -1, high = -1;
            if (!partition->assigned)
                continue;
            rd_kafka_get_watermark_offsets(kafka->client, kafka->topics[t].name, p, &low, &high);
            if (high < 0 || (partition->expected < 0 && high > 0))
                known = false;
            else if (high > partition->expected && partition->expected >= 0)
                lag += high - partition->expected;
        }
    atomic_store(&kafka->meter->lag, known ? lag : -1);
}

// What goes on beside the messages, in read and idle alike.
static void serve(struct kafka_source *kafka) {
    serve_commits(kafka);
    update_lag(kafka);
    if (kafka->plan.fatal && kafka->failure.code == STATUS_OK) {
        char text[200] = "";
        rd_kafka_fatal_error(kafka->client, text, sizeof text);
        fail_for_good(kafka, text[0] ? text : "the Kafka client library cannot go on");
    }
    if (!kafka_client_probe(kafka->client, &kafka->plan, STOP_CHECK_MS))
        return;
    if (kafka->has_assignment)
        door_is_ready(&kafka->meter->door, "connected again as a member of group %s", kafka->group);
    else
        door_is_waiting(&kafka->meter->door, "connected; waiting for an assignment of group %s", kafka->group);
}

static void resume(struct kafka_source *kafka) {
    kafka->stalled_ms = 0;
    if (!kafka->paused)
        return;
    kafka->paused = false;
    rd_kafka_topic_partition_list_t *assigned = NULL;
    if (!rd_kafka_assignment(kafka->client, &assigned)) {
        rd_kafka_resume_partitions(kafka->client, assigned);
        rd_kafka_topic_partition_list_destroy(assigned);
    }
}

static bool kafka_read(void *state, struct batch *batch, int timeout_ms, struct status *status) {
    struct kafka_source *kafka = state;
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;
    resume(kafka);
    kafka->revoked = false;
    bool go_on = true;
    while (go_on && kafka->failure.code == STATUS_OK) {
        bool idle = false;
        int64_t left_ms = batch->n > 0 ? 0 : until_ms - clock_monotonic_ms();
        int wait_ms = left_ms <= 0 ? 0 : left_ms < STOP_CHECK_MS ? (int)left_ms : STOP_CHECK_MS;
        if (batch->n == 0)
            serve(kafka);
        go_on = read_one(kafka, batch, wait_ms, &idle);
        if (idle && (left_ms <= 0 || atomic_load(&kafka->meter->stop)))
            break;
    }
    batch_seal(batch);
    if (batch->n == 0 && kafka->failure.code != STATUS_OK) {
        *status = kafka->failure;
        return false;
    }
    pthread_mutex_lock(&kafka->mutex);
    batch->epoch = kafka->epoch;
    kafka->handed += batch->n > 0;
    pthread_mutex_unlock(&kafka->mutex);
    return true;
}

static void kafka_idle(void *state) {
    struct kafka_source *kafka = state;
    int64_t now_ms = clock_monotonic_ms();
    if (kafka->stalled_ms == 0)
        kafka->stalled_ms = now_ms;
    if (!kafka->paused && now_ms - kafka->stalled_ms >= PAUSE_AFTER_MS) {
        rd_kafka_topic_partition_list_t *assigned = NULL;
        if (!rd_kafka_assignment(kafka->client, &assigned)) {
            rd_kafka_pause_partitions(kafka->client, assigned);
            rd_kafka_topic_partition_list_destroy(assigned);
        }
        kafka->paused = true;
    }
    serve(kafka);
    while (kafka->paused && kafka->held_n < HELD_MAX - 1) { // room for the one that a read may put back
        rd_kafka_message_t *message = rd_kafka_consumer_poll(kafka->client, 0);
        if (!message)
            break;
        hold(kafka, message);
    }
}

static void kafka_commit(void *state, const struct batch *batch) {
    struct kafka_source *kafka = state;
    pthread_mutex_lock(&kafka->mutex);
    // Of an older assignment: durable here, but no longer ours to commit; who has the partition now reads it again.
    bool current = batch->epoch == kafka->epoch;
    for (size_t i = 0; current && i < batch->n; i++) {
        const struct message *message = &batch->messages[i];
        struct topic *topic = &kafka->topics[source_topic_of(message->partition)];
        struct partition *partition = &topic->partitions[source_partition_of(message->partition)];
        if (message->offset + 1 > partition->durable)
            partition->durable = message->offset + 1;
    }
    kafka->settled += batch->n > 0;
    pthread_cond_broadcast(&kafka->settled_cond);
    pthread_mutex_unlock(&kafka->mutex);
}

// The library's own close waits for the broker without bound; its queue form can be left.
static bool close_consumer(struct kafka_source *kafka, int64_t until_ms) {
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(kafka->client);
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(kafka->client, queue);
    bool asked = !error;
    if (error)
        rd_kafka_error_destroy(error);
    while (asked && !rd_kafka_consumer_closed(kafka->client) && clock_monotonic_ms() < until_ms) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(kafka->client, 50);
        if (message)
            rd_kafka_message_destroy(message);
    }
    rd_kafka_queue_destroy(queue);
    return asked && rd_kafka_consumer_closed(kafka->client);
}

static bool kafka_close(void *state) {
    struct kafka_source *kafka = state;
    int64_t until_ms = clock_monotonic_ms() + CLOSE_MS;
    kafka->closing = true;
    commit_sync(kafka, COMMIT_SYNC_MS);
    drop_held(kafka);
    close_consumer(kafka, until_ms);
    drop_held(kafka);
    rd_kafka_queue_destroy(kafka->commits);
    int64_t left_ms = until_ms - clock_monotonic_ms();
    if (!kafka_client_free(kafka->client, left_ms > 500 ? (int)left_ms : 500))
        return false;
    free_state(kafka);
    return true;
}

const struct source_ops kafka_source_ops = {
    .open = kafka_open,
    .read = kafka_read,
    .idle = kafka_idle,
    .commit = kafka_commit,
    .close = kafka_close,
};
