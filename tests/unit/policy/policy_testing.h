// What the policy room's tests share: bundles out of texts, findings as text.
#ifndef PENSTOCK_POLICY_TESTING_H
#define PENSTOCK_POLICY_TESTING_H

#include "penstock/policy.h"

#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>
#include <stdlib.h>

#define DATA TEST_ROOT "/tests/data/policy"

static inline struct policy_bundle *bundle_begin(void) {
    struct arena *arena = arena_new(256u << 20);
    struct policy_bundle *bundle = arena_alloc(arena, sizeof *bundle);
    bundle->arena = arena;
    bundle->files = arena_alloc(arena, 16 * sizeof *bundle->files);
    bundle->sources = arena_alloc(arena, 16 * sizeof *bundle->sources);
    return bundle;
}

// Names come in ascending order.
static inline void bundle_add(struct policy_bundle *bundle, const char *path, struct str text) {
    assert_true(bundle->n_files < 16);
    bundle->files[bundle->n_files++] =
        (struct policy_file){arena_str(bundle->arena, str_of(path)), arena_str(bundle->arena, text)};
}

static inline void bundle_add_source(struct policy_bundle *bundle, const char *name, const char *map) {
    assert_true(bundle->n_sources < 16);
    bundle->sources[bundle->n_sources++] = (struct policy_source){str_of(name), str_of(map)};
}

// Findings as one text, which the caller frees. `*policy` as policy_compile gave it.
static inline char *compile_bundle(struct policy_bundle *bundle, struct policy **policy) {
    struct findings findings;
    struct buf text;
    findings_init(&findings);
    buf_init(&text, 1u << 24);
    *policy = policy_compile(bundle, &findings);
    assert_true((*policy == NULL) == (findings.n_errors > 0));
    findings_write(&findings, &text);
    buf_char(&text, '\0');
    findings_free(&findings);
    policy_bundle_free(bundle);
    return text.ptr;
}

// A policy of these texts, which must have no findings at all.
static inline struct policy *compile_good(const char *first, const char *second) {
    struct policy_bundle *bundle = bundle_begin();
    struct policy *policy;
    bundle_add(bundle, "a.yaml", str_of(first));
    if (second)
        bundle_add(bundle, "b.yaml", str_of(second));
    char *findings = compile_bundle(bundle, &policy);
    if (findings[0])
        fail_msg("%s", findings);
    free(findings);
    return policy;
}

static inline bool is_text(struct str s, const char *text) {
    return str_eq(s, str_of(text));
}

#define assert_text(s, text) \
    do { \
        struct str got_ = (s); \
        if (!is_text(got_, (text))) \
            fail_msg("%s is '%.*s', not '%s'", #s, STR_ARG(got_), (text)); \
    } while (0)

#endif
