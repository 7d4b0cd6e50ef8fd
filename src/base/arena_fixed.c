// arena_fixed: an arena that takes its memory at birth and never asks for more, for
// those who must not allocate while they work.
//
// One allocation of the whole bound makes a block of that size, which a reset keeps.
// (Under AddressSanitizer red zones take room of their own, and many small pieces may
// still ask for a second block.)
#include "penstock/base.h"

struct arena *arena_fixed(size_t bytes)
{
    struct arena *arena = arena_new(bytes);
    must(arena_alloc(arena, bytes));
    arena_reset(arena);
    return arena;
}
