// The schemas are JSON and have every key that the tables have, where they have it.
#include "compile.h"
#include "policy_testing.h"

static struct jdoc *doc;

static struct value parse(struct buf *text) {
    doc = jdoc_new(1u << 22, 64);
    assert_true(buf_reserve(text, JDOC_PADDING));
    assert_int_equal(jdoc_parse(doc, buf_view(text)), JDOC_OK);
    return jdoc_root(doc);
}

static struct value member(struct value map, const char *name) {
    struct value key = value_string(str_of(name)), found = value_absent();
    assert_int_equal(map.type, VALUE_MAP);
    if (!map.container.source->get(map.container.source, map.container.node, &key, &found))
        return value_absent();
    return found;
}

static bool list_has(struct value list, const char *text) {
    struct value item;
    for (size_t i = 0; list.type == VALUE_LIST && i < value_size(&list); i++) {
        assert_true(list.container.source->at(list.container.source, list.container.node, i, &item));
        if (item.type == VALUE_STRING && is_text(item.string, text))
            return true;
    }
    return false;
}

static size_t n_checked;

static void check_object(struct value schema, const struct object *object, bool is_root) {
    struct value properties = member(schema, "properties");
    assert_false(member(schema, "additionalProperties").boolean);
    for (size_t i = 0; i < object->n_keys; i++) {
        const struct key *key = &object->keys[i];
        struct value found = member(properties, key->name);
        if ((found.type == VALUE_MAP) != (key->kind != KEY_LATER))
            fail_msg("%s.%s", object->name, key->name);
        if (key->kind == KEY_LATER)
            continue;
        assert_text(member(found, "description").string, key->text);
        assert_true(value_size(&found) >= 2); // it says something of the value too
        if (!is_root)
            assert_int_equal(list_has(member(schema, "required"), key->name), key->required);
        if (key->kind == KEY_OBJECT)
            check_object(found, key->object, false);
        if (key->kind == KEY_OBJECTS)
            check_object(member(found, "items"), key->object, false);
        n_checked++;
    }
}

static void routes_schema_has_every_key(void **state) {
    (void)state;
    struct buf text;
    buf_init(&text, 1u << 20);
    policy_schema_routes(&text);
    struct value schema = parse(&text), defs = member(schema, "$defs");
    assert_text(member(schema, "$schema").string, "https://json-schema.org/draft/2020-12/schema");
    check_object(schema, &map_object, true);
    check_object(schema, &route_object, true);
    check_object(schema, &root_object, true);
    check_object(member(defs, "field"), &field_object, false);
    check_object(member(defs, "dedup"), &dedup_object, false);
    check_object(member(defs, "gate"), &gate_object, false);
    check_object(member(defs, "consumer"), &consumer_object, false);
    check_object(member(defs, "to"), &to_object, false);
    check_object(member(defs, "test"), &test_object, false);
    assert_true(n_checked > 80);
    struct value fields = member(member(member(schema, "properties"), "fields"), "properties");
    for (size_t i = 0; i < EVENT_FIELD_COUNT; i++)
        assert_int_equal(member(fields, event_fields[i].path).type, VALUE_MAP);
    assert_true(list_has(member(member(schema, "dependentRequired"), "map"), "fields"));
    assert_true(list_has(member(member(schema, "dependentRequired"), "evidence"), "route"));
    jdoc_free(doc);
    buf_free(&text);
}

static void output_schema_has_every_member(void **state) {
    (void)state;
    static const char *const names[] = {
#define X(name, text) text,
        OUTPUT_FIELDS(X)
#undef X
    };
    struct buf text;
    buf_init(&text, 1u << 20);
    policy_schema_output(&text);
    struct value schema = parse(&text), records = member(schema, "oneOf"), record, letter;
    assert_true(records.container.source->at(records.container.source, records.container.node, 0, &record));
    assert_true(records.container.source->at(records.container.source, records.container.node, 1, &letter));
    struct value properties = member(record, "properties");
    assert_int_equal(value_size(&properties), OUTPUT_FIELD_COUNT);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        assert_int_equal(member(properties, names[i]).type, VALUE_MAP);
    assert_false(member(record, "additionalProperties").boolean);
    assert_false(member(letter, "additionalProperties").boolean);
    jdoc_free(doc);
    buf_free(&text);
}

// What a dead letter is written as has no member that the schema lacks, and all that it requires.
static void output_schema_has_the_dead_letters_members(void **state) {
    (void)state;
    struct buf schema_text, text;
    buf_init(&schema_text, 1u << 20);
    buf_init(&text, 1u << 20);
    policy_schema_output(&schema_text);
    struct value schema = parse(&schema_text), records = member(schema, "oneOf"), letter_schema, key, value;
    struct jdoc *schema_doc = doc;
    assert_true(records.container.source->at(records.container.source, records.container.node, 1, &letter_schema));
    struct dead_letter letter = {.at = {.source = STR("okta"), .offset = 7},
                                 .reason = STR("too_deep"),
                                 .detail = STR("d"),
                                 .bytes = STR("{"),
                                 .full_bytes = 9};
    dead_letter_write_json(&text, &letter, 1000);
    struct value record = parse(&text);
    struct value required = member(letter_schema, "required"), properties = member(letter_schema, "properties");
    uint64_t cursor = 0;
    while (record.container.source->next(record.container.source, record.container.node, &cursor, &key, &value)) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", STR_ARG(key.string));
        if (member(properties, name).type != VALUE_MAP)
            fail_msg("the schema lacks '%s'", name);
    }
    for (size_t i = 0; i < value_size(&required); i++) {
        char name[64];
        assert_true(required.container.source->at(required.container.source, required.container.node, i, &value));
        snprintf(name, sizeof name, "%.*s", STR_ARG(value.string));
        if (member(record, name).type == VALUE_ABSENT)
            fail_msg("no dead letter has '%s'", name);
    }
    jdoc_free(schema_doc);
    jdoc_free(doc);
    buf_free(&schema_text);
    buf_free(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_schema_has_every_key),
        cmocka_unit_test(output_schema_has_every_member),
        cmocka_unit_test(output_schema_has_the_dead_letters_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
