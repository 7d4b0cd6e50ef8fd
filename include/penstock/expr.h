// expr: conditions, the Common Expression Language (CEL) without protobuf types.
//
// A condition is compiled once (parsed, names resolved to slots, types checked,
// constants folded) and evaluated by any thread over an array of slots. Its cost is
// bounded by fuel, its memory by the caller's arena. A field that the event does
// not have is VALUE_ABSENT and behaves like a quiet error: `absent == "x"` is
// absent, `false && absent` is false, `!absent` is absent. So a condition over a
// missing field does not hold, and neither does its negation: missing is not false.
// has(x) asks for presence itself: false for what is absent, wherever on its way it is missing; true for a JSON null,
// which is there. A step into a JSON value that has no such member or element is absent, however the document is
// shaped; so is a step from null. Null itself is a value: it compares, and no other operation takes it. As many
// senders write null for what they do not have, such an operation is absent when its null comes out of the event, and
// an error when the null stands in the condition; a null for a condition's whole result is absent too. An error
// outweighs an absent value in `a && b`, `a || b`, all and exists; the other macros hang on every turn:
// `list.filter(x, x.kind == "a")` is absent as soon as one x has no kind. An optional step (`raw.?user.?name`) from
// what is absent, null or a JSON scalar is none.
//
// Language: https://github.com/google/cel-spec/blob/master/doc/langdef.md, with its extensions for strings, math,
// optionals, network addresses, encoders (base64), bindings and two-variable macros. Beyond it: ip_in(address,
// network or list of them), eq_fold(a, b), glob(text, pattern), "14d" in durations, timestamp(text) of all forms that
// time_parse takes, int == double and the like without dyn(), has(list[0]). Not in it: messages, containers.
// Time zones of timestamps: UTC and offsets anywhere, names of the system's database as constants.
#ifndef PENSTOCK_EXPR_H
#define PENSTOCK_EXPR_H

#include "penstock/value.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EXPR_SOURCE_MAX_BYTES 65536
#define EXPR_DEPTH_MAX 128
#define EXPR_FUEL_DEFAULT 100000 // node visits and loop turns of one evaluation

struct expr; // compiled, immutable; any thread

// What a name means where a condition stands. Given a chain of a name and the constant selections behind it
// (`raw.target[0].alternateId` -> {raw, target, 0, alternateId}), `resolve` says how many steps it takes (at least 1)
// and which slot holds them; steps it does not take are selected from that slot's value at evaluation.
// 0: no such name; `why` then says so, best with the nearest name ("event has no field 'subjet'; did you mean
// 'subject'?").
// A constant gives slot -1 and `constant`, whose memory outlives the expression.
struct expr_ref {
    int slot;
    enum value_type type; // VALUE_ANY when only the event knows
    struct value constant;
    size_t wrong_step; // when 0 steps are taken: which of them is wrong, so that the caret stands under it
};
struct expr_env {
    void *ctx;
    size_t (*resolve)(void *ctx, struct path chain, struct expr_ref *out, struct buf *why);
};

struct expr_error {
    size_t offset;         // into the source text, in bytes
    unsigned line, column; // from 1; column in characters
    char text[400];        // what is wrong and what would mend it, one line, no position
};

// Compiles `source`; NULL and *error when it is wrong. The result owns all its memory. `env` is not kept.
struct expr *expr_compile(struct str source, const struct expr_env *env, struct expr_error *error);
// The same without type errors: what can never work fails at evaluation instead, unknown names and functions included,
// as in CEL's own programs that skip the check.
struct expr *expr_compile_unchecked(struct str source, const struct expr_env *env, struct expr_error *error);
void expr_free(struct expr *expr);
// What to tell people of a `result` of expr_eval that is absent or an error: the part of the source it began at, and
// the error or "raw.user.id is not there". Evaluates parts anew: not for every event.
void expr_explain(const struct expr *expr, const struct value *slots, struct arena *scratch, const struct value *result,
                  struct expr_error *out);
enum value_type expr_type(const struct expr *expr); // static type of the result, VALUE_ANY if unknown
struct str expr_source(const struct expr *expr);
bool expr_is_constant(const struct expr *expr, struct value *out); // no slot is read: the value
// If the expression is nothing but one slot: its number, else -1 (so that callers can copy it).
int expr_only_slot(const struct expr *expr);
// Slots the expression reads, ascending; returns how many there are, writes at most `max`.
size_t expr_slots(const struct expr *expr, int *slots, size_t max);

// Evaluates over `slots`. Temporary values come from `scratch` and live as long as it. VALUE_ABSENT when it hangs on a
// field that is not there, VALUE_ERROR on a real error (overflow, division by zero, no such overload, fuel, memory).
struct value expr_eval(const struct expr *expr, const struct value *slots, struct arena *scratch, uint64_t fuel);

enum expr_truth { EXPR_FALSE, EXPR_TRUE, EXPR_ABSENT, EXPR_FAILED };
// The same for a condition; a result that is not a bool is EXPR_FAILED, but EXPR_ABSENT when it is a null read.
enum expr_truth expr_holds(const struct expr *expr, const struct value *slots, struct arena *scratch);

// The terms of a condition that is a row of `&&` (brackets within it opened), in order, each evaluated by itself; any
// other condition is its only term. Returns how many there are, writes at most `max`. For people, not for every event.
struct expr_term {
    struct str source; // in expr_source
    enum expr_truth truth;
};
size_t expr_terms(const struct expr *expr, const struct value *slots, struct arena *scratch, struct expr_term *out,
                  size_t max);
// The fields that a part of expr_source names, once each, at most `max` of them; the names lie in `scratch`.
struct expr_read {
    struct str name; // "raw.target[0].id"
    int slot;
};
size_t expr_reads(const struct expr *expr, struct str part, struct arena *scratch, struct expr_read *out, size_t max);

// The caret picture for people: source line, caret under the column. Appends lines ending in '\n'.
void expr_show_error(struct buf *out, struct str source, const struct expr_error *error);

#ifdef __cplusplus
}
#endif
#endif
