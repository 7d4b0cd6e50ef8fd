// logline: one line a fact, in logfmt or JSON, on stderr.
//
// A line is built on the stack and leaves by one write(2), so that lines of several
// threads never mix and no lock is needed (POSIX keeps pipe writes of up to 4 KiB
// whole). Values are escaped: whatever stands in one, a line stays one line.
#include "penstock/base.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096
#define PLAIN_MAX_BYTES 256 // longer values are quoted, because only those can be cut
#define CLOSING_BYTES 8     // "…" of a cut value, its quote, the brace, the line's end

static _Atomic enum logline_format chosen_format = LOGLINE_LOGFMT;
static _Atomic enum logline_level chosen_most = LOGLINE_INFO;

struct line {
    char bytes[LINE_MAX_BYTES];
    size_t len;
    bool json;
    bool cut; // nothing more fits
};

void logline_setup(enum logline_format format, enum logline_level most) {
    atomic_store(&chosen_format, format);
    atomic_store(&chosen_most, most);
}

static bool add(struct line *line, const char *bytes, size_t len) {
    if (line->cut || line->len + len > LINE_MAX_BYTES - CLOSING_BYTES) {
        line->cut = true;
        return false;
    }
    memcpy(line->bytes + line->len, bytes, len);
    line->len += len;
    return true;
}

static void add_quoted(struct line *line, const char *text) {
    if (!add(line, "\"", 1))
        return;
    for (struct str s = str_of(text); s.len > 0 && !line->cut;) {
        unsigned char c = (unsigned char)s.ptr[0];
        char escaped[8];
        size_t len = utf8_length(s);
        if (len == 0) {
            add(line, "\xef\xbf\xbd", 3);
            len = 1;
        } else if (c == '"' || c == '\\') {
            add(line, (char[]){'\\', (char)c}, 2);
        } else if (c == '\n') {
            add(line, "\\n", 2);
        } else if (c < 0x20 || c == 0x7f) {
            add(line, escaped, (size_t)snprintf(escaped, sizeof escaped, "\\u%04x", c));
        } else {
            add(line, s.ptr, len);
        }
        s.ptr += len;
        s.len -= len;
    }
    // The room for these was kept free by add.
    const char *end = line->cut ? "…\"" : "\"";
    memcpy(line->bytes + line->len, end, strlen(end));
    line->len += strlen(end);
}

static bool is_plain(const char *text) {
    const char *s = text;
    while ((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') ||
           (*s != '\0' && strchr("-_.:/+@,%#", *s)))
        s++;
    return *s == '\0' && s != text;
}

static void add_pair(struct line *line, const char *key, const char *value) {
    if (!value)
        value = "";
    size_t before = line->len;
    const char *separator = line->json ? (line->len == 0 ? "{\"" : ",\"") : (line->len == 0 ? "" : " ");
    add(line, separator, strlen(separator));
    add(line, key, strlen(key));
    add(line, line->json ? "\":" : "=", line->json ? 2 : 1);
    size_t value_at = line->len;
    if (line->json || strlen(value) > PLAIN_MAX_BYTES || !is_plain(value))
        add_quoted(line, value);
    else
        add(line, value, strlen(value));
    if (line->cut && line->len == value_at) // no part of a pair without its value
        line->len = before;
}

void logline(enum logline_level level, const char *room, const char *message, ...) {
    static const char *const level_names[] = {"error", "warn", "info", "debug"};
    if (level > atomic_load(&chosen_most))
        return;
    must((size_t)level < COUNT_OF(level_names));
    struct line line;
    line.len = 0;
    line.json = atomic_load(&chosen_format) == LOGLINE_JSON;
    line.cut = false;
    char now[TIME_TEXT_MAX];
    time_format_ms(clock_now_ms(), now);
    add_pair(&line, "time", now);
    add_pair(&line, "level", level_names[level]);
    add_pair(&line, "room", room);
    add_pair(&line, "msg", message);
    va_list pairs;
    va_start(pairs, message);
    for (const char *key; !line.cut && (key = va_arg(pairs, const char *)) != NULL;)
        add_pair(&line, key, va_arg(pairs, const char *));
    va_end(pairs);
    if (line.json)
        line.bytes[line.len++] = '}';
    line.bytes[line.len++] = '\n';
    must(line.len <= sizeof line.bytes);
    ssize_t written;
    do
        written = write(STDERR_FILENO, line.bytes, line.len);
    while (written < 0 && errno == EINTR);
}
