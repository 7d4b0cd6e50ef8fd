// pipeline: the ring between sources, sifters and the log's writer.
//
// Items go round in one order: the order in which they were pushed is the order in
// which they reach the log, whichever sifter finishes first. A change of policy is an
// item too, so everything pushed before it is sifted and decided under the old policy
// and everything after it under the new one, without a pause. The ring's size is the
// bound: when it is full, sources wait.
#ifndef RUNTIME_PIPELINE_H
#define RUNTIME_PIPELINE_H

#include "penstock/sift.h"
#include "penstock/source.h"

#define PIPELINE_ITEMS 16
#define BATCH_MAX_MESSAGES 1000
#define BATCH_MAX_BYTES (1024 * 1024)

enum item_state { ITEM_FREE, ITEM_PUSHED, ITEM_SIFTING, ITEM_SIFTED };

struct item {
    enum item_state state;
    bool is_batch; // else a policy: its record is already in `records`
    size_t source; // index in the configuration
    struct batch batch;
    struct policy *policy; // in force for this item
    struct inventory *inventory;
    struct sift_output records; // for the log
    size_t written;             // how many of them the log has
};

struct pipeline;
struct pipeline *pipeline_new(struct policy *policy, struct inventory *inventory);
void pipeline_free(struct pipeline *pipeline);

// Swaps the full batch for an empty one; waits at most timeout_ms for room. False: no room, the batch is still the
// caller's.
bool pipeline_push(struct pipeline *pipeline, size_t source, struct batch *batch, int timeout_ms);
// From here on `policy` is in force; the POLICY record goes into the log at this place. Waits for room; false: closed.
bool pipeline_change_policy(struct pipeline *pipeline, struct policy *policy, struct str record);
void pipeline_change_inventory(struct pipeline *pipeline, struct inventory *inventory);
struct policy *
pipeline_policy(struct pipeline *pipeline); // in force for what is pushed next; a reference for the caller

// Sifters: the next item to sift; waits. NULL: closed and nothing left.
struct item *pipeline_claim(struct pipeline *pipeline);
void pipeline_sifted(struct pipeline *pipeline, struct item *item);

// The log's writer: the `nth` item in order, if it and all before it are sifted; waits at most timeout_ms for the first
// one.
struct item *pipeline_peek(struct pipeline *pipeline, size_t nth, int timeout_ms);
void pipeline_release(struct pipeline *pipeline); // the first one
size_t pipeline_depth(struct pipeline *pipeline);

void pipeline_close(struct pipeline *pipeline); // no more pushes; sifters end when all is sifted

#endif
