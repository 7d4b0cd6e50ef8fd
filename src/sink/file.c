// file: records as lines of a file or of stdout.
//
// What is sent gathers in a buffer; poll writes it and, for a file, fsyncs before it
// says that it is acknowledged. A write that fails halfway (a full disk) is cut back to
// the last whole line and everything not acknowledged is let go, so the file never
// holds half a line in its middle. When another file bears the name (rotation), the
// next poll goes on there, after all before has been made durable in the old one.
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sink_ops.h"

#define IN_FLIGHT_DEFAULT 1024
#define BUFFER_BYTES_MAX (64u << 20)
#define BUSY_BYTES (1u << 20) // beyond this poll first
#define ROTATION_CHECK_MS 500

struct file_sink {
    struct sink_meter *meter;
    char *path; // NULL: stdout
    int fd;
    bool regular;
    dev_t device;
    ino_t inode;
    struct buf lines;
    size_t in_flight, in_flight_max;
    uint64_t buffered_seq, acked_seq, last_seq;
    int64_t check_ms;
};

// A crash may have left half a line behind; what follows must begin a line.
static char last_byte(const char *path, off_t size) {
    char last = '\n';
    int fd = size > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return last;
    if (pread(fd, &last, 1, size - 1) != 1)
        last = '\n';
    close(fd);
    return last;
}

// A new name must be as durable as what will stand under it.
static void sync_folder(const char *path) {
    char *copy = must_strdup(path);
    struct status ignored;
    dir_sync(dirname(copy), &ignored);
    free(copy);
}

static bool open_path(struct file_sink *file, struct status *status) {
    struct stat found;
    int fd = open(file->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0 || fstat(fd, &found) != 0) {
        int error = errno;
        if (fd >= 0)
            close(fd);
        return status_errno(status, error, "cannot open %s", file->path);
    }
    file->fd = fd;
    file->device = found.st_dev;
    file->inode = found.st_ino;
    file->regular = S_ISREG(found.st_mode);
    char last = last_byte(file->path, file->regular ? found.st_size : 0);
    if (last != '\n' && write(fd, "\n", 1) != 1) {
        int error = errno;
        close(fd);
        file->fd = -1;
        return status_errno(status, error, "cannot write %s", file->path);
    }
    if (file->regular && found.st_size == 0)
        sync_folder(file->path);
    door_is_ready(&file->meter->door, "writing %s", file->path);
    return true;
}

static void *file_open(const struct sink_config *config, struct sink_meter *meter, struct status *status) {
    struct file_sink *file = must_alloc(sizeof *file);
    *file = (struct file_sink){.meter = meter, .fd = -1};
    file->in_flight_max = config->max_in_flight ? config->max_in_flight : IN_FLIGHT_DEFAULT;
    buf_init(&file->lines, BUFFER_BYTES_MAX);
    if (config->kind == SINK_STDOUT) {
        file->fd = STDOUT_FILENO;
        door_is_ready(&meter->door, "writing stdout");
        return file;
    }
    file->path = must_strdup(config->path ? config->path : "");
    struct status why = {0};
    if (open_path(file, &why))
        return file;
    if (why.code != STATUS_NOT_FOUND && why.code != STATUS_INVALID && why.code != STATUS_DENIED) {
        door_has_trouble(&meter->door, DOOR_MISSING, "%s",
                         why.text); // a full disk, a device that is away: it may mend itself
        return file;
    }
    if (status)
        *status = why;
    buf_free(&file->lines);
    free(file->path);
    free(file);
    return NULL;
}

static enum sink_sent file_send(void *state, const struct sink_record *record, struct status *status) {
    struct file_sink *file = state;
    if (record->seq <= file->buffered_seq && file->in_flight > 0) { // offered again from before: what waits is let go
        buf_clear(&file->lines);
        file->in_flight = 0;
    }
    if (file->in_flight >= file->in_flight_max || file->lines.len >= BUSY_BYTES)
        return SINK_BUSY;
    if (!buf_reserve(&file->lines, record->payload.len + 1)) {
        buf_clear(&file->lines);
        file->in_flight = 0;
        atomic_fetch_add(&file->meter->refused, 1);
        status_fail(status, STATUS_INVALID, "a record of %zu bytes is more than a file sink writes at once",
                    record->payload.len);
        return SINK_FAILED;
    }
    buf_str(&file->lines, record->payload);
    buf_char(&file->lines, '\n');
    file->in_flight++;
    file->buffered_seq = record->seq;
    if (record->seq <= file->last_seq)
        atomic_fetch_add(&file->meter->resent, 1);
    else
        file->last_seq = record->seq;
    return SINK_SENT;
}

static bool let_go(struct file_sink *file, enum door_trouble trouble, const struct status *why) {
    door_has_trouble(&file->meter->door, trouble, "%s", why->text);
    atomic_fetch_add(&file->meter->refused, 1);
    buf_clear(&file->lines);
    file->in_flight = 0;
    file->buffered_seq = file->acked_seq;
    return false;
}

// Writes all; false with errno. A pipe that nobody reads for longer than the wait counts as failed.
static bool write_all(struct file_sink *file) {
    size_t done = 0;
    while (done < file->lines.len) {
        ssize_t wrote = write(file->fd, file->lines.ptr + done, file->lines.len - done);
        if (wrote > 0) {
            done += (size_t)wrote;
        } else if (wrote < 0 && errno == EAGAIN) {
            struct pollfd out = {.fd = file->fd, .events = POLLOUT};
            poll(&out, 1, 100);
        } else if (wrote < 0 && errno != EINTR) {
            return false;
        }
    }
    return true;
}

// Cuts back what a failed write left, and never trusts the descriptor again: after a failed fsync the kernel may forget
// what it could not write. Should the cut fail too, the half line is ended when the file is opened again.
static void cut_back(struct file_sink *file, off_t size) {
    if (size >= 0 && ftruncate(file->fd, size) != 0)
        logline(LOGLINE_WARN, "sink", "cannot cut a half line back; it will stand alone", "name",
                file->meter->door.name, NULL);
    close(file->fd);
    file->fd = -1;
}

static bool flush(struct file_sink *file, struct status *status) {
    off_t size = -1;
    struct stat found;
    if (file->path && file->regular && fstat(file->fd, &found) == 0)
        size = found.st_size;
    bool written = write_all(file);
    if (written && (!file->path || !file->regular || fdatasync(file->fd) == 0)) {
        atomic_fetch_add(&file->meter->acked, file->in_flight);
        file->acked_seq = file->buffered_seq;
        file->in_flight = 0;
        buf_clear(&file->lines);
        if (file->path && !door_ready(&file->meter->door))
            door_is_ready(&file->meter->door, "writing %s", file->path);
        return true;
    }
    int error = errno;
    struct status why = {0};
    status_errno(&why, error, "%s %s", written ? "fsync of" : "writing", file->path ? file->path : "stdout");
    if (status)
        *status = why;
    if (file->path)
        cut_back(file, size);
    return let_go(file, DOOR_MISSING, &why);
}

static void follow_rotation(struct file_sink *file) {
    int64_t now_ms = clock_monotonic_ms();
    if (!file->path || file->fd < 0 || now_ms < file->check_ms)
        return;
    file->check_ms = now_ms + ROTATION_CHECK_MS;
    struct stat named;
    bool there = stat(file->path, &named) == 0;
    if (there && named.st_dev == file->device && named.st_ino == file->inode)
        return;
    if (!there && errno != ENOENT)
        return;
    close(file->fd); // everything in it is durable: this is called between flushes
    file->fd = -1;
    logline(LOGLINE_INFO, "sink", "the file was rotated: writing a new one", "name", file->meter->door.name, NULL);
}

static bool file_poll(void *state, int timeout_ms, uint64_t *acked_seq, struct status *status) {
    struct file_sink *file = state;
    bool ok = true;
    follow_rotation(file);
    if (file->fd < 0 && !open_path(file, status)) {
        struct status why = {.text = "cannot open"};
        let_go(file, DOOR_MISSING, status ? status : &why);
        ok = false;
    }
    if (ok && file->in_flight > 0)
        ok = flush(file, status);
    else if (ok && timeout_ms > 0)
        clock_sleep_ms(timeout_ms < 10 ? timeout_ms : 10); // nothing is under way that could bring news
    *acked_seq = file->acked_seq;
    return ok;
}

static bool file_close(void *state, int timeout_ms) {
    struct file_sink *file = state;
    uint64_t acked;
    if (timeout_ms > 0 && file->in_flight > 0)
        file_poll(file, 0, &acked, NULL);
    if (file->path && file->fd >= 0)
        close(file->fd);
    buf_free(&file->lines);
    free(file->path);
    free(file);
    return true;
}

const struct sink_ops file_sink_ops = {
    .open = file_open,
    .send = file_send,
    .poll = file_poll,
    .close = file_close,
};
