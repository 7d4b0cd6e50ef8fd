// verdict: from a hit and its confidence to drop, alert or signal, and why not more.
//
// A signal needs more than a number: one definite subject, nobody's protection over
// it, somebody who answers for it, and a route in force. Whatever lacks one of these
// becomes an alert that says which, so that a person sees what no machine did.
#include "gate_internal.h"

static struct str text_of(const struct value *v) {
    return v->type == VALUE_STRING ? v->string : (struct str){NULL, 0};
}

static bool is_true(const struct value *v) {
    return v->type == VALUE_BOOL && v->boolean;
}

void decision_begin(struct decision *decision, const struct candidate *candidate, struct str bytes) {
    decision->candidate = candidate;
    decision->bytes = bytes;
    decision->confidence = 0;
    decision->n_evidence = 0;
    decision->boundaries = 0;
    decision->duplicates = 0;
    decision->has_dedup = false;
    decision->dedup_key = (struct hash128){0};
    decision->tenant = text_of(&candidate->event[EVENT_TENANT]);
    decision->subject = text_of(&candidate->event[EVENT_SUBJECT_ID]);
    decision->definite = subject_is_definite(decision->subject);
    struct str known_as = text_of(&candidate->identity[IDENTITY_ID]);
    if (candidate->known_identity && known_as.len)
        decision->subject = known_as;
    struct hash_parts parts = {.len = 0};
    hash_parts_str(&parts, decision->tenant);
    hash_parts_str(&parts, decision->subject);
    decision->subject_hash = hash_parts_end(&parts);
}

// The decimals that people write must not miss each other by the rounding of binary sums.
#define ROUNDING 1e-9

static bool reaches(double confidence, double threshold) {
    threshold = threshold > 0 ? (threshold < 1 ? threshold : 1) : 0;
    return confidence + ROUNDING >= threshold;
}

enum verdict reach_verdict(const struct decision *decision, struct str *why) {
    const struct route *route = decision->route;
    *why = (struct str){NULL, 0};
    if (route->has_signal && reaches(decision->confidence, route->threshold_signal + decision->hit.adjust_signal)) {
        if (!decision->definite)
            *why = STR("unknown_subject");
        else if (is_true(&decision->candidate->identity[IDENTITY_PROTECTED]))
            *why = STR("protected");
        else if (!route->allow_unowned && !is_owned(decision))
            *why = STR("unowned");
        else if (route->mode == MODE_ALERT)
            *why = STR("mode");
        return why->len ? VERDICT_ALERT : VERDICT_SIGNAL;
    }
    if (reaches(decision->confidence, route->threshold_alert + decision->hit.adjust_alert) ||
        (decision->boundaries & route->escalate_on)) {
        if (route->has_signal)
            *why = STR("below_threshold");
        return VERDICT_ALERT;
    }
    return VERDICT_DROP;
}

// To be enforced on nobody in particular. The event is a dead letter already, so that is its verdict; a person is told
// too.
static void decide_nobodys_hit(struct gate *gate, struct decision *decision, enum verdict verdict, struct str why) {
    gate->counts.unknown_subject++;
    if (verdict == VERDICT_DROP || dedup_repeats(gate, decision, 1) || decision->route->mode == MODE_SHADOW)
        return;
    gate->route_counts[decision->route_index].alerts++;
    emit_alert(gate, decision, why, STR("alert"), NULL);
}

void decide_hit(struct gate *gate, struct decision *decision) {
    const struct route *route = decision->route;
    struct route_counts *of_route = &gate->route_counts[decision->route_index];
    dedup_prepare(gate, decision);
    struct str why;
    enum verdict verdict = weigh_evidence(gate, decision) ? reach_verdict(decision, &why) : VERDICT_DROP;
    if (route->has_signal && !decision->definite && hit_is_certain(route, &decision->hit)) {
        decide_nobodys_hit(gate, decision, verdict, why);
        return;
    }
    if (verdict == VERDICT_DROP) {
        gate->counts.below++;
        of_route->below++;
        return;
    }
    unsigned strength = verdict == VERDICT_SIGNAL ? 1 + action_strength(route->action) : 1;
    if (dedup_repeats(gate, decision, strength)) {
        gate->counts.deduplicated++;
        of_route->deduplicated++;
        return;
    }
    if (route->mode == MODE_SHADOW) {
        ++*(verdict == VERDICT_SIGNAL ? &gate->counts.shadow_signals : &gate->counts.shadow_alerts);
        of_route->shadow++;
        return;
    }
    if (verdict == VERDICT_SIGNAL) {
        gate->counts.signals++;
        of_route->signals++;
        signal_begin(gate, decision);
        return;
    }
    gate->counts.alerts++;
    of_route->alerts++;
    emit_alert(gate, decision, why, STR("alert"), NULL);
}
