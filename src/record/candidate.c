// Candidates to bytes and back. Only fields that are present are written, each as
// its number, its type and its content; reading fills an array of values that point
// into the bytes. Lists (of texts) and maps (text to text) stay encoded and are read
// in place through a value_source, so that reading never allocates.
#include "penstock/bytes.h"
#include "penstock/record.h"

#include <stdio.h>

enum { FIELD_LIST_END = 0xff };
enum { HAS_KEY = 0x80 }; // beside an evidence's index
_Static_assert(EVIDENCE_MAX <= HAS_KEY, "an index and a bit share a byte");

static bool next_encoded(const struct value_source *source, uint64_t node, uint64_t *cursor, struct value *key,
                         struct value *out);

static size_t encoded_size(const struct value_source *source, uint64_t node) {
    (void)source;
    struct reader in = {.at = (const char *)(uintptr_t)node,
                        .end = (const char *)(uintptr_t)node +
                               4}; // NOLINT(performance-no-int-to-ptr): a node is the address of its encoded bytes
    return get_u32(&in);
}

static bool encoded_at(const struct value_source *source, uint64_t node, size_t index, struct value *out) {
    uint64_t cursor = 0;
    for (size_t i = 0; next_encoded(source, node, &cursor, NULL, out); i++)
        if (i == index)
            return true;
    return false;
}

static bool encoded_get(const struct value_source *source, uint64_t node, const struct value *key, struct value *out) {
    struct value name;
    uint64_t cursor = 0;
    while (next_encoded(source, node, &cursor, &name, out))
        if (key->type == VALUE_STRING && str_eq(key->string, name.string))
            return true;
    return false;
}

static bool next_map_member(const struct value_source *source, uint64_t node, uint64_t *cursor, struct value *key,
                            struct value *out);

static const struct value_source list_source = {
    .size = encoded_size, .at = encoded_at, .get = encoded_get, .next = next_encoded};
static const struct value_source map_source = {
    .size = encoded_size, .at = encoded_at, .get = encoded_get, .next = next_map_member};

// Encoded list: u32 count, then a text each. Encoded map: u32 count, then two texts each. *cursor: turn << 32 | byte
// offset.
static bool next_text(uint64_t node, uint64_t *cursor, unsigned texts, struct str out[2]) {
    const char *base = (const char *)(uintptr_t)node; // NOLINT(performance-no-int-to-ptr)
    struct reader count = {.at = base, .end = base + 4};
    uint32_t n = get_u32(&count), turn = (uint32_t)(*cursor >> 32), offset = (uint32_t)*cursor;
    if (turn >= n)
        return false;
    if (offset == 0)
        offset = 4;
    for (unsigned i = 0; i < texts; i++) {
        struct reader length = {.at = base + offset, .end = base + offset + 4};
        out[i] = (struct str){base + offset + 4, get_u32(&length)};
        offset += 4 + (uint32_t)out[i].len;
    }
    *cursor = (uint64_t)(turn + 1) << 32 | offset;
    return true;
}

static bool next_encoded(const struct value_source *source, uint64_t node, uint64_t *cursor, struct value *key,
                         struct value *out) {
    if (source == &map_source)
        return next_map_member(source, node, cursor, key, out);
    struct str text[2];
    uint64_t turn = *cursor >> 32;
    if (!next_text(node, cursor, 1, text))
        return false;
    if (key)
        *key = value_int((int64_t)turn);
    *out = value_string(text[0]);
    return true;
}

static bool next_map_member(const struct value_source *source, uint64_t node, uint64_t *cursor, struct value *key,
                            struct value *out) {
    (void)source;
    struct str text[2];
    if (!next_text(node, cursor, 2, text))
        return false;
    if (key)
        *key = value_string(text[0]);
    *out = value_string(text[1]);
    return true;
}

// An element that is no text is written as its JSON would be read by people: numbers and booleans as text, others not
// at all.
static struct str text_of(const struct value *v, char space[32]) {
    switch (v->type) {
    case VALUE_STRING: return v->string;
    case VALUE_BOOL: return v->boolean ? STR("true") : STR("false");
    case VALUE_INT: return (struct str){space, (size_t)snprintf(space, 32, "%lld", (long long)v->int64)};
    case VALUE_UINT: return (struct str){space, (size_t)snprintf(space, 32, "%llu", (unsigned long long)v->uint64)};
    case VALUE_DOUBLE: return (struct str){space, (size_t)snprintf(space, 32, "%.17g", v->real)};
    default: return (struct str){NULL, 0};
    }
}

static void put_container(struct buf *out, const struct value *container) {
    bool is_map = container->type == VALUE_MAP;
    size_t count_at = out->len;
    uint32_t n = 0;
    put_u32(out, 0);
    struct value key, element;
    char space[32], key_space[32];
    for (uint64_t cursor = 0; container->container.source->next(container->container.source, container->container.node,
                                                                &cursor, &key, &element);) {
        struct str text = text_of(&element, space);
        if (!text.ptr)
            continue;
        if (is_map)
            put_str(out, text_of(&key, key_space));
        put_str(out, text);
        n++;
    }
    if (!out->overflow) {
        uint8_t bytes[4] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), (uint8_t)(n >> 24)};
        memcpy(out->ptr + count_at, bytes, sizeof bytes);
    }
}

static void put_field(struct buf *out, uint8_t number, const struct value *v) {
    switch (v->type) {
    case VALUE_ABSENT:
    case VALUE_NULL: return;
    case VALUE_BOOL: put_u8(out, number), put_u8(out, VALUE_BOOL), put_u8(out, v->boolean); return;
    case VALUE_INT:
    case VALUE_UINT:
    case VALUE_DOUBLE: put_u8(out, number), put_u8(out, v->type), put_u64(out, v->uint64); return;
    case VALUE_TIMESTAMP:
        put_u8(out, number), put_u8(out, VALUE_TIMESTAMP), put_i64(out, v->seconds), put_u32(out, (uint32_t)v->nanos);
        return;
    case VALUE_STRING: put_u8(out, number), put_u8(out, VALUE_STRING), put_str(out, v->string); return;
    case VALUE_LIST:
    case VALUE_MAP:
        put_u8(out, number), put_u8(out, v->type);
        put_container(out, v);
        return;
    default: // types no canonical field can have: maps convert before this
        return;
    }
}

static void put_fields(struct buf *out, const struct value *fields, size_t n) {
    for (size_t i = 0; i < n; i++)
        put_field(out, (uint8_t)i, &fields[i]);
    put_u8(out, FIELD_LIST_END);
}

static struct value get_container(struct reader *in, uint8_t type) {
    const char *node = in->at;
    uint64_t texts = (uint64_t)get_u32(in) * (type == VALUE_MAP ? 2 : 1);
    for (uint64_t i = 0; i < texts && !in->failed; i++)
        get_str(in);
    return (struct value){.type = type,
                          .container = {type == VALUE_MAP ? &map_source : &list_source, (uint64_t)(uintptr_t)node}};
}

static struct value get_value(struct reader *in, uint8_t type) {
    switch (type) {
    case VALUE_BOOL: return value_bool(get_u8(in) != 0);
    case VALUE_INT:
    case VALUE_UINT:
    case VALUE_DOUBLE: return (struct value){.type = type, .uint64 = get_u64(in)};
    case VALUE_TIMESTAMP: {
        int64_t seconds = get_i64(in);
        return value_timestamp(seconds, (int32_t)get_u32(in));
    }
    case VALUE_STRING: return value_string(get_str(in));
    case VALUE_LIST:
    case VALUE_MAP: return get_container(in, type);
    default: in->failed = true; return value_absent();
    }
}

static void get_fields(struct reader *in, struct value *fields, size_t n) {
    memset(fields, 0, n * sizeof *fields);
    for (;;) {
        uint8_t number = get_u8(in);
        if (in->failed || number == FIELD_LIST_END)
            return;
        if (number >= n) {
            in->failed = true;
            return;
        }
        uint8_t type = get_u8(in);
        fields[number] = get_value(in, type);
    }
}

static void put_coordinates(struct buf *out, const struct coordinates *at) {
    put_str(out, at->source);
    put_u32(out, (uint32_t)at->partition);
    put_i64(out, at->offset);
    put_u32(out, at->index);
    put_u8(out, at->ordered);
}

static struct coordinates get_coordinates(struct reader *in) {
    struct coordinates at = {.source = get_str(in)};
    at.partition = (int32_t)get_u32(in);
    at.offset = get_i64(in);
    at.index = get_u32(in);
    at.ordered = get_u8(in) != 0;
    return at;
}

void candidate_begin(struct candidate_writer *writer, struct buf *out, const struct candidate *candidate) {
    put_u64(out, candidate->generation);
    put_coordinates(out, &candidate->at);
    put_i64(out, candidate->received_ms);
    put_u8(out, candidate->known_identity);
    put_fields(out, candidate->event, EVENT_FIELD_COUNT);
    put_fields(out, candidate->identity, IDENTITY_FIELD_COUNT);
    *writer = (struct candidate_writer){.out = out, .count_at = out->len};
    put_u16(out, 0);
}

void candidate_add_hit(struct candidate_writer *writer, const struct hit *hit) {
    struct buf *out = writer->out;
    put_u16(out, hit->route);
    put_u8(out, hit->n_evidence);
    for (unsigned i = 0; i < hit->n_evidence; i++) {
        const struct hit_evidence *evidence = &hit->evidence[i];
        put_u8(out, (uint8_t)(evidence->index | (evidence->has_key ? HAS_KEY : 0)));
        put_double(out, evidence->weight);
        if (!evidence->has_key)
            continue;
        put_hash(out, evidence->key);
        put_u64(out, evidence->value);
    }
    put_double(out, hit->adjust_alert);
    put_double(out, hit->adjust_signal);
    put_hash(out, hit->dedup_key);
    put_str(out, hit->severity);
    put_str(out, hit->title);
    put_str(out, hit->reason);
    writer->n_hits++;
}

void candidate_end(struct candidate_writer *writer) {
    if (writer->out->overflow)
        return;
    uint8_t bytes[2] = {(uint8_t)writer->n_hits, (uint8_t)(writer->n_hits >> 8)};
    memcpy(writer->out->ptr + writer->count_at, bytes, sizeof bytes);
}

bool candidate_read(struct str bytes, struct candidate *out) {
    struct reader in = reader_of(bytes);
    out->generation = get_u64(&in);
    out->at = get_coordinates(&in);
    out->received_ms = get_i64(&in);
    out->known_identity = get_u8(&in) != 0;
    get_fields(&in, out->event, EVENT_FIELD_COUNT);
    get_fields(&in, out->identity, IDENTITY_FIELD_COUNT);
    out->n_hits = get_u16(&in);
    out->hits = (struct str){in.at, reader_left(&in)};
    return !in.failed;
}

bool candidate_next_hit(const struct candidate *candidate, size_t *cursor, struct hit *out) {
    if (*cursor >= candidate->hits.len)
        return false;
    struct reader in = reader_of((struct str){candidate->hits.ptr + *cursor, candidate->hits.len - *cursor});
    out->route = get_u16(&in);
    out->n_evidence = get_u8(&in);
    if (out->n_evidence > EVIDENCE_MAX)
        return false;
    for (unsigned i = 0; i < out->n_evidence; i++) {
        uint8_t index = get_u8(&in);
        double weight = get_double(&in);
        out->evidence[i] =
            (struct hit_evidence){.index = index & (HAS_KEY - 1), .weight = weight, .has_key = index & HAS_KEY};
        if (!out->evidence[i].has_key)
            continue;
        out->evidence[i].key = get_hash(&in);
        out->evidence[i].value = get_u64(&in);
    }
    out->adjust_alert = get_double(&in);
    out->adjust_signal = get_double(&in);
    out->dedup_key = get_hash(&in);
    out->severity = get_str(&in);
    out->title = get_str(&in);
    out->reason = get_str(&in);
    *cursor = (size_t)(in.at - candidate->hits.ptr);
    return !in.failed;
}

void dead_letter_write(struct buf *out, const struct dead_letter *letter) {
    put_coordinates(out, &letter->at);
    put_i64(out, letter->received_ms);
    put_str(out, letter->reason);
    put_str(out, letter->detail);
    put_u64(out, letter->full_bytes);
    put_str(out, letter->bytes);
}

bool dead_letter_read(struct str bytes, struct dead_letter *out) {
    struct reader in = reader_of(bytes);
    out->at = get_coordinates(&in);
    out->received_ms = get_i64(&in);
    out->reason = get_str(&in);
    out->detail = get_str(&in);
    out->full_bytes = get_u64(&in);
    out->bytes = get_str(&in);
    return !in.failed;
}

void position_write(struct buf *out, const struct position *position) {
    put_str(out, position->source);
    put_u32(out, (uint32_t)position->partition);
    put_i64(out, position->next_offset);
}

bool position_read(struct str bytes, struct position *out) {
    struct reader in = reader_of(bytes);
    out->source = get_str(&in);
    out->partition = (int32_t)get_u32(&in);
    out->next_offset = get_i64(&in);
    return !in.failed;
}

void policy_record_write(struct buf *out, const struct policy_record *record) {
    put_u64(out, record->generation);
    put_str(out, record->bundle);
}

bool policy_record_read(struct str bytes, struct policy_record *out) {
    struct reader in = reader_of(bytes);
    out->generation = get_u64(&in);
    out->bundle = get_str(&in);
    return !in.failed;
}
