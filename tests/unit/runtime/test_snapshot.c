// Snapshots: whole or refused, newest first, the one before kept.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "snapshot.h"

static void encode(struct buf *out, uint64_t seq) {
    buf_clear(out);
    snapshot_encode(
        &(struct snapshot){.seq = seq, .time_ms = 5, .generation = 3, .bundle = STR("bundle"), .state = STR("state!")},
        out);
}

static void every_flip_and_cut_is_refused(void **state) {
    (void)state;
    struct buf bytes;
    struct snapshot read;
    buf_init(&bytes, 4096);
    encode(&bytes, 42);
    assert_true(snapshot_decode(buf_view(&bytes), &read, NULL));
    assert_int_equal(read.seq, 42);
    assert_true(str_eq(read.bundle, STR("bundle")) && str_eq(read.state, STR("state!")));
    for (size_t bit = 0; bit < bytes.len * 8; bit++) {
        bytes.ptr[bit / 8] = (char)(bytes.ptr[bit / 8] ^ (1 << bit % 8));
        struct status status = {0};
        assert_false(snapshot_decode(buf_view(&bytes), &read, &status));
        assert_int_equal(status.code, STATUS_CORRUPT);
        bytes.ptr[bit / 8] = (char)(bytes.ptr[bit / 8] ^ (1 << bit % 8));
    }
    for (size_t len = 0; len < bytes.len; len++)
        assert_false(snapshot_decode((struct str){bytes.ptr, len}, &read, NULL));
    buf_free(&bytes);
}

static void damage(const char *dir, unsigned long long seq) {
    char path[300];
    snprintf(path, sizeof path, "%s/%020llu.snapshot", dir, seq);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    fputs("damaged", file);
    fclose(file);
}

static void falls_back_to_the_one_before(void **state) {
    (void)state;
    char dir[] = "/tmp/penstock-snapshot-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct buf bytes, read;
    struct snapshot snapshot;
    struct status status = {0};
    uint64_t previous = 99;
    buf_init(&bytes, 4096);
    buf_init(&read, 4096);
    assert_true(snapshot_load(dir, &read, &snapshot, &status));
    assert_int_equal(read.len, 0); // an empty folder is a beginning, not an error
    for (uint64_t seq = 10; seq <= 30; seq += 10) {
        encode(&bytes, seq);
        assert_true(snapshot_store(dir, seq, buf_view(&bytes), &previous, &status));
        assert_int_equal(previous, seq == 10 ? 0 : seq - 10);
    }
    assert_true(snapshot_load(dir, &read, &snapshot, &status));
    assert_int_equal(snapshot.seq, 30);
    damage(dir, 30);
    assert_true(snapshot_load(dir, &read, &snapshot, &status));
    assert_int_equal(snapshot.seq, 20);
    damage(dir, 20);
    assert_false(snapshot_load(dir, &read, &snapshot, &status)); // 10 was pruned: two are kept
    assert_int_equal(status.code, STATUS_CORRUPT);
    buf_free(&bytes);
    buf_free(&read);
    char command[400];
    snprintf(command, sizeof command, "rm -r '%s'", dir);
    assert_int_equal(system(command), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_flip_and_cut_is_refused),
                                       cmocka_unit_test(falls_back_to_the_one_before)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
