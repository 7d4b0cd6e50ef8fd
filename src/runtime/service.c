// The service's life: open everything, recover, let the threads run, and stop in the
// order in which events flow, so that what was taken in is delivered or safely on disk.
//
// Stopping is bounded: whatever a client library does, the process is gone ten
// seconds after the signal. Nothing is lost by that; state on disk is always whole.
#include "service.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "snapshot.h"

#define EXIT_CANNOT_START 1
#define EXIT_GAVE_UP 70 // EX_SOFTWARE: for the supervisor to start anew
#define STOP_MAX_MS 9000
#define SINKS_DRAIN_MS 3000
#define MAIN_ROUND_MS 100
#define ENFORCER_ROUND_MS 20

void trouble_set(struct trouble *trouble, const char *text) {
    pthread_mutex_lock(&trouble->mutex);
    bool begins = text[0] && !trouble->text[0], ends = !text[0] && trouble->text[0];
    snprintf(trouble->text, sizeof trouble->text, "%s", text);
    pthread_mutex_unlock(&trouble->mutex);
    if (begins)
        logline(LOGLINE_ERROR, "runtime", "waiting until this is mended; nothing is dropped", "error", text, NULL);
    if (ends)
        logline(LOGLINE_INFO, "runtime", "mended, going on", NULL);
}

void trouble_get(struct trouble *trouble, char out[480]) {
    pthread_mutex_lock(&trouble->mutex);
    snprintf(out, 480, "%s", trouble->text);
    pthread_mutex_unlock(&trouble->mutex);
}

// ---- signals: taken by the main thread alone -------------------------------------------------

static sigset_t service_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return set;
}

bool is_asked_to_stop(void) {
    sigset_t pending;
    return sigpending(&pending) == 0 && (sigismember(&pending, SIGTERM) || sigismember(&pending, SIGINT));
}

// ---- opening -------------------------------------------------------------------------------------

static bool open_journal(struct service *service, struct status *status) {
    char dir[4096];
    snprintf(dir, sizeof dir, "%s/journal", service->config->data);
    struct journal_options options = {
        .dir = dir,
        .segment_bytes = (uint64_t)service->config->journal_segment_bytes,
        .max_bytes = (uint64_t)service->config->journal_max_bytes,
        .max_record_bytes = POLICY_MAX_BYTES * 2, // the largest record holds a policy's files
        .exclusive = true,
    };
    if (!dir_make(service->config->data, status))
        return false;
    service->journal = journal_open(&options, status);
    if (!service->journal)
        return false;
    struct journal_stats stats;
    journal_stats(service->journal, &stats);
    if (stats.torn_bytes > 0)
        logline(LOGLINE_WARN, "journal",
                "a torn end was cut: a crash came between write and sync, nothing acknowledged was in it", NULL);
    return true;
}

static void print_findings(const struct findings *findings) {
    struct buf text;
    buf_init(&text, 1024 * 1024);
    findings_write(findings, &text);
    if (text.len > 0)
        fwrite(text.ptr, 1, text.len, stderr);
    buf_free(&text);
}

static struct policy *first_policy(struct service *service, struct buf *bundle, struct status *status) {
    struct findings findings;
    findings_init(&findings);
    struct policy *policy = compile_routes(service, bundle, &findings, status);
    print_findings(&findings);
    findings_free(&findings);
    return policy;
}

static bool open_pipeline(struct service *service, struct policy *policy, struct status *status) {
    struct inventory *inventory = load_inventory(service->config, status);
    if (!inventory)
        return false;
    service->pipeline = pipeline_new(policy, inventory);
    atomic_store(&service->inventory_size, inventory_size(inventory));
    inventory_unref(inventory);
    return true;
}

// The route files as they are now, if they are not what was in force when the journal ended. No thread runs yet, so the
// record is written here; whatever a consumer's settings lack is said before the service begins.
static bool put_first_policy(struct service *service, struct policy *policy, struct str bundle, struct status *status) {
    const struct policy *in_force = gate_policy(service->gate);
    bool same = in_force && hash128_eq(in_force->hash, policy->hash);
    policy->generation = same ? service->last_generation : ++service->last_generation;
    if (same)
        return true;
    struct policy_record record = {.generation = policy->generation, .bundle = bundle};
    struct buf bytes;
    uint64_t seq;
    buf_init(&bytes, POLICY_MAX_BYTES * 2);
    policy_record_write(&bytes, &record);
    struct str part = buf_view(&bytes);
    bool ok = journal_append(service->journal, RECORD_POLICY, clock_now_ms(), &part, 1, &seq, status) &&
              journal_sync(service->journal, status);
    buf_free(&bytes);
    return ok && gate_catch_up(service, status);
}

struct position_list {
    const struct source_config *source;
    struct source_position *items;
    size_t n;
};

static void collect_position(void *ctx, const struct position *position) {
    struct position_list *list = ctx;
    if (!str_eq(position->source, str_of(list->source->name)))
        return;
    list->items = must_realloc(list->items, (list->n + 1) * sizeof *list->items);
    struct source_position *item = &list->items[list->n++];
    *item = (struct source_position){.partition = position->partition, .next_offset = position->next_offset};
    if (list->source->kind != SOURCE_KAFKA)
        return;
    size_t topic = (size_t)source_topic_of(position->partition);
    item->partition = source_partition_of(position->partition);
    if (topic < list->source->n_topics)
        snprintf(item->topic, sizeof item->topic, "%s", list->source->topics[topic]);
}

static bool open_sources(struct service *service, struct status *status) {
    service->intakes = must_alloc(service->config->n_sources * sizeof *service->intakes);
    for (size_t i = 0; i < service->config->n_sources; i++) {
        struct position_list positions = {.source = &service->config->sources[i]};
        gate_each_position(service->gate, collect_position, &positions);
        struct intake *intake = &service->intakes[i];
        intake->service = service;
        intake->index = i;
        intake->source = source_open(&service->config->sources[i], positions.items, positions.n, status);
        free(positions.items);
        if (!intake->source)
            return false;
        service->n_intakes++;
    }
    return true;
}

static const struct admin_route admin_pages[] = {
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", page_metrics},
    {"/healthz", "text/plain", page_healthz},
    {"/readyz", "text/plain", page_readyz},
};

static bool open_service(struct service *service, struct status *status) {
    struct buf bundle;
    buf_init(&bundle, POLICY_MAX_BYTES * 2);
    service->watch = watch_files(service->config);
    struct policy *policy = first_policy(service, &bundle, status);
    bool ok = policy && open_journal(service, status) && gate_recover(service, status) &&
              open_pipeline(service, policy, status) && put_first_policy(service, policy, buf_view(&bundle), status) &&
              open_sources(service, status);
    policy_unref(policy);
    buf_free(&bundle);
    if (!ok)
        return false;
    service->admin = admin_open(service->config->listen, admin_pages, COUNT_OF(admin_pages), service, status);
    return service->admin != NULL;
}

// ---- running ------------------------------------------------------------------------------------------

static void start(pthread_t *thread, void *(*run)(void *), void *ctx) {
    must(pthread_create(thread, NULL, run, ctx) == 0);
}

static void start_threads(struct service *service) {
    service->workers = must_alloc((size_t)service->config->sift_threads * sizeof *service->workers);
    for (; service->n_workers < (size_t)service->config->sift_threads; service->n_workers++) {
        struct sift_worker *worker = &service->workers[service->n_workers];
        worker->service = service;
        worker->sifter = sifter_new((size_t)service->config->max_event_bytes);
        pthread_mutex_init(&worker->mutex, NULL);
        start(&worker->thread, run_sift_worker, worker);
    }
    service->running = true;
    start(&service->gate_thread, run_gate, service);
    start(&service->writer, run_log_writer, service);
    start(&service->keeper, run_keeper, service);
    for (size_t i = 0; i < service->n_intakes; i++)
        start(&service->intakes[i].thread, run_intake, &service->intakes[i]);
}

static void announce(const struct service *service) {
    char port[16], records[24], ms[24];
    snprintf(port, sizeof port, "%u", admin_port(service->admin));
    snprintf(records, sizeof records, "%lld", (long long)service->recovered_records);
    snprintf(ms, sizeof ms, "%lld", (long long)service->recovered_ms);
    logline(LOGLINE_INFO, "runtime", "running", "version", PENSTOCK_VERSION, "listen", service->config->listen, "port",
            port, "recovered_records", records, "recovery_ms", ms, NULL);
}

static bool all_ended(const struct service *service) {
    for (size_t i = 0; i < service->n_intakes; i++)
        if (!atomic_load(&service->intakes[i].ended))
            return false;
    return true;
}

static bool any_failed(const struct service *service) {
    for (size_t i = 0; i < service->n_intakes; i++)
        if (atomic_load(&service->intakes[i].failed))
            return true;
    return false;
}

// Until a signal, the end of all sources, or a stop of the gate's that only a new start can mend.
static int wait_for_end(struct service *service) {
    sigset_t set = service_signals();
    for (;;) {
        struct timespec round = {.tv_nsec = MAIN_ROUND_MS * 1000000L};
        int taken = sigtimedwait(&set, NULL, &round);
        if (taken == SIGHUP)
            atomic_store(&service->reload_wanted, true);
        if (taken == SIGTERM || taken == SIGINT) {
            logline(LOGLINE_INFO, "runtime", "stopping", "signal", taken == SIGTERM ? "SIGTERM" : "SIGINT", NULL);
            return 0;
        }
        if (atomic_load(&service->gate_failed))
            return EXIT_GAVE_UP;
        if (all_ended(service))
            return any_failed(service) ? EXIT_GAVE_UP : 0;
    }
}

// ---- stopping ---------------------------------------------------------------------------------------------

// Runs beside the stop; if that hangs in a client library, it ends the process with what it would have answered.
struct enforcer {
    int code;
    _Atomic bool stopped; // all went well
};

static void *enforce_stop(void *ctx) {
    struct enforcer *enforcer = ctx;
    int64_t until = clock_monotonic_ms() + STOP_MAX_MS;
    while (!atomic_load(&enforcer->stopped)) {
        if (clock_monotonic_ms() >= until) {
            logline(LOGLINE_WARN, "runtime",
                    "stopping takes too long; leaving. What is unsent stays on disk and goes out after the next start",
                    NULL);
            _exit(enforcer->code);
        }
        clock_sleep_ms(ENFORCER_ROUND_MS);
    }
    return NULL;
}

static void stop_intakes(struct service *service) {
    atomic_store(&service->stopping, true);
    for (size_t i = 0; i < service->n_intakes; i++)
        source_stop(service->intakes[i].source);
    for (size_t i = 0; i < service->n_intakes; i++)
        pthread_join(service->intakes[i].thread, NULL);
}

static void stop_stages(struct service *service) {
    pipeline_close(service->pipeline);
    for (size_t i = 0; i < service->n_workers; i++)
        pthread_join(service->workers[i].thread, NULL);
    atomic_store(&service->writer_closing, true);
    pthread_join(service->writer, NULL);
    for (size_t i = 0; i < service->n_intakes; i++)
        source_close(service->intakes[i].source); // after the writer: it commits what it wrote
    atomic_store(&service->gate_closing, true);
    journal_wake(service->journal);
    pthread_join(service->gate_thread, NULL);
    atomic_store(&service->keeper_closing, true);
    pthread_join(service->keeper, NULL);
}

static void stop_streams(struct service *service, int drain_ms) {
    int64_t until = clock_monotonic_ms() + drain_ms;
    for (size_t i = 0; i < service->n_streams; i++) {
        int64_t left = until - clock_monotonic_ms();
        stream_stop(service->streams[i], left > 0 ? (int)left : 0);
    }
}

static void stop_service(struct service *service) {
    struct status status = {0};
    stop_intakes(service);
    stop_stages(service);
    stop_streams(service, SINKS_DRAIN_MS);
    if (!gate_save_snapshot(service, &status))
        logline(LOGLINE_WARN, "snapshot", "no last snapshot; the next start replays the journal instead", "error",
                status.text, NULL);
    logline(LOGLINE_INFO, "runtime", "stopped", NULL);
}

static void free_service(struct service *service) {
    admin_close(service->admin);
    for (size_t i = 0; i < service->n_streams; i++) {
        stream_stop(service->streams[i], 0);
        stream_close(service->streams[i]);
    }
    for (size_t i = 0; i < service->n_workers; i++) {
        sifter_free(service->workers[i].sifter);
        pthread_mutex_destroy(&service->workers[i].mutex);
    }
    pipeline_free(service->pipeline);
    journal_cursor_close(service->gate_cursor);
    if (service->gate)
        gate_close(service->gate);
    if (service->gate_memory)
        munmap(service->gate_memory, service->gate_memory_bytes);
    journal_close(service->journal);
    policy_unref(service->published_policy);
    buf_free(&service->bundle);
    buf_free(&service->snapshot);
    free(service->streams);
    free(service->consumer_streams);
    free(service->intakes);
    free(service->workers);
    free(service->route_counts);
    free(service->held_by_limit);
    free(service);
}

static struct service *new_service(const struct config *config) {
    struct service *service = must_alloc(sizeof *service);
    service->config = config;
    service->policy_sources = config_policy_sources(config);
    service->started_ms = clock_now_ms();
    atomic_store(&service->reload_ok, true);
    atomic_store(&service->inventory_ok, true);
    atomic_store(&service->next_timer_ms, INT64_MAX);
    pthread_mutex_init(&service->journal_trouble.mutex, NULL);
    pthread_mutex_init(&service->gate_trouble.mutex, NULL);
    pthread_mutex_init(&service->published_mutex, NULL);
    pthread_mutex_init(&service->streams_mutex, NULL);
    pthread_mutex_init(&service->snapshot_mutex, NULL);
    buf_init(&service->bundle, POLICY_MAX_BYTES * 2);
    buf_init(&service->snapshot, SNAPSHOT_MAX_BYTES);
    return service;
}

int service_run(const struct config *config) {
    sigset_t set = service_signals();
    pthread_sigmask(SIG_BLOCK, &set, NULL); // before any thread: they inherit it
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); // a file size limit is a full disk, a status
    struct service *service = new_service(config);
    struct status status = {0};
    if (!open_service(service, &status)) {
        logline(LOGLINE_ERROR, "runtime", "cannot start", "error", status.text, NULL);
        for (size_t i = 0; i < service->n_intakes; i++) {
            source_stop(service->intakes[i].source);
            source_close(service->intakes[i].source);
        }
        free_service(service);
        return status.code == STATUS_CLOSED ? 0 : EXIT_CANNOT_START;
    }
    start_threads(service);
    announce(service);
    int code = wait_for_end(service);
    struct enforcer enforcer = {.code = code};
    pthread_t thread;
    start(&thread, enforce_stop, &enforcer);
    stop_service(service);
    free_service(service);
    atomic_store(&enforcer.stopped, true);
    pthread_join(thread, NULL);
    return code;
}
