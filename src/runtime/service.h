// service: what the service's threads share, and who may touch it.
//
//   intake ×sources  source -> pipeline         (intake.c)
//   sift ×N          pipeline item -> records   (sift_pool.c)
//   writer           records -> journal, then commits the sources (log_writer.c)
//   gate             journal -> gate -> consumers' streams         (gate_runner.c)
//   deliver ×streams stream -> sink             (stream.c)
//   keeper           snapshots, reloads         (keeper.c)
//
// Each thread owns its own part; what others may read is atomic or behind the mutex
// named beside it.
#ifndef RUNTIME_SERVICE_H
#define RUNTIME_SERVICE_H

#include <pthread.h>
#include <stdatomic.h>

#include "penstock/admin.h"
#include "penstock/log.h"
#include "penstock/runtime.h"
#include "pipeline.h"
#include "stream.h"

// A text that one thread sets and others show: why something does not go on. Empty: all is well.
struct trouble {
    pthread_mutex_t mutex;
    char text[480];
};
void trouble_set(struct trouble *trouble, const char *text);
void trouble_get(struct trouble *trouble, char out[480]);

// What the route files and the inventory looked like when they were last read.
struct watch {
    uint64_t routes, inventory;
};

struct intake {
    struct service *service;
    size_t index; // in the configuration
    struct source *source;
    pthread_t thread;
    _Atomic bool ended; // a file or stdin was read to its end, or the source failed for good
    _Atomic bool failed;
};

struct sift_worker {
    struct service *service;
    struct sifter *sifter;
    pthread_t thread;
    pthread_mutex_t mutex;
    struct sift_counts counts; // copy for others, under the mutex
};

struct service {
    const struct config *config;
    struct policy_source *policy_sources;
    int64_t started_ms;
    _Atomic bool stopping; // sources end, everything drains

    struct pipeline *pipeline;
    struct intake *intakes; // one a source
    size_t n_intakes;
    struct sift_worker *workers;
    size_t n_workers;

    // The writer's.
    struct journal *journal;
    pthread_t writer;
    _Atomic bool writer_closing;    // ends when the pipeline is empty
    struct trouble journal_trouble; // disk full, …
    _Atomic uint64_t free_before;   // set by the keeper: records below may go
    _Atomic uint64_t unwritten;     // messages that waited for room in the journal

    // The gate's.
    struct gate *gate;
    void *gate_memory;
    size_t gate_memory_bytes;
    struct journal_cursor *gate_cursor;
    struct buf bundle; // of the policy that is in force in the gate
    pthread_t gate_thread;
    _Atomic bool gate_closing; // ends when it has taken every durable record
    bool running;              // recovered: from here on a consumer's trouble is its own
    int64_t retried_ms;        // when consumers without delivery were last tried again
    bool gate_torn;            // stopped in the middle of a record's outputs: its state must not be saved
    _Atomic bool gate_failed;  // cannot go on: damage that a person must look at
    _Atomic int64_t next_timer_ms;
    _Atomic uint64_t applied_seq;
    struct trouble gate_trouble;
    int64_t recovered_ms, recovered_records;

    pthread_mutex_t published_mutex; // guards the copies below
    struct gate_counts gate_counts;
    struct route_counts *route_counts; // by route of `published_policy`
    uint64_t *held_by_limit;           // by limit; the last one: the kill switch
    struct policy *published_policy;

    pthread_mutex_t streams_mutex; // the list changes only on the gate's thread (and before it begins)
    struct stream **streams;       // [0]: the dead letters
    size_t n_streams;
    struct stream **consumer_streams; // by consumer of the gate's policy; the gate's thread

    // The keeper's.
    pthread_t keeper;
    struct watch watch; // as of the start
    _Atomic bool keeper_closing, reload_wanted;
    pthread_mutex_t snapshot_mutex; // guards the hand-over
    struct buf snapshot;            // filled by the gate's thread while `snapshot_ready` is false
    uint64_t snapshot_of;
    bool snapshot_ready;
    _Atomic bool snapshot_wanted; // the keeper asks, the gate's thread answers
    _Atomic uint64_t snapshot_seq;
    _Atomic int64_t snapshot_at_ms; // when the last one was stored
    uint64_t last_generation;
    _Atomic uint64_t reloads_ok, reloads_failed;
    _Atomic bool reload_ok, inventory_ok;
    _Atomic size_t inventory_size;

    struct admin *admin;
};

bool is_asked_to_stop(void); // SIGTERM or SIGINT is waiting to be taken by the main thread

void *run_intake(void *intake);      // intake.c
void *run_sift_worker(void *worker); // sift_pool.c
void *run_log_writer(void *service); // log_writer.c
void *run_gate(void *service);       // gate_runner.c
void *run_keeper(void *service);     // keeper.c

// gate_runner.c: before its thread begins.
// Restores the newest snapshot and replays the journal behind it. False: *status says why the service must not start.
bool gate_recover(struct service *service, struct status *status);
bool gate_catch_up(struct service *service, struct status *status);      // takes what the journal has more
bool gate_save_snapshot(struct service *service, struct status *status); // at the end, all threads gone

// keeper.c
struct watch watch_files(const struct config *config);
// The routes folder, compiled; its bundle's bytes in `bundle`. NULL: findings or *status say why.
struct policy *compile_routes(const struct service *service, struct buf *bundle, struct findings *findings,
                              struct status *status);
// In force from here on, under the next generation.
void put_policy_in_force(struct service *service, struct policy *policy, struct str bundle);
struct inventory *load_inventory(const struct config *config, struct status *status);
bool store_snapshot(struct service *service, struct status *status); // what the gate has handed over

// metrics.c: the pages of the admin listener. ctx is the service.
unsigned page_metrics(void *ctx, struct buf *body);
unsigned page_healthz(void *ctx, struct buf *body);
unsigned page_readyz(void *ctx, struct buf *body);

#endif
