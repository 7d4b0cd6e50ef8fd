// A failing device: the n-th call fails for every n, calls fail for a while, the
// process dies at every call, the power goes. What a sync has confirmed is always
// there afterwards, in order; and what failed for a while goes on by itself.
#include "journal_testing.h"

#include <signal.h>
#include <sys/resource.h>

#define RECORDS 60
#define SEGMENT_BYTES 800

// ---- a device that fails on demand -----------------------------------------------------

enum faults { FAULT_ONCE, FAULT_FOR_A_WHILE, FAULT_FOR_EVER };

static struct {
    unsigned calls;   // made so far
    unsigned fail_at; // the number of the first that fails; 0: none
    enum faults how;
    int error;
    unsigned failed;
    unsigned syncs;
} device;

static bool fails(void) {
    unsigned call = ++device.calls;
    bool now = device.fail_at != 0 && call >= device.fail_at &&
               (device.how == FAULT_FOR_EVER || call < device.fail_at + (device.how == FAULT_ONCE ? 1 : 9));
    if (now) {
        device.failed++;
        errno = device.error;
    }
    return now;
}

static int faulty_create(const char *path) {
    return fails() ? -1 : journal_io_system.create(path);
}

static ssize_t faulty_write_at(int fd, const void *bytes, size_t n, off_t offset) {
    if (!fails()) {
        return journal_io_system.write_at(fd, bytes, n, offset);
    }
    int error = errno; // some of it is written before the rest fails
    if (n > 1 && journal_io_system.write_at(fd, bytes, n / 2, offset) < 0) {
        return -1;
    }
    errno = error;
    return -1;
}

static int faulty_sync(int fd) {
    (void)fd;
    device.syncs++;
    return fails() ? -1 : 0;
}

static int faulty_truncate(int fd, off_t bytes) {
    return fails() ? -1 : journal_io_system.truncate(fd, bytes);
}
static int faulty_rename(const char *from, const char *to) {
    return fails() ? -1 : journal_io_system.rename(from, to);
}
static int faulty_unlink(const char *path) {
    return fails() ? -1 : journal_io_system.unlink(path);
}
static bool faulty_sync_dir(const char *path, struct status *status) {
    return !fails() || status_errno(status, errno, "%s", path);
}

static const struct journal_io faulty = {faulty_create, faulty_write_at, faulty_sync,    faulty_truncate,
                                         faulty_rename, faulty_unlink,   faulty_sync_dir};

struct outcome {
    uint64_t appended, durable, freed; // what the journal has promised
};

// What is due is tried again until it succeeds, `tries` times at most. False: given up.
#define TRY(tries, call) \
    do { \
        unsigned left = (tries); \
        while (!(call)) { \
            if (left-- == 0) { \
                goto given_up; \
            } \
        } \
    } while (0)

// Append, sync every seventh, free some, close. Promises are noted as they are made.
static bool run_scenario(const char *dir, unsigned tries, struct outcome *outcome) {
    struct status status = {0};
    struct journal *journal = NULL;
    bool done = false;
    *outcome = (struct outcome){.freed = 1};
    const struct journal_options options = {.dir = dir, .segment_bytes = SEGMENT_BYTES};
    TRY(tries, (journal = journal_open_with(&options, &faulty, &status)) != NULL);
    for (uint64_t seq = 1; seq <= RECORDS; seq++) {
        TRY(tries, append_next(journal, seq, &status));
        outcome->appended = seq;
        if (seq % 7 == 0) {
            TRY(tries, journal_sync(journal, &status));
            outcome->durable = seq;
            assert_int_equal(journal_durable_seq(journal), seq);
        }
        if (seq % 11 == 0) {
            TRY(tries, journal_flush(journal, &status));
        }
        if (seq == 40) {
            outcome->freed = 30;
            TRY(tries, journal_free_before(journal, 30, &status));
        }
    }
    TRY(tries, journal_sync(journal, &status));
    outcome->durable = RECORDS;
    done = true;
given_up:
    assert_true(done || status.code != STATUS_OK);
    assert_true(done || status.text[0] != '\0');
    journal_close(journal);
    return done;
}

// With a device that works again: everything promised is there, and it goes on.
static void check_promises(const char *dir, const struct outcome *outcome) {
    struct journal_stats stats;
    struct journal *journal = open_good(dir, SEGMENT_BYTES, quick_io());
    journal_stats(journal, &stats);
    assert_true(stats.last_seq >= outcome->durable);
    assert_true(stats.last_seq <=
                outcome->appended + 1); // the record whose append was given up last was never promised
    assert_true(stats.first_seq <= outcome->freed);
    assert_int_equal(read_to_end(journal, stats.first_seq, true), stats.last_seq);
    append_good(journal, stats.last_seq + 1, stats.last_seq + 30);
    sync_good(journal);
    assert_int_equal(read_to_end(journal, stats.first_seq, true), stats.last_seq + 30);
    journal_close(journal);
}

static void fail_everywhere(enum faults how, int error, unsigned tries) {
    char *dir = new_folder();
    unsigned n = 0;
    do {
        struct outcome outcome;
        memset(&device, 0, sizeof device);
        device.fail_at = ++n;
        device.how = how;
        device.error = error;
        bool done = run_scenario(dir, tries, &outcome);
        if (tries > 0) {
            assert_true(done);
        }
        check_promises(dir, &outcome);
        remove_files(dir);
    } while (device.failed > 0);
    assert_true(n > 40); // there were that many places to fail at
    remove_folder(dir);
}

static void any_one_failure_passes(void **state) {
    (void)state;
    fail_everywhere(FAULT_ONCE, EIO, 1);
    fail_everywhere(FAULT_ONCE, ENOSPC, 1);
}

static void failures_for_a_while_pass(void **state) {
    (void)state;
    fail_everywhere(FAULT_FOR_A_WHILE, EIO, 12);
    fail_everywhere(FAULT_FOR_A_WHILE, ENOSPC, 12);
}

static void a_death_at_any_call_keeps_the_promises(void **state) {
    (void)state;
    fail_everywhere(FAULT_FOR_EVER, EIO, 0);
    fail_everywhere(FAULT_ONCE, EIO, 0);
}

static void a_failed_sync_is_not_asked_of_the_same_file_again(void **state) {
    (void)state;
    char *dir = new_folder();
    struct status status = {0};
    struct journal_stats stats;
    memset(&device, 0, sizeof device);
    struct journal *journal = open_good(dir, 0, &faulty);
    append_good(journal, 1, 10);
    sync_good(journal);
    append_good(journal, 11, 20);
    assert_true(journal_flush(journal, &status));
    device.how = FAULT_ONCE;
    device.error = EIO;
    device.fail_at = device.calls + 1; // nothing is left to write: the next call is the sync
    device.syncs = 0;
    assert_true(journal_sync(journal, &status));
    assert_int_equal(device.failed, 1);
    assert_int_equal(device.syncs, 3); // the failed one, the new segment's header, the new segment
    journal_stats(journal, &stats);
    assert_int_equal(stats.segments, 2);
    assert_int_equal(stats.durable_seq, 20);

    // The kernel may forget what the failed sync was for: nothing of it may be needed.
    struct buf first;
    buf_init(&first, 1 << 20);
    char path[PATH_MAX];
    segment_file(dir, 1, path);
    read_whole(path, &first);
    assert_true(first.len < 10 * (28 + 91) + 100);
    buf_free(&first);
    assert_int_equal(read_to_end(journal, 1, true), 20);
    journal_close(journal);
    journal = open_good(dir, 0, quick_io());
    assert_int_equal(read_to_end(journal, 1, true), 20);
    journal_close(journal);
    remove_folder(dir);
}

static void while_no_sync_succeeds_nothing_counts_as_durable(void **state) {
    (void)state;
    char *dir = new_folder();
    struct status status = {0};
    memset(&device, 0, sizeof device);
    struct journal *journal = open_good(dir, 0, &faulty);
    append_good(journal, 1, 10);
    sync_good(journal);
    append_good(journal, 11, 15);
    assert_int_equal(read_to_end(journal, 1, false), 15);
    device.how = FAULT_FOR_EVER;
    device.error = EIO;
    device.fail_at = device.calls + 1;
    for (int i = 0; i < 3; i++) {
        assert_false(journal_sync(journal, &status));
        assert_int_equal(status.code, STATUS_IO);
        assert_false(append_next(journal, 16, &status));
        assert_int_equal(journal_durable_seq(journal), 10);
        assert_int_equal(read_to_end(journal, 1, true), 10);
        assert_int_equal(read_to_end(journal, 1, false), 10); // the others are in no file that is trusted
    }
    device.fail_at = 0;
    append_good(journal, 16, 20);
    sync_good(journal);
    assert_int_equal(read_to_end(journal, 1, true), 20);
    journal_close(journal);
    remove_folder(dir);
}

static void a_segment_begun_in_vain_takes_no_records_away(void **state) {
    (void)state;
    char *dir = new_folder();
    char large[600] = {0};
    struct status status = {0};
    memset(&device, 0, sizeof device);
    struct journal *journal = open_good(dir, SEGMENT_BYTES, &faulty);
    append_good(journal, 1, 6);
    sync_good(journal);
    uint64_t seq;
    device.error = EIO;
    device.fail_at = device.calls + 5; // create, write, sync, rename succeed; the folder's sync fails
    assert_false(journal_append(journal, 0, 0, &(struct str){large, sizeof large}, 1, &seq, &status));
    assert_int_equal(device.failed, 1);
    append_good(journal, 7, 8); // these would have fitted into the segment before
    sync_good(journal);
    journal_close(journal);
    journal = open_good(dir, SEGMENT_BYTES, quick_io());
    assert_int_equal(read_to_end(journal, 1, true), 8);
    journal_close(journal);
    remove_folder(dir);
}

static void opening_makes_durable_what_it_found(void **state) {
    (void)state;
    char *dir = new_folder();
    struct status status = {0};
    struct journal *journal = open_good(dir, 0, quick_io());
    append_good(journal, 1, 10);
    journal_close(journal);
    memset(&device, 0, sizeof device);
    device.error = EIO;
    device.fail_at = 1; // the records may be in the page cache alone
    assert_null(journal_open_with(&(struct journal_options){.dir = dir}, &faulty, &status));
    assert_int_equal(status.code, STATUS_IO);
    assert_int_equal(device.syncs, 1);
    remove_folder(dir);
}

// ---- a full disk -------------------------------------------------------------------------

static void a_full_disk_refuses_and_goes_on_when_there_is_room(void **state) {
    (void)state;
    char *dir = new_folder();
    struct rlimit limit, old;
    struct status status = {0};
    struct journal *journal = open_good(dir, 0, quick_io());
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    uint64_t next = 1;
    for (rlim_t room = 10007; room < 50000; room += 10007) {
        limit = (struct rlimit){room, old.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        while (append_next(journal, next, &status) && (next++ % 10 != 0 || journal_sync(journal, &status))) {
        }
        assert_int_equal(status.code, STATUS_FULL);
        assert_false(journal_sync(journal, &status));
        assert_int_equal(status.code, STATUS_FULL);
        // Only whole records are in the file, and all that was durable is readable.
        uint64_t durable = journal_durable_seq(journal);
        assert_true(durable + 20 > next);
        assert_int_equal(read_to_end(journal, 1, true), durable);
        uint64_t live = read_to_end(journal, 1, false);
        assert_true(live >= durable && live < next);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_DFL);
    sync_good(journal);
    assert_int_equal(read_to_end(journal, 1, true), next - 1);
    journal_close(journal);
    journal = open_good(dir, 0, quick_io());
    assert_int_equal(read_to_end(journal, 1, true), next - 1);
    journal_close(journal);
    remove_folder(dir);
}

// ---- the power goes ----------------------------------------------------------------------

// What the device surely holds of each file, kept at every sync. Names and removals count as durable at once: the
// journal syncs the folder after each.
struct durable_file {
    ino_t inode;
    struct buf bytes;
};
static struct durable_file durable_files[64];
static size_t n_durable_files;
static uint64_t random_state;
static unsigned sync_failures_one_in; // 0: none

static uint64_t random_below(uint64_t n) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (random_state >> 33) % n;
}

static struct durable_file *durable_file_of(int fd) {
    struct stat stat;
    assert_int_equal(fstat(fd, &stat), 0);
    for (size_t i = 0; i < n_durable_files; i++) {
        if (durable_files[i].inode == stat.st_ino) {
            return &durable_files[i];
        }
    }
    assert_true(n_durable_files < COUNT_OF(durable_files));
    struct durable_file *file = &durable_files[n_durable_files++];
    file->inode = stat.st_ino;
    buf_init(&file->bytes, 1 << 20);
    return file;
}

static int powered_create(const char *path) {
    int fd = journal_io_system.create(path);
    if (fd >= 0) {
        buf_clear(&durable_file_of(fd)->bytes); // the number may be that of a file that is gone
    }
    return fd;
}

static void read_all_of(int fd, struct buf *out) {
    struct stat stat;
    assert_int_equal(fstat(fd, &stat), 0);
    buf_clear(out);
    assert_true(buf_reserve(out, (size_t)stat.st_size + 1));
    assert_int_equal(pread(fd, out->ptr, (size_t)stat.st_size, 0), stat.st_size);
    out->len = (size_t)stat.st_size;
}

// Each sector of 512 bytes as it was durable, or as it was written since; the length likewise.
static void mix(struct buf *now, const struct buf *durable) {
    size_t longest = now->len > durable->len ? now->len : durable->len;
    size_t len = random_below(2) ? now->len : durable->len;
    assert_true(buf_reserve(now, longest - now->len + 1));
    memset(now->ptr + now->len, 0, longest - now->len);
    for (size_t at = 0; at < longest; at += 512) {
        size_t n = longest - at < 512 ? longest - at : 512;
        if (random_below(2)) {
            size_t kept = durable->len > at ? (durable->len - at < n ? durable->len - at : n) : 0;
            if (kept > 0) {
                memcpy(now->ptr + at, durable->ptr + at, kept);
            }
            memset(now->ptr + at + kept, 0, n - kept);
        }
    }
    now->len = len;
}

static int powered_sync(int fd) {
    struct durable_file *file = durable_file_of(fd);
    if (sync_failures_one_in == 0 || random_below(sync_failures_one_in) != 0) {
        read_all_of(fd, &file->bytes);
        return 0;
    }
    // A failed sync: some of the pages are dropped, and a second sync of the file would say that all is well.
    struct buf now;
    buf_init(&now, 1 << 20);
    read_all_of(fd, &now);
    size_t len = now.len;
    mix(&now, &file->bytes);
    now.len = len;
    assert_int_equal(pwrite(fd, now.ptr, len, 0), (ssize_t)len);
    buf_clear(&file->bytes);
    buf_add(&file->bytes, now.ptr, len);
    buf_free(&now);
    errno = EIO;
    return -1;
}

// The folder as the next start finds it.
static void cut_power(const char *dir, const char *after) {
    DIR *listing = opendir(dir);
    const struct dirent *entry;
    struct buf now;
    buf_init(&now, 1 << 20);
    while ((entry = readdir(listing)) != NULL) {
        char path[PATH_MAX];
        if (entry->d_name[0] == '.') {
            continue;
        }
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        read_all_of(fd, &now);
        mix(&now, &durable_file_of(fd)->bytes);
        close(fd);
        snprintf(path, sizeof path, "%s/%s", after, entry->d_name);
        write_whole(path, now.ptr, now.len);
    }
    closedir(listing);
    buf_free(&now);
}

static void live_and_die(const struct journal_io *io, unsigned failures_one_in, const char *dir, const char *after) {
    struct journal *journal = open_good(dir, 3000, io);
    sync_failures_one_in = failures_one_in;
    struct status status = {0};
    uint64_t next = 1, steps = 20 + random_below(200);
    for (uint64_t step = 0; step < steps; step++) {
        uint64_t what = random_below(20);
        if (what < 12) {
            next += append_next(journal, next, &status);
        } else if (what < 15) {
            journal_sync(journal, &status);
        } else if (what < 19) {
            journal_flush(journal, &status);
        } else {
            journal_free_before(journal, random_below(next), &status);
        }
    }
    uint64_t durable = journal_durable_seq(journal);
    struct journal_stats stats, left;
    journal_stats(journal, &stats);
    cut_power(dir, after);
    sync_failures_one_in = 0;
    journal_close(journal);
    remove_files(dir);

    journal = open_good(after, 3000, quick_io());
    journal_stats(journal, &left);
    assert_int_equal(left.first_seq, stats.first_seq);
    assert_true(left.last_seq >= durable && left.last_seq < next);
    assert_int_equal(read_to_end(journal, left.first_seq, true), left.last_seq);
    journal_close(journal);
    remove_files(after);
}

static void power_cuts(unsigned lives, unsigned failures_one_in) {
    char *dir = new_folder(), *after = new_folder();
    struct journal_io io = journal_io_system;
    io.create = powered_create;
    io.sync = powered_sync;
    io.sync_dir = skip_sync_dir;
    for (unsigned life = 0; life < lives; life++) {
        random_state = life;
        sync_failures_one_in = 0; // opening is not what fails here
        n_durable_files = 0;
        live_and_die(&io, failures_one_in, dir, after);
        for (size_t i = 0; i < n_durable_files; i++) {
            buf_free(&durable_files[i].bytes);
        }
    }
    remove_folder(dir);
    remove_folder(after);
}

static void power_cuts_keep_what_is_durable(void **state) {
    (void)state;
    power_cuts(600, 0);
}

static void power_cuts_and_failing_syncs_keep_what_is_durable(void **state) {
    (void)state;
    power_cuts(600, 6);
}

int main(void) {
    logline_setup(LOGLINE_LOGFMT, LOGLINE_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_one_failure_passes),
        cmocka_unit_test(failures_for_a_while_pass),
        cmocka_unit_test(a_death_at_any_call_keeps_the_promises),
        cmocka_unit_test(a_failed_sync_is_not_asked_of_the_same_file_again),
        cmocka_unit_test(while_no_sync_succeeds_nothing_counts_as_durable),
        cmocka_unit_test(a_segment_begun_in_vain_takes_no_records_away),
        cmocka_unit_test(opening_makes_durable_what_it_found),
        cmocka_unit_test(a_full_disk_refuses_and_goes_on_when_there_is_room),
        cmocka_unit_test(power_cuts_keep_what_is_durable),
        cmocka_unit_test(power_cuts_and_failing_syncs_keep_what_is_durable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
