// scan: the outline of an expression's text: names, strings and the rest, no more than what is needed to find names in
// it.
#ifndef PENSTOCK_POLICY_SCAN_H
#define PENSTOCK_POLICY_SCAN_H

#include "penstock/base.h"

enum scan_kind { SCAN_END, SCAN_NAME, SCAN_STRING, SCAN_NUMBER, SCAN_SIGN };
struct scan_token {
    enum scan_kind kind;
    size_t offset, len;
};
// The token at or behind *at; *at moves past it. Blanks and comments are skipped. A string without its end goes to the
// text's end.
struct scan_token scan_next(struct str text, size_t *at);

#endif
