// The verdict: thresholds, adjustments, boundaries, and each reason why a signal is only an alert.
#include "fixture.h"

static struct test_policy *simple_policy(struct route **route) {
    struct test_policy *made = new_policy();
    add_consumer(made, "machines", "kind == \"signal\"");
    add_consumer(made, "people", "kind == \"alert\"");
    *route = add_route(made, "misuse");
    add_evidence(*route, "odd", BOUNDARY_DATA);
    return made;
}

struct verdict_case {
    const char *name;
    struct event event;
    enum route_mode mode;
    bool no_signal, allow_unowned;
    unsigned escalate_on;
    const char *says; // "signal", "alert", "" for nothing
    const char *why;
};

#define EVENT(weight, ...) \
    { .at_ms = START, .weights = {weight}, .n_weights = 1, __VA_ARGS__ }

static const struct verdict_case cases[] = {
    {"below", EVENT(0.39), MODE_ENFORCE, .says = ""},
    {"at the alert threshold", EVENT(0.4), MODE_ENFORCE, .says = "alert", .why = "below_threshold"},
    {"just under the signal threshold", EVENT(0.849), MODE_ENFORCE, .says = "alert", .why = "below_threshold"},
    {"at the signal threshold", EVENT(0.85), MODE_ENFORCE, .says = "signal"},
    {"no signal to become", EVENT(0.99), MODE_ENFORCE, .no_signal = true, .says = "alert", .why = ""},
    {"no signal, low", EVENT(0.5), MODE_ENFORCE, .no_signal = true, .says = "alert", .why = ""},
    {"mode alert", EVENT(0.9), MODE_ALERT, .says = "alert", .why = "mode"},
    {"mode alert, low", EVENT(0.5), MODE_ALERT, .says = "alert", .why = "below_threshold"},
    {"mode shadow", EVENT(0.9), MODE_SHADOW, .says = ""},
    {"adjusted down to a signal", EVENT(0.7, .adjust_signal = -0.15), MODE_ENFORCE, .says = "signal"},
    {"adjusted up from a signal", EVENT(0.9, .adjust_signal = 0.1), MODE_ENFORCE, .says = "alert",
     .why = "below_threshold"},
    {"adjusted up from an alert", EVENT(0.5, .adjust_alert = 0.2), MODE_ENFORCE, .says = ""},
    {"decimals meet", EVENT(0.1, .adjust_alert = -0.3), MODE_ENFORCE, .says = "alert", .why = "below_threshold"},
    {"a threshold never passes 1", EVENT(1.0, .adjust_signal = 9), MODE_ENFORCE, .says = "signal"},
    {"a threshold never passes 0", EVENT(0.0, .adjust_alert = -9), MODE_ENFORCE, .says = "alert",
     .why = "below_threshold"},
    {"a boundary lifts", EVENT(0.01), MODE_ENFORCE, .escalate_on = BOUNDARY_DATA, .says = "alert",
     .why = "below_threshold"},
    {"another boundary does not", EVENT(0.01), MODE_ENFORCE, .escalate_on = BOUNDARY_TRUST, .says = ""},
    {"a boundary without its evidence", EVENT(-1), MODE_ENFORCE, .escalate_on = BOUNDARY_DATA, .says = ""},
    {"no subject", EVENT(0.9, .no_subject = true), MODE_ENFORCE, .says = "alert", .why = "unknown_subject"},
    {"empty subject", EVENT(0.9, .subject = ""), MODE_ENFORCE, .says = "alert", .why = "unknown_subject"},
    {"blank subject", EVENT(0.9, .subject = "  "), MODE_ENFORCE, .says = "alert", .why = "unknown_subject"},
    {"wildcard", EVENT(0.9, .subject = "*"), MODE_ENFORCE, .says = "alert", .why = "unknown_subject"},
    {"pattern", EVENT(0.9, .subject = "*@acme.example"), MODE_ENFORCE, .says = "alert", .why = "unknown_subject"},
    {"only wildcards", EVENT(0.9, .subject = "%?"), MODE_ENFORCE, .says = "alert", .why = "unknown_subject"},
    {"a word for nobody", EVENT(0.9, .subject = "unknown"), MODE_ENFORCE, .says = "alert", .why = "unknown_subject"},
    {"nobody, below", EVENT(0.1, .subject = "-"), MODE_ENFORCE, .says = ""},
    {"a question mark in a name", EVENT(0.9, .subject = "app?x"), MODE_ENFORCE, .says = "signal"},
    {"wildcard, low", EVENT(0.5, .subject = "*"), MODE_ENFORCE, .says = "alert", .why = "below_threshold"},
    {"protected", EVENT(0.9, .protected = true), MODE_ENFORCE, .says = "alert", .why = "protected"},
    {"unowned", EVENT(0.9, .no_owner = true), MODE_ENFORCE, .says = "alert", .why = "unowned"},
    {"unowned is fine", EVENT(0.9, .no_owner = true), MODE_ENFORCE, .allow_unowned = true, .says = "signal"},
    {"shared with a steward", EVENT(0.9, .no_owner = true, .shared = true, .steward = "sue"), MODE_ENFORCE,
     .says = "signal"},
    {"a steward of what is not shared", EVENT(0.9, .no_owner = true, .steward = "sue"), MODE_ENFORCE, .says = "alert",
     .why = "unowned"},
    {"unknown before protected", EVENT(0.9, .subject = "*", .protected = true), MODE_ALERT, .says = "alert",
     .why = "unknown_subject"},
    {"protected before unowned", EVENT(0.9, .no_owner = true, .protected = true), MODE_ALERT, .says = "alert",
     .why = "protected"},
    {"unowned before mode", EVENT(0.9, .no_owner = true), MODE_ALERT, .says = "alert", .why = "unowned"},
};

static void check_case(const struct verdict_case *c) {
    struct route *route;
    struct fixture f;
    struct test_policy *made = simple_policy(&route);
    route->mode = c->mode;
    route->has_signal = !c->no_signal;
    route->allow_unowned = c->allow_unowned;
    route->escalate_on = c->escalate_on;
    fixture_open(&f, &small_bounds, made);
    give(&f, c->event);
    if (f.n_said != (c->says[0] ? 1u : 0u))
        fail_msg("%s: %zu outputs", c->name, f.n_said);
    if (c->says[0]) {
        bool is_signal = f.said[0].kind == OUTPUT_IS_SIGNAL;
        if (is_signal != (strcmp(c->says, "signal") == 0))
            fail_msg("%s: not %s", c->name, c->says);
        assert_string_equal(f.said[0].consumer, is_signal ? "machines" : "people");
        if (strcmp(f.said[0].why, c->why ? c->why : "") != 0)
            fail_msg("%s: why %s", c->name, f.said[0].why);
    }
    check_laws(f.gate);
    const struct gate_counts *counts = gate_get_counts(f.gate);
    bool nobody = c->event.no_subject || (c->event.subject && !subject_is_definite(str_of(c->event.subject)));
    assert_int_equal(counts->unknown_subject, nobody);
    assert_int_equal(counts->shadow_signals, c->mode == MODE_SHADOW);
    fixture_close(&f);
    free_policy(made);
}

static void test_table(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        check_case(&cases[i]);
}

static void test_alert_owner_and_deadlines(void **state) {
    (void)state;
    struct route *route;
    struct fixture f;
    struct test_policy *made = simple_policy(&route);
    route->runbook = STR("route-book");
    fixture_open(&f, &small_bounds, made);
    give(&f, (struct event)EVENT(0.5));
    assert_string_equal(last_of(&f, 1)->owner, "bob");
    assert_string_equal(f.said[0].runbook, "route-book");
    assert_int_equal(f.said[0].acknowledge_by_ms, START + 15 * MINUTE);
    assert_int_equal(f.said[0].received_ms, START - 5);
    give(&f, (struct event)EVENT(0.5, .shared = true, .steward = "sue", .runbook = "own-book"));
    assert_string_equal(last_of(&f, 2)->owner, "sue");
    assert_string_equal(f.said[1].runbook, "own-book");
    give(&f, (struct event)EVENT(0.5, .no_owner = true));
    assert_string_equal(last_of(&f, 3)->owner, "nobody-else");
    assert_int_equal(gate_get_counts(f.gate)->unowned, 1);
    route->owner = STR("team");
    give(&f, (struct event)EVENT(0.5, .no_owner = true));
    assert_string_equal(last_of(&f, 4)->owner, "team");
    assert_int_equal(gate_get_counts(f.gate)->unowned, 1);
    assert_int_equal(f.said[3].seq, 4);
    assert_int_equal(gate_consumer_seq(f.gate, STR("people")), 4);
    assert_int_equal(gate_consumer_seq(f.gate, STR("machines")), 0);
    assert_int_equal(gate_get_route_counts(f.gate, 0)->alerts, 4);
    fixture_close(&f);
    free_policy(made);
}

static void test_no_consumer(void **state) {
    (void)state;
    struct fixture f;
    struct test_policy *made = new_policy();
    add_consumer(made, "people", "kind == \"alert\"");
    add_evidence(add_route(made, "misuse"), "odd", BOUNDARY_NONE);
    fixture_open(&f, &small_bounds, made);
    give(&f, (struct event)EVENT(0.9));
    assert_string_equal(last_of(&f, 1)->why, "no_consumer");
    assert_int_equal(gate_get_counts(f.gate)->unrouted, 1);
    check_laws(f.gate);
    fixture_close(&f);
    free_policy(made);
}

static void test_alert_nobody_hears(void **state) {
    (void)state;
    struct fixture f;
    struct test_policy *made = new_policy();
    add_consumer(made, "machines", "kind == \"signal\"");
    add_evidence(add_route(made, "misuse"), "odd", BOUNDARY_NONE);
    fixture_open(&f, &small_bounds, made);
    give(&f, (struct event)EVENT(0.5));
    assert_int_equal(f.n_said, 0);
    assert_int_equal(gate_get_counts(f.gate)->unheard, 1);
    fixture_close(&f);
    free_policy(made);
}

static void test_accepts_reads_the_record(void **state) {
    (void)state;
    struct fixture f;
    struct test_policy *made = new_policy();
    add_consumer(made, "one", "kind == \"signal\" && action == \"revoke\" && tenant == \"acme\" && confidence > 0.9");
    add_consumer(made, "two", "kind == \"signal\" && type == \"session-revoked\" && owner == \"bob\"");
    add_consumer(made, "three", "why == \"below_threshold\" && severity == \"high\" && source == \"okta\"");
    add_evidence(add_route(made, "misuse"), "odd", BOUNDARY_NONE);
    fixture_open(&f, &small_bounds, made);
    give(&f, (struct event)EVENT(0.95, .tenant = "acme"));
    assert_int_equal(f.n_said, 2);
    assert_string_equal(f.said[0].consumer, "one");
    assert_string_equal(f.said[1].consumer, "two");
    assert_false(hash128_eq(f.said[0].id, f.said[1].id));
    give(&f, (struct event)EVENT(0.88, .tenant = "acme"));
    assert_string_equal(last_of(&f, 3)->consumer, "two");
    give(&f, (struct event)EVENT(0.5));
    assert_string_equal(last_of(&f, 4)->consumer, "three");
    assert_int_equal(gate_get_counts(f.gate)->signal_units, 3);
    check_laws(f.gate);
    fixture_close(&f);
    free_policy(made);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_alert_owner_and_deadlines),
        cmocka_unit_test(test_no_consumer),
        cmocka_unit_test(test_alert_nobody_hears),
        cmocka_unit_test(test_accepts_reads_the_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
