// Who counts as somebody. A subject that is missing, empty, a wildcard or a word for
// "none" or "everybody" is nobody: enforcing on it would mean everybody.
#include "penstock/record.h"

bool subject_is_definite(struct str subject) {
    static const struct str nobody[] = {STR("-"),   STR("null"),    STR("none"),      STR("nil"),
                                        STR("n/a"), STR("unknown"), STR("undefined"), STR("anonymous"),
                                        STR("all"), STR("any"),     STR("everyone")};
    struct str id = str_trim(subject);
    for (size_t i = 0; i < COUNT_OF(nobody); i++)
        if (str_eq_fold(id, nobody[i]))
            return false;
    bool says_something = false;
    for (size_t i = 0; i < id.len; i++) {
        if (id.ptr[i] == '*')
            return false;
        says_something |= id.ptr[i] != '%' && id.ptr[i] != '?';
    }
    return says_something;
}
