// signal: the way of a signal: limits of all, then of each consumer; out, or held.
//
// First the whole signal passes the limits that are no consumer's own, all of them or
// none; then it is divided, and each consumer's unit passes that consumer's limits.
// What a limit refuses waits in its bucket's queue and is looked at again when a token
// returns; what cannot wait, or has waited too long, becomes an alert. Every unit
// ends sent, or as an alert that says which guard stopped it.
#include "gate_internal.h"

#define WHAT_MAX_BYTES 512

struct ticket {
    struct priority priority;
    int64_t deadline_ms;
    const struct guard *guard; // that held it before; NULL: none did
};

struct guard kill_switch_guard(const struct gate *gate) {
    return (struct guard){
        .name = STR("kill_switch"), .level = STR("global"), .limit = STR("on"), .generation = gate->generation};
}

static struct guard limit_guard(const struct gate *gate, int index) {
    if (index == LIMIT_KILL_SWITCH)
        return kill_switch_guard(gate);
    const struct limit *limit = &gate->policy->limits[index];
    return (struct guard){
        .name = limit->name, .level = limit->level, .limit = limit->text, .generation = gate->generation};
}

static struct str write_number(uint64_t n, char space[24]) {
    char *at = space + 24;
    do
        *--at = (char)('0' + n % 10);
    while (n /= 10);
    return (struct str){at, (size_t)(space + 24 - at)};
}

// The units of one hit that end as alerts are told apart by their consumer.
static void alert_for_unit(struct gate *gate, struct decision *decision, struct str consumer, struct str why,
                           const struct guard *guard) {
    char what[WHAT_MAX_BYTES];
    size_t len = 0;
    if (consumer.len) {
        memcpy(what, why.ptr, why.len);
        what[why.len] = ':';
        len = why.len + 1;
        size_t part = consumer.len < sizeof what - len ? consumer.len : sizeof what - len;
        memcpy(what + len, consumer.ptr, part);
        len += part;
    }
    if (decision->has_dedup)
        decision->duplicates += dedup_take(gate, decision->dedup_key);
    emit_alert(gate, decision, why, consumer.len ? (struct str){what, len} : why, guard);
}

static struct str consumer_name(const struct gate *gate, uint16_t consumer) {
    return consumer == ALL_CONSUMERS ? STR("") : gate->policy->consumers[consumer].name;
}

// Takes a unit out of the hold and makes an alert of it. `decision` has its bytes, so it may go before.
static void end_as_alert(struct gate *gate, uint32_t slot, struct decision *decision, struct str why,
                         const struct guard *guard) {
    struct guard_entry copy;
    struct guard held_by = unit_guard(gate, slot, &copy);
    struct str consumer = consumer_name(gate, gate->held[slot].priority.consumer);
    unit_remove(gate, slot);
    alert_for_unit(gate, decision, consumer, why, guard ? guard : &held_by);
}

static void open_unit(struct gate *gate, uint32_t slot, int copy, struct candidate *candidate,
                      struct decision *decision) {
    must(unit_open(gate, slot, copy, candidate, decision)); // it was read when it came, and when a snapshot was loaded
    decision->route = &gate->policy->routes[decision->route_index];
}

void unit_expire(struct gate *gate, uint32_t slot) {
    struct candidate candidate;
    struct decision decision;
    open_unit(gate, slot, 1, &candidate, &decision);
    gate->counts.expired++;
    end_as_alert(gate, slot, &decision, STR("held_expired"), NULL);
}

static struct guard hold_guard(const struct gate *gate, char space[24]) {
    uint64_t most = gate->policy->hold_max < gate->bounds.held_max ? gate->policy->hold_max : gate->bounds.held_max;
    return (struct guard){
        .name = STR("hold"),
        .level = STR("global"),
        .limit = write_number(most, space),
        .generation = gate->generation,
    };
}

static void unit_overflow(struct gate *gate, uint32_t slot) {
    struct candidate candidate;
    struct decision decision;
    char space[24];
    struct guard guard = hold_guard(gate, space);
    open_unit(gate, slot, 1, &candidate, &decision);
    gate->counts.hold_full++;
    end_as_alert(gate, slot, &decision, STR("hold_full"), &guard);
}

// A unit for which the new policy has no use. `route`: as it is now, or as it was if it is no more.
void unit_withdraw(struct gate *gate, uint32_t slot, const struct route *route, struct str consumer) {
    struct candidate candidate;
    struct decision decision;
    struct guard_entry copy;
    struct guard guard = unit_guard(gate, slot, &copy);
    must(unit_open(gate, slot, 1, &candidate, &decision));
    decision.route = route;
    gate->counts.withdrawn++;
    unit_remove(gate, slot);
    alert_for_unit(gate, &decision, consumer, STR("withdrawn"), &guard);
}

// ---- into the hold ------------------------------------------------------------------------

void queue_arm_for_token(struct gate *gate, uint32_t number, int64_t earliest_ms) {
    const struct queue *queue = &gate->queues[number];
    int64_t at_ms = INT64_MAX;
    if (!gate->policy->kill_switch) {
        at_ms = earliest_ms;
        if (queue->limit < gate->policy->n_limits) {
            int64_t token_ms = bucket_token_ms(gate, &gate->policy->limits[queue->limit], queue->key);
            at_ms = token_ms > earliest_ms ? token_ms : earliest_ms;
        }
    }
    queue_arm(gate, number, at_ms);
}

static void enqueue(struct gate *gate, uint32_t slot, int limit, struct hash128 bucket) {
    bool first = !queue_find(gate, bucket);
    unit_enqueue(gate, slot, (uint16_t)limit, bucket);
    if (first)
        queue_arm_for_token(gate, gate->held[slot].queue, gate->now_ms + 1);
}

static void hold(struct gate *gate, struct decision *decision, const struct ticket *ticket, int limit,
                 struct hash128 bucket) {
    size_t bytes = unit_bytes_needed(decision);
    while (!hold_has_room(gate, bytes)) {
        uint32_t least = gate->least;
        if (!hold_may_have_room(gate, bytes) ||
            !priority_better(gate, &ticket->priority, &gate->held[least].priority)) {
            char space[24];
            struct guard guard = hold_guard(gate, space);
            gate->counts.hold_full++;
            alert_for_unit(gate, decision, consumer_name(gate, ticket->priority.consumer), STR("hold_full"), &guard);
            return;
        }
        unit_overflow(gate, least);
    }
    uint32_t slot = unit_add(gate, decision, &ticket->priority, ticket->deadline_ms);
    struct guard guard = limit_guard(gate, limit);
    unit_set_guard(gate, slot, &guard);
    enqueue(gate, slot, limit, bucket);
    if (decision->has_dedup)
        dedup_keep(gate, decision->dedup_key, ticket->deadline_ms);
    gate->counts.held++;
}

// True: every limit of the stage is charged. False: the unit is held, or has become an alert.
static bool admit(struct gate *gate, struct decision *decision, const struct ticket *ticket) {
    struct hash128 bucket;
    int limit = limits_charge(gate, decision, &ticket->priority, 0, &bucket);
    if (limit == LIMIT_NONE)
        return true;
    if (gate->policy->limits[limit].over == OVER_HOLD) {
        hold(gate, decision, ticket, limit, bucket);
        return false;
    }
    struct guard guard = limit_guard(gate, limit);
    gate->counts.over_alerts++;
    alert_for_unit(gate, decision, consumer_name(gate, ticket->priority.consumer), STR("limited"), &guard);
    return false;
}

static void divide(struct gate *gate, struct decision *decision, const struct ticket *ticket, const uint16_t *consumers,
                   size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct ticket unit = *ticket;
        unit.priority.consumer = consumers[i];
        if (admit(gate, decision, &unit))
            emit_signal(gate, decision, consumers[i], ticket->guard);
    }
}

void signal_begin(struct gate *gate, struct decision *decision) {
    uint16_t consumers[POLICY_MAX_CONSUMERS] = {0};
    size_t n = find_consumers(gate, decision, consumers);
    if (n == 0) {
        gate->counts.signal_units++;
        gate->counts.unrouted++;
        emit_alert(gate, decision, STR("no_consumer"), STR("no_consumer"), NULL);
        return;
    }
    struct ticket ticket = {.deadline_ms = gate->now_ms + gate->policy->hold_ttl_ms};
    ticket.priority = (struct priority){
        .confidence = decision->confidence,
        .id = gate->next_id++,
        .consumer = ALL_CONSUMERS,
        .severity = severity_rank(decision->hit.severity),
    };
    if (gate->policy->kill_switch) {
        gate->counts.signal_units++;
        hold(gate, decision, &ticket, LIMIT_KILL_SWITCH, KILL_SWITCH_BUCKET);
        return;
    }
    bool passed = admit(gate, decision, &ticket);
    gate->counts.signal_units += passed ? n : 1;
    if (passed)
        divide(gate, decision, &ticket, consumers, n);
}

// ---- out of the hold -----------------------------------------------------------------------

// A limit other than the one it waited for refuses. False: it must stay where it is, for the table of buckets is full.
static bool refused_again(struct gate *gate, uint32_t slot, struct decision *decision, int limit,
                          struct hash128 bucket) {
    struct guard guard = limit_guard(gate, limit);
    if (gate->policy->limits[limit].over == OVER_ALERT) {
        gate->counts.over_alerts++;
        end_as_alert(gate, slot, decision, STR("limited"), &guard);
        return true;
    }
    if (hash128_eq(bucket, gate->queues[gate->held[slot].queue].key))
        return false;
    unit_dequeue(gate, slot);
    unit_set_guard(gate, slot, &guard);
    enqueue(gate, slot, limit, bucket);
    return true;
}

static void send_released(struct gate *gate, uint32_t slot, struct decision *decision, const uint16_t *consumers,
                          size_t n) {
    struct guard_entry copy;
    struct guard guard = unit_guard(gate, slot, &copy);
    const struct held *unit = &gate->held[slot];
    struct ticket ticket = {.priority = unit->priority, .deadline_ms = unit->deadline_ms, .guard = &guard};
    unit_remove(gate, slot);
    gate->counts.released++;
    if (decision->has_dedup)
        decision->duplicates += dedup_take(gate, decision->dedup_key);
    if (ticket.priority.consumer != ALL_CONSUMERS) {
        emit_signal(gate, decision, ticket.priority.consumer, &guard);
        return;
    }
    gate->counts.signal_units += n - 1;
    divide(gate, decision, &ticket, consumers, n);
}

// Looks again at the first of a queue whose bucket has a token. True: it has left this queue.
static bool release(struct gate *gate, uint32_t slot) {
    struct candidate candidate;
    struct decision decision;
    uint16_t consumers[POLICY_MAX_CONSUMERS] = {0};
    struct priority priority = gate->held[slot].priority;
    size_t n = 1;
    open_unit(gate, slot, 0, &candidate, &decision);
    if (priority.consumer == ALL_CONSUMERS)
        n = find_consumers(gate, &decision, consumers);
    else if (!consumer_accepts(gate, &decision, priority.consumer))
        n = 0;
    if (n == 0) { // only a new policy can bring this about
        gate->counts.unrouted++;
        end_as_alert(gate, slot, &decision, STR("no_consumer"), NULL);
        return true;
    }
    struct hash128 bucket;
    int limit = limits_charge(gate, &decision, &priority, slot, &bucket);
    if (limit != LIMIT_NONE)
        return refused_again(gate, slot, &decision, limit, bucket);
    send_released(gate, slot, &decision, consumers, n);
    return true;
}

static bool has_token(struct gate *gate, const struct queue *queue) {
    if (queue->limit >= gate->policy->n_limits)
        return true;
    return bucket_token_ms(gate, &gate->policy->limits[queue->limit], queue->key) <= gate->now_ms;
}

// Releases the best of the queue while its bucket has tokens, which bound the work, as does the queue itself.
void queue_wake(struct gate *gate, uint32_t number) {
    gate->waking = number; // keeps the queue in being while it is emptied
    struct queue *queue = &gate->queues[number];
    while (queue->root && !gate->policy->kill_switch) {
        uint32_t best = queue->root;
        if (gate->held[best].deadline_ms <= gate->now_ms)
            unit_expire(gate, best);
        else if (!has_token(gate, queue) || !release(gate, best))
            break;
    }
    gate->waking = 0;
    if (queue->root)
        queue_arm_for_token(gate, number, gate->now_ms + 1);
    else
        queue_close_if_empty(gate, number);
}
