// test_names: an environment for the tests: event.… with fixed fields and types, raw.… as one document, of whose paths
// it resolves up to `steps` steps, and the constants `allowed` and `limits`.
#ifndef PENSTOCK_TESTS_EXPR_TEST_NAMES_H
#define PENSTOCK_TESTS_EXPR_TEST_NAMES_H

#include "ast.h"

struct names {
    struct expr_env env;
    struct arena *arena;
    size_t steps;
    struct value raw, allowed, limits;
    struct value slots[64];
    size_t n;
};

static const struct {
    const char *name;
    enum value_type type;
    struct value value;
} event_fields[] = {
    {"type", VALUE_STRING, {.type = VALUE_STRING, .string = {"token_use", 9}}},
    {"action", VALUE_STRING, {.type = VALUE_STRING, .string = {"b", 1}}},
    {"gone", VALUE_STRING, {.type = VALUE_ABSENT}},
    {"ip", VALUE_STRING, {.type = VALUE_STRING, .string = {"203.0.113.7", 11}}},
    {"n", VALUE_INT, {.type = VALUE_INT, .int64 = 5}},
    {"time", VALUE_TIMESTAMP, {.type = VALUE_TIMESTAMP, .seconds = 1769860800}},
};

static size_t resolve_name(void *ctx, struct path chain, struct expr_ref *out, struct buf *why) {
    struct names *names = ctx;
    bool event = str_eq(chain.steps[0].key, STR("event"));
    for (size_t i = 0; event && chain.n > 1 && i < COUNT_OF(event_fields); i++) {
        if (!str_eq(chain.steps[1].key, str_of(event_fields[i].name)))
            continue;
        // The same field has the same slot; they are the first ones.
        *out = (struct expr_ref){.slot = (int)i, .type = event_fields[i].type};
        return 2;
    }
    if (event) {
        struct str fields[COUNT_OF(event_fields)];
        for (size_t i = 0; i < COUNT_OF(event_fields); i++)
            fields[i] = str_of(event_fields[i].name);
        struct str name = chain.n > 1 ? chain.steps[1].key : STR("");
        struct str near = str_nearest(name, fields, COUNT_OF(fields));
        buf_printf(why, "event has no field '%.*s'", STR_ARG(name));
        if (near.len > 0)
            buf_printf(why, "; did you mean '%.*s'?", STR_ARG(near));
        out->wrong_step = 1;
        return 0;
    }
    bool allowed = str_eq(chain.steps[0].key, STR("allowed")), limits = str_eq(chain.steps[0].key, STR("limits"));
    if (allowed || limits) {
        *out = (struct expr_ref){.slot = -1, .constant = allowed ? names->allowed : names->limits};
        return 1;
    }
    if (!str_eq(chain.steps[0].key, STR("raw")))
        return 0;
    size_t taken = 1;
    struct value at = names->raw;
    for (; taken < chain.n && taken < names->steps; taken++) {
        const struct path_step *step = &chain.steps[taken];
        struct value key = value_string(step->key), next = value_absent();
        const struct value_source *source = at.container.source;
        if (at.type == VALUE_LIST && step->is_index)
            source->at(source, at.container.node, (size_t)step->index, &next);
        else if (at.type == VALUE_MAP && !step->is_index)
            source->get(source, at.container.node, &key, &next);
        at = next;
    }
    for (size_t i = COUNT_OF(event_fields); i < names->n; i++) {
        const struct value *other = &names->slots[i];
        bool container = at.type == VALUE_MAP || at.type == VALUE_LIST;
        bool same = container ? other->container.node == at.container.node : value_equal(other, &at);
        if (other->type == at.type && (same || at.type == VALUE_ABSENT)) {
            *out = (struct expr_ref){.slot = (int)i, .type = VALUE_ANY};
            return taken;
        }
    }
    must(names->n < COUNT_OF(names->slots));
    names->slots[names->n] = at;
    *out = (struct expr_ref){.slot = (int)names->n++, .type = VALUE_ANY};
    return taken;
}

static struct value make_document(struct arena *arena) {
    static const struct value text = {.type = VALUE_STRING, .string = {"hello", 5}},
                              seven = {.type = VALUE_INT, .int64 = 7};
    static struct value list[3], networks[2], person[2], other[4], people[2], map[2], mixed[2], raw[24];
    for (size_t i = 0; i < 3; i++)
        list[i] = value_string((struct str){&"abc"[i], 1});
    networks[0] = value_string(STR("10.0.0.0/8"));
    networks[1] = value_string(STR("203.0.113.0/24"));
    other[0] = person[0] = value_string(STR("name"));
    other[1] = person[1] = value_string(STR("ann"));
    other[2] = value_string(STR("age"));
    other[3] = value_int(40);
    people[0] = value_map(arena, other, 2);
    people[1] = value_map(arena, person, 1);
    map[0] = value_string(STR("k"));
    map[1] = seven;
    mixed[0] = value_string(STR("a"));
    mixed[1] = (struct value){.type = VALUE_NULL};
    const struct value pairs[] = {
        value_string(STR("text")),       text,
        value_string(STR("n")),          value_int(5),
        value_string(STR("b")),          value_int(1),
        value_string(STR("real")),       value_double(2.5),
        value_string(STR("nothing")),    {.type = VALUE_NULL},
        value_string(STR("empty")),      {.type = VALUE_STRING, .string = {NULL, 0}},
        value_string(STR("list")),       value_list(arena, list, 3),
        value_string(STR("networks")),   value_list(arena, networks, 2),
        value_string(STR("people")),     value_list(arena, people, 2),
        value_string(STR("map")),        value_map(arena, map, 1),
        value_string(STR("mixed")),      value_list(arena, mixed, 2),
        value_string(STR("with space")), value_int(1),
    };
    must(sizeof pairs == sizeof raw);
    memcpy(raw, pairs, sizeof raw);
    return value_map(arena, raw, COUNT_OF(raw) / 2);
}

static void names_init(struct names *names, size_t steps) {
    *names =
        (struct names){.env = {.ctx = names, .resolve = resolve_name}, .arena = arena_new(1 << 20), .steps = steps};
    static struct value words[2], pair[2];
    words[0] = value_string(STR("a"));
    words[1] = value_string(STR("b"));
    pair[0] = value_string(STR("high"));
    pair[1] = value_int(9);
    names->allowed = value_list(names->arena, words, 2);
    names->limits = value_map(names->arena, pair, 1);
    names->raw = make_document(names->arena);
    for (size_t i = 0; i < COUNT_OF(event_fields); i++)
        names->slots[names->n++] = event_fields[i].value;
}

static void names_free(struct names *names) {
    arena_free(names->arena);
}

#endif
