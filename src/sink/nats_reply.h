// nats_reply: what JetStream answered to a publish.
#ifndef PENSTOCK_SINK_NATS_REPLY_H
#define PENSTOCK_SINK_NATS_REPLY_H

#include "penstock/base.h"

// True: the record is stored, perhaps already before (a duplicate). False: `why` gets the server's words.
bool nats_reply_is_ack(struct str body, char *why, size_t why_size);

#endif
