// sink: one door for all kinds; finds the kind's functions and shows its state.
#include "sink_ops.h"

#include <stdio.h>
#include <stdlib.h>

struct sink {
    char *name;
    const struct sink_ops *ops;
    void *state;
    struct sink_meter *meter;
};

static const struct sink_ops *const ops_of_kind[] = {
    [SINK_KAFKA] = &kafka_sink_ops,
    [SINK_NATS] = &nats_sink_ops,
    [SINK_FILE] = &file_sink_ops,
    [SINK_STDOUT] = &file_sink_ops,
};

struct sink *sink_open(const struct sink_config *config, struct status *status) {
    must(config->name && config->kind < COUNT_OF(ops_of_kind));
    struct sink *sink = must_alloc(sizeof *sink);
    sink->name = must_strdup(config->name);
    sink->ops = ops_of_kind[config->kind];
    sink->meter = must_alloc(sizeof *sink->meter);
    door_init(&sink->meter->door, "sink", sink->name);
    sink->state = sink->ops->open(config, sink->meter, status);
    if (sink->state)
        return sink;
    door_free(&sink->meter->door);
    free(sink->meter);
    free(sink->name);
    free(sink);
    return NULL;
}

enum sink_sent sink_send(struct sink *sink, const struct sink_record *record, struct status *status) {
    enum sink_sent sent = sink->ops->send(sink->state, record, status);
    if (sent == SINK_SENT) {
        atomic_fetch_add(&sink->meter->sent, 1);
        atomic_fetch_add(&sink->meter->bytes, record->payload.len);
    }
    return sent;
}

bool sink_poll(struct sink *sink, int timeout_ms, uint64_t *acked_seq, struct status *status) {
    return sink->ops->poll(sink->state, timeout_ms, acked_seq, status);
}

void sink_get_stats(struct sink *sink, struct sink_stats *out) {
    struct sink_meter *meter = sink->meter;
    *out = (struct sink_stats){
        .sent = atomic_load(&meter->sent),
        .acked = atomic_load(&meter->acked),
        .resent = atomic_load(&meter->resent),
        .refused = atomic_load(&meter->refused),
        .bytes = atomic_load(&meter->bytes),
    };
    pthread_mutex_lock(&meter->door.mutex);
    out->reconnects = meter->door.reconnects;
    out->ready = meter->door.ready;
    snprintf(out->detail, sizeof out->detail, "%s", meter->door.detail);
    pthread_mutex_unlock(&meter->door.mutex);
}

void sink_close(struct sink *sink, int timeout_ms) {
    if (!sink)
        return;
    // What a library left behind may still call into the meter: then it stays, once, at the end of a process.
    if (sink->ops->close(sink->state, timeout_ms)) {
        door_free(&sink->meter->door);
        free(sink->meter);
        free(sink->name);
    }
    free(sink);
}
