// Damage on disk: every truncation, every flipped bit of a small journal. What is left
// is the records in order from the first, or the journal is refused; never another
// byte than was written, never a crash.
#include "journal_testing.h"

#include "journal_format.h"

#define SEGMENT_BYTES 1000

struct image {
    uint64_t first_seq;
    struct buf bytes;
};

// A journal of two segments as it lies on disk: 20 records and more, the last `unsynced` of them only written.
static size_t make_images(const char *dir, uint64_t unsynced, struct image images[2], uint64_t *last) {
    struct journal *journal = open_good(dir, SEGMENT_BYTES, quick_io());
    struct journal_stats stats;
    uint64_t next = 1, starts[3] = {1};
    size_t n = 1;
    do {
        append_good(journal, next, next);
        sync_good(journal);
        journal_stats(journal, &stats);
        if (stats.segments > n) {
            starts[n++] = next;
        }
        next++;
    } while (n < 2 || next < starts[1] + 3);
    append_good(journal, next, next + unsynced - 1);
    *last = next + unsynced - 1;
    struct status status = {0};
    assert_true(journal_flush(journal, &status));
    journal_stats(journal, &stats);
    assert_int_equal(stats.segments, 2);
    for (size_t i = 0; i < 2; i++) {
        char path[PATH_MAX];
        images[i].first_seq = starts[i];
        buf_init(&images[i].bytes, 1 << 20);
        segment_file(dir, starts[i], path);
        read_whole(path, &images[i].bytes);
    }
    journal_close(journal);
    return n;
}

static void put_images(const char *dir, const struct image images[2]) {
    remove_files(dir);
    for (size_t i = 0; i < 2; i++) {
        char path[PATH_MAX];
        segment_file(dir, images[i].first_seq, path);
        write_whole(path, images[i].bytes.ptr, images[i].bytes.len);
    }
}

static void free_images(struct image images[2]) {
    buf_free(&images[0].bytes);
    buf_free(&images[1].bytes);
}

// The number of whole records in the first `n` bytes of an image; *whole: where the last of them, or a mark, ends.
static uint64_t records_within(const struct image *image, size_t n, size_t *whole) {
    uint64_t records = 0;
    struct segment_header header;
    uint32_t version;
    assert_int_equal(segment_header_decode((const uint8_t *)image->bytes.ptr, image->bytes.len, &header, &version),
                     SEGMENT_OK);
    *whole = SEGMENT_HEADER_BYTES;
    for (;;) {
        struct record record;
        size_t need;
        if (record_decode((const uint8_t *)image->bytes.ptr + *whole, n - *whole, header.salt, &record, &need) !=
            RECORD_OK) {
            return records;
        }
        *whole += need;
        records += record.kind == RECORD_DATA;
    }
}

// Opens what is left, reads it, goes on appending, and opens again. Returns the last record that was left.
static uint64_t use_what_is_left(const char *dir, uint64_t *torn_bytes) {
    struct journal_stats stats;
    struct journal *journal = open_good(dir, SEGMENT_BYTES, quick_io());
    journal_stats(journal, &stats);
    *torn_bytes = stats.torn_bytes;
    assert_int_equal(stats.first_seq, 1);
    assert_int_equal(read_to_end(journal, 1, true), stats.last_seq);
    append_good(journal, stats.last_seq + 1, stats.last_seq + 5);
    sync_good(journal);
    assert_int_equal(read_to_end(journal, 1, true), stats.last_seq + 5);
    journal_close(journal);
    uint64_t left = stats.last_seq;
    journal = open_good(dir, SEGMENT_BYTES, quick_io());
    journal_stats(journal, &stats);
    assert_int_equal(stats.torn_bytes, 0);
    assert_int_equal(read_to_end(journal, 1, true), left + 5);
    journal_close(journal);
    return left;
}

static void expect_refusal(const char *dir, uint64_t first_seq) {
    char path[PATH_MAX];
    struct status status = {0};
    struct journal *journal = journal_open_with(&(struct journal_options){.dir = dir}, quick_io(), &status);
    assert_null(journal);
    assert_int_equal(status.code, STATUS_CORRUPT);
    segment_file(dir, first_seq, path);
    if (!strstr(status.text, path) || (!strstr(status.text, "offset") && !strstr(status.text, "version"))) {
        fail_msg("does not say where: %s", status.text);
    }
}

static void every_truncation_leaves_whole_records(void **state) {
    (void)state;
    char *dir = new_folder();
    struct image images[2];
    uint64_t last, torn_bytes;
    make_images(dir, 0, images, &last);
    const size_t full = images[1].bytes.len;
    for (size_t n = 0; n <= full; n++) {
        images[1].bytes.len = n;
        put_images(dir, images);
        if (n < SEGMENT_HEADER_BYTES) {
            expect_refusal(dir,
                           images[1].first_seq); // a segment is named after its header is durable: no crash does this
            continue;
        }
        size_t whole;
        uint64_t left = images[1].first_seq - 1 + records_within(&images[1], n, &whole);
        assert_int_equal(use_what_is_left(dir, &torn_bytes), left);
        assert_int_equal(torn_bytes, n - whole);
    }
    free_images(images);
    remove_folder(dir);
}

static void a_truncated_earlier_segment_is_refused(void **state) {
    (void)state;
    char *dir = new_folder();
    struct image images[2];
    uint64_t last, torn_bytes;
    make_images(dir, 0, images, &last);
    size_t whole;
    assert_int_equal(records_within(&images[0], images[0].bytes.len, &whole), images[1].first_seq - 1);
    assert_int_equal(whole, images[0].bytes.len);
    for (size_t n = 0; n < whole; n++) {
        images[0].bytes.len = n;
        put_images(dir, images);
        expect_refusal(dir, 1);
    }
    images[0].bytes.len = whole;
    put_images(dir, images);
    assert_int_equal(use_what_is_left(dir, &torn_bytes), last);
    free_images(images);
    remove_folder(dir);
}

static void a_missing_segment_is_refused(void **state) {
    (void)state;
    char *dir = new_folder();
    char path[PATH_MAX];
    struct status status = {0};
    struct journal *journal = open_good(dir, SEGMENT_BYTES, quick_io());
    append_good(journal, 1, 100);
    assert_true(journal_flush(journal, &status));
    uint64_t second = 0;
    for (uint64_t seq = 2; second == 0 && seq < 100; seq++) {
        segment_file(dir, seq, path);
        second = access(path, F_OK) == 0 ? seq : 0;
    }
    journal_close(journal);
    assert_int_not_equal(second, 0);
    assert_int_equal(unlink(path), 0);
    expect_refusal(dir, 1);
    remove_folder(dir);
}

// Every bit of one image, with the other whole. Flips before `durable_end` must be refused; those behind leave at least
// the records that end before the flip.
static void flip_every_bit(const char *dir, struct image images[2], size_t i, size_t durable_end, uint64_t last) {
    char *bytes = images[i].bytes.ptr;
    for (size_t bit = 0; bit < images[i].bytes.len * 8; bit++) {
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << (bit % 8)));
        put_images(dir, images);
        if (bit / 8 < durable_end) {
            expect_refusal(dir, images[i].first_seq);
        } else {
            size_t whole;
            uint64_t left, torn_bytes;
            left = use_what_is_left(dir, &torn_bytes);
            assert_true(torn_bytes > 0);
            assert_true(left <= last);
            assert_int_equal(left, images[1].first_seq - 1 + records_within(&images[1], images[1].bytes.len, &whole));
        }
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << (bit % 8)));
    }
}

static void every_flipped_bit_of_a_durable_journal_is_found(void **state) {
    (void)state;
    char *dir = new_folder();
    struct image images[2];
    uint64_t last;
    make_images(dir, 0, images, &last);
    // It ends with a mark. Without that mark's bytes nothing but the mark is lost.
    const size_t marked = images[1].bytes.len - RECORD_HEADER_BYTES;
    flip_every_bit(dir, images, 0, images[0].bytes.len, last);
    flip_every_bit(dir, images, 1, marked, last);
    free_images(images);
    remove_folder(dir);
}

static void flipped_bits_behind_the_last_sync_are_a_torn_end(void **state) {
    (void)state;
    char *dir = new_folder();
    struct image images[2];
    uint64_t last;
    make_images(dir, 4, images, &last);
    size_t end = 0;
    for (uint64_t n = images[1].bytes.len; n > 0; n--) { // the last mark's own place: where four records begin
        size_t whole;
        if (records_within(&images[1], n, &whole) + 4 == records_within(&images[1], images[1].bytes.len, &end)) {
            end = whole;
            break;
        }
    }
    flip_every_bit(dir, images, 1, end - RECORD_HEADER_BYTES, last);
    free_images(images);
    remove_folder(dir);
}

static size_t end_of_record(const struct image *image, uint64_t count) {
    size_t whole = 0;
    for (size_t n = SEGMENT_HEADER_BYTES; records_within(image, n, &whole) < count; n++) {
        assert_true(n < image->bytes.len);
    }
    return whole;
}

static void whole_records_out_of_order_are_refused(void **state) {
    (void)state;
    char *dir = new_folder();
    char saved[4096];
    struct image images[2];
    uint64_t last;
    make_images(dir, 0, images, &last);
    struct buf *bytes = &images[1].bytes;
    const size_t len = bytes->len;
    assert_true(len < sizeof saved);
    memcpy(saved, bytes->ptr, len);
    // The second record with the mark behind it: taken out, and put in twice.
    const size_t begin = end_of_record(&images[1], 1) + RECORD_HEADER_BYTES;
    const size_t end = end_of_record(&images[1], 2) + RECORD_HEADER_BYTES;
    memmove(bytes->ptr + begin, bytes->ptr + end, len - end);
    bytes->len = len - (end - begin);
    put_images(dir, images);
    expect_refusal(dir, images[1].first_seq);
    bytes->len = 0;
    buf_add(bytes, saved, end);
    buf_add(bytes, saved + begin, len - begin);
    put_images(dir, images);
    expect_refusal(dir, images[1].first_seq);
    free_images(images);
    remove_folder(dir);
}

static void a_cursor_finds_damage_that_comes_later(void **state) {
    (void)state;
    char *dir = new_folder();
    char path[PATH_MAX];
    struct status status = {0};
    struct journal *journal = open_good(dir, 0, quick_io());
    append_good(journal, 1, 20);
    sync_good(journal);
    segment_file(dir, 1, path);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "\xff\xff\xff\xff", 4, 300), 4);
    close(fd);
    struct journal_cursor *cursor = journal_cursor_open(journal, 1, true);
    struct journal_record record;
    uint64_t seq = 1;
    enum journal_read read;
    while ((read = journal_next(cursor, &record, &status)) == JOURNAL_RECORD) {
        check_record(&record, seq++);
    }
    assert_int_equal(read, JOURNAL_FAILED);
    assert_int_equal(status.code, STATUS_CORRUPT);
    assert_non_null(strstr(status.text, path));
    assert_true(seq < 20);
    assert_int_equal(journal_next(cursor, &record, &status), JOURNAL_FAILED); // and does not step over it
    journal_cursor_close(cursor);
    journal_close(journal);
    remove_folder(dir);
}

static void strange_files_are_not_taken_for_segments(void **state) {
    (void)state;
    char *dir = new_folder();
    char path[PATH_MAX];
    uint64_t torn_bytes;
    struct journal *journal = open_good(dir, SEGMENT_BYTES, quick_io());
    append_good(journal, 1, 10);
    journal_close(journal);
    const char *const harmless[] = {"00000000000000000007.seg.tmp", "notes.txt", "7.seg", "0000000000000000000x.seg",
                                    "00000000000000000000.seg"};
    for (size_t i = 0; i < COUNT_OF(harmless); i++) {
        snprintf(path, sizeof path, "%s/%s", dir, harmless[i]);
        write_whole(path, "something", 9);
    }
    assert_int_equal(use_what_is_left(dir, &torn_bytes), 10);
    segment_file(dir, 7, path);
    write_whole(path, "this file has a segment's name and another's content", 52);
    expect_refusal(dir, 7);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0750), 0);
    struct status status = {0};
    assert_null(journal_open(&(struct journal_options){.dir = dir}, &status));
    assert_int_not_equal(status.code, STATUS_OK);
    assert_non_null(strstr(status.text, path));
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(use_what_is_left(dir, &torn_bytes), 15);
    remove_folder(dir);
}

static void another_version_is_refused_by_its_number(void **state) {
    (void)state;
    char *dir = new_folder();
    char path[PATH_MAX];
    struct status status = {0};
    journal_close(open_good(dir, 0, quick_io()));
    segment_file(dir, 1, path);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "\x07", 1, 8), 1);
    close(fd);
    assert_null(journal_open(&(struct journal_options){.dir = dir}, &status));
    assert_int_equal(status.code, STATUS_CORRUPT);
    assert_non_null(strstr(status.text, "version 7"));
    remove_folder(dir);
}

int main(void) {
    logline_setup(LOGLINE_LOGFMT, LOGLINE_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_truncation_leaves_whole_records),
        cmocka_unit_test(a_truncated_earlier_segment_is_refused),
        cmocka_unit_test(a_missing_segment_is_refused),
        cmocka_unit_test(every_flipped_bit_of_a_durable_journal_is_found),
        cmocka_unit_test(flipped_bits_behind_the_last_sync_are_a_torn_end),
        cmocka_unit_test(whole_records_out_of_order_are_refused),
        cmocka_unit_test(a_cursor_finds_damage_that_comes_later),
        cmocka_unit_test(strange_files_are_not_taken_for_segments),
        cmocka_unit_test(another_version_is_refused_by_its_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
