// Arenas and buffers hold their bounds, whatever is asked of them.
#include "penstock/base.h"

#include "random.h"

#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void must_stops_the_process(void **state) {
    (void)state;
    must(1 + 1 == 2);
    int ends[2];
    char text[512] = {0};
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        int one = 1;
        must(one == 2);
        _exit(0);
    }
    int outcome;
    close(ends[1]);
    assert_true(read(ends[0], text, sizeof text - 1) > 0);
    close(ends[0]);
    assert_int_equal(waitpid(child, &outcome, 0), child);
    assert_true(WIFSIGNALED(outcome));
    assert_int_equal(WTERMSIG(outcome), SIGABRT);
    assert_non_null(strstr(text, "one == 2 does not hold"));
    assert_non_null(strstr(text, "test_memory.c"));
}

static void copies_end_with_nul(void **state) {
    (void)state;
    char *copy = must_strndup((struct str){"abcdef", 3});
    assert_string_equal(copy, "abc");
    free(copy);
    copy = must_strndup((struct str){0});
    assert_string_equal(copy, "");
    free(copy);
    copy = must_strdup("x");
    assert_string_equal(copy, "x");
    free(copy);
}

static void arena_gives_zeroed_aligned_memory_up_to_its_bound(void **state) {
    (void)state;
    struct arena *arena = arena_new(1000);
    assert_int_equal(arena_used(arena), 0);
    char *first = arena_alloc(arena, 1);
    assert_int_equal((uintptr_t)first % 16, 0);
    assert_int_equal(arena_used(arena), 16);
    assert_null(arena_alloc(arena, 985));
    assert_null(arena_alloc(arena, SIZE_MAX));
    assert_null(arena_alloc(arena, SIZE_MAX - 15));
    assert_non_null(arena_alloc(arena, 976));
    assert_int_equal(arena_used(arena), 992);
    assert_null(arena_alloc(arena, 9)); // 8 bytes are left, 16 are needed
    assert_null(arena_alloc(arena, 0));
    arena_reset(arena);
    assert_int_equal(arena_used(arena), 0);
    assert_non_null(arena_alloc(arena, 992));
    arena_free(arena);
    arena_free(NULL);
}

struct piece {
    unsigned char *bytes;
    size_t len;
    unsigned char fill;
};

// No allocation overlaps another, each is zeroed at birth, and the sum never passes the bound.
static void arena_pieces_never_overlap(void **state) {
    (void)state;
    uint64_t seed = 1;
    struct arena *arena = arena_new(300000);
    for (int round = 0; round < 30; round++) {
        static struct piece pieces[2000];
        size_t n = 0, sum = 0;
        for (int i = 0; i < 2000; i++) {
            size_t len = random_below(&seed, random_below(&seed, 20) == 0 ? 20000 : 200);
            unsigned char *bytes = arena_alloc(arena, len);
            size_t rounded = ((len ? len : 1) + 15) & ~(size_t)15;
            assert_true((bytes != NULL) == (sum + rounded <= 300000));
            if (!bytes)
                continue;
            sum += rounded;
            assert_int_equal(arena_used(arena), sum);
            for (size_t k = 0; k < len; k++)
                assert_int_equal(bytes[k], 0);
            memset(bytes, (int)(i % 255 + 1), len);
            pieces[n++] = (struct piece){bytes, len, (unsigned char)(i % 255 + 1)};
        }
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k < pieces[i].len; k++)
                assert_int_equal(pieces[i].bytes[k], pieces[i].fill);
        arena_reset(arena);
    }
    arena_free(arena);
}

// A fixed arena has its memory at once, and gives just as much as the other kind.
static void fixed_arena_holds_its_bound(void **state) {
    (void)state;
    struct arena *arena = arena_fixed(160000);
    for (int round = 0; round < 3; round++) {
        char *whole = arena_alloc(arena, 160000);
        assert_non_null(whole);
        assert_int_equal(whole[159999], 0);
        memset(whole, 1, 160000);
        assert_null(arena_alloc(arena, 1));
        arena_reset(arena);
        for (int i = 0; i < 10000; i++)
            assert_non_null(arena_alloc(arena, 16));
        assert_null(arena_alloc(arena, 1));
        arena_reset(arena);
    }
    arena_free(arena);
}

static void arena_texts(void **state) {
    (void)state;
    struct arena *arena = arena_new(64);
    struct str copy = arena_str(arena, STR("hello"));
    assert_true(str_eq(copy, STR("hello")));
    assert_int_equal(copy.ptr[5], '\0');
    struct str printed = arena_printf(arena, "%d-%s", 42, "x");
    assert_string_equal(printed.ptr, "42-x");
    assert_int_equal(printed.len, 4);
    assert_non_null(arena_str(arena, (struct str){0}).ptr);
    assert_null(arena_printf(arena, "%40d", 1).ptr);
    assert_null(arena_str(arena, STR("sixteen bytes long")).ptr);
    arena_free(arena);
}

static void buf_grows_to_its_maximum_and_no_further(void **state) {
    (void)state;
    struct buf buf;
    buf_init(&buf, 1000);
    for (int i = 0; i < 1000; i++)
        buf_char(&buf, (char)('a' + i % 26));
    assert_false(buf.overflow);
    assert_int_equal(buf.len, 1000);
    assert_true(buf.cap <= 1000);
    buf_char(&buf, 'x');
    assert_true(buf.overflow);
    assert_int_equal(buf.len, 1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(buf.ptr[i], 'a' + i % 26);
    buf_clear(&buf);
    assert_false(buf.overflow);
    buf_str(&buf, STR("abc"));
    assert_true(str_eq(buf_view(&buf), STR("abc")));
    buf_free(&buf);
    buf_str(&buf, STR("again"));
    assert_true(str_eq(buf_view(&buf), STR("again")));
    buf_free(&buf);
}

static void buf_overflow_sticks(void **state) {
    (void)state;
    struct buf buf;
    buf_init(&buf, 10);
    buf_str(&buf, STR("12345678"));
    buf_str(&buf, STR("abc")); // does not fit: no part of it is written
    assert_true(buf.overflow);
    buf_char(&buf, 'x'); // would fit, but then the text had a hole
    assert_true(str_eq(buf_view(&buf), STR("12345678")));
    assert_false(buf_reserve(&buf, 0));
    buf_clear(&buf);
    assert_false(buf_reserve(&buf, SIZE_MAX));
    buf_free(&buf);
}

static void buf_printf_of_any_length(void **state) {
    (void)state;
    struct buf buf;
    buf_init(&buf, 5000);
    buf_printf(&buf, "%s", "");
    buf_printf(&buf, "%d,", 7);
    buf_printf(&buf, "%0300d", 5); // longer than the buffer on the stack
    assert_int_equal(buf.len, 302);
    assert_int_equal(buf.ptr[301], '5');
    buf_printf(&buf, "%04698d", 1); // exactly full, no room for a NUL
    assert_false(buf.overflow);
    assert_int_equal(buf.len, 5000);
    buf_printf(&buf, "%d", 1);
    assert_true(buf.overflow);
    buf_free(&buf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(must_stops_the_process),
        cmocka_unit_test(copies_end_with_nul),
        cmocka_unit_test(arena_gives_zeroed_aligned_memory_up_to_its_bound),
        cmocka_unit_test(arena_pieces_never_overlap),
        cmocka_unit_test(fixed_arena_holds_its_bound),
        cmocka_unit_test(arena_texts),
        cmocka_unit_test(buf_grows_to_its_maximum_and_no_further),
        cmocka_unit_test(buf_overflow_sticks),
        cmocka_unit_test(buf_printf_of_any_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
