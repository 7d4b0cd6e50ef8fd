// mistakes: what libyaml found wrong, told to a person who writes route files.
//
// libyaml says what its grammar missed ("did not find expected key"), seldom what
// the writer did. Its words are kept, for they can be searched for; where a usual
// slip explains them, the remedy is added, and the position is where to mend.
#include "mistakes.h"

#include <stdio.h>

static const struct {
    const char *problem, *context; // NULL: any context
    const char *remedy;
    bool at_context; // the mistake stands where libyaml's context began
} remedies[] = {
    {"found unexpected end of stream", "while scanning a quoted scalar", "this quote is never closed", true},
    {"found unexpected document indicator", "while scanning a quoted scalar", "this quote is never closed", true},
    {"found unknown escape character", NULL,
     "in \"double quotes\" a backslash is written \\\\; 'single quotes' take it as it is", false},
    {"did not find expected ',' or ']'", NULL,
     "this list is not closed, or a comma is missing, or a text with '[' or '{' in it needs quotes, as in "
     "['raw.target[0].id']",
     true},
    {"did not find expected ',' or '}'", NULL,
     "this mapping is not closed, or a comma is missing, or a text that begins with '{' needs quotes", true},
    {"did not find expected key", "while parsing a block mapping",
     "is this line indented as its neighbours are, or does a quoted text go on behind its closing quote?", false},
    {"did not find expected '-' indicator", NULL, "is this line indented as the list's other elements are?", false},
    {"mapping values are not allowed in this context", NULL,
     "a text that holds ': ' needs quotes; otherwise, is this line indented as its neighbours are?", false},
    {"could not find expected ':'", NULL, "a key without ':' behind it, or a text whose further lines must be indented",
     false},
    {"block sequence entries are not allowed in this context", NULL,
     "a list begins on the line below its key; a text that begins with '- ' needs quotes", false},
    {"did not find expected alphabetic or numeric character", "while scanning an alias",
     "a text that begins with '*' needs quotes", false},
    {"did not find expected alphabetic or numeric character", "while scanning an anchor",
     "a text that begins with '!', '&' or a quote and goes on with '&&' needs quotes around the whole", false},
    {"found invalid Unicode character escape code", NULL, "write the character itself, in UTF-8", false},
    {"did not find expected whitespace or line break", "while scanning a tag",
     "a text that begins with '!' needs quotes", true},
    {"did not find expected tag URI", NULL, "a text that begins with '!' needs quotes", true},
    {"found undefined tag handle", NULL, "a text that begins with '!' needs quotes", false},
    {"found a tab character that violates indentation", NULL, "indent with spaces", false},
};

bool mistake_at(yaml_mark_t mark, struct doc_error *error, const char *format, ...) {
    error->line = (unsigned)mark.line + 1;
    error->column = (unsigned)mark.column + 1;
    va_list args;
    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    return false;
}

static yaml_mark_t mark_of_offset(struct str text, size_t offset) {
    yaml_mark_t mark = {0};
    for (size_t i = 0; i < offset && i < text.len; i++) {
        if (text.ptr[i] == '\n') {
            mark.line++;
            mark.column = 0;
        } else if (((unsigned char)text.ptr[i] & 0xc0) != 0x80) {
            mark.column++; // one a character, not a byte
        }
    }
    return mark;
}

// The byte at a mark of the scanner, whose `index` counts characters.
static char byte_at(struct str text, yaml_mark_t mark) {
    size_t characters = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (((unsigned char)text.ptr[i] & 0xc0) == 0x80)
            continue;
        if (characters++ == mark.index)
            return text.ptr[i];
    }
    return '\0';
}

static bool mistake_of_reader(const yaml_parser_t *parser, struct str text, struct doc_error *error) {
    yaml_mark_t mark = mark_of_offset(text, parser->problem_offset);
    if (strcmp(parser->problem, "control characters are not allowed") == 0)
        return mistake_at(mark, error, "the control character 0x%02x is not allowed; remove it",
                          (unsigned)parser->problem_value);
    return mistake_at(mark, error, "%s; the file must be UTF-8 text", parser->problem);
}

static bool mistake_of_character(const yaml_parser_t *parser, struct str text, struct doc_error *error) {
    char c = byte_at(text, parser->problem_mark);
    if (c == '\t')
        return mistake_at(parser->problem_mark, error, "a tab stands where the indentation is; indent with spaces");
    return mistake_at(parser->problem_mark, error, "no text can begin with '%c' unless it is quoted", c);
}

bool mistake_of_parser(const yaml_parser_t *parser, struct str text, struct doc_error *error) {
    if (parser->error == YAML_READER_ERROR)
        return mistake_of_reader(parser, text, error);
    const char *problem = parser->problem ? parser->problem : "the text is not YAML";
    if (strcmp(problem, "found character that cannot start any token") == 0)
        return mistake_of_character(parser, text, error);
    for (size_t i = 0; i < COUNT_OF(remedies); i++) {
        if (strcmp(problem, remedies[i].problem) != 0)
            continue;
        if (remedies[i].context && (!parser->context || strcmp(parser->context, remedies[i].context) != 0))
            continue;
        bool at_context = remedies[i].at_context && parser->context;
        return mistake_at(at_context ? parser->context_mark : parser->problem_mark, error, "%s: %s", problem,
                          remedies[i].remedy);
    }
    if (parser->context)
        return mistake_at(parser->problem_mark, error, "%s (%s, line %zu)", problem, parser->context,
                          parser->context_mark.line + 1);
    return mistake_at(parser->problem_mark, error, "%s", problem);
}
