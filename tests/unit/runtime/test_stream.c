// A consumer's stream: numbering is the gate's, what is there already is skipped,
// delivery goes on after a restart where it was acknowledged, a full stream refuses.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "stream.h"

struct fixture {
    char dir[64], stream_dir[100], out[100];
};

static void setup(struct fixture *f) {
    snprintf(f->dir, sizeof f->dir, "/tmp/penstock-stream-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->stream_dir, sizeof f->stream_dir, "%s/c", f->dir);
    snprintf(f->out, sizeof f->out, "%s/out.ndjson", f->dir);
}

static void teardown(struct fixture *f) {
    char command[200];
    snprintf(command, sizeof command, "rm -r '%s'", f->dir);
    assert_int_equal(system(command), 0);
}

static bool append(struct stream *stream, uint64_t seq, struct status *status) {
    char title[32];
    snprintf(title, sizeof title, "n%llu", (unsigned long long)seq);
    struct candidate candidate = {.at = {.source = STR("s")}};
    struct output output = {.kind = OUTPUT_IS_ALERT,
                            .id = {seq, seq},
                            .consumer = STR("c"),
                            .route = STR("r"),
                            .title = str_of(title),
                            .candidate = &candidate};
    return stream_append(stream, seq, 0, &output, FORMAT_JSON, UINT64_C(1) << OUTPUT_TITLE, status);
}

static size_t read_out(const struct fixture *f, struct buf *content) {
    size_t lines = 0;
    assert_true(file_read(f->out, content, NULL));
    for (size_t i = 0; i < content->len; i++)
        lines += content->ptr[i] == '\n';
    return lines;
}

static void deliver_all(struct fixture *f, struct stream *stream) {
    struct sink_config sink = {.kind = SINK_FILE, .path = f->out};
    struct status status = {0};
    if (!stream_deliver(stream, &sink, &status))
        fail_msg("%s", status.text);
    stream_flush(stream);
    stream_stop(stream, 5000);
    assert_true(stream_is_drained(stream));
}

static void goes_on_after_a_restart(void **state) {
    (void)state;
    struct fixture f;
    struct buf content;
    struct status status = {0};
    setup(&f);
    buf_init(&content, 65536);
    struct stream *stream = stream_open(f.stream_dir, "c", 1 << 20, &status);
    assert_non_null(stream);
    for (uint64_t seq = 1; seq <= 5; seq++)
        assert_true(append(stream, seq, &status));
    deliver_all(&f, stream);
    assert_true(append(stream, 6, &status));
    assert_true(stream_sync(stream, &status));
    stream_close(stream);

    stream = stream_open(f.stream_dir, "c", 1 << 20, &status);
    assert_non_null(stream);
    for (uint64_t seq = 3; seq <= 7; seq++) // recovery gives 3..6 again
        assert_true(append(stream, seq, &status));
    deliver_all(&f, stream);
    stream_close(stream);
    assert_int_equal(read_out(&f, &content), 7);
    buf_char(&content, '\0');
    assert_string_equal(content.ptr, "{\"title\":\"n1\"}\n{\"title\":\"n2\"}\n{\"title\":\"n3\"}\n{\"title\":\"n4\"}\n{"
                                     "\"title\":\"n5\"}\n{\"title\":\"n6\"}\n{\"title\":\"n7\"}\n");
    buf_free(&content);
    teardown(&f);
}

static void begins_where_the_gate_is(void **state) {
    (void)state;
    struct fixture f;
    struct status status = {0};
    setup(&f);
    struct stream *stream = stream_open(f.stream_dir, "c", 1 << 20, &status);
    assert_true(append(stream, 100, &status));  // its folder was moved away: the numbers go on
    assert_false(append(stream, 102, &status)); // but never over a gap
    assert_int_equal(status.code, STATUS_CORRUPT);
    deliver_all(&f, stream);
    stream_close(stream);
    teardown(&f);
}

static void a_full_stream_refuses_and_recovers(void **state) {
    (void)state;
    struct fixture f;
    struct status status = {0};
    setup(&f);
    struct stream *stream = stream_open(f.stream_dir, "c", 8192, &status);
    uint64_t seq = 1;
    while (append(stream, seq, &status))
        seq++;
    assert_int_equal(status.code, STATUS_FULL);
    struct stream_stats stats;
    stream_get_stats(stream, &stats);
    assert_true(stats.full);
    deliver_all(&f, stream);
    assert_true(stream_sync(stream, &status)); // frees what is acknowledged
    assert_true(append(stream, seq, &status));
    stream_get_stats(stream, &stats);
    assert_false(stats.full);
    stream_close(stream);
    teardown(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(goes_on_after_a_restart),
                                       cmocka_unit_test(begins_where_the_gate_is),
                                       cmocka_unit_test(a_full_stream_refuses_and_recovers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
