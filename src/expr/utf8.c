// utf8: characters of strings. CEL counts and indexes code points; the bytes stay as they are.
#include "ast.h"

size_t utf8_encode(uint32_t code, char out[4]) {
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = len - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3F));
        code >>= 6;
    }
    out[0] = (char)(lead[len] | code);
    return len;
}

// A byte that begins no character counts as one, so that any bytes can be walked.
size_t utf8_step(struct str s, size_t at) {
    uint8_t c = (uint8_t)s.ptr[at];
    size_t len = c < 0xC0 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    return len <= s.len - at ? len : s.len - at;
}

size_t utf8_count(struct str s) {
    size_t n = 0;
    for (size_t at = 0; at < s.len; at += utf8_step(s, at))
        n++;
    return n;
}

uint32_t utf8_decode(struct str s, size_t at) {
    static const uint8_t mask[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    size_t len = utf8_step(s, at);
    uint32_t code = (uint8_t)s.ptr[at] & mask[len];
    for (size_t i = 1; i < len; i++)
        code = code << 6 | ((uint8_t)s.ptr[at + i] & 0x3F);
    return code;
}

bool utf8_is_valid(struct str s) {
    for (size_t at = 0, len; at < s.len; at += len) {
        len = utf8_length((struct str){s.ptr + at, s.len - at});
        if (len == 0)
            return false;
    }
    return true;
}
