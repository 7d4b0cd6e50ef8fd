// event: the tables of the canonical fields and their look-ups.
//
// Look-ups run while policies compile, never per event, so a walk is enough.
#include "penstock/event.h"

const struct field_info event_fields[EVENT_FIELD_COUNT] = {
#define X(name, path, type, text) [EVENT_##name] = {path, type, text},
    EVENT_FIELDS(X)
#undef X
};

const struct field_info identity_fields[IDENTITY_FIELD_COUNT] = {
#define X(name, path, type, text) [IDENTITY_##name] = {path, type, text},
    IDENTITY_FIELDS(X)
#undef X
};

static int field_find(const struct field_info *fields, int n, struct str path) {
    for (int i = 0; i < n; i++) {
        if (str_eq(str_of(fields[i].path), path)) {
            return i;
        }
    }
    return -1;
}

int event_field_find(struct str path) {
    return field_find(event_fields, EVENT_FIELD_COUNT, path);
}

int identity_field_find(struct str path) {
    return field_find(identity_fields, IDENTITY_FIELD_COUNT, path);
}

unsigned action_strength(struct str action) {
    static const char *const by_strength[] = {"none", "notify", "step_up", "restrict", "isolate", "disable", "revoke"};
    const unsigned strength_of_restrict = 3;
    if (action.len == 0) {
        return 0;
    }
    for (unsigned i = 0; i < COUNT_OF(by_strength); i++) {
        if (str_eq(str_of(by_strength[i]), action)) {
            return i;
        }
    }
    return strength_of_restrict;
}
