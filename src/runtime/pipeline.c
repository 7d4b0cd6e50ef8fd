// The ring: one mutex, taken once a batch by each party, and three positions that
// chase each other: pushed, claimed, released.
#include "pipeline.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct pipeline {
    pthread_mutex_t mutex;
    pthread_cond_t room, work, sifted;
    struct item items[PIPELINE_ITEMS];
    uint64_t pushed, claimed, released; // positions; an item's place is position % PIPELINE_ITEMS
    struct policy *policy;
    struct inventory *inventory;
    bool closed;
};

struct pipeline *pipeline_new(struct policy *policy, struct inventory *inventory) {
    struct pipeline *pipeline = must_alloc(sizeof *pipeline);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&pipeline->mutex, NULL);
    pthread_cond_init(&pipeline->room, &monotonic);
    pthread_cond_init(&pipeline->work, &monotonic);
    pthread_cond_init(&pipeline->sifted, &monotonic);
    pthread_condattr_destroy(&monotonic);
    for (size_t i = 0; i < PIPELINE_ITEMS; i++) {
        batch_init(&pipeline->items[i].batch, BATCH_MAX_MESSAGES, BATCH_MAX_BYTES);
        sift_output_init(&pipeline->items[i].records);
    }
    pipeline->policy = policy_ref(policy);
    pipeline->inventory = inventory_ref(inventory);
    return pipeline;
}

static void clear_item(struct item *item) {
    batch_clear(&item->batch);
    sift_output_clear(&item->records);
    policy_unref(item->policy);
    inventory_unref(item->inventory);
    item->policy = NULL;
    item->inventory = NULL;
    item->written = 0;
    item->state = ITEM_FREE;
}

void pipeline_free(struct pipeline *pipeline) {
    if (!pipeline)
        return;
    for (size_t i = 0; i < PIPELINE_ITEMS; i++) {
        clear_item(&pipeline->items[i]);
        batch_free(&pipeline->items[i].batch);
        sift_output_free(&pipeline->items[i].records);
    }
    policy_unref(pipeline->policy);
    inventory_unref(pipeline->inventory);
    pthread_cond_destroy(&pipeline->room);
    pthread_cond_destroy(&pipeline->work);
    pthread_cond_destroy(&pipeline->sifted);
    pthread_mutex_destroy(&pipeline->mutex);
    free(pipeline);
}

static struct item *item_at(struct pipeline *pipeline, uint64_t position) {
    return &pipeline->items[position % PIPELINE_ITEMS];
}
static bool is_full(const struct pipeline *pipeline) {
    return pipeline->pushed - pipeline->released == PIPELINE_ITEMS;
}

static struct timespec deadline_after(int timeout_ms) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    int64_t nanos = at.tv_nsec + (int64_t)(timeout_ms % 1000) * 1000000;
    at.tv_sec += timeout_ms / 1000 + nanos / 1000000000;
    at.tv_nsec = nanos % 1000000000;
    return at;
}

bool pipeline_push(struct pipeline *pipeline, size_t source, struct batch *batch, int timeout_ms) {
    struct timespec deadline = deadline_after(timeout_ms);
    pthread_mutex_lock(&pipeline->mutex);
    while (is_full(pipeline) && !pipeline->closed)
        if (pthread_cond_timedwait(&pipeline->room, &pipeline->mutex, &deadline) != 0)
            break;
    bool taken = !is_full(pipeline) && !pipeline->closed;
    if (taken) {
        struct item *item = item_at(pipeline, pipeline->pushed++);
        struct batch empty = item->batch;
        item->batch = *batch;
        *batch = empty;
        item->is_batch = true;
        item->source = source;
        item->policy = policy_ref(pipeline->policy);
        item->inventory = inventory_ref(pipeline->inventory);
        item->state = ITEM_PUSHED;
        pthread_cond_signal(&pipeline->work);
    }
    pthread_mutex_unlock(&pipeline->mutex);
    return taken;
}

bool pipeline_change_policy(struct pipeline *pipeline, struct policy *policy, struct str record) {
    pthread_mutex_lock(&pipeline->mutex);
    while (is_full(pipeline) && !pipeline->closed)
        pthread_cond_wait(&pipeline->room, &pipeline->mutex);
    bool taken = !pipeline->closed;
    if (taken) {
        struct item *item = item_at(pipeline, pipeline->pushed++);
        item->is_batch = false;
        item->policy = policy_ref(policy);
        item->inventory = inventory_ref(pipeline->inventory);
        buf_str(&item->records.bytes, record);
        sift_output_add(&item->records, RECORD_POLICY, 0);
        item->state = ITEM_PUSHED;
        policy_unref(pipeline->policy);
        pipeline->policy = policy_ref(policy);
        pthread_cond_signal(&pipeline->work);
    }
    pthread_mutex_unlock(&pipeline->mutex);
    return taken;
}

void pipeline_change_inventory(struct pipeline *pipeline, struct inventory *inventory) {
    pthread_mutex_lock(&pipeline->mutex);
    inventory_unref(pipeline->inventory);
    pipeline->inventory = inventory_ref(inventory);
    pthread_mutex_unlock(&pipeline->mutex);
}

struct policy *pipeline_policy(struct pipeline *pipeline) {
    pthread_mutex_lock(&pipeline->mutex);
    struct policy *policy = policy_ref(pipeline->policy);
    pthread_mutex_unlock(&pipeline->mutex);
    return policy;
}

struct item *pipeline_claim(struct pipeline *pipeline) {
    struct item *item = NULL;
    pthread_mutex_lock(&pipeline->mutex);
    while (pipeline->claimed == pipeline->pushed && !pipeline->closed)
        pthread_cond_wait(&pipeline->work, &pipeline->mutex);
    if (pipeline->claimed < pipeline->pushed) {
        item = item_at(pipeline, pipeline->claimed++);
        item->state = ITEM_SIFTING;
    }
    pthread_mutex_unlock(&pipeline->mutex);
    return item;
}

void pipeline_sifted(struct pipeline *pipeline, struct item *item) {
    pthread_mutex_lock(&pipeline->mutex);
    item->state = ITEM_SIFTED;
    pthread_cond_signal(&pipeline->sifted);
    pthread_mutex_unlock(&pipeline->mutex);
}

static bool is_sifted(struct pipeline *pipeline, size_t nth) {
    return pipeline->released + nth < pipeline->pushed &&
           item_at(pipeline, pipeline->released + nth)->state == ITEM_SIFTED;
}

struct item *pipeline_peek(struct pipeline *pipeline, size_t nth, int timeout_ms) {
    struct timespec deadline = deadline_after(timeout_ms);
    pthread_mutex_lock(&pipeline->mutex);
    while (nth == 0 && timeout_ms > 0 && !is_sifted(pipeline, 0))
        if (pthread_cond_timedwait(&pipeline->sifted, &pipeline->mutex, &deadline) != 0)
            break;
    struct item *item = is_sifted(pipeline, nth) ? item_at(pipeline, pipeline->released + nth) : NULL;
    pthread_mutex_unlock(&pipeline->mutex);
    return item;
}

void pipeline_release(struct pipeline *pipeline) {
    struct item *item = item_at(pipeline, pipeline->released); // the writer's own position: read without the lock
    must(item->state == ITEM_SIFTED);
    clear_item(item);
    pthread_mutex_lock(&pipeline->mutex);
    pipeline->released++;
    pthread_cond_signal(&pipeline->room);
    pthread_mutex_unlock(&pipeline->mutex);
}

size_t pipeline_depth(struct pipeline *pipeline) {
    pthread_mutex_lock(&pipeline->mutex);
    size_t depth = (size_t)(pipeline->pushed - pipeline->released);
    pthread_mutex_unlock(&pipeline->mutex);
    return depth;
}

void pipeline_close(struct pipeline *pipeline) {
    pthread_mutex_lock(&pipeline->mutex);
    pipeline->closed = true;
    pthread_cond_broadcast(&pipeline->room);
    pthread_cond_broadcast(&pipeline->work);
    pthread_cond_broadcast(&pipeline->sifted);
    pthread_mutex_unlock(&pipeline->mutex);
}
