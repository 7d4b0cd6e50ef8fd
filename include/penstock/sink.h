// sink: the back doors: Kafka, NATS JetStream, files and stdout.
//
// A sink sends the records of one consumer's stream in order and says up to which
// sequence number the other side has acknowledged them. What was not acknowledged
// is sent again, the same bytes under the same id. A refused or slow sink holds up
// its own consumer and nobody else: each has its own thread and its own stream.
//
// Threads: all calls of one sink on one thread; stats on any.
#ifndef PENSTOCK_SINK_H
#define PENSTOCK_SINK_H

#include "penstock/base.h"
#include "penstock/broker.h" // kafka_settings, nats_settings

enum sink_kind { SINK_KAFKA, SINK_NATS, SINK_FILE, SINK_STDOUT };

struct sink_config {
    char *name; // the consumer's
    enum sink_kind kind;
    struct kafka_settings kafka; // the producer is idempotent, acks=all
    char *topic;
    struct nats_settings nats;
    char *subject;        // JetStream subject; the stream must exist (its absence is shown in the stats and retried)
    char *path;           // file: appended to, reopened when it was rotated; fsynced before it counts as acknowledged
    size_t max_in_flight; // records sent and not yet acknowledged (default 1024 when 0)
};

struct sink_record {
    uint64_t seq;            // ascending within a consumer
    struct str id;           // 32 hex digits: Nats-Msg-Id, Kafka header "id"
    struct str key;          // Kafka's message key (the subject); may be empty
    struct str content_type; // "application/json", "application/cloudevents+json", …
    struct str payload;      // copied by the sink if it needs it longer
};

enum sink_sent {
    SINK_SENT,
    SINK_BUSY,   // in-flight bound reached: poll, then offer the same record again
    SINK_FAILED, // not taken; after sink_poll and a while offer again from acked + 1
};

struct sink_stats {
    uint64_t sent, acked, resent, refused, reconnects, bytes;
    bool ready;
    char detail[200]; // last error or state, for people; never a secret
};

struct sink;
// Connects in the background; NULL only for settings that can never work.
struct sink *sink_open(const struct sink_config *config, struct status *status);
enum sink_sent sink_send(struct sink *sink, const struct sink_record *record, struct status *status);
// Serves the client library, waits at most timeout_ms for news. *acked_seq: all records up to it are acknowledged (0:
// none yet). False: a record in flight was refused or timed out; the sink has let go of everything in flight, send
// again from *acked_seq + 1.
bool sink_poll(struct sink *sink, int timeout_ms, uint64_t *acked_seq, struct status *status);
void sink_get_stats(struct sink *sink, struct sink_stats *out);
// Waits at most timeout_ms for what is in flight.
void sink_close(struct sink *sink, int timeout_ms);

#endif
