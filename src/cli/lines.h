// lines: text for people: lines of at most 100 columns, values cut to what one looks at.
#ifndef CLI_LINES_H
#define CLI_LINES_H

#include "penstock/value.h"

#define LINE_COLUMNS 100
#define VALUE_COLUMNS 60

// Appends the text, broken at blanks; `hang`: by how much more than the first the further lines are indented. What an
// event brings cannot move the cursor: control characters and those that turn the writing's direction become '?'.
void lines_add(struct buf *out, unsigned indent, unsigned hang, const char *format, ...) PENSTOCK_PRINTF(4, 5);
// The value as JSON, cut to VALUE_COLUMNS characters.
struct str value_text(struct arena *arena, const struct value *value);
// On one line: every run of blanks and line ends is one blank.
struct str one_line(struct arena *arena, struct str text);

#endif
