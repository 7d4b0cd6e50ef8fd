// lines: text for people: lines of at most 100 columns, values cut to what one looks at.
#include "lines.h"

#include <stdio.h>
#include <stdlib.h>

#include "penstock/json.h"

#define TEXT_MAX_BYTES 8192 // of one call; more is cut
#define LINES_MOST 12       // of one call; more is cut
#define JSON_MAX_BYTES (4 * 1024 * 1024)

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// Bytes of the character that `text` begins with; *shown: whether a terminal shows it and does nothing else.
static size_t next_character(struct str text, bool *shown) {
    size_t len = utf8_length(text);
    const unsigned char *c = (const unsigned char *)text.ptr;
    bool control = len == 1 && (c[0] < 0x20 || c[0] == 0x7f);
    bool second_control = len == 2 && c[0] == 0xc2 && c[1] < 0xa0;
    bool turns = len == 3 && c[0] == 0xe2 &&
                 ((c[1] == 0x80 && c[2] >= 0xaa && c[2] <= 0xae) || // U+202A to U+202E
                  (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9));  // U+2066 to U+2069
    *shown = len > 0 && !control && !second_control && !turns;
    return len > 0 ? len : 1;
}

static void add_shown(struct buf *out, struct str text) {
    for (size_t at = 0, len; at < text.len; at += len) {
        bool shown;
        len = next_character((struct str){text.ptr + at, text.len - at}, &shown);
        if (shown)
            buf_add(out, text.ptr + at, len);
        else
            buf_char(out, is_blank(text.ptr[at]) ? ' ' : '?');
    }
}

// Bytes of the longest beginning of at most `columns` characters.
static size_t bytes_of_columns(struct str text, size_t columns) {
    size_t at = 0;
    bool shown;
    for (size_t n = 0; at < text.len && n < columns; n++)
        at += next_character((struct str){text.ptr + at, text.len - at}, &shown);
    return at;
}

// How much of the text goes on a line of so many columns.
static size_t fit(struct str text, size_t columns) {
    size_t most = bytes_of_columns(text, columns);
    if (most == text.len)
        return most;
    for (size_t at = most; at > most / 4; at--)
        if (text.ptr[at] == ' ')
            return at;
    return most;
}

void lines_add(struct buf *out, unsigned indent, unsigned hang, const char *format, ...) {
    char space[TEXT_MAX_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(space, sizeof space, format, args);
    va_end(args);
    struct str rest = str_of(space);
    for (unsigned line = 0; line == 0 || rest.len > 0; line++) {
        unsigned margin = line == 0 ? indent : indent + hang;
        bool last = line + 1 == LINES_MOST;
        size_t len = fit(rest, LINE_COLUMNS - margin - last);
        bool cut = last && len < rest.len;
        struct str shown = {rest.ptr, len};
        while (!cut && shown.len > 0 && shown.ptr[shown.len - 1] == ' ')
            shown.len--;
        buf_printf(out, "%*s", (int)margin, "");
        add_shown(out, shown);
        buf_str(out, cut ? STR("…\n") : STR("\n"));
        if (cut)
            return;
        while (len < rest.len && rest.ptr[len] == ' ')
            len++;
        rest = (struct str){rest.ptr + len, rest.len - len};
    }
}

struct str value_text(struct arena *arena, const struct value *value) {
    struct buf json;
    buf_init(&json, JSON_MAX_BYTES);
    json_write_value(&json, value);
    struct str text = json.overflow ? STR("(too long to show)") : buf_view(&json);
    size_t len = bytes_of_columns(text, VALUE_COLUMNS);
    if (len < text.len)
        text = arena_printf(arena, "%.*s…", (int)bytes_of_columns(text, VALUE_COLUMNS - 1), text.ptr);
    else
        text = arena_str(arena, text);
    buf_free(&json);
    return text;
}

struct str one_line(struct arena *arena, struct str text) {
    char *line = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    if (!line)
        return text;
    text = str_trim(text);
    for (size_t i = 0; i < text.len; i++)
        if (!is_blank(text.ptr[i]))
            line[len++] = text.ptr[i];
        else if (len > 0 && line[len - 1] != ' ')
            line[len++] = ' ';
    return (struct str){line, len};
}
