// journal: opens and closes; appends; makes durable.
//
// An append copies the record into `pending`; a write moves pending bytes into the
// file; a sync makes the file durable and lets the bytes go. Each step only follows
// the one before: durable <= written <= appended, at every moment, and after a
// failure each of the three still stands where it truly is.
#include "penstock/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "journal_internal.h"

// ---- open and close --------------------------------------------------------------------

static bool take_lock(struct journal *journal, struct status *status) {
    char path[PATH_MAX], pid[32];
    snprintf(path, sizeof path, "%s/lock", journal->dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0) {
        return status_errno(status, errno, "%s: the lock cannot be opened", path);
    }
    journal->lock_fd = fd; // closed with the journal
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) {
            return status_errno(status, errno, "%s: the lock cannot be taken", path);
        }
        ssize_t n = pread(fd, pid, sizeof pid, 0);
        struct str holder = str_trim((struct str){pid, n > 0 ? (size_t)n : 0});
        return status_fail(status, STATUS_DENIED,
                           "%s: in use by process %.*s; stop it, or give this one a folder of its own", journal->dir,
                           holder.len > 0 ? (int)holder.len : 1, holder.len > 0 ? holder.ptr : "?");
    }
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)n, 0) != n) {
        logline(LOGLINE_WARN, "log", "the lock is held, but who holds it could not be noted", "path", path, NULL);
    }
    return true;
}

static void free_journal(struct journal *journal) {
    if (journal->fd >= 0) {
        close(journal->fd);
    }
    if (journal->lock_fd >= 0) {
        close(journal->lock_fd);
    }
    buf_free(&journal->pending);
    pthread_cond_destroy(&journal->wait_cond);
    pthread_mutex_destroy(&journal->wait_lock);
    pthread_mutex_destroy(&journal->lock);
    free(journal->segments);
    free(journal->dir);
    free(journal);
}

static struct journal *new_journal(const struct journal_options *options, const struct journal_io *io) {
    struct journal *journal = must_alloc(sizeof *journal);
    journal->dir = must_strdup(options->dir);
    journal->io = io;
    journal->segment_bytes = options->segment_bytes ? options->segment_bytes : JOURNAL_SEGMENT_BYTES_DEFAULT;
    journal->max_bytes = options->max_bytes ? options->max_bytes : UINT64_MAX;
    journal->max_record_bytes = options->max_record_bytes ? options->max_record_bytes : JOURNAL_RECORD_BYTES_DEFAULT;
    if (journal->max_record_bytes > RECORD_PAYLOAD_MAX) {
        journal->max_record_bytes = RECORD_PAYLOAD_MAX;
    }
    journal->fd = journal->lock_fd = -1;
    buf_init(&journal->pending, JOURNAL_PENDING_BYTES + (size_t)journal->max_record_bytes + 2 * RECORD_HEADER_BYTES);
    pthread_mutex_init(&journal->lock, NULL);
    pthread_mutex_init(&journal->wait_lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&journal->wait_cond, &attributes);
    pthread_condattr_destroy(&attributes);
    return journal;
}

struct journal *journal_open_with(const struct journal_options *options, const struct journal_io *io,
                                  struct status *status) {
    if (!options->dir || !*options->dir || strlen(options->dir) + SEGMENT_NAME_BYTES >= PATH_MAX) {
        status_fail(status, STATUS_INVALID, "a journal's folder must be named, in fewer than %d bytes",
                    PATH_MAX - SEGMENT_NAME_BYTES);
        return NULL;
    }
    if (!dir_make(options->dir, status)) {
        return NULL;
    }
    struct journal *journal = new_journal(options, io);
    if ((options->exclusive && !take_lock(journal, status)) || !journal_recover(journal, status)) {
        free_journal(journal);
        return NULL;
    }
    return journal;
}

struct journal *journal_open(const struct journal_options *options, struct status *status) {
    return journal_open_with(options, &journal_io_system, status);
}

void journal_close(struct journal *journal) {
    if (!journal) {
        return;
    }
    must(atomic_load(&journal->cursors) == 0);
    struct status status = {0};
    if (!journal_sync(journal, &status)) {
        logline(LOGLINE_WARN, "log", "closed without all records durable", "dir", journal->dir, "error", status.text,
                NULL);
    }
    free_journal(journal);
}

// ---- append and write ------------------------------------------------------------------

// After a write that stopped somewhere: the whole records from `start` on stay in the file, the rest of it goes.
static void cut_back(struct journal *journal, size_t start) {
    const uint8_t *bytes = (const uint8_t *)journal->pending.ptr;
    uint64_t seq = atomic_load(&journal->written_seq);
    size_t whole = start;
    while (whole < journal->written && whole + record_bytes(bytes + whole) <= journal->written) {
        seq = record_seq(bytes + whole);
        whole += record_bytes(bytes + whole);
    }
    journal->written = whole;
    atomic_store(&journal->written_seq, seq);
    // Should this fail too, the next write covers the same place, and recovery would cut it.
    (void)!journal->io->truncate(journal->fd, (off_t)(journal->pending_offset + whole));
}

bool journal_write_pending(struct journal *journal, struct status *status) {
    if (journal->broken) {
        return status_fail(status, STATUS_IO, "%s: the last sync failed and no new segment could be begun yet",
                           journal->dir);
    }
    size_t start = journal->written;
    while (journal->written < journal->pending.len) {
        ssize_t n = journal->io->write_at(journal->fd, journal->pending.ptr + journal->written,
                                          journal->pending.len - journal->written,
                                          (off_t)(journal->pending_offset + journal->written));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            int error = n == 0 ? EIO : errno;
            cut_back(journal, start);
            return status_errno(status, error, "%s: a segment cannot be written; what was appended waits in memory",
                                journal->dir);
        }
        journal->written += (size_t)n;
    }
    atomic_store(&journal->written_seq, atomic_load(&journal->appended_seq));
    return true;
}

bool journal_flush(struct journal *journal, struct status *status) {
    pthread_mutex_lock(&journal->lock);
    bool ok = atomic_load(&journal->written_seq) == atomic_load(&journal->appended_seq) ||
              journal_write_pending(journal, status);
    pthread_mutex_unlock(&journal->lock);
    return ok;
}

static uint64_t bytes_in_use(const struct journal *journal) {
    return journal->closed_bytes + journal->pending_offset + journal->pending.len;
}

// The lock is held, and held again at the end; a sync or a new segment lets it go in between.
static bool make_room(struct journal *journal, size_t bytes, struct status *status) {
    uint64_t appended = atomic_load(&journal->appended_seq);
    // With the mark and the header that may follow.
    uint64_t all = bytes_in_use(journal) + bytes + RECORD_HEADER_BYTES + SEGMENT_HEADER_BYTES;
    if (all > journal->max_bytes || appended + 1 >= JOURNAL_SEQ_MAX) {
        return status_fail(status, STATUS_FULL,
                           "%s: %" PRIu64 " bytes are in use of at most %" PRIu64
                           "; wait until records are freed, or raise the maximum",
                           journal->dir, bytes_in_use(journal), journal->max_bytes);
    }
    bool has_records = journal->n_segments > 0 && journal->segments[journal->n_segments - 1].first_seq <= appended;
    bool next_segment = has_records && journal->pending_offset + journal->pending.len + bytes > journal->segment_bytes;
    if (journal->broken || next_segment || journal->pending.len + bytes > JOURNAL_PENDING_BYTES) {
        pthread_mutex_unlock(&journal->lock);
        bool ok = journal_sync(journal, status) && (!next_segment || journal_start_segment(journal, status));
        pthread_mutex_lock(&journal->lock);
        if (!ok) {
            return false;
        }
    }
    return journal->pending.len - journal->written + bytes <= JOURNAL_WRITE_BYTES ||
           journal_write_pending(journal, status);
}

bool journal_append(struct journal *journal, uint8_t type, int64_t time_ms, const struct str *parts, size_t n_parts,
                    uint64_t *seq, struct status *status) {
    size_t length = 0;
    for (size_t i = 0; i < n_parts; i++) {
        length += parts[i].len;
        if (parts[i].len > journal->max_record_bytes || length > journal->max_record_bytes) {
            return status_fail(status, STATUS_INVALID, "%s: a record of over %" PRIu32 " bytes, which is the maximum",
                               journal->dir, journal->max_record_bytes);
        }
    }
    pthread_mutex_lock(&journal->lock);
    bool ok = make_room(journal, RECORD_HEADER_BYTES + length, status);
    if (ok) {
        if (journal->last_time_ms < time_ms) {
            journal->last_time_ms = time_ms;
        }
        *seq = atomic_load(&journal->appended_seq) + 1;
        const struct record record = {.seq = *seq, .time_ms = journal->last_time_ms, .type = type, .kind = RECORD_DATA};
        record_encode(&journal->pending, journal->salt, &record, parts, n_parts);
        atomic_store(&journal->appended_seq, *seq);
    }
    pthread_mutex_unlock(&journal->lock);
    if (ok) {
        journal_wake_waiting(journal, &journal->live_waiting);
    }
    return ok;
}

// ---- sync --------------------------------------------------------------------------------

void journal_add_mark(struct journal *journal) {
    const struct record mark = {
        .seq = atomic_load(&journal->durable_seq), .time_ms = journal->last_time_ms, .kind = RECORD_MARK};
    record_encode(&journal->pending, journal->salt, &mark, NULL, 0);
    journal_write_pending(journal, NULL); // what cannot be written now goes with the next record
}

// Writes and syncs the last segment once. The lock is free during the sync itself: only this thread appends.
static bool sync_segment(struct journal *journal, struct status *status) {
    pthread_mutex_lock(&journal->lock);
    bool ok = journal_write_pending(journal, status);
    pthread_mutex_unlock(&journal->lock);
    if (!ok) {
        return false;
    }
    int64_t start_us = clock_monotonic_us();
    int error = journal->io->sync(journal->fd) == 0 ? 0 : errno;
    pthread_mutex_lock(&journal->lock);
    journal->sync_us_last = clock_monotonic_us() - start_us;
    if (journal->sync_us_last > journal->sync_us_max) {
        journal->sync_us_max = journal->sync_us_last;
    }
    if (error) {
        journal->broken = true;
        atomic_store(&journal->written_seq, atomic_load(&journal->durable_seq));
    } else {
        journal->syncs++;
        atomic_store(&journal->durable_seq, atomic_load(&journal->appended_seq));
        journal->pending_offset += journal->pending.len;
        journal->written = 0;
        buf_clear(&journal->pending);
        journal_add_mark(journal);
    }
    pthread_mutex_unlock(&journal->lock);
    if (error) {
        logline(LOGLINE_WARN, "log", "a sync failed; the segment is given up and its last records go to a new one",
                "dir", journal->dir, "error", strerror(error), NULL);
        return status_errno(status, error, "%s: a segment cannot be made durable", journal->dir);
    }
    journal_wake_waiting(journal, &journal->durable_waiting);
    return true;
}

bool journal_sync(struct journal *journal, struct status *status) {
    if (journal->broken && !journal_start_segment(journal, status)) {
        return false;
    }
    if (atomic_load(&journal->durable_seq) == atomic_load(&journal->appended_seq)) {
        return true;
    }
    struct status first;
    status_clear(&first);
    if (sync_segment(journal, &first)) {
        return true;
    }
    if (journal->broken && journal_start_segment(journal, NULL) && sync_segment(journal, NULL)) {
        return true;
    }
    if (status) {
        *status = first;
    }
    return false;
}

// ---- what is seen from outside ---------------------------------------------------------

void journal_stats(const struct journal *journal, struct journal_stats *out) {
    pthread_mutex_t *lock = (pthread_mutex_t *)&journal->lock;
    pthread_mutex_lock(lock);
    *out = (struct journal_stats){
        .last_seq = atomic_load(&journal->appended_seq),
        .durable_seq = atomic_load(&journal->durable_seq),
        .bytes = bytes_in_use(journal),
        .segments = journal->n_segments,
        .syncs = journal->syncs,
        .torn_bytes = journal->torn_bytes,
        .sync_us_last = journal->sync_us_last,
        .sync_us_max = journal->sync_us_max,
    };
    out->first_seq = journal->n_segments > 0 ? journal->segments[0].first_seq : out->last_seq + 1;
    pthread_mutex_unlock(lock);
}

uint64_t journal_durable_seq(const struct journal *journal) {
    return atomic_load(&journal->durable_seq);
}
