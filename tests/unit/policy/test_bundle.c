// Bundles: folders to bundles to bytes and back; links that lead out; bounds; damaged bytes.
#include "policy_testing.h"

#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static void put(const char *name, const char *text) {
    char path[256];
    struct status status = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!file_replace(path, str_of(text), &status))
        fail_msg("%s", status.text);
}

static int make_folder(void **state) {
    (void)state;
    char path[256];
    snprintf(folder, sizeof folder, "/tmp/penstock-bundle-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/routes", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/routes/deep", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    static const char *const names[] = {"routes/deep/c.json",  "routes/b.yaml",    "routes/a.yml",
                                        "routes/.hidden.yaml", "routes/notes.txt", "routes/link.yaml",
                                        "routes/folder.yaml",  "routes/pipe.yaml", "outside.yaml",
                                        "routes/deep",         "routes",           ""};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (unlink(path) != 0)
            rmdir(path);
    }
    return 0;
}

static struct policy_bundle *load(struct status *status) {
    static const struct policy_source sources[] = {{{"okta", 4}, {"", 0}}, {{"aws", 3}, {"cloudtrail", 10}}};
    char path[256];
    status_clear(status);
    snprintf(path, sizeof path, "%s/routes", folder);
    return policy_bundle_load(path, sources, COUNT_OF(sources), status);
}

static struct buf bytes_of(const struct policy_bundle *bundle) {
    struct buf bytes;
    buf_init(&bytes, 1u << 26);
    policy_bundle_write(bundle, &bytes);
    assert_false(bytes.overflow);
    return bytes;
}

static void check_good(const struct policy_bundle *bundle) {
    static const char *const names[] = {"a.yml", "b.yaml", "deep/c.json"};
    assert_int_equal(bundle->n_files, 3);
    for (size_t i = 0; i < 3; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/routes/%s", folder, names[i]);
        assert_text(bundle->files[i].path, path);
    }
    assert_text(bundle->files[0].text, "route: a\n");
    assert_text(bundle->files[2].text, "{}");
    assert_int_equal(bundle->n_sources, 2);
    assert_text(bundle->sources[1].map, "cloudtrail");
    assert_text(bundle->sources[0].map, "");
}

static void folders_become_bundles_and_bytes(void **state) {
    (void)state;
    struct status status;
    put("routes/b.yaml", "route: b\n");
    put("routes/a.yml", "route: a\n");
    put("routes/deep/c.json", "{}");
    put("routes/.hidden.yaml", "x");
    put("routes/notes.txt", "x");
    struct policy_bundle *bundle = load(&status);
    if (!bundle)
        fail_msg("%s", status.text);
    check_good(bundle);
    struct buf bytes = bytes_of(bundle);
    struct policy_bundle *again = policy_bundle_read(buf_view(&bytes), &status);
    assert_non_null(again);
    check_good(again);
    struct buf bytes_again = bytes_of(again);
    assert_true(str_eq(buf_view(&bytes), buf_view(&bytes_again)));
    // Every shorter text and every text with something behind is refused.
    for (size_t len = 0; len < bytes.len; len++)
        assert_null(policy_bundle_read((struct str){bytes.ptr, len}, &status));
    buf_char(&bytes, 'x');
    assert_null(policy_bundle_read(buf_view(&bytes), &status));
    assert_int_equal(status.code, STATUS_CORRUPT);
    policy_bundle_free(bundle);
    policy_bundle_free(again);
    buf_free(&bytes);
    buf_free(&bytes_again);
}

static void changed_bytes_never_harm(void **state) {
    (void)state;
    struct status status;
    struct policy_bundle *bundle = load(&status);
    assert_non_null(bundle);
    struct buf bytes = bytes_of(bundle);
    for (size_t i = 0; i < bytes.len; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes.ptr[i] = (char)(bytes.ptr[i] ^ (char)(1 << bit));
            policy_bundle_free(policy_bundle_read(buf_view(&bytes), &status));
            bytes.ptr[i] = (char)(bytes.ptr[i] ^ (char)(1 << bit));
        }
    policy_bundle_free(bundle);
    buf_free(&bytes);
}

static void check_refused(const char *words) {
    struct status status;
    assert_null(load(&status));
    if (!strstr(status.text, words))
        fail_msg("'%s' does not say '%s'", status.text, words);
}

static void links_stay_inside(void **state) {
    (void)state;
    char link[256], pipe_path[256];
    struct status status;
    put("outside.yaml", "route: secret\n");
    snprintf(link, sizeof link, "%s/routes/link.yaml", folder);
    assert_int_equal(symlink("deep/c.json", link), 0);
    struct policy_bundle *bundle = load(&status);
    assert_non_null(bundle);
    assert_int_equal(bundle->n_files, 4);
    assert_text(bundle->files[3].text, "{}");
    policy_bundle_free(bundle);
    unlink(link);
    assert_int_equal(symlink("../outside.yaml", link), 0);
    check_refused("link that leads out");
    unlink(link);
    assert_int_equal(symlink("nowhere.yaml", link), 0);
    check_refused("link.yaml");
    unlink(link);
    assert_int_equal(symlink("deep", link), 0);
    check_refused("not a plain file");
    unlink(link);
    snprintf(pipe_path, sizeof pipe_path, "%s/routes/pipe.yaml", folder);
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    check_refused("not a plain file");
    unlink(pipe_path);
}

static void too_much_is_refused(void **state) {
    (void)state;
    char *large = must_alloc(POLICY_MAX_BYTES + 1);
    memset(large, '#', POLICY_MAX_BYTES);
    put("routes/link.yaml", large);
    free(large);
    check_refused("over 16 MiB");
    char path[256];
    snprintf(path, sizeof path, "%s/routes/link.yaml", folder);
    unlink(path);
    struct status status;
    assert_null(policy_bundle_load("/nonexistent-folder", NULL, 0, &status));
    assert_int_equal(status.code, STATUS_NOT_FOUND);
}

static void policies_are_known_by_their_bundle(void **state) {
    (void)state;
    static const char text[] = "map: m\nfields: {subject.id: raw.x}\n---\nroute: r\ndefault_owner: o\nconsumers: "
                               "[{name: c, accepts: 'true', to: stdout}]\n";
    struct policy *one = compile_good(text, NULL), *same = compile_good(text, NULL),
                  *other = compile_good(text, "# a comment");
    assert_true(hash128_eq(one->hash, same->hash));
    assert_false(hash128_eq(one->hash, other->hash));
    policy_unref(one);
    policy_unref(same);
    policy_unref(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders_become_bundles_and_bytes),
        cmocka_unit_test(changed_bytes_never_harm),
        cmocka_unit_test(links_stay_inside),
        cmocka_unit_test(too_much_is_refused),
        cmocka_unit_test(policies_are_known_by_their_bundle),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
