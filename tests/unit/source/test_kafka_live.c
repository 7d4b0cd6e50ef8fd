// A Kafka source against the mock cluster, or a real Kafka: offsets, redelivery, rebalances, pauses, and what it says.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>

#include "../broker/live.h"
#include "../broker/live_kafka.h"
#include "penstock/source.h"

#define PARTITIONS 3

static struct live_kafka kafka;
static char topic[128], group[128];

static struct source *open_source(const char *reset, const struct source_position *positions, size_t n) {
    static char *topics[] = {topic};
    // The mock cluster waits for a session's length before it gives a group with members a new assignment.
    static struct setting short_session[] = {
        {(char *)(uintptr_t) "session.timeout.ms", (char *)(uintptr_t) "2500"},
        {(char *)(uintptr_t) "heartbeat.interval.ms", (char *)(uintptr_t) "300"},
    };
    struct source_config config = {
        .name = (char *)(uintptr_t) "in",
        .kind = SOURCE_KAFKA,
        .max_message_bytes = 1 << 20,
        .kafka = {.brokers = kafka.brokers, .settings = short_session, .n_settings = kafka.real ? 0 : 2},
        .topics = topics,
        .n_topics = 1,
        .group = group,
        .offset_reset = (char *)(uintptr_t)reset,
    };
    struct status status = {0};
    struct source *source = source_open(&config, positions, n, &status);
    if (!source)
        fail_msg("%s", status.text);
    return source;
}

struct seen {
    unsigned times[20001];
    size_t n, distinct;
};

static size_t take(struct seen *seen, const struct batch *batch) {
    for (size_t i = 0; i < batch->n; i++) {
        int n = 0;
        assert_int_equal(sscanf(batch->messages[i].bytes.ptr, "{\"n\":%d}", &n), 1);
        assert_in_range(n, 1, 20000);
        assert_int_equal(batch->messages[i].partition, n % PARTITIONS);
        assert_true(batch->messages[i].time_ms > 1600000000000);
        seen->n++;
        seen->distinct += seen->times[n]++ == 0;
    }
    return batch->n;
}

static void read_some(struct source *source, struct seen *seen, size_t per_batch, size_t want, int for_ms,
                      bool commit) {
    struct batch batch;
    struct status status = {0};
    int64_t until_ms = clock_monotonic_ms() + for_ms;
    batch_init(&batch, per_batch, 1 << 20);
    for (size_t before = seen->distinct; seen->distinct - before < want && clock_monotonic_ms() < until_ms;) {
        if (!source_read(source, &batch, 100, &status))
            fail_msg("%s", status.text);
        take(seen, &batch);
        if (commit && batch.n > 0)
            source_commit(source, &batch);
    }
    batch_free(&batch);
}

static void assert_once_each(const struct seen *seen, int from, int to) {
    for (int i = from; i <= to; i++)
        if (seen->times[i] != 1)
            fail_msg("message %d came %u times", i, seen->times[i]);
}

static int set_up(void **state) {
    (void)state;
    live_kafka_name(topic, sizeof topic, "events");
    live_kafka_name(group, sizeof group, "group");
    live_kafka_topic(&kafka, topic, PARTITIONS);
    return 0;
}

static void test_all_once_and_nothing_again(void **state) {
    (void)state;
    static struct seen seen, again;
    seen = again = (struct seen){0};
    live_kafka_produce(&kafka, topic, PARTITIONS, 1, 9000);
    struct source *source = open_source("earliest", NULL, 0);
    read_some(source, &seen, 500, 9000, 30000, true);
    assert_int_equal(seen.n, 9000);
    assert_once_each(&seen, 1, 9000);
    struct source_stats stats;
    source_get_stats(source, &stats);
    assert_true(stats.ready);
    assert_int_equal(stats.messages, 9000);
    source_close(source);

    source = open_source("earliest", NULL, 0);
    read_some(source, &again, 500, 1, 4000, true);
    assert_int_equal(again.n, 0);
    live_kafka_produce(&kafka, topic, PARTITIONS, 9001, 9100);
    read_some(source, &again, 500, 100, 20000, true);
    read_some(source, &again, 500, 1, 500, true);
    assert_int_equal(again.n, 100);
    assert_once_each(&again, 9001, 9100);
    source_get_stats(source, &stats);
    assert_true(stats.commits >= 1);
    source_close(source);
}

static void test_what_was_not_committed_comes_again(void **state) {
    (void)state;
    static struct seen seen, again;
    seen = again = (struct seen){0};
    live_kafka_produce(&kafka, topic, PARTITIONS, 1, 3000);
    struct source *source = open_source("earliest", NULL, 0);
    read_some(source, &seen, 100, 1000, 30000, true);
    static struct seen committed;
    committed = seen;
    read_some(source, &seen, 100, 1000, 30000, false);
    source_close(source);
    source = open_source("earliest", NULL, 0);
    read_some(source, &again, 100, 3000 - committed.distinct, 30000, true);
    read_some(source, &again, 100, 1, 500, true);
    for (int i = 1; i <= 3000; i++)
        if (committed.times[i] + again.times[i] != 1)
            fail_msg("message %d: committed %u times, came again %u times", i, committed.times[i], again.times[i]);
    source_close(source);
}

static void test_begins_where_the_log_says(void **state) {
    (void)state;
    static struct seen seen;
    seen = (struct seen){0};
    live_kafka_produce(&kafka, topic, PARTITIONS, 1, 300); // 100 each; partition 0 holds 3, 6, 9 …
    struct source_position positions[PARTITIONS] = {{0}};
    for (int32_t p = 0; p < PARTITIONS; p++) {
        positions[p] = (struct source_position){.partition = p, .next_offset = 90};
        snprintf(positions[p].topic, sizeof positions[p].topic, "%s", topic);
    }
    struct source *source = open_source("earliest", positions, PARTITIONS);
    read_some(source, &seen, 100, 30, 20000, true);
    read_some(source, &seen, 100, 1, 500, true);
    assert_int_equal(seen.n, 30);
    assert_once_each(&seen, 271, 300);
    source_close(source);
    for (int32_t p = 0; p < PARTITIONS; p++) // what the broker knows is further on
        positions[p].next_offset = 10;
    seen = (struct seen){0};
    source = open_source("earliest", positions, PARTITIONS);
    read_some(source, &seen, 100, 1, 4000, true);
    assert_int_equal(seen.n, 0);
    source_close(source);
}

static void expect_invalid(const char *reset, int64_t position, const char *says) {
    struct source_position positions[PARTITIONS] = {{0}};
    for (int32_t p = 0; p < PARTITIONS; p++)
        positions[p] = (struct source_position){.partition = p, .next_offset = position};
    struct source *source = open_source(reset, positions, position > 0 ? PARTITIONS : 0);
    struct batch batch;
    struct status status = {0};
    bool ok = true;
    batch_init(&batch, 100, 1 << 20);
    for (int64_t until_ms = clock_monotonic_ms() + 20000; ok && clock_monotonic_ms() < until_ms;)
        ok = source_read(source, &batch, 100, &status);
    assert_false(ok);
    assert_int_equal(status.code, STATUS_INVALID);
    if (!strstr(status.text, says) || !strstr(status.text, topic) || !strstr(status.text, group))
        fail_msg("says: %s", status.text);
    assert_false(source_read(source, &batch, 100, &status)); // it stays so
    batch_free(&batch);
    source_close(source);
}

static void test_positions_that_cannot_be(void **state) {
    (void)state;
    live_kafka_produce(&kafka, topic, PARTITIONS, 1, 30);
    expect_invalid("error", 0, "cannot be read where it should go on");
    expect_invalid("error", 1000, "cannot be read where it should go on");
    expect_invalid("earliest", 1000, "was truncated or made anew");
}

struct member {
    struct source *source;
    struct seen *seen;
    pthread_mutex_t *mutex;
    atomic_bool *over;
    size_t n;
};

static void *run_member(void *argument) {
    struct member *member = argument;
    struct batch batch;
    struct status status = {0};
    batch_init(&batch, 50, 1 << 20);
    while (!atomic_load(member->over)) {
        must(source_read(member->source, &batch, 50, &status));
        pthread_mutex_lock(member->mutex);
        member->n += take(member->seen, &batch);
        pthread_mutex_unlock(member->mutex);
        if (batch.n > 0)
            source_commit(member->source, &batch);
        clock_sleep_ms(2);
    }
    batch_free(&batch);
    return NULL;
}

// A second member joins while the first reads, and leaves again.
static void test_rebalance_loses_and_repeats_nothing(void **state) {
    (void)state;
    static struct seen seen;
    seen = (struct seen){0};
    static atomic_bool over, second_over;
    atomic_store(&over, false);
    atomic_store(&second_over, false);
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    struct member members[2] = {
        {open_source("earliest", NULL, 0), &seen, &mutex, &over, 0},
        {NULL, &seen, &mutex, &second_over, 0},
    };
    pthread_t threads[2];
    live_kafka_produce(&kafka, topic, PARTITIONS, 1, 3000);
    assert_int_equal(pthread_create(&threads[0], NULL, run_member, &members[0]), 0);
    clock_sleep_ms(2000);
    members[1].source = open_source("earliest", NULL, 0);
    assert_int_equal(pthread_create(&threads[1], NULL, run_member, &members[1]), 0);
    for (int n = 3001; n < 9000; n += 300) {
        live_kafka_produce(&kafka, topic, PARTITIONS, n, n + 299);
        clock_sleep_ms(350);
    }
    atomic_store(&second_over, true);
    pthread_join(threads[1], NULL);
    source_close(members[1].source);
    live_kafka_produce(&kafka, topic, PARTITIONS, 9001, 9300);
    for (int i = 0; i < 200; i++) {
        clock_sleep_ms(50);
        pthread_mutex_lock(&mutex);
        bool all = seen.distinct == 9300;
        pthread_mutex_unlock(&mutex);
        if (all)
            break;
    }
    clock_sleep_ms(300);
    atomic_store(&over, true);
    pthread_join(threads[0], NULL);
    struct source_stats stats;
    source_get_stats(members[0].source, &stats);
    source_close(members[0].source);
    assert_true(stats.rebalances >= 3);
    assert_true(members[1].n > 0);
    assert_int_equal(seen.distinct, 9300);
    if (kafka.real) // the mock cluster takes no commit while a rebalance is prepared, so what was read comes again
        assert_once_each(&seen, 1, 9300);
}

// While the pipeline is full the source is only kept alive; afterwards it goes on as if nothing had been.
static void test_idle_pauses_and_read_goes_on(void **state) {
    (void)state;
    static struct seen seen;
    seen = (struct seen){0};
    live_kafka_produce(&kafka, topic, PARTITIONS, 1, 6000);
    struct source *source = open_source("earliest", NULL, 0);
    read_some(source, &seen, 100, 500, 20000, true);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 12; i++) {
            source_idle(source);
            clock_sleep_ms(150);
        }
        read_some(source, &seen, 100, 1000, 20000, true);
    }
    read_some(source, &seen, 100, 6000 - seen.distinct, 20000, true);
    read_some(source, &seen, 100, 1, 500, true);
    assert_int_equal(seen.n, 6000);
    assert_once_each(&seen, 1, 6000);
    source_close(source);
}

static void test_a_topic_made_later(void **state) {
    (void)state;
    if (!kafka.real) {
        print_message("skipped: the mock cluster makes topics by itself\n");
        skip();
    }
    static struct seen seen;
    seen = (struct seen){0};
    live_kafka_name(topic, sizeof topic, "later");
    struct source *source = open_source("earliest", NULL, 0);
    read_some(source, &seen, 10, 1, 3000, true);
    struct source_stats stats;
    source_get_stats(source, &stats);
    if (!strstr(stats.detail, "does not exist yet"))
        fail_msg("says: %s", stats.detail);
    live_kafka_topic(&kafka, topic, PARTITIONS);
    live_kafka_produce(&kafka, topic, PARTITIONS, 1, 10);
    read_some(source, &seen, 10, 10, 25000, true);
    assert_int_equal(seen.n, 10);
    source_get_stats(source, &stats);
    assert_true(stats.ready);
    source_close(source);
}

static void test_nobody_there(void **state) {
    (void)state;
    char keep[sizeof kafka.brokers];
    memcpy(keep, kafka.brokers, sizeof keep);
    snprintf(kafka.brokers, sizeof kafka.brokers, "127.0.0.1:%d", live_free_port());
    static struct seen seen;
    seen = (struct seen){0};
    struct source *source = open_source("earliest", NULL, 0);
    memcpy(kafka.brokers, keep, sizeof keep);
    read_some(source, &seen, 10, 1, 3000, true);
    struct source_stats stats;
    source_get_stats(source, &stats);
    assert_false(stats.ready);
    if (!strstr(stats.detail, "no broker answers") || !strstr(stats.detail, "refused"))
        fail_msg("says: %s", stats.detail);
    int64_t began_ms = clock_monotonic_ms();
    source_close(source);
    assert_true(clock_monotonic_ms() - began_ms < 6000);
}

static void test_settings_that_can_never_work(void **state) {
    (void)state;
    static char name[] = "in", earliest[] = "earliest", pattern[] = "^a.*", brokers[] = "127.0.0.1:1";
    static char *one[] = {topic}, *patterns[] = {pattern}, *twice[] = {topic, topic};
    static struct setting commit = {(char *)(uintptr_t) "enable.auto.commit", (char *)(uintptr_t) "s3cr3t"};
    static struct setting mechanism[] = {
        {(char *)(uintptr_t) "security.protocol", (char *)(uintptr_t) "sasl_plaintext"},
        {(char *)(uintptr_t) "sasl.mechanism", (char *)(uintptr_t) "s3cr3t"},
    };
    struct {
        struct source_config config;
        const char *says;
    } cases[] = {
        {{.topics = one, .n_topics = 1, .group = group, .offset_reset = earliest}, "brokers"},
        {{.kafka = {brokers, NULL, 0}, .group = group, .offset_reset = earliest}, "no topics"},
        {{.kafka = {brokers, NULL, 0}, .topics = one, .n_topics = 1, .offset_reset = earliest}, "group"},
        {{.kafka = {brokers, NULL, 0}, .topics = one, .n_topics = 1, .group = group}, "offset_reset"},
        {{.kafka = {brokers, NULL, 0}, .topics = one, .n_topics = 1, .group = group, .offset_reset = name},
         "offset_reset"},
        {{.kafka = {brokers, NULL, 0}, .topics = patterns, .n_topics = 1, .group = group, .offset_reset = earliest},
         "^a.*"},
        {{.kafka = {brokers, NULL, 0}, .topics = twice, .n_topics = 2, .group = group, .offset_reset = earliest},
         "twice"},
        {{.kafka = {brokers, &commit, 1}, .topics = one, .n_topics = 1, .group = group, .offset_reset = earliest},
         "\"enable.auto.commit\" cannot be set"},
        {{.kafka = {brokers, mechanism, 2}, .topics = one, .n_topics = 1, .group = group, .offset_reset = earliest},
         "librdkafka"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct status status = {0};
        cases[i].config.name = name;
        cases[i].config.max_message_bytes = 1000;
        cases[i].config.kind = SOURCE_KAFKA;
        assert_null(source_open(&cases[i].config, NULL, 0, &status));
        assert_int_equal(status.code, STATUS_INVALID);
        if (!strstr(status.text, cases[i].says))
            fail_msg("case %zu: %s", i, status.text);
        assert_null(strstr(status.text, "s3cr3t"));
    }
}

int main(int argc, char **argv) {
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL); // "*rebalance*": only these
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_all_once_and_nothing_again, set_up),
        cmocka_unit_test_setup(test_what_was_not_committed_comes_again, set_up),
        cmocka_unit_test_setup(test_begins_where_the_log_says, set_up),
        cmocka_unit_test_setup(test_positions_that_cannot_be, set_up),
        cmocka_unit_test_setup(test_rebalance_loses_and_repeats_nothing, set_up),
        cmocka_unit_test_setup(test_idle_pauses_and_read_goes_on, set_up),
        cmocka_unit_test(test_a_topic_made_later),
        cmocka_unit_test_setup(test_nobody_there, set_up),
        cmocka_unit_test_setup(test_settings_that_can_never_work, set_up),
    };
    live_kafka_open(&kafka);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    live_kafka_close(&kafka);
    return failed;
}
