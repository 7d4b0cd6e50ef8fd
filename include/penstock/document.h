// document: YAML (and JSON, which is YAML) -> a tree that knows where each node stood.
//
// libyaml reads; this keeps line and column for messages. Bounded: 16 MiB, 200,000
// nodes, depth 64, aliases counted in full, so that no small file grows large.
// Duplicate keys of a mapping are refused. Plain scalars keep their text; what type
// a text means is asked by the reader (doc_bool, doc_int…), by YAML 1.2's core schema.
#ifndef PENSTOCK_DOCUMENT_H
#define PENSTOCK_DOCUMENT_H

#include "penstock/value.h"

enum doc_kind { DOC_NULL, DOC_SCALAR, DOC_SEQUENCE, DOC_MAPPING };

struct doc_node {
    enum doc_kind kind;
    bool quoted;                      // a scalar in quotes or a block: always a string
    unsigned line, column;            // from 1; of the node's first character
    struct str text;                  // DOC_SCALAR
    size_t n;                         // elements or members
    const struct doc_node *items;     // DOC_SEQUENCE: n nodes
    const struct doc_member *members; // DOC_MAPPING: n members, in the file's order
};
struct doc_member {
    struct str key;
    unsigned line, column; // of the key
    struct doc_node node;
};

struct doc_error {
    unsigned line, column;
    char text[400];
};

// All documents of a file ("---" between them). Memory: `arena`. False: *error says where and why.
bool doc_parse(struct str text, struct arena *arena, const struct doc_node **documents, size_t *n,
               struct doc_error *error);

const struct doc_node *doc_get(const struct doc_node *mapping, const char *key); // NULL: not there, or not a mapping
bool doc_is_null(const struct doc_node *node);
bool doc_bool(const struct doc_node *node, bool *out); // true / false
bool doc_int(const struct doc_node *node, int64_t *out);
bool doc_double(const struct doc_node *node, double *out);
bool doc_str(const struct doc_node *node, struct str *out); // any scalar's text
// As a value: mappings, sequences, and plain scalars by the core schema. Memory: `arena`.
struct value doc_value(const struct doc_node *node, struct arena *arena);

#endif
