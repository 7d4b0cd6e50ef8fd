// A stream's journal records hold what a sink needs: {received_ms, id, content type,
// key, payload}. `acked` beside the segments holds the last acknowledged number as
// text; losing it costs repeats of the same bytes under the same ids, nothing else.
#include "stream.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "penstock/bytes.h"

#define IN_FLIGHT_MAX 1024
#define OUTPUT_MAX_BYTES (8 * 1024 * 1024)
#define SEGMENT_BYTES (16 * 1024 * 1024)
#define POLL_MS 2
#define IDLE_MS 200
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000

struct stream {
    char *name, *acked_path;
    struct journal *journal;
    struct buf encoded; // the gate's thread
    _Atomic uint64_t acked_seq;
    _Atomic uint64_t appended[3];
    _Atomic uint64_t latency_counts[LATENCY_BUCKETS], latency_sum_ms;
    _Atomic bool full;

    pthread_mutex_t sink_mutex; // guards `sink` against stats from other threads while it is opened or closed
    struct sink *sink;
    struct sink_config config;
    bool wanted, delivering;
    char problem[300]; // under sink_mutex
    pthread_t thread;
    _Atomic bool stopping;
    _Atomic int64_t drain_until_ms; // monotonic

    // The delivery thread's own.
    struct journal_cursor *cursor;
    struct journal_record record; // read and not yet taken by the sink
    bool has_record;
    uint64_t sent_seq;
    int64_t received_ms[IN_FLIGHT_MAX];
    int64_t backoff_ms, acked_written_ms;
    uint64_t acked_written;
};

static uint64_t read_acked(const char *path) {
    struct buf text;
    int64_t n = 0;
    buf_init(&text, 64);
    if (file_read(path, &text, NULL) && !str_to_int64(str_trim(buf_view(&text)), &n))
        n = 0;
    buf_free(&text);
    return n > 0 ? (uint64_t)n : 0;
}

static void write_acked(struct stream *stream) {
    uint64_t acked = atomic_load(&stream->acked_seq);
    char text[24];
    int len = snprintf(text, sizeof text, "%020llu\n", (unsigned long long)acked);
    int fd = open(stream->acked_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return; // costs repeats after a crash; a folder that cannot be written is said by the journal
    if (pwrite(fd, text, (size_t)len, 0) == len)
        stream->acked_written = acked;
    stream->acked_written_ms = clock_monotonic_ms();
    close(fd);
}

struct stream *stream_open(const char *dir, const char *name, uint64_t max_bytes, struct status *status) {
    struct journal_options options = {
        .dir = dir,
        .segment_bytes = max_bytes / 4 < SEGMENT_BYTES ? max_bytes / 4 : SEGMENT_BYTES, // whole segments are freed
        .max_bytes = max_bytes,
    };
    struct journal *journal = journal_open(&options, status);
    if (!journal)
        return NULL;
    struct stream *stream = must_alloc(sizeof *stream);
    stream->name = must_strdup(name);
    stream->journal = journal;
    buf_init(&stream->encoded, OUTPUT_MAX_BYTES);
    pthread_mutex_init(&stream->sink_mutex, NULL);
    size_t len = strlen(dir) + sizeof "/acked";
    stream->acked_path = must_alloc(len);
    snprintf(stream->acked_path, len, "%s/acked", dir);
    struct journal_stats stats;
    journal_stats(journal, &stats);
    uint64_t acked = read_acked(stream->acked_path);
    if (acked > stats.last_seq)
        acked = stats.last_seq; // the tail was lost with the machine; it will be appended, and sent, again
    if (acked + 1 < stats.first_seq)
        acked = stats.first_seq - 1;
    stream->acked_seq = stream->acked_written = acked;
    return stream;
}

void stream_close(struct stream *stream) {
    if (!stream)
        return;
    must(!stream->delivering);
    journal_close(stream->journal);
    buf_free(&stream->encoded);
    pthread_mutex_destroy(&stream->sink_mutex);
    free(stream->acked_path);
    free(stream->name);
    free(stream);
}

const char *stream_name(const struct stream *stream) {
    return stream->name;
}

// ---- the gate's side -------------------------------------------------------------------

static bool append_encoded(struct stream *stream, uint64_t seq, int64_t received_ms, const struct output *output,
                           enum output_format format, uint64_t fields, struct status *status) {
    struct buf *out = &stream->encoded;
    buf_clear(out);
    put_i64(out, received_ms);
    put_hash(out, output->id);
    put_str(out, output_content_type(format));
    put_str(out, output_subject_key(output));
    output_write(out, output, format, fields);
    must(!out->overflow); // a record holds less than a candidate does
    struct str part = buf_view(out);
    uint64_t given;
    if (!journal_append(stream->journal, (uint8_t)output->kind, output->time_ms, &part, 1, &given, status))
        return false;
    must(given == seq);
    atomic_fetch_add(&stream->appended[output->kind], 1);
    return true;
}

bool stream_append(struct stream *stream, uint64_t seq, int64_t received_ms, const struct output *output,
                   enum output_format format, uint64_t fields, struct status *status) {
    struct journal_stats stats;
    journal_stats(stream->journal, &stats);
    if (seq <= stats.last_seq)
        return true;
    if (seq > stats.last_seq + 1) {
        if (stats.first_seq <= stats.last_seq)
            return status_fail(status, STATUS_CORRUPT,
                               "stream of consumer '%s' ends at %llu, the gate goes on at %llu: records between are "
                               "missing; restore the folder, or move it away to go on without them",
                               stream->name, (unsigned long long)stats.last_seq, (unsigned long long)seq);
        if (!journal_begin_at(
                stream->journal, seq,
                status)) // an empty folder for a consumer the gate knows: moved away, or drained and pruned
            return false;
        atomic_store(&stream->acked_seq, seq - 1);
    }
    bool taken = append_encoded(stream, seq, received_ms, output, format, fields, status);
    atomic_store(&stream->full, !taken);
    return taken;
}

void stream_flush(struct stream *stream) {
    journal_wake(stream->journal);
}

bool stream_sync(struct stream *stream, struct status *status) {
    return journal_sync(stream->journal, status) &&
           journal_free_before(stream->journal, atomic_load(&stream->acked_seq) + 1, status);
}

bool stream_is_drained(struct stream *stream) {
    struct journal_stats stats;
    journal_stats(stream->journal, &stats);
    return atomic_load(&stream->acked_seq) >= stats.last_seq;
}

// ---- the delivery thread -----------------------------------------------------------------

static void count_latency(struct stream *stream, int64_t received_ms) {
    static const int64_t bounds[] = LATENCY_BOUNDS_MS;
    if (received_ms <= 0)
        return;
    int64_t latency = clock_now_ms() - received_ms;
    size_t bucket = 0;
    while (bucket < COUNT_OF(bounds) && latency > bounds[bucket])
        bucket++;
    atomic_fetch_add(&stream->latency_counts[bucket], 1);
    atomic_fetch_add(&stream->latency_sum_ms, (uint64_t)(latency > 0 ? latency : 0));
}

static void acknowledge(struct stream *stream, uint64_t acked) {
    uint64_t before = atomic_load(&stream->acked_seq);
    for (uint64_t seq = before + 1; seq <= acked; seq++)
        count_latency(stream, stream->received_ms[seq % IN_FLIGHT_MAX]);
    if (acked > before) {
        atomic_store(&stream->acked_seq, acked);
        stream->backoff_ms = 0;
    }
    if (atomic_load(&stream->acked_seq) != stream->acked_written &&
        clock_monotonic_ms() - stream->acked_written_ms >= IDLE_MS)
        write_acked(stream);
}

static bool read_next(struct stream *stream) {
    struct status status = {0};
    enum journal_read read = journal_next(stream->cursor, &stream->record, &status);
    if (read == JOURNAL_FAILED) {
        logline(LOGLINE_ERROR, "stream", "cannot read a consumer's stream", "consumer", stream->name, "error",
                status.text, NULL);
        clock_sleep_ms(IDLE_MS);
    }
    return stream->has_record = read == JOURNAL_RECORD;
}

static enum sink_sent offer(struct stream *stream, struct status *status) {
    struct reader in = reader_of(stream->record.payload);
    char id[33];
    stream->received_ms[stream->record.seq % IN_FLIGHT_MAX] = get_i64(&in);
    hash128_hex(get_hash(&in), id);
    struct sink_record record = {.seq = stream->record.seq, .id = str_of(id)};
    record.content_type = get_str(&in);
    record.key = get_str(&in);
    record.payload = (struct str){in.at, reader_left(&in)};
    must(!in.failed); // our own bytes, checked by the journal
    return sink_send(stream->sink, &record, status);
}

// Everything after the last acknowledged record is offered again, after a pause.
static void start_over(struct stream *stream) {
    journal_cursor_seek(stream->cursor, atomic_load(&stream->acked_seq) + 1);
    stream->has_record = false;
    stream->sent_seq = atomic_load(&stream->acked_seq);
    stream->backoff_ms = stream->backoff_ms ? stream->backoff_ms * 2 : BACKOFF_MIN_MS;
    if (stream->backoff_ms > BACKOFF_MAX_MS)
        stream->backoff_ms = BACKOFF_MAX_MS;
    int64_t until = clock_monotonic_ms() + stream->backoff_ms;
    while (clock_monotonic_ms() < until && !atomic_load(&stream->stopping))
        clock_sleep_ms(20);
}

// Hands over what there is until the sink is busy or fails. False: it failed.
static bool send_available(struct stream *stream) {
    while (stream->has_record || read_next(stream)) {
        enum sink_sent sent = offer(stream, NULL);
        if (sent == SINK_FAILED)
            return false;
        if (sent == SINK_BUSY)
            return true;
        stream->sent_seq = stream->record.seq;
        stream->has_record = false;
    }
    return true;
}

static bool is_over(struct stream *stream) {
    if (!atomic_load(&stream->stopping))
        return false;
    return stream_is_drained(stream) || clock_monotonic_ms() >= atomic_load(&stream->drain_until_ms);
}

static void *deliver(void *ctx) {
    struct stream *stream = ctx;
    while (!is_over(stream)) {
        uint64_t acked = 0;
        bool ok = send_available(stream);
        bool in_flight = stream->sent_seq > atomic_load(&stream->acked_seq);
        ok &= sink_poll(stream->sink, in_flight ? POLL_MS : 0, &acked, NULL);
        acknowledge(stream, acked);
        if (!ok)
            start_over(stream);
        else if (!in_flight && !stream->has_record)
            journal_wait(stream->cursor, IDLE_MS);
    }
    write_acked(stream);
    return NULL;
}

static bool same_text(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_target(const struct sink_config *a, const struct sink_config *b) {
    return a->kind == b->kind && same_text(a->topic, b->topic) && same_text(a->subject, b->subject) &&
           same_text(a->path, b->path);
}

static bool begin_delivery(struct stream *stream, struct status *status) {
    struct sink *sink = sink_open(&stream->config, status);
    pthread_mutex_lock(&stream->sink_mutex);
    stream->sink = sink;
    snprintf(stream->problem, sizeof stream->problem, "%.290s", sink ? "" : status->text);
    pthread_mutex_unlock(&stream->sink_mutex);
    if (!sink)
        return false;
    stream->sent_seq = atomic_load(&stream->acked_seq);
    stream->cursor = journal_cursor_open(stream->journal, stream->sent_seq + 1, false);
    stream->has_record = false;
    stream->backoff_ms = 0;
    atomic_store(&stream->stopping, false);
    must(pthread_create(&stream->thread, NULL, deliver, stream) == 0);
    stream->delivering = true;
    return true;
}

bool stream_deliver(struct stream *stream, const struct sink_config *config, struct status *status) {
    bool same = stream->delivering && same_target(&stream->config, config);
    if (!same)
        stream_stop(stream, 0);
    stream->config = *config;
    stream->config.name = stream->name;
    stream->config.max_in_flight = IN_FLIGHT_MAX;
    stream->wanted = true;
    return same || begin_delivery(stream, status);
}

void stream_retry(struct stream *stream) {
    struct status status = {0};
    if (stream->wanted && !stream->delivering && begin_delivery(stream, &status))
        logline(LOGLINE_INFO, "stream", "delivers now", "consumer", stream->name, NULL);
}

void stream_stop(struct stream *stream, int drain_ms) {
    stream->wanted = false;
    if (!stream->delivering)
        return;
    atomic_store(&stream->drain_until_ms, clock_monotonic_ms() + drain_ms);
    atomic_store(&stream->stopping, true);
    journal_wake(stream->journal);
    pthread_join(stream->thread, NULL);
    journal_cursor_close(stream->cursor);
    pthread_mutex_lock(&stream->sink_mutex);
    sink_close(stream->sink, drain_ms > 1000 ? 1000 : drain_ms);
    stream->sink = NULL;
    stream->problem[0] = 0;
    pthread_mutex_unlock(&stream->sink_mutex);
    stream->delivering = false;
}

void stream_get_stats(struct stream *stream, struct stream_stats *out) {
    struct journal_stats journal;
    memset(out, 0, sizeof *out);
    journal_stats(stream->journal, &journal);
    out->last_seq = journal.last_seq;
    out->bytes = journal.bytes;
    out->acked_seq = atomic_load(&stream->acked_seq);
    out->full = atomic_load(&stream->full);
    for (size_t i = 0; i < COUNT_OF(out->appended); i++)
        out->appended[i] = atomic_load(&stream->appended[i]);
    for (size_t i = 0; i < LATENCY_BUCKETS; i++)
        out->latency_counts[i] = atomic_load(&stream->latency_counts[i]);
    out->latency_sum_ms = atomic_load(&stream->latency_sum_ms);
    pthread_mutex_lock(&stream->sink_mutex);
    out->wanted = stream->sink != NULL || stream->problem[0];
    memcpy(out->problem, stream->problem, sizeof out->problem);
    if (stream->sink)
        sink_get_stats(stream->sink, &out->sink);
    pthread_mutex_unlock(&stream->sink_mutex);
}
