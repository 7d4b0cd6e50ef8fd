// heap: pairing heaps over the held units, linked through the units themselves.
//
// Two views: the waiters of one bucket, best first; and all units, least first, for
// the day when the hold is full. Both orders are total, so what comes out never
// depends on the shape that the heap happens to have.
#include "gate_internal.h"

static struct links *links_of(struct gate *gate, enum heap_view view, uint32_t slot) {
    return &gate->held[slot].links[view];
}

static bool before(const struct gate *gate, enum heap_view view, uint32_t a, uint32_t b) {
    const struct priority *pa = &gate->held[a].priority, *pb = &gate->held[b].priority;
    return view == HEAP_QUEUE ? priority_better(gate, pa, pb) : priority_better(gate, pb, pa);
}

// Joins two heaps whose roots have no siblings.
static uint32_t join(struct gate *gate, enum heap_view view, uint32_t a, uint32_t b) {
    if (!a || !b)
        return a ? a : b;
    if (before(gate, view, b, a)) {
        uint32_t swapped = a;
        a = b;
        b = swapped;
    }
    struct links *parent = links_of(gate, view, a), *child = links_of(gate, view, b);
    child->next = parent->child;
    child->prev = a;
    if (parent->child)
        links_of(gate, view, parent->child)->prev = b;
    parent->child = b;
    return a;
}

static void cut_loose(struct links *links) {
    links->next = 0;
    links->prev = 0;
}

// The children of a root that is taken away: joined in pairs from the left, the pairs from the right.
static uint32_t join_siblings(struct gate *gate, enum heap_view view, uint32_t first) {
    uint32_t pairs = 0;
    while (first) {
        uint32_t a = first, b = links_of(gate, view, a)->next;
        first = b ? links_of(gate, view, b)->next : 0;
        cut_loose(links_of(gate, view, a));
        if (b)
            cut_loose(links_of(gate, view, b));
        uint32_t pair = join(gate, view, a, b);
        links_of(gate, view, pair)->next = pairs;
        pairs = pair;
    }
    uint32_t root = 0;
    while (pairs) {
        uint32_t pair = pairs;
        pairs = links_of(gate, view, pair)->next;
        cut_loose(links_of(gate, view, pair));
        root = join(gate, view, root, pair);
    }
    return root;
}

uint32_t heap_push(struct gate *gate, enum heap_view view, uint32_t root, uint32_t slot) {
    *links_of(gate, view, slot) = (struct links){0};
    return join(gate, view, root, slot);
}

uint32_t heap_remove(struct gate *gate, enum heap_view view, uint32_t root, uint32_t slot) {
    struct links *links = links_of(gate, view, slot);
    uint32_t rest = join_siblings(gate, view, links->child);
    if (slot == root) {
        *links = (struct links){0};
        return rest;
    }
    struct links *prev = links_of(gate, view, links->prev);
    if (prev->child == slot)
        prev->child = links->next;
    else
        prev->next = links->next;
    if (links->next)
        links_of(gate, view, links->next)->prev = links->prev;
    *links = (struct links){0};
    return join(gate, view, root, rest);
}
