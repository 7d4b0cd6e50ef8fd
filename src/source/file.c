// file: lines of a file or of stdin as messages.
//
// A line's offset is where it begins; a file goes on at the first line that begins at
// or after the position it is given, so a position one past a line's first byte means
// "after that line". When a followed file is rotated (another inode under its name) or
// truncated, offsets start over, and so that a coordinate never repeats the partition
// counts the rotations. A last line without newline is delivered where no more of it
// can come: at the end of a file that is not followed, or of one that was rotated away.
//
// Bytes are not looked at beyond their newlines. Lines of white space alone are passed
// over; one CR before the newline belongs to the line's end.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source_ops.h"

#define CHUNK_BYTES (256 * 1024)
#define FOLLOW_EVERY_MS 100   // how often the end of a followed file is looked at again
#define ROTATION_GRACE_MS 500 // so long a file that was renamed is still read

struct file_source {
    struct source_meter *meter;
    char *path; // NULL: stdin
    bool follow, regular;
    uint32_t max_message_bytes;
    int fd; // -1: a followed file that is not there (yet)
    dev_t device;
    ino_t inode;
    int32_t rotation;     // the messages' partition
    int64_t replaced_ms;  // since when another file bears our name; 0: it does not
    int64_t chunk_offset; // file offset of chunk[0]
    char *chunk;
    size_t chunk_len, chunk_at;
    // The line that is being put together because it does not lie in the chunk whole.
    struct buf line;
    uint64_t line_bytes; // as it stands, with what was cut
    int64_t line_offset;
    char line_last;
    bool line_done;
    int64_t line_number; // stdin: of the next line
    bool skip_to_line;   // the position given lies inside a line: begin behind it
};

static int64_t here(const struct file_source *file) {
    return file->chunk_offset + (int64_t)file->chunk_at;
}

static void forget_line(struct file_source *file) {
    buf_clear(&file->line);
    file->line_bytes = 0;
    file->line_done = false;
}

// ---- opening, rotation -------------------------------------------------------------

static void start_at(struct file_source *file, int64_t offset) {
    file->chunk_offset = offset;
    file->chunk_len = file->chunk_at = 0;
    file->skip_to_line = false;
    forget_line(file);
}

// False with errno.
static bool open_path(struct file_source *file) {
    struct stat found;
    int fd = open(file->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    if (fstat(fd, &found) != 0 || S_ISDIR(found.st_mode)) {
        int error = S_ISDIR(found.st_mode) ? EISDIR : errno;
        close(fd);
        errno = error;
        return false;
    }
    file->fd = fd;
    file->device = found.st_dev;
    file->inode = found.st_ino;
    file->regular = S_ISREG(found.st_mode);
    start_at(file, 0);
    door_is_ready(&file->meter->door, "reading %s", file->path);
    return true;
}

// The first open: go on where the log says. A file shorter than that was rotated or truncated while nobody looked.
static void resume(struct file_source *file, int32_t rotation, int64_t position) {
    file->rotation = rotation;
    struct stat found;
    if (position <= 0 || !file->regular || fstat(file->fd, &found) != 0)
        return;
    if (found.st_size < position) {
        file->rotation++;
        logline(LOGLINE_WARN, "source", "the file is shorter than it was: reading it from its beginning", "name",
                file->meter->door.name, NULL);
        return;
    }
    char before = '\n';
    if (pread(file->fd, &before, 1, position - 1) != 1)
        before = '\n';
    if (lseek(file->fd, position, SEEK_SET) == position) {
        start_at(file, position);
        file->skip_to_line = before != '\n';
    }
}

static bool is_replaced(const struct file_source *file) {
    struct stat named;
    return stat(file->path, &named) == 0 && (named.st_dev != file->device || named.st_ino != file->inode);
}

static bool is_truncated(const struct file_source *file) {
    struct stat found;
    return file->regular && fstat(file->fd, &found) == 0 && found.st_size < here(file);
}

// Begins the new file, or the same one again after it was truncated.
static void begin_again(struct file_source *file, bool replaced) {
    int old = file->fd;
    if (replaced) {
        if (!open_path(file))
            return;
        close(old);
    } else {
        if (lseek(old, 0, SEEK_SET) != 0)
            return;
        start_at(file, 0);
    }
    file->rotation++;
    file->replaced_ms = 0;
    logline(LOGLINE_INFO, "source",
            replaced ? "the file was rotated: reading the new one" : "the file was truncated: reading it again", "name",
            file->meter->door.name, NULL);
}

static void *file_open(const struct source_config *config, const struct source_position *positions, size_t n_positions,
                       struct source_meter *meter, struct status *status) {
    struct file_source *file = must_alloc(sizeof *file);
    *file = (struct file_source){.meter = meter, .fd = -1, .max_message_bytes = config->max_message_bytes};
    int32_t rotation = 0;
    int64_t position = 0;
    for (size_t i = 0; i < n_positions; i++)
        if (positions[i].partition >= rotation) {
            rotation = positions[i].partition;
            position = positions[i].next_offset;
        }
    file->chunk = must_alloc(CHUNK_BYTES);
    buf_init(&file->line, config->max_message_bytes);
    if (config->kind == SOURCE_STDIN) {
        file->fd = STDIN_FILENO;
        file->line_number = position > 0 ? position : 1;
        door_is_ready(&meter->door, "reading stdin");
        return file;
    }
    file->path = must_strdup(config->path ? config->path : "");
    file->follow = config->follow;
    if (open_path(file)) {
        resume(file, rotation, position);
        return file;
    }
    if (file->follow && errno == ENOENT && file->path[0]) {
        file->rotation = position > 0 ? rotation + 1 : rotation;
        door_has_trouble(&meter->door, DOOR_MISSING, "%s does not exist yet; waiting for it", file->path);
        return file;
    }
    status_errno(status, errno, "file source \"%s\": cannot open %s", config->name, file->path);
    free(file->path);
    free(file->chunk);
    free(file);
    return NULL;
}

// ---- reading -------------------------------------------------------------------------

static bool is_blank(struct str line) {
    return str_trim(line).len == 0;
}

static bool add_line(struct file_source *file, struct batch *batch, struct str bytes, uint64_t full_bytes,
                     int64_t offset) {
    if (full_bytes == bytes.len && is_blank(bytes)) {
        file->line_number++;
        return true;
    }
    struct message message = {
        .bytes = bytes,
        .full_bytes = full_bytes,
        .partition = file->rotation,
        .offset = file->path ? offset : file->line_number,
    };
    if (!batch_add(batch, &message))
        return false;
    file->line_number++;
    return true;
}

// The kept part of a line that did not lie in one chunk; false: no room.
static bool add_gathered(struct file_source *file, struct batch *batch) {
    uint64_t full = file->line_bytes;
    struct str kept = buf_view(&file->line);
    if (full > 0 && file->line_last == '\r')
        full--;
    if (kept.len > full)
        kept.len = (size_t)full;
    if (!add_line(file, batch, kept, full, file->line_offset))
        return false;
    forget_line(file);
    return true;
}

static void gather(struct file_source *file, const char *from, size_t len) {
    if (len == 0)
        return;
    if (file->line_bytes == 0)
        file->line_offset = file->chunk_offset + (from - file->chunk);
    size_t room = file->max_message_bytes - file->line.len;
    buf_add(&file->line, from, len < room ? len : room);
    file->line_bytes += len;
    file->line_last = from[len - 1];
}

// One line that lies whole in the chunk, without its newline; false: no room.
static bool add_whole(struct file_source *file, struct batch *batch, const char *from, size_t len) {
    size_t full = len > 0 && from[len - 1] == '\r' ? len - 1 : len;
    size_t kept = full < file->max_message_bytes ? full : file->max_message_bytes;
    return add_line(file, batch, (struct str){from, kept}, full, here(file));
}

// Takes lines out of the chunk until it is used up (true) or the batch is full (false).
static bool drain_chunk(struct file_source *file, struct batch *batch) {
    if (file->line_done && !add_gathered(file, batch))
        return false;
    while (file->chunk_at < file->chunk_len) {
        const char *from = file->chunk + file->chunk_at;
        size_t left = file->chunk_len - file->chunk_at;
        const char *newline = memchr(from, '\n', left);
        size_t len = newline ? (size_t)(newline - from) : left;
        if (file->skip_to_line) {
            file->skip_to_line = !newline;
        } else if (!newline) {
            gather(file, from, len);
        } else if (file->line_bytes == 0) {
            if (batch_is_full(batch) || !add_whole(file, batch, from, len))
                return false;
        } else {
            gather(file, from, len);
            file->line_done = true;
        }
        file->chunk_at += len + (newline ? 1 : 0);
        if (file->line_done && !add_gathered(file, batch))
            return false;
    }
    return true;
}

enum refill { REFILL_BYTES, REFILL_END, REFILL_NOT_YET, REFILL_FAILED };

static enum refill refill(struct file_source *file, int wait_ms, struct status *status) {
    if (!file->regular) {
        struct pollfd input = {.fd = file->fd, .events = POLLIN};
        int ready = poll(&input, 1, wait_ms);
        if (ready <= 0)
            return REFILL_NOT_YET;
    }
    file->chunk_offset += (int64_t)file->chunk_len;
    file->chunk_len = file->chunk_at = 0;
    ssize_t got = read(file->fd, file->chunk, CHUNK_BYTES);
    if (got > 0) {
        file->chunk_len = (size_t)got;
        return REFILL_BYTES;
    }
    if (got == 0)
        return REFILL_END;
    if (errno == EINTR || errno == EAGAIN)
        return REFILL_NOT_YET;
    status_errno(status, errno, "reading %s", file->path ? file->path : "stdin");
    return REFILL_FAILED;
}

// A line that nobody will finish any more; false: no room.
static bool add_unfinished(struct file_source *file, struct batch *batch) {
    file->line_done = file->line_bytes > 0;
    return !file->line_done || add_gathered(file, batch);
}

// At the end of what there is: true when reading is over for good.
static bool at_end(struct file_source *file, struct batch *batch) {
    if (!file->follow)
        return add_unfinished(file, batch);
    bool replaced = is_replaced(file);
    if (!replaced && !is_truncated(file))
        return false;
    // Who writes may go on in the old file for a moment after it was renamed.
    int64_t now_ms = clock_monotonic_ms();
    if (replaced && file->replaced_ms == 0)
        file->replaced_ms = now_ms;
    if (replaced && now_ms - file->replaced_ms < ROTATION_GRACE_MS)
        return false;
    if (add_unfinished(file, batch))
        begin_again(file, replaced);
    return false;
}

static void update_lag(struct file_source *file) {
    struct stat found;
    if (file->regular && fstat(file->fd, &found) == 0)
        atomic_store(&file->meter->lag, found.st_size > here(file) ? -1 : 0); // how many lines lie ahead is not known
}

static bool file_read_batch(void *state, struct batch *batch, int timeout_ms, struct status *status) {
    struct file_source *file = state;
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;
    bool ok = true;
    while (ok && !atomic_load(&file->meter->ended)) {
        if (file->fd >= 0 && !drain_chunk(file, batch))
            break;
        int64_t left_ms = until_ms - clock_monotonic_ms();
        int wait_ms = batch->n > 0 || left_ms <= 0 ? 0 : left_ms < STOP_CHECK_MS ? (int)left_ms : STOP_CHECK_MS;
        enum refill got = REFILL_NOT_YET;
        if (file->fd >= 0)
            got = refill(file, wait_ms, status);
        else if (open_path(file))
            continue;
        if (got == REFILL_BYTES)
            continue;
        if (got == REFILL_FAILED) {
            ok = false;
        } else if (got == REFILL_END) {
            int32_t rotation = file->rotation;
            if (at_end(file, batch))
                atomic_store(&file->meter->ended, true);
            else if (file->rotation != rotation)
                continue;
        }
        if (batch->n > 0 || left_ms <= 0 || atomic_load(&file->meter->stop))
            break;
        if (got == REFILL_END || file->fd < 0)
            clock_sleep_ms(wait_ms < FOLLOW_EVERY_MS ? wait_ms : FOLLOW_EVERY_MS);
    }
    batch_seal(batch);
    if (file->fd >= 0)
        update_lag(file);
    if (ok && batch->n == 0 && atomic_load(&file->meter->ended)) {
        door_is_ready(&file->meter->door, "read to its end");
        return status_fail(status, STATUS_CLOSED, "%s has been read to its end", file->path ? file->path : "stdin");
    }
    return ok || batch->n > 0;
}

static void file_idle(void *state) {
    (void)state; // nothing waits for us
}

static void file_commit(void *state, const struct batch *batch) {
    struct file_source *file = state;
    (void)batch; // the position lives in the log
    atomic_fetch_add(&file->meter->commits, 1);
}

static bool file_close(void *state) {
    struct file_source *file = state;
    if (file->fd > STDERR_FILENO)
        close(file->fd);
    buf_free(&file->line);
    free(file->chunk);
    free(file->path);
    free(file);
    return true;
}

const struct source_ops file_source_ops = {
    .open = file_open,
    .read = file_read_batch,
    .idle = file_idle,
    .commit = file_commit,
    .close = file_close,
};
