// source: the front doors: Kafka, NATS JetStream, files and stdin.
//
// A source fills batches of raw messages and knows where each one stood. It is told
// `commit` once everything of a batch is durable in the log, never before: only then
// offsets are committed and messages acked. A message that is read but never
// committed comes again.
//
// Threads: read, idle and close on the source's own thread; commit on the log's
// thread; ready and stats on any.
#ifndef PENSTOCK_SOURCE_H
#define PENSTOCK_SOURCE_H

#include "penstock/base.h"
#include "penstock/broker.h" // kafka_settings, nats_settings

#define BATCH_PADDING 64 // readable bytes behind each message, for the JSON reader

// One raw message and where it stood. (source name, partition, offset) is its coordinate: the same on redelivery.
struct message {
    struct str bytes;    // in the batch; BATCH_PADDING readable bytes behind
    int32_t partition;   // Kafka partition; 0 for JetStream and stdin; for a file the number of rotations seen, so that
                         // offsets never repeat
    int64_t offset;      // Kafka offset, stream sequence, byte offset of the line in a file, line number of stdin
    int64_t time_ms;     // the broker's timestamp; 0: none
    uint64_t full_bytes; // length as it stood; more than bytes.len if it was over max_message_bytes and cut (then it is
                         // a dead letter)
    struct str ack;      // for the source's own use (JetStream: the reply subject)
};

struct batch {
    struct message *messages;
    size_t n, cap;
    struct buf bytes; // what the messages point into once the batch is full (offsets before: see batch_add)
    size_t max_bytes;
    bool sealed;
    int64_t epoch; // for the source's own use (Kafka: the assignment in force)
};
void batch_init(struct batch *batch, size_t max_messages, size_t max_bytes);
void batch_free(struct batch *batch);
void batch_clear(struct batch *batch);
bool batch_is_full(const struct batch *batch); // no room for another message
// Copies the message in; its `bytes` and `ack` are made to point into the batch by batch_seal. False: no room (an empty
// batch takes any one message).
bool batch_add(struct batch *batch, const struct message *message);
void batch_seal(struct batch *batch); // fixes the pointers; call when filling is over

enum source_kind { SOURCE_KAFKA, SOURCE_NATS, SOURCE_FILE, SOURCE_STDIN };

struct source_config {
    char *name;
    char *map; // name of its map; NULL: the same as the source's
    enum source_kind kind;
    uint32_t max_message_bytes; // longer ones are dead letters
    struct kafka_settings kafka;
    char **topics;
    size_t n_topics;
    char *group;        // Kafka consumer group
    char *offset_reset; // where a group without committed offsets begins: "earliest", "latest" or "error"
    struct nats_settings nats;
    char *stream, *durable, *subject; // JetStream: stream, durable consumer, filter subject (NULL: all)
    uint32_t max_ack_pending, ack_wait_ms;
    char *path;  // file
    bool follow; // file: wait for more at its end (and reopen when it was rotated)
};

// Where a source's partition must go on, known from the log. Reading begins at the larger of this and what the broker
// has committed. A file goes on at the first line that begins at or after the position. stdin cannot go back: its
// numbering goes on there. JetStream ignores it: it redelivers out of order, so a lower sequence may well be one that
// was never read.
struct source_position {
    int32_t partition;
    char topic[256]; // Kafka: the topic; else ""
    int64_t next_offset;
};

struct source_stats {
    uint64_t messages, bytes, commits, reconnects, rebalances, errors;
    int64_t lag;      // messages behind the end, -1 unknown
    bool ready;       // connected and assigned
    bool ended;       // a file or stdin has been read to its end
    char detail[200]; // last error or state, for people; never a secret
};

struct source;
// Connects in the background; false only for settings that can never work (a bad setting names its key). Positions are
// copied.
struct source *source_open(const struct source_config *config, const struct source_position *positions,
                           size_t n_positions, struct status *status);
// Adds messages to an empty batch until it is full or nothing more is at hand; waits at most timeout_ms for the first.
// True with batch->n >= 0; false: STATUS_CLOSED (end of a file), or a failure that only a person can mend
// (STATUS_DENIED, STATUS_INVALID). Passing trouble (a broker away) is not a failure: it is retried inside, counted, and
// shown in the stats.
bool source_read(struct source *source, struct batch *batch, int timeout_ms, struct status *status);
// Called about every 200 ms instead of read while the pipeline is full: keeps the session alive without taking
// messages.
void source_idle(struct source *source);
// Everything of this batch is durable. Batches are committed in the order in which they were read.
void source_commit(struct source *source, const struct batch *batch);
void source_get_stats(struct source *source, struct source_stats *out);
// Says that read should end soon (any thread). Then close: commits what may be committed, bounded to 5 s.
void source_stop(struct source *source);
void source_close(struct source *source);

// Partition 7 of topic "a" and of topic "b" are different: the coordinate's partition of a source with several topics
// is the partition number plus 65536 times the topic's place in the configuration. These undo it.
static inline int32_t source_partition_of(int32_t coordinate) {
    return coordinate % 65536;
}
static inline int32_t source_topic_of(int32_t coordinate) {
    return coordinate / 65536;
}

#endif
