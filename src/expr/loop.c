// loop: the macros over lists and maps, and the literals of both. Loops run in the order of their source; each turn
// costs fuel. all and exists are rows of && and ||; the others need every turn's value.
#include "ast.h"

struct walk {
    const struct value_source *source;
    uint64_t node, cursor;
    struct value *locals; // where the loop's variables are
    bool is_map, two_vars;
};

static bool walk_begin(const struct run *run, const struct node *loop, const struct value *range, struct walk *walk) {
    *walk = (struct walk){.source = range->container.source,
                          .node = range->container.node,
                          .locals = &run->locals[loop->index],
                          .is_map = range->type == VALUE_MAP,
                          .two_vars = loop->n_vars == 2};
    return range->type == VALUE_LIST || range->type == VALUE_MAP;
}

static bool walk_next(struct run *run, struct walk *walk) {
    struct value key, value;
    if (!run_charge(run, 1) || !walk->source->next(walk->source, walk->node, &walk->cursor, &key, &value))
        return false;
    walk->locals[0] = walk->is_map || walk->two_vars ? key : value;
    if (walk->two_vars)
        walk->locals[1] = value;
    return true;
}

static struct value loop_row(struct run *run, const struct node *loop, struct walk *walk, bool decisive) {
    struct value worst = value_bool(!decisive), space;
    while (walk_next(run, walk)) {
        const struct value *v = eval_operand(run, loop->kids[1], &space);
        if (v->type == VALUE_BOOL) {
            if (v->boolean == decisive)
                return value_bool(decisive);
        } else {
            note_worse(&worst, unfit(run, loop->kids[1], v));
        }
    }
    return run->fatal ? run_failure(run) : worst;
}

static struct value loop_exists_one(struct run *run, const struct node *loop, struct walk *walk) {
    size_t count = 0;
    struct value space;
    while (walk_next(run, walk)) {
        const struct value *v = eval_operand(run, loop->kids[1], &space);
        if (v->type != VALUE_BOOL)
            return unfit(run, loop->kids[1], v);
        count += v->boolean;
    }
    return run->fatal ? run_failure(run) : value_bool(count == 1);
}

// The turn's condition, when the loop has one; *bad is what to return when it is not a bool.
static bool turn_holds(struct run *run, const struct node *loop, bool *holds, struct value *bad) {
    bool has_condition = loop->loop == LOOP_FILTER || loop->n == 3;
    *holds = true;
    if (!has_condition)
        return true;
    struct value space;
    const struct value *v = eval_operand(run, loop->kids[1], &space);
    *bad = unfit(run, loop->kids[1], v);
    *holds = v->type == VALUE_BOOL && v->boolean;
    return v->type == VALUE_BOOL;
}

static struct value loop_list(struct run *run, const struct node *loop, const struct value *range, struct walk *walk) {
    size_t most = value_size(range), n = 0;
    struct value *items = run_alloc(run, most * sizeof *items), bad, space;
    bool holds;
    while (items && n <= most && walk_next(run, walk)) {
        if (!turn_holds(run, loop, &holds, &bad))
            return bad;
        if (!holds)
            continue;
        must(n < most);
        const struct value *v =
            loop->loop == LOOP_FILTER ? &walk->locals[0] : eval_operand(run, loop->kids[loop->n - 1], &space);
        if (!is_settled(v))
            return *v;
        items[n++] = *v;
    }
    return run->fatal ? run_failure(run) : make_list(run, items, n);
}

// The one pair of the map a transformMapEntry's turn gives.
static bool only_pair(const struct value *map, struct value pair[2]) {
    uint64_t cursor = 0;
    return map->type == VALUE_MAP && value_size(map) == 1 &&
           map->container.source->next(map->container.source, map->container.node, &cursor, &pair[0], &pair[1]);
}

static struct value loop_map(struct run *run, const struct node *loop, const struct value *range, struct walk *walk) {
    size_t most = value_size(range), n = 0;
    struct value *pairs = run_alloc(run, most * 2 * sizeof *pairs), bad, space;
    bool holds;
    while (pairs && walk_next(run, walk)) {
        if (!turn_holds(run, loop, &holds, &bad))
            return bad;
        if (!holds)
            continue;
        must(n < most);
        pairs[2 * n] = walk->locals[0];
        const struct value *v = eval_operand(run, loop->kids[loop->n - 1], &space);
        if (!is_settled(v))
            return *v;
        pairs[2 * n + 1] = *v;
        if (loop->loop == LOOP_TRANSFORM_ENTRY && !only_pair(v, &pairs[2 * n]))
            return value_error("transformMapEntry(…) needs a map of one entry in each turn");
        n++;
    }
    return run->fatal ? run_failure(run) : make_map_checked(run, pairs, n);
}

struct value eval_loop(struct run *run, const struct node *loop) {
    struct value space, range = *eval_operand(run, loop->kids[0], &space);
    struct walk walk;
    if (!walk_begin(run, loop, &range, &walk))
        return unfit(run, loop->kids[0], &range);
    switch (loop->loop) {
    case LOOP_ALL: return loop_row(run, loop, &walk, false);
    case LOOP_EXISTS: return loop_row(run, loop, &walk, true);
    case LOOP_EXISTS_ONE: return loop_exists_one(run, loop, &walk);
    case LOOP_TRANSFORM_MAP:
    case LOOP_TRANSFORM_ENTRY: return loop_map(run, loop, &range, &walk);
    default: return loop_list(run, loop, &range, &walk);
    }
}

// An element marked with '?': *skip when it is none. False: *v is what the literal comes to.
static bool unwrap_element(const struct run *run, const struct node *node, struct value *v, bool *skip) {
    *skip = v->type == VALUE_OPTIONAL && !v->inner;
    if (v->type != VALUE_OPTIONAL) {
        *v = unfit(run, node, v);
        return false;
    }
    if (v->inner)
        *v = *v->inner;
    return true;
}

struct value eval_list_literal(struct run *run, const struct node *node) {
    struct value *items = run_alloc(run, node->n * sizeof *items);
    size_t n = 0;
    for (uint32_t i = 0; items && i < node->n; i++) {
        bool skip = false;
        struct value space, v = *eval_operand(run, node->kids[i], &space);
        if (!is_settled(&v) || (node->optional && node->optional[i] && !unwrap_element(run, node->kids[i], &v, &skip)))
            return v;
        if (!skip)
            items[n++] = v;
    }
    return items ? make_list(run, items, n) : run_failure(run);
}

struct value eval_map_literal(struct run *run, const struct node *node) {
    struct value *pairs = run_alloc(run, node->n * sizeof *pairs);
    size_t n = 0;
    for (uint32_t i = 0; pairs && i < node->n; i += 2) {
        bool skip = false;
        struct value space, key = *eval_operand(run, node->kids[i], &space);
        if (!is_settled(&key))
            return key;
        struct value v = *eval_operand(run, node->kids[i + 1], &space);
        if (!is_settled(&v) ||
            (node->optional && node->optional[i / 2] && !unwrap_element(run, node->kids[i + 1], &v, &skip)))
            return v;
        if (skip)
            continue;
        pairs[2 * n] = key;
        pairs[2 * n + 1] = v;
        n++;
    }
    return pairs ? make_map_checked(run, pairs, n) : run_failure(run);
}

static uint64_t key_hash(const struct value *key) {
    if (key->type == VALUE_STRING)
        return hash64_bytes(key->string.ptr, key->string.len);
    uint64_t n = key->type == VALUE_BOOL ? (uint64_t)key->boolean + UINT64_C(0x9000000000000000) : key->uint64;
    return n * UINT64_C(0x9E3779B97F4A7C15) >> 17;
}

struct value make_map_checked(struct run *run, struct value *pairs, size_t n) {
    size_t size = 8;
    while (size < 2 * n)
        size *= 2;
    uint32_t quick[8] = {0}, *table = size == 8 ? quick : run_alloc(run, size * sizeof *table);
    if (!table)
        return run_failure(run);
    for (size_t i = 0; i < n; i++) {
        const struct value *key = &pairs[2 * i];
        if (key->type != VALUE_STRING && key->type != VALUE_INT && key->type != VALUE_UINT && key->type != VALUE_BOOL)
            return value_error("a map's keys are strings, ints, uints and bools");
        size_t at = key_hash(key) & (size - 1);
        for (; table[at] != 0; at = (at + 1) & (size - 1)) {
            if (value_equal(&pairs[2 * (size_t)(table[at] - 1)], key))
                return value_error("a map cannot have the same key twice");
        }
        table[at] = (uint32_t)i + 1;
    }
    return make_map(run, pairs, n);
}
