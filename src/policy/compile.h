// compile: what the files of this room share: the state of one compilation, its places in the users' files, the tables
// of keys. Everything that is wrong becomes a finding and compilation goes on, so that a user sees all of it at once;
// the policy is handed out only if there was no error.
#ifndef PENSTOCK_POLICY_COMPILE_H
#define PENSTOCK_POLICY_COMPILE_H

#include "names.h"
#include "penstock/document.h"
#include "penstock/policy.h"

#define POLICY_ARENA_MAX_BYTES (512u << 20)
#define DOCUMENTS_MAX_BYTES (768u << 20)
#define NAME_MAX_BYTES 100
#define TEXT_MAX_BYTES 1024

// ---- places ------------------------------------------------------------------------------

struct place {
    const struct source_file *file; // NULL: the folder
    unsigned line, column;
};
struct source_file {
    struct policy_file text;
    const struct doc_node *documents;
    size_t n_documents;
    bool unreadable;
    size_t *lines; // offset of each line's first byte; made when the first one is asked for
    size_t n_lines;
};
struct place place_of(const struct source_file *file, const struct doc_node *node);
struct place place_of_key(const struct source_file *file, const struct doc_member *member);
// Where the byte at `offset` of a scalar's text stands in the file.
struct place place_in_scalar(struct source_file *file, const struct doc_node *scalar, size_t offset);

// ---- the state ------------------------------------------------------------------------------

struct slot_list { // raw slots, each perhaps several times
    int *items;
    size_t n, cap;
};
struct raw_path {
    struct path path;
    bool envelope;
};
struct map_draft {
    struct map map;
    struct place place;
    struct slot_list slots;
};
struct route_draft {
    struct route route;
    struct texts {
        struct str *items;
        size_t n;
    } from;
    struct place place; // of its name
    const struct doc_node *document;
    struct source_file *file;
    struct slot_list slots;
    size_t first_test, n_tests;
    bool broken; // an error was found in it
};
struct consumer_draft {
    struct consumer consumer;
    struct source_file *file;
    const struct doc_node *node;
    bool broken;
};
struct definition {
    struct str name;
    struct source_file *file;
    const struct doc_node *node; // an expression, or a list of constants
    struct value list;           // of constants; VALUE_ABSENT: an expression
    struct str expanded;         // with the definitions it uses written out
    enum { DEFINITION_NEW, DEFINITION_OPEN, DEFINITION_DONE, DEFINITION_BROKEN } state;
};
// Which names a condition may use.
enum scope { SCOPE_MAP, SCOPE_ROUTE, SCOPE_PARTITION, SCOPE_ACCEPTS };

struct compile {
    struct findings *findings;
    struct compiled *out;
    struct arena *arena;     // the policy's
    struct arena *emergency; // where allocations go once the policy's arena is full
    bool ended;              // the memory or the findings are used up: whoever loops, stops
    struct arena *documents;
    struct source_file *files;
    size_t n_files;
    bool some_unreadable; // what is missing may stand there
    const struct policy_bundle *bundle;

    struct source_file *file; // being read
    enum scope scope;
    struct slot_list *slots; // of what is being read; NULL: nobody asks
    size_t expanded_bytes;

    struct definition *definitions;
    size_t n_definitions, cap_definitions;
    struct name_table definition_names;
    struct name_table expressions; // scope and text -> index in out->exprs
    struct name_table raw_names;
    struct raw_path *raw_paths;
    size_t n_raw_paths, cap_raw_paths;

    struct map_draft *maps;
    size_t n_maps, cap_maps;
    struct name_table map_names;
    struct route_draft *routes;
    size_t n_routes, cap_routes;
    struct name_table route_names;
    struct name_table source_names; // known after the maps have been read
    struct consumer_draft *consumers;
    size_t n_consumers, cap_consumers;
    struct policy_test *tests;
    size_t n_tests, cap_tests;
    struct place gate_place, owner_place; // where set; file NULL: not yet
};

// A policy and what it owns beside its arena.
struct compiled {
    struct policy policy; // first: what callers hold
    _Atomic unsigned references;
    struct expr **exprs;
    size_t n_exprs, cap_exprs;
};

void report_error(struct compile *c, struct place at, const char *format, ...) PENSTOCK_PRINTF(3, 4);
void report_warning(struct compile *c, struct place at, const char *format, ...) PENSTOCK_PRINTF(3, 4);
void *policy_alloc(struct compile *c, size_t bytes); // zeroed, lives with the policy; never NULL
struct str policy_str(struct compile *c, struct str s);
// Room for one more element of a list that is only needed while compiling.
void *grow_list(void *items, size_t n, size_t *cap, size_t element_bytes);

// ---- expressions (condition.c, resolve.c, define.c, template.c) -------------------------------

// The expression in a scalar, whose result must be of type `wanted` (VALUE_ANY: any; VALUE_DOUBLE: any number).
// NULL: reported.
struct expr *compile_condition(struct compile *c, const struct doc_node *scalar, enum value_type wanted);
// The same for a part of the scalar's text.
struct expr *compile_part(struct compile *c, const struct doc_node *scalar, size_t offset, size_t len,
                          enum value_type wanted);
struct expr *compile_text(struct compile *c, const char *source); // an expression of ours: a default
bool compile_path(struct compile *c, const struct doc_node *scalar, struct path *out); // raw.x.y alone
bool compile_template(struct compile *c, const struct doc_node *scalar, struct template *out);

struct resolver {
    struct compile *c;
    enum scope scope;
    bool trial;        // raw paths get no slots
    struct path *path; // not NULL: raw paths are put here
};
size_t resolve_name(void *resolver, struct path chain, struct expr_ref *out, struct buf *why); // expr_env.resolve
bool is_root_name(struct str name); // a name that conditions know by themselves

// A condition with its definitions written out, and how its places relate to the text as it stands in the file.
struct expansion {
    struct str text;
    struct expansion_segment {
        size_t out, in;
        bool definition; // all of it stands for the one name at `in`
    } * segments;
    size_t n, cap;
    struct buf buf;
    bool broken; // uses a definition that has been reported
};
bool expand_definitions(struct compile *c, struct str text, struct expansion *out, struct expr_error *error);
size_t expansion_place(const struct expansion *expansion, size_t offset);
void expansion_free(struct expansion *expansion);
void collect_definitions(struct compile *c, struct source_file *file, const struct doc_node *node);
void check_definitions(struct compile *c);

// ---- tables of keys (read.c) ----------------------------------------------------------------

struct word {
    const char *name; // NULL ends the list
    unsigned value;
};
#define WORD_LATER 0xffffffffu // known, but not available in this version

enum key_kind {   // what the key fills
    KEY_NAME,     // struct str
    KEY_TEXT,     // struct str
    KEY_BOOL,     // bool
    KEY_COUNT,    // int64_t, from 0
    KEY_RATIO,    // double, 0 to 1
    KEY_SHIFT,    // double, -1 to 1
    KEY_DURATION, // int64_t, milliseconds
    KEY_WORD,     // an enum
    KEY_WORDS,    // unsigned, a set; one word or a list
    KEY_TEXTS,    // struct str *, size_t; one text or a list
    KEY_EXPR,     // struct expr *
    KEY_EXPRS,    // struct expr **, size_t; one or a list
    KEY_TEMPLATE, // struct template
    KEY_OBJECT,   // what the object fills
    KEY_OBJECTS,  // object *, size_t
    KEY_OTHER,    // what `read` fills
    KEY_LATER,    // nothing: not available in this version
};
struct object;
struct key {
    const char *name;
    enum key_kind kind;
    bool required;
    size_t at, count_at;         // offsets in what the object fills
    const struct word *words;    // KEY_WORD, KEY_WORDS
    const struct object *object; // KEY_OBJECT, KEY_OBJECTS
    enum value_type wanted;      // KEY_EXPR, KEY_EXPRS: type of the result
    size_t most;                 // lists: how many at most; 0: LIST_MAX
    void (*read)(struct compile *c, const struct doc_node *node, void *target); // KEY_OTHER; target: the object
    void (*schema)(struct buf *out); // KEY_OTHER: its JSON Schema, without description and braces
    const char *text;                // for people, in editors
};
#define LIST_MAX 1000
struct object {
    const char *name; // in messages
    const char *example;
    const struct key *keys;
    size_t n_keys;
    size_t bytes;                                                              // of what it fills
    void (*begin)(void *target);                                               // sets defaults; may be NULL
    void (*end)(struct compile *c, const struct doc_node *node, void *target); // checks the whole; may be NULL
};
#define KEYS(table) .keys = (table), .n_keys = COUNT_OF(table)

// All keys of a mapping; true when nothing was wrong.
bool read_object(struct compile *c, const struct object *object, const struct doc_node *node, void *target);
// Only the members that the object knows: several objects may share a mapping.
bool read_members(struct compile *c, const struct object *object, const struct doc_node *node, void *target);
const struct key *find_key(const struct object *object, struct str name);
void read_key(struct compile *c, const struct object *object, const struct key *key, const struct doc_node *node,
              void *target);
bool read_name(struct compile *c, const char *what, const struct doc_node *node, struct str *out);
bool read_text(struct compile *c, const char *what, const struct doc_node *node, struct str *out);
bool read_duration(struct compile *c, const char *what, const struct doc_node *node, int64_t *ms);
bool read_word(struct compile *c, const char *what, const struct word *words, const struct doc_node *node,
               unsigned *out);
const char *did_you_mean(struct str typo, const struct str *words, size_t n,
                         char out[160]); // "; did you mean 'x'?" or ""
// "x" as a list of one.
const struct doc_node *list_items(const struct doc_node *node, size_t *n);

extern const struct object map_object, route_object, gate_object, consumer_object, root_object, field_object,
    dedup_object, to_object, test_object;
extern const struct object count_object, distinct_object, first_seen_object, after_object;
extern const struct word severity_words[], boundary_words[];
void define_schema(struct buf *out);

// ---- the sections ------------------------------------------------------------------------------

void read_map(struct compile *c, const struct doc_node *document);
void read_route(struct compile *c, const struct doc_node *document);
void read_gate(struct compile *c, const struct doc_node *node, void *policy);
void read_consumers(struct compile *c, const struct doc_node *node, void *policy);
void read_tests(struct compile *c, const struct doc_node *node, void *route_draft);
void tests_schema(struct buf *out);

void check_memory(struct compile *c, const struct doc_node *evidence); // one kind at most
void bind_memories(struct compile *c);                                 // evidence -> what it comes after
void bind_sources(struct compile *c);                                  // names -> maps, routes, raw paths
void check_tests(struct compile *c);
void check_reach(struct compile *c); // warnings

#endif
