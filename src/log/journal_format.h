// journal_format: the bytes of a journal on disk.
//
// A segment is a header and then records, back to back, all little-endian:
//
//   header   magic[8] version:u32 salt:u32 first_seq:u64 time_ms:i64 zero:u32 crc:u32      40 bytes
//   record   crc:u32 length:u32 seq:u64 time_ms:i64 type:u8 kind:u8 zero:u16 payload       28 bytes + payload
//
// A record's CRC covers everything of it behind the CRC and begins from the salt, a
// random number of the journal's: no payload can pretend to be a record, whoever
// wrote it. `time_ms` of a header is the time of the last record before the segment.
//
// Kind MARK has no payload and no number of its own: it says that every byte before
// it, to the record `seq`, was on the device when it was written. A damaged record
// with a mark behind it was durable once; one with none is the end a crash tore.
#ifndef PENSTOCK_LOG_JOURNAL_FORMAT_H
#define PENSTOCK_LOG_JOURNAL_FORMAT_H

#include "penstock/base.h"

#define SEGMENT_VERSION 1u
#define SEGMENT_HEADER_BYTES 40u
#define RECORD_HEADER_BYTES 28u
#define RECORD_PAYLOAD_MAX (256u << 20)
#define JOURNAL_SEQ_MAX ((uint64_t)INT64_MAX) // leaves every sum of numbers and sizes in range

struct segment_header {
    uint64_t first_seq;
    int64_t time_ms;
    uint32_t salt;
};

enum segment_check { SEGMENT_OK, SEGMENT_SHORT, SEGMENT_FOREIGN, SEGMENT_OTHER_VERSION, SEGMENT_DAMAGED };

void segment_header_encode(const struct segment_header *header, uint8_t out[SEGMENT_HEADER_BYTES]);
// *version is set unless the bytes are SEGMENT_SHORT or SEGMENT_FOREIGN.
enum segment_check segment_header_decode(const uint8_t *bytes, size_t n, struct segment_header *out, uint32_t *version);

enum record_kind { RECORD_DATA, RECORD_MARK };

struct record {
    uint64_t seq;
    int64_t time_ms;
    uint8_t type;
    enum record_kind kind;
    struct str payload; // inside the bytes that were decoded
};

enum record_check { RECORD_OK, RECORD_SHORT, RECORD_BAD };

// Appends a record to `out`, which must have room for it. `record->payload` is not used: the parts are.
void record_encode(struct buf *out, uint32_t salt, const struct record *record, const struct str *parts,
                   size_t n_parts);
// RECORD_SHORT: *need bytes are wanted. RECORD_BAD: these bytes begin no record.
enum record_check record_decode(const uint8_t *bytes, size_t n, uint32_t salt, struct record *out, size_t *need);
// Of a record known to be whole, as in the appender's own memory.
size_t record_bytes(const uint8_t *bytes);
uint64_t record_seq(const uint8_t *bytes);

#endif
