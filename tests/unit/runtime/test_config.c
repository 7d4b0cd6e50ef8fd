// The deployment file: what is right is read, what is wrong is said with its place
// and a remedy, all of it at once, and no secret is ever shown.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "penstock/runtime.h"

static char *write_file(const char *text) {
    char *path = must_strdup("/tmp/penstock-config-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    return path;
}

static struct config *load(const char *text, struct buf *said) {
    char *path = write_file(text);
    struct findings findings;
    findings_init(&findings);
    struct config *config = config_load(path, &findings);
    assert_int_equal(config == NULL, findings.n_errors > 0);
    findings_write(&findings, said);
    buf_char(said, '\0');
    findings_free(&findings);
    unlink(path);
    free(path);
    return config;
}

static void reads_the_shipped_file(void **state) {
    (void)state;
    struct findings findings;
    findings_init(&findings);
    struct config *config = config_load(TEST_ROOT "/config/penstock.yaml", &findings);
    assert_non_null(config);
    assert_string_equal(config->routes, TEST_ROOT "/config/../routes");
    assert_int_equal(config->n_sources, 4);
    assert_int_equal(config->sources[0].kind, SOURCE_NATS);
    assert_string_equal(config->sources[0].nats.url, "nats://127.0.0.1:4222");
    assert_int_equal(config->snapshot_every_ms, 10000);
    assert_int_equal(config->stream_max_bytes, INT64_C(2) << 30);
    findings_free(&findings);
    config_free(config);
}

#define HEAD "data: d\nroutes: r\n"

static void says_what_is_wrong(void **state) {
    (void)state;
    static const struct {
        const char *text, *expect;
    } cases[] = {
        {HEAD "sources: [{name: a, stdin: {}}]\nsift_thread: 2\n",
         ":4:1: error: unknown key 'sift_thread' in the configuration; did you mean 'sift_threads'?"},
        {HEAD, "lacks the key 'sources'"},
        {HEAD "sources: []\n", ":3:10: error: sources must be a list of 1 to 256 sources"},
        {HEAD "sources: [{name: a}]\n", "exactly one of kafka, nats, file, stdin"},
        {HEAD "sources: [{name: a, stdin: {}, file: {path: x}}]\n", "exactly one of kafka, nats, file, stdin"},
        {HEAD "sources: [{name: 'a b', stdin: {}}]\n", "letters, digits"},
        {HEAD "sources: [{name: a, stdin: {}}, {name: a, stdin: {}}]\n", "two sources are named 'a'"},
        {HEAD "sources: [{name: a, nats: {stream: s, durable: d}}]\n",
         "a needs a connection: add `nats: {url: nats://host:4222}`"},
        {HEAD "sources: [{name: a, kafka: {topic: t, group: g}}]\nkafka: {brokers: 'h:1'}\n",
         "kafka lacks the key 'offset_reset'"},
        {HEAD "sources: [{name: a, kafka: {topic: t, group: g, offset_reset: begin}}]\nkafka: {brokers: 'h:1'}\n",
         "offset_reset must be one of earliest, latest, error"},
        {HEAD "sources: [{name: a, stdin: {}}]\nsift_threads: 0\n", "sift_threads is out of bounds: from 1 to 256"},
        {HEAD "sources: [{name: a, stdin: {}}]\nsnapshot_every: soon\n", "snapshot_every must be a duration"},
        {HEAD "sources: [{name: a, stdin: {}}]\nmax_event_bytes: 1PB\n", "max_event_bytes must be a size"},
        {HEAD "sources: [{name: a, stdin: {}}]\nkafka: {brokers: 'h:1', settings: {sasl.password: {env: "
              "PENSTOCK_NO_SUCH_VARIABLE}}}\n",
         "the environment has no variable PENSTOCK_NO_SUCH_VARIABLE"},
        {HEAD "sources: [{name: a, stdin: {}}]\nnats: {url: 'nats://h', password: {file: /nonexistent/secret}}\n",
         "/nonexistent/secret"},
        {HEAD "sources: [{name: a, stdin: {}}]\njournal: {segment: 1MiB, max: 3MiB}\n",
         "max must be at least 4 times segment"},
        {HEAD "sources: [{name: a, stdin: {}}]\ndata: e\n", "data"},
        {"data: [\n", ":"},
        {"- a\n", "must be a mapping"},
        {"", "error"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf said;
        buf_init(&said, 65536);
        struct config *config = load(cases[i].text, &said);
        if (config || !strstr(said.ptr, cases[i].expect))
            fail_msg("case %zu:\n%s\nexpected: %s\ngot: %s", i, cases[i].text, cases[i].expect, said.ptr);
        buf_free(&said);
    }
}

static void says_all_at_once(void **state) {
    (void)state;
    struct buf said;
    buf_init(&said, 65536);
    assert_null(load("dat: d\nrutes: r\nsources: [{nam: a, stdin: {}}]\n", &said));
    assert_non_null(strstr(said.ptr, "'dat'"));
    assert_non_null(strstr(said.ptr, "'rutes'"));
    assert_non_null(strstr(said.ptr, "'nam'"));
    buf_free(&said);
}

static void looks_up_secrets_and_never_shows_them(void **state) {
    (void)state;
    struct buf said;
    buf_init(&said, 65536);
    setenv("PENSTOCK_TEST_SECRET", "hunter2", 1);
    struct config *config =
        load(HEAD "sources: [{name: a, kafka: {topic: [t, u], group: g, offset_reset: latest}}]\n"
                  "kafka: {brokers: 'h:1', settings: {sasl.password: {env: PENSTOCK_TEST_SECRET}}}\n",
             &said);
    assert_non_null(config);
    assert_string_equal(config->sources[0].kafka.settings[0].value, "hunter2");
    assert_int_equal(config->sources[0].n_topics, 2);
    assert_string_equal(config->sources[0].offset_reset, "latest");
    config_free(config);
    buf_clear(&said);
    assert_null(
        load(HEAD "sources: [{name: a, stdin: {}}]\nnats: {url: n, password: {env: PENSTOCK_TEST_SECRET, file: x}}\n",
             &said));
    assert_null(strstr(said.ptr, "hunter2"));
    buf_free(&said);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_shipped_file),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(says_all_at_once),
        cmocka_unit_test(looks_up_secrets_and_never_shows_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
