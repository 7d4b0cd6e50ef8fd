// memory: allocation that cannot fail. Every bound of the product is set before
// memory is asked for, so running out means that the machine was sized wrongly;
// a router that goes on half-working is worse than one that restarts from its log.
#include "penstock/base.h"

#include <stdio.h>
#include <stdlib.h>

static _Noreturn void out_of_memory(size_t bytes) {
    fprintf(stderr, "penstock: out of memory (asked for %zu bytes); give the process more memory or lower its bounds\n",
            bytes);
    abort();
}

void *must_alloc(size_t bytes) {
    void *memory = calloc(1, bytes ? bytes : 1);
    if (!memory)
        out_of_memory(bytes);
    return memory;
}

void *must_realloc(void *old, size_t bytes) {
    void *memory = realloc(old, bytes ? bytes : 1);
    if (!memory)
        out_of_memory(bytes);
    return memory;
}

char *must_strndup(struct str s) {
    char *copy = must_alloc(s.len + 1);
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    return copy;
}

char *must_strdup(const char *text) {
    return must_strndup(str_of(text));
}
