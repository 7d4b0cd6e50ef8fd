// sending: a consumer's sender as the runtime is one: offers records in order, polls,
// begins again behind the last acknowledged one when the sink says so.
#ifndef PENSTOCK_TEST_SENDING_H
#define PENSTOCK_TEST_SENDING_H

#include <stdio.h>

#include "penstock/sink.h"

struct sending {
    struct sink *sink;
    uint64_t next, acked;
    unsigned failures;
};

static inline void sending_id(unsigned long long seq, char out[33]) {
    snprintf(out, 33, "%032llx", seq);
}

static inline enum sink_sent send_one(struct sending *sending, uint64_t seq) {
    char id[33], key[32], payload[64];
    sending_id(seq, id);
    snprintf(key, sizeof key, "subject-%llu", (unsigned long long)seq % 7);
    snprintf(payload, sizeof payload, "{\"n\":%llu}", (unsigned long long)seq);
    struct sink_record record = {.seq = seq,
                                 .id = str_of(id),
                                 .key = str_of(key),
                                 .content_type = STR("application/json"),
                                 .payload = str_of(payload)};
    struct status status = {0};
    enum sink_sent sent = sink_send(sending->sink, &record, &status);
    if (sent == SINK_SENT)
        sending->next = seq + 1;
    return sent;
}

// Until everything up to `last` is acknowledged, or for_ms are over.
static inline void send_up_to(struct sending *sending, uint64_t last, int for_ms) {
    int64_t until_ms = clock_monotonic_ms() + for_ms;
    if (sending->next <= sending->acked)
        sending->next = sending->acked + 1;
    while (sending->acked < last && clock_monotonic_ms() < until_ms) {
        enum sink_sent sent = SINK_SENT;
        for (int i = 0; i < 100 && sending->next <= last && sent == SINK_SENT; i++)
            sent = send_one(sending, sending->next);
        struct status status = {0};
        uint64_t acked = 0;
        bool ok = sink_poll(sending->sink, sent == SINK_SENT && sending->next <= last ? 0 : 20, &acked, &status);
        must(acked == 0 || acked >= sending->acked || sending->failures > 0);
        if (acked > sending->acked)
            sending->acked = acked;
        if (!ok || sent == SINK_FAILED) {
            must(ok || status.code != STATUS_OK);
            sending->failures++;
            sending->next = sending->acked + 1;
            clock_sleep_ms(50);
        }
    }
}

#endif
