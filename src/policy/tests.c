// tests: `tests:` of a route: events, and what must come of them.
#include "compile.h"

#define TESTS_MAX 100000
#define TEST_EVENTS_MAX 10000
#define RAW_MAX_BYTES (4u << 20)

// ---- JSON out of YAML -------------------------------------------------------------------------

static void write_scalar(struct compile *c, struct buf *out, const struct doc_node *node) {
    struct value value = doc_value(node, c->arena);
    size_t start = out->len;
    json_write_value(out, &value);
    // A double stays one where its text looks whole: conditions tell 1.0 from 1.
    struct str text = {out->ptr + start, out->len - start};
    if (value.type == VALUE_DOUBLE && !out->overflow && !memchr(text.ptr, '.', text.len) &&
        !memchr(text.ptr, 'e', text.len) && !memchr(text.ptr, 'n', text.len))
        buf_str(out, STR(".0"));
}

static void write_json(struct compile *c, struct buf *out, const struct doc_node *node) {
    if (node->kind == DOC_NULL || node->kind == DOC_SCALAR) {
        write_scalar(c, out, node);
        return;
    }
    bool is_list = node->kind == DOC_SEQUENCE;
    buf_char(out, is_list ? '[' : '{');
    for (size_t i = 0; i < node->n && !out->overflow; i++) {
        if (is_list && i > 0)
            buf_char(out, ',');
        if (!is_list)
            json_write_key(out, node->members[i].key);
        write_json(c, out, is_list ? &node->items[i] : &node->members[i].node);
    }
    buf_char(out, is_list ? ']' : '}');
}

static bool read_json(struct compile *c, const struct doc_node *node, struct str *out) {
    struct buf text;
    buf_init(&text, RAW_MAX_BYTES);
    write_json(c, &text, node);
    bool ok = !text.overflow;
    if (ok)
        *out = policy_str(c, buf_view(&text));
    else
        report_error(c, place_of(c->file, node), "this is over %u MiB long; shorten it", RAW_MAX_BYTES >> 20);
    buf_free(&text);
    return ok;
}

static void any_schema(struct buf *out) {
    buf_str(out, STR("\"type\":[\"object\",\"array\",\"string\",\"number\",\"boolean\",\"null\"]"));
}

// ---- events -----------------------------------------------------------------------------------

static void read_raw(struct compile *c, const struct doc_node *node, void *target) {
    read_json(c, node, &((struct policy_test_event *)target)->raw_json);
}

static const struct key event_keys[] = {
    {.name = "at",
     .kind = KEY_DURATION,
     .at = offsetof(struct policy_test_event, at_ms),
     .text = "when, since the test's start (0s)"},
    {.name = "source",
     .kind = KEY_TEXT,
     .at = offsetof(struct policy_test_event, source),
     .text = "where it comes from; left out: the route's only source"},
    {.name = "raw",
     .kind = KEY_OTHER,
     .required = true,
     .read = read_raw,
     .schema = any_schema,
     .text = "the vendor's document"},
};
static const struct object event_object = {.name = "test event",
                                           .example = "{at: 0s, source: okta, raw: {…}}",
                                           KEYS(event_keys),
                                           .bytes = sizeof(struct policy_test_event)};

// ---- expectations -----------------------------------------------------------------------------

static void begin_expect(void *target) {
    struct policy_test *test = target;
    test->expect_alerts = test->expect_signals = test->expect_held = test->expect_deduplicated = test->expect_dead =
        test->expect_drop = -1;
    test->expect_confidence = -1;
}

static const struct key expect_keys[] = {
    {.name = "alerts", .kind = KEY_COUNT, .at = offsetof(struct policy_test, expect_alerts), .text = "how many alerts"},
    {.name = "signals",
     .kind = KEY_COUNT,
     .at = offsetof(struct policy_test, expect_signals),
     .text = "how many signals"},
    {.name = "held",
     .kind = KEY_COUNT,
     .at = offsetof(struct policy_test, expect_held),
     .text = "how many signals held"},
    {.name = "deduplicated",
     .kind = KEY_COUNT,
     .at = offsetof(struct policy_test, expect_deduplicated),
     .text = "how many repeats"},
    {.name = "dead",
     .kind = KEY_COUNT,
     .at = offsetof(struct policy_test, expect_dead),
     .text = "how many dead letters"},
    {.name = "drop",
     .kind = KEY_COUNT,
     .at = offsetof(struct policy_test, expect_drop),
     .text = "how many events nothing comes of"},
    {.name = "why",
     .kind = KEY_TEXT,
     .at = offsetof(struct policy_test, expect_why),
     .text = "why some alert is not a signal"},
    {.name = "action",
     .kind = KEY_TEXT,
     .at = offsetof(struct policy_test, expect_action),
     .text = "the action of some signal"},
    {.name = "owner",
     .kind = KEY_TEXT,
     .at = offsetof(struct policy_test, expect_owner),
     .text = "the owner of some alert"},
    {.name = "confidence",
     .kind = KEY_RATIO,
     .at = offsetof(struct policy_test, expect_confidence),
     .text = "the confidence of some output, within 0.005"},
    {.name = "evidence",
     .kind = KEY_TEXTS,
     .at = offsetof(struct policy_test, expect_evidence),
     .count_at = offsetof(struct policy_test, n_expect_evidence),
     .most = EVIDENCE_MAX,
     .text = "names that must all have fired in some output"},
};
static const struct object expect_object = {
    .name = "expect", .example = "{alerts: 1, signals: 0}", KEYS(expect_keys), .bytes = sizeof(struct policy_test)};

static void end_test(struct compile *c, const struct doc_node *node, void *target) {
    const struct doc_node *expect = doc_get(node, "expect");
    (void)target;
    if (expect && expect->kind == DOC_MAPPING && expect->n == 0)
        report_error(c, place_of(c->file, expect),
                     "'expect' is empty, so the test cannot fail; say what must come of the events");
}

// ---- the test -----------------------------------------------------------------------------------

static void read_identities(struct compile *c, const struct doc_node *node, void *target) {
    if (node->kind == DOC_SEQUENCE)
        read_json(c, node, &((struct policy_test *)target)->identities_json);
    else
        report_error(c, place_of(c->file, node),
                     "'identities' must be a list, each entry as in the inventory: {id: …, owner: …}");
}

static void identities_schema(struct buf *out) {
    buf_str(out, STR("\"type\":\"array\",\"items\":{\"type\":\"object\"}"));
}

static const struct key test_keys[] = {
    {.name = "name",
     .kind = KEY_TEXT,
     .required = true,
     .at = offsetof(struct policy_test, name),
     .text = "what the test shows"},
    {.name = "identities",
     .kind = KEY_OTHER,
     .read = read_identities,
     .schema = identities_schema,
     .text = "the inventory for this test"},
    {.name = "events",
     .kind = KEY_OBJECTS,
     .required = true,
     .at = offsetof(struct policy_test, events),
     .count_at = offsetof(struct policy_test, n_events),
     .object = &event_object,
     .most = TEST_EVENTS_MAX,
     .text = "raw events in their order"},
    {.name = "expect",
     .kind = KEY_OBJECT,
     .required = true,
     .at = 0,
     .object = &expect_object,
     .text = "what must come of them"},
};
const struct object test_object = {.name = "test",
                                   .example = "{name: '…', events: [{raw: {…}}], expect: {alerts: 1}}",
                                   KEYS(test_keys),
                                   .bytes = sizeof(struct policy_test),
                                   .begin = begin_expect,
                                   .end = end_test};

void tests_schema(struct buf *out) {
    buf_str(out, STR("\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/test\"}"));
}

void read_tests(struct compile *c, const struct doc_node *node, void *target) {
    (void)target;
    if (node->kind != DOC_SEQUENCE) {
        report_error(c, place_of(c->file, node), "'tests' must be a list, each entry like %s", test_object.example);
        return;
    }
    for (size_t i = 0; i < node->n && !c->ended; i++) {
        if (c->n_tests == TESTS_MAX) {
            report_error(c, place_of(c->file, &node->items[i]), "over %d tests", TESTS_MAX);
            return;
        }
        struct policy_test test = {.identities_json = STR("[]"), .line = node->items[i].line};
        read_object(c, &test_object, &node->items[i], &test);
        test.file = policy_str(c, c->file->text.path);
        c->tests = grow_list(c->tests, c->n_tests, &c->cap_tests, sizeof *c->tests);
        c->tests[c->n_tests++] = test;
    }
}

// ---- what can be said only when all sources are known -------------------------------------------

static void check_event_source(struct compile *c, const struct route_draft *draft, struct policy_test_event *event,
                               const struct doc_node *node) {
    const struct doc_node *place = doc_get(node, "source");
    char hint[160] = "";
    if (event->source.len == 0 && draft->from.n == 1)
        event->source = draft->from.items[0];
    else if (event->source.len == 0 && c->source_names.n == 1)
        event->source = c->source_names.entries[0].name;
    if (event->source.len == 0) {
        report_error(c, place_of(draft->file, node), "say from which 'source' the event comes: the route has several");
        return;
    }
    // A test's event comes through a map; whether a source with that map is configured is another matter.
    bool known = names_find(&c->source_names, event->source, NULL) || names_find(&c->map_names, event->source, NULL);
    if (known || !place || c->some_unreadable)
        return;
    struct str nearest = names_nearest(&c->source_names, event->source);
    did_you_mean(event->source, &nearest, nearest.ptr != NULL, hint);
    report_error(c, place_of(draft->file, place), "there is no source '%.*s'%s", STR_ARG(event->source), hint);
}

static void check_expected_evidence(struct compile *c, const struct route_draft *draft, const struct policy_test *test,
                                    const struct doc_node *node) {
    struct str names[EVIDENCE_MAX];
    char hint[160];
    const struct route *route = &draft->route;
    for (size_t i = 0; i < route->n_evidence; i++)
        names[i] = route->evidence[i].name;
    for (size_t i = 0; i < test->n_expect_evidence; i++) {
        bool found = false;
        for (size_t j = 0; j < route->n_evidence; j++)
            found = found || str_eq(names[j], test->expect_evidence[i]);
        if (!found)
            report_error(c, place_of(draft->file, doc_get(doc_get(node, "expect"), "evidence")),
                         "the route has no evidence '%.*s'%s", STR_ARG(test->expect_evidence[i]),
                         did_you_mean(test->expect_evidence[i], names, route->n_evidence, hint));
    }
}

void check_tests(struct compile *c) {
    for (size_t i = 0; i < c->n_routes; i++) {
        const struct route_draft *draft = &c->routes[i];
        const struct doc_node *list = doc_get(draft->document, "tests");
        // With an error inside, events and their places would not match.
        for (size_t t = 0; t < draft->n_tests && !draft->broken; t++) {
            struct policy_test *test = &c->tests[draft->first_test + t];
            const struct doc_node *events = doc_get(&list->items[t], "events");
            for (size_t e = 0; e < test->n_events; e++)
                check_event_source(c, draft, &test->events[e], &events->items[e]);
            check_expected_evidence(c, draft, test, &list->items[t]);
        }
    }
}
