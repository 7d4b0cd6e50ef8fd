// journal_internal: what the journal's own files share. Not for other rooms.
//
// The appender's thread changes everything; others read under `lock`, but for the
// atomics. One thing others do too, under `lock`: write what is pending to the file,
// so that a cursor that wants all that was appended need not wait for a sync.
//
// `pending` holds every byte of the active segment that is not known to be on the
// device. It is let go only after a sync, never after a write: when the sync fails,
// the kernel may already have forgotten the pages, and this is the only copy.
#ifndef PENSTOCK_LOG_JOURNAL_INTERNAL_H
#define PENSTOCK_LOG_JOURNAL_INTERNAL_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "journal_format.h"
#include "journal_io.h"

#define JOURNAL_SEGMENT_BYTES_DEFAULT (64u << 20)
#define JOURNAL_RECORD_BYTES_DEFAULT (16u << 20)
#define JOURNAL_WRITE_BYTES (1u << 20)    // appended bytes are written when there are more than these
#define JOURNAL_PENDING_BYTES (16u << 20) // unsynced bytes kept in memory; an append beyond syncs
#define JOURNAL_SEGMENTS_MAX (1u << 20)
#define SEGMENT_NAME_BYTES 32 // "/00000000000000000001.seg.tmp"

struct segment {
    uint64_t id;        // unlike any other's of this process: a segment may be replaced by one of the same name
    uint64_t first_seq; // its records end where the next one's begin
    uint64_t bytes;     // of segments that are no longer written
};

struct journal {
    char *dir;
    const struct journal_io *io;
    uint64_t segment_bytes, max_bytes;
    uint32_t max_record_bytes;
    int lock_fd; // -1: not exclusive

    pthread_mutex_t lock;
    struct segment *segments; // the last one is written; none only while a new beginning failed
    size_t n_segments, segments_cap;
    uint64_t next_segment_id;
    uint64_t closed_bytes; // of all segments but the last
    int fd;                // of the last one; -1: none
    uint32_t salt;
    struct buf pending;
    uint64_t pending_offset; // where `pending` begins in the file
    size_t written;          // so much of `pending` is in the file
    bool broken;             // the last segment is not to be written again: a new one takes its place first
    int64_t last_time_ms;
    uint64_t syncs, torn_bytes;
    int64_t sync_us_last, sync_us_max;

    _Atomic uint64_t appended_seq, written_seq, durable_seq;
    _Atomic uint64_t generation; // changes with the list of segments

    pthread_mutex_t wait_lock;
    pthread_cond_t wait_cond;
    _Atomic bool live_waiting, durable_waiting; // somebody sleeps until there is more of that kind
    _Atomic uint64_t wakes;                     // calls of journal_wake
    _Atomic unsigned cursors;
};

// A path of the segment that begins with `first_seq`.
void segment_path(const struct journal *journal, uint64_t first_seq, char out[PATH_MAX]);

// Reads the folder, cuts a torn end, leaves the journal ready to append. No other thread knows the journal yet.
bool journal_recover(struct journal *journal, struct status *status);

// The lock is held. All that is pending goes into the file, or the whole records that fit.
bool journal_write_pending(struct journal *journal, struct status *status);
// The lock is held. After a sync: says in the file what is durable.
void journal_add_mark(struct journal *journal);
// A new last segment beginning behind the last durable record; what is pending moves there. On failure the journal is
// `broken`, and this is to be called again before anything is written.
bool journal_start_segment(struct journal *journal, struct status *status);

// Wakes the cursors' waits, if there are any.
void journal_wake_waiting(struct journal *journal, _Atomic bool *waiting);

#endif
