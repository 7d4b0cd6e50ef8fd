// journal_recover: reads the folder at opening and decides what a crash has left.
//
// Every record of every segment is read and checked once. A segment's records end
// where the next one begins; what stands behind them there was given up by a failed
// sync and is passed over. In the last segment, bytes that are no record are cut
// when nothing says that they were ever durable, and refused when a mark does.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal_internal.h"
#include "journal_reader.h"

struct folder {
    uint64_t *first_seqs;
    size_t n, cap;
};

// "00000000000000000042.seg": 42; 0: no segment's name.
static uint64_t seq_of_name(struct str name) {
    int64_t seq = 0;
    if (name.len != 24 || !str_ends(name, STR(".seg")) || !str_to_int64((struct str){name.ptr, 20}, &seq) || seq < 0) {
        return 0;
    }
    return (uint64_t)seq;
}

static int by_number(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static bool read_folder(struct journal *journal, struct folder *folder, struct status *status) {
    DIR *dir = opendir(journal->dir);
    if (!dir) {
        return status_errno(status, errno, "%s: the folder cannot be read", journal->dir);
    }
    const struct dirent *entry;
    bool ok = true;
    while (ok && (errno = 0, entry = readdir(dir)) != NULL) {
        struct str name = str_of(entry->d_name);
        uint64_t seq = seq_of_name(name);
        if (str_ends(name, STR(".seg.tmp"))) { // begun and never named: nothing in it yet
            char path[PATH_MAX];
            snprintf(path, sizeof path, "%s/%.*s", journal->dir, STR_ARG(name));
            journal->io->unlink(path);
        }
        if (seq == 0) {
            continue;
        }
        if (folder->n == JOURNAL_SEGMENTS_MAX) {
            ok = status_fail(status, STATUS_CORRUPT, "%s: more than %u segments; this is no folder of a journal",
                             journal->dir, JOURNAL_SEGMENTS_MAX);
            break;
        }
        if (folder->n == folder->cap) {
            folder->cap = folder->cap ? folder->cap * 2 : 64;
            folder->first_seqs = must_realloc(folder->first_seqs, folder->cap * sizeof *folder->first_seqs);
        }
        folder->first_seqs[folder->n++] = seq;
    }
    if (ok && errno != 0) {
        ok = status_errno(status, errno, "%s: the folder cannot be read", journal->dir);
    }
    closedir(dir);
    if (folder->n > 1) {
        qsort(folder->first_seqs, folder->n, sizeof *folder->first_seqs, by_number);
    }
    return ok;
}

static bool read_header(int fd, const char *path, uint64_t first_seq, struct segment_header *header,
                        struct status *status) {
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    uint32_t version = 0;
    struct stat stat;
    if (fstat(fd, &stat) != 0) {
        return status_errno(status, errno, "%s: cannot be read", path);
    }
    if (!S_ISREG(stat.st_mode)) {
        return status_fail(status, STATUS_CORRUPT, "%s: not a file; move it away", path);
    }
    ssize_t n = pread(fd, bytes, sizeof bytes, 0);
    if (n < 0) {
        return status_errno(status, errno, "%s: cannot be read", path);
    }
    switch (segment_header_decode(bytes, (size_t)n, header, &version)) {
    case SEGMENT_OK:
        if (header->first_seq == first_seq) {
            return true;
        }
        return status_fail(status, STATUS_CORRUPT,
                           "%s: holds records from %" PRIu64 "; give the file its own name back", path,
                           header->first_seq);
    case SEGMENT_OTHER_VERSION:
        return status_fail(status, STATUS_CORRUPT,
                           "%s: of format version %" PRIu32
                           ", and this program reads version %u; use the program that wrote it",
                           path, version, SEGMENT_VERSION);
    case SEGMENT_FOREIGN:
        return status_fail(status, STATUS_CORRUPT,
                           "%s: not a journal's segment (offset 0); move it away, or restore the folder from a copy",
                           path);
    case SEGMENT_SHORT:
    case SEGMENT_DAMAGED: break;
    }
    return status_fail(status, STATUS_CORRUPT, "%s: the header is damaged (offset 0); restore the folder from a copy",
                       path);
}

static bool damaged(const char *path, const struct segment_reader *reader, const char *why, struct status *status) {
    return status_fail(status, STATUS_CORRUPT,
                       "%s: damaged at offset %" PRIu64 ", where record %" PRIu64
                       " should be, and %s. Restore the folder from a copy; or, to go on without "
                       "this record and all later ones, cut the file there and move later segments away",
                       path, reader->offset, reader->seq, why);
}

// The last segment's end, where `result` says the reader stopped: cut what is torn, make the rest durable.
static bool settle_end(struct journal *journal, const char *path, const struct segment_reader *reader,
                       enum reader_result result, struct status *status) {
    int fd = reader->fd;
    struct stat stat;
    if (reader->seq >= JOURNAL_SEQ_MAX) {
        return status_fail(status, STATUS_CORRUPT, "%s: its numbers are at their end; move it away", path);
    }
    if (result == READER_DAMAGED) {
        enum reader_result mark = segment_find_mark(fd, reader->salt, reader->offset, reader->seq);
        if (mark == READER_RECORD) {
            return damaged(path, reader, "it was durable once", status);
        }
        if (mark == READER_FAILED || fstat(fd, &stat) != 0) {
            return status_errno(status, errno, "%s: cannot be read", path);
        }
        if (journal->io->truncate(fd, (off_t)reader->offset) != 0) {
            return status_errno(status, errno, "%s: its torn end cannot be cut", path);
        }
        journal->torn_bytes = (uint64_t)stat.st_size - reader->offset;
        char torn[32];
        snprintf(torn, sizeof torn, "%" PRIu64, journal->torn_bytes);
        logline(LOGLINE_WARN, "log", "cut the torn end that a crash left", "segment", path, "bytes", torn, NULL);
    }
    // After a kill the records may be in the page cache alone.
    if (journal->io->sync(fd) != 0) {
        return status_errno(status, errno, "%s: cannot be made durable", path);
    }
    return true;
}

static void adopt_segment(struct journal *journal, const struct segment_reader *reader, bool is_last) {
    journal->segments[journal->n_segments - 1].bytes = reader->offset;
    if (!is_last) {
        journal->closed_bytes += reader->offset;
        return;
    }
    journal->fd = reader->fd;
    journal->salt = reader->salt;
    journal->pending_offset = reader->offset;
    atomic_store(&journal->appended_seq, reader->seq - 1);
    atomic_store(&journal->written_seq, reader->seq - 1);
    atomic_store(&journal->durable_seq, reader->seq - 1);
    if (reader->seq > journal->segments[journal->n_segments - 1].first_seq && !reader->at_mark) {
        journal_add_mark(journal);
    }
}

// Reads one segment whose records end before `end_seq` (0: it is the last).
static bool recover_segment(struct journal *journal, struct segment_reader *reader, uint64_t first_seq,
                            uint64_t end_seq, struct status *status) {
    char path[PATH_MAX];
    struct segment_header header = {0};
    segment_path(journal, first_seq, path);
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return status_errno(status, errno, "%s: cannot be opened", path);
    }
    bool ok = read_header(fd, path, first_seq, &header, status);
    if (ok) {
        segment_reader_start(reader, fd, header.salt, first_seq);
        journal->last_time_ms = header.time_ms;
        enum reader_result result = READER_RECORD;
        while (result == READER_RECORD && reader->seq != end_seq) {
            struct record record;
            result = segment_reader_next(reader, &record);
            if (result == READER_RECORD) {
                journal->last_time_ms = record.time_ms;
            }
        }
        if (result == READER_FAILED) {
            ok = status_errno(status, errno, "%s: cannot be read", path);
        } else if (end_seq == 0) {
            ok = settle_end(journal, path, reader, result, status);
        } else if (reader->seq != end_seq) {
            ok = damaged(path, reader, "later segments follow", status);
        }
    }
    if (ok) {
        journal->segments[journal->n_segments++] =
            (struct segment){.id = journal->next_segment_id++, .first_seq = first_seq};
        adopt_segment(journal, reader, end_seq == 0);
    }
    if (!ok || end_seq != 0) {
        close(fd);
    }
    return ok;
}

bool journal_recover(struct journal *journal, struct status *status) {
    struct folder folder = {0};
    struct segment_reader reader = {.fd = -1};
    bool ok = read_folder(journal, &folder, status);
    if (ok && folder.n == 0) {
        ok = getrandom(&journal->salt, sizeof journal->salt, 0) == sizeof journal->salt ||
             status_errno(status, errno, "no random number for a new journal");
        ok = ok && journal_start_segment(journal, status);
    } else if (ok) {
        journal->segments_cap = folder.n + 1;
        journal->segments = must_alloc(journal->segments_cap * sizeof *journal->segments);
        for (size_t i = 0; ok && i < folder.n; i++) {
            ok = recover_segment(journal, &reader, folder.first_seqs[i],
                                 i + 1 < folder.n ? folder.first_seqs[i + 1] : 0, status);
        }
    }
    segment_reader_free(&reader);
    free(folder.first_seqs);
    return ok;
}
