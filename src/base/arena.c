// arena: many small allocations with one lifetime, given back together.
//
// Blocks are chained; each new one is twice as large as the last (up to a limit),
// so a reused arena soon lives in a single block and asks malloc for nothing.
// The bound counts the bytes handed out, each allocation rounded up to 16; the
// memory behind it stays below about twice that. Under AddressSanitizer whatever
// was not handed out is poisoned, with a red zone behind each allocation.
#include "penstock/base.h"

#include <stdio.h>
#include <stdlib.h>

#ifndef __has_feature
#define __has_feature(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define POISON(start, bytes) ASAN_POISON_MEMORY_REGION(start, bytes)
#define UNPOISON(start, bytes) ASAN_UNPOISON_MEMORY_REGION(start, bytes)
#define RED_ZONE_BYTES 16
#else
#define POISON(start, bytes) ((void)(start))
#define UNPOISON(start, bytes) ((void)(start))
#define RED_ZONE_BYTES 0
#endif

#define ALIGNMENT 16
#define FIRST_BLOCK_BYTES 4096
#define LARGEST_STEP_BYTES (1024 * 1024)

struct block {
    struct block *older;
    size_t size, used;
    _Alignas(ALIGNMENT) char bytes[];
};

struct arena {
    size_t max_bytes, used;
    struct block *newest;
};

static void block_free(struct block *block) {
    UNPOISON(block->bytes, block->size);
    free(block);
}

static struct block *block_add(struct arena *arena, size_t at_least) {
    size_t size = arena->newest ? arena->newest->size * 2 : FIRST_BLOCK_BYTES;
    if (size > LARGEST_STEP_BYTES)
        size = LARGEST_STEP_BYTES;
    if (size < at_least)
        size = at_least;
    struct block *block = must_realloc(NULL, sizeof *block + size);
    block->older = arena->newest;
    block->size = size;
    block->used = 0;
    POISON(block->bytes, size);
    arena->newest = block;
    return block;
}

struct arena *arena_new(size_t max_bytes) {
    struct arena *arena = must_alloc(sizeof *arena);
    arena->max_bytes = max_bytes;
    return arena;
}

// One block of the whole bound, which every reset keeps. (Under AddressSanitizer red zones take room of their own, and
// many small pieces may still ask for a second one.)
struct arena *arena_fixed(size_t bytes) {
    must(bytes > 0 && bytes % ALIGNMENT == 0);
    struct arena *arena = arena_new(bytes);
    block_add(arena, bytes + RED_ZONE_BYTES);
    return arena;
}

void arena_free(struct arena *arena) {
    if (!arena)
        return;
    for (struct block *block = arena->newest; block;) {
        struct block *older = block->older;
        block_free(block);
        block = older;
    }
    free(arena);
}

void arena_reset(struct arena *arena) {
    struct block *kept = arena->newest;
    for (struct block *block = kept; block; block = block->older)
        if (block->size > kept->size)
            kept = block;
    for (struct block *block = arena->newest; block;) {
        struct block *older = block->older;
        if (block != kept)
            block_free(block);
        block = older;
    }
    if (kept) {
        kept->older = NULL;
        kept->used = 0;
        POISON(kept->bytes, kept->size);
    }
    arena->newest = kept;
    arena->used = 0;
}

void *arena_alloc(struct arena *arena, size_t bytes) {
    if (bytes > arena->max_bytes - arena->used)
        return NULL;
    size_t rounded = ((bytes ? bytes : 1) + (ALIGNMENT - 1)) & ~(size_t)(ALIGNMENT - 1);
    if (rounded < bytes || rounded > arena->max_bytes - arena->used)
        return NULL;
    struct block *block = arena->newest;
    if (!block || rounded + RED_ZONE_BYTES > block->size - block->used)
        block = block_add(arena, rounded + RED_ZONE_BYTES);
    char *memory = block->bytes + block->used;
    block->used += rounded + RED_ZONE_BYTES;
    arena->used += rounded;
    UNPOISON(memory, bytes);
    memset(memory, 0, bytes);
    return memory;
}

size_t arena_used(const struct arena *arena) {
    return arena->used;
}

struct str arena_str(struct arena *arena, struct str s) {
    char *copy = s.len < SIZE_MAX ? arena_alloc(arena, s.len + 1) : NULL;
    if (!copy)
        return (struct str){0};
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    return (struct str){copy, s.len};
}

struct str arena_printf(struct arena *arena, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    must(len >= 0);
    char *text = arena_alloc(arena, (size_t)len + 1);
    if (text)
        vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return text ? (struct str){text, (size_t)len} : (struct str){0};
}
