// read: the two notations of an inventory, a JSON object a line or one YAML document,
// brought to the same members.
//
// In YAML a plain scalar where a text belongs is that text as it is written (an
// account number keeps its leading zeros); in JSON a number there is an error.
#include <jansson.h>
#include <stdlib.h>

#include "inventory_internal.h"
#include "penstock/document.h"

#define SCRATCH_BYTES ((size_t)1 << 30)

// ---- a JSON object a line ----------------------------------------------------------------

static struct value json_value(const json_t *json, struct arena *scratch, unsigned depth);

static struct value json_container(const json_t *json, struct arena *scratch, unsigned depth) {
    if (json_is_array(json)) {
        size_t n = json_array_size(json);
        struct value *items = arena_alloc(scratch, n * sizeof *items);
        must(items); // a line is bounded, and so is what it becomes
        for (size_t i = 0; i < n; i++) {
            items[i] = json_value(json_array_get(json, i), scratch, depth + 1);
        }
        return value_list(scratch, items, n);
    }
    size_t n = 0;
    struct value *pairs = arena_alloc(scratch, 2 * json_object_size(json) * sizeof *pairs);
    must(pairs);
    const char *key;
    json_t *element;
    json_object_foreach((json_t *)(uintptr_t)json, key, element) {
        pairs[2 * n] = value_string(str_of(key));
        pairs[2 * n + 1] = json_value(element, scratch, depth + 1);
        n++;
    }
    return value_map(scratch, pairs, n);
}

static struct value json_value(const json_t *json, struct arena *scratch, unsigned depth) {
    switch (json_typeof(json)) {
    case JSON_STRING: return value_string((struct str){json_string_value(json), json_string_length(json)});
    case JSON_INTEGER: return value_int(json_integer_value(json));
    case JSON_REAL: return value_double(json_real_value(json));
    case JSON_TRUE:
    case JSON_FALSE: return value_bool(json_is_true(json));
    case JSON_NULL: return (struct value){.type = VALUE_NULL};
    case JSON_ARRAY:
    case JSON_OBJECT: break;
    }
    // One level more than is allowed: whoever keeps the value sees that it is too deep.
    return depth > IDENTITY_MAX_DEPTH ? value_list(scratch, NULL, 0) : json_container(json, scratch, depth);
}

static bool add_line(struct inventory *inventory, struct str line, struct place place, struct arena *scratch,
                     struct status *status) {
    if (line.len > INVENTORY_MAX_LINE_BYTES) {
        return place_fail(&place, status, "a line of %zu bytes; at most %zu", line.len, INVENTORY_MAX_LINE_BYTES);
    }
    json_error_t error;
    json_t *json = json_loadb(line.ptr, line.len, JSON_REJECT_DUPLICATES, &error);
    if (!json) {
        place.column = error.column > 0 ? (size_t)error.column : 0;
        return place_fail(&place, status, "not a JSON object: %s", error.text);
    }
    bool ok =
        json_is_object(json) ||
        place_fail(&place, status, "not a JSON object; write one identity a line, {\"id\": \"…\", \"owner\": \"…\"}");
    if (ok) {
        arena_reset(scratch);
        struct member *members = arena_alloc(scratch, json_object_size(json) * sizeof *members);
        must(members);
        size_t n = 0;
        const char *key;
        json_t *element;
        json_object_foreach(json, key, element) {
            members[n++] = (struct member){str_of(key), json_value(element, scratch, 0), place};
        }
        ok = inventory_add(inventory, members, n, place, status);
    }
    json_decref(json);
    return ok;
}

static bool read_lines(struct inventory *inventory, struct str text, const char *file, struct status *status) {
    struct arena *scratch = arena_new(SCRATCH_BYTES);
    struct place place = {.file = file};
    bool ok = true;
    while (ok && text.len > 0) {
        const char *end = memchr(text.ptr, '\n', text.len);
        struct str line = {text.ptr, end ? (size_t)(end - text.ptr) : text.len};
        size_t used = line.len + (end ? 1 : 0);
        text = (struct str){text.ptr + used, text.len - used};
        place.line++;
        if (str_trim(line).len > 0) {
            ok = add_line(inventory, line, place, scratch, status);
        }
    }
    arena_free(scratch);
    return ok;
}

// ---- YAML --------------------------------------------------------------------------------

static struct value yaml_text(const struct doc_node *node, struct arena *scratch) {
    struct str text;
    return !doc_is_null(node) && doc_str(node, &text) ? value_string(text) : doc_value(node, scratch);
}

static struct value yaml_value(const struct doc_node *node, int type, struct arena *scratch) {
    if (type == VALUE_STRING) {
        return yaml_text(node, scratch);
    }
    if (type != VALUE_LIST || node->kind != DOC_SEQUENCE) {
        return doc_value(node, scratch);
    }
    struct value *items = arena_alloc(scratch, node->n * sizeof *items);
    must(items);
    for (size_t i = 0; i < node->n; i++) {
        items[i] = yaml_text(&node->items[i], scratch);
    }
    return value_list(scratch, items, node->n);
}

static bool add_node(struct inventory *inventory, const struct doc_node *node, const char *file, struct arena *scratch,
                     struct status *status) {
    const struct place place = {file, node->line, node->column};
    if (node->kind != DOC_MAPPING) {
        return place_fail(&place, status, "not an identity; write {id: …, owner: …}");
    }
    struct member *members = arena_alloc(scratch, node->n * sizeof *members);
    must(members);
    for (size_t i = 0; i < node->n; i++) {
        const struct doc_member *member = &node->members[i];
        members[i] = (struct member){member->key,
                                     yaml_value(&member->node, identity_key_type(member->key), scratch),
                                     {file, member->line, member->column}};
    }
    return inventory_add(inventory, members, node->n, place, status);
}

static bool add_document(struct inventory *inventory, const struct doc_node *document, const char *file,
                         struct arena *scratch, struct status *status) {
    const struct doc_node *list = document;
    if (document->kind == DOC_MAPPING) {
        for (size_t i = 0; i < document->n; i++) {
            const struct doc_member *member = &document->members[i];
            if (!str_eq(member->key, STR("identities"))) {
                return place_fail(
                    &(struct place){file, member->line, member->column}, status,
                    "'%.*s' is no key of an inventory; write a list of identities, or one under 'identities'",
                    (int)(member->key.len < 80 ? member->key.len : 80), member->key.ptr);
            }
            list = &member->node;
        }
    }
    if (doc_is_null(list) || (list == document && document->kind == DOC_MAPPING)) {
        return true;
    }
    if (list->kind != DOC_SEQUENCE) {
        return place_fail(&(struct place){file, list->line, list->column}, status,
                          "not a list of identities; begin each with '- id: …'");
    }
    for (size_t i = 0; i < list->n; i++) {
        if (!add_node(inventory, &list->items[i], file, scratch, status)) {
            return false;
        }
    }
    return true;
}

static bool read_yaml(struct inventory *inventory, struct str text, const char *file, struct status *status) {
    struct arena *scratch = arena_new(SCRATCH_BYTES);
    const struct doc_node *documents = NULL;
    size_t n = 0;
    struct doc_error error;
    bool ok = doc_parse(text, scratch, &documents, &n, &error) ||
              place_fail(&(struct place){file, error.line, error.column}, status, "%s", error.text);
    for (size_t i = 0; ok && i < n; i++) {
        ok = add_document(inventory, &documents[i], file, scratch, status);
    }
    arena_free(scratch);
    return ok;
}

// ---- both --------------------------------------------------------------------------------

struct inventory *inventory_parse(struct str text, const char *name, bool yaml, struct status *status) {
    struct inventory *inventory = inventory_empty();
    bool ok = yaml ? read_yaml(inventory, text, name, status) : read_lines(inventory, text, name, status);
    if (!ok) {
        inventory_unref(inventory);
        return NULL;
    }
    if (inventory->n > 0) {
        inventory->identities = must_realloc(inventory->identities, inventory->n * sizeof *inventory->identities);
        inventory->cap = inventory->n;
    }
    return inventory;
}

struct inventory *inventory_load(const char *path, struct status *status) {
    struct buf text;
    struct str name = str_of(path);
    struct inventory *inventory = NULL;
    buf_init(&text, INVENTORY_MAX_TEXT_BYTES);
    if (file_read(path, &text, status)) {
        bool yaml = str_ends(name, STR(".yaml")) || str_ends(name, STR(".yml")) || str_ends(name, STR(".json"));
        inventory = inventory_parse(buf_view(&text), path, yaml, status);
    }
    buf_free(&text);
    return inventory;
}
