// journal_segments: the folder of segments: a new one begins, old ones go.
//
// A segment gets its name only after its header is on the device, so a file with a
// segment's name and no good header is damage, never the trace of a crash.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "journal_internal.h"

void segment_path(const struct journal *journal, uint64_t first_seq, char out[PATH_MAX]) {
    int n = snprintf(out, PATH_MAX, "%s/%020" PRIu64 ".seg", journal->dir, first_seq);
    must(n > 0 && n < PATH_MAX);
}

static bool write_header(struct journal *journal, int fd, uint64_t first_seq) {
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    segment_header_encode(&(struct segment_header){first_seq, journal->last_time_ms, journal->salt}, bytes);
    size_t done = 0;
    while (done < sizeof bytes) {
        ssize_t n = journal->io->write_at(fd, bytes + done, sizeof bytes - done, (off_t)done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n == 0 ? EIO : errno;
            return false;
        }
        done += (size_t)n;
    }
    return journal->io->sync(fd) == 0;
}

// The file of a new segment, durable under its own name; its descriptor, or -1.
static int make_segment_file(struct journal *journal, uint64_t first_seq, struct status *status) {
    char path[PATH_MAX], draft[PATH_MAX + 4];
    segment_path(journal, first_seq, path);
    snprintf(draft, sizeof draft, "%s.tmp", path);
    int fd = journal->io->create(draft);
    if (fd < 0) {
        status_errno(status, errno, "%s: a new segment cannot be made", draft);
        return -1;
    }
    if (!write_header(journal, fd, first_seq) || journal->io->rename(draft, path) != 0) {
        status_errno(status, errno, "%s: a new segment cannot be made", draft);
        journal->io->unlink(draft);
        close(fd);
        return -1;
    }
    if (!journal->io->sync_dir(journal->dir, status)) {
        close(fd);
        return -1;
    }
    return fd;
}

// The lock is held.
static void add_segment(struct journal *journal, uint64_t first_seq) {
    struct segment *last = journal->n_segments > 0 ? &journal->segments[journal->n_segments - 1] : NULL;
    if (last && last->first_seq == first_seq) {
        last->id = journal->next_segment_id++;
        return;
    }
    if (last) {
        journal->closed_bytes += last->bytes;
    }
    if (journal->n_segments == journal->segments_cap) {
        journal->segments_cap = journal->segments_cap ? journal->segments_cap * 2 : 16;
        journal->segments = must_realloc(journal->segments, journal->segments_cap * sizeof *journal->segments);
    }
    journal->segments[journal->n_segments++] =
        (struct segment){.id = journal->next_segment_id++, .first_seq = first_seq};
}

bool journal_start_segment(struct journal *journal, struct status *status) {
    uint64_t durable = atomic_load(&journal->durable_seq);
    bool empty_handed = durable == atomic_load(&journal->appended_seq); // nothing pending but marks
    must(empty_handed || journal->broken);
    int fd = make_segment_file(journal, durable + 1, status);
    pthread_mutex_lock(&journal->lock);
    if (fd < 0) {
        journal->broken = true;
        pthread_mutex_unlock(&journal->lock);
        return false;
    }
    if (journal->n_segments > 0) {
        journal->segments[journal->n_segments - 1].bytes = journal->pending_offset;
    }
    if (journal->fd >= 0) {
        // Recovery would pass over what stands behind the last durable record; this only gives the room back.
        (void)!journal->io->truncate(journal->fd, (off_t)journal->pending_offset);
        close(journal->fd);
    }
    add_segment(journal, durable + 1);
    journal->fd = fd;
    journal->pending_offset = SEGMENT_HEADER_BYTES;
    journal->written = 0;
    if (empty_handed) {
        buf_clear(&journal->pending);
    }
    journal->broken = false;
    atomic_fetch_add(&journal->generation, 1);
    pthread_mutex_unlock(&journal->lock);
    return true;
}

static bool unlink_oldest(struct journal *journal, struct status *status) {
    char path[PATH_MAX];
    pthread_mutex_lock(&journal->lock); // a cursor opens segments under the lock: it finds them all or knows them gone
    segment_path(journal, journal->segments[0].first_seq, path);
    if (journal->io->unlink(path) != 0 && errno != ENOENT) {
        int error = errno;
        pthread_mutex_unlock(&journal->lock);
        return status_errno(status, error, "%s: cannot be removed", path);
    }
    if (journal->n_segments > 1) {
        journal->closed_bytes -= journal->segments[0].bytes;
    }
    journal->n_segments--;
    memmove(journal->segments, journal->segments + 1, journal->n_segments * sizeof *journal->segments);
    atomic_fetch_add(&journal->generation, 1);
    pthread_mutex_unlock(&journal->lock);
    // On the device before the next one goes, or a power cut might leave a hole in the numbers.
    return journal->io->sync_dir(journal->dir, status);
}

static bool is_empty(const struct journal *journal) {
    uint64_t last = atomic_load(&journal->appended_seq);
    return journal->n_segments == 0 || journal->segments[0].first_seq == last + 1;
}

bool journal_free_before(struct journal *journal, uint64_t seq, struct status *status) {
    uint64_t last = atomic_load(&journal->appended_seq);
    if (seq > last && !is_empty(journal)) {
        seq = last + 1;
        bool last_has_records = journal->segments[journal->n_segments - 1].first_seq <= last;
        if (!journal_sync(journal, status) || (last_has_records && !journal_start_segment(journal, status))) {
            return false;
        }
    }
    while (journal->n_segments > 1 && journal->segments[1].first_seq <= seq) {
        if (!unlink_oldest(journal, status)) {
            return false;
        }
    }
    return true;
}

bool journal_begin_at(struct journal *journal, uint64_t seq, struct status *status) {
    uint64_t next = atomic_load(&journal->appended_seq) + 1;
    if (!is_empty(journal)) {
        return status_fail(status, STATUS_INVALID,
                           "%s: holds records to %" PRIu64 "; only an empty journal may begin at %" PRIu64,
                           journal->dir, next - 1, seq);
    }
    if (seq < next || seq >= JOURNAL_SEQ_MAX) {
        return status_fail(status, STATUS_INVALID, "%s: goes on at %" PRIu64 " and cannot begin at %" PRIu64,
                           journal->dir, next, seq);
    }
    if (seq == next) {
        return true;
    }
    // First the old beginning goes: a crash in between leaves an empty folder, which asks for its beginning again.
    pthread_mutex_lock(&journal->lock);
    journal->broken = true;
    pthread_mutex_unlock(&journal->lock);
    while (journal->n_segments > 0) {
        if (!unlink_oldest(journal, status)) {
            return false;
        }
    }
    atomic_store(&journal->durable_seq, seq - 1);
    atomic_store(&journal->written_seq, seq - 1);
    atomic_store(&journal->appended_seq, seq - 1);
    return journal_start_segment(journal, status);
}
