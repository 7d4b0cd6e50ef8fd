// runtime: the deployment file, and the two ways to run the parts: as a service with
// threads, journal and brokers, or offline, one event after the other, with the
// events' own time as clock.
#ifndef PENSTOCK_RUNTIME_H
#define PENSTOCK_RUNTIME_H

#include "penstock/gate.h"
#include "penstock/sift.h"
#include "penstock/sink.h"
#include "penstock/source.h"

// ---- the deployment file -------------------------------------------------------------

struct config {
    struct arena *arena; // owns all texts
    char *path;
    char *data, *routes, *inventory; // paths; inventory may be NULL
    char *listen;
    enum logline_format log_format;
    enum logline_level log_level;
    int64_t sift_threads;
    struct kafka_settings kafka;
    struct nats_settings nats;
    struct source_config *sources;
    size_t n_sources;
    struct sink_config dead_letters;
    int64_t max_event_bytes;
    int64_t journal_segment_bytes, journal_max_bytes, stream_max_bytes;
    int64_t snapshot_every_ms;
};
// Reads and checks; relative paths are made relative to the file's folder, {env:} and {file:} are looked up. NULL: see
// findings.
struct config *config_load(const char *path, struct findings *findings);
void config_free(struct config *config);
void config_schema(struct buf *out); // JSON Schema (draft 2020-12) from the tables that config_load reads by
// Adds an error for each consumer that sends where the configuration has no connection; true if there is none.
bool config_check_consumers(const struct config *config, const struct policy *policy, struct findings *findings);
// The sources' names and maps, for policy_bundle_load. In the config's arena.
struct policy_source *config_policy_sources(const struct config *config);

// ---- the service -------------------------------------------------------------------------

// Runs until SIGTERM or SIGINT, or until all sources have ended. The process's exit code: 0 after a clean stop, 1 when
// it cannot start (said on stderr), 70 when it had to give up while running.
int service_run(const struct config *config);

// ---- offline ---------------------------------------------------------------------------------

// Sift and gate in one thread, for replay and tests. Outputs are handed to `emit` as the gate makes them.
struct offline;
struct offline *offline_new(struct policy *policy, struct inventory *inventory, gate_emit *emit, void *ctx);
void offline_free(struct offline *offline);
// One raw message through everything. `clock_ms` >= 0 is the gate's time; -1: the event's own time, never going back.
void offline_message(struct offline *offline, const struct source_binding *source, const struct sift_input *input,
                     int64_t clock_ms);
// Time passes: timers due until then act.
void offline_advance(struct offline *offline, int64_t clock_ms);
// Somebody looks on at both stages; either may be NULL.
void offline_set_watch(struct offline *offline, sift_watch *sift, gate_watch *gate, void *ctx);
const struct sift_counts *offline_sift_counts(const struct offline *offline);
const struct gate *offline_gate(const struct offline *offline);

#endif
