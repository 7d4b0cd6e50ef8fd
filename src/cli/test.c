// `penstock test`: the `tests:` of the route files.
//
// Each test has a gate and a clock of its own, which begins at a fixed day. Routes in
// shadow mode are judged as if they were enforced: a test says what a route decides,
// its mode says what is done about it.
#include <stdio.h>
#include <stdlib.h>

#include "options.h"

#define TEST_BEGINS_MS INT64_C(1767225600000) // 2026-01-01T00:00:00Z
#define SEEN_MAX 64

struct seen { // an output of the route under test
    struct str why, action, owner;
    double confidence;
    struct str evidence[EVIDENCE_MAX];
    size_t n_evidence;
};
struct test_run {
    const struct policy_test *test;
    struct arena *arena;
    struct seen seen[SEEN_MAX];
    size_t n_seen;
    uint64_t dead;
    char failures[2000];
};

static void keep_output(void *ctx, const struct emission *emission) {
    struct test_run *run = ctx;
    const struct output *output = emission->output;
    run->dead += output->kind == OUTPUT_IS_DEAD_LETTER;
    if (output->kind == OUTPUT_IS_DEAD_LETTER || !str_eq(output->route, run->test->route) || run->n_seen == SEEN_MAX)
        return;
    struct seen *seen = &run->seen[run->n_seen++];
    seen->why = arena_str(run->arena, output->why);
    seen->action = arena_str(run->arena, output->action);
    seen->owner = arena_str(run->arena, output->owner);
    seen->confidence = output->confidence;
    for (; seen->n_evidence < output->n_evidence; seen->n_evidence++)
        seen->evidence[seen->n_evidence] = arena_str(run->arena, output->evidence[seen->n_evidence].name);
}

static void fail(struct test_run *run, const char *format, ...) PENSTOCK_PRINTF(2, 3);
static void fail(struct test_run *run, const char *format, ...) {
    size_t len = strlen(run->failures);
    va_list args;
    va_start(args, format);
    vsnprintf(run->failures + len, sizeof run->failures - len, format, args);
    va_end(args);
}

static void expect_count(struct test_run *run, const char *what, int64_t expected, uint64_t got) {
    if (expected >= 0 && (uint64_t)expected != got)
        fail(run, "    %s: expected %lld, got %llu\n", what, (long long)expected, (unsigned long long)got);
}

static void list_seen(const struct test_run *run, struct str (*text)(const struct seen *), char *out, size_t size) {
    snprintf(out, size, "%s", run->n_seen ? "" : "no output");
    for (size_t i = 0; i < run->n_seen; i++) {
        struct str one = text(&run->seen[i]);
        size_t len = strlen(out);
        snprintf(out + len, size - len, "%s%.*s", i ? ", " : "", (int)(one.len ? one.len : 1), one.len ? one.ptr : "-");
    }
}

static struct str seen_why(const struct seen *seen) {
    return seen->why;
}
static struct str seen_action(const struct seen *seen) {
    return seen->action;
}
static struct str seen_owner(const struct seen *seen) {
    return seen->owner;
}

static void expect_text(struct test_run *run, const char *what, struct str expected,
                        struct str (*text)(const struct seen *)) {
    if (expected.len == 0)
        return;
    for (size_t i = 0; i < run->n_seen; i++)
        if (str_eq(text(&run->seen[i]), expected))
            return;
    char got[400];
    list_seen(run, text, got, sizeof got);
    fail(run, "    %s: expected %.*s, got %s\n", what, STR_ARG(expected), got);
}

static void expect_confidence(struct test_run *run) {
    double expected = run->test->expect_confidence, nearest = -1.0;
    if (expected < 0.0)
        return;
    for (size_t i = 0; i < run->n_seen; i++) {
        double off = run->seen[i].confidence - expected;
        if (off < 0.005 && off > -0.005)
            return;
        nearest = run->seen[i].confidence;
    }
    if (nearest < 0.0)
        fail(run, "    confidence: expected %.3f, got no output\n", expected);
    else
        fail(run, "    confidence: expected %.3f, got %.3f\n", expected, nearest);
}

static bool has_evidence(const struct seen *seen, struct str name) {
    for (size_t i = 0; i < seen->n_evidence; i++)
        if (str_eq(seen->evidence[i], name))
            return true;
    return false;
}

static void expect_evidence(struct test_run *run) {
    for (size_t e = 0; e < run->test->n_expect_evidence; e++) {
        bool found = false;
        for (size_t i = 0; i < run->n_seen && !found; i++)
            found = has_evidence(&run->seen[i], run->test->expect_evidence[e]);
        if (!found)
            fail(run, "    evidence: expected %.*s, which is in no output\n", STR_ARG(run->test->expect_evidence[e]));
    }
}

static size_t route_index(const struct policy *policy, struct str name) {
    size_t i = 0;
    while (i < policy->n_routes && !str_eq(policy->routes[i].name, name))
        i++;
    must(i < policy->n_routes); // the tests are part of their routes
    return i;
}

static void judge(struct test_run *run, const struct policy *policy, const struct offline *offline) {
    const struct policy_test *test = run->test;
    const struct gate *gate = offline_gate(offline);
    const struct gate_counts *counts = gate_get_counts(gate);
    const struct route_counts *route = gate_get_route_counts(gate, route_index(policy, test->route));
    uint64_t turned = counts->expired + counts->hold_full + counts->over_alerts;
    uint64_t decided = route->alerts + route->signals + route->deduplicated;
    expect_count(run, "alerts", test->expect_alerts, route->alerts + turned);
    expect_count(run, "signals", test->expect_signals, route->signals);
    expect_count(run, "held", test->expect_held, counts->held_now);
    expect_count(run, "deduplicated", test->expect_deduplicated, route->deduplicated);
    expect_count(run, "dead", test->expect_dead, run->dead);
    expect_count(run, "drop", test->expect_drop, test->n_events > decided ? test->n_events - decided : 0);
    expect_text(run, "why", test->expect_why, seen_why);
    expect_text(run, "action", test->expect_action, seen_action);
    expect_text(run, "owner", test->expect_owner, seen_owner);
    expect_confidence(run);
    expect_evidence(run);
}

static void feed(struct test_run *run, const struct policy *policy, struct offline *offline) {
    struct buf bytes;
    buf_init(&bytes, 16 * 1024 * 1024);
    for (size_t i = 0; i < run->test->n_events; i++) {
        const struct policy_test_event *event = &run->test->events[i];
        const struct source_binding *source = policy_find_source(policy, event->source);
        if (!source) {
            fail(run, "    event %zu: there is no map named '%.*s'\n", i + 1, STR_ARG(event->source));
            continue;
        }
        buf_clear(&bytes);
        buf_str(&bytes, event->raw_json);
        must(buf_reserve(&bytes, JDOC_PADDING));
        struct sift_input input = {
            .at = {.source = source->name, .offset = (int64_t)i + 1, .ordered = true},
            .received_ms = TEST_BEGINS_MS + event->at_ms,
            .bytes = buf_view(&bytes),
            .full_bytes = bytes.len,
        };
        offline_message(offline, source, &input, TEST_BEGINS_MS + event->at_ms);
    }
    buf_free(&bytes);
}

static bool run_test(struct policy *policy, const struct policy_test *test) {
    struct status status = {0};
    struct test_run *run = must_alloc(sizeof *run);
    run->test = test;
    run->arena = arena_new(16 * 1024 * 1024);
    struct inventory *inventory = inventory_parse(test->identities_json, "identities", true, &status);
    if (inventory) {
        struct offline *offline = offline_new(policy, inventory, keep_output, run);
        feed(run, policy, offline);
        judge(run, policy, offline);
        offline_free(offline);
    } else {
        fail(run, "    identities: %s\n", status.text);
    }
    bool ok = run->failures[0] == 0;
    if (!ok)
        printf("FAILED %.*s: %.*s (%.*s:%u)\n%s", STR_ARG(test->route), STR_ARG(test->name), STR_ARG(test->file),
               test->line, run->failures);
    inventory_unref(inventory);
    arena_free(run->arena);
    free(run);
    return ok;
}

static int run(int argc, char **argv) {
    const char *routes = "routes";
    const struct option options[] = {{"--routes", &routes, false}};
    int code;
    if (!options_read(&verb_test, options, COUNT_OF(options), &argc, argv, &code))
        return code;
    if (argc > 1)
        return usage_error(&verb_test, "'%s' is not an option", argv[1]);
    struct policy *policy = load_routes(routes, NULL, 0, false, NULL);
    if (!policy)
        return EXIT_FAILED;
    for (size_t i = 0; i < policy->n_routes; i++)
        if (policy->routes[i].mode == MODE_SHADOW)
            policy->routes[i].mode = MODE_ENFORCE;
    size_t failed = 0;
    for (size_t i = 0; i < policy->n_tests; i++)
        failed += !run_test(policy, &policy->tests[i]);
    printf("%zu passed, %zu failed\n", policy->n_tests - failed, failed);
    policy_unref(policy);
    return failed ? EXIT_FAILED : EXIT_OK;
}

const struct verb verb_test = {
    .name = "test",
    .summary = "run the tests that stand in route files",
    .help = "penstock test [--routes DIR]\n\n"
            "Runs the `tests:` of the routes below DIR (default: routes). Each begins with an empty\n"
            "gate at time 0s; its identities are the inventory. Routes in shadow mode are judged as\n"
            "if they were enforced. Counts are those of the route under test.\n\n"
            "    tests:\n"
            "      - name: an unknown network is a signal\n"
            "        identities: [{id: svc-a, owner: team-a, networks: [10.0.0.0/8]}]\n"
            "        events: [{at: 0s, source: okta, raw: {…}}]\n"
            "        expect: {signals: 1, alerts: 0}\n\n"
            "expect knows: alerts signals held deduplicated dead drop (counts); why action owner\n"
            "(of some output); confidence (within 0.005); evidence (names that fired).\n"
            "Exit: 0 all passed, 1 some failed or the routes are wrong.\n",
    .run = run,
};
