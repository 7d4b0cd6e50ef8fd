// file and stdout as sinks: order, acknowledgement, rotation, a full disk, and settings that cannot work for any kind.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <sys/resource.h>
#include <sys/stat.h>

#include "../broker/live.h"
#include "penstock/sink.h"

static struct sink *open_sink(const char *path, size_t in_flight) {
    struct sink_config config = {.name = (char *)(uintptr_t) "out",
                                 .kind = SINK_FILE,
                                 .path = (char *)(uintptr_t)path,
                                 .max_in_flight = in_flight};
    struct status status = {0};
    struct sink *sink = sink_open(&config, &status);
    assert_non_null(sink);
    return sink;
}

static enum sink_sent send_text(struct sink *sink, uint64_t seq, const char *text) {
    struct sink_record record = {.seq = seq,
                                 .id = STR("00000000000000000000000000000001"),
                                 .content_type = STR("application/json"),
                                 .payload = str_of(text)};
    struct status status = {0};
    return sink_send(sink, &record, &status);
}

static void assert_content(const char *path, const char *want) {
    struct buf content;
    struct status status = {0};
    buf_init(&content, 1 << 20);
    assert_true(file_read(path, &content, &status));
    assert_int_equal(content.len, strlen(want));
    assert_memory_equal(content.ptr, want, content.len);
    buf_free(&content);
}

static void test_lines_are_appended_and_acknowledged(void **state) {
    (void)state;
    char dir[64], path[96];
    live_scratch(dir, sizeof dir);
    snprintf(path, sizeof path, "%s/out", dir);
    uint64_t acked = 99;
    struct status status = {0};
    struct sink *sink = open_sink(path, 3);
    assert_true(sink_poll(sink, 0, &acked, &status));
    assert_int_equal(acked, 0);
    assert_int_equal(send_text(sink, 5, "five"), SINK_SENT);
    assert_int_equal(send_text(sink, 6, "six"), SINK_SENT);
    assert_int_equal(send_text(sink, 9, "nine"), SINK_SENT);
    assert_int_equal(send_text(sink, 10, "ten"), SINK_BUSY);
    assert_content(path, "");
    assert_true(sink_poll(sink, 0, &acked, &status));
    assert_int_equal(acked, 9);
    assert_content(path, "five\nsix\nnine\n");
    assert_int_equal(send_text(sink, 10, "ten"), SINK_SENT);
    sink_close(sink, 1000);
    assert_content(path, "five\nsix\nnine\nten\n");
    sink = open_sink(path, 3); // appended to
    assert_int_equal(send_text(sink, 11, "eleven"), SINK_SENT);
    assert_true(sink_poll(sink, 0, &acked, &status));
    struct sink_stats stats;
    sink_get_stats(sink, &stats);
    assert_int_equal(stats.sent, 1);
    assert_int_equal(stats.acked, 1);
    assert_true(stats.ready);
    sink_close(sink, 0);
    assert_content(path, "five\nsix\nnine\nten\neleven\n");
    live_remove(dir);
}

static void test_a_half_line_from_a_crash_stands_alone(void **state) {
    (void)state;
    char dir[64], path[96];
    live_scratch(dir, sizeof dir);
    snprintf(path, sizeof path, "%s/out", dir);
    FILE *out = fopen(path, "w");
    fputs("whole\nhal", out);
    fclose(out);
    uint64_t acked;
    struct status status = {0};
    struct sink *sink = open_sink(path, 3);
    send_text(sink, 1, "half");
    assert_true(sink_poll(sink, 0, &acked, &status));
    sink_close(sink, 0);
    assert_content(path, "whole\nhal\nhalf\n");
    live_remove(dir);
}

static void test_rotation(void **state) {
    (void)state;
    char dir[64], path[96], old[100];
    live_scratch(dir, sizeof dir);
    snprintf(path, sizeof path, "%s/out", dir);
    snprintf(old, sizeof old, "%s.1", path);
    uint64_t acked;
    struct status status = {0};
    struct sink *sink = open_sink(path, 3);
    send_text(sink, 1, "one");
    assert_true(sink_poll(sink, 0, &acked, &status));
    assert_int_equal(rename(path, old), 0);
    clock_sleep_ms(600);
    send_text(sink, 2, "two");
    assert_true(sink_poll(sink, 0, &acked, &status));
    assert_int_equal(acked, 2);
    sink_close(sink, 0);
    assert_content(old, "one\n");
    assert_content(path, "two\n");
    live_remove(dir);
}

// A file-size limit stands for the full disk: the write stops in the middle of a line.
static void test_a_full_disk_leaves_no_half_line(void **state) {
    (void)state;
    char dir[64], path[96];
    live_scratch(dir, sizeof dir);
    snprintf(path, sizeof path, "%s/out", dir);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit old, low;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    uint64_t acked = 0;
    struct status status = {0};
    struct sink *sink = open_sink(path, 10);
    send_text(sink, 1, "0123456789");
    assert_true(sink_poll(sink, 0, &acked, &status));
    low = (struct rlimit){.rlim_cur = 16, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    send_text(sink, 2, "0123456789");
    send_text(sink, 3, "0123456789");
    bool polled = sink_poll(sink, 0, &acked, &status);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_false(polled);
    assert_int_equal(acked, 1);
    assert_content(path, "0123456789\n");
    struct sink_stats stats;
    sink_get_stats(sink, &stats);
    assert_false(stats.ready);
    assert_int_equal(send_text(sink, 2, "two"), SINK_SENT); // room again
    assert_int_equal(send_text(sink, 3, "three"), SINK_SENT);
    assert_true(sink_poll(sink, 0, &acked, &status));
    assert_int_equal(acked, 3);
    sink_get_stats(sink, &stats);
    assert_true(stats.ready);
    assert_int_equal(stats.resent, 2);
    sink_close(sink, 0);
    assert_content(path, "0123456789\ntwo\nthree\n");
    live_remove(dir);
}

static void test_offered_again_replaces_what_waits(void **state) {
    (void)state;
    char dir[64], path[96];
    live_scratch(dir, sizeof dir);
    snprintf(path, sizeof path, "%s/out", dir);
    uint64_t acked;
    struct status status = {0};
    struct sink *sink = open_sink(path, 10);
    send_text(sink, 1, "one");
    send_text(sink, 2, "two");
    send_text(sink, 1, "one");
    assert_true(sink_poll(sink, 0, &acked, &status));
    assert_int_equal(acked, 1);
    sink_close(sink, 0);
    assert_content(path, "one\n");
    live_remove(dir);
}

static void test_settings_that_can_never_work(void **state) {
    (void)state;
    struct setting unknown = {(char *)(uintptr_t) "no.such.thing", (char *)(uintptr_t) "s3cr3t"};
    struct setting forbidden = {(char *)(uintptr_t) "acks", (char *)(uintptr_t) "1"};
    struct setting refused = {(char *)(uintptr_t) "linger.ms", (char *)(uintptr_t) "s3cr3t"};
    struct setting refused_together[] = {
        {(char *)(uintptr_t) "security.protocol", (char *)(uintptr_t) "ssl"},
        {(char *)(uintptr_t) "ssl.ca.location", (char *)(uintptr_t) "/s3cr3t/ca.pem"},
    };
    static char brokers[] = "127.0.0.1:1", topic[] = "t", name[] = "k", url[] = "nats://u:s3cr3t@127.0.0.1:1",
                subject[] = "a.b";
    struct {
        struct sink_config config;
        const char *says;
    } cases[] = {
        {{.kind = SINK_FILE, .path = (char *)(uintptr_t) "/nonexistent/folder/out"}, "/nonexistent/folder/out"},
        {{.kind = SINK_KAFKA, .kafka = {.brokers = brokers}}, "topic"},
        {{.kind = SINK_KAFKA, .topic = topic}, "brokers"},
        {{.kind = SINK_KAFKA, .topic = topic, .kafka = {brokers, &unknown, 1}}, "\"no.such.thing\" is not known"},
        {{.kind = SINK_KAFKA, .topic = topic, .kafka = {brokers, &forbidden, 1}}, "\"acks\" cannot be set"},
        {{.kind = SINK_KAFKA, .topic = topic, .kafka = {brokers, &refused, 1}}, "\"linger.ms\""},
        {{.kind = SINK_KAFKA, .topic = topic, .kafka = {brokers, refused_together, 2}}, "librdkafka"},
        {{.kind = SINK_NATS, .subject = subject}, "url"},
        {{.kind = SINK_NATS, .nats = {.url = url}}, "subject"},
        {{.kind = SINK_NATS, .nats = {.url = url}, .subject = (char *)(uintptr_t) "a.*"}, "subject"},
        {{.kind = SINK_NATS,
          .nats = {.url = url, .credentials = (char *)(uintptr_t) "/nonexistent.creds"},
          .subject = subject},
         "credentials"},
        {{.kind = SINK_NATS,
          .nats = {.url = url, .tls_ca = (char *)(uintptr_t) "/nonexistent.pem"},
          .subject = subject},
         "tls_ca"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct status status = {0};
        cases[i].config.name = name;
        assert_null(sink_open(&cases[i].config, &status));
        if (!strstr(status.text, cases[i].says))
            fail_msg("case %zu: %s", i, status.text);
        assert_null(strstr(status.text, "s3cr3t"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_are_appended_and_acknowledged),
        cmocka_unit_test(test_a_half_line_from_a_crash_stands_alone),
        cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_a_full_disk_leaves_no_half_line),
        cmocka_unit_test(test_offered_again_replaces_what_waits),
        cmocka_unit_test(test_settings_that_can_never_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
