// journal_reader: reads the records of one segment in order, through a read-ahead buffer.
//
// The file may grow while it is read: bytes in the buffer may be older than the file.
// So what the buffer cannot answer is asked of the file again before it counts as
// damage. Memory is asked for only after the file has shown that it is long enough.
#include "journal_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_AHEAD_BYTES (256u << 10)
#define SEARCH_BYTES (1u << 20)

void segment_reader_start(struct segment_reader *reader, int fd, uint32_t salt, uint64_t seq) {
    reader->fd = fd;
    reader->salt = salt;
    reader->offset = SEGMENT_HEADER_BYTES;
    reader->seq = seq;
    reader->len = 0;
    reader->at_mark = false;
}

void segment_reader_free(struct segment_reader *reader) {
    free(reader->bytes);
    *reader = (struct segment_reader){.fd = -1};
}

// Up to `n` bytes from `offset`, fewer only at the file's end; -1: errno.
static ssize_t read_at(int fd, uint8_t *out, size_t n, uint64_t offset) {
    size_t got = 0;
    while (got < n) {
        ssize_t more = pread(fd, out + got, n - got, (off_t)(offset + got));
        if (more < 0 && errno == EINTR) {
            continue;
        }
        if (more < 0) {
            return -1;
        }
        if (more == 0) {
            break;
        }
        got += (size_t)more;
    }
    return (ssize_t)got;
}

// Fills the buffer from `offset`. READER_DAMAGED: the file is too short for a record of `want` bytes.
static enum reader_result refill(struct segment_reader *reader, size_t want) {
    if (want > READ_AHEAD_BYTES) {
        struct stat stat;
        if (fstat(reader->fd, &stat) != 0) {
            return READER_FAILED;
        }
        if ((uint64_t)stat.st_size < reader->offset || (uint64_t)stat.st_size - reader->offset < want) {
            return READER_DAMAGED;
        }
    }
    size_t cap = want > READ_AHEAD_BYTES ? want : READ_AHEAD_BYTES;
    if (cap > reader->cap) {
        reader->bytes = must_realloc(reader->bytes, cap);
        reader->cap = cap;
    }
    ssize_t got = read_at(reader->fd, reader->bytes, cap, reader->offset);
    if (got < 0) {
        reader->len = 0;
        return READER_FAILED;
    }
    reader->bytes_offset = reader->offset;
    reader->len = (size_t)got;
    return READER_RECORD;
}

static bool is_expected(const struct segment_reader *reader, const struct record *record) {
    return record->seq == (record->kind == RECORD_MARK ? reader->seq - 1 : reader->seq);
}

enum reader_result segment_reader_next(struct segment_reader *reader, struct record *out) {
    size_t asked = 0; // how much the file was asked for in this call; 0: not yet
    for (;;) {
        const uint8_t *at = reader->bytes;
        size_t n = 0, need = 0;
        if (reader->len > 0) {
            size_t used = (size_t)(reader->offset - reader->bytes_offset);
            at += used;
            n = reader->len - used;
        }
        enum record_check check = record_decode(at, n, reader->salt, out, &need);
        if (check == RECORD_OK && is_expected(reader, out)) {
            reader->offset += need;
            reader->at_mark = out->kind == RECORD_MARK;
            if (reader->at_mark) {
                asked = 0;
                continue;
            }
            reader->seq++;
            return READER_RECORD;
        }
        size_t want = check == RECORD_SHORT ? need : RECORD_HEADER_BYTES;
        if (asked >= want) {
            return n == 0 ? READER_END : READER_DAMAGED;
        }
        enum reader_result result = refill(reader, want);
        if (result != READER_RECORD) {
            return result;
        }
        asked = want;
    }
}

enum reader_result segment_find_mark(int fd, uint32_t salt, uint64_t from, uint64_t seq) {
    uint8_t *bytes = must_alloc(SEARCH_BYTES);
    enum reader_result result = READER_END;
    while (result == READER_END) {
        ssize_t got = read_at(fd, bytes, SEARCH_BYTES, from);
        if (got < 0) {
            result = READER_FAILED;
        }
        if (got < (ssize_t)RECORD_HEADER_BYTES) {
            break;
        }
        size_t places = (size_t)got - RECORD_HEADER_BYTES + 1;
        for (size_t i = 0; i < places && result == READER_END; i++) {
            struct record record;
            size_t need;
            if (bytes[i + 25] == RECORD_MARK &&
                record_decode(bytes + i, RECORD_HEADER_BYTES, salt, &record, &need) == RECORD_OK && record.seq >= seq) {
                result = READER_RECORD;
            }
        }
        from += places;
    }
    free(bytes);
    return result;
}
