// Keys: values become a hash, with their types: the text "1" and the number 1 are
// different, and so are ("ab", "c") and ("a", "bc"). In what makes two events the same,
// absent is a value like others; but nothing is counted for nobody, so evidence with a
// memory needs all of its values.
#include "sift_internal.h"

#define VALUE_MAX_BYTES 4096 // of one value's text; what is longer is told apart by its beginning

static void add_value(struct hash_parts *parts, const struct value *v) {
    struct buf text;
    buf_init(&text, VALUE_MAX_BYTES);
    if (v->type == VALUE_STRING)
        json_write_string(&text, v->string);
    else
        json_write_value(&text, v);
    struct hash128 part = hash128_bytes(text.ptr, text.len);
    hash_parts_int(parts, (int64_t)part.hi);
    hash_parts_int(parts, (int64_t)part.lo);
    buf_free(&text);
}

struct hash128 dedup_key(const struct event_step *step, const struct route *route) {
    struct hash_parts parts = {.len = 0};
    hash_parts_str(&parts, route->name);
    for (size_t i = 0; i < route->n_dedup_key; i++) {
        struct value v = expr_eval(route->dedup_key[i], step->slots, step->scratch, EXPR_FUEL_DEFAULT);
        add_value(&parts, &v);
    }
    return hash_parts_end(&parts);
}

static bool add_present(const struct event_step *step, struct hash_parts *parts, struct expr *const *exprs, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct value v = expr_eval(exprs[i], step->slots, step->scratch, EXPR_FUEL_DEFAULT);
        if (v.type == VALUE_ERROR)
            step->counts->failed_conditions++;
        if (v.type == VALUE_ERROR || !value_is_present(&v))
            return false;
        add_value(parts, &v);
    }
    return true;
}

// The inventory's id if it knows the subject, so that its aliases are one. NULL: nobody in particular.
static const struct value *find_subject(const struct event_step *step) {
    const struct value *id = &step->slots[SLOT_EVENT + EVENT_SUBJECT_ID];
    const struct value *known_as = &step->slots[SLOT_IDENTITY + IDENTITY_ID];
    if (id->type != VALUE_STRING || !subject_is_definite(id->string))
        return NULL;
    return value_is_present(known_as) ? known_as : id;
}

static bool add_per(const struct event_step *step, struct hash_parts *parts, const struct memory *memory) {
    if (memory->n_per > 0)
        return add_present(step, parts, memory->per, memory->n_per);
    const struct value *subject = find_subject(step);
    if (subject)
        add_value(parts, subject);
    return subject;
}

bool find_memory(const struct event_step *step, const struct memory *memory, struct hit_evidence *found) {
    if (memory->kind == MEMORY_NONE)
        return true;
    if (memory->kind == MEMORY_AFTER)
        return find_subject(step); // by whom the gate finds what came before
    const struct value *tenant = &step->slots[SLOT_EVENT + EVENT_TENANT];
    struct hash_parts key = {.len = 0}, value = {.len = 0};
    hash_parts_int(&key, (int64_t)memory->id.hi);
    hash_parts_int(&key, (int64_t)memory->id.lo);
    hash_parts_str(&key, tenant->type == VALUE_STRING ? tenant->string : STR(""));
    if (!add_per(step, &key, memory) || !add_present(step, &value, memory->of, memory->n_of))
        return false;
    found->has_key = true;
    found->key = hash_parts_end(&key);
    found->value = hash_parts_end(&value).lo;
    return true;
}
