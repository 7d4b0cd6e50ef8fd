// file: whole files. Replacing is atomic for readers and for a crash: the bytes are
// on the disk under another name before the name is changed, and the folder is
// synced after it, so that a name never points at a part.
#include "penstock/base.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_STEP_BYTES 65536

static bool read_all(int fd, const char *path, struct buf *out, struct status *status) {
    for (;;) {
        // One byte over the maximum is asked for, to tell a full buffer from a file that goes on.
        size_t room = out->max - out->len;
        char beyond;
        size_t step = room < READ_STEP_BYTES ? room : READ_STEP_BYTES;
        if (step > 0 && !buf_reserve(out, step))
            return status_fail(status, STATUS_FULL, "%s: no room to read it", path);
        ssize_t got = step > 0 ? read(fd, out->ptr + out->len, step) : read(fd, &beyond, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return status_errno(status, errno, "cannot read %s", path);
        if (got == 0)
            return true;
        if (step == 0)
            return status_fail(status, STATUS_INVALID, "%s is larger than the %zu bytes allowed for it", path,
                               out->max);
        out->len += (size_t)got;
    }
}

bool file_read(const char *path, struct buf *out, struct status *status) {
    buf_clear(out);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return status_errno(status, errno, "cannot open %s", path);
    bool done = read_all(fd, path, out, status);
    close(fd);
    return done;
}

static bool write_all(int fd, struct str content) {
    while (content.len > 0) {
        ssize_t written = write(fd, content.ptr, content.len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        content.ptr += written;
        content.len -= (size_t)written;
    }
    return true;
}

// The folder of `path`, as dirname(3) has it but without touching `path`.
static void folder_of(const char *path, char out[PATH_MAX]) {
    const char *slash = strrchr(path, '/');
    if (!slash)
        snprintf(out, PATH_MAX, ".");
    else if (slash == path)
        snprintf(out, PATH_MAX, "/");
    else
        snprintf(out, PATH_MAX, "%.*s", (int)(slash - path), path);
}

bool file_replace(const char *path, struct str content, struct status *status) {
    char beside[PATH_MAX], folder[PATH_MAX];
    // Always the same name beside, so that crashes leave at most one such file, which the next writing takes over.
    int len = snprintf(beside, sizeof beside, "%s.new", path);
    if (len < 0 || (size_t)len >= sizeof beside)
        return status_errno(status, ENAMETOOLONG, "cannot write %s", path);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (fd < 0)
        return status_errno(status, errno, "cannot create %s", beside);
    bool written = write_all(fd, content) && fsync(fd) == 0;
    int error = errno;
    if (close(fd) != 0 && written) {
        written = false;
        error = errno;
    }
    if (!written) {
        unlink(beside);
        return status_errno(status, error, "cannot write %s", beside);
    }
    if (rename(beside, path) != 0) {
        error = errno;
        unlink(beside);
        return status_errno(status, error, "cannot rename %s to %s", beside, path);
    }
    folder_of(path, folder);
    return dir_sync(folder, status);
}

bool dir_make(const char *path, struct status *status) {
    char part[PATH_MAX];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof part)
        return status_errno(status, len ? ENAMETOOLONG : ENOENT, "cannot make folder '%.200s'", path);
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        part[i] = '\0';
        if (mkdir(part, 0750) != 0 && errno != EEXIST)
            return status_errno(status, errno, "cannot make folder %s", part);
        part[i] = path[i];
    }
    struct stat about;
    if (stat(path, &about) != 0)
        return status_errno(status, errno, "cannot make folder %s", path);
    return S_ISDIR(about.st_mode) || status_errno(status, ENOTDIR, "cannot make folder %s", path);
}

bool dir_sync(const char *path, struct status *status) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return status_errno(status, errno, "cannot open folder %s", path);
    int error = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return error == 0 || status_errno(status, error, "cannot sync folder %s", path);
}
