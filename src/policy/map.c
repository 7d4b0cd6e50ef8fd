// map: how a vendor's document becomes an event: `map`, `unwrap`, `fields`.
#include "compile.h"

#include <stdlib.h>

#define MAPS_MAX 4096
#define UNWRAP_MAX 16
#define TABLE_MAX 100000

// ---- one field: an expression, a list of them, or {of, table, else} ----------------------------

static int compare_words(const void *left, const void *right) {
    const struct doc_member *const *a = left, *const *b = right;
    return str_cmp((*a)->key, (*b)->key);
}

static bool read_table_value(struct compile *c, const struct doc_node *node, struct str *out) {
    struct str text;
    if (!doc_str(node, &text)) {
        report_error(c, place_of(c->file, node), "a table gives texts: 'from: to', without lists or mappings");
        return false;
    }
    *out = policy_str(c, text);
    return true;
}

static void read_table(struct compile *c, const struct doc_node *node, void *target) {
    struct map_field *field = target;
    if (node->kind != DOC_MAPPING || node->n == 0 || node->n > TABLE_MAX) {
        report_error(c, place_of(c->file, node),
                     "'table' must be a mapping of the vendor's values to ours, like {SUCCESS: success}");
        return;
    }
    const struct doc_member **members = must_alloc(node->n * sizeof *members);
    for (size_t i = 0; i < node->n; i++)
        members[i] = &node->members[i];
    qsort(members, node->n, sizeof *members, compare_words);
    struct str *from = policy_alloc(c, node->n * sizeof *from), *to = policy_alloc(c, node->n * sizeof *to);
    for (size_t i = 0; i < node->n && !c->ended; i++) {
        from[i] = policy_str(c, members[i]->key);
        read_table_value(c, &members[i]->node, &to[i]);
    }
    free(members);
    field->table_from = from;
    field->table_to = to;
    field->n_table = node->n;
}

static void table_schema(struct buf *out) {
    buf_str(out, STR("\"type\":\"object\",\"minProperties\":1,\"additionalProperties\":{\"type\":[\"string\","
                     "\"number\",\"boolean\"]}"));
}

static void end_field(struct compile *c, const struct doc_node *node, void *target) {
    struct map_field *field = target;
    if (field->table_else.ptr && field->n_table == 0 && !doc_get(node, "table"))
        report_error(c, place_of(c->file, doc_get(node, "else")),
                     "'else' belongs to a 'table'; without one, put the fallback last in the list of 'of': [raw.x, "
                     "'\"fallback\"']");
}

static const struct key field_keys[] = {
    {.name = "of",
     .kind = KEY_EXPRS,
     .required = true,
     .at = offsetof(struct map_field, of),
     .count_at = offsetof(struct map_field, n_of),
     .wanted = VALUE_ANY,
     .most = 32,
     .text = "an expression, or a list of them of which the first present one counts"},
    {.name = "table",
     .kind = KEY_OTHER,
     .read = read_table,
     .schema = table_schema,
     .text = "the vendor's values and what they become"},
    {.name = "else",
     .kind = KEY_TEXT,
     .at = offsetof(struct map_field, table_else),
     .text = "what a value becomes that the table does not have; left out: the field is absent"},
};
const struct object field_object = {.name = "a map's field",
                                    .example = "{of: raw.result, table: {OK: success}, else: unknown}",
                                    KEYS(field_keys),
                                    .bytes = sizeof(struct map_field),
                                    .end = end_field};

static bool read_field(struct compile *c, const struct doc_node *node, struct map_field *field) {
    static const struct key plain = {.name = "of",
                                     .kind = KEY_EXPRS,
                                     .at = offsetof(struct map_field, of),
                                     .count_at = offsetof(struct map_field, n_of),
                                     .wanted = VALUE_ANY,
                                     .most = 32};
    if (node->kind == DOC_MAPPING)
        return read_object(c, &field_object, node, field);
    size_t errors = c->findings->n_errors;
    read_key(c, &field_object, &plain, node, field);
    if (c->findings->n_errors == errors && field->n_of == 0 && node->kind == DOC_SEQUENCE)
        report_error(c, place_of(c->file, node), "the list is empty; give an expression or leave the field out");
    return c->findings->n_errors == errors;
}

// ---- fields -----------------------------------------------------------------------------------

static void report_unknown_field(struct compile *c, const struct doc_member *member) {
    struct str words[EVENT_FIELD_COUNT];
    for (size_t i = 0; i < EVENT_FIELD_COUNT; i++)
        words[i] = str_of(event_fields[i].path);
    char hint[160];
    bool label = str_starts(member->key, STR("labels."));
    report_error(c, place_of_key(c->file, member), "an event has no field '%.*s'%s", STR_ARG(member->key),
                 label ? "; give 'labels' an expression that is a map: '{\"team\": raw.team}'"
                       : did_you_mean(member->key, words, EVENT_FIELD_COUNT, hint));
}

static void read_fields(struct compile *c, const struct doc_node *node, void *target) {
    struct map *map = target;
    if (node->kind != DOC_MAPPING || node->n == 0) {
        report_error(c, place_of(c->file, node),
                     "'fields' must be a mapping of event fields to expressions, like {subject.id: raw.user}");
        return;
    }
    map->fields = policy_alloc(c, EVENT_FIELD_COUNT * sizeof *map->fields);
    for (size_t i = 0; i < node->n && !c->ended; i++) {
        int field = event_field_find(node->members[i].key);
        if (field < 0) {
            report_unknown_field(c, &node->members[i]);
            continue;
        }
        must(map->n_fields < EVENT_FIELD_COUNT); // no key stands twice
        map->fields[map->n_fields] = (struct map_field){.field = (enum event_field)field};
        map->n_fields += read_field(c, &node->members[i].node, &map->fields[map->n_fields]);
    }
}

static void field_schema(struct buf *out) {
    buf_str(
        out,
        STR("\"anyOf\":[{\"type\":[\"string\",\"number\",\"boolean\"]},{\"type\":\"array\",\"minItems\":1,\"items\":"
            "{\"type\":[\"string\",\"number\",\"boolean\"]}},{\"$ref\":\"#/$defs/field\"}]"));
}

static void fields_schema(struct buf *out) {
    buf_str(out, STR("\"type\":\"object\",\"minProperties\":1,\"additionalProperties\":false,\"properties\":{"));
    for (size_t i = 0; i < EVENT_FIELD_COUNT; i++) {
        json_write_key(out, str_of(event_fields[i].path));
        buf_str(out, STR("{\"description\":"));
        json_write_string(out, str_of(event_fields[i].text));
        buf_char(out, ',');
        field_schema(out);
        buf_char(out, '}');
    }
    buf_char(out, '}');
}

// ---- the map ------------------------------------------------------------------------------------

static void read_unwrap(struct compile *c, const struct doc_node *node, void *target) {
    struct map *map = target;
    size_t n;
    const struct doc_node *items = list_items(node, &n);
    if (node->kind == DOC_NULL)
        return;
    if (n > UNWRAP_MAX) {
        report_error(c, place_of(c->file, node), "'unwrap' may name %d paths at most", UNWRAP_MAX);
        return;
    }
    map->unwrap = policy_alloc(c, n * sizeof *map->unwrap);
    for (size_t i = 0; i < n; i++)
        map->n_unwrap += compile_path(c, &items[i], &map->unwrap[map->n_unwrap]);
}

static void unwrap_schema(struct buf *out) {
    buf_str(out, STR("\"anyOf\":[{\"type\":[\"string\",\"null\"]},{\"type\":\"array\",\"maxItems\":16,\"items\":{"
                     "\"type\":\"string\"}}]"));
}

static const struct key map_keys[] = {
    {.name = "map",
     .kind = KEY_NAME,
     .required = true,
     .at = offsetof(struct map, name),
     .text = "name of the map: used by the source of that name, unless the source names another"},
    {.name = "unwrap",
     .kind = KEY_OTHER,
     .read = read_unwrap,
     .schema = unwrap_schema,
     .text = "where the events stand in a document (raw.Records): a list is split, an object opened; several are tried "
             "in order"},
    {.name = "fields",
     .kind = KEY_OTHER,
     .required = true,
     .read = read_fields,
     .schema = fields_schema,
     .text = "event fields, each an expression over raw.…, a list of which the first present one counts, or {of, "
             "table, else}"},
};
const struct object map_object = {
    .name = "map", .example = "{map: okta, fields: {id: raw.uuid}}", KEYS(map_keys), .bytes = sizeof(struct map)};

void read_map(struct compile *c, const struct doc_node *document) {
    struct map_draft draft = {.place = place_of(c->file, doc_get(document, "map"))};
    size_t other;
    if (c->n_maps == MAPS_MAX) {
        report_error(c, draft.place, "over %d maps", MAPS_MAX);
        return;
    }
    c->scope = SCOPE_MAP;
    c->slots = &draft.slots;
    read_members(c, &map_object, document, &draft.map);
    c->slots = NULL;
    c->maps = grow_list(c->maps, c->n_maps, &c->cap_maps, sizeof *c->maps);
    c->maps[c->n_maps] = draft;
    if (draft.map.name.len > 0 && !names_add(&c->map_names, draft.map.name, c->n_maps, &other))
        report_error(c, draft.place, "map '%.*s' stands already at %.*s:%u; rename one of them",
                     STR_ARG(draft.map.name), STR_ARG(c->maps[other].place.file->text.path), c->maps[other].place.line);
    c->n_maps++;
}
