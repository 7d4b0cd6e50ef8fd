// value: one dynamic value, what JSON holds and conditions compute.
//
// A plain 24-byte value, copied freely. Strings, lists and maps point at memory
// somebody else owns (the event's bytes, an arena, a compiled constant); the
// value lives no longer than that. VALUE_ABSENT is "not there", which is neither
// null nor false.
#ifndef PENSTOCK_VALUE_H
#define PENSTOCK_VALUE_H

#include "penstock/base.h"

#ifdef __cplusplus
extern "C" {
#endif

enum value_type {
    VALUE_ABSENT, // not there: a field the event does not have
    VALUE_NULL,
    VALUE_BOOL,
    VALUE_INT,  // int64
    VALUE_UINT, // uint64
    VALUE_DOUBLE,
    VALUE_STRING, // UTF-8
    VALUE_BYTES,
    VALUE_TIMESTAMP, // .seconds since 1970 and .nanos
    VALUE_DURATION,  // .seconds and .nanos of one sign
    VALUE_LIST,
    VALUE_MAP,
    VALUE_TYPE,     // .string names it
    VALUE_IP,       // .ip, arena-owned
    VALUE_CIDR,     // .network, arena-owned
    VALUE_OPTIONAL, // .inner, NULL when none
    VALUE_ERROR,    // .string says what went wrong (a static text or in the arena)
    VALUE_ANY,      // never a value: "any type", for static types
};

struct value;
struct value_source;

struct value {
    uint8_t type; // enum value_type
    int32_t nanos;
    union {
        bool boolean;
        int64_t int64;
        uint64_t uint64;
        double real;
        int64_t seconds;
        struct str string;
        struct {
            const struct value_source *source;
            uint64_t node; // means something to `source` only
        } container;
        const struct ip_address *ip;
        const struct ip_network *network;
        const struct value *inner;
    };
};

// Lists and maps, read in place wherever they are: a JSON document, an arena, a constant.
struct value_source {
    // Elements of a list or members of a map.
    size_t (*size)(const struct value_source *source, uint64_t node);
    // List element `index`; false: out of range.
    bool (*at)(const struct value_source *source, uint64_t node, size_t index, struct value *out);
    // Map member by key; false: no such member.
    bool (*get)(const struct value_source *source, uint64_t node, const struct value *key, struct value *out);
    // Walk: *cursor starts at 0 and is the source's business afterwards. For a list `key` is the index. `key` may be
    // NULL.
    bool (*next)(const struct value_source *source, uint64_t node, uint64_t *cursor, struct value *key,
                 struct value *out);
};

#ifndef __cplusplus // compound literals of C
static inline struct value value_absent(void) {
    return (struct value){.type = VALUE_ABSENT};
}
static inline struct value value_bool(bool b) {
    return (struct value){.type = VALUE_BOOL, .boolean = b};
}
static inline struct value value_int(int64_t n) {
    return (struct value){.type = VALUE_INT, .int64 = n};
}
static inline struct value value_uint(uint64_t n) {
    return (struct value){.type = VALUE_UINT, .uint64 = n};
}
static inline struct value value_double(double n) {
    return (struct value){.type = VALUE_DOUBLE, .real = n};
}
static inline struct value value_string(struct str s) {
    return (struct value){.type = VALUE_STRING, .string = s};
}
static inline struct value value_error(const char *text) {
    return (struct value){.type = VALUE_ERROR, .string = str_of(text)};
}
static inline struct value value_timestamp(int64_t seconds, int32_t nanos) {
    return (struct value){.type = VALUE_TIMESTAMP, .nanos = nanos, .seconds = seconds};
}
#endif
static inline bool value_is_string(const struct value *v) {
    return v->type == VALUE_STRING;
}
// Present in the sense of the maps: there, not null, not an empty string, list or map.
bool value_is_present(const struct value *v);
const char *value_type_name(enum value_type type); // CEL's names: "int", "string", "google.protobuf.Timestamp", …

// Lists and maps of plain values. The arrays are not copied; they must outlive the value.
struct value value_list(struct arena *arena, const struct value *items, size_t n);
// `pairs`: key, value, key, value, …; n pairs. Look-up is by value_equal, linear up to 16 pairs, by hash above.
struct value value_map(struct arena *arena, const struct value *pairs, size_t n);
size_t value_size(const struct value *container); // list, map

// Equality as CEL defines it: numbers across their types, lists and maps deep, other types unequal. NaN is unequal.
bool value_equal(const struct value *a, const struct value *b);

// Where a value is found inside a document: raw.target[0].alternateId is {target, 0, alternateId}.
struct path_step {
    bool is_index;
    int64_t index;
    struct str key;
};
struct path {
    const struct path_step *steps;
    size_t n;
};

#ifdef __cplusplus
}
#endif
#endif
