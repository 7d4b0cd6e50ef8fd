// batch: messages and their bytes in two blocks that grow once and are used again.
//
// While a batch is being filled its buffer may move, so messages hold offsets into it;
// sealing turns them into pointers. Behind each message come BATCH_PADDING zero bytes,
// then its ack subject.
#include "penstock/source.h"

#include <stdlib.h>

void batch_init(struct batch *batch, size_t max_messages, size_t max_bytes) {
    must(max_messages > 0);
    *batch = (struct batch){.cap = max_messages, .max_bytes = max_bytes};
    batch->messages = must_alloc(max_messages * sizeof *batch->messages);
    buf_init(&batch->bytes, max_bytes);
}

void batch_free(struct batch *batch) {
    free(batch->messages);
    buf_free(&batch->bytes);
    *batch = (struct batch){0};
}

void batch_clear(struct batch *batch) {
    batch->n = 0;
    batch->sealed = false;
    buf_clear(&batch->bytes);
}

bool batch_is_full(const struct batch *batch) {
    return batch->n == batch->cap || (batch->n > 0 && batch->bytes.len >= batch->max_bytes);
}

// A place in the buffer, in the shape of a view until batch_seal.
static struct str at_offset(size_t offset, size_t len) {
    return (struct str){(const char *)(uintptr_t)offset, len}; // NOLINT: undone by batch_seal
}

bool batch_add(struct batch *batch, const struct message *message) {
    static const char padding[BATCH_PADDING];
    must(!batch->sealed);
    size_t needed = message->bytes.len + BATCH_PADDING + message->ack.len;
    size_t used = batch->bytes.len;
    if (batch->n == batch->cap || (batch->n > 0 && (used >= batch->max_bytes || needed > batch->max_bytes - used)))
        return false;
    batch->bytes.max = needed > batch->max_bytes ? needed : batch->max_bytes; // only an empty batch can need more
    buf_str(&batch->bytes, message->bytes);
    buf_add(&batch->bytes, padding, BATCH_PADDING);
    buf_str(&batch->bytes, message->ack);
    must(!batch->bytes.overflow);
    struct message *added = &batch->messages[batch->n++];
    *added = *message;
    added->bytes = at_offset(used, message->bytes.len);
    added->ack = at_offset(used + message->bytes.len + BATCH_PADDING, message->ack.len);
    return true;
}

void batch_seal(struct batch *batch) {
    if (batch->sealed)
        return;
    batch->sealed = true;
    for (size_t i = 0; i < batch->n; i++) {
        struct message *message = &batch->messages[i];
        message->bytes.ptr = batch->bytes.ptr + (uintptr_t)message->bytes.ptr;
        message->ack.ptr = batch->bytes.ptr + (uintptr_t)message->ack.ptr;
    }
}
