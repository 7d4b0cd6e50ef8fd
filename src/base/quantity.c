// quantity: durations ("1h30m") and sizes ("64KiB") as people write them in route
// and deployment files. A number without a unit is never a duration: 30 of what?
#include "penstock/base.h"

#include <stdio.h>

#define DURATION_MAX_MS (INT64_C(3653) * 86400000) // ten years; more is a slip of the pen

static const struct {
    const char *name;
    int64_t ms;
} duration_units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

static struct str take_while(struct str *s, char first, char last) {
    struct str taken = {s->ptr, 0};
    while (taken.len < s->len && taken.ptr[taken.len] >= first && taken.ptr[taken.len] <= last)
        taken.len++;
    s->ptr += taken.len;
    s->len -= taken.len;
    return taken;
}

bool duration_parse(struct str text, int64_t *ms) {
    int64_t sum = 0;
    size_t next = 0; // units come from the largest down, each once
    if (text.len == 0)
        return false;
    while (text.len > 0) {
        int64_t count;
        if (!str_to_int64(take_while(&text, '0', '9'), &count))
            return false;
        struct str name = take_while(&text, 'a', 'z');
        while (next < COUNT_OF(duration_units) && !str_eq(name, str_of(duration_units[next].name)))
            next++;
        if (next == COUNT_OF(duration_units))
            return false;
        if (__builtin_mul_overflow(count, duration_units[next].ms, &count) || __builtin_add_overflow(sum, count, &sum))
            return false;
        next++;
    }
    if (sum > DURATION_MAX_MS)
        return false;
    *ms = sum;
    return true;
}

size_t duration_format(int64_t ms, char out[TIME_TEXT_MAX]) {
    uint64_t left = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    size_t len = 0;
    out[0] = '\0';
    if (ms < 0)
        len += (size_t)snprintf(out, TIME_TEXT_MAX, "-");
    for (size_t i = 0; i < COUNT_OF(duration_units); i++) {
        uint64_t count = left / (uint64_t)duration_units[i].ms;
        left %= (uint64_t)duration_units[i].ms;
        if (count > 0)
            len += (size_t)snprintf(out + len, TIME_TEXT_MAX - len, "%llu%s", (unsigned long long)count,
                                    duration_units[i].name);
    }
    if (ms == 0)
        len = (size_t)snprintf(out, TIME_TEXT_MAX, "0s");
    must(len < TIME_TEXT_MAX);
    return len;
}

bool size_parse(struct str text, uint64_t *bytes) {
    static const struct {
        const char *name;
        uint64_t bytes;
    } units[] = {
        {"", 1},
        {"B", 1},
        {"kB", 1000},
        {"KB", 1000},
        {"MB", 1000000},
        {"GB", 1000000000},
        {"TB", 1000000000000},
        {"KiB", UINT64_C(1) << 10},
        {"MiB", UINT64_C(1) << 20},
        {"GiB", UINT64_C(1) << 30},
        {"TiB", UINT64_C(1) << 40},
    };
    int64_t count;
    if (text.len == 0 || !str_to_int64(take_while(&text, '0', '9'), &count))
        return false;
    for (size_t i = 0; i < COUNT_OF(units); i++)
        if (str_eq(text, str_of(units[i].name)))
            return !__builtin_mul_overflow((uint64_t)count, units[i].bytes, bytes);
    return false;
}
