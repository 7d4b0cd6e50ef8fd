// journal_testing: what the journal's tests share: folders, payloads that follow from
// their number, and a reader that checks every record against its number.
#ifndef PENSTOCK_TESTS_JOURNAL_TESTING_H
#define PENSTOCK_TESTS_JOURNAL_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal_io.h"
#include "penstock/log.h"

#define PAYLOAD_MAX 200

static inline size_t payload_of(uint64_t seq, char out[PAYLOAD_MAX]) {
    size_t len = (size_t)(seq * 37 % 91);
    for (size_t i = 0; i < len; i++) {
        out[i] = (char)(seq * 131 + i * 7);
    }
    return len;
}

static inline uint8_t type_of(uint64_t seq) {
    return (uint8_t)(seq % 5);
}

static inline int64_t time_of(uint64_t seq) {
    return 1700000000000 + (int64_t)seq * 10;
}

static inline char *new_folder(void) {
    const char *base = getenv("TMPDIR");
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/penstock-journal-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(path));
    return must_strdup(path);
}

static inline void remove_files(const char *dir) {
    DIR *listing = opendir(dir);
    assert_non_null(listing);
    const struct dirent *entry;
    while ((entry = readdir(listing)) != NULL) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        if (entry->d_name[0] != '.') {
            assert_int_equal(unlink(path), 0);
        }
    }
    closedir(listing);
}

static inline void remove_folder(char *dir) {
    remove_files(dir);
    assert_int_equal(rmdir(dir), 0);
    free(dir);
}

static inline void segment_file(const char *dir, uint64_t first_seq, char out[PATH_MAX]) {
    snprintf(out, PATH_MAX, "%s/%020" PRIu64 ".seg", dir, first_seq);
}

static inline void read_whole(const char *path, struct buf *out) {
    struct status status = {0};
    if (!file_read(path, out, &status)) {
        fail_msg("%s", status.text);
    }
}

static inline void write_whole(const char *path, const char *bytes, size_t n) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), (ssize_t)n);
    close(fd);
}

// The system's calls without the wait for the device.
static inline int skip_sync(int fd) {
    (void)fd;
    return 0;
}

static inline bool skip_sync_dir(const char *path, struct status *status) {
    (void)path;
    (void)status;
    return true;
}

static inline const struct journal_io *quick_io(void) {
    static struct journal_io io;
    io = journal_io_system;
    io.sync = skip_sync;
    io.sync_dir = skip_sync_dir;
    return &io;
}

static inline struct journal *open_good(const char *dir, uint64_t segment_bytes, const struct journal_io *io) {
    struct status status = {0};
    struct journal *journal =
        journal_open_with(&(struct journal_options){.dir = dir, .segment_bytes = segment_bytes}, io, &status);
    if (!journal) {
        fail_msg("%s", status.text);
    }
    return journal;
}

// Appends the record that is due, in two parts.
static inline bool append_next(struct journal *journal, uint64_t expected, struct status *status) {
    char payload[PAYLOAD_MAX];
    size_t len = payload_of(expected, payload);
    const struct str parts[] = {{payload, len / 3}, {payload + len / 3, len - len / 3}};
    uint64_t seq = 0;
    if (!journal_append(journal, type_of(expected), time_of(expected), parts, 2, &seq, status)) {
        return false;
    }
    assert_int_equal(seq, expected);
    return true;
}

static inline void append_good(struct journal *journal, uint64_t from, uint64_t to) {
    struct status status = {0};
    for (uint64_t seq = from; seq <= to; seq++) {
        if (!append_next(journal, seq, &status)) {
            fail_msg("%s", status.text);
        }
    }
}

static inline void sync_good(struct journal *journal) {
    struct status status = {0};
    if (!journal_sync(journal, &status)) {
        fail_msg("%s", status.text);
    }
}

static inline void check_record(const struct journal_record *record, uint64_t expected) {
    char payload[PAYLOAD_MAX];
    size_t len = payload_of(expected, payload);
    assert_int_equal(record->seq, expected);
    assert_int_equal(record->type, type_of(expected));
    assert_int_equal(record->time_ms, time_of(expected));
    assert_int_equal(record->payload.len, len);
    assert_memory_equal(record->payload.ptr, payload, len);
}

// Reads from `from` to the end; the number of the last record, from - 1 when there is none.
static inline uint64_t read_to_end(struct journal *journal, uint64_t from, bool durable_only) {
    struct status status = {0};
    struct journal_record record;
    struct journal_cursor *cursor = journal_cursor_open(journal, from, durable_only);
    enum journal_read read;
    while ((read = journal_next(cursor, &record, &status)) == JOURNAL_RECORD) {
        check_record(&record, from++);
    }
    if (read != JOURNAL_END) {
        fail_msg("%s", status.text);
    }
    journal_cursor_close(cursor);
    return from - 1;
}

#endif
