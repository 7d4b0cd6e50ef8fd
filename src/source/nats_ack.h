// nats_ack: what a JetStream message's reply subject says about where it stood.
#ifndef PENSTOCK_SOURCE_NATS_ACK_H
#define PENSTOCK_SOURCE_NATS_ACK_H

#include "penstock/base.h"

struct nats_ack {
    struct str stream, consumer;
    int64_t deliveries, stream_seq, consumer_seq;
    int64_t time_ns; // when the server stored it; the same on redelivery
    int64_t pending; // messages behind it in the stream
};
// False: not an ack subject of either form.
bool nats_ack_parse(struct str subject, struct nats_ack *out);

#endif
