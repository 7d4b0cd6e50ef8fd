// The admin listener and its client: pages and their status, a taken port, addresses that are none.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "penstock/admin.h"

static unsigned good(void *ctx, struct buf *body) {
    buf_printf(body, "count %d", ++*(int *)ctx);
    return 200;
}

static unsigned bad(void *ctx, struct buf *body) {
    (void)ctx;
    buf_str(body, STR("journal: no room\n"));
    return 503;
}

static const struct admin_route routes[] = {{"/good", "text/plain", good}, {"/bad", "text/plain", bad}};

static bool ask(unsigned port, const char *page, struct buf *body, struct status *status) {
    char url[100];
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", port, page);
    buf_clear(body);
    return admin_ask(url, body, status);
}

static void serves_its_pages(void **state) {
    (void)state;
    int count = 0;
    struct status status = {0};
    struct buf body;
    buf_init(&body, 4096);
    struct admin *admin = admin_open("127.0.0.1:0", routes, COUNT_OF(routes), &count, &status);
    assert_non_null(admin);
    unsigned port = admin_port(admin);
    assert_true(ask(port, "/good", &body, &status));
    assert_true(str_eq(buf_view(&body), STR("count 1")));
    assert_true(ask(port, "/good", &body, &status));
    assert_true(str_eq(buf_view(&body), STR("count 2")));
    assert_false(ask(port, "/bad", &body, &status));
    assert_non_null(strstr(status.text, "503 journal: no room"));
    assert_false(ask(port, "/none", &body, &status));
    assert_non_null(strstr(status.text, "404"));
    admin_close(admin);
    assert_false(ask(port, "/good", &body, &status));
    assert_int_equal(status.code, STATUS_UNAVAILABLE);
    buf_free(&body);
}

static void says_why_it_cannot_listen(void **state) {
    (void)state;
    int count = 0;
    struct status status = {0};
    struct admin *first = admin_open("127.0.0.1:0", routes, COUNT_OF(routes), &count, &status);
    assert_non_null(first);
    char taken[40];
    snprintf(taken, sizeof taken, "127.0.0.1:%u", admin_port(first));
    assert_null(admin_open(taken, routes, COUNT_OF(routes), &count, &status));
    assert_non_null(strstr(status.text, "another process has the port"));
    admin_close(first);
    static const char *const wrong[] = {"",           "127.0.0.1", "9464", ":9464", "localhost:9464", "127.0.0.1:65536",
                                        "127.0.0.1:x"};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        assert_null(admin_open(wrong[i], routes, COUNT_OF(routes), &count, &status));
        assert_int_equal(status.code, STATUS_INVALID);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(serves_its_pages), cmocka_unit_test(says_why_it_cannot_listen)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
