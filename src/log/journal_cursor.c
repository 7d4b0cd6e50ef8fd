// journal_cursor: reads a journal in order while it grows.
//
// A cursor has a descriptor and a buffer of its own and meets the appender only in
// atomics, but for the moment when it changes segments. It reads no further than the
// durable (or written) number, so a record it cannot find there is damage, unless
// the list of segments has just changed: then it looks again at the next call.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "journal_internal.h"
#include "journal_reader.h"

struct journal_cursor {
    struct journal *journal;
    bool durable_only;
    uint64_t seq;                 // the next record's
    struct segment_reader reader; // its fd is owned here; -1: nowhere
    uint64_t segment_id;          // of the reader's segment
    uint64_t end_seq;             // where the next segment begins; UINT64_MAX when there is none
    uint64_t generation;          // of the list in which these were true
    uint64_t wakes_seen;
};

struct journal_cursor *journal_cursor_open(struct journal *journal, uint64_t seq, bool durable_only) {
    struct journal_cursor *cursor = must_alloc(sizeof *cursor);
    cursor->journal = journal;
    cursor->durable_only = durable_only;
    cursor->seq = seq;
    cursor->reader.fd = -1;
    cursor->wakes_seen = atomic_load(&journal->wakes);
    atomic_fetch_add(&journal->cursors, 1);
    return cursor;
}

static void leave_segment(struct journal_cursor *cursor) {
    if (cursor->reader.fd >= 0) {
        close(cursor->reader.fd);
        cursor->reader.fd = -1;
    }
}

void journal_cursor_close(struct journal_cursor *cursor) {
    if (!cursor) {
        return;
    }
    leave_segment(cursor);
    segment_reader_free(&cursor->reader);
    atomic_fetch_sub(&cursor->journal->cursors, 1);
    free(cursor);
}

void journal_cursor_seek(struct journal_cursor *cursor, uint64_t seq) {
    if (seq < cursor->seq) {
        leave_segment(cursor);
    }
    cursor->seq = seq;
}

static uint64_t last_readable(const struct journal_cursor *cursor) {
    return atomic_load(cursor->durable_only ? &cursor->journal->durable_seq : &cursor->journal->written_seq);
}

static bool is_readable(struct journal_cursor *cursor) {
    if (!cursor->durable_only && cursor->seq > last_readable(cursor) &&
        cursor->seq <= atomic_load(&cursor->journal->appended_seq)) {
        journal_flush(cursor->journal, NULL); // what cannot be written yet stays unread
    }
    return cursor->seq <= last_readable(cursor);
}

// The lock is held. The index of the segment that holds `seq`, which is not below the first.
static size_t find_segment(const struct journal *journal, uint64_t seq) {
    size_t low = 0, high = journal->n_segments;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (journal->segments[middle].first_seq <= seq) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool open_segment(struct journal_cursor *cursor, const struct segment *segment, struct status *status) {
    char path[PATH_MAX];
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    struct segment_header header;
    uint32_t version;
    leave_segment(cursor);
    segment_path(cursor->journal, segment->first_seq, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return status_errno(status, errno, "%s: cannot be opened", path);
    }
    ssize_t n = pread(fd, bytes, sizeof bytes, 0);
    if (n < 0 || segment_header_decode(bytes, (size_t)n, &header, &version) != SEGMENT_OK ||
        header.first_seq != segment->first_seq) {
        int error = errno;
        close(fd);
        return n < 0 ? status_errno(status, error, "%s: cannot be read", path)
                     : status_fail(status, STATUS_CORRUPT,
                                   "%s: the header is damaged (offset 0); restore the folder from a copy", path);
    }
    segment_reader_start(&cursor->reader, fd, header.salt, segment->first_seq);
    cursor->segment_id = segment->id;
    return true;
}

// Makes the reader stand in the segment of the cursor's record, at it or before it.
static bool find_place(struct journal_cursor *cursor, struct status *status) {
    struct journal *journal = cursor->journal;
    bool ok = true;
    pthread_mutex_lock(&journal->lock);
    uint64_t first = journal->n_segments > 0 ? journal->segments[0].first_seq : atomic_load(&journal->appended_seq) + 1;
    if (cursor->seq < first) {
        leave_segment(cursor);
        ok = status_fail(status, STATUS_NOT_FOUND, "%s: record %" PRIu64 " is no longer there; the first is %" PRIu64,
                         journal->dir, cursor->seq, first);
    } else if (journal->n_segments > 0) {
        size_t i = find_segment(journal, cursor->seq);
        if (cursor->reader.fd < 0 || cursor->segment_id != journal->segments[i].id) {
            ok = open_segment(cursor, &journal->segments[i], status);
        }
        cursor->end_seq = i + 1 < journal->n_segments ? journal->segments[i + 1].first_seq : UINT64_MAX;
        cursor->generation = atomic_load(&journal->generation);
    }
    pthread_mutex_unlock(&journal->lock);
    return ok;
}

// The reader did not find what should be there. JOURNAL_END when what should be there has changed meanwhile, or may be
// about to: until a record is durable, a failing sync may take it out of the file; the appender puts it into another.
static enum journal_read look_again(struct journal_cursor *cursor, enum reader_result result, int error,
                                    struct status *status) {
    struct journal *journal = cursor->journal;
    char path[PATH_MAX];
    pthread_mutex_lock(&journal->lock);
    bool changed =
        cursor->generation != atomic_load(&journal->generation) || cursor->seq > atomic_load(&journal->durable_seq);
    uint64_t segment_first = changed ? 0 : journal->segments[find_segment(journal, cursor->seq)].first_seq;
    pthread_mutex_unlock(&journal->lock);
    if (changed) {
        leave_segment(cursor);
        return JOURNAL_END;
    }
    segment_path(journal, segment_first, path);
    if (result == READER_FAILED) {
        status_errno(status, error, "%s: cannot be read", path);
    } else {
        status_fail(status, STATUS_CORRUPT,
                    "%s: damaged at offset %" PRIu64 ", where record %" PRIu64
                    " should be; restore the folder from a copy",
                    path, cursor->reader.offset, cursor->reader.seq);
    }
    leave_segment(cursor);
    return JOURNAL_FAILED;
}

enum journal_read journal_next(struct journal_cursor *cursor, struct journal_record *out, struct status *status) {
    if (!is_readable(cursor)) {
        return JOURNAL_END;
    }
    // Loaded after the number above: whoever made that number readable had listed its segment before.
    if (cursor->reader.fd < 0 || cursor->seq >= cursor->end_seq ||
        cursor->generation != atomic_load(&cursor->journal->generation)) {
        if (!find_place(cursor, status)) {
            return JOURNAL_FAILED;
        }
        if (cursor->reader.fd < 0) {
            return JOURNAL_END; // there is no segment while a new beginning is made
        }
    }
    struct record record;
    do {
        enum reader_result result = segment_reader_next(&cursor->reader, &record);
        if (result != READER_RECORD) {
            return look_again(cursor, result, errno, status);
        }
    } while (record.seq < cursor->seq);
    cursor->seq = record.seq + 1;
    *out = (struct journal_record){record.seq, record.type, record.time_ms, record.payload};
    return JOURNAL_RECORD;
}

// ---- waiting -----------------------------------------------------------------------------

// A waiter raises the flag before it looks a last time; the appender lowers it and wakes all, once, however many
// records it appends before they run.
void journal_wake_waiting(struct journal *journal, _Atomic bool *waiting) {
    if (atomic_load(waiting) && atomic_exchange(waiting, false)) {
        pthread_mutex_lock(&journal->wait_lock);
        pthread_cond_broadcast(&journal->wait_cond);
        pthread_mutex_unlock(&journal->wait_lock);
    }
}

void journal_wake(struct journal *journal) {
    atomic_fetch_add(&journal->wakes, 1);
    pthread_mutex_lock(&journal->wait_lock);
    pthread_cond_broadcast(&journal->wait_cond);
    pthread_mutex_unlock(&journal->wait_lock);
}

static struct timespec deadline_in(int timeout_ms) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += timeout_ms / 1000;
    at.tv_nsec += (long)(timeout_ms % 1000) * 1000000L;
    if (at.tv_nsec >= 1000000000L) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000L;
    }
    return at;
}

void journal_wait(struct journal_cursor *cursor, int timeout_ms) {
    struct journal *journal = cursor->journal;
    const struct timespec deadline = deadline_in(timeout_ms > 0 ? timeout_ms : 0);
    _Atomic bool *waiting = cursor->durable_only ? &journal->durable_waiting : &journal->live_waiting;
    bool timed_out = false;
    while (!timed_out) {
        atomic_store(waiting, true);
        if (is_readable(cursor) || atomic_load(&journal->wakes) != cursor->wakes_seen) {
            break;
        }
        pthread_mutex_lock(&journal->wait_lock);
        // Lowered already: the waker was here between the look and the lock, and its call would not come again.
        if (atomic_load(waiting) && atomic_load(&journal->wakes) == cursor->wakes_seen) {
            timed_out = pthread_cond_timedwait(&journal->wait_cond, &journal->wait_lock, &deadline) == ETIMEDOUT;
        }
        pthread_mutex_unlock(&journal->wait_lock);
    }
    cursor->wakes_seen = atomic_load(&journal->wakes);
}
