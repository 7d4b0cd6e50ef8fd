// jdoc: the document as the room's own files see it.
#ifndef PENSTOCK_JSON_JDOC_H
#define PENSTOCK_JSON_JDOC_H

#include "tape.h"

// Which places of the trie the extraction at work has met: marks[place] == run. Kept from one extraction to the next
// (the run's number tells them apart), because clearing it would cost more than the walk.
struct seen_places {
    uint32_t *marks;
    size_t n;
    uint32_t run;
};

struct jdoc {
    struct value_source source; // first, so that a container's source is its document
    struct tape tape;           // of the last document that was accepted; .words NULL: none
    struct tape_parser *parser;
    struct seen_places *seen; // scratch, owned by the one thread that has the document
};

struct value jdoc_value_at(const struct jdoc *doc, uint64_t at);

#endif
