// Candidates and dead letters: what is written is what is read, damaged bytes are
// refused, and ids depend on the cause alone.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "penstock/record.h"

static struct candidate sample(struct arena *arena) {
    struct value *networks = arena_alloc(arena, 2 * sizeof *networks), *labels = arena_alloc(arena, 4 * sizeof *labels);
    networks[0] = value_string(STR("10.0.0.0/8"));
    networks[1] = value_string(STR(""));
    labels[0] = value_string(STR("env"));
    labels[1] = value_string(STR("prod"));
    labels[2] = value_string(STR("tries"));
    labels[3] = value_int(3);
    struct candidate c = {
        .generation = 7,
        .at = {.source = STR("okta"), .partition = 3, .offset = INT64_MAX, .index = 9, .ordered = true},
        .received_ms = 1234,
        .known_identity = true};
    c.event[EVENT_ID] = value_string(STR("e-1"));
    c.event[EVENT_TIME] = value_timestamp(-5, 999999999);
    c.event[EVENT_DEVICE_COMPLIANT] = value_bool(false);
    c.event[EVENT_DETECTOR_CONFIDENCE] = value_double(0.25);
    c.event[EVENT_NET_ASN] = value_uint(UINT64_MAX);
    c.event[EVENT_LABELS] = value_map(arena, labels, 2);
    c.identity[IDENTITY_PRIVILEGE] = value_int(-1);
    c.identity[IDENTITY_NETWORKS] = value_list(arena, networks, 2);
    return c;
}

static const struct hit hits[] = {
    {.route = 65535,
     .n_evidence = 2,
     .evidence = {{.index = 0, .weight = 0.5},
                  {.index = 31, .weight = 1.0, .has_key = true, .key = {5, 6}, .value = 7}},
     .adjust_alert = -0.1,
     .adjust_signal = 0.2,
     .dedup_key = {1, 2},
     .severity = {"high", 4},
     .title = {"t", 1},
     .reason = {NULL, 0}},
    {.route = 0, .n_evidence = 0, .dedup_key = {3, 4}},
};

static void write_sample(struct buf *out, struct arena *arena) {
    struct candidate candidate = sample(arena);
    struct candidate_writer writer;
    candidate_begin(&writer, out, &candidate);
    for (size_t i = 0; i < COUNT_OF(hits); i++)
        candidate_add_hit(&writer, &hits[i]);
    candidate_end(&writer);
}

static void reads_what_was_written(void **state) {
    (void)state;
    struct arena *arena = arena_new(65536);
    struct buf bytes;
    struct candidate wrote = sample(arena), read;
    buf_init(&bytes, 65536);
    write_sample(&bytes, arena);
    assert_true(candidate_read(buf_view(&bytes), &read));
    assert_int_equal(read.generation, 7);
    assert_true(str_eq(read.at.source, STR("okta")) && read.at.partition == 3 && read.at.offset == INT64_MAX &&
                read.at.index == 9 && read.at.ordered);
    assert_true(read.known_identity);
    for (size_t i = 0; i < EVENT_FIELD_COUNT; i++) {
        assert_int_equal(read.event[i].type, wrote.event[i].type);
        if (wrote.event[i].type != VALUE_ABSENT && wrote.event[i].type != VALUE_MAP)
            assert_true(value_equal(&read.event[i], &wrote.event[i]));
    }
    assert_true(value_equal(&read.identity[IDENTITY_NETWORKS], &wrote.identity[IDENTITY_NETWORKS]));
    struct value key = value_string(STR("tries")), tries;
    const struct value *labels = &read.event[EVENT_LABELS];
    assert_int_equal(value_size(labels), 2);
    assert_true(labels->container.source->get(labels->container.source, labels->container.node, &key, &tries));
    assert_true(str_eq(tries.string, STR("3"))); // labels are texts

    size_t cursor = 0;
    struct hit hit;
    for (size_t i = 0; i < COUNT_OF(hits); i++) {
        assert_true(candidate_next_hit(&read, &cursor, &hit));
        assert_int_equal(hit.route, hits[i].route);
        assert_int_equal(hit.n_evidence, hits[i].n_evidence);
        for (size_t e = 0; e < hit.n_evidence; e++) {
            const struct hit_evidence *got = &hit.evidence[e], *put = &hits[i].evidence[e];
            assert_true(got->index == put->index && got->weight == put->weight && got->has_key == put->has_key);
            assert_true(hash128_eq(got->key, put->key) && got->value == put->value);
        }
        assert_true(hash128_eq(hit.dedup_key, hits[i].dedup_key) && str_eq(hit.severity, hits[i].severity) &&
                    str_eq(hit.title, hits[i].title));
    }
    assert_false(candidate_next_hit(&read, &cursor, &hit));
    buf_free(&bytes);
    arena_free(arena);
}

// Cut at every byte and flipped at every bit: never outside of the bytes (the sanitizer watches), and a cut is noticed.
static void survives_damage(void **state) {
    (void)state;
    struct arena *arena = arena_new(65536);
    struct buf bytes;
    buf_init(&bytes, 65536);
    write_sample(&bytes, arena);
    for (size_t bit = 0; bit < bytes.len * 8; bit++) {
        char *copy = malloc(bytes.len);
        memcpy(copy, bytes.ptr, bytes.len);
        copy[bit / 8] = (char)(copy[bit / 8] ^ (1 << bit % 8));
        struct candidate candidate;
        struct hit hit;
        size_t cursor = 0;
        if (candidate_read((struct str){copy, bytes.len}, &candidate))
            for (int i = 0; i < 10 && candidate_next_hit(&candidate, &cursor, &hit); i++)
                ;
        free(copy);
    }
    for (size_t len = 0; len < bytes.len; len++) {
        char *copy = malloc(len + 1);
        memcpy(copy, bytes.ptr, len);
        struct candidate candidate;
        struct hit hit;
        size_t cursor = 0, n = 0;
        if (candidate_read((struct str){copy, len}, &candidate))
            while (candidate_next_hit(&candidate, &cursor, &hit))
                n++;
        assert_true(n < COUNT_OF(hits));
        free(copy);
    }
    buf_free(&bytes);
    arena_free(arena);
}

static void ids_follow_from_the_cause(void **state) {
    (void)state;
    struct coordinates at = {.source = STR("a"), .partition = 1, .offset = 2, .index = 3}, other = at;
    assert_true(hash128_eq(cause_id(&at), cause_id(&other)));
    other.ordered = true; // how a source redelivers is not where an event stood
    assert_true(hash128_eq(cause_id(&at), cause_id(&other)));
    other.index = 4;
    assert_false(hash128_eq(cause_id(&at), cause_id(&other)));
    struct hash128 id = output_id(&at, STR("r"), STR("signal"), STR("c"));
    assert_false(hash128_eq(id, output_id(&at, STR("r"), STR("alert"), STR("c"))));
    assert_false(hash128_eq(id, output_id(&at, STR("r"), STR("signal"), STR("d"))));
    assert_false(hash128_eq(id, output_id(&at, STR("rs"), STR("ignal"), STR("c"))));
}

static void dead_letters_keep_their_bytes(void **state) {
    (void)state;
    static const struct {
        struct str bytes;
        const char *expect;
    } cases[] = {
        {STR("{\"a\":\"x"), "\"data\":\"{\\\"a\\\":\\\"x\""},
        {STR("\xff\xfe"), "\"data_base64\":\"//4=\""},
        {STR("a\x01"), "\"data_base64\":\"YQE=\""},
        {STR("caf\xc3\xa9"), "\"data\":\"caf\xc3\xa9\""},
        {STR("\xc3"), "\"data_base64\":\"ww==\""}, // a character cut in its middle
        {STR(""), "\"data\":\"\""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct dead_letter wrote = {.at = {.source = STR("s"), .offset = 5},
                                    .reason = STR("invalid_utf8"),
                                    .detail = STR("not UTF-8"),
                                    .full_bytes = cases[i].bytes.len,
                                    .bytes = cases[i].bytes},
                           read;
        struct buf bytes, json;
        buf_init(&bytes, 4096);
        buf_init(&json, 4096);
        dead_letter_write(&bytes, &wrote);
        assert_true(dead_letter_read(buf_view(&bytes), &read));
        assert_true(str_eq(read.bytes, wrote.bytes) && str_eq(read.reason, wrote.reason));
        dead_letter_write_json(&json, &read, 0);
        buf_char(&json, '\0');
        assert_non_null(strstr(json.ptr, cases[i].expect));
        assert_non_null(strstr(json.ptr, "\"offset\":5"));
        buf_free(&bytes);
        buf_free(&json);
    }
}

static void nobody_is_not_somebody(void **state) {
    (void)state;
    static const char *const nobody[] = {"",  "  ",   "*",       "%",  "??", "arn:aws:iam::1:user/*",
                                         "-", "null", "Unknown", "ALL"};
    static const char *const somebody[] = {"a", "user@example.com", "arn:aws:iam::1:user/x", "100%", "nullable"};
    for (size_t i = 0; i < COUNT_OF(nobody); i++)
        assert_false(subject_is_definite(str_of(nobody[i])));
    for (size_t i = 0; i < COUNT_OF(somebody); i++)
        assert_true(subject_is_definite(str_of(somebody[i])));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_was_written),    cmocka_unit_test(survives_damage),
        cmocka_unit_test(ids_follow_from_the_cause), cmocka_unit_test(dead_letters_keep_their_bytes),
        cmocka_unit_test(nobody_is_not_somebody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
