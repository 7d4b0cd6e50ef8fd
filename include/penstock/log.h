// log: one total order, durable. The journal file is the engine of one machine.
//
// A journal is a folder of segments, each a run of records with a CRC of their own;
// a record's sequence number is its place in the order (from 1, no gaps). Appending
// writes, `journal_sync` makes durable (group fsync), cursors read what is durable.
// Opening finds the torn tail that a crash may leave behind the last durable record
// and cuts it; damage before that is refused, never skipped. Nothing is dropped when
// the disk is full: the append fails, what was appended before stays, try again.
//
// Threads: one appender (append, sync, free_before, begin_at), any number of cursors,
// each owned by one thread. The same room keeps the gate's log and each consumer's
// stream. Appended records gather in memory: up to 1 MiB before they are written to
// the file, up to 16 MiB before an append syncs by itself. A cursor that wants them
// before (not `durable_only`) writes them out when it reaches the end.
#ifndef PENSTOCK_LOG_H
#define PENSTOCK_LOG_H

#include "penstock/base.h"

struct journal;

struct journal_options {
    const char *dir;           // made if missing
    uint64_t segment_bytes;    // a new segment begins past this (default 64 MiB when 0)
    uint64_t max_bytes;        // of all segments; an append beyond fails with STATUS_FULL (default: no bound when 0)
    uint32_t max_record_bytes; // (default 16 MiB when 0)
    // Take the folder's lock (flock); STATUS_DENIED names the holder's pid. Without it nothing keeps two processes
    // apart, and opening cuts what it takes for a torn end.
    bool exclusive;
};

struct journal_record {
    uint64_t seq;
    uint8_t type;       // means something to the caller only
    int64_t time_ms;    // the log's time; never less than the record before
    struct str payload; // valid until the next call on the cursor
};

struct journal_stats {
    uint64_t first_seq, last_seq, durable_seq; // first_seq > last_seq: empty
    uint64_t bytes, segments, syncs;
    uint64_t torn_bytes; // cut at open
    int64_t sync_us_last, sync_us_max;
};

// Opens or makes; recovers. NULL and *status: STATUS_CORRUPT names segment, offset and what to do; STATUS_DENIED,
// STATUS_IO….
struct journal *journal_open(const struct journal_options *options, struct status *status);
void journal_close(struct journal *journal); // syncs what it can; NULL is fine. Its cursors are closed before

// Appends one record made of the parts' bytes in turn; *seq gets its number. Time is raised to the last record's if
// it is behind. False: nothing of it is in the journal (STATUS_FULL, STATUS_IO; the journal stays usable, call again
// later).
bool journal_append(struct journal *journal, uint8_t type, int64_t time_ms, const struct str *parts, size_t n_parts,
                    uint64_t *seq, struct status *status);
// All appended records are on the device afterwards. On a failed fsync the segment is not trusted again: its records
// that were not durable are written to a new segment by this or the next call (never fsync the same descriptor twice
// after an error).
bool journal_sync(struct journal *journal, struct status *status);
// Writes what was appended to the file, where a crash of the process leaves it; not durable yet. Any thread.
bool journal_flush(struct journal *journal, struct status *status);
// Lets go of whole segments in which every record is below `seq`. Unlinks last, oldest first. When every record is, a
// new segment is made to keep the numbering: some syncs of file and folder, so not for every acknowledged record.
bool journal_free_before(struct journal *journal, uint64_t seq, struct status *status);
// When the last record goes and numbering must go on after it (an empty journal that begins at `seq`): for a restored
// state whose journal was freed entirely. Only on an empty journal.
bool journal_begin_at(struct journal *journal, uint64_t seq, struct status *status);
// Any thread.
void journal_stats(const struct journal *journal, struct journal_stats *out);
uint64_t journal_durable_seq(const struct journal *journal);

struct journal_cursor;
enum journal_read { JOURNAL_RECORD, JOURNAL_END, JOURNAL_FAILED };
// Reads from record `seq` on (it may not exist yet). If `durable_only`, only what journal_sync has confirmed; else
// all that was appended. Beginning before first_seq is an error: STATUS_NOT_FOUND from the first journal_next.
struct journal_cursor *journal_cursor_open(struct journal *journal, uint64_t seq, bool durable_only);
void journal_cursor_close(struct journal_cursor *cursor);
// The next record; JOURNAL_END when there is none yet (call again later); JOURNAL_FAILED with *status on damage.
enum journal_read journal_next(struct journal_cursor *cursor, struct journal_record *out, struct status *status);
void journal_cursor_seek(struct journal_cursor *cursor, uint64_t seq);
// Waits until a record at or after the cursor may be read, or the time is up. Any appender thread's append
// (durable_only: sync) wakes it; so does journal_wake, also one called since the last wait.
void journal_wait(struct journal_cursor *cursor, int timeout_ms);
void journal_wake(struct journal *journal);

#endif
