// file and stdin as sources: lines, positions, cuts, rotation.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../broker/live.h"
#include "penstock/source.h"

struct scratch {
    char dir[64], path[96];
};

static struct scratch scratch_new(void) {
    struct scratch scratch;
    live_scratch(scratch.dir, sizeof scratch.dir);
    snprintf(scratch.path, sizeof scratch.path, "%s/events.ndjson", scratch.dir);
    return scratch;
}

static void put(const char *path, const char *mode, struct str text) {
    FILE *out = fopen(path, mode);
    assert_non_null(out);
    assert_int_equal(fwrite(text.ptr, 1, text.len, out), text.len);
    assert_int_equal(fclose(out), 0);
}

static struct source *open_file(const char *path, bool follow, uint32_t max_bytes,
                                const struct source_position *positions, size_t n) {
    struct source_config config = {
        .name = (char *)(uintptr_t) "events",
        .kind = SOURCE_FILE,
        .max_message_bytes = max_bytes,
        .path = (char *)(uintptr_t)path,
        .follow = follow,
    };
    struct status status = {0};
    struct source *source = source_open(&config, positions, n, &status);
    assert_non_null(source);
    return source;
}

struct line {
    char text[64];
    int64_t offset;
    int32_t partition;
    uint64_t full_bytes;
};

// Reads until the end, or (following) until `want` lines are there. Returns how many.
static size_t read_lines(struct source *source, size_t batch_messages, size_t batch_bytes, struct line *lines,
                         size_t want) {
    struct batch batch;
    batch_init(&batch, batch_messages, batch_bytes);
    size_t n = 0;
    for (int round = 0; round < 400 && n < want; round++) {
        struct status status = {0};
        if (!source_read(source, &batch, 20, &status)) {
            assert_int_equal(status.code, STATUS_CLOSED);
            break;
        }
        for (size_t i = 0; i < batch.n && n < want; i++, n++) {
            const struct message *message = &batch.messages[i];
            snprintf(lines[n].text, sizeof lines[n].text, "%.*s", STR_ARG(message->bytes));
            lines[n].offset = message->offset;
            lines[n].partition = message->partition;
            lines[n].full_bytes = message->full_bytes;
        }
        source_commit(source, &batch);
    }
    batch_free(&batch);
    return n;
}

static void test_lines_and_their_offsets(void **state) {
    (void)state;
    struct scratch scratch = scratch_new();
    put(scratch.path, "w", STR("one\r\n\n   \t\ntwo\r\r\n\xff\xfe\x01\nlast"));
    static const struct {
        const char *text;
        int64_t offset;
    } want[] = {{"one", 0}, {"two\r", 11}, {"\xff\xfe\x01", 17}, {"last", 21}};
    for (size_t per_batch = 1; per_batch <= 5; per_batch++) {
        struct line lines[16];
        struct source *source = open_file(scratch.path, false, 1000, NULL, 0);
        assert_int_equal(read_lines(source, per_batch, 1 << 20, lines, 16), COUNT_OF(want));
        for (size_t i = 0; i < COUNT_OF(want); i++) {
            assert_string_equal(lines[i].text, want[i].text);
            assert_int_equal(lines[i].offset, want[i].offset);
            assert_int_equal(lines[i].full_bytes, strlen(want[i].text));
            assert_int_equal(lines[i].partition, 0);
        }
        struct source_stats stats;
        source_get_stats(source, &stats);
        assert_true(stats.ended);
        assert_int_equal(stats.messages, 4);
        source_close(source);
    }
    live_remove(scratch.dir);
}

static void test_nul_bytes_pass(void **state) {
    (void)state;
    struct scratch scratch = scratch_new();
    put(scratch.path, "w", STR("a\0b\n\0\n"));
    struct source *source = open_file(scratch.path, false, 1000, NULL, 0);
    struct batch batch;
    struct status status = {0};
    batch_init(&batch, 10, 1000);
    assert_true(source_read(source, &batch, 20, &status));
    assert_int_equal(batch.n, 2);
    assert_true(str_eq(batch.messages[0].bytes, STR("a\0b")));
    assert_true(str_eq(batch.messages[1].bytes, STR("\0")));
    batch_free(&batch);
    source_close(source);
    live_remove(scratch.dir);
}

// Lines over the bound are cut and say how long they were; also over chunk borders, also at the very end.
static void test_long_lines_are_cut(void **state) {
    (void)state;
    struct scratch scratch = scratch_new();
    char *big = malloc(1000000);
    memset(big, 'x', 1000000);
    put(scratch.path, "w", STR("short\n"));
    put(scratch.path, "a", (struct str){big, 1000000});
    put(scratch.path, "a", STR("\r\n0123456789\n01234567890\r\nafter\n"));
    put(scratch.path, "a", (struct str){big, 700000});
    struct line lines[16];
    struct source *source = open_file(scratch.path, false, 10, NULL, 0);
    assert_int_equal(read_lines(source, 2, 200, lines, 16), 6);
    assert_string_equal(lines[0].text, "short");
    assert_string_equal(lines[1].text, "xxxxxxxxxx");
    assert_int_equal(lines[1].full_bytes, 1000000);
    assert_int_equal(lines[1].offset, 6);
    assert_string_equal(lines[2].text, "0123456789");
    assert_int_equal(lines[2].full_bytes, 10);
    assert_int_equal(lines[2].offset, 6 + 1000000 + 2);
    assert_string_equal(lines[3].text, "0123456789");
    assert_int_equal(lines[3].full_bytes, 11);
    assert_string_equal(lines[4].text, "after");
    assert_int_equal(lines[5].full_bytes, 700000);
    source_close(source);
    free(big);
    live_remove(scratch.dir);
}

// Every position gives exactly the lines that begin at or after it.
static void test_resume_at_any_position(void **state) {
    (void)state;
    struct scratch scratch = scratch_new();
    struct str text = STR("a\nbb\n\nccc\r\n d\ne");
    put(scratch.path, "w", text);
    static const int64_t begins[] = {0, 2, 6, 11, 14};
    for (int64_t position = 0; position <= (int64_t)text.len; position++) {
        struct source_position at = {.next_offset = position};
        struct source *source = open_file(scratch.path, false, 1000, &at, 1);
        struct line lines[8];
        size_t n = read_lines(source, 8, 10000, lines, 8), first = 0;
        while (first < COUNT_OF(begins) && begins[first] < position)
            first++;
        assert_int_equal(n, COUNT_OF(begins) - first);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(lines[i].offset, begins[first + i]);
        source_close(source);
    }
    live_remove(scratch.dir);
}

static void test_shorter_than_the_position_was_rotated(void **state) {
    (void)state;
    struct scratch scratch = scratch_new();
    put(scratch.path, "w", STR("new\n"));
    struct source_position positions[] = {{.partition = 0, .next_offset = 1000}, {.partition = 1, .next_offset = 500}};
    struct source *source = open_file(scratch.path, false, 1000, positions, 2);
    struct line lines[2];
    assert_int_equal(read_lines(source, 8, 10000, lines, 2), 1);
    assert_int_equal(lines[0].offset, 0);
    assert_int_equal(lines[0].partition, 2);
    source_close(source);
    live_remove(scratch.dir);
}

static void test_follow_waits_for_whole_lines(void **state) {
    (void)state;
    struct scratch scratch = scratch_new();
    struct line lines[4];
    struct source *source = open_file(scratch.path, true, 1000, NULL, 0); // not there yet
    assert_int_equal(read_lines(source, 4, 10000, lines, 0), 0);
    struct source_stats stats;
    source_get_stats(source, &stats);
    assert_false(stats.ready);
    assert_non_null(strstr(stats.detail, "does not exist yet"));
    put(scratch.path, "w", STR("one\ntw"));
    assert_int_equal(read_lines(source, 4, 10000, lines, 1), 1);
    assert_string_equal(lines[0].text, "one");
    struct batch batch;
    struct status status = {0};
    batch_init(&batch, 4, 10000);
    assert_true(source_read(source, &batch, 250, &status));
    assert_int_equal(batch.n, 0); // half a line is none
    batch_free(&batch);
    put(scratch.path, "a", STR("o\nthree\n"));
    assert_int_equal(read_lines(source, 4, 10000, lines, 2), 2);
    assert_string_equal(lines[0].text, "two");
    assert_int_equal(lines[0].offset, 4);
    assert_string_equal(lines[1].text, "three");
    source_close(source);
    live_remove(scratch.dir);
}

static void test_follow_rotation_and_truncation(void **state) {
    (void)state;
    struct scratch scratch = scratch_new();
    char old[120];
    snprintf(old, sizeof old, "%s.1", scratch.path);
    put(scratch.path, "w", STR("one\n"));
    struct line lines[4];
    struct source *source = open_file(scratch.path, true, 1000, NULL, 0);
    assert_int_equal(read_lines(source, 4, 10000, lines, 1), 1);
    assert_int_equal(rename(scratch.path, old), 0);
    put(scratch.path, "w", STR("first of the new\n"));
    put(old, "a", STR("two\nunfinished")); // the writer had the old one open for a moment
    assert_int_equal(read_lines(source, 4, 10000, lines, 3), 3);
    assert_string_equal(lines[0].text, "two");
    assert_int_equal(lines[0].offset, 4);
    assert_string_equal(lines[1].text, "unfinished");
    assert_int_equal(lines[1].partition, 0);
    assert_string_equal(lines[2].text, "first of the new");
    assert_int_equal(lines[2].offset, 0);
    assert_int_equal(lines[2].partition, 1);
    put(scratch.path, "w", STR("cut\n")); // truncated in place
    assert_int_equal(read_lines(source, 4, 10000, lines, 1), 1);
    assert_string_equal(lines[0].text, "cut");
    assert_int_equal(lines[0].offset, 0);
    assert_int_equal(lines[0].partition, 2);
    source_close(source);
    live_remove(scratch.dir);
}

static void test_stdin_counts_lines(void **state) {
    (void)state;
    int ends[2], keep = dup(STDIN_FILENO);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    close(ends[0]);
    struct source_config config = {.name = (char *)(uintptr_t) "in", .kind = SOURCE_STDIN, .max_message_bytes = 1000};
    struct source_position position = {.next_offset = 100};
    struct status status = {0};
    struct source *source = source_open(&config, &position, 1, &status);
    assert_non_null(source);
    struct batch batch;
    batch_init(&batch, 8, 10000);
    assert_true(source_read(source, &batch, 30, &status)); // nothing yet
    assert_int_equal(batch.n, 0);
    assert_int_equal(write(ends[1], "one\n\nthr", 8), 8);
    assert_true(source_read(source, &batch, 1000, &status));
    assert_int_equal(batch.n, 1);
    assert_int_equal(batch.messages[0].offset, 100);
    assert_int_equal(write(ends[1], "ee\nlast", 7), 7);
    close(ends[1]);
    assert_true(source_read(source, &batch, 1000, &status));
    size_t n = batch.n;
    assert_true(str_eq(batch.messages[0].bytes, STR("three")));
    assert_int_equal(batch.messages[0].offset, 102);
    if (n == 1) {
        assert_true(source_read(source, &batch, 1000, &status));
        n += batch.n;
    }
    assert_int_equal(n, 2);
    assert_true(str_eq(batch.messages[batch.n - 1].bytes, STR("last")));
    assert_int_equal(batch.messages[batch.n - 1].offset, 103);
    assert_false(source_read(source, &batch, 1000, &status));
    assert_int_equal(status.code, STATUS_CLOSED);
    batch_free(&batch);
    source_close(source);
    dup2(keep, STDIN_FILENO);
    close(keep);
}

static void test_bad_settings(void **state) {
    (void)state;
    struct status status = {0};
    struct source_config config = {.name = (char *)(uintptr_t) "f", .kind = SOURCE_FILE, .max_message_bytes = 10};
    config.path = (char *)(uintptr_t) "/nonexistent/file";
    assert_null(source_open(&config, NULL, 0, &status));
    assert_int_equal(status.code, STATUS_NOT_FOUND);
    assert_non_null(strstr(status.text, "/nonexistent/file"));
    config.path = (char *)(uintptr_t) "/tmp";
    assert_null(source_open(&config, NULL, 0, &status));
    config.max_message_bytes = 0;
    assert_null(source_open(&config, NULL, 0, &status));
    assert_non_null(strstr(status.text, "max_message_bytes"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_and_their_offsets),
        cmocka_unit_test(test_nul_bytes_pass),
        cmocka_unit_test(test_long_lines_are_cut),
        cmocka_unit_test(test_resume_at_any_position),
        cmocka_unit_test(test_shorter_than_the_position_was_rotated),
        cmocka_unit_test(test_follow_waits_for_whole_lines),
        cmocka_unit_test(test_follow_rotation_and_truncation),
        cmocka_unit_test(test_stdin_counts_lines),
        cmocka_unit_test(test_bad_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
