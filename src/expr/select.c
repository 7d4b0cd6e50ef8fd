// select: one step into a value. A step into something a JSON document may hold that is not there gives absent, however
// the document is shaped, so that it does not matter how much of a path the environment resolved beforehand.
#include "ast.h"

// A list index from any number; false: not a whole one.
static bool index_of(const struct value *key, uint64_t *out) {
    if (key->type == VALUE_DOUBLE) {
        if (!(key->real >= 0 && key->real < 9e15) || key->real != (double)(uint64_t)key->real)
            return false;
        *out = (uint64_t)key->real;
        return true;
    }
    *out = key->uint64;
    return key->type == VALUE_UINT || (key->type == VALUE_INT && key->int64 >= 0);
}

static bool is_key(const struct value *key) {
    return key->type == VALUE_STRING || key->type == VALUE_BOOL || is_number(key);
}

struct value select_key(struct run *run, const struct value *from, const struct value *key) {
    struct value out = value_absent();
    uint64_t index;
    switch (from->type) {
    case VALUE_MAP:
        if (!is_key(key))
            return value_error("no such overload: a map's keys are strings, ints, uints and bools");
        if (!from->container.source->get(from->container.source, from->container.node, key, &out))
            return value_absent();
        return out;
    case VALUE_LIST:
        if (key->type == VALUE_STRING)
            return value_absent();
        if (!is_number(key))
            return value_error("no such overload: a list is indexed by a number");
        if (!index_of(key, &index) ||
            !from->container.source->at(from->container.source, from->container.node, (size_t)index, &out))
            return value_absent();
        return out;
    case VALUE_OPTIONAL: return select_optional(run, from, key);
    case VALUE_NULL:
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_UINT:
    case VALUE_DOUBLE:
    case VALUE_STRING: return is_key(key) ? value_absent() : no_overload();
    default: return no_overload();
    }
}

// An optional selection asks for a member or an element: what holds neither is an error, as in CEL, but none where
// events are read: the environment may have taken that step itself, and it finds nothing there.
struct value select_optional(struct run *run, const struct value *from, const struct value *key) {
    if (from->type == VALUE_OPTIONAL) {
        if (!from->inner)
            return *from;
        from = from->inner;
    }
    if (run->reads_event && from->type >= VALUE_NULL && from->type <= VALUE_STRING)
        return make_optional(run, NULL);
    if (from->type != VALUE_MAP && from->type != VALUE_LIST)
        return no_overload();
    struct value found = select_key(run, from, key);
    if (found.type == VALUE_ERROR)
        return found;
    return make_optional(run, found.type == VALUE_ABSENT ? NULL : &found);
}
