// stream: one consumer's own stream: a journal on disk and the thread that delivers it.
//
// The gate's thread appends outputs by the gate's own numbering; the delivery thread
// reads behind it, hands records to the sink and remembers how far the other side has
// acknowledged. So a slow or refusing consumer costs disk and nobody else's time.
// Nothing here is synced per record: after a crash the gate's log gives the same
// outputs with the same numbers again, and those the stream already has are skipped.
#ifndef RUNTIME_STREAM_H
#define RUNTIME_STREAM_H

#include "penstock/log.h"
#include "penstock/record.h"
#include "penstock/sink.h"

// Milliseconds from the broker's timestamp to the output's acknowledgement; upper bounds of the buckets, then infinity.
#define LATENCY_BOUNDS_MS \
    { 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 60000 }
#define LATENCY_BUCKETS 15

struct stream_stats {
    uint64_t last_seq, acked_seq, bytes;
    uint64_t appended[3]; // by enum output_kind, since the process began
    uint64_t latency_counts[LATENCY_BUCKETS];
    uint64_t latency_sum_ms;
    bool full;         // at its bound: the gate waits
    bool wanted;       // false: its consumer is gone from the routes
    char problem[300]; // why it is not delivering although it is wanted
    struct sink_stats sink;
};

struct stream;
// Opens or makes the stream in `dir`. No delivery yet.
struct stream *stream_open(const char *dir, const char *name, uint64_t max_bytes, struct status *status);
void stream_close(struct stream *stream); // after stream_stop
const char *stream_name(const struct stream *stream);

// Begins (or, with another target, begins anew) to deliver; texts of `sink` must outlive the stream or the next call.
// False: it cannot now (*status); stream_retry tries again.
bool stream_deliver(struct stream *stream, const struct sink_config *sink, struct status *status);
void stream_retry(struct stream *stream); // begins what could not begin before, if that is so
// Ends delivery, waiting at most drain_ms for what is unsent.
void stream_stop(struct stream *stream, int drain_ms);

// The gate's thread. `seq` must be at most one more than the last; what the stream has already is skipped (true).
// STATUS_FULL, STATUS_IO: not taken, offer it again.
bool stream_append(struct stream *stream, uint64_t seq, int64_t received_ms, const struct output *output,
                   enum output_format format, uint64_t fields, struct status *status);
void stream_flush(struct stream *stream);                       // lets the delivery thread see what was appended
bool stream_sync(struct stream *stream, struct status *status); // to the device; then frees what is acknowledged
void stream_get_stats(struct stream *stream, struct stream_stats *out); // any thread
bool stream_is_drained(struct stream *stream);                          // all acknowledged

#endif
