// YAML documents: the tree with its positions, the core schema's types, the bounds, and messages that help.
#include "penstock/document.h"

#include "../base/random.h"

#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

static struct arena *arena;

static int make_arena(void **state) {
    (void)state;
    arena = arena_new(256 << 20);
    return 0;
}

static int free_arena(void **state) {
    (void)state;
    arena_free(arena);
    return 0;
}

static const struct doc_node *parse_one(const char *text) {
    const struct doc_node *documents;
    size_t n;
    struct doc_error error;
    if (!doc_parse(str_of(text), arena, &documents, &n, &error))
        fail_msg("%u:%u: %s", error.line, error.column, error.text);
    assert_int_equal(n, 1);
    return documents;
}

static void check_mistake(const char *text, unsigned line, unsigned column, const char *words) {
    const struct doc_node *documents;
    size_t n = 7;
    struct doc_error error = {0};
    if (doc_parse(str_of(text), arena, &documents, &n, &error))
        fail_msg("accepted: %s", text);
    assert_int_equal(n, 0);
    if (error.line != line || error.column != column || !strstr(error.text, words))
        fail_msg("%s\n%u:%u: %s\nexpected %u:%u %s", text, error.line, error.column, error.text, line, column, words);
}

static void check_text(const struct doc_node *node, const char *text, unsigned line, unsigned column) {
    struct str got;
    assert_non_null(node);
    assert_true(doc_str(node, &got));
    assert_true(str_eq(got, str_of(text)));
    assert_int_equal(node->line, line);
    assert_int_equal(node->column, column);
}

static void reads_a_tree_with_positions(void **state) {
    (void)state;
    const struct doc_node *root = parse_one("# a comment\n"
                                            "route: credential-misuse\n"
                                            "evidence:\n"
                                            "  - name: 'é'\n"
                                            "    weight: 0.6 # of one\n"
                                            "  - {name: \"ü\", list: [1, x]}\n"
                                            "text: |\n"
                                            "  one\n"
                                            "  two\n");
    assert_int_equal(root->kind, DOC_MAPPING);
    assert_int_equal(root->n, 3);
    assert_true(str_eq(root->members[1].key, STR("evidence")));
    assert_int_equal(root->members[1].line, 3);
    assert_int_equal(root->members[1].column, 1);
    check_text(doc_get(root, "route"), "credential-misuse", 2, 8);
    const struct doc_node *evidence = doc_get(root, "evidence");
    assert_int_equal(evidence->kind, DOC_SEQUENCE);
    assert_int_equal(evidence->n, 2);
    check_text(doc_get(&evidence->items[0], "name"), "é", 4, 11);
    check_text(doc_get(&evidence->items[0], "weight"), "0.6", 5, 13);
    const struct doc_node *flow = &evidence->items[1];
    check_text(doc_get(flow, "name"), "ü", 6, 12);
    assert_int_equal(flow->members[1].column, 17); // counted in characters: the ü before it is one
    check_text(&doc_get(flow, "list")->items[1], "x", 6, 27);
    check_text(doc_get(root, "text"), "one\ntwo\n", 7, 7);
    assert_true(doc_get(root, "text")->quoted);
    assert_null(doc_get(root, "missing"));
    assert_null(doc_get(evidence, "name"));
    assert_null(doc_get(NULL, "name"));
}

static void reads_several_documents(void **state) {
    (void)state;
    const struct doc_node *documents;
    size_t n;
    struct doc_error error;
    assert_true(doc_parse(STR("a: 1\n---\nb: 2\n...\n---\n- c\n---\n"), arena, &documents, &n, &error));
    assert_int_equal(n, 4);
    check_text(doc_get(&documents[0], "a"), "1", 1, 4);
    check_text(doc_get(&documents[1], "b"), "2", 3, 4);
    assert_int_equal(documents[2].kind, DOC_SEQUENCE);
    assert_true(doc_is_null(&documents[3]));
    assert_true(doc_parse(STR(""), arena, &documents, &n, &error));
    assert_int_equal(n, 0);
    assert_true(doc_parse(STR("# nothing\n"), arena, &documents, &n, &error));
    assert_int_equal(n, 0);
    assert_true(doc_parse((struct str){0}, arena, &documents, &n, &error));
    assert_int_equal(n, 0);
}

static void reads_json(void **state) {
    (void)state;
    const struct doc_node *root = parse_one("{\"a\": [1, true, null, \"x\\n\\u00e9\\/\"],\n \"b\": {}}");
    const struct doc_node *list = doc_get(root, "a");
    int64_t n;
    bool yes;
    assert_true(doc_int(&list->items[0], &n) && n == 1);
    assert_true(doc_bool(&list->items[1], &yes) && yes);
    assert_true(doc_is_null(&list->items[2]));
    check_text(&list->items[3], "x\né/", 1, 23);
    assert_int_equal(doc_get(root, "b")->kind, DOC_MAPPING);
    assert_int_equal(doc_get(root, "b")->n, 0);
}

static void texts_mean_what_the_core_schema_says(void **state) {
    (void)state;
    const struct doc_node *root =
        parse_one("[true, False, yes, 'true', ~, Null, '', -5, +7, 0x1f, 0o17, 1.5, -2e3, .5, '5', 12a, "
                  "9223372036854775808, no, 007, !!str 5, .inf, 1_000]");
    bool yes;
    int64_t n;
    double d;
    struct str s;
    const struct doc_node *items = root->items;
    assert_true(doc_bool(&items[0], &yes) && yes);
    assert_true(doc_bool(&items[1], &yes) && !yes);
    assert_false(doc_bool(&items[2], &yes));
    assert_false(doc_bool(&items[3], &yes));
    assert_true(doc_is_null(&items[4]) && doc_is_null(&items[5]) && !doc_is_null(&items[6]) && !doc_is_null(NULL));
    assert_false(doc_str(&items[4], &s));
    assert_true(doc_str(&items[6], &s) && s.len == 0);
    assert_true(doc_int(&items[7], &n) && n == -5);
    assert_true(doc_int(&items[8], &n) && n == 7);
    assert_true(doc_int(&items[9], &n) && n == 31);
    assert_true(doc_int(&items[10], &n) && n == 15);
    assert_false(doc_int(&items[11], &n));
    assert_true(doc_double(&items[11], &d) && d == 1.5);
    assert_true(doc_double(&items[12], &d) && d == -2000);
    assert_true(doc_double(&items[13], &d) && d == 0.5);
    assert_true(doc_double(&items[7], &d) && d == -5);
    assert_false(doc_int(&items[14], &n));
    assert_false(doc_double(&items[14], &d));
    assert_true(doc_str(&items[14], &s) && str_eq(s, STR("5")));
    assert_false(doc_int(&items[15], &n));
    assert_false(doc_int(&items[16], &n));
    assert_true(doc_int(&items[18], &n) && n == 7);
    assert_false(doc_int(&items[19], &n));
    assert_false(doc_double(&items[20], &d)); // no setting is infinite
    assert_false(doc_int(&items[21], &n));
    assert_false(doc_int(NULL, &n));
    assert_false(doc_int(root, &n));
    assert_false(doc_str(root, &s));
}

static bool equal(struct value v, struct value expected) {
    return value_equal(&v, &expected);
}

static void becomes_a_value(void **state) {
    (void)state;
    struct value v = doc_value(
        parse_one(
            "a: [1, 1.5, true, x, '2', 18446744073709551615, 0xffffffffffffffff, .inf, -.Inf, .nan, null]\nb: {c: d}"),
        arena);
    assert_int_equal(v.type, VALUE_MAP);
    struct value key = value_string(STR("a")), list, item;
    const struct value_source *source = v.container.source;
    assert_true(source->get(source, v.container.node, &key, &list));
    assert_int_equal(value_size(&list), 11);
    struct value expected[] = {value_int(1),           value_double(1.5),      value_bool(true),
                               value_string(STR("x")), value_string(STR("2")), value_uint(UINT64_MAX),
                               value_uint(UINT64_MAX), value_double(INFINITY), value_double(-INFINITY)};
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        assert_true(list.container.source->at(list.container.source, list.container.node, i, &item));
        assert_int_equal(item.type, expected[i].type);
        assert_true(equal(item, expected[i]));
    }
    assert_true(list.container.source->at(list.container.source, list.container.node, 9, &item));
    assert_true(item.type == VALUE_DOUBLE && isnan(item.real));
    assert_true(list.container.source->at(list.container.source, list.container.node, 10, &item));
    assert_int_equal(item.type, VALUE_NULL);
    assert_int_equal(doc_value(NULL, arena).type, VALUE_ABSENT);
    struct arena *tiny = arena_new(64);
    assert_int_equal(doc_value(parse_one("[[1], [2], [3], [4]]"), tiny).type, VALUE_ERROR);
    arena_free(tiny);
}

static void usual_mistakes_are_told_where_and_why(void **state) {
    (void)state;
    check_mistake("a: 1\n\tb: 2\n", 2, 1, "indent with spaces");
    check_mistake("a:\n\t- b\n", 2, 1, "indent with spaces");
    check_mistake("a: 1\nb: \"x\nc: 2\n", 2, 4, "never closed");
    check_mistake("a: 1\nb: 'x\nc: 2\n", 2, 4, "never closed");
    check_mistake("a: [1, 2\nb: 3\n", 1, 4, "not closed");
    check_mistake("a: {x: 1\nb: 3\n", 1, 4, "not closed");
    check_mistake("a:\n  b: 1\n c: 2\n", 3, 2, "indented");
    check_mistake("a: 1\n  b: 2\n", 2, 4, "indented");
    check_mistake("a: b: c\n", 1, 5, "needs quotes");
    check_mistake("when: !ip_in(a)\n", 1, 7, "begins with '!' needs quotes");
    check_mistake("when: !f(x) && y\n", 1, 14, "quotes around the whole");
    check_mistake("a: \"x\" && y\n", 1, 9, "quotes around the whole");
    check_mistake("a: 'x' == y\nb: 1\n", 1, 8, "behind its closing quote");
    check_mistake("é: @x\n", 1, 4, "begin with '@'");
    check_mistake("a: *x\n", 1, 4, "begins with '*' needs quotes");
    check_mistake("a: \"\\d\"\n", 1, 5, "backslash");
    check_mistake("a: - b\n", 1, 4, "line below its key");
    check_mistake("- a\nb: 1\n", 2, 1, "other elements");
    check_mistake("a: 1\nb: 2\na: 3\n", 3, 1, "'a' stands in line 1 already");
    check_mistake("x: {a: 1, \"a\": 2}\n", 1, 11, "'a' stands in line 1 already");
    check_mistake("? [a]\n: b\n", 1, 3, "a key must be a text");
    check_mistake("? \n: b\n", 1, 2, "key is missing");
    check_mistake("&x a: 1\n", 1, 1, "cannot be an anchor");
    check_mistake("a: &x [1, *x]\n", 1, 11, "inside of what it names");
    check_mistake("a: !!int 5\n", 1, 4, "no meaning here");
    check_mistake("ab: \x01\n", 1, 5, "control character 0x01");
    check_mistake("é: \xff\n", 1, 4, "UTF-8");
    check_mistake("a: \"\\ud83d\\ude00\"\n", 1, 7, "character itself");
    check_mistake("%YAML 3.0\n---\na: 1", 1, 1, "incompatible");
}

static void aliases_are_shared_and_counted_in_full(void **state) {
    (void)state;
    const struct doc_node *root = parse_one("a: &x {k: [1, 2]}\nb: *x\nc: &x 5\nd: *x\n");
    assert_int_equal(doc_get(doc_get(root, "b"), "k")->n, 2);
    check_text(doc_get(root, "d"), "5", 4, 4);
    // Nine levels of nine aliases: a few hundred bytes that would be 387 million values.
    char text[1000];
    size_t len = (size_t)snprintf(text, sizeof text, "a: &a [x,x,x,x,x,x,x,x,x]\n");
    for (char name = 'b'; name <= 'i'; name++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "%c: &%c [", name, name);
        for (int i = 0; i < 9; i++)
            len += (size_t)snprintf(text + len, sizeof text - len, "%s*%c", i ? "," : "", name - 1);
        len += (size_t)snprintf(text + len, sizeof text - len, "]\n");
    }
    check_mistake(text, 6, 11, "more than 200000 values");
}

static char *repeat(const char *head, const char *part, size_t n, const char *tail) {
    size_t part_len = strlen(part);
    char *text = must_alloc(strlen(head) + n * part_len + strlen(tail) + 1), *end = text + strlen(head);
    memcpy(text, head, strlen(head));
    for (size_t i = 0; i < n; i++, end += part_len)
        memcpy(end, part, part_len);
    memcpy(end, tail, strlen(tail));
    return text;
}

static void depth_is_bounded(void **state) {
    (void)state;
    char open[100], text[300];
    for (size_t depth = 60; depth <= 70; depth++) {
        memset(open, '[', depth);
        open[depth] = '\0';
        snprintf(text, sizeof text, "%s1%.*s", open, (int)depth,
                 "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
        if (depth <= 64)
            assert_non_null(parse_one(text));
        else
            check_mistake(text, 1, 65, "more than 64 levels");
    }
    char *deep = repeat("", "[", 100000, "");
    check_mistake(deep, 1, 65, "more than 64 levels");
    free(deep);
    // 40 levels inside of 40 by an alias are 80.
    char *nested = repeat("- &x ", "[", 40, "");
    char *closed = repeat(nested, "]", 40, "\n- ");
    char *outer = repeat(closed, "[", 40, "*x");
    check_mistake(outer, 2, 43, "more than 64 levels");
    free(nested);
    free(closed);
    free(outer);
}

static void sizes_are_bounded(void **state) {
    (void)state;
    char *text = repeat("[", "1,", 199998, "1]");
    assert_int_equal(parse_one(text)->n, 199999);
    free(text);
    text = repeat("[", "1,", 199999, "1]");
    check_mistake(text, 1, 2 + 199999 * 2, "more than 200000 values");
    free(text);
    text = repeat("[", "&a 1,", 1001, "1]");
    check_mistake(text, 1, 2 + 1000 * 5, "more than 1000 anchors");
    free(text);
    text = repeat("# ", "x", 16 << 20, "");
    check_mistake(text, 1, 1, "larger than 16 MiB");
    free(text);
    struct arena *tiny = arena_new(200);
    const struct doc_node *documents;
    size_t n;
    struct doc_error error;
    assert_false(
        doc_parse(STR("aaaaaaaaaaaaaaaa: [bbbbbbbbbbbbbbbb, cccccccccccccccccc]"), tiny, &documents, &n, &error));
    assert_non_null(strstr(error.text, "more memory than is allowed"));
    arena_free(tiny);
}

static void many_keys_are_told_apart(void **state) {
    (void)state;
    struct buf text;
    buf_init(&text, 4 << 20);
    for (int i = 0; i < 50000; i++)
        buf_printf(&text, "key%d: %d\n", i, i);
    buf_char(&text, '\0');
    assert_int_equal(parse_one(text.ptr)->n, 50000);
    text.len--;
    buf_printf(&text, "key%d: 0\n%c", 4711, '\0');
    check_mistake(text.ptr, 50001, 1, "'key4711' stands in line 4712 already");
    buf_free(&text);
}

// Any damage to a good file is read or refused with a position inside of it, never more.
static void damaged_files_are_refused_in_peace(void **state) {
    (void)state;
    static const char whole[] =
        "route: &r x\nfrom: [okta, *r]\nwhen: 'a == \"b\"'\nlist:\n  - {k: \"\\n\", l: |-\n     }\n---\n? a\n: >\n t\n";
    static const char salt[] = "\t\n \"'[]{}&*!|>%@`:-?#,\x01\xff\xc3\\~";
    uint64_t seed = 8;
    struct arena *own = arena_new(1 << 20);
    size_t refused = 0;
    for (int i = 0; i < 30000; i++) {
        char text[sizeof whole];
        memcpy(text, whole, sizeof whole);
        for (uint64_t k = random_below(&seed, 4) + 1; k > 0; k--)
            text[random_below(&seed, sizeof whole - 1)] = salt[random_below(&seed, sizeof salt - 1)];
        const struct doc_node *documents;
        size_t n;
        struct doc_error error;
        arena_reset(own);
        if (doc_parse((struct str){text, random_below(&seed, sizeof whole)}, own, &documents, &n, &error)) {
            for (size_t d = 0; d < n; d++)
                assert_int_not_equal(doc_value(&documents[d], own).type, VALUE_ERROR);
        } else {
            refused++;
            assert_int_not_equal(error.text[0], '\0');
            assert_true(error.line >= 1 && error.line <= 60 && error.column >= 1 && error.column <= sizeof whole);
        }
    }
    assert_true(refused > 1000 && refused < 29000);
    arena_free(own);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_tree_with_positions),
        cmocka_unit_test(reads_several_documents),
        cmocka_unit_test(reads_json),
        cmocka_unit_test(texts_mean_what_the_core_schema_says),
        cmocka_unit_test(becomes_a_value),
        cmocka_unit_test(usual_mistakes_are_told_where_and_why),
        cmocka_unit_test(aliases_are_shared_and_counted_in_full),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(many_keys_are_told_apart),
        cmocka_unit_test(damaged_files_are_refused_in_peace),
    };
    return cmocka_run_group_tests(tests, make_arena, free_arena);
}
