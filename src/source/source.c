// source: one door for all kinds. Finds the kind's functions, counts what passes,
// keeps the state that people are shown.
#include "source_ops.h"

#include <stdio.h>
#include <stdlib.h>

#define MESSAGE_BYTES_MAX (256 << 20)

struct source {
    char *name;
    const struct source_ops *ops;
    void *state;
    struct source_meter *meter;
};

static const struct source_ops *const ops_of_kind[] = {
    [SOURCE_KAFKA] = &kafka_source_ops,
    [SOURCE_NATS] = &nats_source_ops,
    [SOURCE_FILE] = &file_source_ops,
    [SOURCE_STDIN] = &file_source_ops,
};

struct source *source_open(const struct source_config *config, const struct source_position *positions,
                           size_t n_positions, struct status *status) {
    must(config->name && config->kind < COUNT_OF(ops_of_kind));
    if (config->max_message_bytes == 0 || config->max_message_bytes > MESSAGE_BYTES_MAX) {
        status_fail(status, STATUS_INVALID, "source \"%s\": max_message_bytes must be between 1 and %d", config->name,
                    MESSAGE_BYTES_MAX);
        return NULL;
    }
    struct source *source = must_alloc(sizeof *source);
    source->name = must_strdup(config->name);
    source->ops = ops_of_kind[config->kind];
    source->meter = must_alloc(sizeof *source->meter);
    atomic_store(&source->meter->lag, -1);
    door_init(&source->meter->door, "source", source->name);
    source->state = source->ops->open(config, positions, n_positions, source->meter, status);
    if (source->state)
        return source;
    door_free(&source->meter->door);
    free(source->meter);
    free(source->name);
    free(source);
    return NULL;
}

bool source_read(struct source *source, struct batch *batch, int timeout_ms, struct status *status) {
    batch_clear(batch);
    bool ok = source->ops->read(source->state, batch, timeout_ms, status);
    uint64_t bytes = 0;
    for (size_t i = 0; i < batch->n; i++)
        bytes += batch->messages[i].full_bytes;
    atomic_fetch_add(&source->meter->messages, batch->n);
    atomic_fetch_add(&source->meter->bytes, bytes);
    return ok;
}

void source_idle(struct source *source) {
    source->ops->idle(source->state);
}

void source_commit(struct source *source, const struct batch *batch) {
    source->ops->commit(source->state, batch);
}

void source_get_stats(struct source *source, struct source_stats *out) {
    struct source_meter *meter = source->meter;
    *out = (struct source_stats){
        .messages = atomic_load(&meter->messages),
        .bytes = atomic_load(&meter->bytes),
        .commits = atomic_load(&meter->commits),
        .rebalances = atomic_load(&meter->rebalances),
        .lag = atomic_load(&meter->lag),
        .ended = atomic_load(&meter->ended),
    };
    pthread_mutex_lock(&meter->door.mutex);
    out->reconnects = meter->door.reconnects;
    out->errors = meter->door.errors;
    out->ready = meter->door.ready;
    snprintf(out->detail, sizeof out->detail, "%s", meter->door.detail);
    pthread_mutex_unlock(&meter->door.mutex);
}

void source_stop(struct source *source) {
    atomic_store(&source->meter->stop, true);
    if (source->ops->stop)
        source->ops->stop(source->state);
}

void source_close(struct source *source) {
    if (!source)
        return;
    source_stop(source);
    // What a library left behind may still call into the meter: then it stays, once, at the end of a process.
    if (source->ops->close(source->state)) {
        door_free(&source->meter->door);
        free(source->meter);
        free(source->name);
    }
    free(source);
}
