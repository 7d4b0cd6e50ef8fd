// policy: route files: read, checked, compiled; messages with file:line:column.
//
// A bundle is the text of all files under the routes folder and the names of the
// sources. Compiling gives either a policy, immutable and read by any thread, or
// findings that say what is wrong, where, and what would mend it. The bundle itself
// travels in the log, so that recovery decides under the very policy that was in force.
#ifndef PENSTOCK_POLICY_H
#define PENSTOCK_POLICY_H

#include "penstock/expr.h"
#include "penstock/json.h"
#include "penstock/record.h"

#define POLICY_MAX_FILES 4096
#define POLICY_MAX_BYTES (16 * 1024 * 1024)
#define POLICY_MAX_ROUTES 20000
#define POLICY_MAX_CONSUMERS 250
#define POLICY_MAX_LIMITS 32

// ---- bundle --------------------------------------------------------------------------

struct policy_file {
    struct str path; // as shown in messages: relative to the routes folder's parent as the user gave it
    struct str text;
};
struct policy_source { // a configured source
    struct str name;
    struct str map; // name of its map; empty: the map of the source's own name
};
struct policy_bundle {
    struct arena *arena;       // owns everything
    struct policy_file *files; // sorted by path
    size_t n_files;
    struct policy_source *sources; // none: every map is a source of its own name
    size_t n_sources;
};
// All *.yaml, *.yml and *.json below `dir`, sorted; no links out of it are followed. `sources` may be NULL.
struct policy_bundle *policy_bundle_load(const char *dir, const struct policy_source *sources, size_t n_sources,
                                         struct status *status);
void policy_bundle_write(const struct policy_bundle *bundle, struct buf *out); // the same bundle, the same bytes
struct policy_bundle *policy_bundle_read(struct str bytes, struct status *status);
void policy_bundle_free(struct policy_bundle *bundle);

// ---- findings ------------------------------------------------------------------------

struct finding {
    bool error; // else a warning
    struct str file;
    unsigned line, column; // 0: the whole file or folder
    struct str text;
};
struct findings {
    struct arena *arena;
    struct finding *items;
    size_t n, cap, n_errors;
};
#define FINDINGS_MAX 1000 // further ones are counted in n_errors only
void findings_init(struct findings *findings);
void findings_free(struct findings *findings);
void findings_add(struct findings *findings, bool error, struct str file, unsigned line, unsigned column,
                  const char *format, ...) PENSTOCK_PRINTF(6, 7);
void findings_write(const struct findings *findings,
                    struct buf *out); // `file:line:column: error: text`, a line each, sorted

// ---- the compiled policy ----------------------------------------------------------------

// What sift works with: source -> map -> slots -> routes.

struct map_field {
    enum event_field field;
    struct expr **of; // tried in order; the first present one wins
    size_t n_of;
    const struct str *table_from, *table_to; // sorted by from; n_table 0: the value itself
    size_t n_table;
    struct str table_else; // {NULL,0}: a value that is not in the table makes the field absent
};
struct map {
    struct str name;
    struct path *unwrap; // tried in order: a list is split, an object opened; none there: the document is the event
    size_t n_unwrap;
    struct map_field *fields;
    size_t n_fields;
};
// One per source (or per map, without configured sources).
struct source_binding {
    struct str name;
    const struct map *map;
    struct jpaths *raw;      // raw.* slots, from the event (the element, when unwrapped)
    struct jpaths *envelope; // envelope.* slots, from the whole document; NULL: none wanted
    uint16_t *routes;        // indexes of the routes that hear this source
    size_t n_routes;
};

// A text with holes: 'Credential of {{event.subject.id}}'. A hole whose value is absent shows "-".
struct template_part {
    struct str literal; // used if expr is NULL
    struct expr *expr;
};
struct template {
    struct template_part *parts;
    size_t n;
};

enum route_mode { MODE_SHADOW, MODE_ALERT, MODE_ENFORCE };

// What evidence remembers of earlier events, in the gate, under a key that sift makes. Times are half open: what
// happened at t counts until just before t + within.
enum memory_kind {
    MEMORY_NONE,
    MEMORY_COUNT,      // from the at_least-th event within within_ms on, while there are as many
    MEMORY_DISTINCT,   // the same of different values
    MEMORY_FIRST_SEEN, // a value that was not there within within_ms
    MEMORY_AFTER,      // another piece of evidence fired for the subject, by an earlier event within within_ms
};
#define COUNT_MAX 1000000
#define DISTINCT_MAX 256 // all of them are kept
struct memory {
    enum memory_kind kind;
    struct hash128 id; // of its route, its name and all that is said below: what counts otherwise, counts anew
    struct expr **of;  // distinct, first_seen: together the value
    size_t n_of;
    struct expr **per; // what is counted apart; none: the subject, all its aliases being one
    size_t n_per;
    int64_t at_least, within_ms;
    int64_t learn_ms;     // first_seen: so long after its first event a key only learns
    struct str after;     // NAME or ROUTE/NAME
    struct hash128 trace; // of the evidence it comes after
};
struct evidence {
    struct str name;
    struct expr *when;   // NULL: always
    struct expr *weight; // a number; clamped to 0..1
    enum boundary boundary;
    struct memory memory;
    struct hash128 trace; // by which others find that it fired
    int64_t trace_ms;     // how long they look for it; 0: none comes after it
};
struct adjustment {
    struct expr *when;
    double alert, signal; // added to the thresholds
};
struct route {
    struct str name;
    struct str file; // where it stands, for messages
    unsigned line;
    int64_t version;
    enum route_mode mode;
    struct expr *when;         // NULL: every event of its sources
    struct evidence *evidence; // none: the condition is the evidence (confidence 1)
    size_t n_evidence;
    int64_t confidence_within_ms;    // 0: evidence of one event only
    int64_t confidence_half_life_ms; // 0: no decay
    double threshold_alert, threshold_signal;
    struct adjustment *adjust;
    size_t n_adjust;
    unsigned escalate_on; // set of enum boundary
    struct expr **dedup_key;
    size_t n_dedup_key;
    int64_t dedup_within_ms; // 0: no deduplication
    bool has_signal;
    struct str signal_type, action;
    struct template reason;
    bool allow_unowned;
    struct expr *severity; // string; never NULL
    struct template title;
    struct str owner, runbook;                        // empty: none
    int64_t acknowledge_within_ms, resolve_within_ms; // 0: none
    struct str *escalate_to;
    size_t n_escalate_to;
};

// Whether it says something by itself: whatever the gate remembers, evidence fires.
static inline bool hit_is_certain(const struct route *route, const struct hit *hit) {
    for (unsigned i = 0; i < hit->n_evidence; i++) {
        const struct hit_evidence *found = &hit->evidence[i];
        if (found->index < route->n_evidence && route->evidence[found->index].memory.kind == MEMORY_NONE &&
            found->weight > 0)
            return true;
    }
    return route->n_evidence == 0;
}

// What the gate works with.

enum limit_key {
    LIMIT_SUBJECT,
    LIMIT_DETECTOR,
    LIMIT_ROUTE,
    LIMIT_TENANT,
    LIMIT_ACTION,
    LIMIT_CONSUMER,
    LIMIT_KEY_COUNT
};
enum limit_over { OVER_HOLD, OVER_ALERT };
struct limit {
    struct str name;
    unsigned per;        // set of 1 << enum limit_key; 0: global
    struct str *actions; // only these; none: all
    size_t n_actions;
    int64_t rate_count, rate_per_ms, burst; // rate_count tokens per rate_per_ms, at most burst at once
    enum limit_over over;
    struct str level; // "tenant,action": for the guard
    struct str text;  // "200/m burst 200": for the guard
};

enum to_kind { TO_KAFKA, TO_NATS, TO_FILE, TO_STDOUT };
struct consumer {
    struct str name;
    struct expr *accepts; // over the slots below
    enum output_format format;
    uint64_t fields; // set of 1 << enum output_field
    enum to_kind to;
    struct str topic, subject, path;
    unsigned line;
    struct str file;
};
// Slots of `accepts`: event.* and identity.* as everywhere, then what the record is.
enum accept_slot {
    ACCEPT_KIND = SLOT_RAW, // "signal" | "alert"
    ACCEPT_ACTION,          // absent for alerts
    ACCEPT_TYPE,
    ACCEPT_ROUTE,
    ACCEPT_SEVERITY,
    ACCEPT_CONFIDENCE,
    ACCEPT_WHY, // alerts only
    ACCEPT_TENANT,
    ACCEPT_OWNER,
    ACCEPT_SLOT_COUNT,
};

enum hold_order { HOLD_BY_CONFIDENCE, HOLD_BY_SEVERITY, HOLD_BY_AGE };

struct policy {
    struct arena *arena; // owns everything but the expressions
    uint64_t generation; // set by the runtime when it takes effect; 0 until then
    struct hash128 hash; // of the bundle
    unsigned n_slots;    // event, identity, source and raw slots
    struct map *maps;
    size_t n_maps;
    struct source_binding *sources;
    size_t n_sources;
    struct route *routes;
    size_t n_routes;
    struct consumer *consumers;
    size_t n_consumers;
    struct str default_owner; // never empty
    struct limit *limits;     // in the fixed order: subject, detector, route, tenant/action, consumer, global
    size_t n_limits;
    int64_t hold_ttl_ms;
    uint32_t hold_max;
    enum hold_order hold_order[3];
    bool kill_switch;
    struct expr *partition_by; // event.tenant by default
    struct policy_test *tests;
    size_t n_tests;
};

// A test of a route file (`tests:`); `penstock test` runs them.
struct policy_test_event {
    int64_t at_ms; // since the test's start
    struct str source;
    struct str raw_json; // the vendor's document
};
struct policy_test {
    struct str name, route, file;
    unsigned line;
    struct str identities_json; // a JSON list for inventory_parse, "[]" if none
    struct policy_test_event *events;
    size_t n_events;
    // What is expected; -1: not said. Counts over all consumers' kinds, each output counted once whatever the number of
    // consumers.
    int64_t expect_alerts, expect_signals, expect_held, expect_deduplicated, expect_dead, expect_drop;
    struct str expect_why;       // of some alert; empty: not said
    struct str expect_action;    // of some signal
    struct str expect_owner;     // of some alert
    double expect_confidence;    // of some output, within 0.005; negative: not said
    struct str *expect_evidence; // names that must all have fired in some output
    size_t n_expect_evidence;
};

// Compiles. NULL when there are errors. Warnings may come with a policy. The bundle may be freed afterwards.
struct policy *policy_compile(const struct policy_bundle *bundle, struct findings *findings);
struct policy *policy_ref(struct policy *policy); // counts references, any thread
void policy_unref(struct policy *policy);
const struct source_binding *policy_find_source(const struct policy *policy, struct str name); // NULL: none

// JSON Schema texts (draft 2020-12) for `penstock schema`.
void policy_schema_routes(struct buf *out);
void policy_schema_output(struct buf *out);

#endif
