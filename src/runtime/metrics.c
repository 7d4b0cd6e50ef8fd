// The admin listener's pages: metrics in Prometheus' text format, health, readiness.
//
// Everything is read from copies and atomics, so a scrape waits for no stage. Labels
// come from the configuration and the routes alone; no event can add a time series.
#include <stdio.h>

#include "penstock/broker.h"
#include "service.h"

static void begin(struct buf *out, const char *name, const char *type, const char *help) {
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void label_text(struct buf *out, struct str value) {
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (c == '"' || c == '\\')
            buf_char(out, '\\');
        buf_char(out, c == '\n' ? ' ' : c);
    }
}

// name{key="value"} number, with up to two labels.
static void sample2(struct buf *out, const char *name, const char *key1, struct str value1, const char *key2,
                    struct str value2, double number) {
    buf_printf(out, "%s", name);
    if (key1) {
        buf_printf(out, "{%s=\"", key1);
        label_text(out, value1);
        buf_char(out, '"');
        if (key2) {
            buf_printf(out, ",%s=\"", key2);
            label_text(out, value2);
            buf_char(out, '"');
        }
        buf_char(out, '}');
    }
    buf_printf(out, " %.17g\n", number);
}

static void sample1(struct buf *out, const char *name, const char *key, struct str value, double number) {
    sample2(out, name, key, value, NULL, (struct str){0}, number);
}

static void single(struct buf *out, const char *name, const char *type, const char *help, double number) {
    begin(out, name, type, help);
    sample1(out, name, NULL, (struct str){0}, number);
}

// ---- sources -----------------------------------------------------------------------

static void write_source_metric(struct service *service, struct buf *out, const char *name, const char *type,
                                const char *help, double (*number)(const struct source_stats *)) {
    begin(out, name, type, help);
    for (size_t i = 0; i < service->n_intakes; i++) {
        struct source_stats stats;
        source_get_stats(service->intakes[i].source, &stats);
        sample1(out, name, "source", str_of(service->config->sources[i].name), number(&stats));
    }
}

#define SOURCE_NUMBER(field) \
    static double source_##field(const struct source_stats *stats) { \
        return (double)stats->field; \
    }
SOURCE_NUMBER(messages)
SOURCE_NUMBER(bytes)
SOURCE_NUMBER(commits)
SOURCE_NUMBER(reconnects)
SOURCE_NUMBER(rebalances)
SOURCE_NUMBER(errors)
SOURCE_NUMBER(lag)
SOURCE_NUMBER(ready)
#undef SOURCE_NUMBER

static void write_sources(struct service *service, struct buf *out) {
    write_source_metric(service, out, "penstock_source_messages_total", "counter", "Messages read.", source_messages);
    write_source_metric(service, out, "penstock_source_bytes_total", "counter", "Bytes of messages read.",
                        source_bytes);
    write_source_metric(service, out, "penstock_source_commits_total", "counter",
                        "Commits or acks given to the broker.", source_commits);
    write_source_metric(service, out, "penstock_source_reconnects_total", "counter", "Connections made anew.",
                        source_reconnects);
    write_source_metric(service, out, "penstock_source_rebalances_total", "counter",
                        "Changes of the group's assignment.", source_rebalances);
    write_source_metric(service, out, "penstock_source_errors_total", "counter", "Errors of the client library.",
                        source_errors);
    write_source_metric(service, out, "penstock_source_lag_messages", "gauge",
                        "Messages behind the end; -1 if not known.", source_lag);
    write_source_metric(service, out, "penstock_source_ready", "gauge", "1 if connected and assigned.", source_ready);
}

// ---- sift -----------------------------------------------------------------------------

static struct sift_counts sum_workers(struct service *service) {
    struct sift_counts sum = {0};
    for (size_t i = 0; i < service->n_workers; i++) {
        struct sift_worker *worker = &service->workers[i];
        pthread_mutex_lock(&worker->mutex);
        sum.events += worker->counts.events;
        sum.bytes += worker->counts.bytes;
        sum.dropped += worker->counts.dropped;
        sum.candidates += worker->counts.candidates;
        sum.failed_conditions += worker->counts.failed_conditions;
#define X(name, help) sum.dead.name += worker->counts.dead.name;
        SIFT_DEAD_REASONS(X)
#undef X
        pthread_mutex_unlock(&worker->mutex);
    }
    return sum;
}

static void write_sift(struct service *service, struct buf *out) {
    struct sift_counts sum = sum_workers(service);
    begin(out, "penstock_sift_events_total", "counter",
          "Events by what became of them: dropped (no route concerns them), candidate, unreadable (a dead letter "
          "instead of an event).");
    sample1(out, "penstock_sift_events_total", "outcome", STR("dropped"), (double)sum.dropped);
    sample1(out, "penstock_sift_events_total", "outcome", STR("candidate"), (double)sum.candidates);
    sample1(out, "penstock_sift_events_total", "outcome", STR("unreadable"), (double)sift_counts_unreadable(&sum));
    single(out, "penstock_sift_bytes_total", "counter", "Bytes of messages sifted.", (double)sum.bytes);
    single(out, "penstock_sift_failed_conditions_total", "counter",
           "Conditions that ended in an error and therefore did not hold.", (double)sum.failed_conditions);
    begin(out, "penstock_sift_dead_letters_total", "counter", "Dead letters by reason.");
#define X(name, help) sample1(out, "penstock_sift_dead_letters_total", "reason", STR(#name), (double)sum.dead.name);
    SIFT_DEAD_REASONS(X)
#undef X
    single(out, "penstock_pipeline_items", "gauge",
           "Batches between the sources and the journal; at 16 the sources wait.",
           (double)pipeline_depth(service->pipeline));
}

// ---- journal, snapshots ------------------------------------------------------------------

static void write_journal(struct service *service, struct buf *out) {
    struct journal_stats stats;
    char trouble[480];
    journal_stats(service->journal, &stats);
    trouble_get(&service->journal_trouble, trouble);
    single(out, "penstock_journal_records_total", "counter", "Records ever written: the log's position.",
           (double)stats.last_seq);
    single(out, "penstock_journal_bytes", "gauge", "Bytes of all segments.", (double)stats.bytes);
    single(out, "penstock_journal_segments", "gauge", "Segments.", (double)stats.segments);
    single(out, "penstock_journal_syncs_total", "counter", "Group syncs.", (double)stats.syncs);
    single(out, "penstock_journal_sync_last_seconds", "gauge", "Duration of the last sync.",
           (double)stats.sync_us_last / 1e6);
    single(out, "penstock_journal_sync_max_seconds", "gauge", "Duration of the longest sync.",
           (double)stats.sync_us_max / 1e6);
    single(out, "penstock_journal_stalled", "gauge",
           "1 while the journal takes nothing (disk full, at its bound, failing): intake has stopped.",
           trouble[0] != 0);
    single(out, "penstock_journal_refusals_total", "counter", "Appends that found no room and were tried again.",
           (double)atomic_load(&service->unwritten));
    single(out, "penstock_snapshot_record", "gauge", "Last record that the stored snapshot covers.",
           (double)atomic_load(&service->snapshot_seq));
    int64_t at_ms = atomic_load(&service->snapshot_at_ms);
    single(out, "penstock_snapshot_time_seconds", "gauge",
           "When the last snapshot was stored; 0: none by this process.", (double)at_ms / 1e3);
    single(out, "penstock_recovery_seconds", "gauge", "How long the recovery at the start took.",
           (double)service->recovered_ms / 1e3);
    single(out, "penstock_recovery_records", "gauge", "Journal records replayed at the start.",
           (double)service->recovered_records);
}

// ---- gate ------------------------------------------------------------------------------------

static void write_verdicts(const struct service *service, struct buf *out) {
    const struct policy *policy = service->published_policy;
    const char *name = "penstock_gate_verdicts_total";
    begin(out, name, "counter", "Verdicts by route since its policy took effect.");
    for (size_t i = 0; i < policy->n_routes; i++) {
        const struct route_counts *counts = &service->route_counts[i];
        struct str route = policy->routes[i].name;
        sample2(out, name, "route", route, "verdict", STR("below"), (double)counts->below);
        sample2(out, name, "route", route, "verdict", STR("alert"), (double)counts->alerts);
        sample2(out, name, "route", route, "verdict", STR("signal"), (double)counts->signals);
        sample2(out, name, "route", route, "verdict", STR("deduplicated"), (double)counts->deduplicated);
        sample2(out, name, "route", route, "verdict", STR("shadow"), (double)counts->shadow);
    }
    name = "penstock_gate_held";
    begin(out, name, "gauge", "Signals held, by the guard that holds them.");
    for (size_t i = 0; i < policy->n_limits; i++)
        sample1(out, name, "guard", policy->limits[i].name, (double)service->held_by_limit[i]);
    sample1(out, name, "guard", STR("kill_switch"), (double)service->held_by_limit[policy->n_limits]);
    single(out, "penstock_policy_generation", "gauge", "Generation of the policy in force.",
           (double)policy->generation);
}

static void write_gate(struct service *service, struct buf *out) {
    pthread_mutex_lock(&service->published_mutex);
    const struct gate_counts *counts = &service->gate_counts;
#define X(name, help) single(out, "penstock_gate_" #name "_total", "counter", "Gate: " help ".", (double)counts->name);
    GATE_COUNTS(X)
#undef X
    if (service->published_policy)
        write_verdicts(service, out);
    pthread_mutex_unlock(&service->published_mutex);
    single(out, "penstock_gate_record", "gauge", "Last record of the log that the gate has taken.",
           (double)atomic_load(&service->applied_seq));
}

static void write_policy(struct service *service, struct buf *out) {
    begin(out, "penstock_policy_reloads_total", "counter", "Reloads of the route files.");
    sample1(out, "penstock_policy_reloads_total", "result", STR("ok"), (double)atomic_load(&service->reloads_ok));
    sample1(out, "penstock_policy_reloads_total", "result", STR("failed"),
            (double)atomic_load(&service->reloads_failed));
    single(out, "penstock_policy_reload_ok", "gauge", "0 if the last reload failed: the old policy is in force.",
           atomic_load(&service->reload_ok));
    single(out, "penstock_inventory_reload_ok", "gauge",
           "0 if the last reload of the inventory failed: the old one is in use.", atomic_load(&service->inventory_ok));
    single(out, "penstock_inventory_identities", "gauge", "Identities known.",
           (double)atomic_load(&service->inventory_size));
}

// ---- sinks ------------------------------------------------------------------------------------

typedef void stream_metric(struct buf *out, const char *name, struct str consumer, const struct stream_stats *stats);

static void write_stream_metric(struct service *service, struct buf *out, const char *name, const char *type,
                                const char *help, stream_metric *metric) {
    begin(out, name, type, help);
    for (size_t i = 0; i < service->n_streams; i++) {
        struct stream_stats stats;
        stream_get_stats(service->streams[i], &stats);
        metric(out, name, str_of(stream_name(service->streams[i])), &stats);
    }
}

#define SINK_METRIC(what, number) \
    static void sink_##what(struct buf *out, const char *name, struct str consumer, \
                            const struct stream_stats *stats) { \
        sample1(out, name, "consumer", consumer, (double)(number)); \
    }
SINK_METRIC(acked, stats->acked_seq)
SINK_METRIC(waiting, stats->last_seq - stats->acked_seq)
SINK_METRIC(bytes, stats->bytes)
SINK_METRIC(full, stats->full)
SINK_METRIC(ready, stats->sink.ready)
SINK_METRIC(sent, stats->sink.sent)
SINK_METRIC(resent, stats->sink.resent)
SINK_METRIC(refused, stats->sink.refused)
SINK_METRIC(reconnects, stats->sink.reconnects)
#undef SINK_METRIC

static void sink_outputs(struct buf *out, const char *name, struct str consumer, const struct stream_stats *stats) {
    static const char *const kinds[] = {
        [OUTPUT_IS_SIGNAL] = "signal", [OUTPUT_IS_ALERT] = "alert", [OUTPUT_IS_DEAD_LETTER] = "dead_letter"};
    for (size_t kind = 0; kind < COUNT_OF(kinds); kind++)
        sample2(out, name, "consumer", consumer, "kind", str_of(kinds[kind]), (double)stats->appended[kind]);
}

static void sink_latency(struct buf *out, const char *name, struct str consumer, const struct stream_stats *stats) {
    static const int64_t bounds[] = LATENCY_BOUNDS_MS;
    char bucket_name[100], text[100];
    uint64_t sum = 0;
    snprintf(bucket_name, sizeof bucket_name, "%s_bucket", name);
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        sum += stats->latency_counts[i];
        struct str bound = STR("+Inf");
        if (i < COUNT_OF(bounds))
            bound = (struct str){text, (size_t)snprintf(text, sizeof text, "%g", (double)bounds[i] / 1e3)};
        sample2(out, bucket_name, "consumer", consumer, "le", bound, (double)sum);
    }
    snprintf(text, sizeof text, "%s_sum", name);
    sample1(out, text, "consumer", consumer, (double)stats->latency_sum_ms / 1e3);
    snprintf(text, sizeof text, "%s_count", name);
    sample1(out, text, "consumer", consumer, (double)sum);
}

static void write_sinks(struct service *service, struct buf *out) {
    pthread_mutex_lock(&service->streams_mutex);
    write_stream_metric(service, out, "penstock_sink_outputs_total", "counter",
                        "Records decided for a consumer by this process.", sink_outputs);
    write_stream_metric(service, out, "penstock_sink_acknowledged_total", "counter",
                        "Records acknowledged by the consumer's side, ever.", sink_acked);
    write_stream_metric(service, out, "penstock_sink_sent_total", "counter",
                        "Records handed to the client library by this process.", sink_sent);
    write_stream_metric(service, out, "penstock_sink_resent_total", "counter",
                        "Records sent again, the same bytes under the same id.", sink_resent);
    write_stream_metric(service, out, "penstock_sink_refused_total", "counter",
                        "Records refused or timed out, to be sent again.", sink_refused);
    write_stream_metric(service, out, "penstock_sink_reconnects_total", "counter", "Connections made anew.",
                        sink_reconnects);
    write_stream_metric(service, out, "penstock_sink_waiting_records", "gauge",
                        "Records decided and not yet acknowledged.", sink_waiting);
    write_stream_metric(service, out, "penstock_sink_stream_bytes", "gauge", "Bytes of the consumer's stream on disk.",
                        sink_bytes);
    write_stream_metric(service, out, "penstock_sink_stream_full", "gauge",
                        "1 while the stream is at its bound: intake has stopped.", sink_full);
    write_stream_metric(service, out, "penstock_sink_ready", "gauge", "1 if connected.", sink_ready);
    write_stream_metric(service, out, "penstock_sink_latency_seconds", "histogram",
                        "From the broker's timestamp of the event to the record's acknowledgement.", sink_latency);
    pthread_mutex_unlock(&service->streams_mutex);
}

static void write_build(const struct service *service, struct buf *out) {
    begin(out, "penstock_build_info", "gauge", "Versions of penstock and of its client libraries.");
    buf_printf(out, "penstock_build_info{version=\"%s\",librdkafka=\"%s\",cnats=\"%s\"} 1\n", PENSTOCK_VERSION,
               broker_kafka_version(), broker_nats_version());
    single(out, "penstock_start_time_seconds", "gauge", "When this process began.", (double)service->started_ms / 1e3);
}

unsigned page_metrics(void *ctx, struct buf *body) {
    struct service *service = ctx;
    write_build(service, body);
    write_sources(service, body);
    write_sift(service, body);
    write_journal(service, body);
    write_gate(service, body);
    write_policy(service, body);
    write_sinks(service, body);
    return 200;
}

// ---- health ---------------------------------------------------------------------------------------

unsigned page_healthz(void *ctx, struct buf *body) {
    (void)ctx;
    buf_str(body, STR("alive\n"));
    return 200;
}

unsigned page_readyz(void *ctx, struct buf *body) {
    struct service *service = ctx;
    char text[480];
    for (size_t i = 0; i < service->n_intakes; i++) {
        struct source_stats stats;
        source_get_stats(service->intakes[i].source, &stats);
        if (!stats.ready && !stats.ended)
            buf_printf(body, "source %s: %s\n", service->config->sources[i].name,
                       stats.detail[0] ? stats.detail : "not connected yet");
    }
    pthread_mutex_lock(&service->streams_mutex);
    for (size_t i = 0; i < service->n_streams; i++) {
        struct stream_stats stats;
        stream_get_stats(service->streams[i], &stats);
        if (stats.wanted && !stats.sink.ready)
            buf_printf(body, "consumer %s: %s\n", stream_name(service->streams[i]),
                       stats.problem[0]       ? stats.problem
                       : stats.sink.detail[0] ? stats.sink.detail
                                              : "not connected yet");
    }
    pthread_mutex_unlock(&service->streams_mutex);
    struct trouble *troubles[] = {&service->journal_trouble, &service->gate_trouble};
    for (size_t i = 0; i < COUNT_OF(troubles); i++) {
        trouble_get(troubles[i], text);
        if (text[0])
            buf_printf(body, "%s\n", text);
    }
    if (atomic_load(&service->stopping))
        buf_str(body, STR("stopping\n"));
    if (body->len > 0)
        return 503;
    buf_str(body, STR("ready\n"));
    return 200;
}
