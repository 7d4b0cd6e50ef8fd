// adopt: a new policy takes effect; what is remembered and held goes over to it.
//
// Memory is keyed by hashes of names, so it stays as it is. A held unit follows the
// route of its name if that still enforces, its consumer if that still is there, and
// its limit if that is kept per the same things; a unit whose limit is gone is tried
// at once. What the new policy has no use for becomes an alert.
#include "gate_internal.h"

#define INDEX_SLOTS 65536u // of route names; a power of two, over three times as many as there may be routes

static uint16_t *index_slot(const struct gate *gate, const struct policy *policy, struct str name) {
    uint32_t at = (uint32_t)hash64_bytes(name.ptr, name.len) & (INDEX_SLOTS - 1);
    while (gate->route_index[at] && !str_eq(policy->routes[gate->route_index[at] - 1].name, name))
        at = (at + 1) & (INDEX_SLOTS - 1);
    return &gate->route_index[at];
}

static void index_routes(struct gate *gate, const struct policy *policy) {
    memset(gate->route_index, 0, INDEX_SLOTS * sizeof *gate->route_index);
    for (size_t i = 0; i < policy->n_routes; i++)
        *index_slot(gate, policy, policy->routes[i].name) = (uint16_t)(i + 1);
}

static uint16_t find_route(const struct gate *gate, const struct policy *policy, struct str name) {
    uint16_t found = *index_slot(gate, policy, name);
    return found ? (uint16_t)(found - 1) : NO_ROUTE;
}

// Does a hit of the one mean the same as a hit of the other? Its evidence is given by number.
static bool same_evidence(const struct route *a, const struct route *b) {
    if (a->n_evidence != b->n_evidence)
        return false;
    for (size_t i = 0; i < a->n_evidence; i++)
        if (!str_eq(a->evidence[i].name, b->evidence[i].name) ||
            !hash128_eq(a->evidence[i].memory.id, b->evidence[i].memory.id))
            return false;
    return true;
}

// Candidates that were sifted under the old policy may come after the new one in the log.
static void map_previous_routes(struct gate *gate, const struct policy *old, const struct policy *policy) {
    gate->previous_generation = gate->generation;
    gate->n_previous = old ? (uint32_t)old->n_routes : 0;
    for (uint32_t i = 0; i < gate->n_previous; i++) {
        uint16_t route = find_route(gate, policy, old->routes[i].name);
        if (route != NO_ROUTE && !same_evidence(&old->routes[i], &policy->routes[route]))
            route = NO_ROUTE;
        gate->previous_route[i] = route;
    }
}

static uint16_t map_consumer(const struct policy *old, const struct policy *policy, uint16_t consumer, bool *gone) {
    *gone = false;
    if (consumer == ALL_CONSUMERS)
        return consumer;
    for (size_t i = 0; i < policy->n_consumers; i++)
        if (str_eq(policy->consumers[i].name, old->consumers[consumer].name))
            return (uint16_t)i;
    *gone = true;
    return consumer;
}

static uint16_t map_limit(const struct policy *old, const struct policy *policy, uint16_t limit) {
    if (limit == LIMIT_KILL_SWITCH)
        return policy->kill_switch ? LIMIT_KILL_SWITCH : LIMIT_RECHECK;
    for (size_t i = 0; i < policy->n_limits; i++)
        if (str_eq(policy->limits[i].name, old->limits[limit].name) && policy->limits[i].per == old->limits[limit].per)
            return (uint16_t)i;
    return policy->kill_switch ? LIMIT_KILL_SWITCH : LIMIT_RECHECK;
}

// All units out of all heaps, whose order may be another from now on. Each still knows its queue.
static void take_heaps_apart(struct gate *gate) {
    gate->least = 0;
    for (uint32_t slot = gate->oldest; slot; slot = gate->held[slot].newer) {
        gate->queues[gate->held[slot].queue].root = 0;
        gate->least = heap_push(gate, HEAP_LEAST, gate->least, slot);
    }
    memset(gate->held_by_limit, 0, sizeof gate->held_by_limit);
}

static void requeue(struct gate *gate, uint32_t slot, const struct policy *old, uint16_t limit, struct hash128 bucket) {
    uint16_t mapped = map_limit(old, gate->policy, limit);
    if (mapped == LIMIT_RECHECK)
        bucket = RECHECK_BUCKET;
    if (mapped == LIMIT_KILL_SWITCH && limit != LIMIT_KILL_SWITCH) {
        struct guard guard = kill_switch_guard(gate);
        bucket = KILL_SWITCH_BUCKET;
        unit_set_guard(gate, slot, &guard);
    }
    unit_enqueue(gate, slot, mapped, bucket);
}

static void move_unit(struct gate *gate, uint32_t slot, const struct policy *old) {
    struct held *unit = &gate->held[slot];
    uint32_t from = unit->queue;
    struct queue *queue = &gate->queues[from];
    uint16_t limit = queue->limit;
    struct hash128 bucket = queue->key;
    unit->queue = 0;
    queue->count--;
    const struct route *was = &old->routes[unit->route];
    uint16_t found = find_route(gate, gate->policy, was->name);
    const struct route *is = found == NO_ROUTE ? NULL : &gate->policy->routes[found];
    bool consumer_gone;
    uint16_t consumer = map_consumer(old, gate->policy, unit->priority.consumer, &consumer_gone);
    if (!is || !is->has_signal || is->mode != MODE_ENFORCE || consumer_gone) {
        bool whole = unit->priority.consumer == ALL_CONSUMERS;
        struct str name = whole ? STR("") : old->consumers[unit->priority.consumer].name;
        unit_withdraw(gate, slot, is ? is : was, name);
    } else {
        unit->route = found;
        unit->priority.consumer = consumer;
        requeue(gate, slot, old, limit, bucket);
    }
    if (queue->count == 0)
        queue_close_if_empty(gate, from);
}

static void move_units(struct gate *gate, const struct policy *old) {
    take_heaps_apart(gate);
    for (uint32_t slot = gate->oldest, newer; slot; slot = newer) {
        newer = gate->held[slot].newer;
        move_unit(gate, slot, old);
    }
    for (uint32_t slot = gate->oldest; slot; slot = gate->held[slot].newer)
        if (gate->queues[gate->held[slot].queue].root == slot)
            queue_arm_for_token(gate, gate->held[slot].queue, gate->now_ms);
}

void adopt_policy(struct gate *gate, struct policy *policy, uint64_t generation) {
    struct policy *old = gate->policy;
    must(policy->n_routes <= POLICY_MAX_ROUTES && policy->n_limits <= POLICY_MAX_LIMITS);
    index_routes(gate, policy);
    map_previous_routes(gate, old, policy);
    gate->policy = policy_ref(policy);
    gate->generation = generation;
    streams_adopt(gate);
    memset(gate->route_counts, 0, POLICY_MAX_ROUTES * sizeof *gate->route_counts);
    if (old) {
        move_units(gate, old);
        policy_unref(old);
    }
    gate_advance(gate, gate->now_ms); // the units whose limit is gone are due
}
