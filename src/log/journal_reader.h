// journal_reader: reads the records of one segment in order, through a read-ahead buffer.
#ifndef PENSTOCK_LOG_JOURNAL_READER_H
#define PENSTOCK_LOG_JOURNAL_READER_H

#include "journal_format.h"

struct segment_reader {
    int fd; // not owned
    uint32_t salt;
    uint64_t offset; // of the next record
    uint64_t seq;    // its number
    uint8_t *bytes;  // the buffer: `len` bytes of the file from `bytes_offset`
    size_t len, cap;
    uint64_t bytes_offset;
    bool at_mark; // what stands before `offset` is a mark
};

enum reader_result {
    READER_RECORD,
    READER_END,     // the file ends where a record may begin
    READER_DAMAGED, // what stands at `offset` is not record `seq`
    READER_FAILED,  // the device failed: errno
};

// `reader` zeroed, or used before: it keeps its buffer. The first record is `seq`, behind the segment's header.
void segment_reader_start(struct segment_reader *reader, int fd, uint32_t salt, uint64_t seq);
void segment_reader_free(struct segment_reader *reader);
// The payload is valid until the next call.
enum reader_result segment_reader_next(struct segment_reader *reader, struct record *out);
// Looks behind `from` for a mark that says record `seq` was durable: READER_RECORD when there is one, READER_END when
// there is none, READER_FAILED.
enum reader_result segment_find_mark(int fd, uint32_t salt, uint64_t from, uint64_t seq);

#endif
