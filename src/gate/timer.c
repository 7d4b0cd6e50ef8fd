// timer: what is due when, a binary heap by deadline.
//
// A held unit has one timer (its time is up), a queue at most one (its bucket has a
// token again). Equal deadlines fire in an order that follows from the units and
// buckets themselves, never from where they lie in memory.
#include "gate_internal.h"

static uint32_t *place_of(struct gate *gate, const struct timer *timer) {
    return timer->kind == TIMER_EXPIRE ? &gate->held[timer->slot].timer : &gate->queues[timer->slot].timer;
}

static bool unit_before(const struct gate *gate, uint32_t a, uint32_t b) {
    const struct priority *pa = &gate->held[a].priority, *pb = &gate->held[b].priority;
    return pa->id != pb->id ? pa->id < pb->id : pa->consumer < pb->consumer;
}

static bool queue_before(const struct gate *gate, uint32_t a, uint32_t b) {
    struct hash128 ka = gate->queues[a].key, kb = gate->queues[b].key;
    return ka.hi != kb.hi ? ka.hi < kb.hi : ka.lo < kb.lo;
}

static bool fires_before(const struct gate *gate, const struct timer *a, const struct timer *b) {
    if (a->deadline_ms != b->deadline_ms)
        return a->deadline_ms < b->deadline_ms;
    if (a->kind != b->kind)
        return a->kind < b->kind;
    return a->kind == TIMER_EXPIRE ? unit_before(gate, a->slot, b->slot) : queue_before(gate, a->slot, b->slot);
}

static void put(struct gate *gate, uint32_t at, struct timer timer) {
    gate->timers[at] = timer;
    *place_of(gate, &timer) = at;
}

static void sift_up(struct gate *gate, uint32_t at, struct timer timer) {
    while (at > 1 && fires_before(gate, &timer, &gate->timers[at / 2])) {
        put(gate, at, gate->timers[at / 2]);
        at /= 2;
    }
    put(gate, at, timer);
}

static void sift_down(struct gate *gate, uint32_t at, struct timer timer) {
    for (;;) {
        uint32_t child = at * 2;
        if (child > gate->n_timers)
            break;
        if (child < gate->n_timers && fires_before(gate, &gate->timers[child + 1], &gate->timers[child]))
            child++;
        if (!fires_before(gate, &gate->timers[child], &timer))
            break;
        put(gate, at, gate->timers[child]);
        at = child;
    }
    put(gate, at, timer);
}

void timer_clear(struct gate *gate, enum timer_kind kind, uint32_t slot) {
    struct timer cleared = {.kind = kind, .slot = slot};
    uint32_t at = *place_of(gate, &cleared);
    if (!at)
        return;
    *place_of(gate, &cleared) = 0;
    struct timer last = gate->timers[gate->n_timers--];
    if (at > gate->n_timers)
        return;
    if (at > 1 && fires_before(gate, &last, &gate->timers[at / 2]))
        sift_up(gate, at, last);
    else
        sift_down(gate, at, last);
}

void timer_set(struct gate *gate, enum timer_kind kind, uint32_t slot, int64_t deadline_ms) {
    timer_clear(gate, kind, slot);
    sift_up(gate, ++gate->n_timers, (struct timer){.deadline_ms = deadline_ms, .slot = slot, .kind = kind});
}
