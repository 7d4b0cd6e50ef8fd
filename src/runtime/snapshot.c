// Snapshot files are named by the log's sequence number that they cover. A file is
// whole or refused: magic, version, length and a CRC over everything stand in it.
#include "snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "penstock/bytes.h"

#define SNAPSHOT_MAGIC UINT64_C(0x50414e534b545350)
#define SNAPSHOT_VERSION 1
#define SNAPSHOTS_KEPT 2
#define SNAPSHOTS_LISTED 64
#define SEQ_DIGITS 20
#define NAME_FORMAT "%020llu.snapshot"

void snapshot_encode(const struct snapshot *snapshot, struct buf *out) {
    put_u64(out, SNAPSHOT_MAGIC);
    put_u32(out, SNAPSHOT_VERSION);
    put_u64(out, snapshot->seq);
    put_i64(out, snapshot->time_ms);
    put_u64(out, snapshot->generation);
    put_u64(out, snapshot->bundle.len);
    put_u64(out, snapshot->state.len);
    buf_str(out, snapshot->bundle);
    buf_str(out, snapshot->state);
    put_u32(out, crc32c(0, out->ptr, out->len));
}

bool snapshot_decode(struct str bytes, struct snapshot *out, struct status *status) {
    struct reader in = reader_of(bytes);
    if (get_u64(&in) != SNAPSHOT_MAGIC)
        return status_fail(status, STATUS_CORRUPT, "it is no snapshot, or its first bytes are damaged");
    uint32_t version = get_u32(&in);
    if (bytes.len < 4 || in.failed)
        return status_fail(status, STATUS_CORRUPT, "it is cut short");
    struct reader tail = reader_of((struct str){bytes.ptr + bytes.len - 4, 4});
    if (crc32c(0, bytes.ptr, bytes.len - 4) != get_u32(&tail))
        return status_fail(status, STATUS_CORRUPT, "its checksum does not match its content");
    if (version != SNAPSHOT_VERSION)
        return status_fail(status, STATUS_CORRUPT,
                           "it has format version %u, this penstock reads %u: start the penstock that wrote it",
                           version, SNAPSHOT_VERSION);
    out->seq = get_u64(&in);
    out->time_ms = get_i64(&in);
    out->generation = get_u64(&in);
    uint64_t bundle = get_u64(&in), state = get_u64(&in);
    if (in.failed || reader_left(&in) < 4 || bundle > reader_left(&in) - 4 || state != reader_left(&in) - 4 - bundle)
        return status_fail(status, STATUS_CORRUPT, "its lengths contradict each other");
    out->bundle = (struct str){get_bytes(&in, bundle), bundle};
    out->state = (struct str){get_bytes(&in, state), state};
    return true;
}

static int descending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x < y) - (x > y);
}

// Sequence numbers of the snapshots there are, newest first.
static bool list_snapshots(const char *dir, uint64_t seqs[SNAPSHOTS_LISTED], size_t *n, struct status *status) {
    *n = 0;
    DIR *folder = opendir(dir);
    if (!folder)
        return status_errno(status, errno, "cannot read %s", dir);
    for (struct dirent *entry; (entry = readdir(folder)) && *n < SNAPSHOTS_LISTED;) {
        struct str name = str_of(entry->d_name), suffix = STR(".snapshot");
        int64_t seq;
        if (!str_ends(name, suffix)) // also the half of one, which file_replace left behind
            continue;
        name.len -= suffix.len;
        if (name.len == SEQ_DIGITS && str_to_int64(name, &seq) && seq > 0)
            seqs[(*n)++] = (uint64_t)seq;
    }
    closedir(folder);
    qsort(seqs, *n, sizeof *seqs, descending);
    return true;
}

static void path_of(const char *dir, uint64_t seq, char *path, size_t size) {
    snprintf(path, size, "%s/" NAME_FORMAT, dir, (unsigned long long)seq);
}

bool snapshot_store(const char *dir, uint64_t seq, struct str bytes, uint64_t *previous_seq, struct status *status) {
    char path[4096];
    uint64_t seqs[SNAPSHOTS_LISTED];
    size_t n;
    path_of(dir, seq, path, sizeof path);
    if (!file_replace(path, bytes, status) || !list_snapshots(dir, seqs, &n, status))
        return false;
    *previous_seq = n > 1 ? seqs[1] : 0;
    for (size_t i = SNAPSHOTS_KEPT; i < n; i++) {
        path_of(dir, seqs[i], path, sizeof path);
        unlink(path);
    }
    return true;
}

bool snapshot_load(const char *dir, struct buf *bytes, struct snapshot *out, struct status *status) {
    uint64_t seqs[SNAPSHOTS_LISTED];
    size_t n;
    if (!list_snapshots(dir, seqs, &n, status))
        return false;
    for (size_t i = 0; i < n; i++) {
        char path[4096];
        struct status why = {0};
        path_of(dir, seqs[i], path, sizeof path);
        if (file_read(path, bytes, &why) && snapshot_decode(buf_view(bytes), out, &why))
            return true;
        logline(LOGLINE_ERROR, "snapshot", "a snapshot is refused", "path", path, "error", why.text, NULL);
        status_fail(status, STATUS_CORRUPT,
                    "%s: %.300s. No snapshot in this folder can be used: restore one from a backup, or move the whole "
                    "data folder away to begin anew (held signals and memory are lost)",
                    path, why.text);
    }
    buf_clear(bytes);
    return n == 0;
}
