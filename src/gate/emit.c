// emit: outputs: to whom they go, what they say, their place in each stream.
//
// Everything an output says comes from the candidate, the route and the decision; its
// time is the log's, its id a hash of where its cause stood. So the same record gives
// the same bytes whenever it is read.
#include "gate_internal.h"

static struct str text_of(const struct value *v) {
    return v->type == VALUE_STRING ? v->string : (struct str){NULL, 0};
}

// ---- owners -----------------------------------------------------------------------------

// Who answers for the identity itself: of a shared credential its steward.
static struct str identity_owner(const struct decision *decision) {
    const struct value *identity = decision->candidate->identity;
    struct str steward = text_of(&identity[IDENTITY_STEWARD]);
    const struct value *shared = &identity[IDENTITY_SHARED];
    if (shared->type == VALUE_BOOL && shared->boolean && steward.len)
        return steward;
    return text_of(&identity[IDENTITY_OWNER]);
}

bool is_owned(const struct decision *decision) {
    return identity_owner(decision).len > 0;
}

struct owner find_owner(const struct gate *gate, const struct decision *decision) {
    struct str owner = identity_owner(decision);
    if (!owner.len)
        owner = decision->route->owner;
    if (owner.len)
        return (struct owner){.name = owner};
    return (struct owner){.name = gate->policy->default_owner, .is_default = true};
}

// ---- who takes it -------------------------------------------------------------------------

static void fill_slots(struct gate *gate, const struct decision *decision) {
    const struct candidate *candidate = decision->candidate;
    struct value *slots = gate->slots;
    memcpy(slots + SLOT_EVENT, candidate->event, sizeof candidate->event);
    memcpy(slots + SLOT_IDENTITY, candidate->identity, sizeof candidate->identity);
    slots[SLOT_SOURCE] = value_string(candidate->at.source);
    slots[SLOT_SUBJECT_KIND] = candidate->event[EVENT_SUBJECT_KIND];
    if (slots[SLOT_SUBJECT_KIND].type == VALUE_ABSENT)
        slots[SLOT_SUBJECT_KIND] = candidate->identity[IDENTITY_KIND];
    slots[ACCEPT_ROUTE] = value_string(decision->route->name);
    slots[ACCEPT_SEVERITY] = value_string(decision->hit.severity);
    slots[ACCEPT_CONFIDENCE] = value_double(decision->confidence);
    slots[ACCEPT_TENANT] = candidate->event[EVENT_TENANT];
    slots[ACCEPT_OWNER] = value_string(find_owner(gate, decision).name);
}

static void fill_signal_slots(struct gate *gate, const struct decision *decision) {
    fill_slots(gate, decision);
    gate->slots[ACCEPT_KIND] = value_string(STR("signal"));
    gate->slots[ACCEPT_ACTION] = value_string(decision->route->action);
    gate->slots[ACCEPT_TYPE] = value_string(decision->route->signal_type);
    gate->slots[ACCEPT_WHY] = value_absent();
}

static void fill_alert_slots(struct gate *gate, const struct decision *decision, struct str why) {
    fill_slots(gate, decision);
    gate->slots[ACCEPT_KIND] = value_string(STR("alert"));
    gate->slots[ACCEPT_ACTION] = value_absent();
    gate->slots[ACCEPT_TYPE] = value_absent();
    gate->slots[ACCEPT_WHY] = why.len ? value_string(why) : value_absent();
}

static bool accepts(struct gate *gate, size_t consumer) {
    const struct expr *condition = gate->policy->consumers[consumer].accepts;
    if (!condition) // no condition: everything
        return true;
    arena_reset(gate->scratch);
    return expr_holds(condition, gate->slots, gate->scratch) == EXPR_TRUE;
}

size_t find_consumers(struct gate *gate, const struct decision *decision, uint16_t out[POLICY_MAX_CONSUMERS]) {
    size_t n = 0;
    fill_signal_slots(gate, decision);
    for (size_t i = 0; i < gate->policy->n_consumers; i++)
        if (accepts(gate, i))
            out[n++] = (uint16_t)i;
    return n;
}

bool consumer_accepts(struct gate *gate, const struct decision *decision, uint16_t consumer) {
    fill_signal_slots(gate, decision);
    return accepts(gate, consumer);
}

// ---- what it says -------------------------------------------------------------------------

static struct output output_of(const struct gate *gate, const struct decision *decision, const struct guard *guard) {
    const struct route *route = decision->route;
    struct str runbook = text_of(&decision->candidate->identity[IDENTITY_RUNBOOK]);
    return (struct output){
        .txn = cause_id(&decision->candidate->at),
        .time_ms = gate->now_ms,
        .route = route->name,
        .route_version = route->version,
        .candidate = decision->candidate,
        .confidence = decision->confidence,
        .evidence = decision->evidence,
        .n_evidence = decision->n_evidence,
        .boundaries = decision->boundaries,
        .duplicates = decision->duplicates,
        .reason = decision->hit.reason,
        .guard = guard,
        .severity = decision->hit.severity,
        .title = decision->hit.title,
        .owner = find_owner(gate, decision).name,
        .runbook = runbook.len ? runbook : route->runbook,
    };
}

static void send(struct gate *gate, struct output *output, uint16_t consumer, int64_t received_ms) {
    struct emission emission = {
        .output = output,
        .seq = ++gate->streams[gate->stream_of[consumer]].seq,
        .consumer = &gate->policy->consumers[consumer],
        .received_ms = received_ms,
    };
    gate->emit(gate->emit_ctx, &emission);
}

void emit_signal(struct gate *gate, const struct decision *decision, uint16_t consumer, const struct guard *guard) {
    struct output output = output_of(gate, decision, guard);
    output.kind = OUTPUT_IS_SIGNAL;
    output.consumer = gate->policy->consumers[consumer].name;
    output.id = output_id(&decision->candidate->at, output.route, STR("signal"), output.consumer);
    output.type = decision->route->signal_type;
    output.action = decision->route->action;
    gate->counts.sent_units++;
    send(gate, &output, consumer, decision->candidate->received_ms);
}

void emit_alert(struct gate *gate, const struct decision *decision, struct str why, struct str what,
                const struct guard *guard) {
    const struct route *route = decision->route;
    struct output output = output_of(gate, decision, guard);
    output.kind = OUTPUT_IS_ALERT;
    output.why = why;
    output.acknowledge_by_ms = route->acknowledge_within_ms > 0 ? gate->now_ms + route->acknowledge_within_ms : 0;
    output.resolve_by_ms = route->resolve_within_ms > 0 ? gate->now_ms + route->resolve_within_ms : 0;
    output.escalate_to = route->escalate_to;
    output.n_escalate_to = route->n_escalate_to;
    if (find_owner(gate, decision).is_default)
        gate->counts.unowned++;
    fill_alert_slots(gate, decision, why);
    bool heard = false;
    for (size_t i = 0; i < gate->policy->n_consumers; i++) {
        if (!accepts(gate, i))
            continue;
        heard = true;
        output.consumer = gate->policy->consumers[i].name;
        output.id = output_id(&decision->candidate->at, output.route, what, output.consumer);
        send(gate, &output, (uint16_t)i, decision->candidate->received_ms);
    }
    if (!heard)
        gate->counts.unheard++;
}

void emit_dead_letter(struct gate *gate, const struct dead_letter *letter) {
    struct output output = {
        .kind = OUTPUT_IS_DEAD_LETTER,
        .id = dead_letter_id(&letter->at, letter->reason),
        .txn = cause_id(&letter->at),
        .time_ms = gate->now_ms,
        .dead_letter = letter,
    };
    struct emission emission = {.output = &output, .seq = ++gate->streams[0].seq, .received_ms = letter->received_ms};
    gate->emit(gate->emit_ctx, &emission);
}
