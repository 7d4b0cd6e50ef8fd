// parse: what parse.c and macro.c share.
#ifndef PENSTOCK_EXPR_PARSE_H
#define PENSTOCK_EXPR_PARSE_H

#include "ast.h"

struct parser {
    struct compile *compile;
    size_t at; // behind `token`
    struct token token;
    unsigned depth;
};

void parse_push(struct parser *parser, struct node *node);
// A node over the kids on the stack from `base`, which leave it. NULL: too high or out of memory, recorded.
struct node *parse_node(struct parser *parser, enum node_op op, size_t offset, size_t base);
struct node *parse_node_of(struct parser *parser, enum node_op op, size_t offset, struct node *a, struct node *b);
struct node *parse_constant(struct parser *parser, size_t offset, struct value value);
// The loop or binding a call stands for, or the call itself.
struct node *parse_macro(struct parser *parser, struct node *call);

#endif
