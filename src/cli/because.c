// because: why a condition came to what it did, for people.
#include "because.h"

#include <stdlib.h>

#include "lines.h"

#define TERMS_MAX 4096
#define READS_SHOWN 4

const char *truth_word(enum expr_truth truth) {
    switch (truth) {
    case EXPR_TRUE: return "holds";
    case EXPR_FALSE: return "false";
    case EXPR_ABSENT: return "absent";
    case EXPR_FAILED: return "failed";
    }
    return "failed";
}

// "event.type is \"x\", raw.user is not there"
static struct str tell_reads(const struct sift_view *view, const struct expr *condition, struct str part,
                             struct arena *arena) {
    struct expr_read reads[READS_SHOWN];
    size_t n = expr_reads(condition, part, arena, reads, COUNT_OF(reads));
    struct str out = STR("");
    for (size_t i = 0; i < n; i++) {
        const struct value *v = &view->slots[reads[i].slot];
        struct str name = one_line(arena, reads[i].name);
        const char *comma = i > 0 ? ", " : "";
        if (v->type == VALUE_ABSENT) {
            out = arena_printf(arena, "%.*s%s%.*s is not there", STR_ARG(out), comma, STR_ARG(name));
        } else {
            struct str text = value_text(arena, v);
            out = arena_printf(arena, "%.*s%s%.*s is %.*s", STR_ARG(out), comma, STR_ARG(name), STR_ARG(text));
        }
    }
    return out;
}

static struct str tell_trouble(const struct sift_view *view, const struct expr *condition, struct arena *arena) {
    struct value v = expr_eval(condition, view->slots, view->scratch, EXPR_FUEL_DEFAULT);
    struct expr_error error;
    if (v.type == VALUE_ABSENT || v.type == VALUE_ERROR) {
        expr_explain(condition, view->slots, view->scratch, &v, &error);
        return arena_str(arena, str_of(error.text));
    }
    return arena_printf(arena, "it gives %s, neither true nor false", value_type_name((enum value_type)v.type));
}

// The first term that came to what the whole did; the whole, if none did so by itself.
static struct str find_term(const struct sift_view *view, const struct expr *condition, enum expr_truth truth) {
    struct expr_term *terms = must_alloc(TERMS_MAX * sizeof *terms);
    size_t n = expr_terms(condition, view->slots, view->scratch, terms, TERMS_MAX);
    struct str found = expr_source(condition);
    for (size_t i = n < TERMS_MAX ? n : TERMS_MAX; i-- > 0;)
        if (terms[i].truth == truth)
            found = terms[i].source;
    free(terms);
    return found;
}

struct because find_because(const struct sift_view *view, const struct expr *condition, struct arena *arena) {
    struct because because = {.truth = EXPR_TRUE};
    if (condition)
        because.truth = expr_holds(condition, view->slots, view->scratch);
    if (because.truth == EXPR_TRUE)
        return because;
    struct str term = find_term(view, condition, because.truth);
    because.term = one_line(arena, term);
    because.reason =
        because.truth == EXPR_FALSE ? tell_reads(view, condition, term, arena) : tell_trouble(view, condition, arena);
    return because;
}
