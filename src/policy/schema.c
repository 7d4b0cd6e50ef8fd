// schema: the JSON Schema of route files, out of the tables that read them.
#include "compile.h"

#define NAME_PATTERN "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$"
#define DURATION_PATTERN "^(0|([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$"
#define SCALAR "\"type\":[\"string\",\"number\",\"boolean\"]"

static void write_object(struct buf *out, const struct object *object);

static void write_enum(struct buf *out, const struct word *words) {
    const char *comma = "";
    buf_str(out, STR("\"enum\":["));
    for (const struct word *word = words; word->name; word++) {
        if (word->value == WORD_LATER)
            continue;
        buf_str(out, str_of(comma));
        json_write_string(out, str_of(word->name));
        comma = ",";
    }
    buf_char(out, ']');
}

// One, or a list of at most `most`.
static void write_one_or_list(struct buf *out, const struct key *key, const char *one) {
    buf_printf(out, "\"anyOf\":[{%s},{\"type\":\"array\",\"maxItems\":%zu,\"items\":{%s}}]", one,
               key->most ? key->most : (size_t)LIST_MAX, one);
}

static void write_words(struct buf *out, const struct key *key) {
    struct buf one;
    buf_init(&one, 4096);
    write_enum(&one, key->words);
    buf_char(&one, '\0');
    write_one_or_list(out, key, one.ptr);
    buf_free(&one);
}

static void write_key_schema(struct buf *out, const struct key *key) {
    switch (key->kind) {
    case KEY_NAME: buf_str(out, STR("\"type\":[\"string\",\"number\"],\"pattern\":\"" NAME_PATTERN "\"")); return;
    case KEY_TEXT: buf_str(out, STR(SCALAR ",\"minLength\":1,\"maxLength\":1024")); return;
    case KEY_BOOL: buf_str(out, STR("\"type\":\"boolean\"")); return;
    case KEY_COUNT: buf_str(out, STR("\"type\":\"integer\",\"minimum\":0")); return;
    case KEY_RATIO: buf_str(out, STR("\"type\":\"number\",\"minimum\":0,\"maximum\":1")); return;
    case KEY_SHIFT: buf_str(out, STR("\"type\":\"number\",\"minimum\":-1,\"maximum\":1")); return;
    case KEY_DURATION:
        buf_str(out, STR("\"type\":[\"string\",\"integer\"],\"minimum\":0,\"maximum\":0,\"pattern\":\"" DURATION_PATTERN
                         "\""));
        return;
    case KEY_WORD: write_enum(out, key->words); return;
    case KEY_WORDS: write_words(out, key); return;
    case KEY_TEXTS:
    case KEY_EXPRS: write_one_or_list(out, key, SCALAR); return;
    case KEY_EXPR:
    case KEY_TEMPLATE: buf_str(out, STR(SCALAR)); return;
    case KEY_OBJECT: write_object(out, key->object); return;
    case KEY_OBJECTS:
        buf_printf(out, "\"type\":\"array\",\"maxItems\":%zu,\"items\":{", key->most ? key->most : (size_t)LIST_MAX);
        write_object(out, key->object);
        buf_char(out, '}');
        return;
    case KEY_OTHER: key->schema(out); return;
    case KEY_LATER: must(key->kind != KEY_LATER); // left out by the callers
    }
}

static void write_properties(struct buf *out, const struct object *object, const char **comma) {
    for (size_t i = 0; i < object->n_keys; i++) {
        const struct key *key = &object->keys[i];
        if (key->kind == KEY_LATER)
            continue;
        buf_str(out, str_of(*comma));
        json_write_string(out, str_of(key->name));
        buf_str(out, STR(":{\"description\":"));
        json_write_string(out, str_of(key->text));
        buf_char(out, ',');
        write_key_schema(out, key);
        buf_char(out, '}');
        *comma = ",";
    }
}

static void write_required(struct buf *out, const struct object *object) {
    const char *comma = "";
    buf_str(out, STR("\"required\":["));
    for (size_t i = 0; i < object->n_keys; i++) {
        if (!object->keys[i].required)
            continue;
        buf_str(out, str_of(comma));
        json_write_string(out, str_of(object->keys[i].name));
        comma = ",";
    }
    buf_char(out, ']');
}

static void write_object(struct buf *out, const struct object *object) {
    const char *comma = "";
    buf_str(out, STR("\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"));
    write_properties(out, object, &comma);
    buf_str(out, STR("},"));
    write_required(out, object);
}

// The keys of a map or a route stand beside its name in the document: each of them needs the name there, and the name
// needs those that are required.
static void write_dependents(struct buf *out, const struct object *object, const char **comma) {
    for (size_t i = 0; i < object->n_keys; i++) {
        const struct key *key = &object->keys[i];
        if (key->kind == KEY_LATER)
            continue;
        buf_str(out, str_of(*comma));
        json_write_string(out, str_of(key->name));
        buf_char(out, ':');
        *comma = ",";
        if (i == 0) {
            struct buf required;
            buf_init(&required, 4096);
            write_required(&required, object);
            struct str list = buf_view(&required);
            size_t name_len = strlen("\"required\":");
            buf_str(out, (struct str){list.ptr + name_len, list.len - name_len});
            buf_free(&required);
        } else {
            buf_char(out, '[');
            json_write_string(out, str_of(object->keys[0].name));
            buf_char(out, ']');
        }
    }
}

void policy_schema_routes(struct buf *out) {
    static const struct {
        const char *name;
        const struct object *object;
    } defs[] = {{"field", &field_object},       {"dedup", &dedup_object}, {"gate", &gate_object},
                {"consumer", &consumer_object}, {"to", &to_object},       {"test", &test_object}};
    const char *comma = "";
    buf_str(out, STR("{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"title\":\"penstock route "
                     "file\",\"description\":"
                     "\"One document of a file under the routes "
                     "folder\",\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"));
    write_properties(out, &map_object, &comma);
    write_properties(out, &route_object, &comma);
    write_properties(out, &root_object, &comma);
    buf_str(out, STR("},\"dependentRequired\":{"));
    comma = "";
    write_dependents(out, &map_object, &comma);
    write_dependents(out, &route_object, &comma);
    buf_str(out, STR("},\"$defs\":{"));
    for (size_t i = 0; i < COUNT_OF(defs); i++) {
        buf_printf(out, "%s\"%s\":{", i ? "," : "", defs[i].name);
        write_object(out, defs[i].object);
        buf_char(out, '}');
    }
    buf_str(out, STR("}}\n"));
}
