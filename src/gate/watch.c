// watch: what became of a hit, for somebody who looks on. The hit is decided as
// always; what happened is read from what the gate counted meanwhile.
#include "gate_internal.h"

static enum gate_outcome find_outcome(const struct gate_counts *before, const struct gate_counts *after) {
    if (after->unknown_subject > before->unknown_subject)
        return OUTCOME_UNKNOWN_SUBJECT;
    if (after->deduplicated > before->deduplicated)
        return OUTCOME_DEDUPLICATED;
    if (after->shadow_signals > before->shadow_signals)
        return OUTCOME_SHADOW_SIGNAL;
    if (after->shadow_alerts > before->shadow_alerts)
        return OUTCOME_SHADOW_ALERT;
    if (after->signals > before->signals)
        return OUTCOME_SIGNAL;
    return after->alerts > before->alerts ? OUTCOME_ALERT : OUTCOME_BELOW;
}

void decide_watched(struct gate *gate, struct decision *decision) {
    struct gate_counts before = gate->counts;
    decide_hit(gate, decision);
    struct gate_view view = {
        .candidate = decision->candidate,
        .hit = &decision->hit,
        .route = decision->route_index,
        .confidence = decision->confidence,
        .evidence = decision->evidence,
        .n_evidence = decision->n_evidence,
        .boundaries = decision->boundaries,
        .outcome = find_outcome(&before, &gate->counts),
        .n_held = gate->counts.held - before.held,
    };
    reach_verdict(decision, &view.why);
    struct guard_entry copy;
    struct guard guard;
    if (view.n_held > 0 && gate->newest) { // the last unit, unless the hold was too full to keep it
        guard = unit_guard(gate, gate->newest, &copy);
        view.guard = &guard;
    }
    gate->watch(gate->watch_ctx, &view);
}

void gate_set_watch(struct gate *gate, gate_watch *watch, void *ctx) {
    gate->watch = watch;
    gate->watch_ctx = ctx;
}
