// crc32c: the checksum of stored records, by the processor's own instruction where
// it has one (SSE 4.2, asked at run time), else by tables. It is written here
// because no small packaged C library offers it: zlib and xxHash have other
// sums, and the rest come with a storage engine or an RPC stack around them.
#include "penstock/base.h"

#include <pthread.h>

#define POLYNOMIAL_REFLECTED 0x82f63b78u

// table[k][b]: what byte b does to the sum when k more bytes follow it ("slicing by eight").
static uint32_t table[8][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void make_table(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t sum = byte;
        for (int bit = 0; bit < 8; bit++)
            sum = (sum >> 1) ^ ((sum & 1) ? POLYNOMIAL_REFLECTED : 0);
        table[0][byte] = sum;
    }
    for (uint32_t byte = 0; byte < 256; byte++)
        for (int k = 1; k < 8; k++)
            table[k][byte] = (table[k - 1][byte] >> 8) ^ table[0][table[k - 1][byte] & 0xff];
}

static uint32_t crc32c_by_table(uint32_t sum, const uint8_t *bytes, size_t len) {
    pthread_once(&table_once, make_table);
    for (; len >= 8; bytes += 8, len -= 8) {
        uint32_t low =
            sum ^ ((uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24);
        sum = table[7][low & 0xff] ^ table[6][(low >> 8) & 0xff] ^ table[5][(low >> 16) & 0xff] ^ table[4][low >> 24] ^
              table[3][bytes[4]] ^ table[2][bytes[5]] ^ table[1][bytes[6]] ^ table[0][bytes[7]];
    }
    for (; len > 0; bytes++, len--)
        sum = (sum >> 8) ^ table[0][(sum ^ *bytes) & 0xff];
    return sum;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_by_sse42(uint32_t sum, const uint8_t *bytes, size_t len) {
    uint64_t wide = sum;
    for (; len >= 8; bytes += 8, len -= 8) {
        uint64_t word;
        memcpy(&word, bytes, sizeof word);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    sum = (uint32_t)wide;
    for (; len > 0; bytes++, len--)
        sum = __builtin_ia32_crc32qi(sum, *bytes);
    return sum;
}
#endif

uint32_t crc32c(uint32_t seed, const void *bytes, size_t len) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc32c_by_sse42(~seed, bytes, len);
#endif
    return ~crc32c_by_table(~seed, bytes, len);
}
