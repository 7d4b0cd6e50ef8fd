// Sift threads: each takes the next item of the pipeline and turns its messages into
// log records. They share nothing but the ring; counts are copied out once an item.
#include "service.h"

static void sift_item(struct sift_worker *worker, struct item *item) {
    const struct source_config *source = &worker->service->config->sources[item->source];
    const struct source_binding *binding = policy_find_source(item->policy, str_of(source->name));
    must(binding != NULL); // the bundle was compiled with the configuration's sources
    for (size_t i = 0; i < item->batch.n; i++) {
        const struct message *message = &item->batch.messages[i];
        struct sift_input input = {
            .at = {.source = binding->name,
                   .partition = message->partition,
                   .offset = message->offset,
                   .ordered = source->kind != SOURCE_NATS},
            .received_ms = message->time_ms,
            .bytes = message->bytes,
            .full_bytes = message->full_bytes,
        };
        sift_message(worker->sifter, item->policy, binding, item->inventory, &input, &item->records);
    }
}

void *run_sift_worker(void *ctx) {
    struct sift_worker *worker = ctx;
    struct pipeline *pipeline = worker->service->pipeline;
    for (struct item *item; (item = pipeline_claim(pipeline));) {
        if (item->is_batch)
            sift_item(worker, item);
        pipeline_sifted(pipeline, item);
        pthread_mutex_lock(&worker->mutex);
        worker->counts = *sifter_counts(worker->sifter);
        pthread_mutex_unlock(&worker->mutex);
    }
    return NULL;
}
