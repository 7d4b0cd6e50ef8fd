// sink_ops: what the kinds of sinks have in common and where they differ.
#ifndef PENSTOCK_SINK_OPS_H
#define PENSTOCK_SINK_OPS_H

#include <stdatomic.h>

#include "penstock/sink.h"

struct sink_meter {
    _Atomic uint64_t sent, acked, resent, refused, bytes;
    struct door_state door;
};

struct sink_ops {
    void *(*open)(const struct sink_config *config, struct sink_meter *meter, struct status *status);
    enum sink_sent (*send)(void *state, const struct sink_record *record, struct status *status);
    bool (*poll)(void *state, int timeout_ms, uint64_t *acked_seq, struct status *status);
    bool (*close)(void *state, int timeout_ms); // false: a library still holds the meter, which must live on
};

extern const struct sink_ops kafka_sink_ops, nats_sink_ops, file_sink_ops;

#endif
