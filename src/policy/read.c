// read: fills structs from mappings, after tables of keys. The same tables make the JSON Schema (schema.c), so that
// what is checked and what is documented are one. Each function reports what is wrong at its place and goes on.
#include "compile.h"

#include <stdio.h>

const char *did_you_mean(struct str typo, const struct str *words, size_t n, char out[160]) {
    struct str nearest = str_nearest(typo, words, n);
    out[0] = '\0';
    if (nearest.ptr)
        snprintf(out, 160, "; did you mean '%.*s'?", STR_ARG(nearest));
    return out;
}

const struct doc_node *list_items(const struct doc_node *node, size_t *n) {
    *n = node->kind == DOC_SEQUENCE ? node->n : 1;
    return node->kind == DOC_SEQUENCE ? node->items : node;
}

static void *target_at(void *target, size_t offset) {
    return (char *)target + offset;
}

// ---- single values ----------------------------------------------------------------------

static bool fail_value(struct compile *c, const struct doc_node *node, const char *what, const char *wanted) {
    report_error(c, place_of(c->file, node), "'%s' must be %s", what, wanted);
    return false;
}

bool read_text(struct compile *c, const char *what, const struct doc_node *node, struct str *out) {
    struct str text;
    if (!doc_str(node, &text) || text.len == 0)
        return fail_value(c, node, what, "a text that is not empty");
    if (text.len > TEXT_MAX_BYTES) {
        report_error(c, place_of(c->file, node), "'%s' is over %d bytes long; shorten it", what, TEXT_MAX_BYTES);
        return false;
    }
    *out = policy_str(c, text);
    return true;
}

static bool is_name_char(char c, bool first) {
    bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return alphanumeric || c == '_' || (!first && (c == '-' || c == '.'));
}

bool read_name(struct compile *c, const char *what, const struct doc_node *node, struct str *out) {
    struct str text;
    bool ok = doc_str(node, &text) && text.len > 0 && text.len <= NAME_MAX_BYTES;
    for (size_t i = 0; ok && i < text.len; i++)
        ok = is_name_char(text.ptr[i], i == 0);
    if (!ok)
        return fail_value(c, node, what, "a name of letters, digits, '-', '_' and '.', at most 100 long");
    *out = policy_str(c, text);
    return true;
}

bool read_duration(struct compile *c, const char *what, const struct doc_node *node, int64_t *ms) {
    struct str text;
    if (doc_str(node, &text) && (str_eq(text, STR("0")) || duration_parse(text, ms))) {
        if (str_eq(text, STR("0")))
            *ms = 0;
        return true;
    }
    return fail_value(c, node, what, "a duration such as 250ms, 30s, 15m, 4h, 14d or 1h30m, at most ten years");
}

static bool read_number(struct compile *c, const struct key *key, const struct doc_node *node, double least,
                        double *out) {
    int64_t whole;
    double number;
    if (doc_double(node, &number) || (doc_int(node, &whole) && (number = (double)whole, true))) {
        if (number >= least && number <= 1) {
            *out = number;
            return true;
        }
    }
    return fail_value(c, node, key->name,
                      least < 0 ? "a number from -1 to 1, without quotes" : "a number from 0 to 1, without quotes");
}

static void list_words(const struct word *words, char *out, size_t size) {
    size_t len = 0;
    out[0] = '\0';
    for (const struct word *word = words; word->name; word++) {
        if (word->value == WORD_LATER || len >= size)
            continue;
        int written = snprintf(out + len, size - len, "%s%s", len ? ", " : "", word->name);
        len += written > 0 ? (size_t)written : 0;
    }
}

bool read_word(struct compile *c, const char *what, const struct word *words, const struct doc_node *node,
               unsigned *out) {
    struct str text;
    struct str known[64];
    size_t n = 0;
    bool is_text = doc_str(node, &text);
    for (const struct word *word = words; is_text && word->name; word++) {
        if (str_eq(text, str_of(word->name)) && word->value == WORD_LATER) {
            report_error(c, place_of(c->file, node), "not available in this version: %s: %s; remove it", what,
                         word->name);
            return false;
        }
        if (str_eq(text, str_of(word->name))) {
            *out = word->value;
            return true;
        }
        must(n < COUNT_OF(known));
        known[n++] = str_of(word->name);
    }
    char list[400], hint[160];
    list_words(words, list, sizeof list);
    report_error(c, place_of(c->file, node), "'%s' must be one of %s%s", what, list,
                 is_text ? did_you_mean(text, known, n, hint) : "");
    return false;
}

// ---- lists ------------------------------------------------------------------------------

// The elements, one standing for a list of one. NULL: reported.
static const struct doc_node *read_list(struct compile *c, const struct key *key, const struct doc_node *node,
                                        size_t *n) {
    size_t most = key->most ? key->most : LIST_MAX;
    const struct doc_node *items = list_items(node, n);
    if (*n <= most)
        return items;
    report_error(c, place_of(c->file, &items[most]), "'%s' has over %zu entries; remove some", key->name, most);
    return NULL;
}

static void set_list(const struct key *key, void *target, void *items, size_t n) {
    memcpy(target_at(target, key->at), &items, sizeof items);
    memcpy(target_at(target, key->count_at), &n, sizeof n);
}

static void read_texts(struct compile *c, const struct key *key, const struct doc_node *node, void *target) {
    size_t n, done = 0;
    const struct doc_node *items = read_list(c, key, node, &n);
    if (!items)
        return;
    struct str *texts = policy_alloc(c, n * sizeof *texts);
    for (size_t i = 0; i < n; i++)
        done += read_text(c, key->name, &items[i], &texts[done]);
    set_list(key, target, texts, done);
}

static void read_exprs(struct compile *c, const struct key *key, const struct doc_node *node, void *target) {
    size_t n, done = 0;
    const struct doc_node *items = read_list(c, key, node, &n);
    if (!items)
        return;
    struct expr **exprs = policy_alloc(c, n * sizeof *exprs);
    for (size_t i = 0; i < n; i++)
        done += (exprs[done] = compile_condition(c, &items[i], key->wanted)) != NULL;
    set_list(key, target, exprs, done);
}

static void read_objects(struct compile *c, const struct key *key, const struct doc_node *node, void *target) {
    if (node->kind != DOC_SEQUENCE) {
        report_error(c, place_of(c->file, node), "'%s' must be a list, each entry like %s", key->name,
                     key->object->example);
        return;
    }
    size_t n, done = 0;
    const struct doc_node *items = read_list(c, key, node, &n);
    if (!items)
        return;
    char *objects = policy_alloc(c, n * key->object->bytes);
    for (size_t i = 0; i < n && !c->ended; i++) {
        char *object = objects + done * key->object->bytes;
        memset(object, 0, key->object->bytes); // one with a mistake in it may have begun here
        done += read_object(c, key->object, &items[i], object);
    }
    set_list(key, target, objects, done);
}

static void read_word_set(struct compile *c, const struct key *key, const struct doc_node *node, unsigned *out) {
    size_t n;
    const struct doc_node *items = read_list(c, key, node, &n);
    *out = 0;
    for (size_t i = 0; items && i < n; i++) {
        unsigned value;
        if (read_word(c, key->name, key->words, &items[i], &value))
            *out |= value;
    }
}

// ---- keys -------------------------------------------------------------------------------

static void read_single(struct compile *c, const struct key *key, const struct doc_node *node, void *at) {
    int64_t count;
    switch (key->kind) {
    case KEY_NAME: read_name(c, key->name, node, at); return;
    case KEY_TEXT: read_text(c, key->name, node, at); return;
    case KEY_DURATION: read_duration(c, key->name, node, at); return;
    case KEY_RATIO: read_number(c, key, node, 0, at); return;
    case KEY_SHIFT: read_number(c, key, node, -1, at); return;
    case KEY_WORD: read_word(c, key->name, key->words, node, at); return;
    case KEY_WORDS: read_word_set(c, key, node, at); return;
    case KEY_TEMPLATE: compile_template(c, node, at); return;
    case KEY_EXPR: {
        struct expr *expr = compile_condition(c, node, key->wanted);
        memcpy(at, &expr, sizeof expr);
        return;
    }
    case KEY_BOOL:
        if (!doc_bool(node, at))
            fail_value(c, node, key->name, "true or false, without quotes");
        return;
    case KEY_COUNT:
        if (doc_int(node, &count) && count >= 0)
            memcpy(at, &count, sizeof count);
        else
            fail_value(c, node, key->name, "a whole number from 0 on, without quotes");
        return;
    default: must(key->kind == KEY_NAME); // one of the above
    }
}

void read_key(struct compile *c, const struct object *object, const struct key *key, const struct doc_node *node,
              void *target) {
    if (key->kind == KEY_LATER) {
        report_error(c, place_of(c->file, node), "not available in this version: %s.%s; remove it", object->name,
                     key->name);
        return;
    }
    if (node->kind == DOC_NULL && key->kind != KEY_OTHER) {
        report_error(c, place_of(c->file, node), "'%s' has no value; give it one or remove the key", key->name);
        return;
    }
    switch (key->kind) {
    case KEY_TEXTS: read_texts(c, key, node, target); return;
    case KEY_EXPRS: read_exprs(c, key, node, target); return;
    case KEY_OBJECT: read_object(c, key->object, node, target_at(target, key->at)); return;
    case KEY_OBJECTS: read_objects(c, key, node, target); return;
    case KEY_OTHER: key->read(c, node, target); return;
    default: read_single(c, key, node, target_at(target, key->at)); return;
    }
}

// ---- objects ----------------------------------------------------------------------------

const struct key *find_key(const struct object *object, struct str name) {
    for (size_t i = 0; i < object->n_keys; i++)
        if (str_eq(name, str_of(object->keys[i].name)))
            return &object->keys[i];
    return NULL;
}

static void report_unknown(struct compile *c, const struct object *object, const struct doc_member *member) {
    struct str known[64];
    size_t n = 0;
    for (size_t i = 0; i < object->n_keys && n < COUNT_OF(known); i++)
        if (object->keys[i].kind != KEY_LATER)
            known[n++] = str_of(object->keys[i].name);
    char hint[160];
    report_error(c, place_of_key(c->file, member), "unknown key '%.*s' in %s%s", STR_ARG(member->key), object->name,
                 did_you_mean(member->key, known, n, hint));
}

static void report_missing(struct compile *c, const struct object *object, const struct doc_node *node) {
    for (size_t i = 0; i < object->n_keys; i++)
        if (object->keys[i].required && !doc_get(node, object->keys[i].name))
            report_error(c, place_of(c->file, node), "%s needs '%s': %s", object->name, object->keys[i].name,
                         object->keys[i].text);
}

bool read_members(struct compile *c, const struct object *object, const struct doc_node *node, void *target) {
    size_t errors = c->findings->n_errors;
    if (object->begin)
        object->begin(target);
    for (size_t i = 0; i < node->n && !c->ended; i++) {
        const struct key *key = find_key(object, node->members[i].key);
        if (key)
            read_key(c, object, key, &node->members[i].node, target);
    }
    report_missing(c, object, node);
    if (object->end)
        object->end(c, node, target);
    return c->findings->n_errors == errors;
}

bool read_object(struct compile *c, const struct object *object, const struct doc_node *node, void *target) {
    size_t errors = c->findings->n_errors;
    if (node->kind != DOC_MAPPING) {
        report_error(c, place_of(c->file, node), "%s must be a mapping like %s", object->name, object->example);
        return false;
    }
    for (size_t i = 0; i < node->n; i++)
        if (!c->ended && !find_key(object, node->members[i].key))
            report_unknown(c, object, &node->members[i]);
    read_members(c, object, node, target);
    return c->findings->n_errors == errors;
}
