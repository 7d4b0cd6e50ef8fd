// because: why a condition came to what it did, for people.
#ifndef CLI_BECAUSE_H
#define CLI_BECAUSE_H

#include "penstock/sift.h"

struct because {
    enum expr_truth truth;
    struct str term;   // the first part of an && row that made it so, on one line; empty: it holds
    struct str reason; // false: what the part read; absent: what is not there; failed: the error
};
// `condition` may be NULL: it always holds. Texts lie in `arena`.
struct because find_because(const struct sift_view *view, const struct expr *condition, struct arena *arena);
const char *truth_word(enum expr_truth truth); // "holds", "false", "absent", "failed"

#endif
