// status: how the world's failures are told: a code for the program, a sentence
// with the remedy for a person.
#include "penstock/base.h"

#include <errno.h>
#include <stdio.h>

const char *status_name(enum status_code code) {
    static const char *const names[] = {
        [STATUS_OK] = "ok",         [STATUS_INVALID] = "invalid",         [STATUS_NOT_FOUND] = "not_found",
        [STATUS_DENIED] = "denied", [STATUS_UNAVAILABLE] = "unavailable", [STATUS_FULL] = "full",
        [STATUS_IO] = "io",         [STATUS_CORRUPT] = "corrupt",         [STATUS_CLOSED] = "closed",
    };
    must((size_t)code < COUNT_OF(names));
    return names[code];
}

static enum status_code code_of_errno(int error) {
    switch (error) {
    case ENOENT:
    case ESRCH:
    case ENXIO: return STATUS_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS: return STATUS_DENIED;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE: return STATUS_FULL;
    case EINVAL:
    case EISDIR:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP:
    case EEXIST:
    case ENOTEMPTY: return STATUS_INVALID;
    case EAGAIN:
    case EINTR:
    case EBUSY:
    case ETIMEDOUT:
    case ECONNREFUSED:
    case ECONNRESET:
    case ECONNABORTED:
    case ENOTCONN:
    case EPIPE:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENETDOWN:
    case EADDRINUSE:
    case EADDRNOTAVAIL: return STATUS_UNAVAILABLE;
    default: return STATUS_IO;
    }
}

bool status_fail(struct status *status, enum status_code code, const char *format, ...) {
    if (!status)
        return false;
    va_list args;
    va_start(args, format);
    // Through a copy: an argument may be the old text itself, when a failure is told again with more context.
    struct status told = {.code = code};
    vsnprintf(told.text, sizeof told.text, format, args);
    va_end(args);
    *status = told;
    return false;
}

bool status_errno(struct status *status, int error, const char *format, ...) {
    if (!status)
        return false;
    va_list args;
    va_start(args, format);
    struct status told = {.code = code_of_errno(error)};
    int len = vsnprintf(told.text, sizeof told.text, format, args);
    va_end(args);
    must(len >= 0);
    if ((size_t)len < sizeof told.text) {
        char reason[128];
        snprintf(told.text + len, sizeof told.text - (size_t)len, ": %s", strerror_r(error, reason, sizeof reason));
    }
    *status = told;
    return false;
}
