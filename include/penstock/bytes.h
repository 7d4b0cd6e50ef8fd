// bytes: plain numbers and texts to bytes and back, for everything that is stored.
//
// Little-endian, fixed widths, texts behind a 32-bit length: the same on every
// machine. A reader over damaged bytes never leaves them; it sets `failed` once and
// answers zeros from then on, so that callers check once at the end.
#ifndef PENSTOCK_BYTES_H
#define PENSTOCK_BYTES_H

#include "penstock/base.h"

static inline void put_u8(struct buf *out, uint8_t n) {
    buf_add(out, &n, 1);
}
static inline void put_u16(struct buf *out, uint16_t n) {
    uint8_t bytes[2] = {(uint8_t)n, (uint8_t)(n >> 8)};
    buf_add(out, bytes, sizeof bytes);
}
static inline void put_u32(struct buf *out, uint32_t n) {
    uint8_t bytes[4] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), (uint8_t)(n >> 24)};
    buf_add(out, bytes, sizeof bytes);
}
static inline void put_u64(struct buf *out, uint64_t n) {
    put_u32(out, (uint32_t)n);
    put_u32(out, (uint32_t)(n >> 32));
}
static inline void put_i64(struct buf *out, int64_t n) {
    put_u64(out, (uint64_t)n);
}
static inline void put_double(struct buf *out, double n) {
    uint64_t bits;
    memcpy(&bits, &n, sizeof bits);
    put_u64(out, bits);
}
static inline void put_hash(struct buf *out, struct hash128 hash) {
    put_u64(out, hash.hi);
    put_u64(out, hash.lo);
}
static inline void put_str(struct buf *out, struct str s) {
    put_u32(out, (uint32_t)s.len);
    buf_add(out, s.ptr, s.len);
}

struct reader {
    const char *at, *end;
    bool failed;
};

static inline struct reader reader_of(struct str bytes) {
    return (struct reader){.at = bytes.ptr, .end = bytes.ptr + bytes.len};
}
static inline size_t reader_left(const struct reader *in) {
    return (size_t)(in->end - in->at);
}
// The next `len` bytes in place; NULL when there are fewer.
static inline const char *get_bytes(struct reader *in, size_t len) {
    if (in->failed || reader_left(in) < len) {
        in->failed = true;
        return NULL;
    }
    const char *bytes = in->at;
    in->at += len;
    return bytes;
}
static inline uint64_t get_uint(struct reader *in, size_t width) {
    const unsigned char *bytes = (const unsigned char *)get_bytes(in, width);
    uint64_t n = 0;
    for (size_t i = 0; bytes && i < width; i++)
        n |= (uint64_t)bytes[i] << (8 * i);
    return n;
}
static inline uint8_t get_u8(struct reader *in) {
    return (uint8_t)get_uint(in, 1);
}
static inline uint16_t get_u16(struct reader *in) {
    return (uint16_t)get_uint(in, 2);
}
static inline uint32_t get_u32(struct reader *in) {
    return (uint32_t)get_uint(in, 4);
}
static inline uint64_t get_u64(struct reader *in) {
    return get_uint(in, 8);
}
static inline int64_t get_i64(struct reader *in) {
    return (int64_t)get_uint(in, 8);
}
static inline double get_double(struct reader *in) {
    uint64_t bits = get_u64(in);
    double n;
    memcpy(&n, &bits, sizeof n);
    return n;
}
static inline struct hash128 get_hash(struct reader *in) {
    uint64_t hi = get_u64(in);
    return (struct hash128){hi, get_u64(in)};
}
static inline struct str get_str(struct reader *in) {
    size_t len = get_u32(in);
    const char *bytes = get_bytes(in, len);
    return bytes ? (struct str){bytes, len} : (struct str){NULL, 0};
}

#endif
