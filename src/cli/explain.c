// `penstock explain`: what becomes of each event, step by step, for a person.
//
// The events go through the same sift and the same gate as in a replay, with somebody
// who looks on at both. Sift tells of an event before the gate decides about it, and of
// all events of a container first: so what was seen is kept as notes, which are written
// out when the whole message has passed.
#include <stdio.h>
#include <stdlib.h>

#include "because.h"
#include "feed.h"
#include "lines.h"

#define NOTES_MAX_BYTES (256u * 1024 * 1024) // of one message; further routes of it are not explained
#define PAGE_MAX_BYTES (1024u * 1024 * 1024)
#define FIELD_FORMAT "%-20s %.*s"
#define FIELD_HANG 21
#define EVIDENCE_HANG 34

struct evidence_note {
    struct because because;
    double weight; // as sift handed it to the gate
    bool sifted;   // it did
};
struct route_note {
    uint16_t route;
    struct because when;
    bool hit;
    struct evidence_note *evidence;
    bool *adjusted; // by adjustment: whether it applies
    struct buf text;
};
struct event_note {
    uint32_t index;
    struct buf text; // the event itself
    struct route_note *routes;
    size_t n_routes;
    size_t n_false, n_absent, n_failed; // routes that do not concern it
    bool cut;
};
struct sent { // an output that the gate made since a hit was last told of
    struct hash128 txn;
    struct str route, consumer, why, guard, action, subject;
    bool is_signal;
};
struct explainer {
    const struct policy *policy;
    const struct source_binding *binding;
    struct offline *offline;
    struct feed *feed;
    struct arena *arena; // of the message
    bool all;
    uint64_t wanted;     // 0: every event
    uint64_t before;     // events of the messages before
    uint32_t in_message; // of this one, so far
    uint64_t shown;
    struct event_note *events;
    size_t n_events, cap_events;
    struct sent *sent;
    size_t n_sent, cap_sent;
    struct buf page;
};

// Counts the event, too.
static bool is_wanted(struct explainer *explainer, uint32_t index) {
    if (explainer->in_message <= index)
        explainer->in_message = index + 1;
    return explainer->wanted == 0 || explainer->before + index + 1 == explainer->wanted;
}

// ---- what sift sees -------------------------------------------------------------------------

static struct event_note *add_event(struct explainer *explainer, uint32_t index) {
    if (explainer->n_events == explainer->cap_events) {
        explainer->cap_events = explainer->cap_events ? 2 * explainer->cap_events : 16;
        explainer->events = must_realloc(explainer->events, explainer->cap_events * sizeof *explainer->events);
    }
    struct event_note *event = &explainer->events[explainer->n_events++];
    *event = (struct event_note){.index = index};
    buf_init(&event->text, PAGE_MAX_BYTES);
    return event;
}

static struct str add_word(struct arena *arena, struct str list, struct str word) {
    return arena_printf(arena, "%.*s%s%.*s", STR_ARG(list), list.len ? ", " : "", STR_ARG(word));
}

static void tell_event_fields(struct explainer *explainer, const struct sift_view *view, struct buf *out) {
    const struct map *map = view->source->map;
    struct str missing = STR("");
    bool maps_id = false;
    lines_add(out, 2, 2, "map %.*s", STR_ARG(map->name));
    for (size_t i = 0; i < map->n_fields; i++) {
        const struct value *v = &view->slots[SLOT_EVENT + map->fields[i].field];
        const char *path = event_fields[map->fields[i].field].path;
        bool mapped = sift_view_field(view, &map->fields[i]).value.type != VALUE_ABSENT;
        maps_id |= mapped && map->fields[i].field == EVENT_ID;
        if (!mapped && map->fields[i].field != EVENT_ID) {
            missing = add_word(explainer->arena, missing, str_of(path));
            continue;
        }
        if (!mapped)
            continue;
        struct str text = value_text(explainer->arena, v);
        lines_add(out, 4, FIELD_HANG, FIELD_FORMAT, path, STR_ARG(text));
    }
    if (!maps_id)
        lines_add(out, 4, FIELD_HANG, "%-20s a hash of the event's bytes, for the map gave none", "id");
    if (missing.len > 0)
        lines_add(out, 4, FIELD_HANG, FIELD_FORMAT, "not there", STR_ARG(missing));
}

static void tell_identity(struct explainer *explainer, const struct sift_view *view, struct buf *out) {
    const struct value *subject = &view->slots[SLOT_EVENT + EVENT_SUBJECT_ID];
    struct arena *arena = explainer->arena;
    struct str facts = STR("");
    if (subject->type != VALUE_STRING || !subject_is_definite(subject->string)) {
        lines_add(out, 2, FIELD_HANG, "identity: nobody in particular: the event names no definite subject");
        return;
    }
    struct str name = value_text(arena, subject);
    if (!view->known_identity) {
        lines_add(out, 2, 2, "identity %.*s: the inventory does not know it", STR_ARG(name));
        return;
    }
    for (size_t i = 0; i < IDENTITY_FIELD_COUNT; i++) {
        const struct value *v = &view->slots[SLOT_IDENTITY + i];
        if (v->type == VALUE_ABSENT)
            continue;
        struct str text = value_text(arena, v);
        facts = add_word(arena, facts, arena_printf(arena, "%s %.*s", identity_fields[i].path, STR_ARG(text)));
    }
    lines_add(out, 2, 2, "identity %.*s: %.*s", STR_ARG(name), STR_ARG(facts));
}

static void note_hit(struct explainer *explainer, const struct sift_view *view, struct route_note *note) {
    const struct route *route = &explainer->policy->routes[note->route];
    struct hit hit;
    note->hit = sift_view_hit(view, note->route, &hit);
    note->evidence = must_alloc((route->n_evidence + 1) * sizeof *note->evidence);
    note->adjusted = must_alloc((route->n_adjust + 1) * sizeof *note->adjusted);
    for (size_t i = 0; i < route->n_evidence; i++)
        note->evidence[i].because = find_because(view, route->evidence[i].when, explainer->arena);
    for (size_t i = 0; note->hit && i < hit.n_evidence; i++) {
        note->evidence[hit.evidence[i].index].sifted = true;
        note->evidence[hit.evidence[i].index].weight = hit.evidence[i].weight;
    }
    for (size_t i = 0; i < route->n_adjust; i++)
        note->adjusted[i] = expr_holds(route->adjust[i].when, view->slots, view->scratch) == EXPR_TRUE;
}

static void tell_because(struct buf *out, const struct because *because) {
    lines_add(out, 4, FIELD_HANG, "%-20s %s: %.*s", "when", truth_word(because->truth), STR_ARG(because->term));
    if (because->reason.len > 0)
        lines_add(out, 4 + FIELD_HANG, 2, "%.*s", STR_ARG(because->reason));
}

static void tell_evidence(struct buf *out, const struct route *route, const struct route_note *note,
                          const struct gate_view *decided);

static void note_route(struct explainer *explainer, const struct sift_view *view, struct event_note *event,
                       uint16_t index) {
    struct because when = find_because(view, explainer->policy->routes[index].when, explainer->arena);
    event->n_false += when.truth == EXPR_FALSE;
    event->n_absent += when.truth == EXPR_ABSENT;
    event->n_failed += when.truth == EXPR_FAILED;
    if (when.truth != EXPR_TRUE && !explainer->all)
        return;
    if (arena_used(explainer->arena) > NOTES_MAX_BYTES) {
        event->cut = true;
        return;
    }
    struct route_note *note = &event->routes[event->n_routes++];
    *note = (struct route_note){.route = index, .when = when};
    buf_init(&note->text, PAGE_MAX_BYTES);
    if (when.truth != EXPR_TRUE) {
        tell_because(&note->text, &when);
        return;
    }
    note_hit(explainer, view, note);
    lines_add(&note->text, 4, FIELD_HANG, "%-20s holds", "when");
    if (!note->hit) {
        tell_evidence(&note->text, &explainer->policy->routes[index], note, NULL);
        lines_add(&note->text, 4, FIELD_HANG, "%-20s dropped: no evidence fires", "verdict");
    }
}

static void see_event(void *ctx, const struct sift_view *view) {
    struct explainer *explainer = ctx;
    if (!is_wanted(explainer, view->index))
        return;
    struct event_note *event = add_event(explainer, view->index);
    tell_event_fields(explainer, view, &event->text);
    tell_identity(explainer, view, &event->text);
    event->routes = must_alloc((view->source->n_routes + 1) * sizeof *event->routes);
    for (size_t i = 0; i < view->source->n_routes; i++)
        note_route(explainer, view, event, view->source->routes[i]);
}

// ---- what the gate decides ----------------------------------------------------------------------

static struct event_note *find_event(struct explainer *explainer, uint32_t index) {
    for (size_t i = explainer->n_events; i-- > 0;)
        if (explainer->events[i].index == index)
            return &explainer->events[i];
    return NULL;
}

static const struct output_evidence *find_decided(const struct gate_view *decided, struct str name) {
    for (size_t i = 0; decided && i < decided->n_evidence; i++)
        if (str_eq(decided->evidence[i].name, name))
            return &decided->evidence[i];
    return NULL;
}

static const char *boundary_word(unsigned boundary) {
    return boundary & BOUNDARY_PRIVILEGE ? "privilege"
           : boundary & BOUNDARY_DATA    ? "data"
           : boundary & BOUNDARY_TRUST   ? "trust"
                                         : "none";
}

// What did not count, and why.
static void tell_silent(struct buf *out, struct str name, const struct evidence_note *note) {
    if (note->because.truth != EXPR_TRUE) {
        lines_add(out, 6, EVIDENCE_HANG, "%-24.*s %-8s %.*s", STR_ARG(name), truth_word(note->because.truth),
                  STR_ARG(note->because.term));
        if (note->because.reason.len > 0)
            lines_add(out, 6 + EVIDENCE_HANG, 2, "%.*s", STR_ARG(note->because.reason));
    } else if (note->sifted) {
        lines_add(out, 6, EVIDENCE_HANG, "%-24.*s holds    but does not fire by what came before", STR_ARG(name));
    } else {
        lines_add(out, 6, EVIDENCE_HANG, "%-24.*s holds    but counts for nothing here", STR_ARG(name));
    }
}

// Each piece adds its weight's share of the doubt that those before it left; together they are the confidence.
static void tell_evidence(struct buf *out, const struct route *route, const struct route_note *note,
                          const struct gate_view *decided) {
    double before = 0;
    if (route->n_evidence == 0)
        return;
    lines_add(out, 4, 2, "evidence");
    for (size_t i = 0; i < route->n_evidence; i++) {
        const struct evidence *evidence = &route->evidence[i];
        const struct output_evidence *counted = find_decided(decided, evidence->name);
        if (!counted) {
            tell_silent(out, evidence->name, &note->evidence[i]);
            continue;
        }
        must(decided != NULL); // for it counts
        bool fresh = note->evidence[i].sifted && counted->weight <= note->evidence[i].weight;
        double adds = counted->weight * (1 - before);
        double share = decided->confidence > 0 ? adds / decided->confidence : 0;
        char boundary[40] = "";
        if (counted->boundary != BOUNDARY_NONE)
            snprintf(boundary, sizeof boundary, ", crosses %s", boundary_word((unsigned)counted->boundary));
        before += adds;
        lines_add(out, 6, EVIDENCE_HANG, "%-24.*s %-8s weight %.4g, adds %.4g: %.0f %% of the confidence%s%s",
                  STR_ARG(evidence->name), truth_word(note->evidence[i].because.truth), counted->weight, adds,
                  100 * share, boundary, fresh ? "" : ", remembered");
    }
}

static void tell_confidence(struct explainer *explainer, struct buf *out, const struct gate_view *decided) {
    struct str product = STR("");
    for (size_t i = 0; i < decided->n_evidence; i++)
        product = arena_printf(explainer->arena, "%.*s(1 - %.4g)", STR_ARG(product), decided->evidence[i].weight);
    if (decided->n_evidence > 0)
        lines_add(out, 4, FIELD_HANG, "%-20s %.4g = 1 - %.*s", "confidence", decided->confidence, STR_ARG(product));
    else
        lines_add(out, 4, FIELD_HANG, "%-20s %.4g", "confidence", decided->confidence);
}

static void tell_threshold(struct explainer *explainer, struct buf *out, const struct route_note *note,
                           const char *name, bool signal) {
    const struct route *route = &explainer->policy->routes[note->route];
    double threshold = signal ? route->threshold_signal : route->threshold_alert;
    lines_add(out, 6, EVIDENCE_HANG, "%-24s %.4g", name, threshold);
    for (size_t i = 0; i < route->n_adjust; i++) {
        double by = signal ? route->adjust[i].signal : route->adjust[i].alert;
        if (!note->adjusted[i] || by == 0)
            continue;
        threshold += by;
        struct str source = one_line(explainer->arena, expr_source(route->adjust[i].when));
        lines_add(out, 6 + 25, 2, "%+.4g = %.4g: %.*s", by, threshold, STR_ARG(source));
    }
}

static const char *why_text(struct str why) {
    static const struct {
        const char *why, *text;
    } texts[] = {
        {"below_threshold", "it is below the signal threshold"},
        {"mode", "the route's mode is alert"},
        {"protected", "the inventory protects the identity"},
        {"unowned", "the inventory names no owner of the identity"},
        {"unknown_subject", "the event names no definite subject"},
        {"held_expired", "it was held until its time was up"},
        {"hold_full", "the hold was full"},
        {"limited", "a limit was reached"},
        {"no_consumer", "no consumer accepts the signal"},
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (str_eq(why, str_of(texts[i].why)))
            return texts[i].text;
    return "it is no signal";
}

static void tell_sent(struct buf *out, const struct sent *sent) {
    lines_add(out, 6, EVIDENCE_HANG, "to %.*s: %s%.*s%s%.*s%s%.*s", STR_ARG(sent->consumer),
              sent->is_signal ? "signal " : "alert", STR_ARG(sent->action), sent->why.len ? ", why " : "",
              STR_ARG(sent->why), sent->guard.len ? ", guard " : "", STR_ARG(sent->guard));
}

static struct str guard_text(struct explainer *explainer, const struct guard *guard) {
    return arena_printf(explainer->arena, "%.*s (per %.*s, %.*s)", STR_ARG(guard->name), STR_ARG(guard->level),
                        STR_ARG(guard->limit));
}

static struct str outcome_text(struct arena *arena, const struct route *route, const struct gate_view *decided) {
    const char *shadow = ", but nothing is sent: the route's mode is shadow";
    char within[TIME_TEXT_MAX];
    switch (decided->outcome) {
    case OUTCOME_BELOW: return STR("dropped: below the alert threshold");
    case OUTCOME_UNKNOWN_SUBJECT: return STR("dead letter: to be enforced, but it names no definite subject");
    case OUTCOME_DEDUPLICATED:
        within[duration_format(route->dedup_within_ms, within)] = '\0';
        return arena_printf(arena, "deduplicated: a repeat within %s, counted into the first", within);
    case OUTCOME_SIGNAL: return arena_printf(arena, "signal: %.*s", STR_ARG(route->action));
    case OUTCOME_SHADOW_SIGNAL: return arena_printf(arena, "signal: %.*s%s", STR_ARG(route->action), shadow);
    case OUTCOME_ALERT:
    case OUTCOME_SHADOW_ALERT: break;
    }
    if (decided->outcome == OUTCOME_ALERT)
        shadow = "";
    if (decided->why.len == 0)
        return arena_printf(arena, "alert%s", shadow);
    return arena_printf(arena, "alert, no signal: %.*s: %s%s", STR_ARG(decided->why), why_text(decided->why), shadow);
}

static void tell_outcome(struct explainer *explainer, struct buf *out, const struct route *route,
                         const struct gate_view *decided) {
    struct str text = outcome_text(explainer->arena, route, decided);
    lines_add(out, 4, FIELD_HANG, FIELD_FORMAT, "verdict", STR_ARG(text));
    bool is_alert = decided->outcome == OUTCOME_ALERT || decided->outcome == OUTCOME_SHADOW_ALERT;
    if (is_alert && (decided->boundaries & route->escalate_on) != 0)
        lines_add(out, 4 + FIELD_HANG, 2, "a crossed boundary (%s) makes at least an alert",
                  boundary_word(decided->boundaries & route->escalate_on));
    if (decided->n_held > 0 && decided->guard) {
        struct str guard = guard_text(explainer, decided->guard);
        lines_add(out, 6, EVIDENCE_HANG, "held: %llu, by %.*s", (unsigned long long)decided->n_held, STR_ARG(guard));
    }
}

// The outputs of this hit; what else was made meanwhile stays for tell_meanwhile.
static size_t take_sent(struct explainer *explainer, struct buf *out, const struct route *route,
                        const struct candidate *candidate) {
    struct hash128 txn = cause_id(&candidate->at);
    size_t kept = 0, taken = 0;
    for (size_t i = 0; i < explainer->n_sent; i++) {
        const struct sent *sent = &explainer->sent[i];
        if (hash128_eq(sent->txn, txn) && str_eq(sent->route, route->name)) {
            tell_sent(out, sent);
            taken++;
        } else {
            explainer->sent[kept++] = *sent;
        }
    }
    explainer->n_sent = kept;
    return taken;
}

static void see_decision(void *ctx, const struct gate_view *decided) {
    struct explainer *explainer = ctx;
    const struct route *route = &explainer->policy->routes[decided->route];
    struct event_note *event = find_event(explainer, decided->candidate->at.index);
    struct route_note *note = NULL;
    struct buf unwanted;
    for (size_t i = 0; event && i < event->n_routes; i++)
        if (event->routes[i].route == decided->route)
            note = &event->routes[i];
    if (!note) {
        buf_init(&unwanted, PAGE_MAX_BYTES);
        take_sent(explainer, &unwanted, route, decided->candidate);
        buf_free(&unwanted);
        return;
    }
    struct buf *out = &note->text;
    tell_evidence(out, route, note, decided);
    tell_confidence(explainer, out, decided);
    lines_add(out, 4, 2, "thresholds");
    tell_threshold(explainer, out, note, "alert", false);
    if (route->has_signal)
        tell_threshold(explainer, out, note, "signal", true);
    tell_outcome(explainer, out, route, decided);
    size_t n = take_sent(explainer, out, route, decided->candidate);
    bool goes_out = decided->outcome == OUTCOME_ALERT || (decided->outcome == OUTCOME_SIGNAL && !decided->n_held);
    if (n == 0 && goes_out)
        lines_add(out, 6, 2, "to nobody: no consumer accepts it");
}

// ---- what comes out --------------------------------------------------------------------------------

static void see_dead_letter(struct explainer *explainer, const struct dead_letter *letter) {
    if (!is_wanted(explainer, letter->at.index))
        return;
    struct event_note *event = find_event(explainer, letter->at.index);
    if (!event)
        event = add_event(explainer, letter->at.index);
    lines_add(&event->text, 2, 4, "dead letter: %.*s: %.*s", STR_ARG(letter->reason), STR_ARG(letter->detail));
}

static void see_output(void *ctx, const struct emission *emission) {
    struct explainer *explainer = ctx;
    const struct output *output = emission->output;
    struct arena *arena = explainer->arena;
    if (output->kind == OUTPUT_IS_DEAD_LETTER) {
        see_dead_letter(explainer, output->dead_letter);
        return;
    }
    if (explainer->n_sent == explainer->cap_sent) {
        explainer->cap_sent = explainer->cap_sent ? 2 * explainer->cap_sent : 64;
        explainer->sent = must_realloc(explainer->sent, explainer->cap_sent * sizeof *explainer->sent);
    }
    struct sent *sent = &explainer->sent[explainer->n_sent++];
    *sent = (struct sent){.txn = output->txn,
                          .route = output->route,
                          .consumer = emission->consumer->name,
                          .why = arena_str(arena, output->why),
                          .is_signal = output->kind == OUTPUT_IS_SIGNAL,
                          .subject = value_text(arena, &output->candidate->event[EVENT_SUBJECT_ID])};
    if (sent->is_signal)
        sent->action = output->action;
    if (output->guard)
        sent->guard = guard_text(explainer, output->guard);
}

static void tell_meanwhile(struct explainer *explainer) {
    for (size_t i = 0; i < explainer->n_sent; i++) {
        const struct sent *sent = &explainer->sent[i];
        lines_add(&explainer->page, 0, 2, "meanwhile, of an earlier event: route %.*s, subject %.*s",
                  STR_ARG(sent->route), STR_ARG(sent->subject));
        tell_sent(&explainer->page, sent);
    }
    explainer->n_sent = 0;
}

static void tell_others(const struct explainer *explainer, struct buf *out, const struct event_note *event) {
    size_t n = event->n_false + event->n_absent + event->n_failed;
    if (event->cut)
        lines_add(out, 2, 2, "more routes than are explained at once: choose an event by --event");
    if (n == 0 || explainer->all)
        return;
    lines_add(out, 2, 2,
              "%zu other route%s not concern it: %zu false, %zu for what is not there, %zu failed (--all: why)", n,
              n == 1 ? " does" : "s do", event->n_false, event->n_absent, event->n_failed);
}

static void tell_event(struct explainer *explainer, const struct event_note *event) {
    static const char *const modes[] = {"shadow", "alert", "enforce"};
    struct buf *page = &explainer->page;
    char element[40] = "";
    if (event->index > 0)
        snprintf(element, sizeof element, ", element %u", event->index);
    unsigned long long number = explainer->before + event->index + 1;
    lines_add(page, 0, 2, "event %llu (%s:%lld%s)", number, feed_name(explainer->feed),
              (long long)feed_line(explainer->feed), element);
    buf_str(page, buf_view(&event->text));
    for (size_t i = 0; i < event->n_routes; i++) {
        const struct route *route = &explainer->policy->routes[event->routes[i].route];
        lines_add(page, 2, 2, "route %.*s (%.*s:%u, %s)", STR_ARG(route->name), STR_ARG(route->file), route->line,
                  modes[route->mode]);
        buf_str(page, buf_view(&event->routes[i].text));
    }
    if (event->routes)
        tell_others(explainer, page, event);
    buf_char(page, '\n');
    explainer->shown++;
}

static void free_event(struct event_note *event) {
    for (size_t i = 0; i < event->n_routes; i++) {
        free(event->routes[i].evidence);
        free(event->routes[i].adjusted);
        buf_free(&event->routes[i].text);
    }
    free(event->routes);
    buf_free(&event->text);
}

// ---- the whole ------------------------------------------------------------------------------------------

static bool explain_message(void *ctx, struct feed *feed) {
    struct explainer *explainer = ctx;
    struct sift_input input = feed_input(feed, explainer->binding);
    explainer->feed = feed;
    explainer->in_message = 0;
    offline_message(explainer->offline, explainer->binding, &input, -1);
    if (explainer->in_message == 0 && is_wanted(explainer, 0))
        lines_add(&add_event(explainer, 0)->text, 2, 2, "dropped: the map unwraps an empty list");
    if (explainer->n_events > 0)
        tell_meanwhile(explainer);
    explainer->n_sent = 0;
    for (size_t i = 0; i < explainer->n_events; i++) {
        tell_event(explainer, &explainer->events[i]);
        free_event(&explainer->events[i]);
    }
    explainer->n_events = 0;
    explainer->before += explainer->in_message;
    must(!explainer->page.overflow);
    print_text(buf_view(&explainer->page), stdout);
    buf_clear(&explainer->page);
    arena_reset(explainer->arena);
    return explainer->wanted == 0 || explainer->before < explainer->wanted;
}

static int explain_files(struct explainer *explainer, struct inventory *inventory, struct policy *policy, int n_files,
                         char **files) {
    explainer->arena = arena_new(4 * (size_t)NOTES_MAX_BYTES);
    explainer->offline = offline_new(policy, inventory, see_output, explainer);
    buf_init(&explainer->page, PAGE_MAX_BYTES);
    offline_set_watch(explainer->offline, see_event, see_decision, explainer);
    bool ok = feed_files(&verb_explain, n_files, files, explain_message, explainer);
    uint64_t held = gate_get_counts(offline_gate(explainer->offline))->held_now;
    if (held > 0 && explainer->wanted == 0)
        printf("at the end %llu held signal%s still wait%s\n", (unsigned long long)held, held == 1 ? "" : "s",
               held == 1 ? "s" : "");
    if (ok && explainer->wanted > 0 && explainer->shown == 0) {
        fprintf(stderr, "penstock explain: there is no event %llu: the input has %llu\n",
                (unsigned long long)explainer->wanted, (unsigned long long)explainer->before);
        ok = false;
    }
    offline_free(explainer->offline);
    arena_free(explainer->arena);
    buf_free(&explainer->page);
    free(explainer->events);
    free(explainer->sent);
    return ok && fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
}

// --all takes no value, so it is taken out before the options are read.
static bool take_all(int *argc, char **argv) {
    int kept = 1;
    for (int i = 1; i < *argc; i++)
        if (strcmp(argv[i], "--all") != 0)
            argv[kept++] = argv[i];
    bool found = kept < *argc;
    *argc = kept;
    return found;
}

static int run(int argc, char **argv) {
    const char *routes = NULL, *inventory_path = NULL, *source = NULL, *event = NULL;
    const struct option options[] = {{"--routes", &routes, true},
                                     {"--inventory", &inventory_path, false},
                                     {"--source", &source, true},
                                     {"--event", &event, false}};
    struct explainer explainer = {.all = take_all(&argc, argv)};
    int64_t wanted = 0;
    int code;
    if (!options_read(&verb_explain, options, COUNT_OF(options), &argc, argv, &code))
        return code;
    if (event && (!str_to_int64(str_of(event), &wanted) || wanted < 1))
        return usage_error(&verb_explain, "--event takes a number from 1 on, not '%s'", event);
    explainer.wanted = (uint64_t)wanted;
    logline_setup(LOGLINE_LOGFMT, LOGLINE_WARN);
    struct policy *policy = load_routes(routes, NULL, 0, false, NULL);
    struct inventory *inventory = policy ? load_inventory_or_empty(inventory_path) : NULL;
    code = EXIT_FAILED;
    if (inventory) {
        explainer.policy = policy;
        explainer.binding = find_binding(&verb_explain, policy, source);
        code = EXIT_USAGE;
    }
    if (explainer.binding)
        code = explain_files(&explainer, inventory, policy, argc - 1, argv + 1);
    inventory_unref(inventory);
    policy_unref(policy);
    return code;
}

const struct verb verb_explain = {
    .name = "explain",
    .summary = "say what becomes of each recorded event, and why",
    .help = "penstock explain --routes DIR [--inventory FILE] --source NAME [--event N] [--all] [FILE…|-]\n\n"
            "Raw events (NDJSON; from standard input without a FILE) go through map, routes and gate\n"
            "as in a replay. For each one, or the Nth alone, it says what the map made of it, who the\n"
            "identity is, and for each route that concerns it: its evidence with the weights and what\n"
            "each adds to the confidence, the thresholds and what adjusted them, the verdict, who gets\n"
            "what, and which guard stood in the way. With --all also why the other routes do not\n"
            "concern it: the first part of the condition that is false, hangs on a field that is not\n"
            "there, or failed. The events before the Nth are decided too: the gate remembers.\n\n"
            "Exit: 0, 1 if a file could not be read or there is no Nth event, 2 usage.\n",
    .run = run,
};
