// Cursors in threads of their own beside a live appender. The thread sanitizer watches.
#include "journal_testing.h"

#include <pthread.h>
#include <stdatomic.h>

#define RECORDS 30000

struct reader {
    struct journal *journal;
    bool durable_only;
    uint64_t last;
    uint64_t waits;
    char failure[600];
};

// No assertions here: cmocka's jump belongs to the main thread.
static bool is_right(const struct journal_record *record, uint64_t expected) {
    char payload[PAYLOAD_MAX];
    size_t len = payload_of(expected, payload);
    return record->seq == expected && record->type == type_of(expected) && record->time_ms == time_of(expected) &&
           str_eq(record->payload, (struct str){payload, len});
}

static void *read_all(void *argument) {
    struct reader *reader = argument;
    struct status status = {0};
    struct journal_record record;
    struct journal_cursor *cursor = journal_cursor_open(reader->journal, 1, reader->durable_only);
    while (reader->last < RECORDS && !reader->failure[0]) {
        switch (journal_next(cursor, &record, &status)) {
        case JOURNAL_RECORD:
            if (!is_right(&record, reader->last + 1)) {
                snprintf(reader->failure, sizeof reader->failure, "record %" PRIu64 " instead of %" PRIu64, record.seq,
                         reader->last + 1);
            } else if (reader->durable_only && record.seq > journal_durable_seq(reader->journal)) {
                snprintf(reader->failure, sizeof reader->failure, "record %" PRIu64 " before it was durable",
                         record.seq);
            }
            reader->last++;
            break;
        case JOURNAL_END:
            reader->waits++;
            if (reader->waits > 20 * RECORDS) {
                snprintf(reader->failure, sizeof reader->failure, "the waits spin");
            }
            journal_wait(cursor, 60000);
            break;
        case JOURNAL_FAILED: snprintf(reader->failure, sizeof reader->failure, "%s", status.text); break;
        }
    }
    journal_cursor_close(cursor);
    return NULL;
}

static void follow(uint64_t sync_every, uint64_t segment_bytes) {
    char *dir = new_folder();
    struct journal *journal = open_good(dir, segment_bytes, quick_io());
    struct reader readers[3] = {
        {.journal = journal, .durable_only = true}, {.journal = journal}, {.journal = journal, .durable_only = true}};
    pthread_t threads[COUNT_OF(readers)];
    for (size_t i = 0; i < COUNT_OF(readers); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_all, &readers[i]), 0);
    }
    for (uint64_t seq = 1; seq <= RECORDS; seq++) {
        append_good(journal, seq, seq);
        if (seq % sync_every == 0) {
            sync_good(journal);
        }
    }
    sync_good(journal);
    for (size_t i = 0; i < COUNT_OF(readers); i++) {
        pthread_join(threads[i], NULL);
        assert_string_equal(readers[i].failure, "");
        assert_int_equal(readers[i].last, RECORDS);
    }
    journal_close(journal);
    remove_folder(dir);
}

static void cursors_follow_a_live_appender(void **state) {
    (void)state;
    follow(64, 100000);
}

static void cursors_follow_through_many_segments(void **state) {
    (void)state;
    follow(7, 3000);
}

// A live cursor sees each record without any sync: if it did not, the two would wait for each other for ever.
static void *answer(void *argument) {
    struct reader *reader = argument;
    struct journal_record record;
    struct status status = {0};
    struct journal_cursor *cursor = journal_cursor_open(reader->journal, 1, false);
    for (uint64_t seq = 1; seq <= 2000; seq++) {
        enum journal_read read;
        while ((read = journal_next(cursor, &record, &status)) == JOURNAL_END) {
            journal_wait(cursor, 60000);
        }
        if (read != JOURNAL_RECORD || !is_right(&record, seq)) {
            snprintf(reader->failure, sizeof reader->failure, "at %" PRIu64 ": %s", seq, status.text);
            break;
        }
        __atomic_store_n(&reader->last, seq, __ATOMIC_RELEASE);
    }
    journal_cursor_close(cursor);
    return NULL;
}

static void a_live_cursor_sees_each_record_at_once(void **state) {
    (void)state;
    char *dir = new_folder();
    struct journal *journal = open_good(dir, 0, quick_io());
    struct reader reader = {.journal = journal};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, answer, &reader), 0);
    int64_t give_up_ms = clock_monotonic_ms() + 60000;
    for (uint64_t seq = 1; seq <= 2000; seq++) {
        append_good(journal, seq, seq);
        while (__atomic_load_n(&reader.last, __ATOMIC_ACQUIRE) < seq && clock_monotonic_ms() < give_up_ms) {
            sched_yield();
        }
    }
    pthread_join(thread, NULL);
    assert_string_equal(reader.failure, "");
    assert_int_equal(journal_durable_seq(journal), 0);
    journal_close(journal);
    remove_folder(dir);
}

struct sleeper {
    struct journal *journal;
    bool durable_only;
    int timeout_ms;
    _Atomic bool begun;
    int64_t slept_ms;
};

static void *sleep_once(void *argument) {
    struct sleeper *sleeper = argument;
    struct journal_cursor *cursor = journal_cursor_open(sleeper->journal, 1, sleeper->durable_only);
    int64_t start_ms = clock_monotonic_ms();
    atomic_store(&sleeper->begun, true);
    journal_wait(cursor, sleeper->timeout_ms);
    sleeper->slept_ms = clock_monotonic_ms() - start_ms;
    journal_cursor_close(cursor);
    return NULL;
}

static void a_wait_ends_in_time_and_by_a_wake(void **state) {
    (void)state;
    char *dir = new_folder();
    struct journal *journal = open_good(dir, 0, quick_io());
    struct sleeper sleeper = {.journal = journal, .durable_only = true, .timeout_ms = 50};
    sleep_once(&sleeper);
    assert_true(sleeper.slept_ms >= 50 && sleeper.slept_ms < 20000);

    append_good(journal, 1, 1);
    sleep_once(&sleeper); // appended is not durable
    assert_true(sleeper.slept_ms >= 50);
    sleeper = (struct sleeper){.journal = journal, .durable_only = false, .timeout_ms = 60000};
    sleep_once(&sleeper); // but it is there for a live cursor
    assert_true(sleeper.slept_ms < 20000);

    for (int by_wake = 0; by_wake < 2; by_wake++) {
        sleeper = (struct sleeper){.journal = journal, .durable_only = true, .timeout_ms = 60000};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, sleep_once, &sleeper), 0);
        while (!atomic_load(&sleeper.begun)) {
            sched_yield();
        }
        clock_sleep_ms(by_wake ? 0 : 20);
        if (by_wake) {
            sync_good(journal);
        } else {
            journal_wake(journal);
        }
        pthread_join(thread, NULL);
        assert_true(sleeper.slept_ms < 20000);
    }

    struct journal_cursor *cursor = journal_cursor_open(journal, 2, true);
    journal_wake(journal); // before the wait: not forgotten
    int64_t start_ms = clock_monotonic_ms();
    journal_wait(cursor, 60000);
    assert_true(clock_monotonic_ms() - start_ms < 20000);
    journal_wait(cursor, 30); // and not remembered twice
    assert_true(clock_monotonic_ms() - start_ms >= 30);
    journal_cursor_close(cursor);
    journal_close(journal);
    remove_folder(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cursors_follow_a_live_appender),
        cmocka_unit_test(cursors_follow_through_many_segments),
        cmocka_unit_test(a_live_cursor_sees_each_record_at_once),
        cmocka_unit_test(a_wait_ends_in_time_and_by_a_wake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
