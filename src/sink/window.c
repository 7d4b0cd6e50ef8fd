// window: see window.h. Tickets only grow, so a late ack of a flight that was let go
// can never be taken for one of a later flight.
#include "window.h"

#include <stdlib.h>

void window_init(struct window *window, size_t cap) {
    must(cap > 0);
    *window = (struct window){.slots = must_alloc(cap * sizeof *window->slots), .cap = cap};
}

void window_free(struct window *window) {
    free(window->slots);
}

bool window_is_full(const struct window *window) {
    return window_in_flight(window) == window->cap;
}

uint64_t window_push(struct window *window, uint64_t seq) {
    must(!window_is_full(window));
    window->slots[window->next % window->cap] = (struct window_slot){.seq = seq};
    window->flight_seq = seq;
    return window->next++;
}

void window_unpush(struct window *window) {
    must(window->next > window->first);
    window->next--;
    window->flight_seq = window_in_flight(window) > 0 ? window->slots[(window->next - 1) % window->cap].seq : 0;
}

bool window_was_sent_before(struct window *window, uint64_t seq) {
    if (seq <= window->last_seq)
        return true;
    window->last_seq = seq;
    return false;
}

bool window_ack(struct window *window, uint64_t ticket) {
    if (ticket < window->first || ticket >= window->next)
        return false;
    window->slots[ticket % window->cap].acked = true;
    while (window->first < window->next && window->slots[window->first % window->cap].acked)
        window->acked_seq = window->slots[window->first++ % window->cap].seq;
    return true;
}

void window_let_go(struct window *window) {
    window->first = window->next;
    window->flight_seq = 0;
}
