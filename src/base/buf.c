// buf: a byte buffer that grows to a maximum given at birth. Past it nothing more
// is appended and `overflow` stays set, so a writer checks once, at the end.
#include "penstock/base.h"

#include <stdio.h>
#include <stdlib.h>

#define FIRST_BYTES 256

void buf_init(struct buf *buf, size_t max_bytes) {
    *buf = (struct buf){.max = max_bytes};
}

void buf_free(struct buf *buf) {
    free(buf->ptr);
    buf_init(buf, buf->max);
}

void buf_clear(struct buf *buf) {
    buf->len = 0;
    buf->overflow = false;
}

bool buf_reserve(struct buf *buf, size_t more) {
    if (buf->overflow || more > buf->max - buf->len) {
        buf->overflow = true;
        return false;
    }
    size_t needed = buf->len + more;
    if (needed <= buf->cap)
        return true;
    size_t cap = buf->cap ? buf->cap : FIRST_BYTES;
    while (cap < needed)
        cap = cap > buf->max / 2 ? buf->max : cap * 2;
    if (cap > buf->max)
        cap = buf->max;
    buf->ptr = must_realloc(buf->ptr, cap);
    buf->cap = cap;
    return true;
}

void buf_add(struct buf *buf, const void *bytes, size_t len) {
    if (len == 0 || !buf_reserve(buf, len))
        return;
    memcpy(buf->ptr + buf->len, bytes, len);
    buf->len += len;
}

void buf_str(struct buf *buf, struct str s) {
    buf_add(buf, s.ptr, s.len);
}

void buf_char(struct buf *buf, char c) {
    if (buf_reserve(buf, 1))
        buf->ptr[buf->len++] = c;
}

void buf_printf(struct buf *buf, const char *format, ...) {
    va_list args;
    char small[256]; // vsnprintf's NUL must not count against the maximum
    va_start(args, format);
    int len = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    must(len >= 0);
    if ((size_t)len < sizeof small) {
        buf_add(buf, small, (size_t)len);
        return;
    }
    if (!buf_reserve(buf, (size_t)len))
        return;
    char *text = must_alloc((size_t)len + 1);
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    buf_add(buf, text, (size_t)len);
    free(text);
}
