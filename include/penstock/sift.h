// sift: decode, map, enrich, match: the wide, stateless stage.
//
// One message in, the records that go into the log out: a candidate for each event
// that a route concerns, a dead letter for each input that cannot be used, nothing
// for the rest. A sifter has its own parser, slots and scratch memory and shares
// nothing; each thread has one. What comes out follows from message, policy and
// inventory alone.
#ifndef PENSTOCK_SIFT_H
#define PENSTOCK_SIFT_H

#include "penstock/inventory.h"
#include "penstock/policy.h"

#define SIFT_MAX_DEPTH 64
// What one message's records may take in all; more: a dead letter. So a few bytes cannot grow into gigabytes.
#define SIFT_RECORDS_BYTES(message_bytes) (CANDIDATE_MAX_BYTES + DEAD_LETTER_MAX_BYTES + 64 * (message_bytes))
#define SIFT_MAX_ELEMENTS 10000 // events in one unwrapped container; more: a dead letter

// Why an input became a dead letter. X(name, "help"); the first ones are enum jdoc_result's, by name.
#define SIFT_DEAD_REASONS(X) \
    X(empty, "no document") \
    X(too_large, "over max_event_bytes") \
    X(too_deep, "nested deeper than 64") \
    X(invalid_utf8, "not UTF-8") \
    X(invalid_number, "a number that is malformed or outside of what 64 bits hold") \
    X(invalid_string, "a string with a bad escape or control character") \
    X(invalid_syntax, "not one JSON document") \
    X(duplicate_key, "a key that is used stands twice") \
    X(not_an_object, "the event is no JSON object") \
    X(too_many_elements, "more events in one container than are taken") \
    X(too_many_candidates, "its events' candidates are over 64 times its own size") \
    X(candidate_too_large, "what the routes want of it is over 256 KiB") \
    X(unknown_subject, "to be enforced, but it names no definite subject")

struct sift_counts {
    uint64_t events; // after unwrapping
    uint64_t bytes;
    uint64_t dropped;           // events that no route concerns
    uint64_t candidates;        // events that at least one route concerns
    uint64_t failed_conditions; // conditions that ended in an error (not: absent); they do not hold
#define X(name, help) uint64_t name;
    struct {
        SIFT_DEAD_REASONS(X)
    } dead;
#undef X
};

struct sift_input {
    struct coordinates at; // index 0
    int64_t received_ms;
    struct str bytes;    // JDOC_PADDING readable bytes behind
    uint64_t full_bytes; // more than bytes.len: it was cut, a dead letter
};

// Records for the log, in order; memory is reused by sift_output_clear.
struct sift_record {
    enum record_type type;
    size_t at, len; // in bytes
};
struct sift_output {
    struct buf bytes;
    struct sift_record *records;
    size_t n, cap;
};
void sift_output_init(struct sift_output *out);
void sift_output_clear(struct sift_output *out);
void sift_output_free(struct sift_output *out);
// What was appended to `out->bytes` from `at` on is a record of this type.
void sift_output_add(struct sift_output *out, enum record_type type, size_t at);
static inline struct str sift_record_bytes(const struct sift_output *out, const struct sift_record *record) {
    return (struct str){out->bytes.ptr + record->at, record->len};
}

struct sifter;
struct sifter *sifter_new(size_t max_event_bytes);
void sifter_free(struct sifter *sifter);
// Appends the message's records to `out`. `source` is a binding of `policy`.
void sift_message(struct sifter *sifter, const struct policy *policy, const struct source_binding *source,
                  const struct inventory *inventory, const struct sift_input *input, struct sift_output *out);
const struct sift_counts *
sifter_counts(const struct sifter *sifter);                        // the sifter's thread; others may read stale numbers
uint64_t sift_counts_unreadable(const struct sift_counts *counts); // dead letters that were no events

// ---- looking on, for people ----------------------------------------------------------

// An event as the routes see it, told before they are asked; borrowed for the call.
struct sift_view {
    const struct policy *policy;
    const struct source_binding *source;
    const struct value *slots;
    struct arena *scratch; // the event's
    uint32_t index;        // in its unwrapped container
    bool known_identity;
};
typedef void sift_watch(void *ctx, const struct sift_view *view);
void sifter_set_watch(struct sifter *sifter, sift_watch *watch, void *ctx); // NULL: nobody looks on, as at first
// Whether the event hits this route, decided as for the log; nothing is counted.
bool sift_view_hit(const struct sift_view *view, uint16_t route, struct hit *hit);
// What the map made of one of its fields, and from what.
struct sift_mapped {
    struct value value;  // absent: nothing
    struct value from;   // of the first expression that gave something, before table and type; absent: none did
    bool has_table_word; // the field has a table, and the table has it
};
struct sift_mapped sift_view_field(const struct sift_view *view, const struct map_field *field);

#endif
