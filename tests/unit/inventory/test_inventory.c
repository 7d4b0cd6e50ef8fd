// The inventory: both notations, every check with its place, look-ups by tenant, many identities.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "penstock/inventory.h"

static struct inventory *parse_good(const char *text, bool yaml) {
    struct status status = {0};
    struct inventory *inventory = inventory_parse(str_of(text), "file", yaml, &status);
    if (!inventory) {
        fail_msg("%s", status.text);
    }
    return inventory;
}

static void check_text(const struct identity *identity, enum identity_field field, const char *expected) {
    const struct value *value = &identity->fields[field];
    assert_int_equal(value->type, VALUE_STRING);
    assert_int_equal(value->string.len, strlen(expected));
    assert_memory_equal(value->string.ptr, expected, value->string.len);
}

static void check_list(const struct identity *identity, enum identity_field field, const char *const *expected,
                       size_t n) {
    const struct value *list = &identity->fields[field];
    assert_int_equal(list->type, VALUE_LIST);
    assert_int_equal(value_size(list), n);
    for (size_t i = 0; i < n; i++) {
        struct value element;
        assert_true(list->container.source->at(list->container.source, list->container.node, i, &element));
        assert_true(value_is_string(&element) && str_eq(element.string, str_of(expected[i])));
    }
}

static void check_robot(const struct inventory *inventory) {
    const struct identity *identity = inventory_find(inventory, STR("acme"), STR("robot"));
    assert_non_null(identity);
    check_text(identity, IDENTITY_ID, "robot");
    check_text(identity, IDENTITY_OWNER, "ann@acme");
    check_text(identity, IDENTITY_PURPOSE, "nightly “backup”");
    assert_int_equal(identity->fields[IDENTITY_PRIVILEGE].int64, 2);
    assert_true(identity->fields[IDENTITY_BLAST_RADIUS].real == 4);
    assert_int_equal(identity->fields[IDENTITY_BLAST_RADIUS].type, VALUE_DOUBLE);
    assert_true(identity->fields[IDENTITY_SHARED].boolean);
    assert_int_equal(identity->fields[IDENTITY_EPHEMERAL].type, VALUE_ABSENT);
    assert_int_equal(identity->fields[IDENTITY_STEWARD].type, VALUE_ABSENT);
    check_list(identity, IDENTITY_NETWORKS, (const char *const[]){"10.0.0.0/8", "2001:db8::/32", "192.0.2.7"}, 3);
    check_list(identity, IDENTITY_REGIONS, NULL, 0);
    assert_int_equal(identity->fields[IDENTITY_HOURS].type, VALUE_MAP);
    const struct value *hours = &identity->fields[IDENTITY_HOURS];
    struct value key = value_string(STR("days")), days, last;
    assert_true(hours->container.source->get(hours->container.source, hours->container.node, &key, &days));
    assert_int_equal(value_size(&days), 2);
    assert_true(days.container.source->at(days.container.source, days.container.node, 1, &last));
    assert_int_equal(last.int64, 5);
    assert_ptr_equal(inventory_find(inventory, STR("acme"), STR("arn:robot")), identity);
    assert_ptr_equal(inventory_find(inventory, STR("acme"), STR("AKIA1")), identity);
    assert_null(inventory_find(inventory, STR("acme"), STR("")));
    assert_null(inventory_find(inventory, STR("acme"), STR("robo")));
}

static void both_notations_say_the_same(void **state) {
    (void)state;
    const char *const texts[] = {
        "\n{\"id\":\"robot\",\"aliases\":[\"arn:robot\",\"AKIA1\"],\"tenant\":\"acme\",\"owner\":\"ann@acme\","
        "\"purpose\":\"nightly “backup”\",\"privilege\":2,\"blast_radius\":4,\"shared\":true,\"steward\":null,"
        "\"networks\":[\"10.0.0.0/8\",\"2001:db8::/32\",\"192.0.2.7\"],\"regions\":[],\"hours\":{\"days\":[1,5]}}\r\n"
        "  \n{\"id\":\"other\"}",
        "- id: robot\n  aliases: [\"arn:robot\", AKIA1]\n  tenant: acme\n  owner: ann@acme\n"
        "  purpose: nightly “backup”\n  privilege: 2\n  blast_radius: 4\n  shared: true\n  steward: null\n"
        "  networks: [10.0.0.0/8, \"2001:db8::/32\", 192.0.2.7]\n  regions: []\n  hours: {days: [1, 5]}\n- id: other\n",
        "identities:\n- {id: robot, aliases: [\"arn:robot\", AKIA1], tenant: acme, owner: ann@acme, shared: true,\n"
        "  purpose: nightly “backup”, privilege: 2, blast_radius: 4.0, regions: [], hours: {days: [1, 5]},\n"
        "  networks: [10.0.0.0/8, \"2001:db8::/32\", 192.0.2.7]}\n---\n[{\"id\": \"other\"}]\n",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        char *copy = must_strdup(texts[i]); // nothing may point into the text afterwards
        struct inventory *inventory = parse_good(copy, i > 0);
        memset(copy, '#', strlen(copy));
        free(copy);
        assert_int_equal(inventory_size(inventory), 2);
        check_robot(inventory);
        const struct identity *other = inventory_find(inventory, STR(""), STR("other"));
        assert_non_null(other);
        assert_true(other->fields[IDENTITY_BLAST_RADIUS].real == 1);
        inventory_unref(inventory);
    }
}

static void plain_scalars_of_yaml_keep_their_text(void **state) {
    (void)state;
    struct inventory *inventory =
        parse_good("- {id: 0012, tenant: 7, owner: true, aliases: [1.50, 0x10], team: ~}\n", true);
    const struct identity *identity = inventory_find(inventory, STR("7"), STR("0012"));
    assert_non_null(identity);
    check_text(identity, IDENTITY_OWNER, "true");
    assert_int_equal(identity->fields[IDENTITY_TEAM].type, VALUE_ABSENT);
    assert_ptr_equal(inventory_find(inventory, STR("7"), STR("1.50")), identity);
    assert_ptr_equal(inventory_find(inventory, STR("7"), STR("0x10")), identity);
    inventory_unref(inventory);
}

static void nothing_is_an_inventory_too(void **state) {
    (void)state;
    const char *const texts[] = {"", "\n\n", "[]", "identities: []", "identities:", "# nothing yet\n"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct inventory *inventory = parse_good(texts[i], i != 1);
        assert_int_equal(inventory_size(inventory), 0);
        assert_null(inventory_find(inventory, STR("acme"), STR("x")));
        inventory_unref(inventory);
    }
    struct inventory *inventory = inventory_empty();
    assert_int_equal(inventory_size(inventory), 0);
    assert_null(inventory_find(inventory, STR(""), STR("")));
    inventory_unref(inventory_ref(inventory));
    assert_int_equal(inventory_size(inventory), 0);
    inventory_unref(inventory);
    inventory_unref(NULL);
}

static void a_tenants_identity_is_its_own(void **state) {
    (void)state;
    struct inventory *inventory =
        parse_good("{\"id\":\"admin\",\"tenant\":\"a\",\"owner\":\"1\"}\n"
                   "{\"id\":\"admin\",\"tenant\":\"b\",\"owner\":\"2\"}\n"
                   "{\"id\":\"single\",\"tenant\":\"b\",\"owner\":\"3\"}\n"
                   "{\"id\":\"common\",\"owner\":\"4\"}\n"
                   "{\"id\":\"both\",\"owner\":\"5\"}\n"
                   "{\"id\":\"both\",\"tenant\":\"a\",\"owner\":\"6\",\"aliases\":[\"single\"]}\n",
                   false);
    const struct {
        const char *tenant, *id, *owner;
    } cases[] = {
        {"a", "admin", "1"},   {"b", "admin", "2"},  {"c", "admin", NULL}, {"", "admin", NULL},  {"b", "single", "3"},
        {"c", "single", NULL}, {"a", "single", "6"}, {"", "single", NULL}, {"c", "common", "4"}, {"", "common", "4"},
        {"a", "both", "6"},    {"b", "both", "5"},   {"", "both", "5"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct identity *found = inventory_find(inventory, str_of(cases[i].tenant), str_of(cases[i].id));
        if (cases[i].owner) {
            assert_non_null(found);
            check_text(found, IDENTITY_OWNER, cases[i].owner);
        } else {
            assert_null(found);
        }
    }
    inventory_unref(inventory);
    inventory = parse_good("{\"id\":\"x\",\"tenant\":\"a\",\"aliases\":[\"y\"]}", false);
    assert_non_null(inventory_find(inventory, STR(""), STR("x"))); // the only one of that name
    assert_non_null(inventory_find(inventory, STR(""), STR("y")));
    assert_null(inventory_find(inventory, STR("b"), STR("x")));
    inventory_unref(inventory);
}

static void every_mistake_is_told_with_its_place(void **state) {
    (void)state;
    const struct {
        bool yaml;
        const char *text, *place, *words;
    } cases[] = {
        {false, "{\"id\":\"a\"}\n\n{\"id\":\"b\",\"ownr\":\"x\"}", "file:3: ", "did you mean 'owner'?"},
        {false, "{\"id\":\"a\",\"zzzzzzzz\":1}", "file:1: ", "no 'zzzzzzzz'; it has: id, kind, tenant"},
        {true, "- id: a\n  blast_raduis: 2\n", "file:2:3: ", "did you mean 'blast_radius'?"},
        {true, "- id: a\n  alias: [b]\n", "file:2:3: ", ", group, aliases"},
        {false, "{\"id\":\"a\"", "file:1:", "not a JSON object"},
        {false, "{\"id\":\"a\",\"id\":\"b\"}", "file:1:", "duplicate"},
        {false, "[{\"id\":\"a\"}]", "file:1: ", "not a JSON object"},
        {false, "{\"id\":\"a\"} {\"id\":\"b\"}", "file:1:", "not a JSON object"},
        {false, "{\"owner\":\"a\"}", "file:1: ", "without 'id'"},
        {false, "{\"id\":null}", "file:1: ", "without 'id'"},
        {false, "{\"id\":\"\"}", "file:1: ", "'id' is empty"},
        {false, "{\"id\":12}", "file:1: ", "'id' must be a text in quotes, not int"},
        {false, "{\"id\":\"a\",\"owner\":[\"b\"]}", "file:1: ", "'owner' must be a text in quotes, not list"},
        {false, "{\"id\":\"a\",\"privilege\":4}", "file:1: ", "0 (none) to 3 (total)"},
        {false, "{\"id\":\"a\",\"privilege\":-1}", "file:1: ", "0 (none) to 3 (total)"},
        {false, "{\"id\":\"a\",\"privilege\":1.5}", "file:1: ", "'privilege' must be a whole number, not double"},
        {false, "{\"id\":\"a\",\"blast_radius\":-0.5}", "file:1: ", "0 or more"},
        {true, "- {id: a, blast_radius: .inf}", "file:1:", "0 or more"},
        {true, "- {id: a, shared: \"true\"}", "file:1:", "'shared' must be true or false, not string"},
        {false, "{\"id\":\"a\",\"networks\":\"10.0.0.0/8\"}", "file:1: ", "'networks' must be a list"},
        {false, "{\"id\":\"a\",\"networks\":[\"10.0.0.0/33\"]}", "file:1: ", "'10.0.0.0/33' in 'networks' is neither"},
        {false, "{\"id\":\"a\",\"networks\":[\"office\"]}", "file:1: ", "'office' in 'networks' is neither"},
        {false, "{\"id\":\"a\",\"dependents\":[\"b\",7]}", "file:1: ", "'dependents' must be a list of texts"},
        {false, "{\"id\":\"a\",\"aliases\":[\"\"]}",
         "file:1: ", "'aliases' must be a list of texts, none of them empty"},
        {false, "{\"id\":\"a\"}\n{\"id\":\"b\",\"aliases\":[\"a\"]}",
         "file:2: ", "'a' is given twice: it is the id or an alias of 'a'"},
        {false, "{\"id\":\"a\",\"aliases\":[\"b\"]}\n{\"id\":\"b\"}", "file:2: ", "alias of 'a' already"},
        {false, "{\"id\":\"a\",\"aliases\":[\"b\",\"b\"]}", "file:1: ", "given twice"},
        {false, "{\"id\":\"a\",\"aliases\":[\"a\"]}", "file:1: ", "given twice"},
        {false, "{\"id\":\"a\",\"tenant\":\"t\"}\n{\"id\":\"a\",\"tenant\":\"t\"}", "file:2: ", "given twice"},
        {true, "- id: a\n- id: a\n", "file:2:3: ", "given twice"},
        {true, "identity: [{id: a}]", "file:1:1: ", "'identity' is no key of an inventory"},
        {true, "identities: a", "file:1:13: ", "not a list of identities"},
        {true, "- a\n", "file:1:3: ", "not an identity"},
        {true, "- [a\n", "file:", ""},
        {false, "{\"id\":\"a\",\"hours\":[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]}", "file:1: ", "nested"},
        {false, "{\"id\":\"a\\u0000b\"}", "file:1:", "not a JSON object"},
        {false, "{\"id\":\"a\xff\"}", "file:1:", "not a JSON object"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct status status = {0};
        struct inventory *inventory = inventory_parse(str_of(cases[i].text), "file", cases[i].yaml, &status);
        if (inventory) {
            fail_msg("accepted: %s", cases[i].text);
        }
        assert_int_equal(status.code, STATUS_INVALID);
        if (strncmp(status.text, cases[i].place, strlen(cases[i].place)) != 0 || !strstr(status.text, cases[i].words)) {
            fail_msg("%s\n  said: %s\n  not: %s%s", cases[i].text, status.text, cases[i].place, cases[i].words);
        }
    }
}

static void a_line_over_the_bound_is_refused(void **state) {
    (void)state;
    struct status status = {0};
    size_t len = (1 << 20) + 100;
    char *text = must_alloc(len + 1);
    memset(text, 'x', len);
    memcpy(text, "{\"id\":\"", 7);
    memcpy(text + len - 2, "\"}", 2);
    assert_null(inventory_parse((struct str){text, len}, "file", false, &status));
    assert_non_null(strstr(status.text, "at most 1048576"));
    free(text);
}

static void files_are_read_by_their_ending(void **state) {
    (void)state;
    const struct {
        const char *ending, *text;
    } files[] = {
        {"yaml", "- id: a\n"}, {"yml", "- id: a\n"}, {"json", "[{\"id\": \"a\"}]"}, {"ndjson", "{\"id\": \"a\"}\n"}};
    char dir[] = "/tmp/penstock-inventory-XXXXXX";
    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        char path[200];
        struct status status = {0};
        snprintf(path, sizeof path, "%s/identities.%s", dir, files[i].ending);
        assert_true(file_replace(path, str_of(files[i].text), &status));
        struct inventory *inventory = inventory_load(path, &status);
        assert_non_null(inventory);
        assert_non_null(inventory_find(inventory, STR(""), STR("a")));
        inventory_unref(inventory);
        assert_int_equal(unlink(path), 0);
        assert_null(inventory_load(path, &status));
        assert_int_equal(status.code, STATUS_NOT_FOUND);
        assert_non_null(strstr(status.text, path));
    }
    assert_int_equal(rmdir(dir), 0);
}

static void many_identities_are_all_found(void **state) {
    (void)state;
    const int n = 100000;
    struct buf text;
    buf_init(&text, 1 << 30);
    for (int i = 0; i < n; i++) {
        buf_printf(&text,
                   "{\"id\":\"id-%d\",\"tenant\":\"t%d\",\"owner\":\"owner-%d\",\"aliases\":[\"alias-%d\",\"root\"]}\n",
                   i, i, i % 97, i);
    }
    struct status status = {0};
    struct inventory *inventory = inventory_parse(buf_view(&text), "many", false, &status);
    buf_free(&text);
    assert_non_null(inventory);
    assert_int_equal(inventory_size(inventory), n);
    for (int i = 0; i < n; i++) {
        char tenant[32], id[32], alias[32];
        snprintf(tenant, sizeof tenant, "t%d", i);
        snprintf(id, sizeof id, "id-%d", i);
        snprintf(alias, sizeof alias, "alias-%d", i);
        const struct identity *identity = inventory_find(inventory, str_of(tenant), str_of(id));
        assert_non_null(identity);
        assert_true(str_eq(identity->fields[IDENTITY_ID].string, str_of(id)));
        assert_ptr_equal(inventory_find(inventory, STR(""), str_of(alias)), identity);
        assert_ptr_equal(inventory_find(inventory, str_of(tenant), STR("root")), identity);
        assert_null(inventory_find(inventory, STR("t"), str_of(id)));
    }
    assert_null(inventory_find(inventory, STR(""), STR("root")));
    inventory_unref(inventory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_notations_say_the_same),          cmocka_unit_test(plain_scalars_of_yaml_keep_their_text),
        cmocka_unit_test(nothing_is_an_inventory_too),          cmocka_unit_test(a_tenants_identity_is_its_own),
        cmocka_unit_test(every_mistake_is_told_with_its_place), cmocka_unit_test(a_line_over_the_bound_is_refused),
        cmocka_unit_test(files_are_read_by_their_ending),       cmocka_unit_test(many_identities_are_all_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
