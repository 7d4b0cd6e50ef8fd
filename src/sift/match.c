// Matching: which routes concern an event, and what evidence it gives each of them.
//
// A route is hit when its condition holds and at least one piece of evidence fires, or
// might: evidence with a memory fires in the gate. Everything about the event that the
// gate will need is worked out here, once.
#include "sift_internal.h"

static bool holds(const struct event_step *step, const struct expr *condition) {
    if (!condition)
        return true;
    enum expr_truth truth = expr_holds(condition, step->slots, step->scratch);
    if (truth == EXPR_FAILED)
        step->counts->failed_conditions++;
    return truth == EXPR_TRUE;
}

static double weigh(const struct event_step *step, const struct expr *weight) {
    struct value v = expr_eval(weight, step->slots, step->scratch, EXPR_FUEL_DEFAULT);
    double w = v.type == VALUE_DOUBLE ? v.real
               : v.type == VALUE_INT  ? (double)v.int64
               : v.type == VALUE_UINT ? (double)v.uint64
                                      : 0.0;
    if (v.type == VALUE_ERROR)
        step->counts->failed_conditions++;
    return w > 1.0 ? 1.0 : w > 0.0 ? w : 0.0; // a NaN weighs nothing
}

// Evidence with a memory goes along whenever its condition holds, and so does what others come after: whether it
// counts, and for whom, is for the gate to say.
static void collect_evidence(const struct event_step *step, const struct route *route, struct hit *hit) {
    for (size_t i = 0; i < route->n_evidence; i++) {
        const struct evidence *evidence = &route->evidence[i];
        if (!holds(step, evidence->when))
            continue;
        struct hit_evidence found = {.index = (uint8_t)i, .weight = weigh(step, evidence->weight)};
        bool is_wanted = found.weight > 0.0 || evidence->trace_ms > 0;
        if (is_wanted && find_memory(step, &evidence->memory, &found))
            hit->evidence[hit->n_evidence++] = found;
    }
}

static struct str cut_text(struct str text, size_t max) {
    if (text.len <= max)
        return text;
    size_t len = max;
    while (len > 0 && ((unsigned char)text.ptr[len] & 0xc0) == 0x80)
        len--; // never half a character
    return (struct str){text.ptr, len};
}

static struct str render(const struct event_step *step, const struct template *template) {
    struct buf text;
    buf_init(&text, 64 * 1024);
    for (size_t i = 0; i < template->n; i++) {
        const struct template_part *part = &template->parts[i];
        if (!part->expr) {
            buf_str(&text, part->literal);
            continue;
        }
        struct value v = expr_eval(part->expr, step->slots, step->scratch, EXPR_FUEL_DEFAULT);
        if (v.type == VALUE_STRING)
            buf_str(&text, v.string);
        else if (v.type == VALUE_ABSENT || v.type == VALUE_NULL || v.type == VALUE_ERROR)
            buf_char(&text, '-');
        else
            json_write_value(&text, &v);
    }
    struct str out = arena_str(step->scratch, cut_text(buf_view(&text), TITLE_MAX_BYTES));
    buf_free(&text);
    return out;
}

static struct str severity_of(const struct event_step *step, const struct route *route) {
    struct value v = expr_eval(route->severity, step->slots, step->scratch, EXPR_FUEL_DEFAULT);
    return v.type == VALUE_STRING ? cut_text(v.string, 64) : STR("medium");
}

static void adjust_thresholds(const struct event_step *step, const struct route *route, struct hit *hit) {
    for (size_t i = 0; i < route->n_adjust; i++) {
        if (!holds(step, route->adjust[i].when))
            continue;
        hit->adjust_alert += route->adjust[i].alert;
        hit->adjust_signal += route->adjust[i].signal;
    }
}

static bool match_route(const struct event_step *step, uint16_t index, struct hit *hit) {
    const struct route *route = &step->policy->routes[index];
    if (!holds(step, route->when))
        return false;
    *hit = (struct hit){.route = index};
    collect_evidence(step, route, hit);
    if (route->n_evidence > 0 && hit->n_evidence == 0)
        return false;
    adjust_thresholds(step, route, hit);
    hit->dedup_key = dedup_key(step, route);
    hit->severity = severity_of(step, route);
    hit->title = render(step, &route->title);
    hit->reason = render(step, &route->reason);
    return true;
}

size_t match_routes(const struct event_step *step, struct candidate_writer *writer, bool *wants_signal) {
    size_t n = 0;
    struct hit hit;
    for (size_t i = 0; i < step->source->n_routes; i++) {
        uint16_t index = step->source->routes[i];
        if (!match_route(step, index, &hit))
            continue;
        candidate_add_hit(writer, &hit);
        const struct route *route = &step->policy->routes[index];
        *wants_signal |= route->has_signal && hit_is_certain(route, &hit);
        n++;
    }
    return n;
}

bool sift_view_hit(const struct sift_view *view, uint16_t route, struct hit *hit) {
    struct sift_counts uncounted = {0};
    struct event_step step = view_step(view, &uncounted);
    return match_route(&step, route, hit);
}
