// Files: whole, replaced atomically, with failures that say what to do; and the status that tells them.
#include "penstock/base.h"

#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/penstock-test-XXXXXX";

static const char *inside(const char *name) {
    static char path[4][PATH_MAX];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], PATH_MAX, "%s/%s", folder, name);
    return path[turn];
}

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    static const char *const names[] = {
        "a", "big", "deep/er/folder", "deep/er", "deep", "name/is/a/folder", "name/is/a", "name/is", "name"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        remove(inside(names[i]));
    return rmdir(folder);
}

static void replaces_and_reads(void **state) {
    (void)state;
    struct status status = {0};
    struct buf buf;
    buf_init(&buf, 100);
    assert_true(file_replace(inside("a"), STR("first"), &status));
    assert_true(file_read(inside("a"), &buf, &status));
    assert_true(str_eq(buf_view(&buf), STR("first")));
    assert_true(file_replace(inside("a"), STR(""), &status));
    assert_true(file_read(inside("a"), &buf, &status));
    assert_int_equal(buf.len, 0);
    assert_int_equal(access(inside("a.new"), F_OK), -1);
    struct stat about;
    assert_int_equal(stat(inside("a"), &about), 0);
    assert_int_equal(about.st_mode & 0137, 0); // no one else may write, none outside the group may read
    assert_int_equal(status.code, STATUS_OK);
    buf_free(&buf);
}

static void reads_up_to_the_bound(void **state) {
    (void)state;
    static char content[200000];
    for (size_t i = 0; i < sizeof content; i++)
        content[i] = (char)i;
    struct status status = {0};
    assert_true(file_replace(inside("big"), (struct str){content, sizeof content}, &status));
    struct buf buf;
    buf_init(&buf, sizeof content);
    assert_true(file_read(inside("big"), &buf, &status));
    assert_int_equal(buf.len, sizeof content);
    assert_memory_equal(buf.ptr, content, sizeof content);
    buf_free(&buf);
    buf_init(&buf, sizeof content - 1);
    assert_false(file_read(inside("big"), &buf, &status));
    assert_int_equal(status.code, STATUS_INVALID);
    assert_non_null(strstr(status.text, "larger than the 199999 bytes"));
    buf_free(&buf);
}

static void failures_say_why(void **state) {
    (void)state;
    struct status status = {0};
    struct buf buf;
    buf_init(&buf, 100);
    assert_false(file_read(inside("missing"), &buf, &status));
    assert_int_equal(status.code, STATUS_NOT_FOUND);
    assert_non_null(strstr(status.text, "missing: No such file or directory"));
    assert_false(file_read(folder, &buf, &status));
    assert_int_equal(status.code, STATUS_INVALID);
    assert_false(file_read(inside("missing"), &buf, NULL)); // a caller may not care
    assert_false(file_replace(inside("no/such/folder"), STR("x"), &status));
    assert_int_equal(status.code, STATUS_NOT_FOUND);
    assert_false(dir_sync(inside("missing"), &status));
    assert_true(file_replace(inside("a"), STR("x"), &status));
    assert_false(dir_make(inside("a/b"), &status));
    assert_int_equal(status.code, STATUS_INVALID);
    assert_false(dir_make(inside("a"), &status));
    assert_int_equal(status.code, STATUS_INVALID);
    assert_false(dir_make("", &status));
    assert_true(dir_make(inside("name/is/a/folder"), &status));
    assert_false(file_replace(inside("name/is/a/folder"), STR("x"), &status)); // the name is taken by a folder
    assert_int_equal(access(inside("name/is/a/folder.new"), F_OK), -1);
    buf_free(&buf);
}

static void makes_folders(void **state) {
    (void)state;
    struct status status = {0};
    assert_true(dir_make(inside("deep/er/folder"), &status));
    assert_true(dir_make(inside("deep/er/folder/"), &status));
    assert_true(dir_make("/", &status));
    struct stat about;
    assert_int_equal(stat(inside("deep/er/folder"), &about), 0);
    assert_true(S_ISDIR(about.st_mode));
    assert_int_equal(about.st_mode & 027, 0);
    assert_true(dir_sync(folder, &status));
}

static void status_names_and_texts(void **state) {
    (void)state;
    struct status status = {0};
    assert_false(status_fail(&status, STATUS_FULL, "queue %d", 5));
    assert_int_equal(status.code, STATUS_FULL);
    assert_string_equal(status.text, "queue 5");
    assert_false(status_fail(&status, STATUS_IO, "%s, and more", status.text)); // its own text as an argument
    assert_string_equal(status.text, "queue 5, and more");
    assert_false(status_errno(&status, ENOSPC, "cannot write %s", "x"));
    assert_int_equal(status.code, STATUS_FULL);
    assert_string_equal(status.text, "cannot write x: No space left on device");
    assert_false(status_errno(&status, ECONNREFUSED, "x"));
    assert_int_equal(status.code, STATUS_UNAVAILABLE);
    assert_false(status_errno(&status, EIO, "%0600d", 1)); // cut, not overrun
    assert_int_equal(strlen(status.text), sizeof status.text - 1);
    assert_false(status_fail(NULL, STATUS_IO, "x"));
    assert_string_equal(status_name(STATUS_OK), "ok");
    assert_string_equal(status_name(STATUS_CLOSED), "closed");
    assert_string_equal(status_name(STATUS_NOT_FOUND), "not_found");
    status_clear(&status);
    assert_int_equal(status.code, STATUS_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replaces_and_reads),     cmocka_unit_test(reads_up_to_the_bound),
        cmocka_unit_test(failures_say_why),       cmocka_unit_test(makes_folders),
        cmocka_unit_test(status_names_and_texts),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
