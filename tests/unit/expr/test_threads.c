// One compiled condition evaluated by several threads at once, patterns and all: the same answers, and under
// ThreadSanitizer no race.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>

#include "test_names.h"

#define THREADS 4
#define TURNS 5000

struct job {
    const struct expr *expr;
    const struct value *slots;
    size_t held;
};

static void *evaluate(void *arg) {
    struct job *job = arg;
    struct arena *arena = arena_new(1 << 20);
    for (int i = 0; i < TURNS; i++) {
        job->held += expr_holds(job->expr, job->slots, arena) == EXPR_TRUE;
        arena_reset(arena);
    }
    arena_free(arena);
    return NULL;
}

static void test_threads_share_a_condition(void **state) {
    static const char source[] =
        "event.type.matches('^token_(use|mint)$') && ip_in(event.ip, ['203.0.113.0/24']) && "
        "raw.list.map(x, x + raw.text).exists(x, x.matches('h.*' + 'o') && x in raw.list + [x])";
    struct names names;
    struct expr_error error;
    pthread_t threads[THREADS];
    struct job jobs[THREADS];
    (void)state;
    names_init(&names, 4);
    struct expr *expr = expr_compile(str_of(source), &names.env, &error);
    assert_non_null(expr);
    for (size_t i = 0; i < THREADS; i++) {
        jobs[i] = (struct job){.expr = expr, .slots = names.slots};
        assert_int_equal(pthread_create(&threads[i], NULL, evaluate, &jobs[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(jobs[i].held, TURNS);
    }
    expr_free(expr);
    names_free(&names);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads_share_a_condition)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
