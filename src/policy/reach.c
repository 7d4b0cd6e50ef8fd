// reach: what can never happen: conditions that never change, thresholds that no evidence reaches, outputs that nobody
// takes. All of it are warnings, and only what is certain is told: what an event may hold is not known here.
#include "compile.h"

#include <math.h>
#include <stdlib.h>

#define ACCEPT_TRIALS_MAX 500000 // routes times consumers; beyond, nothing more is told
#define ACCEPT_FUEL 1000         // of each; one that needs more might accept
#define CLOSE 1e-9

// ---- conditions that never change -----------------------------------------------------------

static bool is_always(const struct expr *expr, bool *result) {
    struct value value;
    if (!expr || !expr_is_constant(expr, &value) || value.type != VALUE_BOOL)
        return false;
    *result = value.boolean;
    return true;
}

static void check_condition(struct compile *c, const struct route_draft *draft, const struct expr *expr,
                            const struct doc_node *place, const char *never) {
    bool result;
    if (!is_always(expr, &result))
        return;
    if (result)
        report_warning(c, place_of(draft->file, place), "this condition is always true; leave it out if that is meant");
    else
        report_warning(c, place_of(draft->file, place), "this condition is never true, so %s", never);
}

static void check_conditions(struct compile *c, const struct route_draft *draft) {
    const struct route *route = &draft->route;
    const struct doc_node *evidence = doc_get(draft->document, "evidence");
    const struct doc_node *adjust = doc_get(doc_get(draft->document, "thresholds"), "adjust");
    check_condition(c, draft, route->when, doc_get(draft->document, "when"), "the route does nothing");
    for (size_t i = 0; i < route->n_evidence; i++)
        check_condition(c, draft, route->evidence[i].when, doc_get(&evidence->items[i], "when"),
                        "this evidence never counts");
    for (size_t i = 0; i < route->n_adjust; i++)
        check_condition(c, draft, route->adjust[i].when, doc_get(&adjust->items[i], "when"),
                        "this adjustment never applies");
}

// ---- thresholds ---------------------------------------------------------------------------------

// The highest confidence that all evidence together gives; false: weights are not all constants.
static bool highest_confidence(const struct route *route, double *highest, unsigned *boundaries) {
    double doubt = 1;
    *boundaries = 0;
    for (size_t i = 0; i < route->n_evidence; i++) {
        struct value weight;
        bool holds = true;
        if (is_always(route->evidence[i].when, &holds) && !holds)
            continue;
        if (!expr_is_constant(route->evidence[i].weight, &weight))
            return false;
        doubt *= 1 - (weight.type == VALUE_DOUBLE ? weight.real
                      : weight.type == VALUE_INT  ? (double)weight.int64
                                                  : (double)weight.uint64);
        *boundaries |= route->evidence[i].boundary;
    }
    *highest = 1 - doubt;
    return true;
}

static void check_thresholds(struct compile *c, const struct route_draft *draft) {
    const struct route *route = &draft->route;
    double highest, alert = route->threshold_alert, signal = route->threshold_signal;
    unsigned boundaries;
    if (route->n_evidence == 0 || !highest_confidence(route, &highest, &boundaries))
        return;
    for (size_t i = 0; i < route->n_adjust; i++) {
        alert += fmin(0, route->adjust[i].alert);
        signal += fmin(0, route->adjust[i].signal);
    }
    struct place place = place_of(draft->file, doc_get(draft->document, "evidence"));
    bool signals = route->has_signal && highest + CLOSE >= signal;
    if (highest + CLOSE < alert && !signals && !(boundaries & route->escalate_on))
        report_warning(c, place,
                       "all evidence together gives %.3g, below the alert threshold %.3g, so the route does nothing; "
                       "raise weights or lower thresholds.alert",
                       highest, alert);
    else if (route->has_signal && !signals)
        report_warning(c, place,
                       "all evidence together gives %.3g, below the signal threshold %.3g, so the route never signals; "
                       "raise weights or lower thresholds.signal",
                       highest, signal);
}

// ---- who takes what -------------------------------------------------------------------------------

struct trial {
    struct compile *c;
    struct arena *scratch;
    bool *knows_all; // by consumer: `accepts` reads nothing but what is known here
    bool *is_open;   // by consumer: an unknown value might turn the answer
    size_t left;
};

static bool is_known_slot(int slot) {
    return slot == ACCEPT_KIND || slot == ACCEPT_ACTION || slot == ACCEPT_ROUTE;
}

static bool contains(struct str text, const char *what) {
    return memmem(text.ptr, text.len, what, strlen(what)) != NULL;
}

// What is absent here stays absent through every operator but those that ask whether it is there.
static bool asks_presence(const struct expr *expr) {
    struct str text = expr_source(expr);
    return contains(text, "has(") || contains(text, ".?") || contains(text, "[?") || contains(text, "optional") ||
           contains(text, "orValue");
}

static void prepare(struct trial *trial) {
    struct compile *c = trial->c;
    for (size_t i = 0; i < c->n_consumers; i++) {
        const struct expr *expr = c->consumers[i].consumer.accepts;
        int slots[ACCEPT_SLOT_COUNT];
        size_t n = expr_slots(expr, slots, COUNT_OF(slots));
        trial->knows_all[i] = n <= COUNT_OF(slots);
        for (size_t s = 0; s < n && trial->knows_all[i]; s++)
            trial->knows_all[i] = is_known_slot(slots[s]);
        trial->is_open[i] = !trial->knows_all[i] && asks_presence(expr);
    }
}

static bool may_accept(struct trial *trial, size_t consumer, const struct route *route, bool signal) {
    struct value slots[ACCEPT_SLOT_COUNT], severity;
    if (trial->left == 0 || trial->is_open[consumer])
        return true;
    trial->left--;
    for (size_t i = 0; i < COUNT_OF(slots); i++)
        slots[i] = value_absent();
    slots[ACCEPT_KIND] = value_string(signal ? STR("signal") : STR("alert"));
    slots[ACCEPT_ROUTE] = value_string(route->name);
    if (signal) {
        slots[ACCEPT_ACTION] = value_string(route->action);
        if (route->signal_type.len > 0)
            slots[ACCEPT_TYPE] = value_string(route->signal_type);
    }
    if (expr_is_constant(route->severity, &severity) && severity.type == VALUE_STRING)
        slots[ACCEPT_SEVERITY] = severity;
    const struct expr *accepts = trial->c->consumers[consumer].consumer.accepts;
    struct value answer = expr_eval(accepts, slots, trial->scratch, ACCEPT_FUEL);
    arena_reset(trial->scratch);
    if (answer.type == VALUE_ABSENT)
        return !trial->knows_all[consumer];
    return answer.type != VALUE_BOOL || answer.boolean;
}

static bool anyone_accepts(struct trial *trial, const struct route *route, bool signal) {
    for (size_t i = 0; i < trial->c->n_consumers; i++)
        if (may_accept(trial, i, route, signal))
            return true;
    return false;
}

static void check_outputs(struct trial *trial) {
    struct compile *c = trial->c;
    for (size_t i = 0; i < c->n_routes; i++) {
        const struct route_draft *draft = &c->routes[i];
        const struct route *route = &draft->route;
        if (route->has_signal && !anyone_accepts(trial, route, true))
            report_warning(
                c, place_of(draft->file, doc_get(draft->document, "signal")),
                "no consumer accepts these signals (action '%.*s'), so they become alerts; widen the 'accepts' of one",
                STR_ARG(route->action));
        if (!anyone_accepts(trial, route, false))
            report_warning(c, draft->place, "no consumer accepts the alerts of this route; widen the 'accepts' of one");
    }
}

static void check_consumers(struct trial *trial) {
    struct compile *c = trial->c;
    for (size_t i = 0; i < c->n_consumers; i++) {
        const struct consumer_draft *draft = &c->consumers[i];
        bool reached = false;
        for (size_t r = 0; r < c->n_routes && !reached; r++)
            reached = may_accept(trial, i, &c->routes[r].route, false) ||
                      (c->routes[r].route.has_signal && may_accept(trial, i, &c->routes[r].route, true));
        if (!reached)
            report_warning(c, place_of(draft->file, doc_get(draft->node, "accepts")),
                           "nothing that any route gives can reach the consumer '%.*s'", STR_ARG(draft->consumer.name));
    }
}

static void check_acceptance(struct compile *c) {
    struct trial trial = {.c = c, .scratch = arena_new(1u << 20), .left = ACCEPT_TRIALS_MAX};
    trial.knows_all = must_alloc(c->n_consumers * sizeof(bool) + 1);
    trial.is_open = must_alloc(c->n_consumers * sizeof(bool) + 1);
    prepare(&trial);
    check_outputs(&trial);
    check_consumers(&trial);
    free(trial.knows_all);
    free(trial.is_open);
    arena_free(trial.scratch);
}

void check_reach(struct compile *c) {
    for (size_t i = 0; i < c->n_routes; i++) {
        if (c->routes[i].broken)
            continue;
        check_conditions(c, &c->routes[i]);
        check_thresholds(c, &c->routes[i]);
    }
    // What was not understood might accept or give anything.
    if (c->findings->n_errors == 0 && c->n_routes > 0 && c->n_consumers > 0)
        check_acceptance(c);
}
