// The conformance cases of google/cel-spec that need no protobuf messages, each compiled twice: without the static
// check, where every case must give its value or fail as it says; and with it, where a case may be refused instead,
// but never give another value. Values must be of the same type, not only equal.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>

#include "case_reader.h"

static const struct {
    const char *section, *name, *reason;
} exceptions[] = {
    {"namespace_shadowing", "comprehension_shadowing_namespaced_selector_disambiguation",
     "the product has no containers, so an environment is not told of a leading dot"},
};

struct bindings {
    const struct value *names; // a map of dotted names
    struct str container;
    struct arena *arena;
    struct value slots[64];
    size_t n;
};

static bool bind(struct bindings *b, struct str name, struct expr_ref *out) {
    struct value key = value_string(name), json = value_absent();
    if (b->names->type != VALUE_MAP ||
        !b->names->container.source->get(b->names->container.source, b->names->container.node, &key, &json))
        return false;
    struct case_reader r = {.arena = b->arena};
    must(b->n < COUNT_OF(b->slots));
    out->slot = (int)b->n;
    b->slots[b->n++] = typed_value(&r, &json);
    return true;
}

// The longest prefix that is bound, in the container first.
static size_t resolve(void *ctx, struct path chain, struct expr_ref *out, struct buf *why) {
    struct bindings *b = ctx;
    for (size_t n = chain.n; n > 0; n--) {
        struct buf name;
        bool found = false, plain = true;
        buf_init(&name, 4096);
        buf_printf(&name, "%.*s%s", STR_ARG(b->container), b->container.len > 0 ? "." : "");
        size_t prefix = name.len;
        for (size_t i = 0; i < n; i++) {
            plain = plain && !chain.steps[i].is_index;
            buf_printf(&name, "%s%.*s", i > 0 ? "." : "", STR_ARG(chain.steps[i].key));
        }
        struct str whole = arena_str(b->arena, buf_view(&name));
        buf_free(&name);
        found = plain && (bind(b, whole, out) || bind(b, (struct str){whole.ptr + prefix, whole.len - prefix}, out));
        if (found)
            return n;
    }
    buf_printf(why, "no such name");
    return 0;
}

static bool same_value(const struct value *a, const struct value *b);

static bool same_items(const struct value *a, const struct value *b) {
    const struct value_source *sa = a->container.source, *sb = b->container.source;
    uint64_t ca = 0, cb = 0;
    struct value ka, va, kb, vb;
    if (value_size(a) != value_size(b))
        return false;
    while (sa->next(sa, a->container.node, &ca, &ka, &va)) {
        if (a->type == VALUE_MAP ? !sb->get(sb, b->container.node, &ka, &vb)
                                 : !sb->next(sb, b->container.node, &cb, &kb, &vb))
            return false;
        if (!same_value(&va, &vb))
            return false;
    }
    return true;
}

static bool same_value(const struct value *a, const struct value *b) {
    if (a->type != b->type)
        return false;
    if (a->type == VALUE_LIST || a->type == VALUE_MAP)
        return same_items(a, b);
    if (a->type == VALUE_DOUBLE && a->real != a->real)
        return b->real != b->real;
    if (a->type == VALUE_TYPE)
        return str_eq(a->string, b->string);
    return value_equal(a, b);
}

enum outcome { GIVES_VALUE, FAILS, REFUSED };

static enum outcome run_case(const struct value *test, bool checked, struct arena *arena, struct value *out,
                             struct expr_error *error) {
    struct value names = member(test, "bindings"), container = member(test, "container");
    struct bindings b = {.names = &names, .arena = arena};
    if (container.type == VALUE_STRING)
        b.container = container.string;
    struct expr_env env = {.ctx = &b, .resolve = resolve};
    struct str source = member(test, "expr").string;
    struct expr *expr = checked ? expr_compile(source, &env, error) : expr_compile_unchecked(source, &env, error);
    if (!expr)
        return REFUSED;
    *out = expr_eval(expr, b.slots, arena, EXPR_FUEL_DEFAULT);
    enum outcome outcome = out->type == VALUE_ERROR || out->type == VALUE_ABSENT ? FAILS : GIVES_VALUE;
    if (outcome == GIVES_VALUE) { // results may point into the expression
        struct value wanted = member(test, "value");
        struct case_reader r = {.arena = arena};
        struct value typed = wanted.type == VALUE_ABSENT ? wanted : typed_value(&r, &wanted);
        outcome = same_value(out, &typed) ? GIVES_VALUE : FAILS;
        if (outcome == FAILS)
            snprintf(error->text, sizeof error->text, "another value, of type %s", value_type_name(out->type));
        out->type = wanted.type == VALUE_ABSENT ? VALUE_NULL : out->type;
    } else {
        snprintf(error->text, sizeof error->text, "%.*s", out->type == VALUE_ERROR ? (int)out->string.len : 6,
                 out->type == VALUE_ERROR ? out->string.ptr : "absent");
    }
    expr_free(expr);
    return outcome;
}

static const char *excuse(const struct value *test) {
    for (size_t i = 0; i < COUNT_OF(exceptions); i++) {
        if (str_eq(member(test, "section").string, str_of(exceptions[i].section)) &&
            str_eq(member(test, "name").string, str_of(exceptions[i].name)))
            return exceptions[i].reason;
    }
    bool zone = str_eq(member(test, "section").string, STR("timestamp_selectors_tz"));
    return zone && access("/usr/share/zoneinfo/US/Central", R_OK) != 0 ? "no time zone database here" : NULL;
}

struct tally {
    struct str file;
    size_t cases, passed, excused, refused, wrong;
};

static void count_case(const struct value *test, struct tally *tally) {
    struct arena *arena = arena_new(16 << 20);
    struct expr_error error = {0};
    struct value out = value_absent();
    bool wants_error = member(test, "value").type == VALUE_ABSENT;
    enum outcome outcome = run_case(test, false, arena, &out, &error);
    bool settled = out.type != VALUE_ERROR && out.type != VALUE_ABSENT;
    bool passed = wants_error ? outcome != GIVES_VALUE && !settled : outcome == GIVES_VALUE;
    tally->cases++;
    if (passed) {
        tally->passed++;
    } else if (excuse(test)) {
        tally->excused++;
    } else {
        tally->wrong++;
        printf("FAILED %.*s/%.*s: %.*s: %s\n", STR_ARG(member(test, "section").string),
               STR_ARG(member(test, "name").string), STR_ARG(member(test, "expr").string), error.text);
    }
    out = value_absent();
    outcome = run_case(test, true, arena, &out, &error);
    settled = out.type != VALUE_ERROR && out.type != VALUE_ABSENT;
    if (outcome == REFUSED) {
        tally->refused += !wants_error;
        assert_true(error.line >= 1 && error.column >= 1 && strlen(error.text) > 0);
    } else if ((wants_error ? settled : outcome != GIVES_VALUE) && !excuse(test)) {
        tally->wrong++;
        printf("FAILED (checked) %.*s: %.*s: %s\n", STR_ARG(member(test, "name").string),
               STR_ARG(member(test, "expr").string), error.text);
    }
    arena_free(arena);
}

static void test_all_cases(void **state) {
    (void)state;
    struct buf file;
    struct status status;
    struct tally tallies[32] = {0}, total = {0};
    size_t n = 0;
    buf_init(&file, 4 << 20);
    assert_true(file_read(TEST_ROOT "/tests/data/cel/cases.ndjson", &file, &status));
    struct arena *arena = arena_new(64 << 20);
    struct case_reader r = {.at = file.ptr, .end = file.ptr + file.len, .arena = arena};
    for (read_space(&r); r.at < r.end; read_space(&r)) {
        struct value test = read_json(&r);
        struct str name = member(&test, "file").string;
        size_t i = 0;
        while (i < n && !str_eq(tallies[i].file, name))
            i++;
        if (i == n)
            tallies[n++].file = name;
        must(n < COUNT_OF(tallies));
        count_case(&test, &tallies[i]);
    }
    for (size_t i = 0; i < n; i++) {
        const struct tally *t = &tallies[i];
        printf("%-14.*s %3zu of %3zu pass, %zu excused; the static check refuses %zu more\n", STR_ARG(t->file),
               t->passed, t->cases, t->excused, t->refused);
        total.cases += t->cases;
        total.passed += t->passed;
        total.refused += t->refused;
        total.wrong += t->wrong;
    }
    printf("%zu of %zu pass; the static check refuses %zu that have a value\n", total.passed, total.cases,
           total.refused);
    assert_int_equal(total.wrong, 0);
    assert_int_equal(total.cases, 872);
    // Unknown functions, operands of && and || that are no bools, `'elem' in [1]`: what a check is for. No more of it.
    assert_int_equal(total.refused, 14);
    arena_free(arena);
    buf_free(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_cases)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
