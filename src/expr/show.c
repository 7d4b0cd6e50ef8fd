// show: an error as people want to see it: what is wrong, the line, a caret under the place.
#include "ast.h"

#define SHOWN_MAX 100 // bytes of the line on each side of the caret

void expr_show_error(struct buf *out, struct str source, const struct expr_error *error) {
    size_t at = error->offset < source.len ? error->offset : source.len, begin = at, end = at;
    while (begin > 0 && source.ptr[begin - 1] != '\n' && at - begin < SHOWN_MAX)
        begin--;
    while (begin < at && (source.ptr[begin] & 0xC0) == 0x80)
        begin++;
    while (end < source.len && source.ptr[end] != '\n' && source.ptr[end] != '\r' &&
           (end - at < SHOWN_MAX || (source.ptr[end] & 0xC0) == 0x80))
        end++;
    buf_printf(out, "%u:%u: %s\n", error->line, error->column, error->text);
    buf_str(out, STR("    "));
    for (size_t i = begin; i < end; i++) {
        uint8_t c = (uint8_t)source.ptr[i];
        buf_char(out, c < 0x20 || c == 0x7F ? ' ' : source.ptr[i]);
    }
    buf_str(out, STR("\n    "));
    for (size_t i = begin; i < at; i++) {
        if ((source.ptr[i] & 0xC0) != 0x80)
            buf_char(out, ' ');
    }
    buf_str(out, STR("^\n"));
}
