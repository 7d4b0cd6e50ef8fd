// fold: a part that reads no field is computed once, at compile time. A part that fails stays as it is when its failure
// may be absorbed further up; a plain operation on constants that always fails is an error of the condition.
#include "check.h"
#include "regex.h"

static bool always_fails(const struct node *node) {
    if (node->op != NODE_CALL && node->op != NODE_NEGATE && (node->op < NODE_ADD || node->op > NODE_MOD))
        return false;
    for (size_t i = 0; i < node->n; i++) {
        if (node->kids[i]->op != NODE_CONST || !is_settled(&node->kids[i]->constant))
            return false;
    }
    return true;
}

bool fold_node(struct compile *c, struct node *node) {
    if (node->keep || node->op == NODE_CONST || node->op == NODE_SLOT || node->op == NODE_LOCAL || node->reads_slot ||
        node->lowest_local < EXPR_LOCALS_MAX || c->fold_fuel == 0)
        return true;
    struct value locals[EXPR_LOCALS_MAX];
    struct run run = {.locals = locals, .scratch = c->expr->tree, .fuel = c->fold_fuel};
    struct value value = eval_node(&run, node);
    regex_free(run.regex);
    c->fold_fuel = run.fuel;
    if (run.fatal)
        return true;
    if (value.type == VALUE_ERROR && always_fails(node))
        return check_complain(c, node, "this always fails: %.*s", STR_ARG(value.string));
    if (!is_settled(&value))
        return true;
    if (node->op != NODE_CALL || node->type != VALUE_ANY) // dyn(…) stays of any type
        node->type = value.type;
    node->op = NODE_CONST;
    node->constant = value;
    node->n = 0;
    return true;
}
