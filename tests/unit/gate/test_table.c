// The table against a plain list of what it should hold, and how full it may be.
#include "fixture.h"
#include "random.h"

static struct hash128 key_of(uint64_t n) {
    return hash128_bytes(&n, sizeof n);
}

static void test_holds_what_was_added(void **state) {
    (void)state;
    enum { KEYS = 4000 };
    struct table table;
    void *memory = calloc(1, table_bytes(KEYS));
    assert_non_null(memory);
    table_open(&table, memory, KEYS);
    static int64_t expires_ms[KEYS];
    memset(expires_ms, 0, sizeof expires_ms);
    uint64_t seed = 1, forgotten = 0;
    for (int64_t now_ms = 1; now_ms < 100000; now_ms++) {
        uint64_t n = random_below(&seed, KEYS);
        struct entry *entry = table_find(&table, key_of(n), now_ms);
        assert_int_equal(entry != NULL, expires_ms[n] > now_ms);
        if (entry) {
            assert_int_equal(entry->payload, n);
            assert_int_equal(entry->expires_ms, expires_ms[n]);
            continue;
        }
        entry = table_add(&table, key_of(n), now_ms, false, NULL);
        assert_non_null(entry);
        assert_true(table_may_hold(&table, key_of(n), (uint64_t)(entry - table.entries)));
        expires_ms[n] = now_ms + 1 + (int64_t)random_below(&seed, 5000);
        entry->expires_ms = expires_ms[n];
        entry->payload = n;
    }
    assert_int_equal(forgotten, 0);
    free(memory);
}

static void test_keeps_nearly_as_many_keys_as_promised(void **state) {
    (void)state;
    static const size_t sizes[] = {1000, 100000};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct table table;
        void *memory = calloc(1, table_bytes(sizes[i]));
        assert_non_null(memory);
        table_open(&table, memory, sizes[i]);
        uint64_t forgotten = 0;
        for (uint64_t n = 0; n < sizes[i]; n++)
            table_add(&table, key_of(n), 1, true, &forgotten)->expires_ms = 2 + (int64_t)n;
        print_message("%zu keys: %.1f bytes each, %llu forgotten early\n", sizes[i],
                      (double)table_bytes(sizes[i]) / (double)sizes[i], (unsigned long long)forgotten);
        assert_true(forgotten * 100 < sizes[i]);
        free(memory);
    }
}

static void test_forgets_what_would_expire_first(void **state) {
    (void)state;
    struct table table;
    void *memory = calloc(1, table_bytes(1));
    assert_non_null(memory);
    table_open(&table, memory, 1);
    uint64_t forgotten = 0;
    for (uint64_t n = 0; n < 200; n++) {
        struct hash128 key = key_of(n);
        int64_t first = INT64_MAX;
        for (uint64_t slot = 0; slot < table_slots(&table); slot++)
            if (table_may_hold(&table, key, slot) && table.entries[slot].expires_ms < first)
                first = table.entries[slot].expires_ms;
        assert_int_equal(table_room_ms(&table, key), first);
        struct entry *entry = table_add(&table, key, 0, false, NULL);
        bool full = !entry;
        assert_false(full && first == 0);
        if (full)
            entry = table_add(&table, key, 0, true, &forgotten);
        entry->expires_ms = 1 + (int64_t)(n * 7919 % 1000);
        uint64_t still = 0;
        for (uint64_t slot = 0; slot < table_slots(&table); slot++)
            still += full && table.entries[slot].expires_ms == first && table_may_hold(&table, key, slot);
        assert_true(still <= 1); // times are all different: the first of them is gone, unless the new one has its time
    }
    assert_true(forgotten > 150);
    free(memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holds_what_was_added),
        cmocka_unit_test(test_keeps_nearly_as_many_keys_as_promised),
        cmocka_unit_test(test_forgets_what_would_expire_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
