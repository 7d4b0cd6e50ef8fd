// window: the records sent and not yet acknowledged, in order.
//
// Acks may come in any order, from an older flight even; what counts is the longest
// run from the front. Each record sent gets a ticket; letting go of everything makes
// all tickets given so far void.
#ifndef PENSTOCK_SINK_WINDOW_H
#define PENSTOCK_SINK_WINDOW_H

#include "penstock/base.h"

struct window_slot {
    uint64_t seq;
    bool acked;
};
struct window {
    struct window_slot *slots; // of ticket t: slots[t % cap]
    size_t cap;
    uint64_t first, next; // tickets [first, next) are in flight
    uint64_t acked_seq;   // everything up to here is acknowledged
    uint64_t flight_seq;  // the last one pushed since all was let go; 0: none
    uint64_t last_seq;    // the last one ever sent; to tell what is sent again
};
void window_init(struct window *window, size_t cap);
void window_free(struct window *window);
bool window_is_full(const struct window *window);
static inline size_t window_in_flight(const struct window *window) {
    return (size_t)(window->next - window->first);
}
// A record at or before this one is offered again from before: then what is in flight must be let go first.
static inline bool window_goes_back(const struct window *window, uint64_t seq) {
    return window_in_flight(window) > 0 && seq <= window->flight_seq;
}
uint64_t window_push(struct window *window, uint64_t seq);        // the ticket; there must be room
void window_unpush(struct window *window);                        // the last one was not sent after all
bool window_ack(struct window *window, uint64_t ticket);          // false: a void ticket
bool window_was_sent_before(struct window *window, uint64_t seq); // and notes that it is sent now
void window_let_go(struct window *window);

#endif
