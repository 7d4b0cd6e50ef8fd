// The good files give the policy they say: maps, routes, gate, consumers, slots, tests.
#include "policy_testing.h"

#include <math.h>

static struct policy *policy;

static int load_good(void **state) {
    (void)state;
    struct status status = {0};
    struct policy_bundle *bundle = policy_bundle_load(DATA "/good", NULL, 0, &status);
    if (!bundle)
        fail_msg("%s", status.text);
    char *findings = compile_bundle(bundle, &policy);
    if (findings[0])
        fail_msg("%s", findings);
    free(findings);
    return 0;
}

static int free_good(void **state) {
    (void)state;
    policy_unref(policy);
    return 0;
}

static const struct route *find_route(const char *name) {
    for (size_t i = 0; i < policy->n_routes; i++)
        if (is_text(policy->routes[i].name, name))
            return &policy->routes[i];
    fail_msg("no route %s", name);
    return NULL;
}

static struct value eval(const struct expr *expr, const struct value *slots) {
    static struct arena *scratch;
    if (!scratch)
        scratch = arena_new(1u << 20);
    struct value value = expr_eval(expr, slots, scratch, EXPR_FUEL_DEFAULT);
    arena_free(scratch);
    scratch = NULL;
    return value;
}

static void maps_are_compiled(void **state) {
    (void)state;
    assert_int_equal(policy->n_maps, 2);
    const struct map *okta = policy_find_source(policy, STR("okta"))->map;
    assert_text(okta->name, "okta");
    assert_int_equal(okta->n_unwrap, 0);
    assert_int_equal(okta->n_fields, 10);
    const struct map_field *type = &okta->fields[3];
    assert_int_equal(type->field, EVENT_TYPE);
    assert_int_equal(type->n_table, 2);
    assert_text(type->table_from[0], "user.mfa.factor.deactivate");
    assert_text(type->table_to[0], "credential");
    assert_text(type->table_else, "other");
    assert_int_equal(okta->fields[6].field, EVENT_SUBJECT_ID);
    assert_int_equal(okta->fields[6].n_of, 2);
    struct value tenant;
    assert_true(expr_is_constant(okta->fields[2].of[0], &tenant));
    assert_text(tenant.string, "acme");
    const struct map *trail = policy_find_source(policy, STR("cloudtrail"))->map;
    assert_int_equal(trail->n_unwrap, 2);
    assert_text(trail->unwrap[0].steps[0].key, "Records");
    assert_text(trail->unwrap[1].steps[0].key, "detail");
    assert_int_equal(trail->unwrap[1].n, 1);
}

static void routes_are_compiled(void **state) {
    (void)state;
    const struct route *route = find_route("credential-misuse");
    assert_int_equal(route->version, 3);
    assert_int_equal(route->mode, MODE_ENFORCE);
    assert_int_equal(route->n_evidence, 3);
    assert_null(route->evidence[2].when);
    assert_int_equal(route->evidence[0].boundary, BOUNDARY_TRUST);
    assert_int_equal(route->confidence_within_ms, 600000);
    assert_int_equal(route->confidence_half_life_ms, 300000);
    assert_true(fabs(route->threshold_alert - 0.4) < 1e-12 && fabs(route->threshold_signal - 0.85) < 1e-12);
    assert_int_equal(route->n_adjust, 2);
    assert_true(fabs(route->adjust[0].signal + 0.15) < 1e-12 && fabs(route->adjust[1].alert - 0.2) < 1e-12);
    assert_int_equal(route->escalate_on, BOUNDARY_PRIVILEGE | BOUNDARY_DATA | BOUNDARY_TRUST);
    assert_int_equal(route->n_dedup_key, 2);
    assert_int_equal(route->dedup_within_ms, 600000);
    assert_true(route->has_signal);
    assert_text(route->signal_type, "session-revoked");
    assert_text(route->action, "revoke");
    assert_int_equal(route->reason.n, 2);
    assert_int_equal(expr_only_slot(route->reason.parts[1].expr), EVENT_NET_IP);
    assert_int_equal(route->title.n, 4);
    assert_text(route->title.parts[2].literal, " used from ");
    assert_text(route->owner, "soc-identity");
    assert_int_equal(route->acknowledge_within_ms, 900000);
    assert_int_equal(route->n_escalate_to, 2);
    assert_text(route->escalate_to[1], "incident-commander");
}

static void routes_have_defaults(void **state) {
    (void)state;
    const struct route *route = find_route("plain");
    struct value severity;
    assert_int_equal(route->version, 1);
    assert_int_equal(route->mode, MODE_SHADOW);
    assert_null(route->when);
    assert_int_equal(route->n_evidence, 0);
    assert_true(route->threshold_alert == 0.5 && route->threshold_signal == 0.9);
    assert_int_equal(route->dedup_within_ms, 0);
    assert_int_equal(route->n_dedup_key, 0);
    assert_false(route->has_signal || route->allow_unowned);
    assert_true(expr_is_constant(route->severity, &severity));
    assert_text(severity.string, "medium");
    assert_int_equal(route->title.n, 1);
    assert_text(route->title.parts[0].literal, "plain");
    const struct route *other = find_route("admin-abroad");
    assert_int_equal(other->dedup_within_ms, 900000);
    assert_int_equal(other->n_dedup_key, 1);
    assert_int_equal(expr_only_slot(other->dedup_key[0]), EVENT_SUBJECT_ID);
}

static void definitions_mean_what_they_say(void **state) {
    (void)state;
    const struct route *route = find_route("admin-abroad");
    struct value slots[256];
    assert_true(policy->n_slots <= COUNT_OF(slots));
    for (size_t i = 0; i < COUNT_OF(slots); i++)
        slots[i] = value_absent();
    slots[SLOT_IDENTITY + IDENTITY_PRIVILEGE] = value_int(2);
    slots[EVENT_NET_COUNTRY] = value_string(STR("IR"));
    struct value result = eval(route->when, slots);
    assert_int_equal(result.type, VALUE_BOOL);
    assert_true(result.boolean);
    assert_text(eval(route->severity, slots).string, "critical");
    slots[EVENT_NET_COUNTRY] = value_string(STR("FR"));
    assert_int_equal(eval(route->when, slots).type, VALUE_ABSENT); // raw.login.unknown is not there
    slots[SLOT_IDENTITY + IDENTITY_PRIVILEGE] = value_int(1);
    assert_text(eval(route->severity, slots).string, "low");
}

static void gate_is_in_its_order(void **state) {
    (void)state;
    static const char *const order[] = {"per-subject", "per-detector", "per-route",
                                        "per-tenant",  "per-consumer", "all"};
    assert_int_equal(policy->n_limits, COUNT_OF(order));
    for (size_t i = 0; i < COUNT_OF(order); i++)
        assert_text(policy->limits[i].name, order[i]);
    const struct limit *tenant = &policy->limits[3];
    assert_int_equal(tenant->per, 1u << LIMIT_TENANT | 1u << LIMIT_ACTION);
    assert_text(tenant->level, "tenant,action");
    assert_text(tenant->text, "200/m burst 200");
    assert_int_equal(tenant->rate_count, 200);
    assert_int_equal(tenant->rate_per_ms, 60000);
    assert_int_equal(tenant->burst, 200);
    assert_int_equal(tenant->over, OVER_ALERT);
    assert_int_equal(tenant->n_actions, 2);
    assert_text(policy->limits[4].text, "50/s burst 100");
    assert_int_equal(policy->limits[0].rate_per_ms, 600000);
    assert_text(policy->limits[5].level, "global");
    assert_int_equal(policy->hold_ttl_ms, 3600000);
    assert_int_equal(policy->hold_max, 500);
    assert_int_equal(policy->hold_order[0], HOLD_BY_AGE);
    assert_int_equal(policy->hold_order[1], HOLD_BY_SEVERITY);
    assert_int_equal(policy->hold_order[2], HOLD_BY_CONFIDENCE);
    assert_true(policy->kill_switch);
    assert_int_equal(expr_only_slot(policy->partition_by), EVENT_TENANT);
    assert_text(policy->default_owner, "soc");
}

static void consumers_are_compiled(void **state) {
    (void)state;
    assert_int_equal(policy->n_consumers, 4);
    const struct consumer *idp = &policy->consumers[0];
    assert_int_equal(idp->to, TO_KAFKA);
    assert_text(idp->topic, "signals.idp");
    assert_int_equal(idp->fields, UINT64_C(1) << OUTPUT_SUBJECT | UINT64_C(1) << OUTPUT_ACTION |
                                      UINT64_C(1) << OUTPUT_TYPE | UINT64_C(1) << OUTPUT_REASON);
    assert_int_equal(policy->consumers[1].format, FORMAT_CLOUDEVENTS);
    assert_text(policy->consumers[1].subject, "alerts.soc");
    assert_true(policy->consumers[1].fields == OUTPUT_ALL_FIELDS);
    assert_int_equal(policy->consumers[2].to, TO_FILE);
    assert_text(policy->consumers[2].path, "/var/log/penstock/out.ndjson");
    assert_int_equal(policy->consumers[3].to, TO_STDOUT);
    struct value slots[ACCEPT_SLOT_COUNT];
    for (size_t i = 0; i < COUNT_OF(slots); i++)
        slots[i] = value_absent();
    slots[ACCEPT_KIND] = value_string(STR("signal"));
    slots[ACCEPT_ACTION] = value_string(STR("isolate"));
    slots[EVENT_TENANT] = value_string(STR("acme"));
    assert_true(eval(idp->accepts, slots).boolean);
    slots[EVENT_TENANT] = value_string(STR("other"));
    assert_false(eval(idp->accepts, slots).boolean);
}

static void sources_hear_their_routes(void **state) {
    (void)state;
    // No source is configured, so each map is one; all three routes hear both.
    assert_int_equal(policy->n_sources, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(policy->sources[i].n_routes, 3);
        for (size_t r = 0; r < 3; r++)
            assert_int_equal(policy->sources[i].routes[r], r);
    }
    assert_null(policy_find_source(policy, STR("okta"))->envelope);
    assert_non_null(policy_find_source(policy, STR("cloudtrail"))->envelope);
    assert_null(policy_find_source(policy, STR("nobody")));
}

// What a source's paths extract from a document.
static void raw_paths_fill_their_slots(void **state) {
    (void)state;
    const struct source_binding *okta = policy_find_source(policy, STR("okta"));
    static const char text[] =
        "{\"uuid\":\"u-1\",\"target\":[{\"alternateId\":\"t\"}],\"debugContext\":{\"debugData\":{\"risk score\":"
        "{\"value\":0.75}}},\"login\":{\"unknown\":true},\"eventID\":\"not okta's\"}";
    char bytes[sizeof text + JDOC_PADDING] = {0};
    memcpy(bytes, text, sizeof text);
    struct jdoc *doc = jdoc_new(1u << 20, 64);
    assert_int_equal(jdoc_parse(doc, (struct str){bytes, sizeof text - 1}), JDOC_OK);
    struct value root = jdoc_root(doc), slots[256];
    for (size_t i = 0; i < COUNT_OF(slots); i++)
        slots[i] = value_absent();
    assert_int_equal(jdoc_extract(doc, &root, okta->raw, slots), JDOC_OK);
    const struct map_field *fields = okta->map->fields;
    assert_text(eval(fields[0].of[0], slots).string, "u-1");
    assert_text(eval(fields[6].of[0], slots).string, "t");
    assert_int_equal(eval(fields[6].of[1], slots).type, VALUE_ABSENT);
    assert_int_equal(fields[9].field, EVENT_DETECTOR_CONFIDENCE);
    assert_true(eval(fields[9].of[0], slots).real == 0.75);
    assert_true(eval(find_route("admin-abroad")->when, slots).boolean); // raw.login.unknown, wanted by a route
    const struct value id_of_trail = eval(policy_find_source(policy, STR("cloudtrail"))->map->fields[0].of[0], slots);
    assert_int_equal(id_of_trail.type, VALUE_ABSENT); // wanted by the other source only
    jdoc_free(doc);
}

static void tests_are_read(void **state) {
    (void)state;
    assert_int_equal(policy->n_tests, 2);
    const struct policy_test *quiet = &policy->tests[0];
    assert_text(quiet->name, "known network is quiet");
    assert_text(quiet->route, "credential-misuse");
    assert_text(quiet->identities_json,
                "[{\"id\":\"svc-1\",\"kind\":\"service_account\",\"networks\":[\"10.0.0.0/8\"],\"privilege\":2}]");
    assert_int_equal(quiet->n_events, 2);
    assert_text(quiet->events[0].raw_json,
                "{\"uuid\":\"1\",\"score\":1.0,\"count\":3,\"big\":9007199254740993,\"text\":\"1\"}");
    assert_int_equal(quiet->events[1].at_ms, 90000);
    assert_text(quiet->events[1].source, "cloudtrail");
    assert_int_equal(quiet->expect_alerts, 0);
    assert_int_equal(quiet->expect_drop, 2);
    assert_int_equal(quiet->expect_held, -1);
    assert_true(quiet->expect_confidence < 0);
    const struct policy_test *far = &policy->tests[1];
    assert_text(far->identities_json, "[]");
    assert_text(far->expect_why, "below_threshold");
    assert_true(fabs(far->expect_confidence - 0.4) < 1e-12);
    assert_int_equal(far->n_expect_evidence, 1);
    assert_text(far->expect_evidence[0], "from-far");
}

static void references_are_counted(void **state) {
    (void)state;
    struct policy *same = policy_ref(policy);
    assert_ptr_equal(same, policy);
    policy_unref(same);
    assert_text(policy->default_owner, "soc");
    policy_unref(NULL);
}

static void equal_conditions_are_one(void **state) {
    (void)state;
    struct policy *two =
        compile_good("map: m\nfields: {subject.id: raw.a}\n---\nroute: r1\nwhen: event.type == \"x\"\n---\n"
                     "route: r2\nwhen: event.type == \"x\"\n",
                     "default_owner: o\nconsumers: [{name: c, accepts: 'true', to: stdout}]\n");
    assert_ptr_equal(two->routes[0].when, two->routes[1].when);
    policy_unref(two);
}

static void configured_sources_choose_their_maps(void **state) {
    (void)state;
    struct policy_bundle *bundle = bundle_begin();
    struct policy *two;
    bundle_add(bundle, "a.yaml",
               STR("map: okta\nfields: {subject.id: raw.a}\n---\nmap: unused\nfields: {subject.id: raw.b}\n---\n"
                   "route: r\nfrom: okta-eu\ndefault_owner: o\nconsumers: [{name: c, accepts: 'true', to: stdout}]\n"));
    bundle_add_source(bundle, "okta-eu", "okta");
    bundle_add_source(bundle, "okta", "");
    char *findings = compile_bundle(bundle, &two);
    assert_string_equal(findings, "");
    free(findings);
    assert_int_equal(two->n_sources, 2);
    assert_ptr_equal(two->sources[0].map, two->sources[1].map);
    assert_int_equal(two->sources[0].n_routes, 1);
    assert_int_equal(two->sources[1].n_routes, 0);
    policy_unref(two);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_are_compiled),
        cmocka_unit_test(routes_are_compiled),
        cmocka_unit_test(routes_have_defaults),
        cmocka_unit_test(definitions_mean_what_they_say),
        cmocka_unit_test(gate_is_in_its_order),
        cmocka_unit_test(consumers_are_compiled),
        cmocka_unit_test(sources_hear_their_routes),
        cmocka_unit_test(raw_paths_fill_their_slots),
        cmocka_unit_test(tests_are_read),
        cmocka_unit_test(references_are_counted),
        cmocka_unit_test(equal_conditions_are_one),
        cmocka_unit_test(configured_sources_choose_their_maps),
    };
    return cmocka_run_group_tests(tests, load_good, free_good);
}
