// memory: `count`, `distinct`, `first_seen` and `after` of a piece of evidence, and which evidence each `after` means.
#include "compile.h"

#define OF_MAX 3
#define PER_MAX 8
#define CHAIN_MAX 32

// ---- reading --------------------------------------------------------------------------------

static struct memory *memory_of(void *evidence) {
    return &((struct evidence *)evidence)->memory;
}

static void check_within(struct compile *c, const struct doc_node *node, const struct memory *memory,
                         const char *name) {
    const struct doc_node *within = doc_get(node, name);
    if (within && memory->within_ms == 0)
        report_error(c, place_of(c->file, within), "'%s' must be longer than nothing", name);
}

static void check_at_least(struct compile *c, const struct doc_node *node, const struct memory *memory, int64_t most) {
    const struct doc_node *at_least = doc_get(node, "at_least");
    if (at_least && (memory->at_least < 2 || memory->at_least > most))
        report_error(c, place_of(c->file, at_least), "'at_least' must be from 2 to %lld", (long long)most);
}

static void check_list(struct compile *c, const struct doc_node *node, const char *name, const char *remedy) {
    const struct doc_node *list = doc_get(node, name);
    if (list && list->kind == DOC_SEQUENCE && list->n == 0)
        report_error(c, place_of(c->file, list), "'%s' is empty; %s", name, remedy);
}

#define PER_REMEDY "leave it out to count each subject apart, or name what is counted apart, such as [event.net.ip]"
#define OF_REMEDY "name the values that make the difference"

static void end_count(struct compile *c, const struct doc_node *node, void *target) {
    memory_of(target)->kind = MEMORY_COUNT;
    check_at_least(c, node, memory_of(target), COUNT_MAX);
    check_within(c, node, memory_of(target), "within");
    check_list(c, node, "per", PER_REMEDY);
}

static void end_distinct(struct compile *c, const struct doc_node *node, void *target) {
    memory_of(target)->kind = MEMORY_DISTINCT;
    check_at_least(c, node, memory_of(target), DISTINCT_MAX);
    check_within(c, node, memory_of(target), "within");
    check_list(c, node, "of", OF_REMEDY);
    check_list(c, node, "per", PER_REMEDY);
}

static void end_first_seen(struct compile *c, const struct doc_node *node, void *target) {
    memory_of(target)->kind = MEMORY_FIRST_SEEN;
    check_within(c, node, memory_of(target), "remember");
    check_list(c, node, "of", OF_REMEDY);
    check_list(c, node, "per", PER_REMEDY);
}

static void end_after(struct compile *c, const struct doc_node *node, void *target) {
    memory_of(target)->kind = MEMORY_AFTER;
    check_within(c, node, memory_of(target), "within");
}

void check_memory(struct compile *c, const struct doc_node *evidence) {
    static const char *const kinds[] = {"count", "distinct", "first_seen", "after"};
    const char *first = NULL;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        const struct doc_node *node = doc_get(evidence, kinds[i]);
        if (node && first)
            report_error(c, place_of(c->file, node),
                         "'%s' and '%s' cannot stand in one piece of evidence; make two of it", first, kinds[i]);
        if (node && !first)
            first = kinds[i];
    }
}

#define IN_MEMORY(member) offsetof(struct evidence, memory.member)
#define AT_LEAST_KEY(most) \
    { .name = "at_least", .kind = KEY_COUNT, .required = true, .at = IN_MEMORY(at_least), .text = "how many, " most }
#define WITHIN_KEY \
    { .name = "within", .kind = KEY_DURATION, .required = true, .at = IN_MEMORY(within_ms), .text = "in which time" }
#define OF_KEY \
    { \
        .name = "of", .kind = KEY_EXPRS, .required = true, .at = IN_MEMORY(of), .count_at = IN_MEMORY(n_of), \
        .wanted = VALUE_ANY, .most = OF_MAX, .text = "the value, or up to three that are one together" \
    }
#define PER_KEY \
    { \
        .name = "per", .kind = KEY_EXPRS, .at = IN_MEMORY(per), .count_at = IN_MEMORY(n_per), .wanted = VALUE_ANY, \
        .most = PER_MAX, \
        .text = "what is counted apart, within the tenant; left out: the subject with all its aliases" \
    }

static const struct key count_keys[] = {AT_LEAST_KEY("from 2 to 1000000; above 64 it may fire 1/64 later"), WITHIN_KEY,
                                        PER_KEY};
const struct object count_object = {.name = "count",
                                    .example = "{at_least: 10, within: 5m}",
                                    KEYS(count_keys),
                                    .bytes = sizeof(struct evidence),
                                    .end = end_count};

static const struct key distinct_keys[] = {OF_KEY, AT_LEAST_KEY("from 2 to 256"), WITHIN_KEY, PER_KEY};
const struct object distinct_object = {.name = "distinct",
                                       .example = "{of: event.net.ip, at_least: 5, within: 10m}",
                                       KEYS(distinct_keys),
                                       .bytes = sizeof(struct evidence),
                                       .end = end_distinct};

static const struct key first_seen_keys[] = {
    OF_KEY,
    PER_KEY,
    {.name = "remember",
     .kind = KEY_DURATION,
     .required = true,
     .at = IN_MEMORY(within_ms),
     .text = "how long a value is known after it was last seen"},
    {.name = "learn",
     .kind = KEY_DURATION,
     .at = IN_MEMORY(learn_ms),
     .text = "how long nothing fires after a key's first event; left out: its first event fires"},
};
const struct object first_seen_object = {.name = "first_seen",
                                         .example = "{of: event.net.country, remember: 14d}",
                                         KEYS(first_seen_keys),
                                         .bytes = sizeof(struct evidence),
                                         .end = end_first_seen};

static const struct key after_keys[] = {
    {.name = "evidence",
     .kind = KEY_TEXT,
     .required = true,
     .at = IN_MEMORY(after),
     .text = "its name, or route/name if another route has it"},
    WITHIN_KEY,
};
const struct object after_object = {.name = "after",
                                    .example = "{evidence: mfa-reset, within: 10m}",
                                    KEYS(after_keys),
                                    .bytes = sizeof(struct evidence),
                                    .end = end_after};

// ---- what comes after what ------------------------------------------------------------------

static struct place place_of_after(const struct route_draft *draft, size_t index) {
    const struct doc_node *evidence = &doc_get(draft->document, "evidence")->items[index];
    return place_of(draft->file, doc_get(doc_get(evidence, "after"), "evidence"));
}

// What "NAME" or "ROUTE/NAME" means.
struct reference {
    const struct route_draft *draft; // NULL: there is no such route
    struct str route, name;
};

static struct reference read_reference(const struct compile *c, const struct route_draft *draft, struct str text) {
    must(draft != NULL); // whose evidence this is
    const char *slash = text.len > 0 ? memchr(text.ptr, '/', text.len) : NULL;
    if (!slash)
        return (struct reference){.draft = draft, .route = draft->route.name, .name = text};
    struct reference reference = {.route = {text.ptr, (size_t)(slash - text.ptr)}};
    reference.name = (struct str){slash + 1, text.len - reference.route.len - 1};
    size_t number;
    if (names_find(&c->route_names, reference.route, &number))
        reference.draft = &c->routes[number];
    return reference;
}

static struct evidence *find_evidence(const struct reference *reference) {
    const struct route *route = reference->draft ? &reference->draft->route : NULL;
    for (size_t i = 0; route && i < route->n_evidence; i++)
        if (str_eq(route->evidence[i].name, reference->name))
            return &route->evidence[i];
    return NULL;
}

static void report_target(struct compile *c, struct place place, const struct reference *reference) {
    char hint[160];
    if (!reference->draft) {
        struct str nearest = names_nearest(&c->route_names, reference->route);
        did_you_mean(reference->route, &nearest, nearest.ptr != NULL, hint);
        if (!c->some_unreadable)
            report_error(c, place, "there is no route '%.*s'%s", STR_ARG(reference->route), hint);
        return;
    }
    struct str names[EVIDENCE_MAX];
    const struct route *route = &reference->draft->route;
    for (size_t i = 0; i < route->n_evidence; i++)
        names[i] = route->evidence[i].name;
    if (!reference->draft->broken)
        report_error(c, place, "the route '%.*s' has no evidence '%.*s'%s", STR_ARG(route->name),
                     STR_ARG(reference->name), did_you_mean(reference->name, names, route->n_evidence, hint));
}

// Each comes after one other at most, so whoever follows them meets the first of all, or goes round.
static void check_chain(struct compile *c, const struct route_draft *draft, const struct evidence *evidence,
                        struct place place) {
    const struct evidence *at = evidence;
    for (size_t steps = 0; at && at->memory.kind == MEMORY_AFTER; steps++) {
        struct reference next = read_reference(c, draft, at->memory.after);
        draft = next.draft;
        at = find_evidence(&next);
        if (at == evidence) {
            report_error(c, place, "'%.*s' would come after itself, so it never fires", STR_ARG(evidence->name));
            return;
        }
        if (steps == CHAIN_MAX) {
            report_error(c, place, "what '%.*s' would come after goes round, or is over %d pieces of evidence long",
                         STR_ARG(evidence->name), CHAIN_MAX);
            return;
        }
    }
}

static struct hash128 trace_of(const struct route *route, const struct evidence *evidence) {
    struct hash_parts parts = {.len = 0};
    hash_parts_str(&parts, route->name);
    hash_parts_str(&parts, evidence->name);
    return hash_parts_end(&parts);
}

static struct hash128 memory_id(const struct route *route, const struct evidence *evidence) {
    const struct memory *memory = &evidence->memory;
    struct hash_parts parts = {.len = 0};
    hash_parts_str(&parts, route->name);
    hash_parts_str(&parts, evidence->name);
    hash_parts_int(&parts, memory->kind);
    hash_parts_int(&parts, memory->at_least);
    hash_parts_int(&parts, memory->within_ms);
    for (size_t i = 0; i < memory->n_of; i++)
        hash_parts_str(&parts, expr_source(memory->of[i]));
    hash_parts_int(&parts, (int64_t)memory->n_of);
    for (size_t i = 0; i < memory->n_per; i++)
        hash_parts_str(&parts, expr_source(memory->per[i]));
    return hash_parts_end(&parts);
}

static void bind_after(struct compile *c, const struct route_draft *draft, size_t index) {
    struct memory *memory = &draft->route.evidence[index].memory;
    struct reference reference = read_reference(c, draft, memory->after);
    struct evidence *target = find_evidence(&reference);
    struct place place = place_of_after(draft, index);
    if (!target) {
        report_target(c, place, &reference);
        return;
    }
    must(reference.draft != NULL); // where the target was found
    memory->trace = target->trace = trace_of(&reference.draft->route, target);
    if (target->trace_ms < memory->within_ms)
        target->trace_ms = memory->within_ms;
    check_chain(c, draft, &draft->route.evidence[index], place);
}

void bind_memories(struct compile *c) {
    for (size_t r = 0; r < c->n_routes && !c->ended; r++) {
        const struct route_draft *draft = &c->routes[r];
        for (size_t i = 0; i < draft->route.n_evidence && !draft->broken; i++) {
            struct evidence *evidence = &draft->route.evidence[i];
            evidence->memory.id = memory_id(&draft->route, evidence);
            if (evidence->memory.kind == MEMORY_AFTER)
                bind_after(c, draft, i);
        }
    }
}
