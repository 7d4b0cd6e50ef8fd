// check: what check.c (types), resolve.c (names), calls.c (functions) and prepare.c (work done once) share.
#ifndef PENSTOCK_EXPR_CHECK_H
#define PENSTOCK_EXPR_CHECK_H

#include "ast.h"

// A type error: false with the error recorded, true when nothing is checked.
bool check_complain(struct compile *compile, const struct node *at, const char *format, ...) PENSTOCK_PRINTF(3, 4);
const char *type_word(const struct node *node);
bool check_over_kids(struct compile *compile, struct node *node); // the kids being checked

// Names. *done: the node has been checked with all below it.
bool resolve_chain(struct compile *compile, struct node *node, bool *done);
void resolve_namespace(struct compile *compile, struct node *call); // math.ceil(x): not a method of `math`

bool check_call(struct compile *compile, struct node *call);
// Constant patterns, time zones and networks are read at compile time.
bool prepare_call(struct compile *compile, struct node *call);
bool prepare_in(struct compile *compile, struct node *in);

#endif
