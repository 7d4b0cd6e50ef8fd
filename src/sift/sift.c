// One message through the stage: parse, unwrap, and for each event extract, map,
// enrich, match, encode. An input that cannot be used becomes a dead letter with its
// bytes and its place; everything else ends as a candidate or is dropped. So
// events = dropped + candidates, and every dead letter has a counted reason.
#include "sift_internal.h"

#include <stdlib.h>

#define SCRATCH_MAX_BYTES (4 * 1024 * 1024)
#define OUTPUT_MAX_BYTES (2048u * 1024 * 1024)

struct sifter {
    struct jdoc *doc;
    struct arena *scratch;
    struct value *slots;
    size_t n_slots;
    const struct source_binding *slots_for; // raw slots of other sources are absent while this one's events pass
    size_t max_event_bytes;
    struct sift_counts counts;
    sift_watch *watch; // NULL: nobody looks on
    void *watch_ctx;
};

void sift_output_init(struct sift_output *out) {
    *out = (struct sift_output){0};
    buf_init(&out->bytes, OUTPUT_MAX_BYTES);
}

void sift_output_clear(struct sift_output *out) {
    buf_clear(&out->bytes);
    out->n = 0;
}

void sift_output_free(struct sift_output *out) {
    buf_free(&out->bytes);
    free(out->records);
    *out = (struct sift_output){0};
}

void sift_output_add(struct sift_output *out, enum record_type type, size_t at) {
    must(!out->bytes.overflow);
    if (out->n == out->cap) {
        out->cap = out->cap ? out->cap * 2 : 64;
        out->records = must_realloc(out->records, out->cap * sizeof *out->records);
    }
    out->records[out->n++] = (struct sift_record){.type = type, .at = at, .len = out->bytes.len - at};
}

struct sifter *sifter_new(size_t max_event_bytes) {
    struct sifter *sifter = must_alloc(sizeof *sifter);
    sifter->doc = jdoc_new(max_event_bytes, SIFT_MAX_DEPTH);
    sifter->scratch = arena_new(SCRATCH_MAX_BYTES);
    sifter->max_event_bytes = max_event_bytes;
    return sifter;
}

void sifter_free(struct sifter *sifter) {
    if (!sifter)
        return;
    jdoc_free(sifter->doc);
    arena_free(sifter->scratch);
    free(sifter->slots);
    free(sifter);
}

const struct sift_counts *sifter_counts(const struct sifter *sifter) {
    return &sifter->counts;
}

void sifter_set_watch(struct sifter *sifter, sift_watch *watch, void *ctx) {
    sifter->watch = watch;
    sifter->watch_ctx = ctx;
}

static void add_dead_letter(const struct sift_input *input, struct coordinates at, struct str reason,
                            const char *detail, struct sift_output *out) {
    struct str bytes = input->bytes;
    if (bytes.len > DEAD_LETTER_MAX_BYTES)
        bytes.len = DEAD_LETTER_MAX_BYTES;
    struct dead_letter letter = {.at = at,
                                 .received_ms = input->received_ms,
                                 .reason = reason,
                                 .detail = str_of(detail),
                                 .full_bytes = input->full_bytes,
                                 .bytes = bytes};
    size_t start = out->bytes.len;
    dead_letter_write(&out->bytes, &letter);
    sift_output_add(out, RECORD_DEAD, start);
}

// The reasons are one table; `detail` is its help text.
enum dead_reason {
#define X(name, help) DEAD_##name,
    SIFT_DEAD_REASONS(X)
#undef X
};

static void refuse(struct sifter *sifter, const struct sift_input *input, struct coordinates at,
                   enum dead_reason reason, struct sift_output *out) {
    switch (reason) {
#define X(name, help) \
    case DEAD_##name: \
        sifter->counts.dead.name++; \
        add_dead_letter(input, at, STR(#name), help, out); \
        return;
        SIFT_DEAD_REASONS(X)
#undef X
    }
}

static enum dead_reason reason_of(enum jdoc_result result) {
    switch (result) {
    case JDOC_EMPTY: return DEAD_empty;
    case JDOC_TOO_LARGE: return DEAD_too_large;
    case JDOC_TOO_DEEP: return DEAD_too_deep;
    case JDOC_INVALID_UTF8: return DEAD_invalid_utf8;
    case JDOC_INVALID_NUMBER: return DEAD_invalid_number;
    case JDOC_INVALID_STRING: return DEAD_invalid_string;
    case JDOC_DUPLICATE_KEY: return DEAD_duplicate_key;
    default: return DEAD_invalid_syntax;
    }
}

static void prepare_slots(struct sifter *sifter, const struct policy *policy, const struct source_binding *source) {
    if (sifter->slots_for == source && sifter->n_slots == policy->n_slots)
        return;
    if (sifter->n_slots != policy->n_slots) {
        sifter->slots = must_realloc(sifter->slots, policy->n_slots * sizeof *sifter->slots);
        sifter->n_slots = policy->n_slots;
    }
    memset(sifter->slots, 0, policy->n_slots * sizeof *sifter->slots);
    sifter->slots_for = source;
}

static struct str text_slot(const struct value *slot) {
    return slot->type == VALUE_STRING ? slot->string : STR("");
}

static const struct identity *enrich(struct value *slots, const struct inventory *inventory) {
    struct str id = text_slot(&slots[SLOT_EVENT + EVENT_SUBJECT_ID]);
    const struct identity *identity =
        id.len ? inventory_find(inventory, text_slot(&slots[SLOT_EVENT + EVENT_TENANT]), id) : NULL;
    for (size_t i = 0; i < IDENTITY_FIELD_COUNT; i++)
        slots[SLOT_IDENTITY + i] = identity ? identity->fields[i] : value_absent();
    const struct value *kind = &slots[SLOT_EVENT + EVENT_SUBJECT_KIND];
    slots[SLOT_SUBJECT_KIND] = value_is_present(kind) ? *kind : slots[SLOT_IDENTITY + IDENTITY_KIND];
    return identity;
}

static void default_fields(struct value *slots, const struct sift_input *input, uint32_t index, struct arena *scratch) {
    struct value *id = &slots[SLOT_EVENT + EVENT_ID], *time = &slots[SLOT_EVENT + EVENT_TIME];
    if (id->type == VALUE_ABSENT) {
        char hex[33];
        struct hash_parts parts = {.len = 0};
        struct hash128 content = hash128_bytes(input->bytes.ptr, input->bytes.len);
        hash_parts_int(&parts, (int64_t)content.hi);
        hash_parts_int(&parts, (int64_t)content.lo);
        hash_parts_int(&parts, index);
        hash128_hex(hash_parts_end(&parts), hex);
        *id = value_string(arena_str(scratch, str_of(hex)));
    }
    if (time->type == VALUE_ABSENT && input->received_ms > 0)
        *time = value_timestamp(input->received_ms / 1000, (int32_t)(input->received_ms % 1000) * 1000000);
}

static void show_event(struct sifter *sifter, const struct event_step *step, uint32_t index, bool known_identity) {
    struct sift_view view = {.policy = step->policy,
                             .source = step->source,
                             .slots = step->slots,
                             .scratch = step->scratch,
                             .index = index,
                             .known_identity = known_identity};
    sifter->watch(sifter->watch_ctx, &view);
}

static void sift_event(struct sifter *sifter, const struct policy *policy, const struct source_binding *source,
                       const struct inventory *inventory, const struct sift_input *input, const struct value *event,
                       uint32_t index, struct sift_output *out) {
    struct coordinates at = input->at;
    at.index = index;
    if (event->type != VALUE_MAP) {
        refuse(sifter, input, at, DEAD_not_an_object, out);
        return;
    }
    enum jdoc_result extracted = jdoc_extract(sifter->doc, event, source->raw, sifter->slots);
    if (extracted != JDOC_OK) {
        refuse(sifter, input, at, reason_of(extracted), out);
        return;
    }
    struct event_step step = {.policy = policy,
                              .source = source,
                              .slots = sifter->slots,
                              .scratch = sifter->scratch,
                              .counts = &sifter->counts};
    sifter->counts.events++;
    sifter->slots[SLOT_SOURCE] = value_string(source->name);
    apply_map(&step);
    default_fields(sifter->slots, input, index, sifter->scratch);
    const struct identity *identity = enrich(sifter->slots, inventory);

    struct candidate candidate = {.generation = policy->generation,
                                  .at = at,
                                  .received_ms = input->received_ms,
                                  .known_identity = identity != NULL};
    if (sifter->watch)
        show_event(sifter, &step, index, identity != NULL);
    memcpy(candidate.event, sifter->slots + SLOT_EVENT, sizeof candidate.event);
    memcpy(candidate.identity, sifter->slots + SLOT_IDENTITY, sizeof candidate.identity);
    struct candidate_writer writer;
    size_t start = out->bytes.len;
    bool wants_signal = false;
    candidate_begin(&writer, &out->bytes, &candidate);
    size_t hits = match_routes(&step, &writer, &wants_signal);
    candidate_end(&writer);
    if (hits == 0) {
        out->bytes.len = start;
        sifter->counts.dropped++;
        return;
    }
    sifter->counts.candidates++;
    if (out->bytes.len - start > CANDIDATE_MAX_BYTES) {
        out->bytes.len = start;
        refuse(sifter, input, at, DEAD_candidate_too_large, out);
        return;
    }
    sift_output_add(out, RECORD_CANDIDATE, start);
    if (wants_signal && !subject_is_definite(text_slot(&candidate.event[EVENT_SUBJECT_ID])))
        refuse(sifter, input, at, DEAD_unknown_subject, out);
}

static struct value value_at(const struct value *root, struct path path) {
    struct value at = *root, next;
    for (size_t i = 0; i < path.n; i++) {
        const struct path_step *step = &path.steps[i];
        struct value key = value_string(step->key);
        bool found =
            step->is_index
                ? at.type == VALUE_LIST && step->index >= 0 &&
                      at.container.source->at(at.container.source, at.container.node, (size_t)step->index, &next)
                : at.type == VALUE_MAP && at.container.source->get(at.container.source, at.container.node, &key, &next);
        if (!found)
            return value_absent();
        at = next;
    }
    return at;
}

// What the map unwraps, if it is there; otherwise the document itself is the event.
static struct value unwrap(const struct map *map, const struct value *root) {
    for (size_t i = 0; i < map->n_unwrap; i++) {
        struct value inner = value_at(root, map->unwrap[i]);
        if (inner.type == VALUE_LIST || inner.type == VALUE_MAP)
            return inner;
    }
    return *root;
}

static void sift_elements(struct sifter *sifter, const struct policy *policy, const struct source_binding *source,
                          const struct inventory *inventory, const struct sift_input *input, const struct value *list,
                          struct sift_output *out) {
    if (value_size(list) > SIFT_MAX_ELEMENTS) {
        refuse(sifter, input, input->at, DEAD_too_many_elements, out);
        return;
    }
    struct value element;
    size_t start = out->bytes.len;
    uint32_t index = 0;
    for (uint64_t cursor = 0;
         list->container.source->next(list->container.source, list->container.node, &cursor, NULL, &element); index++) {
        if (out->bytes.len - start > SIFT_RECORDS_BYTES(input->bytes.len))
            return; // the message becomes a dead letter
        sift_event(sifter, policy, source, inventory, input, &element, index, out);
        arena_reset(sifter->scratch);
    }
    if (index == 0) { // an empty container is an event that says nothing
        sifter->counts.events++;
        sifter->counts.dropped++;
    }
}

static void sift_document(struct sifter *sifter, const struct policy *policy, const struct source_binding *source,
                          const struct inventory *inventory, const struct sift_input *input, struct sift_output *out) {
    if (input->full_bytes > input->bytes.len || input->bytes.len > sifter->max_event_bytes) {
        refuse(sifter, input, input->at, DEAD_too_large, out);
        return;
    }
    enum jdoc_result parsed = jdoc_parse(sifter->doc, input->bytes);
    if (parsed != JDOC_OK) {
        refuse(sifter, input, input->at, reason_of(parsed), out);
        return;
    }
    struct value root = jdoc_root(sifter->doc);
    if (source->envelope) {
        enum jdoc_result extracted = jdoc_extract(sifter->doc, &root, source->envelope, sifter->slots);
        if (extracted != JDOC_OK) {
            refuse(sifter, input, input->at, reason_of(extracted), out);
            return;
        }
    }
    struct value inner = unwrap(source->map, &root);
    if (inner.type == VALUE_LIST)
        sift_elements(sifter, policy, source, inventory, input, &inner, out);
    else
        sift_event(sifter, policy, source, inventory, input, &inner, 0, out);
}

void sift_message(struct sifter *sifter, const struct policy *policy, const struct source_binding *source,
                  const struct inventory *inventory, const struct sift_input *input, struct sift_output *out) {
    struct sift_counts before = sifter->counts;
    size_t start = out->bytes.len, n = out->n;
    arena_reset(sifter->scratch);
    prepare_slots(sifter, policy, source);
    sift_document(sifter, policy, source, inventory, input, out);
    if (out->bytes.len - start > SIFT_RECORDS_BYTES(input->bytes.len)) {
        out->bytes.len = start;
        out->n = n;
        sifter->counts = before;
        refuse(sifter, input, input->at, DEAD_too_many_candidates, out);
    }
    sifter->counts.bytes += input->full_bytes;
}

uint64_t sift_counts_unreadable(const struct sift_counts *counts) {
    uint64_t sum = 0;
#define X(name, help) sum += counts->dead.name;
    SIFT_DEAD_REASONS(X)
#undef X
    return sum - counts->dead.candidate_too_large - counts->dead.unknown_subject;
}
