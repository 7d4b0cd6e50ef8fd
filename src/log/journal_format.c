// journal_format: encodes and checks the headers and records of a segment.
//
// Decoding takes foreign bytes: every length is compared with what is there before
// it is used, and a record is believed only when its CRC holds.
#include "journal_format.h"

#include <endian.h>

static const uint8_t segment_magic[8] = {'P', 'N', 'S', 'T', 'K', 'J', 'N', 'L'};

static void put32(uint8_t *at, uint32_t n) {
    n = htole32(n);
    memcpy(at, &n, sizeof n);
}

static void put64(uint8_t *at, uint64_t n) {
    n = htole64(n);
    memcpy(at, &n, sizeof n);
}

static uint32_t get32(const uint8_t *at) {
    uint32_t n;
    memcpy(&n, at, sizeof n);
    return le32toh(n);
}

static uint64_t get64(const uint8_t *at) {
    uint64_t n;
    memcpy(&n, at, sizeof n);
    return le64toh(n);
}

void segment_header_encode(const struct segment_header *header, uint8_t out[SEGMENT_HEADER_BYTES]) {
    memcpy(out, segment_magic, sizeof segment_magic);
    put32(out + 8, SEGMENT_VERSION);
    put32(out + 12, header->salt);
    put64(out + 16, header->first_seq);
    put64(out + 24, (uint64_t)header->time_ms);
    put32(out + 32, 0);
    put32(out + 36, crc32c(0, out, 36));
}

enum segment_check segment_header_decode(const uint8_t *bytes, size_t n, struct segment_header *out,
                                         uint32_t *version) {
    if (n < SEGMENT_HEADER_BYTES) {
        return SEGMENT_SHORT;
    }
    if (memcmp(bytes, segment_magic, sizeof segment_magic) != 0) {
        return SEGMENT_FOREIGN;
    }
    *version = get32(bytes + 8);
    if (*version != SEGMENT_VERSION) {
        return SEGMENT_OTHER_VERSION; // before the CRC: another version may keep it elsewhere
    }
    if (get32(bytes + 36) != crc32c(0, bytes, 36)) {
        return SEGMENT_DAMAGED;
    }
    *out = (struct segment_header){get64(bytes + 16), (int64_t)get64(bytes + 24), get32(bytes + 12)};
    return SEGMENT_OK;
}

void record_encode(struct buf *out, uint32_t salt, const struct record *record, const struct str *parts,
                   size_t n_parts) {
    size_t length = 0;
    for (size_t i = 0; i < n_parts; i++) {
        length += parts[i].len;
    }
    must(length <= RECORD_PAYLOAD_MAX);
    must(buf_reserve(out, RECORD_HEADER_BYTES + length));
    uint8_t *at = (uint8_t *)out->ptr + out->len;
    put32(at + 4, (uint32_t)length);
    put64(at + 8, record->seq);
    put64(at + 16, (uint64_t)record->time_ms);
    at[24] = record->type;
    at[25] = (uint8_t)record->kind;
    at[26] = at[27] = 0;
    uint8_t *end = at + RECORD_HEADER_BYTES;
    for (size_t i = 0; i < n_parts; i++) {
        if (parts[i].len > 0) {
            memcpy(end, parts[i].ptr, parts[i].len);
            end += parts[i].len;
        }
    }
    put32(at, crc32c(salt, at + 4, RECORD_HEADER_BYTES - 4 + length));
    out->len += RECORD_HEADER_BYTES + length;
}

enum record_check record_decode(const uint8_t *bytes, size_t n, uint32_t salt, struct record *out, size_t *need) {
    *need = RECORD_HEADER_BYTES;
    if (n < RECORD_HEADER_BYTES) {
        return RECORD_SHORT;
    }
    uint32_t length = get32(bytes + 4);
    uint8_t kind = bytes[25];
    if (length > RECORD_PAYLOAD_MAX || kind > RECORD_MARK || (kind == RECORD_MARK && length > 0) || bytes[26] ||
        bytes[27]) {
        return RECORD_BAD;
    }
    *need += length;
    if (n < *need) {
        return RECORD_SHORT;
    }
    if (get32(bytes) != crc32c(salt, bytes + 4, RECORD_HEADER_BYTES - 4 + length)) {
        return RECORD_BAD;
    }
    *out = (struct record){
        .seq = get64(bytes + 8),
        .time_ms = (int64_t)get64(bytes + 16),
        .type = bytes[24],
        .kind = (enum record_kind)kind,
        .payload = {(const char *)bytes + RECORD_HEADER_BYTES, length},
    };
    return RECORD_OK;
}

size_t record_bytes(const uint8_t *bytes) {
    return RECORD_HEADER_BYTES + get32(bytes + 4);
}

uint64_t record_seq(const uint8_t *bytes) {
    return get64(bytes + 8);
}
