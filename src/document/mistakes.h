// mistakes: what libyaml found wrong, told to a person who writes route files.
#ifndef PENSTOCK_DOCUMENT_MISTAKES_H
#define PENSTOCK_DOCUMENT_MISTAKES_H

#include "penstock/document.h"

#include <yaml.h>

// Sets *error from the parser's failure; `text` is the whole input. Always false.
bool mistake_of_parser(const yaml_parser_t *parser, struct str text, struct doc_error *error);
// Sets *error at `mark`. Always false.
bool mistake_at(yaml_mark_t mark, struct doc_error *error, const char *format, ...) PENSTOCK_PRINTF(3, 4);

#endif
