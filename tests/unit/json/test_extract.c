// Extraction: the trie's walk finds just what a naive walk finds, on made-up documents and on real events.
#include "penstock/json.h"

#include "../base/random.h"
#include "padded.h"

#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>
#include <glob.h>

#define STEPS_MAX 12

static struct jdoc *doc;

static int make_doc(void **state) {
    (void)state;
    doc = jdoc_new(1 << 20, 64);
    return 0;
}

static int free_doc(void **state) {
    (void)state;
    jdoc_free(doc);
    return 0;
}

// "a.b[3].c"
static struct path path_of(const char *text, struct path_step steps[STEPS_MAX]) {
    struct path path = {.steps = steps};
    while (*text) {
        struct path_step *step = &steps[path.n++];
        *step = (struct path_step){.is_index = *text == '['};
        text += *text == '[' || *text == '.';
        size_t len = strcspn(text, ".[");
        step->key = (struct str){text, len};
        if (step->is_index)
            str_to_int64((struct str){text, len - 1}, &step->index);
        text += len;
    }
    return path;
}

static struct value naive_walk(struct value v, struct path path) {
    for (size_t i = 0; i < path.n; i++) {
        const struct value_source *source = v.container.source;
        const struct path_step *step = &path.steps[i];
        struct value key = value_string(step->key);
        bool found = step->is_index ? v.type == VALUE_LIST && step->index >= 0 &&
                                          source->at(source, v.container.node, (size_t)step->index, &v)
                                    : v.type == VALUE_MAP && source->get(source, v.container.node, &key, &v);
        if (!found)
            return value_absent();
    }
    return v;
}

// The same element of the document, not only an equal one.
static bool is_same(const struct value *a, const struct value *b) {
    if (a->type != b->type)
        return false;
    if (a->type == VALUE_STRING)
        return a->string.ptr == b->string.ptr && a->string.len == b->string.len;
    return a->type == VALUE_ABSENT || a->type == VALUE_NULL ||
           (a->type == VALUE_BOOL
                ? a->boolean == b->boolean
                : a->uint64 == b->uint64 && (a->type < VALUE_LIST || a->container.node == b->container.node));
}

static void check_extract(const char *text, const char *const *paths, size_t n, const char *expected) {
    struct jpaths *wanted = jpaths_new();
    struct path_step steps[STEPS_MAX];
    struct value slots[64];
    for (size_t i = 0; i < n; i++)
        jpaths_add(wanted, path_of(paths[i], steps), (unsigned)i);
    assert_int_equal(parse_text(doc, str_of(text), NULL), JDOC_OK);
    struct value root = jdoc_root(doc);
    enum jdoc_result result = jdoc_extract(doc, &root, wanted, slots);
    struct buf got;
    buf_init(&got, 1000);
    for (size_t i = 0; result == JDOC_OK && i < n; i++) {
        buf_str(&got, i ? STR(" ") : STR(""));
        if (slots[i].type == VALUE_ABSENT)
            buf_char(&got, '-');
        else
            json_write_value(&got, &slots[i]);
    }
    if (result != JDOC_OK)
        buf_str(&got, str_of(jdoc_result_name(result)));
    if (!str_eq(buf_view(&got), str_of(expected)))
        fail_msg("%s gave %.*s, not %s", text, STR_ARG(buf_view(&got)), expected);
    buf_free(&got);
    jpaths_free(wanted);
}

#define PATHS(...) (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)

static void fills_the_wanted_slots(void **state) {
    (void)state;
    const char *event =
        "{\"actor\":{\"id\":\"u1\",\"alt\":\"é\"},\"n\":5,\"target\":[{\"id\":1},{\"id\":2,\"x\":[7,8]}],\"e\":null}";
    check_extract(event, PATHS("actor.id", "n", "e", "target[1].id"), "\"u1\" 5 null 2");
    check_extract(event, PATHS("actor", "actor.alt", "actor.id.deeper", "target[1].x[1]", "target[0].x"),
                  "{\"id\":\"u1\",\"alt\":\"é\"} \"é\" - 8 -");
    check_extract(
        event,
        PATHS("missing", "Actor", "actor.i", "actor.idx", "target[2]", "target.id", "n[0]", "actor[0]", "target[-1]"),
        "- - - - - - - - -");
    check_extract(event, PATHS("n", "n", "n"), "5 5 5"); // one path, several slots
    check_extract(event, PATHS("target[1].id", "target[0].id", "target[5]"), "2 1 -");
    check_extract("[10,20,{\"a\":30}]", PATHS("[1]", "[2].a", "a"), "20 30 -");
    check_extract("{\"a\":1}", PATHS("", "a"), "{\"a\":1} 1");
    check_extract("7", PATHS("", "a"), "7 -");
    check_extract("{}", PATHS("a", "a.b", "[0]"), "- - -");
    check_extract("{\"a\":{}}", PATHS("a.b", "a"), "- {}");
    check_extract("{\"\":{\"\":1}}", PATHS("a"), "-");
}

static void keys_that_share_eight_bytes_are_told_apart(void **state) {
    (void)state;
    check_extract("{\"requestA\":1,\"requestAB\":2,\"requestABC\":3,\"request\":4,\"requestX\":5,\"requestABD\":6}",
                  PATHS("requestA", "requestAB", "requestABC", "request", "requestABX"), "1 2 3 4 -");
    struct path_step nul = {.key = {"a\0", 2}}, plain = {.key = {"a", 1}}, empty = {.key = {"", 0}};
    struct jpaths *wanted = jpaths_new();
    jpaths_add(wanted, (struct path){&nul, 1}, 0);
    jpaths_add(wanted, (struct path){&plain, 1}, 1);
    jpaths_add(wanted, (struct path){&empty, 1}, 2);
    assert_int_equal(parse_text(doc, STR("{\"a\\u0000\":1,\"a\":2,\"\":3,\"\\u0000\":4}"), NULL), JDOC_OK);
    struct value root = jdoc_root(doc), slots[3];
    assert_int_equal(jdoc_extract(doc, &root, wanted, slots), JDOC_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(slots[i].int64, i + 1);
    jpaths_free(wanted);
}

static void repeated_wanted_keys_are_refused(void **state) {
    (void)state;
    check_extract("{\"a\":1,\"a\":2}", PATHS("a"), "duplicate_key");
    check_extract("{\"a\":1,\"a\":1}", PATHS("a"), "duplicate_key");
    check_extract("{\"a\":1,\"\\u0061\":2}", PATHS("a"), "duplicate_key"); // the same key, written otherwise
    check_extract("{\"a\":1,\"a\":2,\"b\":3}", PATHS("b"), "3");           // nobody asks for it
    check_extract("{\"a\":{\"x\":1},\"b\":2,\"a\":{\"y\":1}}", PATHS("a.x"), "duplicate_key");
    check_extract("{\"a\":{\"x\":1,\"z\":1,\"z\":1}}", PATHS("a.x"), "1");
    check_extract("{\"a\":[{\"x\":1},{\"x\":2,\"x\":3}]}", PATHS("a[0].x"), "1");
    check_extract("{\"a\":[{\"x\":1},{\"x\":2,\"x\":3}]}", PATHS("a[1].x"), "duplicate_key");
    check_extract("{\"a\":[{\"x\":1},{\"x\":2}]}", PATHS("a[0].x", "a[1].x"), "1 2"); // no repetition
    check_extract("{\"a\":5,\"a\":{\"x\":2}}", PATHS("a.x"), "duplicate_key");
}

static void starts_from_an_element_too(void **state) {
    (void)state;
    struct jpaths *wanted = jpaths_new();
    struct path_step steps[STEPS_MAX];
    jpaths_add(wanted, path_of("id", steps), 0);
    jpaths_add(wanted, (struct path){0}, 1);
    assert_int_equal(parse_text(doc, STR("{\"Records\":[{\"id\":1},{\"x\":0,\"id\":2},3]}"), NULL), JDOC_OK);
    struct value root = jdoc_root(doc), key = value_string(STR("Records")), records, record, slots[2];
    assert_true(root.container.source->get(root.container.source, root.container.node, &key, &records));
    uint64_t cursor = 0;
    for (int i = 1; i <= 2; i++) {
        assert_true(
            records.container.source->next(records.container.source, records.container.node, &cursor, NULL, &record));
        assert_int_equal(jdoc_extract(doc, &record, wanted, slots), JDOC_OK);
        assert_int_equal(slots[0].int64, i);
        assert_true(is_same(&slots[1], &record));
    }
    assert_true(
        records.container.source->next(records.container.source, records.container.node, &cursor, NULL, &record));
    assert_int_equal(jdoc_extract(doc, &record, wanted, slots), JDOC_OK);
    assert_int_equal(slots[0].type, VALUE_ABSENT);
    assert_int_equal(slots[1].int64, 3);
    jpaths_free(wanted);
}

struct collected {
    struct path_step steps[64][STEPS_MAX];
    struct path paths[64];
    size_t n;
};

// Paths through the document, each element with some chance; now and then one that leads nowhere.
static void collect_paths(struct value v, struct path_step *so_far, size_t depth, struct collected *all,
                          uint64_t *seed) {
    if (all->n == COUNT_OF(all->paths) || depth == STEPS_MAX)
        return;
    if (random_below(seed, 4) == 0) {
        struct path_step *steps = all->steps[all->n];
        memcpy(steps, so_far, depth * sizeof *steps);
        if (depth > 0 && random_below(seed, 10) == 0)
            steps[depth - 1] = random_below(seed, 2)
                                   ? (struct path_step){.is_index = true, .index = (int64_t)random_below(seed, 5)}
                                   : (struct path_step){.key = STR("nowhere")};
        all->paths[all->n] = (struct path){steps, depth};
        all->n++;
    }
    if (v.type != VALUE_LIST && v.type != VALUE_MAP)
        return;
    uint64_t cursor = 0;
    struct value key, item;
    while (v.container.source->next(v.container.source, v.container.node, &cursor, &key, &item)) {
        so_far[depth] = v.type == VALUE_MAP ? (struct path_step){.key = key.string}
                                            : (struct path_step){.is_index = true, .index = key.int64};
        collect_paths(item, so_far, depth + 1, all, seed);
    }
}

static bool has_repeated_keys(struct value v) {
    uint64_t cursor = 0, inner;
    struct value key, item, other_key, other;
    const struct value_source *source = v.container.source;
    if (v.type != VALUE_LIST && v.type != VALUE_MAP)
        return false;
    while (source->next(source, v.container.node, &cursor, &key, &item)) {
        inner = cursor;
        while (v.type == VALUE_MAP && source->next(source, v.container.node, &inner, &other_key, &other))
            if (value_equal(&key, &other_key))
                return true;
        if (has_repeated_keys(item))
            return true;
    }
    return false;
}

static void check_line(struct str line, uint64_t *seed) {
    static struct collected all;
    static struct value slots[COUNT_OF(all.paths)];
    struct path_step so_far[STEPS_MAX];
    struct str bytes = padded_copy(line);
    enum jdoc_result result = jdoc_parse(doc, bytes);
    if (result != JDOC_OK)
        fail_msg("%s: %.100s", jdoc_result_name(result), line.ptr);
    struct value root = jdoc_root(doc);
    all.n = 0;
    collect_paths(root, so_far, 0, &all, seed);
    struct jpaths *wanted = jpaths_new();
    for (size_t i = 0; i < all.n; i++)
        jpaths_add(wanted, all.paths[i], (unsigned)i);
    result = jdoc_extract(doc, &root, wanted, slots);
    if (result != JDOC_OK)
        assert_true(result == JDOC_DUPLICATE_KEY && has_repeated_keys(root));
    for (size_t i = 0; result == JDOC_OK && i < all.n; i++) {
        struct value expected = naive_walk(root, all.paths[i]);
        assert_true(is_same(&slots[i], &expected));
    }
    jpaths_free(wanted);
    padded_free(bytes);
}

static size_t check_file(const char *path, uint64_t *seed) {
    struct buf content;
    struct status status = {0};
    buf_init(&content, 64 << 20);
    if (!file_read(path, &content, &status))
        fail_msg("%s", status.text);
    size_t lines = 0;
    for (char *line = content.ptr, *end; (end = memchr(line, '\n', content.len - (size_t)(line - content.ptr))) != NULL;
         line = end + 1) {
        check_line((struct str){line, (size_t)(end - line)}, seed);
        lines++;
    }
    buf_free(&content);
    return lines;
}

static void finds_what_a_naive_walk_finds_in_samples(void **state) {
    (void)state;
    uint64_t seed = 10;
    assert_true(check_file(TEST_ROOT "/tests/unit/json/events.ndjson", &seed) >= 20);
}

// A folder of more events (NDJSON), where there is one.
static void finds_what_a_naive_walk_finds_in_many_events(void **state) {
    (void)state;
    const char *folder = getenv("PENSTOCK_EVENTS");
    if (!folder)
        skip();
    char pattern[512];
    snprintf(pattern, sizeof pattern, "%s/*.ndjson", folder);
    glob_t found;
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    uint64_t seed = 11;
    for (size_t i = 0; i < found.gl_pathc; i++)
        assert_true(check_file(found.gl_pathv[i], &seed) > 0);
    globfree(&found);
}

static void many_paths_make_a_wide_trie(void **state) {
    (void)state;
    struct buf text;
    buf_init(&text, 1 << 20);
    struct jpaths *wanted = jpaths_new();
    static struct value slots[5000];
    buf_char(&text, '{');
    for (unsigned i = 0; i < COUNT_OF(slots); i++) {
        char key[32];
        int len = snprintf(key, sizeof key, "field_number_%u", i);
        struct path_step step = {.key = {key, (size_t)len}};
        jpaths_add(wanted, (struct path){&step, 1}, i);
        json_write_key(&text, (struct str){key, (size_t)len});
        buf_printf(&text, "%u", i * 3);
    }
    buf_char(&text, '}');
    assert_int_equal(parse_text(doc, buf_view(&text), NULL), JDOC_OK);
    struct value root = jdoc_root(doc);
    assert_int_equal(jdoc_extract(doc, &root, wanted, slots), JDOC_OK);
    for (unsigned i = 0; i < COUNT_OF(slots); i++)
        assert_int_equal(slots[i].int64, i * 3);
    jpaths_free(wanted);
    buf_free(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_the_wanted_slots),
        cmocka_unit_test(keys_that_share_eight_bytes_are_told_apart),
        cmocka_unit_test(repeated_wanted_keys_are_refused),
        cmocka_unit_test(starts_from_an_element_too),
        cmocka_unit_test(finds_what_a_naive_walk_finds_in_samples),
        cmocka_unit_test(finds_what_a_naive_walk_finds_in_many_events),
        cmocka_unit_test(many_paths_make_a_wide_trie),
    };
    return cmocka_run_group_tests(tests, make_doc, free_doc);
}
