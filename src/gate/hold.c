// hold: signals that wait, with their bytes, in queues of the buckets they wait for.
//
// A unit keeps everything it needs to go out later: its candidate, the evidence that
// counted, its priority, its deadline and the guard that stopped it. Its bytes lie in
// chained blocks, so there is no fragmentation and the room left is one number.
#include "gate_internal.h"

// ---- order ------------------------------------------------------------------------------

static const struct {
    struct str name;
    uint8_t rank;
} severities[] = {
    {STR("informational"), 1}, {STR("info"), 1}, {STR("low"), 2},      {STR("moderate"), 3},
    {STR("medium"), 3},        {STR("high"), 4}, {STR("critical"), 5},
};

uint8_t severity_rank(struct str severity) {
    for (size_t i = 0; i < COUNT_OF(severities); i++)
        if (str_eq_fold(severity, severities[i].name))
            return severities[i].rank;
    return 0;
}

bool priority_better(const struct gate *gate, const struct priority *a, const struct priority *b) {
    for (size_t i = 0; i < COUNT_OF(gate->policy->hold_order); i++) {
        switch (gate->policy->hold_order[i]) {
        case HOLD_BY_CONFIDENCE:
            if (a->confidence != b->confidence)
                return a->confidence > b->confidence;
            break;
        case HOLD_BY_SEVERITY:
            if (a->severity != b->severity)
                return a->severity > b->severity;
            break;
        case HOLD_BY_AGE:
            if (a->id != b->id)
                return a->id < b->id;
            break;
        }
    }
    return a->id != b->id ? a->id < b->id : a->consumer < b->consumer;
}

// ---- bytes ------------------------------------------------------------------------------

size_t write_tail(const struct decision *decision, char *to) {
    char *at = to;
    for (size_t i = 0; i < decision->n_evidence; i++) {
        const struct output_evidence *evidence = &decision->evidence[i];
        size_t len = evidence->name.len < UINT8_MAX ? evidence->name.len : UINT8_MAX;
        *at++ = (char)len;
        memcpy(at, evidence->name.ptr, len);
        at += len;
        *at++ = (char)evidence->boundary;
        memcpy(at, &evidence->weight, sizeof evidence->weight);
        at += sizeof evidence->weight;
    }
    return (size_t)(at - to);
}

bool read_tail(struct str tail, struct decision *decision, uint8_t n) {
    const char *at = tail.ptr, *end = tail.ptr + tail.len;
    if (n > EVIDENCE_MAX)
        return false;
    for (uint8_t i = 0; i < n; i++) {
        struct output_evidence *evidence = &decision->evidence[i];
        size_t len = at < end ? (uint8_t)*at : 0;
        if ((size_t)(end - at) < 1 + len + 1 + sizeof evidence->weight)
            return false;
        evidence->name = (struct str){at + 1, len};
        evidence->boundary = (enum boundary)(uint8_t)at[1 + len];
        memcpy(&evidence->weight, at + 2 + len, sizeof evidence->weight);
        at += 2 + len + sizeof evidence->weight;
        decision->boundaries |= (unsigned)evidence->boundary;
        decision->n_evidence++;
    }
    return at == end;
}

size_t unit_bytes_needed(const struct decision *decision) {
    size_t bytes = decision->bytes.len;
    for (size_t i = 0; i < decision->n_evidence; i++)
        bytes += 2 + sizeof(double) + decision->evidence[i].name.len;
    return bytes;
}

static size_t blocks_for(size_t bytes) {
    return (bytes + sizeof((struct block *)0)->bytes - 1) / sizeof((struct block *)0)->bytes;
}

static size_t held_most(const struct gate *gate) {
    return gate->policy->hold_max < gate->bounds.held_max ? gate->policy->hold_max : gate->bounds.held_max;
}

bool hold_has_room(const struct gate *gate, size_t bytes) {
    return gate->counts.held_now < held_most(gate) && blocks_for(bytes) <= gate->n_blocks_free;
}

bool hold_fits(const struct gate *gate, size_t bytes) {
    return gate->counts.held_now < gate->bounds.held_max && blocks_for(bytes) <= gate->n_blocks_free;
}

bool hold_may_have_room(const struct gate *gate, size_t bytes) {
    return held_most(gate) > 0 && blocks_for(bytes) <= gate->bounds.held_max_bytes / BLOCK_BYTES;
}

static uint32_t block_take(struct gate *gate) {
    must(gate->n_blocks_free > 0);
    gate->n_blocks_free--;
    uint32_t block = gate->blocks_free;
    if (block)
        gate->blocks_free = gate->blocks[block].next;
    else
        block = ++gate->blocks_used;
    gate->blocks[block].next = 0;
    return block;
}

struct block_writer {
    struct gate *gate;
    uint32_t first, last;
    size_t used; // of the last
};

static void blocks_add(struct block_writer *writer, const char *bytes, size_t len) {
    struct block *blocks = writer->gate->blocks;
    while (len > 0) {
        if (!writer->last || writer->used == sizeof blocks->bytes) {
            uint32_t block = block_take(writer->gate);
            if (writer->last)
                blocks[writer->last].next = block;
            else
                writer->first = block;
            writer->last = block;
            writer->used = 0;
        }
        size_t part = sizeof blocks->bytes - writer->used;
        if (part > len)
            part = len;
        memcpy(blocks[writer->last].bytes + writer->used, bytes, part);
        writer->used += part;
        bytes += part;
        len -= part;
    }
}

static void blocks_give_back(struct gate *gate, uint32_t first) {
    while (first) {
        uint32_t next = gate->blocks[first].next;
        gate->blocks[first].next = gate->blocks_free;
        gate->blocks_free = first;
        gate->n_blocks_free++;
        first = next;
    }
}

struct str unit_copy_bytes(const struct gate *gate, uint32_t slot, char *to) {
    const struct held *unit = &gate->held[slot];
    size_t left = unit->candidate_bytes + unit->tail_bytes;
    struct str copy = {to, left};
    for (uint32_t block = unit->first_block; left > 0; block = gate->blocks[block].next) {
        size_t part = left < sizeof gate->blocks->bytes ? left : sizeof gate->blocks->bytes;
        memcpy(to, gate->blocks[block].bytes, part);
        to += part;
        left -= part;
    }
    return copy;
}

// ---- units ------------------------------------------------------------------------------

uint32_t unit_add(struct gate *gate, const struct decision *decision, const struct priority *priority,
                  int64_t deadline_ms) {
    uint32_t slot = gate->held_free;
    if (slot)
        gate->held_free = gate->held[slot].newer;
    else
        slot = ++gate->held_used;
    char tail[TAIL_MAX_BYTES];
    size_t tail_bytes = write_tail(decision, tail);
    struct block_writer writer = {.gate = gate};
    blocks_add(&writer, decision->bytes.ptr, decision->bytes.len);
    blocks_add(&writer, tail, tail_bytes);
    struct held *unit = &gate->held[slot];
    *unit = (struct held){
        .priority = *priority,
        .deadline_ms = deadline_ms,
        .duplicates = decision->duplicates,
        .dedup_key = decision->dedup_key,
        .has_dedup = decision->has_dedup,
        .older = gate->newest,
        .first_block = writer.first,
        .candidate_bytes = (uint32_t)decision->bytes.len,
        .tail_bytes = (uint32_t)tail_bytes,
        .route = decision->route_index,
        .hit = decision->hit_index,
        .n_evidence = (uint8_t)decision->n_evidence,
    };
    *(gate->newest ? &gate->held[gate->newest].newer : &gate->oldest) = slot;
    gate->newest = slot;
    gate->least = heap_push(gate, HEAP_LEAST, gate->least, slot);
    timer_set(gate, TIMER_EXPIRE, slot, deadline_ms);
    gate->counts.held_now++;
    return slot;
}

void unit_remove(struct gate *gate, uint32_t slot) {
    struct held *unit = &gate->held[slot];
    unit_dequeue(gate, slot);
    gate->least = heap_remove(gate, HEAP_LEAST, gate->least, slot);
    timer_clear(gate, TIMER_EXPIRE, slot);
    if (unit->guard)
        gate->guards[unit->guard].units--;
    blocks_give_back(gate, unit->first_block);
    *(unit->older ? &gate->held[unit->older].newer : &gate->oldest) = unit->newer;
    *(unit->newer ? &gate->held[unit->newer].older : &gate->newest) = unit->older;
    *unit = (struct held){.newer = gate->held_free};
    gate->held_free = slot;
    gate->counts.held_now--;
}

bool unit_open(struct gate *gate, uint32_t slot, int copy, struct candidate *candidate, struct decision *decision) {
    const struct held *unit = &gate->held[slot];
    struct str bytes = unit_copy_bytes(gate, slot, gate->unit_bytes[copy]);
    struct str tail = {bytes.ptr + unit->candidate_bytes, unit->tail_bytes};
    bytes.len = unit->candidate_bytes;
    if (!candidate_read(bytes, candidate))
        return false;
    decision_begin(decision, candidate, bytes);
    if (!read_tail(tail, decision, unit->n_evidence))
        return false;
    decision->confidence = unit->priority.confidence;
    decision->duplicates = unit->duplicates;
    decision->dedup_key = unit->dedup_key;
    decision->has_dedup = unit->has_dedup;
    decision->hit_index = unit->hit;
    decision->route_index = unit->route;
    size_t cursor = 0;
    for (uint32_t i = 0; i <= unit->hit; i++)
        if (!candidate_next_hit(candidate, &cursor, &decision->hit))
            return false;
    return true;
}

// ---- queues -----------------------------------------------------------------------------

static uint32_t *queue_chain(const struct gate *gate, struct hash128 bucket) {
    return &gate->queue_index[bucket.lo % (gate->bounds.held_max + 1)];
}

uint32_t queue_find(const struct gate *gate, struct hash128 bucket) {
    uint32_t queue = *queue_chain(gate, bucket);
    while (queue && !hash128_eq(gate->queues[queue].key, bucket))
        queue = gate->queues[queue].next;
    return queue;
}

static uint32_t queue_open(struct gate *gate, struct hash128 bucket) {
    uint32_t queue = gate->queues_free;
    if (queue)
        gate->queues_free = gate->queues[queue].next;
    else
        queue = ++gate->queues_used;
    uint32_t *chain = queue_chain(gate, bucket);
    gate->queues[queue] = (struct queue){.key = bucket, .wake_ms = INT64_MAX, .next = *chain};
    *chain = queue;
    return queue;
}

void queue_close_if_empty(struct gate *gate, uint32_t queue) {
    struct queue *closed = &gate->queues[queue];
    if (closed->root || queue == gate->waking)
        return;
    timer_clear(gate, TIMER_WAKE, queue);
    uint32_t *link = queue_chain(gate, closed->key);
    while (*link != queue)
        link = &gate->queues[*link].next;
    *link = closed->next;
    *closed = (struct queue){.next = gate->queues_free};
    gate->queues_free = queue;
}

void queue_arm(struct gate *gate, uint32_t queue, int64_t at_ms) {
    gate->queues[queue].wake_ms = at_ms;
    if (at_ms == INT64_MAX)
        timer_clear(gate, TIMER_WAKE, queue);
    else
        timer_set(gate, TIMER_WAKE, queue, at_ms);
}

void unit_enqueue(struct gate *gate, uint32_t slot, uint16_t limit, struct hash128 bucket) {
    uint32_t number = queue_find(gate, bucket);
    if (!number)
        number = queue_open(gate, bucket);
    struct queue *queue = &gate->queues[number];
    queue->limit = limit;
    queue->count++;
    queue->root = heap_push(gate, HEAP_QUEUE, queue->root, slot);
    gate->held[slot].queue = number;
    gate->held_by_limit[limit]++;
}

void unit_dequeue(struct gate *gate, uint32_t slot) {
    uint32_t number = gate->held[slot].queue;
    if (!number)
        return;
    struct queue *queue = &gate->queues[number];
    queue->root = heap_remove(gate, HEAP_QUEUE, queue->root, slot);
    queue->count--;
    gate->held_by_limit[queue->limit]--;
    gate->held[slot].queue = 0;
    queue_close_if_empty(gate, number);
}

// ---- guards -----------------------------------------------------------------------------

// The text as far as it fits, cut between characters.
static uint8_t keep_text(char *to, size_t room, struct str text) {
    size_t len = text.len < room ? text.len : room;
    while (len < text.len && len > 0 && ((unsigned char)text.ptr[len] & 0xc0) == 0x80)
        len--;
    if (len)
        memcpy(to, text.ptr, len);
    return (uint8_t)len;
}

static bool same_guard(const struct guard_entry *a, const struct guard_entry *b) {
    return a->generation == b->generation &&
           str_eq((struct str){a->name, a->name_len}, (struct str){b->name, b->name_len}) &&
           str_eq((struct str){a->level, a->level_len}, (struct str){b->level, b->level_len}) &&
           str_eq((struct str){a->limit, a->limit_len}, (struct str){b->limit, b->limit_len});
}

struct guard unit_guard(const struct gate *gate, uint32_t slot, struct guard_entry *copy) {
    uint16_t guard = gate->held[slot].guard;
    if (!guard)
        return (struct guard){.name = STR("hold"), .level = STR("global"), .generation = gate->generation};
    *copy = gate->guards[guard];
    return (struct guard){
        .name = {copy->name, copy->name_len},
        .level = {copy->level, copy->level_len},
        .limit = {copy->limit, copy->limit_len},
        .generation = copy->generation,
    };
}

// Guards are shared by the units that they hold. With no place left for another, the unit keeps the one it has.
void unit_set_guard(struct gate *gate, uint32_t slot, const struct guard *guard) {
    struct guard_entry entry = {.generation = guard->generation};
    entry.name_len = keep_text(entry.name, sizeof entry.name, guard->name);
    entry.level_len = keep_text(entry.level, sizeof entry.level, guard->level);
    entry.limit_len = keep_text(entry.limit, sizeof entry.limit, guard->limit);
    uint16_t found = 0, free_place = 0;
    for (uint16_t i = 1; i <= gate->n_guards && !found; i++) {
        if (gate->guards[i].units == 0)
            free_place = i;
        else if (same_guard(&gate->guards[i], &entry))
            found = i;
    }
    if (!found)
        found = free_place;
    if (!found && gate->n_guards < GUARDS_MAX)
        found = ++gate->n_guards;
    struct held *unit = &gate->held[slot];
    if (!found)
        return;
    if (unit->guard)
        gate->guards[unit->guard].units--;
    if (gate->guards[found].units == 0)
        gate->guards[found] = entry;
    gate->guards[found].units++;
    unit->guard = found;
}
