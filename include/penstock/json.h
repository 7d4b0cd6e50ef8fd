// json: bytes -> the fields that somebody asked for; values -> bytes.
//
// Reading: one validating pass (simdjson's DOM behind a C shim) makes a tape, one
// walk along a trie of wanted paths fills numbered slots; nothing else is built.
// Strict RFC 8259 and UTF-8; a document is accepted whole or refused with a reason.
// Writing: append to a buf; the same values always give the same bytes.
#ifndef PENSTOCK_JSON_H
#define PENSTOCK_JSON_H

#include "penstock/value.h"

#ifdef __cplusplus
extern "C" {
#endif

enum jdoc_result {
    JDOC_OK,
    JDOC_EMPTY,     // no document: empty or only white space
    JDOC_TOO_LARGE, // over the parser's bound
    JDOC_TOO_DEEP,
    JDOC_INVALID_UTF8,
    JDOC_INVALID_NUMBER, // malformed, or outside of what int64, uint64 and double hold (1e999)
    JDOC_INVALID_STRING,
    JDOC_INVALID_SYNTAX,
    JDOC_DUPLICATE_KEY, // from jdoc_extract: a wanted path stands twice
};
const char *jdoc_result_name(enum jdoc_result result); // "too_deep", … : a dead letter's reason

// Bytes that must be readable (any content) behind a document's last byte.
#define JDOC_PADDING 64

struct jdoc; // a parser with its buffers and the document it holds; one thread at a time

struct jdoc *jdoc_new(size_t max_bytes, unsigned max_depth);
void jdoc_free(struct jdoc *doc);
// Parses `bytes`, behind which JDOC_PADDING bytes are readable. All values taken before from `doc` end here.
enum jdoc_result jdoc_parse(struct jdoc *doc, struct str bytes);
// The whole document. Containers read from `doc`, strings point into its buffers: valid until the next jdoc_parse.
struct value jdoc_root(const struct jdoc *doc);

// The fields that somebody asks for. Built once, then read by any thread.
struct jpaths;
struct jpaths *jpaths_new(void);
void jpaths_free(struct jpaths *paths);
// Wants what stands at `path` in slot number `slot` (several paths, several slots; the same path may fill several
// slots). A path with no steps is the root. Keys are compared bytewise; an index counts from 0.
void jpaths_add(struct jpaths *paths, struct path path, unsigned slot);
// Fills slots[slot] for each wanted path of `root` (a value of this doc: the root, or an element of it); those not
// there become VALUE_ABSENT. JDOC_DUPLICATE_KEY when an object holds a key on a wanted path twice; else JDOC_OK.
enum jdoc_result jdoc_extract(const struct jdoc *doc, const struct value *root, const struct jpaths *paths,
                              struct value *slots);

// ---- writing -------------------------------------------------------------------------

void json_write_string(struct buf *out, struct str s);  // quoted; invalid UTF-8 becomes U+FFFD
void json_write_double(struct buf *out, double number); // shortest text that reads back the same; not finite: null
// Any value; map members in their own order; bytes as base64, timestamps RFC 3339, durations "1.5s"; absent and error:
// null.
void json_write_value(struct buf *out, const struct value *value);
// `"key":` with a comma before it unless it opens an object.
void json_write_key(struct buf *out, struct str key);
void json_write_base64(struct buf *out, struct str bytes); // quoted

#ifdef __cplusplus
}
#endif
#endif
