// The gate's thread: reads the log's durable records in order, steps the gate and
// appends what it emits to the consumers' streams. Recovery is the same loop, run
// from the newest snapshot before anything else begins.
//
// When a stream is at its bound the gate waits, and with it the log: nothing is lost,
// nothing is skipped.
#include "service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "snapshot.h"

#define WAIT_MS 100
#define RETRY_MS 100
#define STREAM_RETRY_MS 1000

// ---- streams ---------------------------------------------------------------------------

static struct stream *find_stream(struct service *service, struct str name) {
    for (size_t i = 1; i < service->n_streams; i++)
        if (str_eq(str_of(stream_name(service->streams[i])), name))
            return service->streams[i];
    return NULL;
}

static struct stream *add_stream(struct service *service, const char *folder, const char *name, struct status *status) {
    char dir[4096];
    snprintf(dir, sizeof dir, "%s/%s%s", service->config->data, folder, name);
    struct stream *stream = stream_open(dir, name, (uint64_t)service->config->stream_max_bytes, status);
    if (!stream)
        return NULL;
    pthread_mutex_lock(&service->streams_mutex);
    service->streams = must_realloc(service->streams, (service->n_streams + 1) * sizeof *service->streams);
    service->streams[service->n_streams++] = stream;
    pthread_mutex_unlock(&service->streams_mutex);
    return stream;
}

static struct sink_config sink_config_of(const struct service *service, const struct consumer *consumer) {
    static const enum sink_kind kinds[] = {
        [TO_KAFKA] = SINK_KAFKA, [TO_NATS] = SINK_NATS, [TO_FILE] = SINK_FILE, [TO_STDOUT] = SINK_STDOUT};
    return (struct sink_config){
        .kind = kinds[consumer->to],
        .kafka = service->config->kafka,
        .nats = service->config->nats,
        .topic = (char *)consumer->topic.ptr,
        .subject = (char *)consumer->subject.ptr,
        .path = (char *)consumer->path.ptr,
    };
}

static bool deliver_to(struct service *service, const struct consumer *consumer, struct stream *stream,
                       struct status *status) {
    struct sink_config config = sink_config_of(service, consumer);
    if (stream_deliver(stream, &config, status))
        return true;
    if (!service->running)
        return false;
    // While running, one consumer's trouble is its own: its records wait on disk, and it is tried again.
    logline(LOGLINE_ERROR, "stream", "cannot deliver yet", "consumer", stream_name(stream), "error", status->text,
            NULL);
    return true;
}

static bool is_consumer(const struct policy *policy, const char *name) {
    for (size_t i = 0; i < policy->n_consumers; i++)
        if (str_eq(policy->consumers[i].name, str_of(name)))
            return true;
    return false;
}

static void stop_gone_streams(struct service *service, const struct policy *policy) {
    for (size_t i = 1; i < service->n_streams; i++) {
        struct stream *stream = service->streams[i];
        if (is_consumer(policy, stream_name(stream)))
            continue;
        if (!stream_is_drained(stream))
            logline(LOGLINE_WARN, "stream",
                    "a consumer is gone from the routes with records unsent; they stay on disk until it is back",
                    "consumer", stream_name(stream), NULL);
        stream_stop(stream, 0);
    }
}

static bool open_streams(struct service *service, const struct policy *policy, struct status *status) {
    if (service->n_streams == 0 && !add_stream(service, "", "dead-letters", status))
        return false;
    if (!stream_deliver(service->streams[0], &service->config->dead_letters, status))
        return false;
    service->consumer_streams =
        must_realloc(service->consumer_streams, (policy->n_consumers + 1) * sizeof *service->consumer_streams);
    for (size_t i = 0; i < policy->n_consumers; i++) {
        const struct consumer *consumer = &policy->consumers[i];
        struct stream *stream = find_stream(service, consumer->name);
        if (!stream)
            stream = add_stream(service, "streams/", consumer->name.ptr, status);
        if (!stream || !deliver_to(service, consumer, stream, status))
            return false;
        service->consumer_streams[i] = stream;
    }
    stop_gone_streams(service, policy);
    return true;
}

// ---- stepping -----------------------------------------------------------------------------

// What the consumer has acknowledged meanwhile is let go, for there is nobody else to do it while the gate stands here.
static void wait_for_room(struct service *service, struct stream *stream, const struct status *status) {
    char text[600];
    snprintf(text, sizeof text, "consumer %s: %s", stream_name(stream), status->text);
    trouble_set(&service->gate_trouble, text);
    stream_flush(stream);
    clock_sleep_ms(RETRY_MS);
    stream_sync(stream, NULL);
}

static void emit(void *ctx, const struct emission *emission) {
    struct service *service = ctx;
    if (service->gate_torn)
        return;
    const struct consumer *consumer = emission->consumer;
    struct stream *stream = service->streams[0];
    if (consumer)
        stream = service->consumer_streams[consumer - gate_policy(service->gate)->consumers];
    struct status status = {0};
    while (!stream_append(stream, emission->seq, emission->received_ms, emission->output,
                          consumer ? consumer->format : FORMAT_JSON, consumer ? consumer->fields : OUTPUT_ALL_FIELDS,
                          &status)) {
        wait_for_room(service, stream, &status);
        if (atomic_load(&service->gate_closing) || is_asked_to_stop()) {
            service->gate_torn = true; // the record is taken again after the next start, from the last snapshot
            return;
        }
    }
}

static void flush_streams(struct service *service) {
    for (size_t i = 0; i < service->n_streams; i++)
        stream_flush(service->streams[i]);
}

static void retry_streams(struct service *service) {
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms - service->retried_ms < STREAM_RETRY_MS)
        return;
    service->retried_ms = now_ms;
    for (size_t i = 0; i < service->n_streams; i++)
        stream_retry(service->streams[i]);
}

// The policy of a POLICY record: what the keeper compiled, if it is the same bundle, else compiled from the record
// itself.
static struct policy *policy_of_record(struct service *service, struct str payload, struct status *status) {
    struct policy_record record;
    if (!policy_record_read(payload, &record)) {
        status_fail(status, STATUS_CORRUPT, "a policy record of the journal cannot be read");
        return NULL;
    }
    struct policy *current = service->pipeline ? pipeline_policy(service->pipeline) : NULL;
    if (current && current->generation == record.generation)
        return current;
    policy_unref(current);
    struct policy_bundle *bundle = policy_bundle_read(record.bundle, status);
    struct findings findings;
    findings_init(&findings);
    struct policy *policy = bundle ? policy_compile(bundle, &findings) : NULL;
    if (bundle && !policy)
        status_fail(status, STATUS_CORRUPT, "the policy in the journal does not compile with this version: %.*s",
                    STR_ARG(findings.items[0].text));
    findings_free(&findings);
    policy_bundle_free(bundle);
    if (policy)
        policy->generation = record.generation;
    return policy;
}

static bool take_policy(struct service *service, const struct gate_record *record, struct status *status) {
    struct policy *policy = policy_of_record(service, record->payload, status);
    if (!policy)
        return false;
    // Held signals may move to streams of the new policy while the step runs, so these are opened before it.
    bool ok = open_streams(service, policy, status);
    if (ok) {
        struct policy_record read;
        char generation[24];
        gate_step(service->gate, record, policy, emit, service);
        must(policy_record_read(record->payload, &read));
        buf_clear(&service->bundle);
        buf_str(&service->bundle, read.bundle);
        snprintf(generation, sizeof generation, "%llu", (unsigned long long)policy->generation);
        logline(LOGLINE_INFO, "gate", "policy in force", "generation", generation, NULL);
    }
    policy_unref(policy);
    return ok;
}

static bool take_record(struct service *service, const struct journal_record *read, struct status *status) {
    struct gate_record record = {
        .type = (enum record_type)read->type, .seq = read->seq, .time_ms = read->time_ms, .payload = read->payload};
    if (record.type == RECORD_POLICY)
        return take_policy(service, &record, status);
    if (!gate_step(service->gate, &record, NULL, emit, service))
        return status_fail(status, STATUS_CORRUPT, "journal record %llu cannot be read by this version",
                           (unsigned long long)read->seq);
    return true;
}

static void publish(struct service *service) {
    const struct policy *policy = gate_policy(service->gate);
    atomic_store(&service->applied_seq, gate_applied_seq(service->gate));
    atomic_store(&service->next_timer_ms, gate_next_timer_ms(service->gate));
    pthread_mutex_lock(&service->published_mutex);
    if (policy && policy != service->published_policy) {
        policy_unref(service->published_policy);
        service->published_policy = policy_ref((struct policy *)policy);
        service->route_counts =
            must_realloc(service->route_counts, (policy->n_routes + 1) * sizeof *service->route_counts);
        service->held_by_limit =
            must_realloc(service->held_by_limit, (policy->n_limits + 1) * sizeof *service->held_by_limit);
    }
    service->gate_counts = *gate_get_counts(service->gate);
    for (size_t i = 0; policy && i < policy->n_routes; i++)
        service->route_counts[i] = *gate_get_route_counts(service->gate, i);
    for (size_t i = 0; policy && i <= policy->n_limits; i++)
        service->held_by_limit[i] = gate_held_by_limit(service->gate, i);
    pthread_mutex_unlock(&service->published_mutex);
}

// ---- snapshots ------------------------------------------------------------------------------

static bool encode_snapshot(struct service *service, struct status *status) {
    for (size_t i = 0; i < service->n_streams; i++)
        if (!stream_sync(service->streams[i], status))
            return false; // the state must not say "emitted" of what the disk does not have
    struct buf state;
    buf_init(&state, SNAPSHOT_MAX_BYTES);
    gate_save(service->gate, &state);
    struct snapshot snapshot = {
        .seq = gate_applied_seq(service->gate),
        .time_ms = clock_now_ms(),
        .generation = gate_policy(service->gate)->generation,
        .bundle = buf_view(&service->bundle),
        .state = buf_view(&state),
    };
    buf_clear(&service->snapshot);
    snapshot_encode(&snapshot, &service->snapshot);
    service->snapshot_of = snapshot.seq;
    bool whole = !state.overflow && !service->snapshot.overflow;
    buf_free(&state);
    return whole || status_fail(status, STATUS_FULL, "the gate's state is over %llu bytes",
                                (unsigned long long)SNAPSHOT_MAX_BYTES);
}

static void hand_over_snapshot(struct service *service) {
    struct status status = {0};
    pthread_mutex_lock(&service->snapshot_mutex);
    if (!service->snapshot_ready) {
        service->snapshot_ready = encode_snapshot(service, &status);
        if (!service->snapshot_ready)
            logline(LOGLINE_ERROR, "snapshot", "not taken; the last one stays", "error", status.text, NULL);
    }
    pthread_mutex_unlock(&service->snapshot_mutex);
}

bool gate_save_snapshot(struct service *service, struct status *status) {
    if (service->gate_torn || gate_policy(service->gate) == NULL)
        return true;
    pthread_mutex_lock(&service->snapshot_mutex);
    service->snapshot_ready = encode_snapshot(service, status);
    bool ok = service->snapshot_ready;
    pthread_mutex_unlock(&service->snapshot_mutex);
    return ok && store_snapshot(service, status);
}

// ---- the thread --------------------------------------------------------------------------------

void *run_gate(void *ctx) {
    struct service *service = ctx;
    struct journal_record record;
    struct status status = {0};
    for (;;) {
        bool closing = atomic_load(&service->gate_closing);
        enum journal_read read = journal_next(service->gate_cursor, &record, &status);
        if (read == JOURNAL_FAILED || (read == JOURNAL_RECORD && !take_record(service, &record, &status))) {
            logline(LOGLINE_ERROR, "gate", "cannot go on", "error", status.text, NULL);
            trouble_set(&service->gate_trouble, status.text);
            service->gate_torn = true;
            atomic_store(&service->gate_failed, true);
            break;
        }
        if (service->gate_torn || (read == JOURNAL_END && closing))
            break;
        if (read == JOURNAL_RECORD)
            continue;
        trouble_set(&service->gate_trouble, "");
        flush_streams(service);
        publish(service);
        retry_streams(service);
        if (atomic_exchange(&service->snapshot_wanted, false))
            hand_over_snapshot(service);
        journal_wait(service->gate_cursor, WAIT_MS);
    }
    flush_streams(service);
    publish(service);
    return NULL;
}

// ---- recovery ------------------------------------------------------------------------------------

static bool open_gate(struct service *service, struct status *status) {
    // Reserved, not touched: a page costs memory only once a key lives in it.
    service->gate_memory_bytes = gate_memory_bytes(&gate_default_bounds);
    service->gate_memory = mmap(NULL, service->gate_memory_bytes, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (service->gate_memory == MAP_FAILED)
        return status_errno(status, errno, "cannot reserve the gate's memory");
    service->gate = gate_open(&gate_default_bounds, service->gate_memory);
    return true;
}

static bool load_snapshot(struct service *service, const struct snapshot *snapshot, struct status *status) {
    struct policy_bundle *bundle = policy_bundle_read(snapshot->bundle, status);
    if (!bundle)
        return false;
    struct findings findings;
    findings_init(&findings);
    struct policy *policy = policy_compile(bundle, &findings);
    if (!policy)
        status_fail(status, STATUS_CORRUPT,
                    "the snapshot's policy does not compile with this version (%.*s): start the penstock that wrote "
                    "it, stop it, then start this one",
                    STR_ARG(findings.items[0].text));
    if (policy)
        policy->generation = snapshot->generation;
    bool ok =
        policy && gate_load(service->gate, snapshot->state, policy, status) && open_streams(service, policy, status);
    buf_str(&service->bundle, snapshot->bundle);
    policy_unref(policy);
    policy_bundle_free(bundle);
    findings_free(&findings);
    return ok;
}

static bool restore(struct service *service, uint64_t *seq, struct status *status) {
    char dir[4096];
    struct buf bytes;
    struct snapshot snapshot = {0};
    snprintf(dir, sizeof dir, "%s/snapshots", service->config->data);
    buf_init(&bytes, SNAPSHOT_MAX_BYTES);
    bool ok = dir_make(dir, status) && snapshot_load(dir, &bytes, &snapshot, status);
    bool any = ok && bytes.len > 0;
    if (any)
        ok = load_snapshot(service, &snapshot, status);
    *seq = any && ok ? snapshot.seq : 0;
    buf_free(&bytes);
    return ok;
}

static bool fits_journal(struct service *service, uint64_t snapshot_seq, struct status *status) {
    struct journal_stats stats;
    journal_stats(service->journal, &stats);
    bool empty = stats.first_seq > stats.last_seq;
    if (empty && stats.first_seq <= 1 && snapshot_seq > 0)
        return journal_begin_at(service->journal, snapshot_seq + 1, status);
    if (stats.first_seq > snapshot_seq + 1)
        return status_fail(status, STATUS_CORRUPT,
                           "the journal begins at record %llu, but the newest usable snapshot ends at %llu: records "
                           "between are missing. Restore %s from a backup, or move it away to begin anew",
                           (unsigned long long)stats.first_seq, (unsigned long long)snapshot_seq,
                           service->config->data);
    if (!empty && stats.last_seq < snapshot_seq)
        return status_fail(status, STATUS_CORRUPT,
                           "the journal ends at record %llu, but the snapshot covers %llu: they are not from the same "
                           "time. Restore %s from a backup, or move it away to begin anew",
                           (unsigned long long)stats.last_seq, (unsigned long long)snapshot_seq, service->config->data);
    return true;
}

bool gate_catch_up(struct service *service, struct status *status) {
    struct journal_record record;
    enum journal_read read;
    while ((read = journal_next(service->gate_cursor, &record, status)) == JOURNAL_RECORD) {
        if (is_asked_to_stop())
            return status_fail(status, STATUS_CLOSED, "stopped while recovering");
        if (!take_record(service, &record, status))
            return false;
        service->recovered_records++;
    }
    flush_streams(service);
    publish(service);
    return read == JOURNAL_END;
}

bool gate_recover(struct service *service, struct status *status) {
    int64_t began_ms = clock_monotonic_ms();
    uint64_t seq;
    if (!open_gate(service, status) || !restore(service, &seq, status) || !fits_journal(service, seq, status))
        return false;
    service->gate_cursor = journal_cursor_open(service->journal, seq + 1, true);
    atomic_store(&service->snapshot_seq, seq);
    if (!gate_catch_up(service, status))
        return false;
    if (gate_policy(service->gate))
        service->last_generation = gate_policy(service->gate)->generation;
    service->recovered_ms = clock_monotonic_ms() - began_ms;
    return true;
}
