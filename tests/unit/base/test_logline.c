// Log lines: whatever stands in a value, a fact stays one line, and lines of threads do not mix.
#include "penstock/base.h"

#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static FILE *caught;
static int kept_stderr;

static void catch_stderr(void) {
    caught = tmpfile();
    assert_non_null(caught);
    fflush(stderr);
    kept_stderr = dup(STDERR_FILENO);
    assert_true(dup2(fileno(caught), STDERR_FILENO) >= 0);
}

// What was written since, NUL-terminated.
static char *release_stderr(void) {
    dup2(kept_stderr, STDERR_FILENO);
    close(kept_stderr);
    long len = ftell((fseek(caught, 0, SEEK_END), caught));
    char *text = must_alloc((size_t)len + 1);
    rewind(caught);
    assert_int_equal(fread(text, 1, (size_t)len, caught), len);
    fclose(caught);
    return text;
}

static void check_line(const char *line, const char *rest) {
    // `time=2026-11-21T02:55:21.000Z ` or `{"time":"…",` first
    const char *found = strstr(line, rest);
    if (!found)
        fail_msg("no %s in %s", rest, line);
    assert_string_equal(found, rest);
}

static void logfmt(void **state) {
    (void)state;
    catch_stderr();
    logline_setup(LOGLINE_LOGFMT, LOGLINE_INFO);
    logline(LOGLINE_WARN, "source", "a peer is away", "peer", "10.0.0.1:9092", "why", "say \"no\"\n\\ \x01\xff é",
            "empty", "", "none", (char *)NULL, NULL);
    char *text = release_stderr();
    assert_memory_equal(text, "time=2", 6);
    check_line(text, "level=warn room=source msg=\"a peer is away\" peer=10.0.0.1:9092 "
                     "why=\"say \\\"no\\\"\\n\\\\ \\u0001\xef\xbf\xbd é\" empty=\"\" none=\"\"\n");
    free(text);
}

static void json(void **state) {
    (void)state;
    catch_stderr();
    logline_setup(LOGLINE_JSON, LOGLINE_INFO);
    logline(LOGLINE_ERROR, "log", "disk\tfull", "free_bytes", "0", NULL);
    char *text = release_stderr();
    assert_memory_equal(text, "{\"time\":\"2", 10);
    check_line(text, "\"level\":\"error\",\"room\":\"log\",\"msg\":\"disk\\u0009full\",\"free_bytes\":\"0\"}\n");
    free(text);
}

static void levels(void **state) {
    (void)state;
    catch_stderr();
    logline_setup(LOGLINE_LOGFMT, LOGLINE_WARN);
    logline(LOGLINE_INFO, "x", "quiet", NULL);
    logline(LOGLINE_WARN, "x", "loud", NULL);
    logline_setup(LOGLINE_LOGFMT, LOGLINE_DEBUG);
    logline(LOGLINE_DEBUG, "x", "chatty", NULL);
    char *text = release_stderr();
    assert_null(strstr(text, "quiet"));
    assert_non_null(strstr(text, "level=warn room=x msg=loud\n"));
    assert_non_null(strstr(text, "level=debug room=x msg=chatty\n"));
    free(text);
}

// For all lengths about the bound: at most 4 KiB, one line's end, and the closing marks in their places.
static void long_lines_are_cut(void **state) {
    (void)state;
    for (int format = 0; format < 2; format++)
        for (size_t len = 3900; len < 4200; len++) {
            char *value = must_alloc(len + 1);
            memset(value, 'a', len);
            value[len / 2] = '"';
            catch_stderr();
            logline_setup(format ? LOGLINE_JSON : LOGLINE_LOGFMT, LOGLINE_INFO);
            logline(LOGLINE_INFO, "x", "m", "long", value, "behind", "b", NULL);
            char *text = release_stderr();
            size_t written = strlen(text);
            assert_true(written <= 4096);
            assert_ptr_equal(strchr(text, '\n'), text + written - 1);
            size_t quotes = 0;
            for (size_t i = 0; i < written; i++)
                quotes += text[i] == '"' && text[i - 1] != '\\';
            assert_int_equal(quotes % 2, 0);
            if (format)
                assert_memory_equal(text + written - 3, "\"}\n", 3);
            if (len < 3980)
                assert_non_null(strstr(text, format ? ",\"behind\":\"b\"}\n" : " behind=b\n"));
            if (len > 4050)
                assert_non_null(strstr(text, format ? "a…\"}\n" : "a…\"\n"));
            free(text);
            free(value);
        }
}

#define LINES_OF_EACH 500

static void *write_lines(void *number) {
    for (int i = 0; i < LINES_OF_EACH; i++)
        logline(LOGLINE_INFO, "x", "from a thread", "who", number, "text", "some words to make it longer", NULL);
    return NULL;
}

static void lines_of_threads_do_not_mix(void **state) {
    (void)state;
    catch_stderr();
    logline_setup(LOGLINE_LOGFMT, LOGLINE_INFO);
    // O_APPEND, as any log file has it: each write goes to the end.
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fileno(caught));
    FILE *appending = fopen(path, "a");
    assert_non_null(appending);
    dup2(fileno(appending), STDERR_FILENO);
    pthread_t threads[4];
    char names[4][2] = {"0", "1", "2", "3"};
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, names[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    fclose(appending);
    char *text = release_stderr();
    int lines = 0;
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1, lines++) {
        *end = '\0';
        assert_memory_equal(line, "time=2", 6);
        const char *tail = strstr(line, " who=");
        assert_non_null(tail);
        assert_string_equal(tail + 6, " text=\"some words to make it longer\"");
    }
    assert_int_equal(lines, 4 * LINES_OF_EACH);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logfmt),
        cmocka_unit_test(json),
        cmocka_unit_test(levels),
        cmocka_unit_test(long_lines_are_cut),
        cmocka_unit_test(lines_of_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
