// place: from a byte of a scalar's text back to its line and column in the file.
//
// A scalar's text is not the file's bytes: quotes are doubled, escapes undone, lines folded. Both are walked side by
// side; where they part in a way this walk does not know, the last place that is sure is given.
#include "compile.h"

struct place place_of(const struct source_file *file, const struct doc_node *node) {
    return (struct place){file, node->line, node->column};
}

struct place place_of_key(const struct source_file *file, const struct doc_member *member) {
    return (struct place){file, member->line, member->column};
}

static void index_lines(struct source_file *file) {
    struct str text = file->text.text;
    size_t cap = 0;
    for (size_t i = 0; i <= text.len; i++) {
        if (i > 0 && text.ptr[i - 1] != '\n')
            continue;
        file->lines = grow_list(file->lines, file->n_lines, &cap, sizeof *file->lines);
        file->lines[file->n_lines++] = i;
    }
}

static bool is_continuation(char c) {
    return ((unsigned char)c & 0xc0) == 0x80;
}

// The byte where a line and column (in characters) begin.
static size_t offset_of(const struct source_file *file, unsigned line, unsigned column) {
    struct str text = file->text.text;
    if (line == 0 || line > file->n_lines)
        return text.len;
    size_t at = file->lines[line - 1];
    if (line == 1 && str_starts(text, STR("\xef\xbb\xbf")))
        at += 3;
    for (unsigned left = column; left > 1 && at < text.len && text.ptr[at] != '\n'; left--)
        for (at++; at < text.len && is_continuation(text.ptr[at]); at++) {
        }
    return at;
}

static struct place place_at(const struct source_file *file, size_t offset, unsigned first_line) {
    unsigned line = first_line;
    while (line < file->n_lines && file->lines[line] <= offset)
        line++;
    unsigned column = 1;
    for (size_t i = file->lines[line - 1]; i < offset; i++)
        column += !is_continuation(file->text.text.ptr[i]);
    return (struct place){file, line, column};
}

static size_t skip_blanks(struct str text, size_t at) {
    while (at < text.len && (text.ptr[at] == ' ' || text.ptr[at] == '\t'))
        at++;
    return at;
}

// Past an anchor or a tag in front of a scalar.
static size_t skip_properties(struct str text, size_t at) {
    while (at < text.len && (text.ptr[at] == '&' || text.ptr[at] == '!')) {
        while (at < text.len && text.ptr[at] != ' ' && text.ptr[at] != '\t' && text.ptr[at] != '\n')
            at++;
        at = skip_blanks(text, at);
    }
    return at;
}

// Bytes of the escape at `at` in the file, and of what it stands for.
static void measure_escape(struct str text, size_t at, size_t *in_file, size_t *in_scalar) {
    char kind = at + 1 < text.len ? text.ptr[at + 1] : '\0';
    size_t digits = kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0;
    unsigned long code = 0;
    for (size_t i = 0; i < digits && at + 2 + i < text.len; i++) {
        char c = text.ptr[at + 2 + i];
        code = code * 16 + (unsigned long)(c >= 'a' ? c - 'a' + 10 : c >= 'A' ? c - 'A' + 10 : c - '0');
    }
    *in_file = 2 + digits;
    *in_scalar = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    if (kind == 'N' || kind == '_')
        *in_scalar = 2;
    else if (kind == 'L' || kind == 'P')
        *in_scalar = 3;
}

// The file's offset of the scalar's byte `wanted`; both texts are walked from their beginnings.
static size_t walk_scalar(struct str text, size_t at, struct str scalar, size_t wanted, char quote) {
    size_t done = 0;
    while (done < wanted && done < scalar.len && at < text.len) {
        char c = text.ptr[at];
        if (quote == '"' && c == '\\') {
            size_t in_file, in_scalar;
            measure_escape(text, at, &in_file, &in_scalar);
            if (done + in_scalar > wanted)
                return at;
            at += in_file;
            done += in_scalar;
        } else if (quote == '\'' && c == '\'') {
            at += 2;
            done++;
        } else if (c == scalar.ptr[done]) {
            at++;
            done++;
            if (c == '\n')
                at = skip_blanks(text, at);
        } else if (c == '\n' || c == '\r') { // folded: the break stands for a blank, or for nothing
            at = skip_blanks(text, at + 1);
            done += scalar.ptr[done] == ' ';
        } else if (c == ' ' || c == '\t') { // blanks around a fold
            at++;
        } else {
            return at;
        }
    }
    return at;
}

struct place place_in_scalar(struct source_file *file, const struct doc_node *scalar, size_t offset) {
    struct str text = file->text.text;
    if (!file->lines)
        index_lines(file);
    size_t at = skip_properties(text, offset_of(file, scalar->line, scalar->column));
    if (at >= text.len || text.ptr[at] == '*')
        return place_of(file, scalar);
    char first = text.ptr[at];
    if (scalar->quoted && (first == '|' || first == '>')) {
        while (at < text.len && text.ptr[at] != '\n')
            at++;
        at = skip_blanks(text, at < text.len ? at + 1 : at);
    } else if (scalar->quoted && (first == '"' || first == '\'')) {
        at++;
    } else {
        first = '\0';
    }
    return place_at(file, walk_scalar(text, at, scalar->text, offset, first), scalar->line);
}
