// jdoc: a parsed document as values. Scalars are read off the tape; a container is
// its position on the tape, and the document itself is the source that walks it.
#include "jdoc.h"

#include <stdlib.h>

#define COUNT_STUCK 0xffffffu // the tape's count has 24 bits and stays there

static const struct jdoc *doc_of(const struct value_source *source) {
    return (const struct jdoc *)source; // its first member
}

struct value jdoc_value_at(const struct jdoc *doc, uint64_t at) {
    const struct tape *tape = &doc->tape;
    struct value v = {0};
    switch (tape_type(tape, at)) {
    case '{':
    case '[':
        v.type = tape_type(tape, at) == '{' ? VALUE_MAP : VALUE_LIST;
        v.container.source = &doc->source;
        v.container.node = at;
        return v;
    case '"': return value_string(tape_string(tape, at));
    case 'l': return value_int((int64_t)tape->words[at + 1]);
    case 'u': return value_uint(tape->words[at + 1]);
    case 'd':
        v.type = VALUE_DOUBLE;
        memcpy(&v.real, &tape->words[at + 1], sizeof v.real);
        return v;
    case 't': return value_bool(true);
    case 'f': return value_bool(false);
    default:
        must(tape_type(tape, at) == 'n');
        v.type = VALUE_NULL;
        return v;
    }
}

// Position of the closing mark, which ends a walk.
static uint64_t end_of(const struct tape *tape, uint64_t container) {
    return tape_after(tape, container) - 1;
}

static size_t jdoc_size(const struct value_source *source, uint64_t node) {
    const struct tape *tape = &doc_of(source)->tape;
    size_t count = (tape->words[node] >> 32) & COUNT_STUCK;
    if (count < COUNT_STUCK)
        return count;
    size_t key_words = tape_type(tape, node) == '{' ? 1 : 0;
    count = 0;
    for (uint64_t at = node + 1, end = end_of(tape, node); at < end; at = tape_after(tape, at + key_words))
        count++;
    return count;
}

static bool jdoc_at(const struct value_source *source, uint64_t node, size_t index, struct value *out) {
    const struct jdoc *doc = doc_of(source);
    if (tape_type(&doc->tape, node) != '[')
        return false;
    uint64_t at = node + 1, end = end_of(&doc->tape, node);
    while (index > 0 && at < end) {
        at = tape_after(&doc->tape, at);
        index--;
    }
    if (at >= end)
        return false;
    *out = jdoc_value_at(doc, at);
    return true;
}

// Of a repeated key the first counts; extraction refuses a document where it matters.
static bool jdoc_get(const struct value_source *source, uint64_t node, const struct value *key, struct value *out) {
    const struct jdoc *doc = doc_of(source);
    if (key->type != VALUE_STRING || tape_type(&doc->tape, node) != '{')
        return false;
    for (uint64_t at = node + 1, end = end_of(&doc->tape, node); at < end; at = tape_after(&doc->tape, at + 1)) {
        if (str_eq(tape_string(&doc->tape, at), key->string)) {
            *out = jdoc_value_at(doc, at + 1);
            return true;
        }
    }
    return false;
}

// The cursor is the position to go on from, and in the upper half the index of what stands there.
static bool jdoc_next(const struct value_source *source, uint64_t node, uint64_t *cursor, struct value *key,
                      struct value *out) {
    const struct jdoc *doc = doc_of(source);
    uint64_t at = *cursor ? (uint32_t)*cursor : node + 1, index = *cursor >> 32;
    if (at >= end_of(&doc->tape, node))
        return false;
    if (tape_type(&doc->tape, node) == '{') {
        if (key)
            *key = value_string(tape_string(&doc->tape, at));
        at++;
    } else if (key) {
        *key = value_int((int64_t)index);
    }
    *out = jdoc_value_at(doc, at);
    *cursor = (index + 1) << 32 | tape_after(&doc->tape, at);
    return true;
}

struct jdoc *jdoc_new(size_t max_bytes, unsigned max_depth) {
    struct jdoc *doc = must_alloc(sizeof *doc);
    doc->source = (struct value_source){.size = jdoc_size, .at = jdoc_at, .get = jdoc_get, .next = jdoc_next};
    doc->parser = tape_parser_new(max_bytes, max_depth);
    doc->seen = must_alloc(sizeof *doc->seen);
    return doc;
}

void jdoc_free(struct jdoc *doc) {
    if (!doc)
        return;
    tape_parser_free(doc->parser);
    free(doc->seen->marks);
    free(doc->seen);
    free(doc);
}

enum jdoc_result jdoc_parse(struct jdoc *doc, struct str bytes) {
    doc->tape = (struct tape){0};
    return tape_parse(doc->parser, bytes, &doc->tape);
}

struct value jdoc_root(const struct jdoc *doc) {
    return doc->tape.words ? jdoc_value_at(doc, 1) : value_absent();
}

const char *jdoc_result_name(enum jdoc_result result) {
    static const char *const names[] = {
        [JDOC_OK] = "ok",
        [JDOC_EMPTY] = "empty",
        [JDOC_TOO_LARGE] = "too_large",
        [JDOC_TOO_DEEP] = "too_deep",
        [JDOC_INVALID_UTF8] = "invalid_utf8",
        [JDOC_INVALID_NUMBER] = "invalid_number",
        [JDOC_INVALID_STRING] = "invalid_string",
        [JDOC_INVALID_SYNTAX] = "invalid_syntax",
        [JDOC_DUPLICATE_KEY] = "duplicate_key",
    };
    must((size_t)result < COUNT_OF(names));
    return names[result];
}
