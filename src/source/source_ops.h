// source_ops: what the kinds of sources have in common and where they differ.
//
// A kind is a table of functions over its own state; the dispatcher owns what every
// kind counts and says about itself, so that any thread may ask for it.
#ifndef PENSTOCK_SOURCE_OPS_H
#define PENSTOCK_SOURCE_OPS_H

#include <stdatomic.h>

#include "penstock/source.h"

#define STOP_CHECK_MS 100 // no wait inside a source is longer than this without looking whether it should stop

struct source_meter {
    _Atomic uint64_t messages, bytes, commits, rebalances;
    _Atomic int64_t lag;
    atomic_bool ended, stop;
    struct door_state door;
};

struct source_ops {
    void *(*open)(const struct source_config *config, const struct source_position *positions, size_t n_positions,
                  struct source_meter *meter, struct status *status);
    bool (*read)(void *state, struct batch *batch, int timeout_ms, struct status *status); // `batch` is empty; seals it
    void (*idle)(void *state);
    void (*commit)(void *state, const struct batch *batch); // the log's thread
    void (*stop)(void *state);  // any thread; meter->stop is set already. NULL: nothing more to do
    bool (*close)(void *state); // false: a library still holds the meter, which must live on
};

extern const struct source_ops kafka_source_ops, nats_source_ops, file_source_ops;

#endif
