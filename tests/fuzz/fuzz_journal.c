// Fuzz target: a damaged journal folder is opened, read, gone on with and opened again.
//
// The input is a script. Its first part makes a true journal (records, syncs, small
// segments); the rest overwrites, cuts or lengthens the files, or replaces one by raw
// bytes. Then: no crash; what is read is what was written under that number, unless
// the checksums were forged by raw bytes; and a journal that opened keeps working.
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../src/log/journal_io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct script {
    const uint8_t *at, *end;
};

static unsigned take(struct script *script) { return script->at < script->end ? *script->at++ : 0; }

static unsigned take2(struct script *script) {
    unsigned high = take(script);
    return high << 8 | take(script);
}

static int no_sync(int fd) {
    (void)fd;
    return 0;
}

static bool no_sync_dir(const char *path, struct status *status) {
    (void)path;
    (void)status;
    return true;
}

static struct journal *open_folder(const char *dir, struct status *status) {
    static struct journal_io io;
    io = journal_io_system;
    io.sync = no_sync;
    io.sync_dir = no_sync_dir;
    return journal_open_with(&(struct journal_options){.dir = dir, .segment_bytes = 600}, &io, status);
}

static size_t payload_of(uint64_t seq, uint8_t out[256]) {
    size_t len = (size_t)(seq * 29 % 200);
    for (size_t i = 0; i < len; i++) {
        out[i] = (uint8_t)(seq + i * 3);
    }
    return len;
}

static bool append(struct journal *journal) {
    struct journal_stats stats;
    struct status status = {0};
    uint8_t payload[256];
    uint64_t seq;
    journal_stats(journal, &stats);
    struct str part = {(const char *)payload, payload_of(stats.last_seq + 1, payload)};
    return journal_append(journal, 1, 0, &part, 1, &seq, &status);
}

// The last record that was read; *failed when a cursor met damage.
static uint64_t read_all(struct journal *journal, bool check, bool *failed) {
    struct journal_stats stats;
    struct status status = {0};
    struct journal_record record;
    journal_stats(journal, &stats);
    uint64_t next = stats.first_seq;
    struct journal_cursor *cursor = journal_cursor_open(journal, next, false);
    enum journal_read read;
    while ((read = journal_next(cursor, &record, &status)) == JOURNAL_RECORD) {
        uint8_t payload[256];
        must(record.seq == next++);
        struct str expected = {(const char *)payload, payload_of(record.seq, payload)};
        must(!check || str_eq(record.payload, expected));
    }
    *failed = read == JOURNAL_FAILED;
    must(!*failed || status.text[0]);
    journal_cursor_close(cursor);
    return next - 1;
}

static void make_true_journal(struct script *script, const char *dir) {
    struct status status = {0};
    struct journal *journal = open_folder(dir, &status);
    must(journal);
    for (unsigned n = take(script) % 48; n > 0; n--) {
        must(append(journal));
        if (n % 5 == 0) {
            must(journal_sync(journal, &status));
        }
    }
    journal_close(journal);
}

static void for_each_file(const char *dir, void (*each)(const char *path, void *argument), void *argument) {
    struct dirent **entries = NULL;
    int n = scandir(dir, &entries, NULL, alphasort);
    must(n >= 0);
    for (int i = 0; i < n; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", dir, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') {
            each(path, argument);
        }
        free(entries[i]);
    }
    free(entries);
}

static void remove_file(const char *path, void *argument) {
    (void)argument;
    must(unlink(path) == 0);
}

// One change, or none: what the next bytes of the script say.
static void damage_file(const char *path, void *argument) {
    struct script *script = argument;
    struct stat about;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    must(fd >= 0 && fstat(fd, &about) == 0);
    for (unsigned changes = take(script) % 4; changes > 0; changes--) {
        off_t place = about.st_size ? take2(script) % about.st_size : 0;
        unsigned how = take(script);
        uint8_t byte = (uint8_t)take(script);
        switch (how % 4) {
        case 0:
        case 1:
            must(pwrite(fd, &byte, 1, place) == 1);
            break;
        case 2:
            must(ftruncate(fd, place) == 0);
            break;
        case 3:
            must(pwrite(fd, &byte, 1, about.st_size + byte) == 1);
            break;
        }
    }
    close(fd);
}

static void put_raw(const char *dir, unsigned number, const uint8_t *bytes, size_t n) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%020u.seg", dir, number);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    must(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
    close(fd);
}

static void use_folder(const char *dir, bool check) {
    struct status status = {0};
    bool failed;
    struct journal *journal = open_folder(dir, &status);
    if (!journal) {
        must(status.code != STATUS_OK && status.text[0]);
        return;
    }
    uint64_t last = read_all(journal, check, &failed);
    must(!failed); // opening has read it all
    if (append(journal) && journal_sync(journal, &status)) {
        must(read_all(journal, check, &failed) == last + 1 && !failed);
        journal_close(journal);
        journal = open_folder(dir, &status);
        must(journal);
        must(read_all(journal, check, &failed) == last + 1 && !failed);
    }
    journal_close(journal);
}

static char folder[PATH_MAX];

static void remove_dir(void) { rmdir(folder); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!folder[0]) {
        const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
        snprintf(folder, sizeof folder, "%s/penstock-fuzz-journal-XXXXXX", base);
        must(mkdtemp(folder) && atexit(remove_dir) == 0);
        logline_setup(LOGLINE_LOGFMT, LOGLINE_ERROR);
    }
    struct script script = {data, data + size};
    bool raw = take(&script) % 4 == 0;
    make_true_journal(&script, folder);
    if (raw) {
        put_raw(folder, 1 + take(&script) % 60, script.at, (size_t)(script.end - script.at));
    } else {
        for_each_file(folder, damage_file, &script);
    }
    use_folder(folder, !raw);
    for_each_file(folder, remove_file, NULL);
    return 0;
}
