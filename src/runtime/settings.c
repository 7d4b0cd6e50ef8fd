// Reading mappings by their tables: every wrong key or value becomes a finding with
// its place and a remedy, and reading goes on, so that a user sees all at once.
#include "settings.h"

#include <stdio.h>
#include <stdlib.h>

void settings_error(struct settings_reader *in, const struct doc_node *node, const char *format, ...) {
    char text[480];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    findings_add(in->findings, true, in->file, node->line, node->column, "%s", text);
}

char *settings_text(struct settings_reader *in, const struct doc_node *node, const char *name) {
    struct str text;
    if (!doc_str(node, &text) || text.len == 0) {
        settings_error(in, node, "%s must be a text", name);
        return NULL;
    }
    return (char *)arena_str(in->arena, text).ptr;
}

static char *read_path(struct settings_reader *in, const struct doc_node *node, const char *name) {
    char *text = settings_text(in, node, name);
    if (!text || text[0] == '/')
        return text;
    return (char *)arena_printf(in->arena, "%.*s/%s", STR_ARG(in->folder), text).ptr;
}

static char *secret_from_file(struct settings_reader *in, const struct doc_node *node, const char *name) {
    char *path = read_path(in, node, name);
    struct buf content;
    struct status status;
    buf_init(&content, 64 * 1024);
    char *secret = NULL;
    if (path && !file_read(path, &content, &status))
        settings_error(in, node, "%s: %s", name, status.text);
    else if (path)
        secret = (char *)arena_str(in->arena, str_trim(buf_view(&content))).ptr;
    buf_free(&content);
    return secret;
}

char *settings_secret(struct settings_reader *in, const struct doc_node *node, const char *name) {
    if (node->kind != DOC_MAPPING)
        return settings_text(in, node, name);
    const struct doc_node *env = doc_get(node, "env"), *file = doc_get(node, "file");
    if (node->n != 1 || (!env && !file)) {
        settings_error(in, node, "%s must be a text, {env: NAME} or {file: PATH}", name);
        return NULL;
    }
    if (file)
        return secret_from_file(in, file, name);
    char *variable = settings_text(in, env, name);
    const char *value = variable ? getenv(variable) : NULL;
    if (variable && !value)
        settings_error(in, env, "%s: the environment has no variable %s", name, variable);
    return value ? (char *)arena_str(in->arena, str_of(value)).ptr : NULL;
}

static void read_bounded(struct settings_reader *in, const struct setting_key *key, const struct doc_node *node,
                         int64_t *target) {
    struct str text;
    int64_t n = 0;
    uint64_t bytes = 0;
    bool ok = doc_str(node, &text);
    if (key->kind == SETTING_COUNT)
        ok = ok && doc_int(node, &n);
    else if (key->kind == SETTING_DURATION)
        ok = ok && duration_parse(text, &n);
    else if ((ok = ok && size_parse(text, &bytes) && bytes <= INT64_MAX))
        n = (int64_t)bytes;
    if (!ok) {
        settings_error(in, node, "%s must be %s", key->name,
                       key->kind == SETTING_COUNT  ? "a whole number"
                       : key->kind == SETTING_SIZE ? "a size, as in 64MiB"
                                                   : "a duration, as in 10s");
    } else if (n < key->min || n > key->max) {
        settings_error(in, node, "%s is out of bounds: from %lld to %lld%s", key->name, (long long)key->min,
                       (long long)key->max,
                       key->kind == SETTING_DURATION ? " ms"
                       : key->kind == SETTING_SIZE   ? " bytes"
                                                     : "");
    } else {
        *target = n;
    }
}

static void read_word(struct settings_reader *in, const struct setting_key *key, const struct doc_node *node,
                      unsigned *target) {
    struct str text = {0}, words[16];
    size_t n = 0;
    bool is_text = doc_str(node, &text);
    for (; key->words[n]; n++) {
        words[n] = str_of(key->words[n]);
        if (is_text && str_eq(words[n], text)) {
            *target = (unsigned)n;
            return;
        }
    }
    char list[200] = "";
    for (size_t i = 0; i < n; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", key->words[i]);
    settings_error(in, node, "%s must be one of %s", key->name, list);
}

static void read_setting(struct settings_reader *in, const struct setting_key *key, const struct doc_node *node,
                         void *target) {
    char *at = (char *)target + key->at;
    switch (key->kind) {
    case SETTING_TEXT: *(char **)at = settings_text(in, node, key->name); return;
    case SETTING_PATH: *(char **)at = read_path(in, node, key->name); return;
    case SETTING_SECRET: *(char **)at = settings_secret(in, node, key->name); return;
    case SETTING_COUNT:
    case SETTING_SIZE:
    case SETTING_DURATION: read_bounded(in, key, node, (int64_t *)at); return;
    case SETTING_BOOL:
        if (!doc_bool(node, (bool *)at))
            settings_error(in, node, "%s must be true or false", key->name);
        return;
    case SETTING_WORD: read_word(in, key, node, (unsigned *)at); return;
    case SETTING_OBJECT: read_settings(in, key->object, node, at); return;
    case SETTING_OTHER: key->read(in, node, target); return;
    }
}

static void report_unknown_key(struct settings_reader *in, const struct setting_object *object,
                               const struct doc_member *member) {
    struct str names[32];
    for (size_t i = 0; i < object->n_keys; i++)
        names[i] = str_of(object->keys[i].name);
    struct str near = str_nearest(member->key, names, object->n_keys);
    if (near.ptr)
        findings_add(in->findings, true, in->file, member->line, member->column,
                     "unknown key '%.*s' in %s; did you mean '%.*s'?", STR_ARG(member->key), object->name,
                     STR_ARG(near));
    else
        findings_add(in->findings, true, in->file, member->line, member->column,
                     "unknown key '%.*s' in %s; `penstock schema config` lists the keys", STR_ARG(member->key),
                     object->name);
}

static const struct setting_key *find_key(const struct setting_object *object, struct str name) {
    for (size_t i = 0; i < object->n_keys; i++)
        if (str_eq(str_of(object->keys[i].name), name))
            return &object->keys[i];
    return NULL;
}

void read_settings(struct settings_reader *in, const struct setting_object *object, const struct doc_node *node,
                   void *target) {
    must(object->n_keys <= 32);
    struct doc_node empty = {.kind = DOC_MAPPING, .line = node->line, .column = node->column};
    if (node->kind == DOC_NULL) // `stdin:` alone
        node = &empty;
    if (node->kind != DOC_MAPPING) {
        settings_error(in, node, "%s must be a mapping of keys", object->name);
        return;
    }
    for (size_t i = 0; i < node->n; i++) {
        const struct setting_key *key = find_key(object, node->members[i].key);
        if (key)
            read_setting(in, key, &node->members[i].node, target);
        else
            report_unknown_key(in, object, &node->members[i]);
    }
    for (size_t i = 0; i < object->n_keys; i++)
        if (object->keys[i].required && !doc_get(node, object->keys[i].name))
            settings_error(in, node, "%s lacks the key '%s': %s", object->name, object->keys[i].name,
                           object->keys[i].help);
}

static void key_schema(struct buf *out, const struct setting_key *key) {
    switch (key->kind) {
    case SETTING_TEXT:
    case SETTING_PATH: buf_str(out, STR("{\"type\":\"string\"")); break;
    case SETTING_SECRET:
        buf_str(out, STR("{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"object\",\"properties\":{\"env\":{\"type\":"
                         "\"string\"},\"file\":{\"type\":\"string\"}},\"minProperties\":1,\"maxProperties\":1,"
                         "\"additionalProperties\":false}]"));
        break;
    case SETTING_COUNT:
        buf_printf(out, "{\"type\":\"integer\",\"minimum\":%lld,\"maximum\":%lld", (long long)key->min,
                   (long long)key->max);
        break;
    case SETTING_SIZE:
        buf_str(out, STR("{\"type\":[\"string\",\"integer\"],\"pattern\":\"^[0-9]+ ?([KMG]i?B|B)?$\""));
        break;
    case SETTING_DURATION: buf_str(out, STR("{\"type\":\"string\",\"pattern\":\"^([0-9]+(ms|s|m|h|d))+$\"")); break;
    case SETTING_BOOL: buf_str(out, STR("{\"type\":\"boolean\"")); break;
    case SETTING_WORD:
        buf_str(out, STR("{\"enum\":["));
        for (size_t i = 0; key->words[i]; i++)
            buf_printf(out, "%s\"%s\"", i ? "," : "", key->words[i]);
        buf_char(out, ']');
        break;
    case SETTING_OBJECT:
        settings_schema(out, key->object);
        out->len--; // the description goes inside
        break;
    case SETTING_OTHER:
        key->schema(out);
        out->len--;
        break;
    }
    json_write_key(out, STR("description"));
    json_write_string(out, str_of(key->help));
    buf_char(out, '}');
}

void settings_schema(struct buf *out, const struct setting_object *object) {
    buf_str(out, STR("{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"));
    for (size_t i = 0; i < object->n_keys; i++) {
        json_write_key(out, str_of(object->keys[i].name));
        key_schema(out, &object->keys[i]);
    }
    buf_str(out, STR("},\"required\":["));
    const char *comma = "";
    for (size_t i = 0; i < object->n_keys; i++) {
        if (!object->keys[i].required)
            continue;
        buf_printf(out, "%s\"%s\"", comma, object->keys[i].name);
        comma = ",";
    }
    buf_str(out, STR("]}"));
}
