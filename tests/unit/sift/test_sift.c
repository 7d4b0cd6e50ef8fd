// Sift: what becomes of a message: candidates with the mapped fields, drops, dead
// letters with their reason. Every input is accounted for.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "penstock/sift.h"

static const char policy_text[] =
    "map: m\n"
    "unwrap: [raw.Records, raw.detail]\n"
    "fields:\n"
    "  id: raw.id\n"
    "  time: raw.when\n"
    "  tenant: '\"acme\"'\n"
    "  action: raw.do\n"
    "  outcome: {of: raw.err, table: {'': success}, else: failure}\n"
    "  subject.id: [raw.user.email, raw.user.id]\n"
    "  subject.kind: {of: raw.user.type, table: {svc: service_account, per: human}}\n"
    "  net.ip: raw[\"src.ip\"]\n"
    "  device.compliant: raw.ok\n"
    "  detector.confidence: raw.score\n"
    "  resource.id: envelope.account\n"
    "---\n"
    "route: certain\nwhen: event.action == \"delete\"\nsignal: {action: revoke}\nmode: enforce\n"
    "---\n"
    "route: weighed\nwhen: event.action == \"read\"\n"
    "evidence:\n"
    "  - {name: far, when: '!ip_in(event.net.ip, [\"10.0.0.0/8\"])', weight: 0.4}\n"
    "  - {name: scored, weight: event.detector.confidence}\n"
    "alert: {title: '{{event.subject.id}} from {{event.net.ip}} ({{raw.nothing}})'}\n"
    "---\n"
    "route: counted\nmode: enforce\nwhen: event.action == \"sign-in\"\nsignal: {action: revoke}\n"
    "evidence:\n"
    "  - {name: often, count: {at_least: 3, within: 1m}, weight: 0.5}\n"
    "  - {name: many, when: event.outcome == \"failure\", distinct: {of: event.subject.id, at_least: 3, within: 1m,\n"
    "     per: [event.net.ip]}, weight: 0.5}\n"
    "  - {name: new, first_seen: {of: [raw.place, event.net.ip], remember: 14d}, weight: 0.5}\n"
    "  - {name: then, after: {evidence: other/reset, within: 1m}, weight: 0.5}\n"
    "---\n"
    "route: other\nwhen: event.action == \"reset\"\n"
    "evidence:\n"
    "  - {name: reset, weight: 0}\n"
    "  - {name: nothing, weight: 0}\n"
    "---\n"
    "default_owner: o\n"
    "consumers: [{name: c, accepts: 'true', to: {stdout: {}}}]\n";

struct fixture {
    struct policy *policy;
    struct inventory *inventory;
    struct sifter *sifter;
    struct sift_output out;
    struct buf bytes;
};

static int setup(void **state) {
    struct fixture *f = must_alloc(sizeof *f);
    struct policy_file file = {STR("test.yaml"), str_of(policy_text)};
    struct policy_bundle bundle = {.files = &file, .n_files = 1};
    struct findings findings;
    struct status status = {0};
    findings_init(&findings);
    f->policy = policy_compile(&bundle, &findings);
    if (!f->policy)
        fail_msg("%.*s", STR_ARG(findings.items[0].text));
    findings_free(&findings);
    f->inventory =
        inventory_parse(STR("{\"id\":\"ann@acme\",\"owner\":\"team-a\",\"kind\":\"human\",\"aliases\":[\"u7\"]}\n"),
                        "test", false, &status);
    assert_non_null(f->inventory);
    f->sifter = sifter_new(4096);
    sift_output_init(&f->out);
    buf_init(&f->bytes, 1 << 20);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    policy_unref(f->policy);
    inventory_unref(f->inventory);
    sifter_free(f->sifter);
    sift_output_free(&f->out);
    buf_free(&f->bytes);
    free(f);
    return 0;
}

static void sift(struct fixture *f, struct str message) {
    sift_output_clear(&f->out);
    buf_clear(&f->bytes);
    buf_str(&f->bytes, message);
    assert_true(buf_reserve(&f->bytes, JDOC_PADDING));
    const struct source_binding *source = policy_find_source(f->policy, STR("m"));
    struct sift_input input = {.at = {.source = source->name, .offset = 7},
                               .received_ms = 1000,
                               .bytes = buf_view(&f->bytes),
                               .full_bytes = message.len};
    sift_message(f->sifter, f->policy, source, f->inventory, &input, &f->out);
}

static struct candidate candidate_at(const struct fixture *f, size_t i) {
    struct candidate candidate;
    assert_true(i < f->out.n);
    assert_int_equal(f->out.records[i].type, RECORD_CANDIDATE);
    assert_true(candidate_read(sift_record_bytes(&f->out, &f->out.records[i]), &candidate));
    return candidate;
}

static void assert_text(const struct value *v, const char *text) {
    assert_int_equal(v->type, VALUE_STRING);
    if (!str_eq(v->string, str_of(text)))
        fail_msg("expected %s, got %.*s", text, STR_ARG(v->string));
}

static void maps_a_message(void **state) {
    struct fixture *f = *state;
    sift(f, STR("{\"id\":17,\"when\":\"2023-07-10T11:42:36Z\",\"do\":\"read\",\"user\":{\"email\":\"\",\"id\":\"u7\","
                "\"type\":\"svc\"},\"src.ip\":\"192.0.2.1\",\"ok\":\"False\",\"score\":\"0.5\"}"));
    struct candidate c = candidate_at(f, 0);
    assert_text(&c.event[EVENT_ID], "17");
    assert_int_equal(c.event[EVENT_TIME].seconds, 1688989356);
    assert_text(&c.event[EVENT_TENANT], "acme");
    assert_text(&c.event[EVENT_OUTCOME], "success"); // no error field at all
    assert_text(&c.event[EVENT_SUBJECT_ID], "u7");   // the first is empty, so the second
    assert_text(&c.event[EVENT_SUBJECT_KIND], "service_account");
    assert_int_equal(c.event[EVENT_DEVICE_COMPLIANT].type, VALUE_BOOL);
    assert_false(c.event[EVENT_DEVICE_COMPLIANT].boolean);
    assert_true(c.known_identity); // by its alias
    assert_text(&c.identity[IDENTITY_OWNER], "team-a");
    struct hit hit;
    size_t cursor = 0;
    assert_true(candidate_next_hit(&c, &cursor, &hit));
    assert_true(str_eq(f->policy->routes[hit.route].name, STR("weighed")));
    assert_int_equal(hit.n_evidence, 2);
    assert_true(hit.evidence[1].weight == 0.5);
    assert_true(str_eq(hit.title, STR("u7 from 192.0.2.1 (-)")));
    assert_false(candidate_next_hit(&c, &cursor, &hit));
}

static void missing_is_not_false(void **state) {
    struct fixture *f = *state;
    sift(f, STR("{\"do\":\"read\",\"user\":{\"id\":\"x\"}}")); // no address: neither inside nor outside
    assert_int_equal(f->out.n, 0);
    sift(f, STR("{\"do\":\"read\",\"user\":{\"id\":\"x\"},\"src.ip\":\"10.1.2.3\"}"));
    assert_int_equal(f->out.n, 0);
    sift(f, STR("{\"do\":\"read\",\"user\":{\"id\":\"x\"},\"src.ip\":\"8.8.8.8\"}"));
    assert_int_equal(f->out.n, 1);
}

static void unwraps_where_it_can(void **state) {
    struct fixture *f = *state;
    sift(f, STR("{\"account\":\"a-1\",\"Records\":[{\"do\":\"delete\",\"user\":{\"id\":\"x\"}},{\"do\":\"nothing\"},{"
                "\"do\":\"delete\",\"user\":{\"id\":\"y\"},\"id\":\"own\"}]}"));
    assert_int_equal(f->out.n, 2);
    struct candidate first = candidate_at(f, 0), second = candidate_at(f, 1);
    assert_int_equal(first.at.index, 0);
    assert_int_equal(second.at.index, 2);
    assert_text(&first.event[EVENT_RESOURCE_ID], "a-1");
    assert_text(&second.event[EVENT_ID], "own");
    assert_false(hash128_eq(cause_id(&first.at), cause_id(&second.at)));
    sift(f, STR("{\"detail\":{\"do\":\"delete\",\"user\":{\"id\":\"x\"}}}"));
    assert_int_equal(f->out.n, 1);
    uint64_t events = sifter_counts(f->sifter)->events;
    sift(f, STR("{\"Records\":[]}"));
    assert_int_equal(f->out.n, 0);
    assert_int_equal(sifter_counts(f->sifter)->events, events + 1);
}

static void refuses_with_a_reason(void **state) {
    struct fixture *f = *state;
    char deep[2100], large[4200];
    memset(deep, '[', sizeof deep / 2);
    memset(deep + sizeof deep / 2, ']', sizeof deep / 2);
    memset(large, ' ', sizeof large);
    struct {
        struct str message;
        const char *reason;
    } cases[] = {
        {STR(""), "empty"},
        {STR("{"), "invalid_syntax"},
        {STR("{} {}"), "invalid_syntax"},
        {STR("\xff\xfe\x00"), "invalid_utf8"},
        {STR("{\"a\":1e999}"), "invalid_number"},
        {{deep, sizeof deep}, "too_deep"},
        {{large, sizeof large}, "too_large"},
        {STR("[1]"), "not_an_object"},
        {STR("7"), "not_an_object"},
        {STR("{\"do\":\"read\",\"do\":\"delete\"}"), "duplicate_key"},
        {STR("{\"Records\":[3]}"), "not_an_object"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct dead_letter letter;
        sift(f, cases[i].message);
        assert_int_equal(f->out.n, 1);
        assert_int_equal(f->out.records[0].type, RECORD_DEAD);
        assert_true(dead_letter_read(sift_record_bytes(&f->out, &f->out.records[0]), &letter));
        if (!str_eq(letter.reason, str_of(cases[i].reason)))
            fail_msg("case %zu: expected %s, got %.*s", i, cases[i].reason, STR_ARG(letter.reason));
        assert_int_equal(letter.at.offset, 7);
        assert_true(str_eq(letter.bytes, cases[i].message));
    }
    assert_int_equal(sift_counts_unreadable(sifter_counts(f->sifter)), COUNT_OF(cases));
}

// {"Records":[1,1,1,…]}: each element would be a dead letter with the whole message in it.
static void few_bytes_do_not_grow_into_many(void **state) {
    struct fixture *f = *state;
    struct sifter *sifter = f->sifter;
    f->sifter = sifter_new(65536);
    struct buf message;
    buf_init(&message, 65536);
    buf_str(&message, STR("{\"Records\":[1"));
    while (message.len < 18000)
        buf_str(&message, STR(",1"));
    buf_str(&message, STR("]}"));
    sift(f, buf_view(&message));
    struct dead_letter letter;
    assert_int_equal(f->out.n, 1);
    assert_true(dead_letter_read(sift_record_bytes(&f->out, &f->out.records[0]), &letter));
    assert_true(str_eq(letter.reason, STR("too_many_candidates")));
    const struct sift_counts *counts = sifter_counts(f->sifter);
    assert_int_equal(sift_counts_unreadable(counts), 1);
    assert_int_equal(counts->events, 0);
    buf_free(&message);
    sifter_free(f->sifter);
    f->sifter = sifter;
}

static void enforcing_on_nobody_is_a_dead_letter_too(void **state) {
    struct fixture *f = *state;
    static const struct str messages[] = {STR("{\"do\":\"delete\"}"),
                                          STR("{\"do\":\"delete\",\"user\":{\"id\":\"*\"}}"),
                                          STR("{\"do\":\"delete\",\"user\":{\"id\":\"unknown\"}}")};
    for (size_t i = 0; i < COUNT_OF(messages); i++) {
        sift(f, messages[i]);
        assert_int_equal(f->out.n, 2); // the candidate, for the alert, and the letter, with the bytes
        assert_int_equal(f->out.records[0].type, RECORD_CANDIDATE);
        assert_int_equal(f->out.records[1].type, RECORD_DEAD);
    }
    const struct sift_counts *counts = sifter_counts(f->sifter);
    assert_int_equal(counts->events, counts->dropped + counts->candidates);
    assert_int_equal(counts->dead.unknown_subject, COUNT_OF(messages));
    assert_int_equal(sift_counts_unreadable(counts), 0);
}

// The hit of the only record; its evidence by name must be these: "often many".
static struct hit counted_hit(const struct fixture *f, const char *evidence) {
    struct candidate c = candidate_at(f, 0);
    struct hit hit;
    size_t cursor = 0;
    char names[64] = "";
    assert_int_equal(f->out.n, 1);
    assert_true(candidate_next_hit(&c, &cursor, &hit));
    for (size_t i = 0; i < hit.n_evidence; i++) {
        struct str name = f->policy->routes[hit.route].evidence[hit.evidence[i].index].name;
        size_t len = strlen(names);
        snprintf(names + len, sizeof names - len, "%s%.*s", i ? " " : "", STR_ARG(name));
    }
    assert_string_equal(names, evidence);
    return hit;
}

static bool same_key(const struct hit *a, const struct hit *b, size_t i) {
    return hash128_eq(a->evidence[i].key, b->evidence[i].key);
}

static void keys_for_what_is_counted(void **state) {
    struct fixture *f = *state;
    sift(f, STR("{\"do\":\"sign-in\",\"user\":{\"id\":\"u7\"},\"src.ip\":\"10.0.0.1\",\"err\":\"x\",\"place\":\"a\"}"));
    struct hit hit = counted_hit(f, "often many new then");
    assert_true(hit.evidence[0].has_key && hit.evidence[1].has_key && hit.evidence[2].has_key);
    assert_false(hit.evidence[3].has_key);
    assert_false(same_key(&hit, &(struct hit){.evidence = {hit.evidence[1]}}, 0));
    // Another name of the same identity, at another place.
    sift(f, STR("{\"do\":\"sign-in\",\"user\":{\"id\":\"ann@acme\"},\"src.ip\":\"10.0.0.1\",\"err\":\"x\",\"place\":"
                "\"b\"}"));
    struct hit alias = counted_hit(f, "often many new then");
    assert_true(same_key(&hit, &alias, 0) && same_key(&hit, &alias, 1) && same_key(&hit, &alias, 2));
    assert_true(hit.evidence[1].value != alias.evidence[1].value);
    assert_true(hit.evidence[2].value != alias.evidence[2].value);
    sift(f,
         STR("{\"do\":\"sign-in\",\"user\":{\"id\":\"ben\"},\"src.ip\":\"10.0.0.2\",\"err\":\"x\",\"place\":\"a\"}"));
    struct hit other = counted_hit(f, "often many new then");
    assert_false(same_key(&hit, &other, 0) || same_key(&hit, &other, 1) || same_key(&hit, &other, 2));
}

static void nothing_is_counted_for_nobody(void **state) {
    struct fixture *f = *state;
    sift(f, STR("{\"do\":\"sign-in\",\"user\":{\"id\":\"u7\"},\"err\":\"x\",\"place\":\"a\"}")); // no address
    counted_hit(f, "often then");
    // Of nobody only the values can be counted, and whether anything comes of it is not known: no dead letter yet.
    sift(f, STR("{\"do\":\"sign-in\",\"user\":{\"id\":\"*\"},\"src.ip\":\"10.0.0.1\",\"err\":\"x\",\"place\":\"a\"}"));
    counted_hit(f, "many");
    sift(f, STR("{\"do\":\"sign-in\",\"src.ip\":\"10.0.0.1\",\"place\":\"a\"}"));
    assert_int_equal(f->out.n, 0);
}

static void what_others_come_after_needs_no_weight(void **state) {
    struct fixture *f = *state;
    sift(f, STR("{\"do\":\"reset\",\"user\":{\"id\":\"u7\"}}"));
    struct hit hit = counted_hit(f, "reset");
    assert_true(hit.evidence[0].weight == 0.0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(maps_a_message, setup, teardown),
        cmocka_unit_test_setup_teardown(missing_is_not_false, setup, teardown),
        cmocka_unit_test_setup_teardown(unwraps_where_it_can, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_with_a_reason, setup, teardown),
        cmocka_unit_test_setup_teardown(few_bytes_do_not_grow_into_many, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_for_what_is_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_counted_for_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(what_others_come_after_needs_no_weight, setup, teardown),
        cmocka_unit_test_setup_teardown(enforcing_on_nobody_is_a_dead_letter_too, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
