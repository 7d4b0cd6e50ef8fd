// typed: values of conditions as JSON that keeps their types, {"int": "1"}, both ways.
#ifndef CLI_TYPED_H
#define CLI_TYPED_H

#include <jansson.h>

#include "penstock/value.h"

// An object with one member that is named after a type is that type's value; any other JSON is what it is to an event:
// whole numbers int, others double, objects maps. Lists, maps and optionals that are typed may hold typed values; plain
// ones hold plain ones. Strings stay where they are in `json`.
bool typed_read(const json_t *json, struct arena *arena, struct value *out, struct status *status);

// A value that is neither absent nor an error. The maximum of `out` bounds the work.
void typed_write(struct buf *out, const struct value *value);

#endif
