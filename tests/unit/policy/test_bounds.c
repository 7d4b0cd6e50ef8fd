// Large and hostile policies: many routes in little time, bounds that are said, nothing lost on the way out.
#include "policy_testing.h"

#define COMMON \
    "map: okta\nfields: {subject.id: raw.actor.id, type: raw.type}\n---\ndefault_owner: o\n" \
    "consumers: [{name: c, accepts: 'true', to: stdout}]\n"

static struct policy_bundle *bundle_of(struct buf *text) {
    struct policy_bundle *bundle = bundle_begin();
    assert_false(text->overflow);
    bundle_add(bundle, "a.yaml", STR(COMMON));
    bundle_add(bundle, "b.yaml", buf_view(text));
    buf_free(text);
    return bundle;
}

static void many_routes_compile_quickly(void **state) {
    (void)state;
    struct buf text;
    struct policy *policy;
    buf_init(&text, POLICY_MAX_BYTES);
    for (unsigned i = 0; i < 2000; i++)
        buf_printf(&text,
                   "---\nroute: route-%u\nmode: enforce\nwhen: event.type == \"type-%u\" && "
                   "raw.field%u.name.startsWith(\"x%u\")\n"
                   "evidence:\n  - {name: a, when: 'event.net.country in [\"A\", \"B%u\"]', weight: 0.6}\n"
                   "  - {name: b, when: identity.privilege > %u, weight: 0.9}\n"
                   "thresholds: {alert: 0.5, signal: 0.9}\nsignal: {action: revoke}\nalert: {title: 'Route %u of "
                   "{{event.subject.id}}'}\n",
                   i, i % 50, i % 300, i, i, i % 4, i);
    int64_t start = clock_monotonic_ms();
    char *findings = compile_bundle(bundle_of(&text), &policy);
    int64_t took = clock_monotonic_ms() - start;
    assert_string_equal(findings, "");
    free(findings);
    assert_int_equal(policy->n_routes, 2000);
    assert_int_equal(policy->n_slots, SLOT_RAW + 2 + 300);
    assert_int_equal(policy->sources[0].n_routes, 2000);
    policy_unref(policy);
    print_message("2000 routes: %lld ms\n", (long long)took);
    assert_true(took < 20000); // some hundred without sanitizers
}

static void too_many_routes_are_refused(void **state) {
    (void)state;
    struct buf text;
    struct policy *policy;
    buf_init(&text, POLICY_MAX_BYTES);
    for (unsigned i = 0; i < POLICY_MAX_ROUTES + 1; i++)
        buf_printf(&text, "---\nroute: r%u\n", i);
    char *findings = compile_bundle(bundle_of(&text), &policy);
    assert_null(policy);
    assert_string_equal(findings, "b.yaml:40002:8: error: over 20000 routes\n");
    free(findings);
}

static void too_many_raw_paths_are_refused(void **state) {
    (void)state;
    struct buf text;
    struct policy *policy;
    buf_init(&text, POLICY_MAX_BYTES);
    for (unsigned i = 0; i < 10100; i++)
        buf_printf(&text, "---\nroute: r%u\nwhen: raw.f%u == 1\n", i, i);
    char *findings = compile_bundle(bundle_of(&text), &policy);
    assert_null(policy);
    assert_non_null(strstr(findings, "b.yaml:29997:7: error: all maps and routes together name over 10000 raw paths"));
    free(findings);
}

// A long text that an anchor names and hundreds of tests repeat: small to write, large to keep.
static void repeated_texts_meet_the_bound(void **state) {
    (void)state;
    struct buf text;
    struct policy *policy;
    buf_init(&text, POLICY_MAX_BYTES);
    buf_printf(&text, "route: r\ntests:\n  - {name: t, expect: {alerts: 0}, events: [{raw: &a \"%01000000u\"}]}\n", 1u);
    for (unsigned i = 0; i < 600; i++)
        buf_str(&text, STR("  - {name: t, expect: {alerts: 0}, events: [{raw: *a}]}\n"));
    char *findings = compile_bundle(bundle_of(&text), &policy);
    assert_null(policy);
    assert_string_equal(findings, "error: the policy needs over 512 MiB of memory; make the route files smaller\n");
    free(findings);
}

static void definitions_nest_only_so_deep(void **state) {
    (void)state;
    struct buf text;
    struct policy *policy;
    buf_init(&text, POLICY_MAX_BYTES);
    buf_str(&text, STR("define:\n"));
    for (unsigned i = 0; i < 100; i++)
        buf_printf(&text, "  d%u: d%u\n", i, i + 1);
    buf_str(&text, STR("  d100: event.type == \"x\"\n---\nroute: r\nwhen: d0\n"));
    char *findings = compile_bundle(bundle_of(&text), &policy);
    assert_null(policy);
    assert_string_equal(findings,
                        "b.yaml:66:8: error: definitions of definitions are nested too deep; write some of them out\n");
    free(findings);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_routes_compile_quickly),    cmocka_unit_test(too_many_routes_are_refused),
        cmocka_unit_test(too_many_raw_paths_are_refused), cmocka_unit_test(repeated_texts_meet_the_bound),
        cmocka_unit_test(definitions_nest_only_so_deep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
