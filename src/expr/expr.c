// expr: a compiled expression: how one is made, asked and freed. It owns its source, its tree and its constants and is
// never changed after it is made, so any thread may evaluate it.
#include "ast.h"
#include "regex.h"

#include <stdio.h>
#include <stdlib.h>

void *compile_fail(struct compile *compile, size_t offset, const char *format, ...) {
    if (compile->failed)
        return NULL;
    compile->failed = true;
    compile->error->offset = offset;
    va_list list;
    va_start(list, format);
    vsnprintf(compile->error->text, sizeof compile->error->text, format, list);
    va_end(list);
    return NULL;
}

void *compile_alloc(struct compile *compile, size_t bytes) {
    void *memory = arena_alloc(compile->expr->tree, bytes);
    return memory ? memory : compile_fail(compile, 0, "the condition is too big; split it");
}

void place_error(struct str source, struct expr_error *error) {
    error->line = error->column = 1;
    for (size_t i = 0; i < error->offset && i < source.len; i++) {
        if (source.ptr[i] == '\n') {
            error->line++;
            error->column = 1;
        } else if ((source.ptr[i] & 0xC0) != 0x80) {
            error->column++;
        }
    }
}

// Sources are text: UTF-8 of a bounded size.
static bool check_source(struct compile *compile, struct str source) {
    if (source.len > EXPR_SOURCE_MAX_BYTES)
        return compile_fail(compile, 0, "the condition is longer than %d bytes; split it", EXPR_SOURCE_MAX_BYTES) !=
               NULL;
    if (utf8_is_valid(source))
        return true;
    size_t at = 0;
    while (utf8_is_valid((struct str){source.ptr + at, utf8_step(source, at)}))
        at += utf8_step(source, at);
    return compile_fail(compile, at, "this byte is not UTF-8; save the file as UTF-8") != NULL;
}

static bool compile_tree(struct compile *compile, struct str source) {
    struct expr *expr = compile->expr;
    if (!check_source(compile, source))
        return false;
    expr->source = arena_str(expr->tree, source);
    if (source.len > 0 && !expr->source.ptr)
        return compile_fail(compile, 0, "the condition is too big; split it") != NULL;
    expr->root = parse_source(compile);
    return expr->root && check_node(compile, expr->root);
}

static struct expr *compile_source(struct str source, const struct expr_env *env, struct expr_error *error,
                                   bool unchecked) {
    struct expr *expr = must_alloc(sizeof *expr);
    expr->tree = arena_new(EXPR_TREE_MAX_BYTES);
    *error = (struct expr_error){0};
    struct compile compile = {
        .expr = expr, .env = env, .error = error, .unchecked = unchecked, .fold_fuel = EXPR_FOLD_FUEL};
    bool done = compile_tree(&compile, source);
    free(compile.stack);
    if (done && !compile.failed)
        return expr;
    must(compile.failed);
    place_error(source, error);
    expr_free(expr);
    return NULL;
}

struct expr *expr_compile(struct str source, const struct expr_env *env, struct expr_error *error) {
    return compile_source(source, env, error, false);
}

struct expr *expr_compile_unchecked(struct str source, const struct expr_env *env, struct expr_error *error) {
    return compile_source(source, env, error, true);
}

void expr_free(struct expr *expr) {
    if (!expr)
        return;
    for (size_t i = 0; i < expr->n_regexes; i++)
        regex_free(expr->regexes[i]);
    free(expr->regexes);
    free(expr->slots);
    arena_free(expr->tree);
    free(expr);
}

enum value_type expr_type(const struct expr *expr) {
    return (enum value_type)expr->root->type;
}
struct str expr_source(const struct expr *expr) {
    return expr->source;
}

bool expr_is_constant(const struct expr *expr, struct value *out) {
    if (expr->root->op != NODE_CONST)
        return false;
    *out = expr->root->constant;
    return true;
}

int expr_only_slot(const struct expr *expr) {
    return expr->root->op == NODE_SLOT ? expr->root->index : -1;
}

size_t expr_slots(const struct expr *expr, int *slots, size_t max) {
    for (size_t i = 0; i < expr->n_slots && i < max; i++)
        slots[i] = expr->slots[i];
    return expr->n_slots;
}

struct value expr_eval(const struct expr *expr, const struct value *slots, struct arena *scratch, uint64_t fuel) {
    struct value locals[EXPR_LOCALS_MAX];
    struct run run = {
        .slots = slots, .locals = locals, .scratch = scratch, .fuel = fuel, .reads_event = expr->n_slots > 0};
    struct value out = eval_node(&run, expr->root);
    if (run.regex)
        regex_free(run.regex);
    return run.fatal ? run_failure(&run) : out;
}

enum expr_truth expr_holds(const struct expr *expr, const struct value *slots, struct arena *scratch) {
    struct value v = expr_eval(expr, slots, scratch, EXPR_FUEL_DEFAULT);
    if (v.type == VALUE_BOOL)
        return v.boolean ? EXPR_TRUE : EXPR_FALSE;
    bool missing = v.type == VALUE_ABSENT || (v.type == VALUE_NULL && expr->n_slots > 0);
    return missing ? EXPR_ABSENT : EXPR_FAILED;
}
