// The ring: whatever sifter finishes first, the log gets the order of the pushes; a
// change of policy stands exactly between what came before and after it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>

#include "pipeline.h"

#define POLICY_TEXT \
    "map: m\nfields: {id: raw.id}\n---\nroute: r\nfrom: [m]\nalert: {severity: low}\n---\ndefault_owner: " \
    "o\nconsumers: [{name: c, accepts: 'true', format: json, to: {stdout: {}}}]\n"

static struct policy *compile(void) {
    struct policy_file file = {STR("test.yaml"), STR(POLICY_TEXT)};
    struct policy_bundle bundle = {.files = &file, .n_files = 1};
    struct findings findings;
    findings_init(&findings);
    struct policy *policy = policy_compile(&bundle, &findings);
    if (!policy)
        fail_msg("%.*s", STR_ARG(findings.items[0].text));
    findings_free(&findings);
    return policy;
}

static void push_number(struct pipeline *pipeline, int64_t number) {
    struct batch batch;
    batch_init(&batch, 10, 4096);
    assert_true(batch_add(&batch, &(struct message){.bytes = STR("{}"), .offset = number}));
    batch_seal(&batch);
    while (!pipeline_push(pipeline, 0, &batch, 1000))
        ;
    batch_free(&batch);
}

static void *sift_unevenly(void *ctx) {
    struct pipeline *pipeline = ctx;
    unsigned turn = 0;
    for (struct item *item; (item = pipeline_claim(pipeline));) {
        if (item->is_batch && turn++ % 3 == 0)
            clock_sleep_ms(1);
        pipeline_sifted(pipeline, item);
    }
    return NULL;
}

struct reader {
    struct pipeline *pipeline;
    int64_t next;
    uint64_t generation;
    bool broken;
};

static void *read_in_order(void *ctx) {
    struct reader *reader = ctx;
    while (reader->next < 1000) {
        struct item *item = pipeline_peek(reader->pipeline, 0, 1000);
        if (!item)
            continue;
        if (!item->is_batch) {
            reader->generation = item->policy->generation;
            reader->broken |= item->records.n != 1 || item->records.records[0].type != RECORD_POLICY;
        } else {
            reader->broken |=
                item->batch.messages[0].offset != reader->next++ || item->policy->generation != reader->generation;
        }
        pipeline_release(reader->pipeline);
    }
    return NULL;
}

static void keeps_order_and_generations(void **state) {
    (void)state;
    struct policy *first = compile(), *second = compile();
    struct inventory *inventory = inventory_empty();
    first->generation = 1;
    second->generation = 2;
    struct pipeline *pipeline = pipeline_new(first, inventory);
    struct reader reader = {.pipeline = pipeline, .generation = 1};
    pthread_t sifters[3], log;
    for (size_t i = 0; i < 3; i++)
        pthread_create(&sifters[i], NULL, sift_unevenly, pipeline);
    pthread_create(&log, NULL, read_in_order, &reader);
    for (int64_t i = 0; i < 1000; i++) {
        if (i == 500)
            assert_true(pipeline_change_policy(pipeline, second, STR("record")));
        push_number(pipeline, i);
    }
    pthread_join(log, NULL);
    pipeline_close(pipeline);
    for (size_t i = 0; i < 3; i++)
        pthread_join(sifters[i], NULL);
    assert_false(reader.broken);
    assert_int_equal(reader.generation, 2);
    pipeline_free(pipeline);
    policy_unref(first);
    policy_unref(second);
    inventory_unref(inventory);
}

static void a_full_ring_takes_nothing(void **state) {
    (void)state;
    struct policy *policy = compile();
    struct inventory *inventory = inventory_empty();
    struct pipeline *pipeline = pipeline_new(policy, inventory);
    for (int64_t i = 0; i < PIPELINE_ITEMS; i++)
        push_number(pipeline, i);
    struct batch batch;
    batch_init(&batch, 10, 4096);
    batch_add(&batch, &(struct message){.bytes = STR("{}"), .offset = 99});
    batch_seal(&batch);
    assert_false(pipeline_push(pipeline, 0, &batch, 10));
    assert_int_equal(batch.n, 1); // still the caller's
    pipeline_sifted(pipeline, pipeline_claim(pipeline));
    assert_non_null(pipeline_peek(pipeline, 0, 0));
    assert_null(pipeline_peek(pipeline, 1, 0));
    pipeline_release(pipeline);
    assert_true(pipeline_push(pipeline, 0, &batch, 10));
    assert_int_equal(batch.n, 0);
    pipeline_close(pipeline);
    assert_false(pipeline_push(pipeline, 0, &batch, 10));
    batch_free(&batch);
    pipeline_free(pipeline);
    policy_unref(policy);
    inventory_unref(inventory);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(keeps_order_and_generations),
                                       cmocka_unit_test(a_full_ring_takes_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
