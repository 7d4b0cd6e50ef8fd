// Maps: from a vendor's document to the canonical fields. For each field the first
// expression with a present value wins; a table translates it; then it becomes the
// field's own type. What cannot become it is absent, never a wrong value.
#include <stdio.h>

#include "sift_internal.h"

static struct value evaluate(const struct event_step *step, const struct expr *expr) {
    int slot = expr_only_slot(expr);
    if (slot >= 0)
        return step->slots[slot];
    struct value v = expr_eval(expr, step->slots, step->scratch, EXPR_FUEL_DEFAULT);
    if (v.type == VALUE_ERROR) {
        step->counts->failed_conditions++;
        return value_absent();
    }
    return v;
}

// Ids are text whatever the vendor's JSON type is: 17 and "17" are the same id.
static struct value to_text(const struct value *v, struct arena *scratch) {
    switch (v->type) {
    case VALUE_STRING: return *v;
    case VALUE_BOOL: return value_string(v->boolean ? STR("true") : STR("false"));
    case VALUE_INT: return value_string(arena_printf(scratch, "%lld", (long long)v->int64));
    case VALUE_UINT: return value_string(arena_printf(scratch, "%llu", (unsigned long long)v->uint64));
    case VALUE_DOUBLE: {
        struct buf text;
        buf_init(&text, 64);
        json_write_double(&text, v->real);
        struct value out = value_string(arena_str(scratch, buf_view(&text)));
        buf_free(&text);
        return out;
    }
    default: return value_absent();
    }
}

static struct value to_timestamp(const struct value *v) {
    int64_t seconds;
    int32_t nanos;
    bool ok = v->type == VALUE_STRING   ? time_parse(v->string, &seconds, &nanos)
              : v->type == VALUE_INT    ? time_from_int(v->int64, &seconds, &nanos)
              : v->type == VALUE_DOUBLE ? time_from_number(v->real, &seconds, &nanos)
                                        : false;
    if (v->type == VALUE_TIMESTAMP)
        return *v;
    return ok ? value_timestamp(seconds, nanos) : value_absent();
}

static struct value to_double(const struct value *v) {
    double number;
    switch (v->type) {
    case VALUE_DOUBLE: return *v;
    case VALUE_INT: return value_double((double)v->int64);
    case VALUE_UINT: return value_double((double)v->uint64);
    case VALUE_STRING: return str_to_double(v->string, &number) ? value_double(number) : value_absent();
    default: return value_absent();
    }
}

static struct value to_bool(const struct value *v) {
    if (v->type == VALUE_BOOL)
        return *v;
    if (v->type == VALUE_STRING && (str_eq_fold(v->string, STR("true")) || str_eq_fold(v->string, STR("yes"))))
        return value_bool(true);
    if (v->type == VALUE_STRING && (str_eq_fold(v->string, STR("false")) || str_eq_fold(v->string, STR("no"))))
        return value_bool(false);
    return value_absent();
}

static struct value to_field_type(enum event_field field, const struct value *v, struct arena *scratch) {
    switch (event_fields[field].type) {
    case VALUE_STRING: return to_text(v, scratch);
    case VALUE_TIMESTAMP: return to_timestamp(v);
    case VALUE_DOUBLE: return to_double(v);
    case VALUE_BOOL: return to_bool(v);
    default: return *v;
    }
}

// The table's word for it; {NULL,0}: it has none.
static struct str find_word(const struct map_field *field, struct str from) {
    size_t low = 0, high = field->n_table;
    while (low < high) {
        size_t mid = (low + high) / 2;
        int order = str_cmp(field->table_from[mid], from);
        if (order == 0)
            return field->table_to[mid];
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return (struct str){NULL, 0};
}

// No value at all is not "some other value": `else` speaks for both, as a map's reader expects of `else: unknown`.
static struct value look_up(const struct map_field *field, const struct value *text) {
    struct str word = find_word(field, text->type == VALUE_STRING ? text->string : STR(""));
    if (!word.ptr)
        word = field->table_else;
    return word.ptr ? value_string(word) : value_absent();
}

static struct value first_present(const struct event_step *step, const struct map_field *field) {
    for (size_t i = 0; i < field->n_of; i++) {
        struct value v = evaluate(step, field->of[i]);
        if (value_is_present(&v))
            return v;
    }
    return value_absent();
}

static struct value map_value(const struct event_step *step, const struct map_field *field, const struct value *v) {
    if (field->n_table == 0)
        return v->type == VALUE_ABSENT ? *v : to_field_type(field->field, v, step->scratch);
    struct value text = to_text(v, step->scratch);
    struct value found = look_up(field, &text);
    return found.type == VALUE_ABSENT ? found : to_field_type(field->field, &found, step->scratch);
}

static struct value map_one(const struct event_step *step, const struct map_field *field) {
    struct value v = first_present(step, field);
    return map_value(step, field, &v);
}

void apply_map(const struct event_step *step) {
    const struct map *map = step->source->map;
    for (size_t i = 0; i < EVENT_FIELD_COUNT; i++)
        step->slots[SLOT_EVENT + i] = value_absent();
    for (size_t i = 0; i < map->n_fields; i++)
        step->slots[SLOT_EVENT + map->fields[i].field] = map_one(step, &map->fields[i]);
}

struct sift_mapped sift_view_field(const struct sift_view *view, const struct map_field *field) {
    struct sift_counts uncounted = {0};
    struct event_step step = view_step(view, &uncounted);
    struct value v = first_present(&step, field), text = to_text(&v, step.scratch);
    struct sift_mapped mapped = {.value = map_value(&step, field, &v), .from = v};
    mapped.has_table_word = field->n_table > 0 && text.type == VALUE_STRING && find_word(field, text.string).ptr;
    return mapped;
}
