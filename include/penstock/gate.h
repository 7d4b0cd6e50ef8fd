// gate: evidence, verdict, dedup, limit, hold: the exact, stateful stage.
//
// A pure function of its records: gate_step(gate, record) decides from the records
// it has been given and nothing else: no clock, no allocation, no random number, no
// I/O. Time is what the log's records say. So it can be stopped, restored, replayed
// and explained, always with the same outputs. One gate is one partition; one thread
// at a time.
#ifndef PENSTOCK_GATE_H
#define PENSTOCK_GATE_H

#include "penstock/policy.h"

// What the gate may remember. At each bound: dedup, evidence, window, known and seen keys: the one that would expire
// first is forgotten and counted; buckets: a limit without room for another key holds what comes; held signals: the
// least of all becomes an alert. Evidence with a memory takes of window_keys: a count one for each key and for each of
// its events (at most 65), distinct one for each key and for each of its values (at most at_least), after one for each
// subject; and of known_keys: first_seen one for each key's value, and one for each key if it learns.
struct gate_bounds {
    size_t dedup_keys, evidence_keys, bucket_keys, seen_keys; // entries of 32 bytes
    size_t window_keys, known_keys;                           // the same
    size_t held_max;                                          // signals
    size_t held_max_bytes;                                    // of their records
};
extern const struct gate_bounds gate_default_bounds;

struct gate;
size_t gate_memory_bytes(const struct gate_bounds *bounds);
// `memory`: gate_memory_bytes of zeroed memory aligned to 64 that the caller owns and keeps until gate_close.
struct gate *gate_open(const struct gate_bounds *bounds, void *memory);
void gate_close(struct gate *gate); // lets go of its policy reference; the memory stays the caller's

// One output for one consumer: what to send (borrowed for the call) and its place in that consumer's stream.
struct emission {
    const struct output *output;
    uint64_t seq;                    // from 1, without gaps, per consumer name, kept over restarts and policies
    const struct consumer *consumer; // NULL: the dead letters
    int64_t received_ms;             // the cause's broker timestamp, for latency; 0 none
};
typedef void gate_emit(void *ctx, const struct emission *emission);

struct gate_record {
    enum record_type type;
    uint64_t seq; // in the log, ascending
    int64_t time_ms;
    struct str payload;
};
// One record of the log. `policy`: for RECORD_POLICY its compiled form (the gate takes a reference), else NULL.
// False: the payload is damaged (counted; nothing was decided).
bool gate_step(struct gate *gate, const struct gate_record *record, struct policy *policy, gate_emit *emit, void *ctx);
// When the next timer is due, INT64_MAX: none. A tick at or after it makes the gate act.
int64_t gate_next_timer_ms(const struct gate *gate);
const struct policy *gate_policy(const struct gate *gate);
uint64_t gate_applied_seq(const struct gate *gate); // last record it has taken

// The verdicts: every hit of a candidate ends in exactly one of the first eight.
// signal_units = sent_units + held_now + expired + hold_full + over_alerts + unrouted + withdrawn.
// X(name, "help")
#define GATE_COUNTS(X) \
    X(below, "hits below the alert threshold") \
    X(alerts, "hits that became alerts") \
    X(signals, "hits that became signals") \
    X(deduplicated, "repeats counted into their first") \
    X(shadow_alerts, "alerts that shadow routes would have sent") \
    X(shadow_signals, "signals that shadow routes would have sent") \
    X(unknown_subject, \
      "hits to be enforced that name no definite subject: dead letters, and alerts beside where above the threshold") \
    X(stale, "hits sifted under an earlier policy whose route the policy in force does not have") \
    X(candidates, "candidate records taken") \
    X(hits, "routes' hits in candidates taken") \
    X(redelivered, "candidates and dead letters that had been taken before") \
    X(signal_units, "signals, one for each consumer they go to (an undivided one that waits counts once)") \
    X(sent_units, "signal units sent on") \
    X(held, "signal units ever held") \
    X(released, "held units released") \
    X(expired, "held units turned into alerts by their ttl") \
    X(hold_full, "units turned into alerts because the hold was full") \
    X(over_alerts, "units turned into alerts by a limit with over: alert") \
    X(unrouted, "signals that no consumer accepts, turned into alerts") \
    X(withdrawn, "held units turned into alerts because a new policy has no use for them") \
    X(unheard, "alerts that no consumer accepts") \
    X(unowned, "alerts that went to the default owner") \
    X(dead_letters, "dead letters taken") \
    X(forgotten, "dedup, evidence and position keys forgotten at a bound before their time") \
    X(forgotten_windows, "entries of count, distinct and after forgotten at their bound: evidence fires late or not") \
    X(forgotten_known, "entries of first_seen forgotten at their bound: evidence fires again for what was known") \
    X(damaged, "records that could not be read")
struct gate_counts {
#define X(name, help) uint64_t name;
    GATE_COUNTS(X)
#undef X
    uint64_t held_now; // units waiting
};
const struct gate_counts *gate_get_counts(const struct gate *gate);
// Verdicts of one route (index in gate_policy). Zeroed when a policy takes effect.
struct route_counts {
    uint64_t below, alerts, signals, deduplicated, shadow;
};
const struct route_counts *gate_get_route_counts(const struct gate *gate, size_t route);
// Units waiting by limit (index in gate_policy->limits); n_limits: the kill switch.
uint64_t gate_held_by_limit(const struct gate *gate, size_t limit);
// Where source partitions stand: calls back for each known one. For recovery.
void gate_each_position(const struct gate *gate, void (*each)(void *ctx, const struct position *position), void *ctx);
// The last sequence number given to a consumer's stream, by name; "" for the dead letters. 0: none yet.
uint64_t gate_consumer_seq(const struct gate *gate, struct str consumer);

// State to bytes and back. Saving gives the same bytes for the same state. Loading wants a gate just opened and the
// policy that was in force (its bundle's hash is in the bytes and is compared), and takes a reference to it. Other
// bounds than the saved state's are fine if it fits. False: *status says why; the gate must be closed and thrown away.
void gate_save(const struct gate *gate, struct buf *out);
bool gate_load(struct gate *gate, struct str bytes, struct policy *policy, struct status *status);

// ---- looking on, for people ----------------------------------------------------------

enum gate_outcome {
    OUTCOME_BELOW,
    OUTCOME_ALERT,
    OUTCOME_SIGNAL,
    OUTCOME_DEDUPLICATED,
    OUTCOME_SHADOW_ALERT,
    OUTCOME_SHADOW_SIGNAL,
    OUTCOME_UNKNOWN_SUBJECT,
};
// What became of one hit, told after it was decided and after its outputs; borrowed for the call.
struct gate_view {
    const struct candidate *candidate;
    const struct hit *hit;
    uint16_t route; // index in gate_policy
    double confidence;
    const struct output_evidence *evidence; // what counted, remembered evidence included, in the route's order
    size_t n_evidence;
    unsigned boundaries;
    enum gate_outcome outcome;
    struct str why;            // alert: why it is not a signal
    uint64_t n_held;           // units of the signal that wait
    const struct guard *guard; // what holds the last of them; NULL: none waits
};
typedef void gate_watch(void *ctx, const struct gate_view *view);
void gate_set_watch(struct gate *gate, gate_watch *watch, void *ctx); // NULL: nobody looks on, as at first

#endif
