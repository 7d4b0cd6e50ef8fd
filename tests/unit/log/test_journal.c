// The journal as its callers use it: append, sync, read, reopen, free, bounds, lock.
#include "journal_testing.h"

#include <sys/wait.h>

static void records_come_back_as_they_were(void **state) {
    (void)state;
    char *dir = new_folder();
    struct journal *journal = open_good(dir, 0, &journal_io_system);
    struct journal_stats stats;
    journal_stats(journal, &stats);
    assert_int_equal(stats.first_seq, 1);
    assert_int_equal(stats.last_seq, 0);
    append_good(journal, 1, 100);
    assert_int_equal(journal_durable_seq(journal), 0);
    assert_int_equal(read_to_end(journal, 1, true), 0);
    assert_int_equal(read_to_end(journal, 1, false), 100);
    sync_good(journal);
    assert_int_equal(journal_durable_seq(journal), 100);
    assert_int_equal(read_to_end(journal, 1, true), 100);
    assert_int_equal(read_to_end(journal, 57, true), 100);
    journal_close(journal);

    journal = open_good(dir, 0, &journal_io_system);
    assert_int_equal(read_to_end(journal, 1, true), 100);
    append_good(journal, 101, 150);
    sync_good(journal);
    assert_int_equal(read_to_end(journal, 1, true), 150);
    journal_stats(journal, &stats);
    assert_int_equal(stats.last_seq, 150);
    assert_int_equal(stats.torn_bytes, 0);
    assert_int_equal(stats.segments, 1);
    journal_close(journal);
    remove_folder(dir);
}

static void closing_keeps_what_was_appended(void **state) {
    (void)state;
    char *dir = new_folder();
    struct journal *journal = open_good(dir, 0, &journal_io_system);
    append_good(journal, 1, 10);
    journal_close(journal);
    journal = open_good(dir, 0, &journal_io_system);
    assert_int_equal(read_to_end(journal, 1, true), 10);
    journal_close(journal);
    remove_folder(dir);
}

static void flushed_records_survive_a_kill(void **state) {
    (void)state;
    char *dir = new_folder();
    pid_t child = fork();
    if (child == 0) {
        struct journal *journal = open_good(dir, 500, &journal_io_system);
        append_good(journal, 1, 40);
        _exit(journal_flush(journal, NULL) ? 0 : 1); // the process ends without closing
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_int_equal(how, 0);
    struct journal *journal = open_good(dir, 500, &journal_io_system);
    assert_int_equal(read_to_end(journal, 1, true), 40);
    journal_close(journal);
    remove_folder(dir);
}

static void segments_follow_each_other(void **state) {
    (void)state;
    char *dir = new_folder();
    struct journal *journal = open_good(dir, 1000, quick_io());
    append_good(journal, 1, 500);
    sync_good(journal);
    struct journal_stats stats;
    journal_stats(journal, &stats);
    assert_true(stats.segments > 10);
    assert_int_equal(read_to_end(journal, 1, true), 500);
    for (uint64_t from = 1; from <= 501; from += 7) {
        assert_int_equal(read_to_end(journal, from, true), 500);
    }
    uint64_t bytes = stats.bytes;
    journal_close(journal);
    journal = open_good(dir, 1000, quick_io());
    journal_stats(journal, &stats);
    assert_int_equal(stats.bytes, bytes);
    assert_int_equal(read_to_end(journal, 1, true), 500);
    journal_close(journal);
    remove_folder(dir);
}

static void a_record_larger_than_every_buffer_comes_back(void **state) {
    (void)state;
    char *dir = new_folder();
    size_t len = (3u << 20) + 17;
    char *large = must_alloc(len);
    for (size_t i = 0; i < len; i++) {
        large[i] = (char)(i * 31 >> 3);
    }
    struct status status = {0};
    struct journal *journal = open_good(dir, 1 << 20, &journal_io_system);
    uint64_t seq;
    for (int i = 0; i < 3; i++) {
        assert_true(journal_append(journal, 1, 1, &(struct str){large, len}, 1, &seq, &status));
        assert_true(journal_append(journal, 2, 1, NULL, 0, &seq, &status));
    }
    sync_good(journal);
    journal_close(journal);
    journal = open_good(dir, 1 << 20, &journal_io_system);
    struct journal_cursor *cursor = journal_cursor_open(journal, 1, true);
    struct journal_record record;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(journal_next(cursor, &record, &status), JOURNAL_RECORD);
        assert_int_equal(record.payload.len, len);
        assert_memory_equal(record.payload.ptr, large, len);
        assert_int_equal(journal_next(cursor, &record, &status), JOURNAL_RECORD);
        assert_int_equal(record.payload.len, 0);
    }
    assert_int_equal(journal_next(cursor, &record, &status), JOURNAL_END);
    journal_cursor_close(cursor);
    journal_close(journal);
    free(large);
    remove_folder(dir);
}

static void a_record_over_the_maximum_is_refused(void **state) {
    (void)state;
    char *dir = new_folder();
    struct status status = {0};
    struct journal *journal = journal_open(&(struct journal_options){.dir = dir, .max_record_bytes = 10}, &status);
    assert_non_null(journal);
    uint64_t seq = 0;
    assert_false(journal_append(journal, 0, 0, (struct str[]){STR("123456"), STR("78901")}, 2, &seq, &status));
    assert_int_equal(status.code, STATUS_INVALID);
    assert_true(journal_append(journal, 0, 0, (struct str[]){STR("123456"), STR("7890")}, 2, &seq, &status));
    assert_int_equal(seq, 1);
    journal_close(journal);
    remove_folder(dir);
}

static void time_never_goes_back(void **state) {
    (void)state;
    char *dir = new_folder();
    struct status status = {0};
    struct journal_record record;
    uint64_t seq;
    struct journal *journal = open_good(dir, 0, quick_io());
    assert_true(journal_append(journal, 0, 5000, NULL, 0, &seq, &status));
    assert_true(journal_append(journal, 0, 4000, NULL, 0, &seq, &status));
    journal_close(journal);
    journal = open_good(dir, 0, quick_io());
    assert_true(journal_append(journal, 0, 3000, NULL, 0, &seq, &status));
    assert_true(journal_free_before(journal, 4, &status)); // nothing is left but the time
    journal_close(journal);
    journal = open_good(dir, 0, quick_io());
    assert_true(journal_append(journal, 0, 2000, NULL, 0, &seq, &status));
    assert_int_equal(seq, 4);
    sync_good(journal);
    struct journal_cursor *cursor = journal_cursor_open(journal, 4, true);
    assert_int_equal(journal_next(cursor, &record, &status), JOURNAL_RECORD);
    assert_int_equal(record.time_ms, 5000);
    journal_cursor_close(cursor);
    journal_close(journal);
    remove_folder(dir);
}

static void freeing_lets_go_of_whole_segments(void **state) {
    (void)state;
    char *dir = new_folder();
    struct status status = {0};
    struct journal_stats stats, before;
    struct journal *journal = open_good(dir, 1000, quick_io());
    append_good(journal, 1, 300);
    sync_good(journal);
    journal_stats(journal, &before);
    struct journal_cursor *cursor = journal_cursor_open(journal, 1, true);
    struct journal_record record;
    assert_int_equal(journal_next(cursor, &record, &status), JOURNAL_RECORD);
    assert_true(journal_free_before(journal, 150, &status));
    journal_stats(journal, &stats);
    assert_true(stats.first_seq > 100 && stats.first_seq <= 150);
    assert_true(stats.segments < before.segments && stats.bytes < before.bytes);
    assert_int_equal(journal_next(cursor, &record, &status), JOURNAL_FAILED);
    assert_int_equal(status.code, STATUS_NOT_FOUND);
    journal_cursor_seek(cursor, 150);
    assert_int_equal(journal_next(cursor, &record, &status), JOURNAL_RECORD);
    check_record(&record, 150);
    journal_cursor_seek(cursor, 149);
    assert_int_equal(journal_next(cursor, &record, &status), JOURNAL_RECORD);
    check_record(&record, 149);
    journal_cursor_seek(cursor, 290);
    assert_int_equal(journal_next(cursor, &record, &status), JOURNAL_RECORD);
    check_record(&record, 290);
    journal_cursor_close(cursor);
    uint64_t first = stats.first_seq;
    journal_close(journal);
    journal = open_good(dir, 1000, quick_io());
    journal_stats(journal, &stats);
    assert_int_equal(stats.first_seq, first);
    assert_int_equal(read_to_end(journal, first, true), 300);
    journal_close(journal);
    remove_folder(dir);
}

static void freeing_all_keeps_the_numbering(void **state) {
    (void)state;
    char *dir = new_folder();
    struct status status = {0};
    struct journal_stats stats;
    struct journal *journal = open_good(dir, 1000, quick_io());
    append_good(journal, 1, 100);
    assert_true(journal_free_before(journal, 5000, &status));
    for (int again = 0; again < 2; again++) {
        journal_stats(journal, &stats);
        assert_int_equal(stats.first_seq, 101);
        assert_int_equal(stats.last_seq, 100);
        assert_int_equal(stats.segments, 1);
        assert_true(stats.bytes < 100);
        journal_close(journal);
        journal = open_good(dir, 1000, quick_io());
    }
    append_good(journal, 101, 120);
    sync_good(journal);
    assert_int_equal(read_to_end(journal, 101, true), 120);
    journal_close(journal);
    remove_folder(dir);
}

static void an_empty_journal_may_begin_later(void **state) {
    (void)state;
    char *dir = new_folder();
    struct status status = {0};
    struct journal *journal = open_good(dir, 1000, quick_io());
    assert_true(journal_begin_at(journal, 5000, &status));
    assert_true(journal_begin_at(journal, 5000, &status));
    assert_false(journal_begin_at(journal, 4999, &status));
    assert_int_equal(status.code, STATUS_INVALID);
    journal_close(journal);
    journal = open_good(dir, 1000, quick_io());
    append_good(journal, 5000, 5100);
    assert_false(journal_begin_at(journal, 9000, &status));
    assert_int_equal(status.code, STATUS_INVALID);
    sync_good(journal);
    assert_int_equal(read_to_end(journal, 5000, true), 5100);
    struct journal_cursor *cursor = journal_cursor_open(journal, 1, true);
    struct journal_record record;
    assert_int_equal(journal_next(cursor, &record, &status), JOURNAL_FAILED);
    assert_int_equal(status.code, STATUS_NOT_FOUND);
    journal_cursor_close(cursor);
    journal_close(journal);
    remove_folder(dir);
}

static void the_maximum_of_bytes_holds_and_freeing_makes_room(void **state) {
    (void)state;
    char *dir = new_folder();
    struct status status = {0};
    struct journal_stats stats;
    struct journal *journal = journal_open_with(
        &(struct journal_options){.dir = dir, .segment_bytes = 1000, .max_bytes = 5000}, quick_io(), &status);
    assert_non_null(journal);
    uint64_t next = 1;
    for (int round = 0; round < 20; round++) {
        while (append_next(journal, next, &status)) {
            next++;
        }
        assert_int_equal(status.code, STATUS_FULL);
        sync_good(journal);
        journal_stats(journal, &stats);
        assert_true(stats.bytes <= 5000 && stats.bytes > 4500);
        assert_int_equal(stats.last_seq, next - 1);
        assert_int_equal(read_to_end(journal, stats.first_seq, true), next - 1);
        assert_true(journal_free_before(journal, next - 10, &status));
    }
    journal_close(journal);
    remove_folder(dir);
}

static void the_lock_keeps_a_second_process_out(void **state) {
    (void)state;
    char *dir = new_folder();
    int ready[2], done[2];
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(done), 0);
    pid_t holder = fork();
    if (holder == 0) {
        struct status failure = {0};
        struct journal *held = journal_open(&(struct journal_options){.dir = dir, .exclusive = true}, &failure);
        char byte = held ? 'y' : 'n';
        if (write(ready[1], &byte, 1) != 1 || read(done[0], &byte, 1) != 1) {
            _exit(1);
        }
        _exit(0); // the kernel lets the lock go
    }
    char byte, pid[32];
    struct status status = {0};
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    assert_null(journal_open(&(struct journal_options){.dir = dir, .exclusive = true}, &status));
    assert_int_equal(status.code, STATUS_DENIED);
    snprintf(pid, sizeof pid, "process %ld", (long)holder);
    assert_non_null(strstr(status.text, pid));
    assert_int_equal(write(done[1], "x", 1), 1);
    int how;
    assert_int_equal(waitpid(holder, &how, 0), holder);
    assert_int_equal(how, 0);
    struct journal *journal = journal_open(&(struct journal_options){.dir = dir, .exclusive = true}, &status);
    assert_non_null(journal);
    assert_null(journal_open(&(struct journal_options){.dir = dir, .exclusive = true}, &status));
    journal_close(journal);
    for (int i = 0; i < 2; i++) {
        close(ready[i]);
        close(done[i]);
    }
    remove_folder(dir);
}

static void a_folder_that_cannot_be_used_is_named(void **state) {
    (void)state;
    char *dir = new_folder();
    char path[PATH_MAX], below[PATH_MAX + 8];
    struct status status = {0};
    snprintf(path, sizeof path, "%s/file", dir);
    write_whole(path, "x", 1);
    snprintf(below, sizeof below, "%s/log", path);
    assert_null(journal_open(&(struct journal_options){.dir = below}, &status));
    assert_int_not_equal(status.code, STATUS_OK);
    assert_non_null(strstr(status.text, path));
    assert_null(journal_open(&(struct journal_options){.dir = ""}, &status));
    assert_int_equal(status.code, STATUS_INVALID);
    assert_null(journal_open(&(struct journal_options){0}, &status));
    assert_int_equal(status.code, STATUS_INVALID);
    remove_folder(dir);
}

static void missing_folders_are_made(void **state) {
    (void)state;
    char *dir = new_folder();
    char path[PATH_MAX], parent[PATH_MAX];
    snprintf(parent, sizeof parent, "%s/a", dir);
    snprintf(path, sizeof path, "%s/a/b", dir);
    struct journal *journal = open_good(path, 0, &journal_io_system);
    append_good(journal, 1, 1);
    journal_close(journal);
    remove_folder(must_strdup(path));
    assert_int_equal(rmdir(parent), 0);
    remove_folder(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_back_as_they_were),
        cmocka_unit_test(closing_keeps_what_was_appended),
        cmocka_unit_test(flushed_records_survive_a_kill),
        cmocka_unit_test(segments_follow_each_other),
        cmocka_unit_test(a_record_larger_than_every_buffer_comes_back),
        cmocka_unit_test(a_record_over_the_maximum_is_refused),
        cmocka_unit_test(time_never_goes_back),
        cmocka_unit_test(freeing_lets_go_of_whole_segments),
        cmocka_unit_test(freeing_all_keeps_the_numbering),
        cmocka_unit_test(an_empty_journal_may_begin_later),
        cmocka_unit_test(the_maximum_of_bytes_holds_and_freeing_makes_room),
        cmocka_unit_test(the_lock_keeps_a_second_process_out),
        cmocka_unit_test(a_folder_that_cannot_be_used_is_named),
        cmocka_unit_test(missing_folders_are_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
