// Every file under bad/ gives exactly the findings beside it, all at once, with their lines and columns.
#include "policy_testing.h"

#include <dirent.h>
#include <unistd.h>

static struct buf read_data(const char *name) {
    char path[512];
    struct status status = {0};
    struct buf text;
    snprintf(path, sizeof path, "%s/%s", DATA, name);
    buf_init(&text, 1u << 20);
    if (!file_read(path, &text, &status))
        fail_msg("%s", status.text);
    return text;
}

// "# alone" in the first line: without common.yaml. "# source NAME MAP": a configured source.
static struct policy_bundle *bundle_of_file(const char *name, struct str text) {
    struct policy_bundle *bundle = bundle_begin();
    bundle_add(bundle, name, text);
    if (!str_starts(text, STR("# alone"))) {
        struct buf common = read_data("common.yaml");
        bundle_add(bundle, "~common.yaml", buf_view(&common));
        buf_free(&common);
    }
    char source[64], map[64];
    if (sscanf(bundle->files[0].text.ptr, "# source %63s %63s", source, map) == 2) {
        struct str names[2] = {arena_str(bundle->arena, str_of(source)), arena_str(bundle->arena, str_of(map))};
        bundle_add_source(bundle, names[0].ptr, strcmp(map, "-") == 0 ? "" : names[1].ptr);
    }
    return bundle;
}

static void check_file(const char *name) {
    char data[300];
    struct policy *policy;
    snprintf(data, sizeof data, "bad/%s", name);
    struct buf text = read_data(data);
    char *got = compile_bundle(bundle_of_file(name, buf_view(&text)), &policy);
    policy_unref(policy);
    buf_free(&text);
    snprintf(data, sizeof data, "bad/%.*s.findings", (int)(strlen(name) - strlen(".yaml")), name);
    if (getenv("PENSTOCK_WRITE_FINDINGS")) {
        char path[700];
        struct status status;
        snprintf(path, sizeof path, "%s/%s", DATA, data);
        assert_true(file_replace(path, str_of(got), &status));
    }
    struct buf wanted = read_data(data);
    bool same = str_eq(str_of(got), buf_view(&wanted));
    if (!same)
        print_error("%s: expected\n%.*sgot\n%s", name, STR_ARG(buf_view(&wanted)), got);
    buf_free(&wanted);
    free(got);
    assert_true(same);
}

static void bad_files_give_their_findings(void **state) {
    (void)state;
    DIR *dir = opendir(DATA "/bad");
    size_t n = 0;
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (!str_ends(str_of(entry->d_name), STR(".yaml")))
            continue;
        check_file(entry->d_name);
        n++;
    }
    closedir(dir);
    assert_true(n >= 20);
}

static void findings_are_bounded_and_one_line_each(void **state) {
    (void)state;
    struct findings findings;
    struct buf text;
    findings_init(&findings);
    buf_init(&text, 1u << 24);
    for (unsigned i = 0; i < FINDINGS_MAX + 5; i++)
        findings_add(&findings, true, STR("x.yaml"), FINDINGS_MAX - i % 100, 1, "a\nb\x1b[31m");
    assert_int_equal(findings.n, FINDINGS_MAX);
    assert_int_equal(findings.n_errors, FINDINGS_MAX + 5);
    findings_write(&findings, &text);
    size_t lines = 0;
    for (size_t i = 0; i < text.len; i++) {
        lines += text.ptr[i] == '\n';
        assert_true(text.ptr[i] == '\n' || text.ptr[i] >= ' ');
    }
    assert_int_equal(lines, FINDINGS_MAX + 1);
    assert_true(str_starts(buf_view(&text), STR("x.yaml:901:1: error: a b?[31m\n")));
    assert_true(str_ends(buf_view(&text), STR("error: there may be further findings; mend these first\n")));
    buf_free(&text);
    findings_free(&findings);
}

static void an_empty_folder_is_an_error(void **state) {
    (void)state;
    struct policy *policy;
    char *got = compile_bundle(bundle_begin(), &policy);
    assert_null(policy);
    assert_string_equal(got,
                        "error: there are no route files; put *.yaml, *.yml or *.json files into the routes folder\n");
    free(got);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_files_give_their_findings),
        cmocka_unit_test(findings_are_bounded_and_one_line_each),
        cmocka_unit_test(an_empty_folder_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
