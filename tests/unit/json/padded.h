// padded: bytes of a test with the room behind them that the parser may read, filled with what would hurt if it
// counted.
#ifndef PENSTOCK_TEST_PADDED_H
#define PENSTOCK_TEST_PADDED_H

#include "penstock/json.h"

#include <stdlib.h>

// Exactly as large as promised, so that AddressSanitizer sees a read beyond.
static inline struct str padded_copy(struct str s) {
    char *copy = must_alloc(s.len + JDOC_PADDING);
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    memset(copy + s.len, '"', JDOC_PADDING);
    return (struct str){copy, s.len};
}

static inline void padded_free(struct str s) {
    free((char *)(uintptr_t)s.ptr);
}

// Parses `text` and writes what was understood: value of the whole, or nothing when it was refused.
static inline enum jdoc_result parse_text(struct jdoc *doc, struct str text, struct buf *out) {
    struct str bytes = padded_copy(text);
    enum jdoc_result result = jdoc_parse(doc, bytes);
    padded_free(bytes); // the document keeps nothing of them
    struct value root = jdoc_root(doc);
    if (out) {
        buf_clear(out);
        if (result == JDOC_OK)
            json_write_value(out, &root);
    }
    return result;
}

#endif
