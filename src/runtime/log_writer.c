// The log's writer: appends what was sifted in the ring's order, syncs once for all
// that has gathered, and only then tells the sources that their messages are safe.
//
// When the journal has no room, nothing is skipped and nothing is committed: it tries
// again until there is, the ring fills, and the sources stop taking.
#include "service.h"

#include <stdlib.h>

#include "penstock/record.h"

#define WAIT_MS 100
#define RETRY_MS 250
#define POSITIONS_EVERY_MS 1000

struct writer {
    struct service *service;
    int64_t last_time_ms; // the log's
    uint64_t tick_seq;    // the last tick; another one waits until the gate has taken it
    struct {
        int32_t partition; // the one being read: a file's counts its rotations
        int64_t next_offset;
        bool changed;
    } * files; // by source: files and stdin have no broker that remembers where they stood
    int64_t positions_at_ms;
    struct buf scratch;
};

static int64_t log_now(struct writer *w) {
    int64_t now = clock_now_ms();
    if (now > w->last_time_ms)
        w->last_time_ms = now; // a clock set back stands still until it has caught up
    return w->last_time_ms;
}

static void free_segments(struct writer *w) {
    uint64_t before = atomic_exchange(&w->service->free_before, 0);
    struct status status = {0};
    if (before > 0 && !journal_free_before(w->service->journal, before, &status))
        logline(LOGLINE_WARN, "journal", "cannot free old segments", "error", status.text, NULL);
}

// No room. What the keeper has meanwhile let go may make some; then it is tried again. True: stopping, and the disk is
// full.
static bool gave_up(struct writer *w, const struct status *status) {
    trouble_set(&w->service->journal_trouble, status->text);
    if (atomic_load(&w->service->writer_closing))
        return true; // what is not written was not committed either
    clock_sleep_ms(RETRY_MS);
    free_segments(w);
    return false;
}

static bool append(struct writer *w, enum record_type type, struct str payload, uint64_t *seq) {
    struct status status = {0};
    while (!journal_append(w->service->journal, (uint8_t)type, log_now(w), &payload, 1, seq, &status)) {
        atomic_fetch_add(&w->service->unwritten, 1);
        if (gave_up(w, &status))
            return false;
    }
    return true;
}

static bool sync_journal(struct writer *w) {
    struct status status = {0};
    while (!journal_sync(w->service->journal, &status))
        if (gave_up(w, &status))
            return false;
    trouble_set(&w->service->journal_trouble, "");
    return true;
}

static bool append_item(struct writer *w, struct item *item) {
    uint64_t seq;
    for (; item->written < item->records.n; item->written++) {
        const struct sift_record *record = &item->records.records[item->written];
        if (!append(w, record->type, sift_record_bytes(&item->records, record), &seq))
            return false;
    }
    return true;
}

static bool remembers_position(enum source_kind kind) {
    return kind == SOURCE_FILE || kind == SOURCE_STDIN;
}

static void commit_item(struct writer *w, struct item *item) {
    struct service *service = w->service;
    if (!item->is_batch)
        return;
    source_commit(service->intakes[item->source].source, &item->batch);
    if (remembers_position(service->config->sources[item->source].kind) && item->batch.n > 0) {
        const struct message *last = &item->batch.messages[item->batch.n - 1];
        w->files[item->source].partition = last->partition;
        w->files[item->source].next_offset = last->offset + 1;
        w->files[item->source].changed = true;
    }
}

static bool append_positions(struct writer *w) {
    bool appended = false;
    for (size_t i = 0; i < w->service->n_intakes; i++) {
        if (!w->files[i].changed)
            continue;
        struct position position = {
            .source = str_of(w->service->config->sources[i].name),
            .partition = w->files[i].partition,
            .next_offset = w->files[i].next_offset,
        };
        uint64_t seq;
        buf_clear(&w->scratch);
        position_write(&w->scratch, &position);
        if (!append(w, RECORD_POSITION, buf_view(&w->scratch), &seq))
            return false;
        w->files[i].changed = false;
        appended = true;
    }
    w->positions_at_ms = clock_monotonic_ms();
    return !appended || sync_journal(w);
}

// Time is a record too, but only when the gate waits for it.
static bool append_tick(struct writer *w) {
    struct service *service = w->service;
    if (atomic_load(&service->applied_seq) < w->tick_seq || atomic_load(&service->next_timer_ms) > log_now(w))
        return true;
    return append(w, RECORD_TICK, STR(""), &w->tick_seq) && sync_journal(w);
}

// All that is sifted: appended, synced once, committed. False: stopping without room.
static bool write_gathered(struct writer *w, int wait_ms) {
    struct service *service = w->service;
    size_t n = 0;
    bool any = false;
    for (struct item *item; n < PIPELINE_ITEMS && (item = pipeline_peek(service->pipeline, n, n == 0 ? wait_ms : 0));
         n++) {
        if (!append_item(w, item))
            return false;
        any |= item->records.n > 0;
    }
    if (any && !sync_journal(w))
        return false;
    for (size_t i = 0; i < n; i++) {
        commit_item(w, pipeline_peek(service->pipeline, 0, 0));
        pipeline_release(service->pipeline);
    }
    return true;
}

static int next_wait_ms(struct writer *w) {
    int64_t until_timer = atomic_load(&w->service->next_timer_ms) - log_now(w);
    return until_timer < 1 ? 1 : until_timer < WAIT_MS ? (int)until_timer : WAIT_MS;
}

void *run_log_writer(void *ctx) {
    struct service *service = ctx;
    struct writer w = {.service = service, .files = must_alloc((service->n_intakes + 1) * sizeof *w.files)};
    buf_init(&w.scratch, 4096);
    for (;;) {
        bool closing = atomic_load(&service->writer_closing);
        if (!write_gathered(&w, next_wait_ms(&w)) || !append_tick(&w))
            break;
        bool positions_due = clock_monotonic_ms() - w.positions_at_ms >= POSITIONS_EVERY_MS;
        if ((positions_due || closing) && !append_positions(&w))
            break;
        free_segments(&w);
        if (closing && pipeline_depth(service->pipeline) == 0)
            break;
    }
    buf_free(&w.scratch);
    free(w.files);
    return NULL;
}
