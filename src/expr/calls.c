// calls: which function a call means. Overloads that cannot fit the static types are an error; which of the others
// runs is decided by the values.
#include "check.h"

static bool unknown_function(struct compile *c, struct node *call) {
    struct str name = call->name;
    struct str near = function_nearest(name);
    if (function_name_exists(name, !call->is_method))
        return call->is_method ? check_complain(c, call, "'%.*s' is not called on a value; write %.*s(…)",
                                                STR_ARG(name), STR_ARG(name))
                               : check_complain(c, call, "'%.*s' is called on a value; write value.%.*s(…)",
                                                STR_ARG(name), STR_ARG(name));
    if (near.len > 0)
        return check_complain(c, call, "there is no function '%.*s'; did you mean '%.*s'?", STR_ARG(name),
                              STR_ARG(near));
    return check_complain(c, call, "there is no function '%.*s'", STR_ARG(name));
}

static bool wrong_count(struct compile *c, struct node *call) {
    size_t receiver = call->is_method ? 1 : 0, given = call->n - receiver, least = SIZE_MAX, most = 0;
    for (size_t i = 0; i < call->n_functions; i++) {
        size_t takes = strcspn(call->functions[i].args, "*") - receiver;
        least = takes < least ? takes : least;
        most = takes > most ? takes : most;
    }
    if (least == most)
        return check_complain(c, call, "%.*s(…) takes %zu argument%s, not %zu", STR_ARG(call->name), least,
                              least == 1 ? "" : "s", given);
    return check_complain(c, call, "%.*s(…) takes %zu to %zu arguments, not %zu", STR_ARG(call->name), least, most,
                          given);
}

static bool wrong_type(struct compile *c, struct node *call, const struct function *nearest, size_t mismatch) {
    const struct node *arg = call->kids[mismatch];
    const char *wanted = function_letter_name(function_letter_at(nearest, mismatch));
    if (call->is_method && mismatch == 0 && arg->type == VALUE_LIST && str_eq(call->name, STR("contains")))
        return check_complain(c, call, "contains(…) is called on a string; for a list write `element in list`");
    if (call->is_method && mismatch == 0)
        return check_complain(c, call, "%.*s(…) is called on %s, this is %s", STR_ARG(call->name), wanted,
                              type_word(arg));
    return check_complain(c, arg, "%.*s(…) needs %s here, this is %s", STR_ARG(call->name), wanted, type_word(arg));
}

bool check_call(struct compile *c, struct node *call) {
    size_t n = 0, mismatch = 0, furthest = 0;
    call->functions = function_find(call->name, call->is_method, &n);
    call->n_functions = (uint32_t)n;
    call->type = VALUE_ANY;
    if (n == 0)
        return unknown_function(c, call);
    const struct function *nearest = NULL;
    bool fits = false, same = true, counted = false;
    for (size_t i = 0; i < n; i++) {
        const struct function *f = &call->functions[i];
        if (!function_takes_count(f, call->n))
            continue;
        counted = true;
        if (function_may_take(f, call, &mismatch)) {
            uint8_t type = (uint8_t)function_letter_type(f->result);
            same = same && (!fits || call->type == type);
            fits = true;
            call->type = type;
        } else if (!nearest || mismatch > furthest) {
            nearest = f;
            furthest = mismatch;
        }
    }
    if (!same)
        call->type = VALUE_ANY;
    if (!counted)
        return wrong_count(c, call);
    if (!fits)
        return wrong_type(c, call, nearest, furthest);
    return prepare_call(c, call);
}
