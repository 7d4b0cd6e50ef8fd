// nats_reply: one of two small objects of fixed form,
//   {"stream":"S","seq":12,"duplicate":true}
//   {"error":{"code":503,"err_code":10077,"description":"maximum messages exceeded"},"stream":"S","seq":0}
// so looking for a key is enough. Keys cannot be mistaken for values: they are followed by a colon.
#include "nats_reply.h"

#include <stdio.h>

// What follows `"key":`, or NULL.
static const char *after_key(struct str body, struct str quoted_key) {
    const char *at = body.ptr, *end = body.ptr + body.len;
    while (at < end && (at = memmem(at, (size_t)(end - at), quoted_key.ptr, quoted_key.len)) != NULL) {
        at += quoted_key.len;
        const char *p = at;
        while (p < end && (*p == ' ' || *p == '\t' || *p == '\n'))
            p++;
        if (p < end && *p == ':')
            return p + 1;
    }
    return NULL;
}

bool nats_reply_is_ack(struct str body, char *why, size_t why_size) {
    if (body.len > 0 && !after_key(body, STR("\"error\"")) && after_key(body, STR("\"seq\"")))
        return true;
    const char *text = body.len > 0 ? after_key(body, STR("\"description\"")) : NULL;
    const char *end = body.ptr + body.len;
    while (text && text < end && *text != '"')
        text++;
    size_t len = 0;
    while (text && text + 1 + len < end && text[1 + len] != '"')
        len++;
    if (text && len > 0)
        snprintf(why, why_size, "%.*s", (int)(len < why_size ? len : why_size - 1), text + 1);
    else
        snprintf(why, why_size, "an answer that is none");
    return false;
}
