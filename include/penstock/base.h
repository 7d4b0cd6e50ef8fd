// base: bytes, arenas, status, time, hashes, log lines. Knows nothing of signals.
//
// Three kinds of failure, never mixed: a bug stops the process (`must`, kept on
// in production); the world's failure is a `struct status`; an odd event is a
// counted reason and lives in the rooms above.
#ifndef PENSTOCK_BASE_H
#define PENSTOCK_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PENSTOCK_PRINTF(format_at, first_at) __attribute__((format(printf, format_at, first_at)))
#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

// A bug of ours: prints expression and place, then aborts. Never for foreign bytes.
#define must(condition) ((condition) ? (void)0 : must_fail(#condition, __FILE__, __LINE__))
#ifdef __cplusplus
[[noreturn]]
#else
_Noreturn
#endif
void must_fail(const char *what, const char *file, int line);

// ---- str: a view of bytes; not NUL-terminated, owns nothing -----------------

struct str {
    const char *ptr;
    size_t len;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
#define STR_ARG(s) (int)(s).len, (s).ptr // for "%.*s"

static inline struct str str_of(const char *text) {
    return (struct str){text, text ? strlen(text) : 0};
}
static inline bool str_eq(struct str a, struct str b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
int str_cmp(struct str a, struct str b);      // bytewise, as memcmp then length
bool str_eq_fold(struct str a, struct str b); // ASCII letters folded
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
struct str str_trim(struct str s);             // ASCII white space
bool str_to_int64(struct str s, int64_t *out); // whole text, optional '-', no spaces
bool str_to_double(struct str s, double *out); // whole text, finite
// Which of `words` is nearest to `typo` (edit distance at most a third of it); {NULL,0} if none is near.
struct str str_nearest(struct str typo, const struct str *words, size_t n);

// Bytes of the UTF-8 character that `s` (not empty) begins with; 0: there is none (cut, over-long, a surrogate, …).
size_t utf8_length(struct str s);

// ---- memory: malloc that cannot fail (out of memory is a stop, not a status) --

void *must_alloc(size_t bytes); // zeroed
void *must_realloc(void *old, size_t bytes);
char *must_strdup(const char *text);
char *must_strndup(struct str s);

// An arena is one lifetime (a policy, a batch, a step). Bounded: beyond `max_bytes` it answers NULL.
struct arena;
struct arena *arena_new(size_t max_bytes);
struct arena *
arena_fixed(size_t bytes); // takes all its memory now, so that no arena_alloc ever asks for more; a multiple of 16
void arena_free(struct arena *arena);                 // NULL is fine
void arena_reset(struct arena *arena);                // forgets all, keeps one block for reuse
void *arena_alloc(struct arena *arena, size_t bytes); // zeroed, aligned to 16; NULL at the bound
size_t arena_used(const struct arena *arena);
// Copies into the arena, with a NUL behind; {NULL,0} at the bound.
struct str arena_str(struct arena *arena, struct str s);
struct str arena_printf(struct arena *arena, const char *format, ...) PENSTOCK_PRINTF(2, 3);

// A growing byte buffer, born with its maximum; past it `overflow` sticks and appends do nothing.
struct buf {
    char *ptr;
    size_t len, cap, max;
    bool overflow;
};
void buf_init(struct buf *buf, size_t max_bytes);
void buf_free(struct buf *buf);
void buf_clear(struct buf *buf);                // keeps the memory, clears overflow
bool buf_reserve(struct buf *buf, size_t more); // false: over the maximum
void buf_add(struct buf *buf, const void *bytes, size_t len);
void buf_str(struct buf *buf, struct str s);
void buf_char(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *format, ...) PENSTOCK_PRINTF(2, 3);
static inline struct str buf_view(const struct buf *buf) {
    return (struct str){buf->ptr, buf->len};
}

// ---- status: the world's failure, with what to do about it -------------------

enum status_code {
    STATUS_OK,
    STATUS_INVALID, // bytes or settings that break a rule; a person must mend them
    STATUS_NOT_FOUND,
    STATUS_DENIED,      // credentials or permissions
    STATUS_UNAVAILABLE, // a peer is away; try again
    STATUS_FULL,        // a disk or a bound; try again when there is room
    STATUS_IO,          // the device failed
    STATUS_CORRUPT,     // stored bytes are damaged or of another version
    STATUS_CLOSED,      // the end of a source, or we are stopping
};

struct status {
    enum status_code code;
    char text[480];
};
const char *status_name(enum status_code code); // "invalid", "not_found", …
// Sets code and text; always false, so that a function can `return status_fail(…)`. `status` may be NULL.
bool status_fail(struct status *status, enum status_code code, const char *format, ...) PENSTOCK_PRINTF(3, 4);
bool status_errno(struct status *status, int error, const char *format, ...)
    PENSTOCK_PRINTF(3, 4); // code from errno, text: "…: strerror"
static inline void status_clear(struct status *status) {
    memset(status, 0, sizeof *status);
}

// ---- hashes (xxHash XXH3; unkeyed: the same on every machine) ----------------

struct hash128 {
    uint64_t hi, lo;
};
struct hash128 hash128_bytes(const void *bytes, size_t len);
uint64_t hash64_bytes(const void *bytes, size_t len);
static inline bool hash128_eq(struct hash128 a, struct hash128 b) {
    return a.hi == b.hi && a.lo == b.lo;
}
// 32 lower-case hex digits and a NUL.
void hash128_hex(struct hash128 hash, char out[33]);

// A hash over parts that keeps their borders: ("ab","c") differs from ("a","bc").
struct hash_parts {
    char bytes[1024];
    size_t len;
};
void hash_parts_str(struct hash_parts *parts, struct str s);
void hash_parts_int(struct hash_parts *parts, int64_t n);
struct hash128 hash_parts_end(const struct hash_parts *parts);

// CRC-32C (Castagnoli; RFC 3720 B.4), as in iSCSI and Kafka. `seed` 0 to begin, else the value so far.
uint32_t crc32c(uint32_t seed, const void *bytes, size_t len);

// ---- time: milliseconds since 1970 UTC; durations in milliseconds --------------

int64_t clock_now_ms(void);       // wall clock
int64_t clock_monotonic_ms(void); // for waits and ages only
int64_t clock_monotonic_us(void);
void clock_sleep_ms(int64_t ms);

// The time forms of real events: RFC 3339 (Z or offset, 'T' or space), the same without zone (UTC), epoch seconds,
// milliseconds, microseconds or nanoseconds by magnitude (integer, decimal or numeric text), `M/D/YYYY h:mm:ss AM`.
// Nanoseconds since 1970 in *sec and *nanos. False: not a time.
bool time_parse(struct str text, int64_t *sec, int32_t *nanos);
bool time_from_number(double number, int64_t *sec, int32_t *nanos);
bool time_from_int(int64_t number, int64_t *sec, int32_t *nanos);
#define TIME_TEXT_MAX 40
size_t time_format_ms(int64_t ms,
                      char out[TIME_TEXT_MAX]); // RFC 3339 UTC with milliseconds, "2026-11-21T02:55:21.000Z"
size_t time_format(int64_t sec, int32_t nanos,
                   char out[TIME_TEXT_MAX]); // as few fraction digits as are needed, in threes

// "250ms" "30s" "15m" "4h" "14d" and sums of them ("1h30m"). Milliseconds; false: not a duration or over 10 years.
bool duration_parse(struct str text, int64_t *ms);
size_t duration_format(int64_t ms, char out[TIME_TEXT_MAX]); // "15m", "1h30m"
// "64KiB" "1MiB" "2GiB" "1000" "10MB". False: not a size.
bool size_parse(struct str text, uint64_t *bytes);

// ---- addresses -----------------------------------------------------------------

struct ip_address {
    uint8_t bytes[16]; // IPv4 as ::ffff:a.b.c.d
    bool v4;
};
struct ip_network {
    struct ip_address address;
    uint8_t bits; // prefix length counted over 128 bits
};
bool ip_parse(struct str text, struct ip_address *out);         // strict: an address and nothing else
bool ip_parse_port(struct str text, struct ip_address *out);    // also "1.2.3.4:443" and "[::1]:443"
bool ip_network_parse(struct str text, struct ip_network *out); // "10.0.0.0/8", or an address alone
bool ip_in_network(const struct ip_address *ip, const struct ip_network *network);
size_t ip_format(const struct ip_address *ip, char out[48]);

// ---- log lines: logfmt or JSON on stderr, whole lines, any thread --------------

enum logline_level { LOGLINE_ERROR, LOGLINE_WARN, LOGLINE_INFO, LOGLINE_DEBUG };
enum logline_format { LOGLINE_LOGFMT, LOGLINE_JSON };
void logline_setup(enum logline_format format, enum logline_level most);
// One line: `time=… level=info room=source msg="…"` and then pairs of `key, value` C strings, ended by NULL.
// Never an event's bytes, never a secret. Lines of over 4 KiB are cut.
void logline(enum logline_level level, const char *room, const char *message, ...) __attribute__((sentinel));

// ---- files -----------------------------------------------------------------------

// Whole file into `out` (cleared first; its maximum is the bound).
bool file_read(const char *path, struct buf *out, struct status *status);
// Written beside, fsynced, renamed over `path`, folder fsynced: the old content or the new, never a part.
bool file_replace(const char *path, struct str content, struct status *status);
bool dir_make(const char *path, struct status *status); // mkdir -p, mode 0750
bool dir_sync(const char *path, struct status *status);

#ifdef __cplusplus
}
#endif
#endif
