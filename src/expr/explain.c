// explain: where a result that is no value came from. Evaluation is made for speed and carries no places, so the parts
// are evaluated once more, from the root down, each time into the first part that came to the same, until one did so by
// itself. Parts that hang on a macro's variable have no value outside of it: there the macro is named.
#include "ast.h"
#include "regex.h"

#include <stdio.h>

static bool is_same_trouble(const struct value *a, const struct value *b) {
    return a->type == b->type && (a->type == VALUE_ABSENT || str_eq(a->string, b->string));
}

// Whether kid `i` is evaluated whenever the node is, and needs none of the variables that the node binds.
static bool is_asked(struct run *run, const struct node *node, uint32_t i) {
    struct value space;
    const struct value *when;
    switch (node->op) {
    case NODE_LOOP:
    case NODE_BIND:
    case NODE_OPT_MAP:
    case NODE_OPT_FLAT_MAP: return i == 0;
    case NODE_IF:
        when = eval_operand(run, node->kids[0], &space);
        return i == 0 || (when->type == VALUE_BOOL && i == (when->boolean ? 1u : 2u));
    default: return true;
    }
}

// The kid that the node has its trouble from, with its value in *found: one with the same, or else a null that the node
// does not take. NULL: the trouble is the node's own.
static const struct node *find_cause(struct run *run, const struct node *node, const struct value *trouble,
                                     struct value *found) {
    const struct node *null_kid = NULL;
    bool step = node->op == NODE_SELECT || node->op == NODE_INDEX; // nothing is there behind a null
    for (uint32_t i = 0; i < node->n; i++) {
        const struct node *kid = node->kids[i];
        if (!is_asked(run, node, i))
            continue;
        struct value v = eval_node(run, kid);
        if (run->fatal)
            return NULL;
        if (is_same_trouble(&v, trouble)) {
            *found = v;
            return kid;
        }
        if (!step && trouble->type == VALUE_ABSENT && is_null_field(run, kid, &v))
            null_kid = kid;
    }
    if (null_kid)
        *found = (struct value){.type = VALUE_NULL};
    return null_kid;
}

// A slot still has the chain it stands for below it.
bool write_chain(const struct node *node, struct buf *out) {
    bool by_name = node->constant.type == VALUE_STRING; // what a selection with a dot looks for
    if (node->op == NODE_NAME || (node->op == NODE_SLOT && !node->kids)) {
        buf_str(out, node->name);
        return true;
    }
    if ((node->op != NODE_SELECT && node->op != NODE_INDEX && node->op != NODE_SLOT) ||
        !write_chain(node->kids[0], out))
        return false;
    if (by_name) {
        buf_printf(out, ".%.*s", STR_ARG(node->name));
        return true;
    }
    const struct node *key = node->kids[1];
    if (key->op != NODE_CONST || (key->constant.type != VALUE_STRING && key->constant.type != VALUE_INT))
        return false;
    if (key->constant.type == VALUE_STRING)
        buf_printf(out, "[\"%.*s\"]", STR_ARG(key->constant.string));
    else
        buf_printf(out, "[%lld]", (long long)key->constant.int64);
    return true;
}

static void write_text(const struct node *node, const struct value *v, char *out, size_t size) {
    struct buf chain;
    if (v->type == VALUE_ERROR) {
        snprintf(out, size, "%.*s", STR_ARG(v->string));
        return;
    }
    buf_init(&chain, 200);
    bool named = write_chain(node, &chain) && !chain.overflow;
    struct str name = named ? buf_view(&chain) : STR("a field that this hangs on");
    snprintf(out, size, v->type == VALUE_NULL ? "%.*s is null" : "%.*s is not there", STR_ARG(name));
    buf_free(&chain);
}

void expr_explain(const struct expr *expr, const struct value *slots, struct arena *scratch, const struct value *result,
                  struct expr_error *out) {
    struct value locals[EXPR_LOCALS_MAX], v = *result;
    struct run run = {.slots = slots,
                      .locals = locals,
                      .scratch = scratch,
                      .fuel = 10 * EXPR_FUEL_DEFAULT,
                      .reads_event = expr->n_slots > 0};
    const struct node *node = expr->root, *cause;
    must(!is_settled(result));
    while (!is_settled(&v) && (cause = find_cause(&run, node, &v, &v)))
        node = cause;
    if (run.regex)
        regex_free(run.regex);
    *out = (struct expr_error){.offset = node->offset};
    place_error(expr->source, out);
    write_text(node, &v, out->text, sizeof out->text);
}
