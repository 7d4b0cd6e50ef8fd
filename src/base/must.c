// must: how a bug of ours ends the process. The line on stderr and the core file
// are all that is left to reproduce it from, so nothing here allocates or locks.
#include "penstock/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Noreturn void must_fail(const char *what, const char *file, int line) {
    char text[512];
    int len = snprintf(text, sizeof text, "penstock: bug: %s does not hold (%s:%d)\n", what, file, line);
    if (len > 0) {
        size_t bytes = (size_t)len < sizeof text ? (size_t)len : sizeof text - 1;
        ssize_t written = write(STDERR_FILENO, text, bytes);
        (void)written; // nobody is left to tell
    }
    abort();
}
