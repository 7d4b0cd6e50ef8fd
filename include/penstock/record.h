// record: what travels between the parts, and its bytes.
//
// Log records (sift -> gate): candidates, dead letters, policies, positions, ticks.
// Output records (gate -> consumers): signals and alerts as JSON or CloudEvents.
// Reading allocates nothing: a candidate's values point into its bytes.
#ifndef PENSTOCK_RECORD_H
#define PENSTOCK_RECORD_H

#include "penstock/event.h"

// ---- log records: journal record types ------------------------------------------

enum record_type {
    RECORD_POLICY = 1,    // the policy in force from here on: generation and bundle
    RECORD_CANDIDATE = 2, // an event that at least one route concerns
    RECORD_DEAD = 3,      // an input that could not be read or must not be enforced, with its reason
    RECORD_POSITION = 4,  // a source's partition has been read up to here
    RECORD_TICK = 5,      // time has passed and a timer is due
};

// Where an event stood. `index` is the element's place in an unwrapped container. Equal coordinates are the same event.
struct coordinates {
    struct str source;
    int32_t partition;
    int64_t offset;
    uint32_t index;
    bool ordered; // offsets of this partition only ever grow (Kafka, files); false: redelivery comes out of order
                  // (JetStream)
};
// Bounds of what one event may carry; more is a dead letter ("too_many_routes") or cut (texts).
#define CANDIDATE_MAX_BYTES (256 * 1024)
#define EVIDENCE_MAX 32 // per route
#define TITLE_MAX_BYTES 512

// ---- candidates ---------------------------------------------------------------------

struct hit_evidence {
    uint8_t index; // in the route's evidence
    double weight; // 0..1
    // Of evidence that counts or compares: under which key, and which value. Whether it fires is the gate's to say.
    bool has_key;
    struct hash128 key;
    uint64_t value;
};
// One route that concerns the event, with everything the gate needs that only the event could tell.
struct hit {
    uint16_t route; // index in the policy of `generation`
    uint8_t n_evidence;
    struct hit_evidence evidence[EVIDENCE_MAX];
    double adjust_alert, adjust_signal; // sums of the adjustments that apply
    struct hash128 dedup_key;           // over route name and key values
    struct str severity, title, reason;
};

struct candidate {
    uint64_t generation; // of the policy that sifted it
    struct coordinates at;
    int64_t received_ms; // the broker's timestamp, 0 none
    bool known_identity; // the inventory knows the subject
    struct value event[EVENT_FIELD_COUNT];
    struct value identity[IDENTITY_FIELD_COUNT];
    struct str hits; // encoded
    uint16_t n_hits;
};

// Writing: begin, a hit each, end. Everything is appended to `out`.
struct candidate_writer {
    struct buf *out;
    size_t count_at;
    uint16_t n_hits;
};
void candidate_begin(struct candidate_writer *writer, struct buf *out,
                     const struct candidate *candidate); // all but hits
void candidate_add_hit(struct candidate_writer *writer, const struct hit *hit);
void candidate_end(struct candidate_writer *writer);
// Reading: values and texts point into `bytes`, lists read it in place. False: damaged (a bug or a corrupt log).
bool candidate_read(struct str bytes, struct candidate *out);
// Walks the hits; *cursor starts at 0. False at the end.
bool candidate_next_hit(const struct candidate *candidate, size_t *cursor, struct hit *out);

// Whether this is one definite identity: not empty, no wildcard, no word for "none" or "everybody" ("unknown", "-",
// "all", …).
bool subject_is_definite(struct str subject);

// The ids: the same cause gives the same ids on every machine and at every try (no clock, no random number, no delivery
// count).
struct hash128 cause_id(const struct coordinates *at); // "txn": one per event
// One per output record: cause, route, what it is ("signal", "alert", "held_expired", …), and the consumer.
struct hash128 output_id(const struct coordinates *at, struct str route, struct str what, struct str consumer);

// ---- dead letters, positions, policies -------------------------------------------------

struct dead_letter {
    struct coordinates at;
    int64_t received_ms;
    struct str reason;   // "invalid_utf8", "too_deep", "unknown_subject", …: one of a fixed set
    struct str detail;   // for people
    uint64_t full_bytes; // of the input as it stood
    struct str bytes;    // the input, cut to DEAD_LETTER_MAX_BYTES
};
#define DEAD_LETTER_MAX_BYTES (1024 * 1024)
void dead_letter_write(struct buf *out, const struct dead_letter *letter);
bool dead_letter_read(struct str bytes, struct dead_letter *out);
// The consumer's record: {"kind":"dead_letter","id",…,"data" or "data_base64"}; text stays text, anything else base64.
void dead_letter_write_json(struct buf *out, const struct dead_letter *letter, int64_t time_ms);
struct hash128 dead_letter_id(const struct coordinates *at, struct str reason);

struct position { // the partition has been read up to, not including, `next_offset`
    struct str source;
    int32_t partition;
    int64_t next_offset;
};
void position_write(struct buf *out, const struct position *position);
bool position_read(struct str bytes, struct position *out);

struct policy_record {
    uint64_t generation;
    struct str bundle; // policy_bundle_write's bytes
};
void policy_record_write(struct buf *out, const struct policy_record *record);
bool policy_record_read(struct str bytes, struct policy_record *out);

// ---- output records ----------------------------------------------------------------------

// X(NAME, "member"): the members of an output record, in their order. A consumer's `fields` choose among them.
#define OUTPUT_FIELDS(X) \
    X(KIND, "kind") \
    X(ID, "id") \
    X(TXN, "txn") X(TIME, "time") X(CONSUMER, "consumer") X(ROUTE, "route") X(POLICY_VERSION, "policy_version") \
        X(TENANT, "tenant") X(SUBJECT, "subject") X(TYPE, "type") X(ACTION, "action") X(CONFIDENCE, "confidence") \
            X(EVIDENCE, "evidence") X(BOUNDARIES, "boundaries") X(EVENT, "event") X(DUPLICATES, "duplicates") \
                X(REASON, "reason") X(GUARD, "guard") X(WHY, "why") X(SEVERITY, "severity") X(TITLE, "title") \
                    X(OWNER, "owner") X(STEWARD, "steward") X(ACKNOWLEDGE_BY, "acknowledge_by") \
                        X(RESOLVE_BY, "resolve_by") X(ESCALATE_TO, "escalate_to") X(RUNBOOK, "runbook") \
                            X(REVOCATION, "revocation") X(DEPENDENTS, "dependents")
enum output_field {
#define X(name, member) OUTPUT_##name,
    OUTPUT_FIELDS(X)
#undef X
        OUTPUT_FIELD_COUNT
};
#define OUTPUT_ALL_FIELDS ((UINT64_C(1) << OUTPUT_FIELD_COUNT) - 1)
int output_field_find(struct str member); // -1: none

enum output_kind { OUTPUT_IS_SIGNAL, OUTPUT_IS_ALERT, OUTPUT_IS_DEAD_LETTER };
enum output_format { FORMAT_JSON, FORMAT_CLOUDEVENTS };

enum boundary {
    BOUNDARY_NONE = 0,
    BOUNDARY_PRIVILEGE = 1,
    BOUNDARY_DATA = 2,
    BOUNDARY_TRUST = 4
}; // a set is an OR of them

struct output_evidence {
    struct str name;
    double weight;
    enum boundary boundary;
};
// A guard that did not simply let a signal pass.
struct guard {
    struct str name;  // the limit's name, or "kill_switch", "hold"
    struct str level; // what it is kept per: "subject", "tenant,action", "consumer", "global"
    struct str limit; // as written: "50/s burst 100"
    uint64_t generation;
};
// Everything an output record says. Texts and values are borrowed for the call that hands it over.
struct output {
    enum output_kind kind;
    struct hash128 id, txn;
    int64_t time_ms;
    struct str consumer;
    struct str route;
    int64_t route_version;
    const struct candidate *candidate; // tenant, subject, event; NULL for a dead letter
    struct str type, action;           // signal: event type and action
    double confidence;
    const struct output_evidence *evidence;
    size_t n_evidence;
    unsigned boundaries; // set of enum boundary
    uint64_t duplicates; // repeats counted into this since the key's last output
    struct str reason;
    const struct guard *guard; // NULL: it simply passed
    struct str why;            // alert: why it is not a signal; {NULL,0}: it was never to be one
    struct str severity, title, owner, runbook;
    int64_t acknowledge_by_ms, resolve_by_ms; // 0: none
    const struct str *escalate_to;
    size_t n_escalate_to;
    const struct dead_letter *dead_letter; // kind OUTPUT_IS_DEAD_LETTER
};
// One JSON document, no newline; `fields` is a set of 1 << enum output_field. The same output gives the same bytes,
// always.
void output_write(struct buf *out, const struct output *output, enum output_format format, uint64_t fields);
struct str output_content_type(enum output_format format);
struct str output_subject_key(const struct output *output); // Kafka's message key: the subject's id

#endif
