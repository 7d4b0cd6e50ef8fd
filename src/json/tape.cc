// tape: the C++ that the room needs, and no more: simdjson's DOM parser, which
// writes the tape, and the standard library's shortest digits of a double, which C
// has not. Nothing here throws: the parser is built without exceptions' help (it
// returns codes), memory that runs out stops the process.
//
// The parser and its buffers live as long as the thread that uses them. They grow by
// doubling up to the bound and stay, so that a stream of documents allocates nothing.
// Which instructions are used is simdjson's own choice at run time.
#include "tape.h"

#include <charconv>
#include <new>
#include <simdjson.h>

static_assert(JDOC_PADDING >= simdjson::SIMDJSON_PADDING, "callers promise JDOC_PADDING readable bytes");

struct tape_parser {
    simdjson::dom::parser parser;
    simdjson::dom::document document;
    size_t max_bytes, capacity;
    size_t levels;

    // simdjson counts one level more than there are nested containers; an empty one costs no level.
    tape_parser(size_t bytes, unsigned depth) noexcept
        : parser(bytes < LEAST_CAPACITY ? LEAST_CAPACITY : bytes), max_bytes(bytes), capacity(0), levels(depth + 1u) {
    }

    static constexpr size_t LEAST_CAPACITY = 4096;
};

extern "C" struct tape_parser *tape_parser_new(size_t max_bytes, unsigned max_depth) {
    must(max_bytes <= (size_t(1) << 30)); // simdjson's own limit is 4 GiB; no message is near it
    tape_parser *parser = new (std::nothrow) tape_parser(max_bytes, max_depth);
    must(parser != nullptr);
    return parser;
}

extern "C" void tape_parser_free(struct tape_parser *parser) {
    delete parser;
}

// Done here and not by simdjson, which would fit its buffers to each larger document anew.
static void make_capacity(tape_parser *parser, size_t bytes) {
    size_t capacity = parser->capacity ? parser->capacity : tape_parser::LEAST_CAPACITY;
    while (capacity < bytes)
        capacity *= 2;
    if (capacity > parser->max_bytes && parser->max_bytes >= tape_parser::LEAST_CAPACITY)
        capacity = parser->max_bytes;
    if (capacity == parser->capacity)
        return;
    must(parser->parser.allocate(capacity, parser->levels) == simdjson::SUCCESS);
    must(parser->document.allocate(capacity) == simdjson::SUCCESS);
    parser->capacity = capacity;
}

static enum jdoc_result result_of(simdjson::error_code error) {
    must(error != simdjson::MEMALLOC); // there is capacity already
    switch (error) {
    case simdjson::SUCCESS: return JDOC_OK;
    case simdjson::CAPACITY: return JDOC_TOO_LARGE;
    case simdjson::DEPTH_ERROR: return JDOC_TOO_DEEP;
    case simdjson::UTF8_ERROR: return JDOC_INVALID_UTF8;
    case simdjson::EMPTY: return JDOC_EMPTY;
    case simdjson::STRING_ERROR:
    case simdjson::UNESCAPED_CHARS:
    case simdjson::UNCLOSED_STRING: return JDOC_INVALID_STRING;
    case simdjson::NUMBER_ERROR:
    case simdjson::NUMBER_OUT_OF_RANGE: return JDOC_INVALID_NUMBER;
    default:
        // Later versions have a code of its own, here in the list, for integers beyond 64 bits.
        return static_cast<int>(error) == simdjson::NUMBER_ERROR + 1 ? JDOC_INVALID_NUMBER : JDOC_INVALID_SYNTAX;
    }
}

extern "C" enum jdoc_result tape_parse(struct tape_parser *parser, struct str bytes, struct tape *out) {
    if (bytes.len == 0)
        return JDOC_EMPTY;
    if (bytes.len > parser->max_bytes)
        return JDOC_TOO_LARGE;
    // Later versions skip a byte order mark, this one refuses it: refused everywhere, for the same answer everywhere.
    if (bytes.len >= 3 && memcmp(bytes.ptr, "\xef\xbb\xbf", 3) == 0)
        return JDOC_INVALID_SYNTAX;
    make_capacity(parser, bytes.len);
    const uint8_t *text = reinterpret_cast<const uint8_t *>(bytes.ptr);
    simdjson::error_code error = parser->parser.parse_into_document(parser->document, text, bytes.len, false).error();
    if (error == simdjson::SUCCESS) {
        out->words = parser->document.tape.get();
        out->strings = parser->document.string_buf.get();
    }
    return result_of(error);
}

extern "C" size_t double_digits(double number, char digits[DOUBLE_DIGITS_MAX], int *exponent) {
    char text[32]; // "1.2345678901234567e+308"
    std::to_chars_result written = std::to_chars(text, text + sizeof text, number, std::chars_format::scientific);
    must(written.ec == std::errc());
    size_t n = 0;
    const char *c = text;
    for (; *c != 'e'; c++)
        if (*c != '.')
            digits[n++] = *c;
    bool negative = *++c == '-';
    int power = 0;
    for (c++; c < written.ptr; c++)
        power = power * 10 + (*c - '0');
    *exponent = negative ? -power : power;
    return n;
}
