// hash: xxHash's XXH3, unkeyed, so that ids made from it are the same on every
// machine and in every run. Not for secrets, and not where an enemy who finds
// collisions would gain more than to lose his own events.
#include "penstock/base.h"

#include <stdio.h>
#include <xxhash.h>

struct hash128 hash128_bytes(const void *bytes, size_t len) {
    XXH128_hash_t hash = XXH3_128bits(bytes, len);
    return (struct hash128){.hi = hash.high64, .lo = hash.low64};
}

uint64_t hash64_bytes(const void *bytes, size_t len) {
    return XXH3_64bits(bytes, len);
}

void hash128_hex(struct hash128 hash, char out[33]) {
    snprintf(out, 33, "%016llx%016llx", (unsigned long long)hash.hi, (unsigned long long)hash.lo);
}

// What `bytes` holds: one entry a part, each with a tag and (for text) a length, so that no two lists of parts give
// the same bytes. A text too long to stand there is replaced by its hash; a full buffer by the hash of itself.
enum part_tag { PART_TEXT = 's', PART_LONG_TEXT = 'h', PART_INT = 'i', PART_FOLDED = 'f' };
#define LONG_TEXT_BYTES 256

static size_t put_uint64(char *out, uint64_t n) {
    for (unsigned i = 0; i < 8; i++)
        out[i] = (char)(n >> (8 * i));
    return 8;
}

static size_t put_hash(char *out, struct hash128 hash) {
    size_t len = put_uint64(out, hash.hi);
    return len + put_uint64(out + len, hash.lo);
}

static void make_room(struct hash_parts *parts, size_t bytes) {
    must(parts->len <= sizeof parts->bytes);
    if (bytes <= sizeof parts->bytes - parts->len)
        return;
    struct hash128 folded = hash128_bytes(parts->bytes, parts->len);
    parts->bytes[0] = PART_FOLDED;
    parts->len = 1 + put_hash(parts->bytes + 1, folded);
}

void hash_parts_str(struct hash_parts *parts, struct str s) {
    bool is_long = s.len > LONG_TEXT_BYTES;
    make_room(parts, 1 + 8 + (is_long ? 16 : s.len));
    parts->bytes[parts->len++] = is_long ? PART_LONG_TEXT : PART_TEXT;
    parts->len += put_uint64(parts->bytes + parts->len, s.len);
    if (is_long) {
        parts->len += put_hash(parts->bytes + parts->len, hash128_bytes(s.ptr, s.len));
    } else if (s.len) {
        memcpy(parts->bytes + parts->len, s.ptr, s.len);
        parts->len += s.len;
    }
}

void hash_parts_int(struct hash_parts *parts, int64_t n) {
    make_room(parts, 1 + 8);
    parts->bytes[parts->len++] = PART_INT;
    parts->len += put_uint64(parts->bytes + parts->len, (uint64_t)n);
}

struct hash128 hash_parts_end(const struct hash_parts *parts) {
    return hash128_bytes(parts->bytes, parts->len);
}
