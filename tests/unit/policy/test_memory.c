// Memory of evidence as it is compiled: its numbers, what comes after what, what makes its counts its own.
#include "policy_testing.h"

#define HEAD "map: m\nfields: {subject.id: raw.id, net.ip: raw.ip}\n---\n"
#define TAIL "---\ndefault_owner: o\nconsumers: [{name: c, accepts: 'true', to: stdout}]\n"
#define ROUTE(evidence) HEAD "route: r\nevidence:\n  - " evidence "\n" TAIL

static void kinds_and_numbers(void **state) {
    (void)state;
    struct policy *policy = compile_good(
        HEAD "route: r\n"
             "evidence:\n"
             "  - {name: a, weight: 0.9, count: {at_least: 10, within: 5m, per: [event.net.ip, event.action]}}\n"
             "  - {name: b, weight: 0.9, distinct: {of: event.net.ip, at_least: 5, within: 1h}}\n"
             "  - {name: c, weight: 0.9, first_seen: {of: [event.net.ip, event.net.asn], remember: 14d, learn: 1d}}\n"
             "  - {name: d, weight: 0.9, after: {evidence: a, within: 10m}}\n"
             "  - {name: e, weight: 0.9, after: {evidence: r/a, within: 20m}}\n"
             "  - {name: f, weight: 0.9}\n" TAIL,
        NULL);
    const struct evidence *evidence = policy->routes[0].evidence;
    const struct memory *a = &evidence[0].memory, *b = &evidence[1].memory, *c = &evidence[2].memory;
    assert_true(a->kind == MEMORY_COUNT && a->at_least == 10 && a->within_ms == 300000 && a->n_per == 2);
    assert_true(b->kind == MEMORY_DISTINCT && b->at_least == 5 && b->n_of == 1 && b->n_per == 0);
    assert_true(c->kind == MEMORY_FIRST_SEEN && c->n_of == 2 && c->within_ms == 14 * 86400000LL);
    assert_int_equal(c->learn_ms, 86400000);
    assert_int_equal(evidence[3].memory.kind, MEMORY_AFTER);
    assert_true(hash128_eq(evidence[3].memory.trace, evidence[0].trace));
    assert_true(hash128_eq(evidence[4].memory.trace, evidence[0].trace));
    assert_int_equal(evidence[0].trace_ms, 20 * 60000); // as long as the most patient looks for it
    assert_int_equal(evidence[1].trace_ms, 0);
    assert_int_equal(evidence[5].memory.kind, MEMORY_NONE);
    policy_unref(policy);
}

// Any of these changes begins to count anew, for counts of both kinds must not be added up.
static void what_counts_otherwise_counts_anew(void **state) {
    (void)state;
    static const char *const texts[] = {
        ROUTE("{name: a, weight: 1, count: {at_least: 10, within: 5m}}"),
        ROUTE("{name: b, weight: 1, count: {at_least: 10, within: 5m}}"),
        ROUTE("{name: a, weight: 1, count: {at_least: 11, within: 5m}}"),
        ROUTE("{name: a, weight: 1, count: {at_least: 10, within: 6m}}"),
        ROUTE("{name: a, weight: 1, count: {at_least: 10, within: 5m, per: event.net.ip}}"),
        ROUTE("{name: a, weight: 1, distinct: {of: event.net.ip, at_least: 10, within: 5m}}"),
        ROUTE("{name: a, weight: 1, distinct: {of: event.action, at_least: 10, within: 5m}}"),
    };
    struct hash128 ids[COUNT_OF(texts)];
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct policy *policy = compile_good(texts[i], NULL);
        ids[i] = policy->routes[0].evidence[0].memory.id;
        policy_unref(policy);
        for (size_t j = 0; j < i; j++)
            assert_false(hash128_eq(ids[i], ids[j]));
    }
    // The weight and the condition may change: what was counted stays.
    struct policy *policy = compile_good(
        ROUTE("{name: a, weight: 0.9, when: event.action == \"x\", count: {at_least: 10, within: 5m}}"), NULL);
    assert_true(hash128_eq(policy->routes[0].evidence[0].memory.id, ids[0]));
    policy_unref(policy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_and_numbers),
        cmocka_unit_test(what_counts_otherwise_counts_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
