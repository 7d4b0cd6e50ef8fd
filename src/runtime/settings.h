// settings: the deployment file as tables of keys. One table an object says each
// key's name, kind, place in the struct and help; reading, messages and the JSON
// Schema all come from it.
#ifndef RUNTIME_SETTINGS_H
#define RUNTIME_SETTINGS_H

#include "penstock/document.h"
#include "penstock/runtime.h"

enum setting_kind {
    SETTING_TEXT,     // char *
    SETTING_PATH,     // char *, relative to the file's folder
    SETTING_SECRET,   // char *; may be {env: NAME} or {file: PATH}
    SETTING_COUNT,    // int64_t, min..max
    SETTING_SIZE,     // int64_t bytes, min..max
    SETTING_DURATION, // int64_t ms, min..max
    SETTING_BOOL,     // bool
    SETTING_WORD,     // unsigned: index in `words`
    SETTING_OBJECT,   // a struct at `at`, by `object`
    SETTING_OTHER,    // `read` knows
};

struct settings_reader;
struct setting_key {
    const char *name;
    enum setting_kind kind;
    size_t at;
    const char *help;
    bool required;
    int64_t min, max;
    const char *const *words; // NULL-ended
    const struct setting_object *object;
    void (*read)(struct settings_reader *in, const struct doc_node *node, void *target);
    void (*schema)(struct buf *out); // for SETTING_OTHER
};
struct setting_object {
    const char *name; // in messages
    const struct setting_key *keys;
    size_t n_keys;
};

struct settings_reader {
    struct findings *findings;
    struct arena *arena;
    struct str file;   // as the user gave it
    struct str folder; // what relative paths begin at
    struct config *config;
};

void read_settings(struct settings_reader *in, const struct setting_object *object, const struct doc_node *node,
                   void *target);
void settings_error(struct settings_reader *in, const struct doc_node *node, const char *format, ...)
    PENSTOCK_PRINTF(3, 4);
char *settings_secret(struct settings_reader *in, const struct doc_node *node, const char *name); // NULL: reported
char *settings_text(struct settings_reader *in, const struct doc_node *node, const char *name);
void settings_schema(struct buf *out, const struct setting_object *object); // {"type":"object",…}

#endif
