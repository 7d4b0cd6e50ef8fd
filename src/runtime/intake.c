// One thread a source: fills batches and pushes them into the pipeline. While the
// pipeline is full it takes nothing, but keeps the source's session alive.
#include "service.h"

#define READ_WAIT_MS 200
#define PUSH_WAIT_MS 200

static bool push(struct intake *intake, struct batch *batch) {
    struct service *service = intake->service;
    while (!pipeline_push(service->pipeline, intake->index, batch, PUSH_WAIT_MS)) {
        if (atomic_load(&service->stopping))
            return false; // not committed, so it comes again
        source_idle(intake->source);
    }
    return true;
}

static void finish(struct intake *intake, const struct status *status) {
    const char *name = intake->service->config->sources[intake->index].name;
    if (status->code == STATUS_CLOSED) {
        logline(LOGLINE_INFO, "source", "read to its end", "source", name, NULL);
    } else if (status->code != STATUS_OK) {
        logline(LOGLINE_ERROR, "source", "gives up", "source", name, "error", status->text, NULL);
        atomic_store(&intake->failed, true);
    }
    atomic_store(&intake->ended, true);
}

void *run_intake(void *ctx) {
    struct intake *intake = ctx;
    struct batch batch;
    struct status status = {0};
    batch_init(&batch, BATCH_MAX_MESSAGES, BATCH_MAX_BYTES);
    bool more = true;
    while (more && !atomic_load(&intake->service->stopping)) {
        batch_clear(&batch);
        more = source_read(intake->source, &batch, READ_WAIT_MS, &status);
        if (batch.n > 0 && !push(intake, &batch))
            break;
    }
    finish(intake, &status);
    batch_free(&batch);
    return NULL;
}
