// tape: what the parser leaves behind: one 64-bit word an element, in the order of the
// text, and the unescaped strings beside it. The format is simdjson's documented one
// (doc/tape.md): the top byte says the type; below it a string's offset, or the word
// behind a container's end (low 32 bits) with its count (24 bits, stuck at the top);
// a number's value is the word that follows.
#ifndef PENSTOCK_JSON_TAPE_H
#define PENSTOCK_JSON_TAPE_H

#include "penstock/json.h"

#ifdef __cplusplus
extern "C" {
#endif

struct tape {
    const uint64_t *words;  // word 0 is the root's frame, word 1 the root
    const uint8_t *strings; // each: 32-bit length, bytes, NUL; at least 64 readable bytes behind the last
};

struct tape_parser;
struct tape_parser *tape_parser_new(size_t max_bytes, unsigned max_depth);
void tape_parser_free(struct tape_parser *parser);
// *out is valid until the next parse.
enum jdoc_result tape_parse(struct tape_parser *parser, struct str bytes, struct tape *out);

// The shortest digits that read back as `number` (finite, positive): d.ddd × 10^exponent. Returns how many digits.
#define DOUBLE_DIGITS_MAX 17
size_t double_digits(double number, char digits[DOUBLE_DIGITS_MAX], int *exponent);

#ifdef __cplusplus
}
#endif

static inline char tape_type(const struct tape *tape, uint64_t at) {
    return (char)(tape->words[at] >> 56);
}

// The word behind the element at `at`.
static inline uint64_t tape_after(const struct tape *tape, uint64_t at) {
    switch (tape_type(tape, at)) {
    case '{':
    case '[': return (uint32_t)tape->words[at];
    case 'l':
    case 'u':
    case 'd': return at + 2;
    default: return at + 1;
    }
}

static inline struct str tape_string(const struct tape *tape, uint64_t at) {
    const uint8_t *string = tape->strings + (tape->words[at] & UINT64_C(0x00ffffffffffffff));
    uint32_t len;
    memcpy(&len, string, sizeof len);
    struct str view = {(const char *)string + sizeof len, len};
    return view;
}

#endif
