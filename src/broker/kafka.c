// kafka: settings -> a librdkafka handle, its errors -> the door's state.
//
// What penstock's promises rest on (`fixed`) cannot be set by the user, the rest passes
// through and is checked by the library. A message about a setting names its key and
// never its value: it may be a password.
#include "penstock/broker.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LIBRARY_LOG_EVERY_MS 1000 // the library's own warnings, a door
#define LOG_WARNING_LEVEL 4       // syslog's numbers

// Names the user may not set, with what makes them so. Aliases are names too.
static const struct {
    const char *key, *why;
} reserved[] = {
    {"bootstrap.servers", "write it as `brokers`"},
    {"metadata.broker.list", "write it as `brokers`"},
    {"group.id", "write it as `group`"},
    {"auto.offset.reset", "write it as `offset_reset`"},
    {"enable.auto.commit", "offsets are committed when their messages are durable, never before"},
    {"auto.commit.enable", "offsets are committed when their messages are durable, never before"},
    {"enable.auto.offset.store", "offsets are committed when their messages are durable, never before"},
    {"partition.assignment.strategy", "only `range` is safe with every supported version of the library"},
    {"group.protocol", "the rebalance protocol is chosen by penstock"},
    {"isolation.level", "aborted transactions must not be read"},
    {"client.rack", "fetching from followers can loop for ever in old versions of the library"},
    {"enable.partition.eof", "it has no meaning here"},
    {"check.crcs", "checksums are always checked"},
    {"plugin.library.paths", "plugins are not loaded"},
    {"enable.idempotence", "the producer is always idempotent"},
    {"acks", "the producer always waits for all replicas"},
    {"request.required.acks", "the producer always waits for all replicas"},
    {"transactional.id", "transactions are not used"},
    {"enable.gapless.guarantee", "the sink keeps the order itself"},
    {"max.in.flight", "the idempotent producer sets it"},
    {"max.in.flight.requests.per.connection", "the idempotent producer sets it"},
    {"message.timeout.ms", "the sink decides when to send again"},
    {"delivery.timeout.ms", "the sink decides when to send again"},
    {"test.mock.num.brokers", "it is for the library's own tests"},
};

static void on_error(rd_kafka_t *client, int error, const char *reason, void *opaque) {
    struct kafka_plan *plan = opaque;
    switch (error) {
    case RD_KAFKA_RESP_ERR__FATAL: {
        char text[160] = "";
        rd_kafka_resp_err_t cause = rd_kafka_fatal_error(client, text, sizeof text);
        plan->fatal = true;
        door_has_trouble(plan->door, DOOR_REFUSED, "the client library cannot go on (%s): %s", rd_kafka_err2name(cause),
                         text);
        break;
    }
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
        plan->down = true;
        door_has_trouble(plan->door, DOOR_DENIED, "authentication failed, check sasl.*: %s", reason);
        break;
    case RD_KAFKA_RESP_ERR__SSL:
        plan->down = true;
        door_has_trouble(plan->door, DOOR_DENIED, "TLS failed, check ssl.*: %s", reason);
        break;
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
        // One connection, perhaps only closed for being idle: the door is down when the library says that all are.
        door_reconnected(plan->door);
        snprintf(plan->reason, sizeof plan->reason, "%s", reason);
        break;
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
        plan->down = true;
        door_has_trouble(plan->door, DOOR_UNREACHABLE, "no broker answers: %s",
                         plan->reason[0] ? plan->reason : reason);
        break;
    default:
        door_has_trouble(plan->door, DOOR_REFUSED, "%s: %s", rd_kafka_err2name((rd_kafka_resp_err_t)error), reason);
    }
}

// Called on the library's threads. Connection failures come through on_error, throttled and in our words.
static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *text) {
    struct kafka_plan *plan = rd_kafka_opaque(client);
    if (!plan || !atomic_load(&plan->made) || level > LOG_WARNING_LEVEL || strcmp(facility, "FAIL") == 0 ||
        strcmp(facility, "ERROR") == 0)
        return;
    int64_t now_ms = clock_monotonic_ms(), last_ms = atomic_load(&plan->logged_ms);
    if (last_ms != 0 && now_ms - last_ms < LIBRARY_LOG_EVERY_MS)
        return;
    if (atomic_compare_exchange_strong(&plan->logged_ms, &last_ms, now_ms))
        logline(LOGLINE_WARN, plan->door->room, text, "name", plan->door->name, "library", "librdkafka", "facility",
                facility, NULL);
}

static bool check_key(const char *key, struct status *status) {
    for (size_t i = 0; i < COUNT_OF(reserved); i++)
        if (strcmp(key, reserved[i].key) == 0)
            return status_fail(status, STATUS_INVALID, "kafka setting \"%s\" cannot be set: %s", key, reserved[i].why);
    size_t len = strlen(key);
    if (len > 3 && strcmp(key + len - 3, "_cb") == 0)
        return status_fail(status, STATUS_INVALID, "kafka setting \"%s\" cannot be set: it is a function, not a value",
                           key);
    return true;
}

static bool set_users(rd_kafka_conf_t *conf, const struct setting *setting, struct status *status) {
    char text[256];
    if (!check_key(setting->key, status))
        return false;
    switch (rd_kafka_conf_set(conf, setting->key, setting->value, text, sizeof text)) {
    case RD_KAFKA_CONF_OK:
        return true;
    case RD_KAFKA_CONF_UNKNOWN:
        return status_fail(status, STATUS_INVALID,
                           "kafka setting \"%s\" is not known to librdkafka %s, or not built into it", setting->key,
                           rd_kafka_version_str());
    default:
        return status_fail(status, STATUS_INVALID, "kafka setting \"%s\": librdkafka %s does not accept its value",
                           setting->key, rd_kafka_version_str());
    }
}

// Our own settings: the library must take them, except those that only newer versions know.
static void set_own(rd_kafka_conf_t *conf, const struct kafka_default *own) {
    char text[256];
    rd_kafka_conf_res_t result = rd_kafka_conf_set(conf, own->key, own->value, text, sizeof text);
    must(result == RD_KAFKA_CONF_OK || (result == RD_KAFKA_CONF_UNKNOWN && own->newer));
}

rd_kafka_conf_t *kafka_conf_new(const struct kafka_settings *settings, struct kafka_plan *plan, struct status *status) {
    if (!settings->brokers || !settings->brokers[0]) {
        status_fail(status, STATUS_INVALID, "kafka: `brokers` is missing (host:port, several by commas)");
        return NULL;
    }
    static const struct kafka_default common[] = {
        {"client.id", "penstock", false}, // short: long ones crash librdkafka before 2.5.0
        {"reconnect.backoff.ms", "100", false},
        {"reconnect.backoff.max.ms", "5000", false},
        {"socket.keepalive.enable", "true", false},
        {"log.connection.close", "false", false},
        {"topic.metadata.refresh.interval.ms", "10000", false}, // so soon a topic made later is found
    };
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (size_t i = 0; i < COUNT_OF(common); i++)
        set_own(conf, &common[i]);
    for (size_t i = 0; i < plan->n_defaults; i++)
        set_own(conf, &plan->defaults[i]);
    for (size_t i = 0; i < settings->n_settings; i++)
        if (!set_users(conf, &settings->settings[i], status)) {
            rd_kafka_conf_destroy(conf);
            return NULL;
        }
    for (size_t i = 0; i < plan->n_fixed; i++)
        set_own(conf, &plan->fixed[i]);
    char text[256];
    if (rd_kafka_conf_set(conf, "bootstrap.servers", settings->brokers, text, sizeof text) != RD_KAFKA_CONF_OK) {
        status_fail(status, STATUS_INVALID, "kafka: `brokers` is not a list of host:port");
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    rd_kafka_conf_set_opaque(conf, plan);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_log_cb(conf, on_log);
    return conf;
}

// The library's message may quote a setting; then it is not shown.
static bool quotes_a_value(const char *text, const struct kafka_settings *settings) {
    for (size_t i = 0; i < settings->n_settings; i++)
        if (strlen(settings->settings[i].value) >= 4 && strstr(text, settings->settings[i].value))
            return true;
    return false;
}

rd_kafka_t *kafka_client_new(rd_kafka_conf_t *conf, const struct kafka_settings *settings, bool producer,
                             struct status *status) {
    char text[300];
    rd_kafka_t *client = rd_kafka_new(producer ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (client) {
        struct kafka_plan *plan = rd_kafka_opaque(client);
        atomic_store(&plan->made, true);
        return client;
    }
    rd_kafka_conf_destroy(conf);
    bool quotes = quotes_a_value(text, settings);
    status_fail(status, STATUS_INVALID, "kafka: librdkafka %s refuses the settings together: %s",
                rd_kafka_version_str(), quotes ? "a value is not usable (not shown, it may be a secret)" : text);
    return NULL;
}

bool kafka_client_probe(rd_kafka_t *client, struct kafka_plan *plan, int timeout_ms) {
    int64_t now_ms = clock_monotonic_ms();
    if (!plan->down || now_ms < plan->probe_ms)
        return false;
    plan->probe_ms = now_ms + 1000;
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t error = rd_kafka_metadata(client, 0, NULL, &metadata, timeout_ms);
    if (error)
        return false;
    rd_kafka_metadata_destroy(metadata);
    plan->down = false;
    plan->reason[0] = '\0';
    return true;
}

// ---- destroying, bounded -------------------------------------------------------

struct farewell {
    rd_kafka_t *client;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool done, left; // whoever comes second frees this
};

static void farewell_free(struct farewell *farewell) {
    pthread_mutex_destroy(&farewell->mutex);
    pthread_cond_destroy(&farewell->cond);
    free(farewell);
}

static void *destroy_client(void *argument) {
    struct farewell *farewell = argument;
    rd_kafka_destroy_flags(farewell->client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    pthread_mutex_lock(&farewell->mutex);
    farewell->done = true;
    bool mine = farewell->left;
    pthread_cond_signal(&farewell->cond);
    pthread_mutex_unlock(&farewell->mutex);
    if (mine)
        farewell_free(farewell);
    return NULL;
}

bool kafka_client_free(rd_kafka_t *client, int timeout_ms) {
    struct farewell *farewell = must_alloc(sizeof *farewell);
    farewell->client = client;
    pthread_mutex_init(&farewell->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&farewell->cond, &attributes);
    pthread_condattr_destroy(&attributes);

    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_t thread;
    must(pthread_create(&thread, NULL, destroy_client, farewell) == 0);
    pthread_mutex_lock(&farewell->mutex);
    int waited = 0;
    while (!farewell->done && waited == 0)
        waited = pthread_cond_timedwait(&farewell->cond, &farewell->mutex, &until);
    bool done = farewell->done;
    farewell->left = !done;
    pthread_mutex_unlock(&farewell->mutex);
    if (!done) {
        pthread_detach(thread);
        logline(LOGLINE_WARN, "broker", "the Kafka client library does not let go; leaving its handle behind", NULL);
        return false;
    }
    pthread_join(thread, NULL);
    farewell_free(farewell);
    return true;
}
