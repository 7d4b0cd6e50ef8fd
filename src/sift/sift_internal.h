// What the files of sift share: one event's slots and the memory of its step.
#ifndef SIFT_INTERNAL_H
#define SIFT_INTERNAL_H

#include "penstock/sift.h"

struct event_step {
    const struct policy *policy;
    const struct source_binding *source;
    struct value *slots;
    struct arena *scratch; // of this event
    struct sift_counts *counts;
};

// map.c: raw slots -> event.* slots.
void apply_map(const struct event_step *step);
// key.c: what makes two events the same, and what evidence counts.
struct hash128 dedup_key(const struct event_step *step, const struct route *route);
// Fills the key and the value of evidence that needs them. False: the event lacks one, so it does not count.
bool find_memory(const struct event_step *step, const struct memory *memory, struct hit_evidence *found);
// match.c: slots -> hits, written to `writer`; says whether some route with a signal was hit for certain (what
// hangs on the gate's memory may come to nothing). Returns the number of hits.
size_t match_routes(const struct event_step *step, struct candidate_writer *writer, bool *wants_signal);

// The step of somebody who looks on; slots are not written through it.
static inline struct event_step view_step(const struct sift_view *view, struct sift_counts *counts) {
    return (struct event_step){.policy = view->policy,
                               .source = view->source,
                               .slots = (struct value *)(uintptr_t)view->slots,
                               .scratch = view->scratch,
                               .counts = counts};
}

#endif
