// position: what has been taken before, and how far each stream of outputs has come.
//
// Ordered sources (Kafka, files) need one mark a partition: everything below it has
// been taken. Others redeliver in any order, so their coordinates are remembered one
// by one for an hour. A record that was taken before decides nothing: so a crash
// between the log and the source's commit costs nobody a second output, and no event
// ever suppresses itself.
#include "gate_internal.h"

#define INDEX_SLOTS ((uint32_t)PLACES_MAX * 2)

static struct str source_of(const struct gate *gate, const struct place *place) {
    const struct source_name *name = &gate->sources[place->source];
    return (struct str){name->text, name->len};
}

static uint32_t *index_slot(const struct gate *gate, struct str source, int32_t partition) {
    uint64_t hash = (hash64_bytes(source.ptr, source.len) ^ (uint32_t)partition) * UINT64_C(0x9e3779b97f4a7c15);
    for (uint32_t at = (uint32_t)(hash >> 32) % INDEX_SLOTS;; at = (at + 1) % INDEX_SLOTS) {
        uint32_t *slot = &gate->place_index[at];
        if (!*slot)
            return slot;
        const struct place *place = &gate->places[*slot - 1];
        if (place->partition == partition && str_eq(source_of(gate, place), source))
            return slot;
    }
}

struct place *place_find(const struct gate *gate, struct str source, int32_t partition) {
    uint32_t slot = *index_slot(gate, source, partition);
    return slot ? &gate->places[slot - 1] : NULL;
}

static bool source_add(struct gate *gate, struct str source, uint32_t *number) {
    for (*number = 0; *number < gate->n_sources; ++*number)
        if (str_eq(source, (struct str){gate->sources[*number].text, gate->sources[*number].len}))
            return true;
    if (gate->n_sources == SOURCES_MAX || source.len > SOURCE_NAME_MAX)
        return false;
    struct source_name *name = &gate->sources[gate->n_sources++];
    name->len = (uint8_t)source.len;
    if (source.len)
        memcpy(name->text, source.ptr, source.len);
    return true;
}

struct place *place_add(struct gate *gate, struct str source, int32_t partition) {
    uint32_t *slot = index_slot(gate, source, partition), number;
    if (*slot)
        return &gate->places[*slot - 1];
    if (gate->n_places == PLACES_MAX || !source_add(gate, source, &number))
        return NULL;
    struct place *place = &gate->places[gate->n_places++];
    *place = (struct place){.source = number, .partition = partition};
    for (unsigned kind = 0; kind < TAKEN_KINDS; kind++)
        place->marks[kind].offset = INT64_MIN;
    *slot = gate->n_places;
    return place;
}

static bool take_once(struct gate *gate, const struct coordinates *at, enum taken_kind kind) {
    struct hash_parts parts = {.len = 0};
    hash_parts_str(&parts, at->source);
    hash_parts_int(&parts, at->partition);
    hash_parts_int(&parts, at->offset);
    hash_parts_int(&parts, at->index);
    hash_parts_int(&parts, kind);
    struct hash128 key = hash_parts_end(&parts);
    if (table_find(&gate->seen, key, gate->now_ms))
        return false;
    table_add(&gate->seen, key, gate->now_ms, true, &gate->counts.forgotten)->expires_ms = gate->now_ms + SEEN_MS;
    return true;
}

bool take_coordinates(struct gate *gate, const struct coordinates *at, enum taken_kind kind) {
    struct place *place = at->ordered ? place_add(gate, at->source, at->partition) : NULL;
    if (!place) // also a partition for which there is no room
        return take_once(gate, at, kind);
    struct mark *mark = &place->marks[kind];
    if (at->offset < mark->offset || (at->offset == mark->offset && at->index < mark->index))
        return false;
    *mark = (struct mark){.offset = at->offset, .index = (uint64_t)at->index + 1};
    return true;
}

bool raise_position(struct gate *gate, const struct position *position) {
    struct place *place = place_add(gate, position->source, position->partition);
    if (!place)
        return false;
    for (unsigned kind = 0; kind < TAKEN_KINDS; kind++)
        if (position->next_offset > place->marks[kind].offset)
            place->marks[kind] = (struct mark){.offset = position->next_offset};
    return true;
}

void gate_each_position(const struct gate *gate, void (*each)(void *ctx, const struct position *position), void *ctx) {
    for (uint32_t i = 0; i < gate->n_places; i++) {
        const struct place *place = &gate->places[i];
        struct position position = {.source = source_of(gate, place), .partition = place->partition};
        position.next_offset = place->marks[TAKEN_CANDIDATE].offset;
        if (place->marks[TAKEN_DEAD].offset > position.next_offset)
            position.next_offset = place->marks[TAKEN_DEAD].offset;
        each(ctx, &position);
    }
}

struct stream *stream_find(const struct gate *gate, struct str consumer) {
    struct hash128 name = hash128_bytes(consumer.ptr, consumer.len);
    for (uint32_t i = 0; i < gate->n_streams; i++)
        if (hash128_eq(gate->streams[i].name, name))
            return &gate->streams[i];
    return NULL;
}

static bool is_in_policy(const struct policy *policy, struct hash128 name) {
    for (size_t i = 0; i < policy->n_consumers; i++) {
        struct str consumer = policy->consumers[i].name;
        if (hash128_eq(hash128_bytes(consumer.ptr, consumer.len), name))
            return true;
    }
    return false;
}

// At the bound the stream of a consumer that the policy no longer names makes room; the policy's own always fit.
static struct stream *stream_add(struct gate *gate, struct str consumer) {
    struct stream *stream = NULL;
    if (gate->n_streams < STREAMS_MAX) {
        stream = &gate->streams[gate->n_streams++];
    } else {
        for (uint32_t i = 1; !stream && i < STREAMS_MAX; i++)
            if (!is_in_policy(gate->policy, gate->streams[i].name))
                stream = &gate->streams[i];
        gate->counts.forgotten++;
    }
    must(stream);
    *stream = (struct stream){.name = hash128_bytes(consumer.ptr, consumer.len)};
    return stream;
}

void streams_adopt(struct gate *gate) {
    must(gate->policy->n_consumers <= POLICY_MAX_CONSUMERS);
    for (size_t i = 0; i < gate->policy->n_consumers; i++) {
        struct str name = gate->policy->consumers[i].name;
        struct stream *stream = stream_find(gate, name);
        if (!stream)
            stream = stream_add(gate, name);
        gate->stream_of[i] = (uint16_t)(stream - gate->streams);
    }
}
