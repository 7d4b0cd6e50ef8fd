// route: `route` and the keys beside it: a named policy from events to alerts and signals.
#include <stdio.h>

#include "compile.h"

#include <stdlib.h>

#define DEDUP_WITHIN_DEFAULT_MS (15 * 60 * 1000)

const struct word boundary_words[] = {
    {"privilege", BOUNDARY_PRIVILEGE}, {"data", BOUNDARY_DATA}, {"trust", BOUNDARY_TRUST}, {NULL, 0}};
static const struct word mode_words[] = {
    {"shadow", MODE_SHADOW}, {"alert", MODE_ALERT}, {"enforce", MODE_ENFORCE}, {NULL, 0}};
const struct word severity_words[] = {{"info", 0}, {"low", 1}, {"medium", 2}, {"high", 3}, {"critical", 4}, {NULL, 0}};

// ---- evidence and confidence ------------------------------------------------------------------

static void check_weight(struct compile *c, const struct doc_node *node, const struct expr *weight) {
    struct value value;
    if (!weight || !expr_is_constant(weight, &value))
        return;
    double number = value.type == VALUE_DOUBLE ? value.real
                    : value.type == VALUE_INT  ? (double)value.int64
                                               : (double)value.uint64;
    if (!(number >= 0 && number <= 1))
        report_error(c, place_of(c->file, doc_get(node, "weight")), "'weight' must be from 0 to 1");
}

static void end_evidence(struct compile *c, const struct doc_node *node, void *target) {
    check_weight(c, node, ((const struct evidence *)target)->weight);
    check_memory(c, node);
}

static const struct key evidence_keys[] = {
    {.name = "name",
     .kind = KEY_NAME,
     .required = true,
     .at = offsetof(struct evidence, name),
     .text = "what outputs call it"},
    {.name = "when",
     .kind = KEY_EXPR,
     .at = offsetof(struct evidence, when),
     .wanted = VALUE_BOOL,
     .text = "the condition; left out: always; with a memory: which events it counts or compares"},
    {.name = "weight",
     .kind = KEY_EXPR,
     .required = true,
     .at = offsetof(struct evidence, weight),
     .wanted = VALUE_DOUBLE,
     .text = "how much it says, from 0 to 1: a number or an expression"},
    {.name = "boundary",
     .kind = KEY_WORD,
     .at = offsetof(struct evidence, boundary),
     .words = boundary_words,
     .text = "what line was crossed, if one was"},
    {.name = "count",
     .kind = KEY_OBJECT,
     .object = &count_object,
     .text = "fires at the at_least-th such event within the time, and at each one more"},
    {.name = "distinct",
     .kind = KEY_OBJECT,
     .object = &distinct_object,
     .text = "fires when such events brought at_least different values within the time"},
    {.name = "first_seen",
     .kind = KEY_OBJECT,
     .object = &first_seen_object,
     .text = "fires when a value was not seen while it would have been remembered"},
    {.name = "after",
     .kind = KEY_OBJECT,
     .object = &after_object,
     .text = "fires when another piece of evidence fired before for the same subject"},
    {.name = "absent", .kind = KEY_LATER, .text = "not available in this version"},
};
static const struct object evidence_object = {.name = "evidence",
                                              .example = "{name: outside, when: '…', weight: 0.6}",
                                              KEYS(evidence_keys),
                                              .bytes = sizeof(struct evidence),
                                              .end = end_evidence};

static const struct key confidence_keys[] = {
    {.name = "within",
     .kind = KEY_DURATION,
     .required = true,
     .at = offsetof(struct route, confidence_within_ms),
     .text = "how long evidence for one subject adds up"},
    {.name = "half_life",
     .kind = KEY_DURATION,
     .at = offsetof(struct route, confidence_half_life_ms),
     .text = "after this time evidence counts half; left out: in full until `within` has passed"},
};
static const struct object confidence_object = {.name = "confidence",
                                                .example = "{within: 10m, half_life: 5m}",
                                                KEYS(confidence_keys),
                                                .bytes = sizeof(struct route)};

// ---- thresholds -------------------------------------------------------------------------------

static void end_adjustment(struct compile *c, const struct doc_node *node, void *target) {
    (void)target;
    if (!doc_get(node, "alert") && !doc_get(node, "signal"))
        report_error(c, place_of(c->file, node),
                     "an adjustment changes 'alert', 'signal' or both: {when: …, signal: -0.15}");
}

static const struct key adjustment_keys[] = {
    {.name = "when",
     .kind = KEY_EXPR,
     .required = true,
     .at = offsetof(struct adjustment, when),
     .wanted = VALUE_BOOL,
     .text = "the condition"},
    {.name = "alert",
     .kind = KEY_SHIFT,
     .at = offsetof(struct adjustment, alert),
     .text = "added to the alert threshold"},
    {.name = "signal",
     .kind = KEY_SHIFT,
     .at = offsetof(struct adjustment, signal),
     .text = "added to the signal threshold"},
};
static const struct object adjustment_object = {.name = "adjust",
                                                .example = "{when: identity.privilege >= 2, signal: -0.15}",
                                                KEYS(adjustment_keys),
                                                .bytes = sizeof(struct adjustment),
                                                .end = end_adjustment};

static const struct key threshold_keys[] = {
    {.name = "alert",
     .kind = KEY_RATIO,
     .at = offsetof(struct route, threshold_alert),
     .text = "confidence from which on there is an alert (0.5)"},
    {.name = "signal",
     .kind = KEY_RATIO,
     .at = offsetof(struct route, threshold_signal),
     .text = "confidence from which on there is a signal (0.9)"},
    {.name = "adjust",
     .kind = KEY_OBJECTS,
     .at = offsetof(struct route, adjust),
     .count_at = offsetof(struct route, n_adjust),
     .object = &adjustment_object,
     .most = 64,
     .text = "tolerance follows the identity: all that apply are added"},
    {.name = "escalate_on",
     .kind = KEY_WORDS,
     .at = offsetof(struct route, escalate_on),
     .words = boundary_words,
     .text = "a crossed boundary makes at least an alert, whatever the confidence"},
};
static const struct object thresholds_object = {
    .name = "thresholds", .example = "{alert: 0.5, signal: 0.9}", KEYS(threshold_keys), .bytes = sizeof(struct route)};

// ---- dedup ------------------------------------------------------------------------------------

static void end_dedup(struct compile *c, const struct doc_node *node, void *target) {
    const struct route *route = target;
    if (route->dedup_within_ms == 0)
        report_error(c, place_of(c->file, doc_get(node, "within")),
                     "'within' must be longer than nothing; 'dedup: none' turns it off");
    if (route->n_dedup_key == 0)
        report_error(c, place_of(c->file, doc_get(node, "key")),
                     "'key' is empty, so that all events would be the same; name what tells them apart");
}

static const struct key dedup_keys[] = {
    {.name = "key",
     .kind = KEY_EXPRS,
     .at = offsetof(struct route, dedup_key),
     .count_at = offsetof(struct route, n_dedup_key),
     .wanted = VALUE_ANY,
     .most = 16,
     .text = "what makes two events the same ([event.subject.id])"},
    {.name = "within",
     .kind = KEY_DURATION,
     .at = offsetof(struct route, dedup_within_ms),
     .text = "how long a repeat is counted into the first (15m)"},
};
const struct object dedup_object = {.name = "dedup",
                                    .example = "{key: [event.subject.id], within: 15m}",
                                    KEYS(dedup_keys),
                                    .bytes = sizeof(struct route),
                                    .end = end_dedup};

static void read_dedup(struct compile *c, const struct doc_node *node, void *target) {
    struct route *route = target;
    bool off;
    if ((node->kind == DOC_SCALAR && str_eq(node->text, STR("none"))) || (doc_bool(node, &off) && !off)) {
        route->n_dedup_key = 0;
        route->dedup_within_ms = 0;
        return;
    }
    if (node->kind == DOC_MAPPING)
        read_object(c, &dedup_object, node, route);
    else
        report_error(c, place_of(c->file, node), "'dedup' must be none or a mapping like %s", dedup_object.example);
}

static void dedup_schema(struct buf *out) {
    buf_str(out, STR("\"anyOf\":[{\"enum\":[\"none\",false]},{\"$ref\":\"#/$defs/dedup\"}]"));
}

// ---- signal -----------------------------------------------------------------------------------

// CAEP 1.0, RISC 1.0, WISE draft 03.
static const char *const signal_types[] = {"session-revoked",
                                           "token-claims-change",
                                           "credential-change",
                                           "assurance-level-change",
                                           "device-compliance-change",
                                           "session-established",
                                           "session-presented",
                                           "risk-level-change",
                                           "account-credential-change-required",
                                           "account-purged",
                                           "account-enabled",
                                           "account-disabled",
                                           "identifier-changed",
                                           "identifier-recycled",
                                           "credential-compromise",
                                           "opt-in",
                                           "opt-out-initiated",
                                           "opt-out-cancelled",
                                           "opt-out-effective",
                                           "recovery-activated",
                                           "recovery-information-changed",
                                           "sessions-revoked",
                                           "credential-issued",
                                           "credential-rotated",
                                           "credential-revoked",
                                           "credential-renewal-failure",
                                           "workload-disabled",
                                           "workload-enabled",
                                           "workload-purged",
                                           "workload-compromised",
                                           "anomalous-behavior-detected",
                                           "trust-anchor-added",
                                           "trust-anchor-rotated",
                                           "trust-anchor-revoked",
                                           "trust-domain-federation-established",
                                           "trust-domain-federation-updated",
                                           "trust-domain-federation-revoked",
                                           "issuance-policy-changed",
                                           "posture-evaluation-policy-changed",
                                           "validation-policy-changed",
                                           "posture-evaluation-failed",
                                           "posture-evaluation-succeeded"};
static const char *const known_actions[] = {"notify", "step_up", "restrict", "isolate", "disable", "revoke"};

static bool is_among(struct str text, const char *const *words, size_t n, struct str *views) {
    bool found = false;
    for (size_t i = 0; i < n; i++) {
        views[i] = str_of(words[i]);
        found = found || str_eq(text, views[i]);
    }
    return found;
}

static void check_signal_type(struct compile *c, const struct doc_node *node, struct str type) {
    struct str views[COUNT_OF(signal_types)];
    char hint[160];
    if (type.len == 0 || memchr(type.ptr, ':', type.len) || is_among(type, signal_types, COUNT_OF(signal_types), views))
        return;
    report_error(c, place_of(c->file, doc_get(node, "type")),
                 "'%.*s' is neither an event type of CAEP, RISC or WISE nor a URI%s", STR_ARG(type),
                 did_you_mean(type, views, COUNT_OF(views), hint));
}

static void check_action(struct compile *c, const struct doc_node *node, struct str action) {
    struct str views[COUNT_OF(known_actions)];
    char hint[160];
    if (action.len == 0 || is_among(action, known_actions, COUNT_OF(known_actions), views))
        return;
    if (did_you_mean(action, views, COUNT_OF(views), hint)[0])
        report_warning(c, place_of(c->file, doc_get(node, "action")),
                       "'%.*s' is an action of your own, as strong as 'restrict'%s", STR_ARG(action), hint);
}

static void end_signal(struct compile *c, const struct doc_node *node, void *target) {
    struct route *route = target;
    route->has_signal = true;
    check_signal_type(c, node, route->signal_type);
    check_action(c, node, route->action);
}

static const struct key signal_keys[] = {
    {.name = "type",
     .kind = KEY_TEXT,
     .at = offsetof(struct route, signal_type),
     .text = "short name of a CAEP, RISC or WISE event type, or any URI"},
    {.name = "action",
     .kind = KEY_NAME,
     .required = true,
     .at = offsetof(struct route, action),
     .text = "what is to be done: notify, step_up, restrict, isolate, disable, revoke, or a word of your own"},
    {.name = "reason",
     .kind = KEY_TEMPLATE,
     .at = offsetof(struct route, reason),
     .text = "why, for the consumer; {{expressions}} are filled in"},
    {.name = "plan", .kind = KEY_LATER, .text = "not available in this version"},
    {.name = "rollback", .kind = KEY_LATER, .text = "not available in this version"},
};
static const struct object signal_object = {.name = "signal",
                                            .example = "{type: session-revoked, action: revoke}",
                                            KEYS(signal_keys),
                                            .bytes = sizeof(struct route),
                                            .end = end_signal};

// ---- alert ------------------------------------------------------------------------------------

// A bare word of the five is that severity; anything else is an expression.
static void read_severity(struct compile *c, const struct doc_node *node, void *target) {
    struct route *route = target;
    struct str words[8];
    size_t n = 0;
    for (const struct word *word = severity_words; word->name; word++) {
        words[n++] = str_of(word->name);
        if (node->kind == DOC_SCALAR && str_eq(node->text, str_of(word->name))) {
            char source[16];
            snprintf(source, sizeof source, "\"%s\"", word->name);
            route->severity = compile_text(c, source);
            return;
        }
    }
    char hint[160] = "";
    if (node->kind == DOC_SCALAR && did_you_mean(node->text, words, n, hint)[0])
        report_error(c, place_of(c->file, node),
                     "'severity' must be info, low, medium, high, critical or an expression%s", hint);
    else
        route->severity = compile_condition(c, node, VALUE_STRING);
}

static void severity_schema(struct buf *out) {
    buf_str(out,
            STR("\"anyOf\":[{\"enum\":[\"info\",\"low\",\"medium\",\"high\",\"critical\"]},{\"type\":\"string\"}]"));
}

static const struct key alert_keys[] = {
    {.name = "severity",
     .kind = KEY_OTHER,
     .read = read_severity,
     .schema = severity_schema,
     .text = "info, low, medium (default), high, critical, or an expression that gives one of them"},
    {.name = "title",
     .kind = KEY_TEMPLATE,
     .at = offsetof(struct route, title),
     .text = "one line for people; {{expressions}} are filled in; left out: the route's name"},
    {.name = "owner",
     .kind = KEY_TEXT,
     .at = offsetof(struct route, owner),
     .text = "who gets it when the inventory names no owner"},
    {.name = "acknowledge_within",
     .kind = KEY_DURATION,
     .at = offsetof(struct route, acknowledge_within_ms),
     .text = "deadline for somebody to take it up"},
    {.name = "resolve_within",
     .kind = KEY_DURATION,
     .at = offsetof(struct route, resolve_within_ms),
     .text = "deadline for it to be closed"},
    {.name = "escalate_to",
     .kind = KEY_TEXTS,
     .at = offsetof(struct route, escalate_to),
     .count_at = offsetof(struct route, n_escalate_to),
     .most = 16,
     .text = "who is told when a deadline passes, one after another"},
    {.name = "runbook", .kind = KEY_TEXT, .at = offsetof(struct route, runbook), .text = "where it says what to do"},
};
static const struct object alert_object = {.name = "alert",
                                           .example = "{severity: high, title: '…', owner: soc}",
                                           KEYS(alert_keys),
                                           .bytes = sizeof(struct route)};

// ---- the route --------------------------------------------------------------------------------

static void begin_route(void *target) {
    struct route *route = &((struct route_draft *)target)->route;
    route->version = 1;
    route->threshold_alert = 0.5;
    route->threshold_signal = 0.9;
    route->dedup_within_ms = DEDUP_WITHIN_DEFAULT_MS;
    route->n_dedup_key = SIZE_MAX; // not said
}

static void check_evidence_names(struct compile *c, const struct route *route, const struct doc_node *node) {
    const struct doc_node *list = doc_get(node, "evidence");
    for (size_t i = 0; i < route->n_evidence; i++)
        for (size_t j = 0; j < i; j++)
            if (str_eq(route->evidence[i].name, route->evidence[j].name))
                report_error(c, place_of(c->file, list),
                             "two pieces of evidence are called '%.*s'; each name counts once, rename one of them",
                             STR_ARG(route->evidence[i].name));
}

// What was left out.
static void end_route(struct compile *c, const struct doc_node *node, void *target) {
    struct route *route = &((struct route_draft *)target)->route;
    check_evidence_names(c, route, node);
    if (route->n_dedup_key == SIZE_MAX) {
        route->dedup_key = policy_alloc(c, sizeof(struct expr *));
        route->dedup_key[0] = compile_text(c, "event.subject.id");
        route->n_dedup_key = 1;
    }
    if (!route->severity)
        route->severity = compile_text(c, "\"medium\"");
    if (route->title.n == 0) {
        route->title.parts = policy_alloc(c, sizeof *route->title.parts);
        route->title.parts[0].literal = route->name;
        route->title.n = 1;
    }
}

#define IN_ROUTE(member) offsetof(struct route_draft, route.member)
static const struct key route_keys[] = {
    {.name = "route", .kind = KEY_NAME, .required = true, .at = IN_ROUTE(name), .text = "unique name of the route"},
    {.name = "version", .kind = KEY_COUNT, .at = IN_ROUTE(version), .text = "yours to count up; outputs carry it (1)"},
    {.name = "mode",
     .kind = KEY_WORD,
     .at = IN_ROUTE(mode),
     .words = mode_words,
     .text = "shadow: decide and count, send nothing (the default, because it is safe); alert: signals become alerts; "
             "enforce"},
    {.name = "from",
     .kind = KEY_TEXTS,
     .at = offsetof(struct route_draft, from.items),
     .count_at = offsetof(struct route_draft, from.n),
     .text = "sources; left out: all"},
    {.name = "when",
     .kind = KEY_EXPR,
     .at = IN_ROUTE(when),
     .wanted = VALUE_BOOL,
     .text = "which events concern it; left out: all of its sources"},
    {.name = "evidence",
     .kind = KEY_OBJECTS,
     .at = IN_ROUTE(evidence),
     .count_at = IN_ROUTE(n_evidence),
     .object = &evidence_object,
     .most = EVIDENCE_MAX,
     .text = "conditions with weights that add up to a confidence; left out: the condition itself, confidence 1"},
    {.name = "confidence",
     .kind = KEY_OBJECT,
     .at = offsetof(struct route_draft, route),
     .object = &confidence_object,
     .text = "evidence adds up over this time; left out: over one event"},
    {.name = "thresholds",
     .kind = KEY_OBJECT,
     .at = offsetof(struct route_draft, route),
     .object = &thresholds_object,
     .text = "confidence from which on there is an alert or a signal"},
    {.name = "dedup",
     .kind = KEY_OTHER,
     .read = read_dedup,
     .schema = dedup_schema,
     .text = "a repeat is counted into the first; none turns it off"},
    {.name = "signal",
     .kind = KEY_OBJECT,
     .at = offsetof(struct route_draft, route),
     .object = &signal_object,
     .text = "what machines are told"},
    {.name = "allow_unowned",
     .kind = KEY_BOOL,
     .at = IN_ROUTE(allow_unowned),
     .text = "true: signals also for identities without an owner"},
    {.name = "alert",
     .kind = KEY_OBJECT,
     .at = offsetof(struct route_draft, route),
     .object = &alert_object,
     .text = "what people are told"},
    {.name = "tests",
     .kind = KEY_OTHER,
     .read = read_tests,
     .schema = tests_schema,
     .text = "events and what must come of them; `penstock test` runs them"},
};
const struct object route_object = {.name = "route",
                                    .example = "{route: name, when: '…'}",
                                    KEYS(route_keys),
                                    .bytes = sizeof(struct route_draft),
                                    .begin = begin_route,
                                    .end = end_route};

void read_route(struct compile *c, const struct doc_node *document) {
    struct route_draft draft = {.document = document,
                                .file = c->file,
                                .place = place_of(c->file, doc_get(document, "route")),
                                .first_test = c->n_tests};
    size_t other;
    if (c->n_routes == POLICY_MAX_ROUTES) {
        report_error(c, draft.place, "over %d routes", POLICY_MAX_ROUTES);
        return;
    }
    c->scope = SCOPE_ROUTE;
    c->slots = &draft.slots;
    draft.broken = !read_members(c, &route_object, document, &draft);
    c->slots = NULL;
    draft.route.file = policy_str(c, c->file->text.path);
    draft.route.line = draft.place.line;
    draft.n_tests = c->n_tests - draft.first_test;
    for (size_t i = draft.first_test; i < c->n_tests; i++)
        c->tests[i].route = draft.route.name;
    c->routes = grow_list(c->routes, c->n_routes, &c->cap_routes, sizeof *c->routes);
    c->routes[c->n_routes] = draft;
    if (draft.route.name.len > 0 && !names_add(&c->route_names, draft.route.name, c->n_routes, &other))
        report_error(c, draft.place, "route '%.*s' stands already at %.*s:%u; rename one of them",
                     STR_ARG(draft.route.name), STR_ARG(c->routes[other].file->text.path), c->routes[other].place.line);
    c->n_routes++;
}
