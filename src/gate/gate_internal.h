// What the files of the gate share: its memory, and what each subject offers the others.
//
// Everything lives in the one block that the caller gave: tables of 32-byte
// entries, the held units with their bytes, a heap of timers. Nothing here
// outlives a record but what `gate_save` writes.
#ifndef PENSTOCK_GATE_INTERNAL_H
#define PENSTOCK_GATE_INTERNAL_H

#include "penstock/gate.h"

_Static_assert(sizeof(double) == 8, "weights are kept as IEEE 754 binary64");

#define SEEN_MS (INT64_C(60) * 60 * 1000) // how long unordered coordinates are remembered
#define TIME_MAX_MS (INT64_C(1) << 53)    // sums of a time and a duration never overflow
#define DURATION_MAX_MS (INT64_C(1) << 52)
#define SOURCES_MAX 1024
#define SOURCE_NAME_MAX 255
#define PLACES_MAX 16384                                                // partitions of sources
#define STREAMS_MAX 4096                                                // consumer names ever met
#define GUARDS_MAX 1024                                                 // different guards over the held units
#define BLOCK_BYTES 512                                                 // of the hold's byte store
#define SCRATCH_BYTES (64 * 1024)                                       // temporary values of one condition
#define TAIL_MAX_BYTES ((size_t)EVIDENCE_MAX * (1 + UINT8_MAX + 1 + 8)) // a held unit's evidence

#define NO_ROUTE UINT16_MAX
#define ALL_CONSUMERS UINT16_MAX              // an undivided signal: the limits of no consumer's own come first
#define LIMIT_KILL_SWITCH POLICY_MAX_LIMITS   // in the place of a limit's index
#define LIMIT_RECHECK (POLICY_MAX_LIMITS + 1) // held under a limit that is no more: tried at once
#define LIMIT_PLACES (POLICY_MAX_LIMITS + 2)

// ---- table ------------------------------------------------------------------------------

struct entry {
    struct hash128 key;
    int64_t expires_ms; // live while it is later than now; 0: never used
    uint64_t payload;
};
_Static_assert(sizeof(struct entry) == 32, "gate.h promises entries of 32 bytes");

struct table {
    struct entry *entries;
    uint64_t n_buckets;
    bool touched; // something was ever put into it; else it need not be looked through, nor its memory be touched
};
size_t table_bytes(size_t keys);
void table_open(struct table *table, void *memory, size_t keys);
uint64_t table_slots(const struct table *table);
void table_prefetch(const struct table *table, struct hash128 key); // a key that will be looked for soon
struct entry *table_find(const struct table *table, struct hash128 key, int64_t now_ms); // live; NULL: none
// A slot for a key that is not there, the key written, the rest 0; other entries may move. With no slot free: if
// `evict`, the entry of its buckets that would expire first makes room and *forgotten is raised; else NULL.
struct entry *table_add(struct table *table, struct hash128 key, int64_t now_ms, bool evict, uint64_t *forgotten);
bool table_may_hold(const struct table *table, struct hash128 key, uint64_t slot); // is it one of the key's slots?
int64_t table_room_ms(const struct table *table, struct hash128 key); // when the first slot for it falls free

// ---- positions and streams ----------------------------------------------------------------

struct mark { // the first coordinates of a partition that have not been taken
    int64_t offset;
    uint64_t index;
};
enum taken_kind { TAKEN_CANDIDATE, TAKEN_DEAD, TAKEN_KINDS }; // one event may give both, so each has its own mark
struct place {
    uint32_t source;
    int32_t partition;
    struct mark marks[TAKEN_KINDS];
};
struct source_name {
    uint8_t len;
    char text[SOURCE_NAME_MAX];
};
struct stream { // a consumer's, by the hash of its name
    struct hash128 name;
    uint64_t seq;
};

// ---- memory of evidence ---------------------------------------------------------------------

struct trace { // that evidence leaves for what comes after it
    struct hash128 key;
    int64_t keep_ms;
};
#define EVIDENCE_MIN_BYTES 9 // of a piece of evidence in a candidate
#define TRACES_MAX (CANDIDATE_MAX_BYTES / EVIDENCE_MIN_BYTES)

// ---- held units ------------------------------------------------------------------------------

struct priority {
    double confidence;
    uint64_t id;       // of the decision, ascending: its age
    uint16_t consumer; // tells the units of one decision apart
    uint8_t severity;
};
struct links {                  // of a pairing heap; 0: none
    uint32_t child, next, prev; // prev: the sibling before, or the parent of a first child
};
enum heap_view { HEAP_QUEUE, HEAP_LEAST, HEAP_VIEWS }; // best of its bucket first; least of all first

struct held {
    struct priority priority;
    int64_t deadline_ms;
    uint64_t duplicates; // counted before it was held
    struct hash128 dedup_key;
    struct links links[HEAP_VIEWS];
    uint32_t older, newer; // all units in the order in which they came
    uint32_t queue, timer;
    uint32_t first_block, candidate_bytes, tail_bytes;
    uint16_t route, hit, guard;
    bool has_dedup;
    uint8_t n_evidence;
};
struct queue { // the units that wait for one bucket
    struct hash128 key;
    int64_t wake_ms;
    uint32_t root, count, timer;
    uint32_t next; // in its chain of the index, or of the free ones
    uint16_t limit;
};
struct block {
    uint32_t next;
    char bytes[BLOCK_BYTES - 4];
};
struct guard_entry {
    uint64_t generation;
    uint32_t units; // 0: free
    uint8_t name_len, level_len, limit_len;
    char name[96], level[64], limit[77];
};

// ---- timers ---------------------------------------------------------------------------------

enum timer_kind { TIMER_EXPIRE, TIMER_WAKE };
struct timer {
    int64_t deadline_ms;
    uint32_t slot; // of a unit or of a queue
    uint32_t kind;
};

// ---- the gate --------------------------------------------------------------------------------

struct gate {
    struct gate_bounds bounds;
    struct policy *policy;
    uint64_t generation, applied_seq, next_id;
    int64_t now_ms; // the log's time, never back
    struct gate_counts counts;

    gate_emit *emit; // for the step
    void *emit_ctx;
    gate_watch *watch; // NULL: nobody looks on
    void *watch_ctx;
    struct arena *scratch;
    struct value slots[ACCEPT_SLOT_COUNT]; // what `accepts` reads

    struct table dedup, evidence, buckets, seen, windows, known;
    struct trace *traces; // of the candidate that is being taken
    uint32_t n_traces;

    struct source_name *sources;
    struct place *places;
    uint32_t *place_index; // open addressing: place + 1
    uint32_t n_sources, n_places;

    struct stream *streams; // [0]: the dead letters
    uint32_t n_streams;
    uint16_t stream_of[POLICY_MAX_CONSUMERS];

    struct route_counts *route_counts;
    uint16_t *route_index;    // by name: route + 1, while a policy is adopted
    uint16_t *previous_route; // route of the previous generation -> route of this one, NO_ROUTE: none
    uint64_t previous_generation;
    uint32_t n_previous;

    struct held *held; // slot 0 is none, as in all that follows
    uint32_t held_used, held_free, oldest, newest, least;
    struct block *blocks;
    uint32_t blocks_used, blocks_free, n_blocks_free;
    struct queue *queues;
    uint32_t *queue_index;
    uint32_t queues_used, queues_free, waking;
    struct guard_entry *guards; // [0] is none
    uint16_t n_guards;          // places ever used
    uint64_t held_by_limit[LIMIT_PLACES];
    char *unit_bytes[2]; // the unit being released; the unit that becomes an alert meanwhile

    struct timer *timers;
    uint32_t n_timers;
};

// ---- decisions: a hit on its way through ------------------------------------------------------

struct decision {
    const struct candidate *candidate;
    struct str bytes; // the candidate's
    struct hit hit;
    uint16_t hit_index, route_index;
    const struct route *route;
    struct str tenant, subject;  // subject: the inventory's id if it knows the subject, so that aliases are one
    struct hash128 subject_hash; // with the tenant
    bool definite;               // the subject is one definite identity
    double confidence;
    struct output_evidence evidence[EVIDENCE_MAX]; // what counted, in the route's order
    size_t n_evidence;
    unsigned boundaries;
    struct hash128 dedup_key;
    bool has_dedup;
    uint64_t duplicates;
};
enum verdict { VERDICT_DROP, VERDICT_ALERT, VERDICT_SIGNAL };

// gate.c
void gate_advance(struct gate *gate, int64_t time_ms);

// position.c
bool take_coordinates(struct gate *gate, const struct coordinates *at, enum taken_kind kind); // false: taken before
bool raise_position(struct gate *gate, const struct position *position);
struct place *place_find(const struct gate *gate, struct str source, int32_t partition);
struct place *place_add(struct gate *gate, struct str source, int32_t partition); // NULL: no room
struct stream *stream_find(const struct gate *gate, struct str consumer);
void streams_adopt(struct gate *gate);

// memory.c
void memory_prefetch(const struct gate *gate, const struct decision *decision, const struct evidence *evidence,
                     const struct hit_evidence *found); // what will be looked for soon
// Whether evidence that a hit brings fires, which every call makes the gate remember.
bool memory_fires(struct gate *gate, const struct decision *decision, const struct evidence *evidence,
                  const struct hit_evidence *found);
// It fired, and others may come after it: known once the whole candidate is decided, so that no event comes after
// itself.
void leave_trace(struct gate *gate, const struct decision *decision, const struct evidence *evidence);
void keep_traces(struct gate *gate);

// evidence.c
double half_life_factor(int64_t age_ms, int64_t half_life_ms); // 2^(-age / half life)
// Fills confidence, evidence, boundaries. False: nothing fired, so there is nothing new to decide.
bool weigh_evidence(struct gate *gate, struct decision *decision);

// verdict.c
void decision_begin(struct decision *decision, const struct candidate *candidate, struct str bytes);
enum verdict reach_verdict(const struct decision *decision, struct str *why);
void decide_hit(struct gate *gate, struct decision *decision);

// dedup.c
void dedup_prepare(const struct gate *gate,
                   struct decision *decision); // finds the key, and its entry before it is wanted
// True: a repeat, counted into the first. Else the output may go; decision->duplicates says what was counted before.
bool dedup_repeats(struct gate *gate, struct decision *decision, unsigned strength);
uint64_t dedup_take(struct gate *gate, struct hash128 key); // the repeats counted so far, which are then forgotten
void dedup_keep(struct gate *gate, struct hash128 key, int64_t until_ms); // goes on counting for a unit held until then

// limit.c
#define LIMIT_NONE (-1)
// Charges every limit of the stage (ALL_CONSUMERS: those of no consumer's own) or none. LIMIT_NONE: passed; else the
// index of the first that refuses, and its bucket. `slot`: the unit if it is held, which does not wait for itself.
int limits_charge(struct gate *gate, const struct decision *decision, const struct priority *priority, uint32_t slot,
                  struct hash128 *bucket);
// When it next has a token.
int64_t bucket_token_ms(struct gate *gate, const struct limit *limit, struct hash128 bucket);

// signal.c
#define KILL_SWITCH_BUCKET ((struct hash128){0, 1})
#define RECHECK_BUCKET ((struct hash128){0, 2})
struct guard kill_switch_guard(const struct gate *gate);
void signal_begin(struct gate *gate, struct decision *decision);
void unit_expire(struct gate *gate, uint32_t slot);
void unit_withdraw(struct gate *gate, uint32_t slot, const struct route *route, struct str consumer);
void queue_arm_for_token(struct gate *gate, uint32_t queue, int64_t earliest_ms);
void queue_wake(struct gate *gate, uint32_t queue);

// hold.c
bool priority_better(const struct gate *gate, const struct priority *a, const struct priority *b);
uint8_t severity_rank(struct str severity);
bool hold_has_room(const struct gate *gate, size_t bytes);
bool hold_fits(const struct gate *gate, size_t bytes);          // whatever the policy's own bound says
bool hold_may_have_room(const struct gate *gate, size_t bytes); // were it empty
uint32_t unit_add(struct gate *gate, const struct decision *decision, const struct priority *priority,
                  int64_t deadline_ms);
void unit_remove(struct gate *gate, uint32_t slot);
void unit_enqueue(struct gate *gate, uint32_t slot, uint16_t limit, struct hash128 bucket);
void unit_dequeue(struct gate *gate, uint32_t slot);
void unit_set_guard(struct gate *gate, uint32_t slot, const struct guard *guard);
struct guard unit_guard(const struct gate *gate, uint32_t slot, struct guard_entry *copy); // its texts lie in the copy
struct str unit_copy_bytes(const struct gate *gate, uint32_t slot, char *to);              // candidate and tail
size_t unit_bytes_needed(const struct decision *decision);
bool unit_open(struct gate *gate, uint32_t slot, int copy, struct candidate *candidate, struct decision *decision);
uint32_t queue_find(const struct gate *gate, struct hash128 bucket);
void queue_arm(struct gate *gate, uint32_t queue, int64_t at_ms); // INT64_MAX: not at all
void queue_close_if_empty(struct gate *gate, uint32_t queue);
size_t write_tail(const struct decision *decision, char *to);
bool read_tail(struct str tail, struct decision *decision, uint8_t n);

// heap.c
uint32_t heap_push(struct gate *gate, enum heap_view view, uint32_t root, uint32_t slot);
uint32_t heap_remove(struct gate *gate, enum heap_view view, uint32_t root, uint32_t slot);

// timer.c
void timer_set(struct gate *gate, enum timer_kind kind, uint32_t slot, int64_t deadline_ms); // moves it if it is set
void timer_clear(struct gate *gate, enum timer_kind kind, uint32_t slot);

// emit.c
struct owner {
    struct str name;
    bool is_default;
};
struct owner find_owner(const struct gate *gate, const struct decision *decision);
bool is_owned(const struct decision *decision);
// Of the signal: who accepts it.
size_t find_consumers(struct gate *gate, const struct decision *decision, uint16_t out[POLICY_MAX_CONSUMERS]);
bool consumer_accepts(struct gate *gate, const struct decision *decision, uint16_t consumer);
void emit_signal(struct gate *gate, const struct decision *decision, uint16_t consumer, const struct guard *guard);
// `what` distinguishes the outputs of one hit and goes into the id.
void emit_alert(struct gate *gate, const struct decision *decision, struct str why, struct str what,
                const struct guard *guard);
void emit_dead_letter(struct gate *gate, const struct dead_letter *letter);

// watch.c
void decide_watched(struct gate *gate, struct decision *decision); // decide_hit, with somebody who looks on

// adopt.c
void adopt_policy(struct gate *gate, struct policy *policy, uint64_t generation);

#endif
