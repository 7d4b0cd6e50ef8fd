// compose: libyaml's events -> a tree in an arena.
//
// The events are composed here, not by libyaml's own loader, so that each bound
// holds while reading, before memory is spent. An alias shares the nodes of its
// anchor, but counts as many nodes, and as much depth, as if it were written out:
// whoever walks the tree later meets no more than the bounds allow.
#include "mistakes.h"

#include <stdlib.h>

#define TEXT_MAX_BYTES (16u << 20)
#define NODES_MAX 200000
#define DEPTH_MAX 64
#define ANCHORS_MAX 1000 // of one document; they are searched in turn
#define LINEAR_MEMBERS 16

struct anchor {
    struct str name;
    struct doc_node node;
    size_t nodes;    // in its subtree, itself included
    unsigned height; // levels of containers: 0 for a scalar
    bool complete;   // false while its own content is being read
};

struct composer {
    yaml_parser_t parser;
    struct str text;
    struct arena *arena;
    struct doc_error *error;
    size_t nodes;
    struct anchor *anchors;
    size_t n_anchors;
    // Children of all containers that are open; each takes its own off the end when it closes.
    struct doc_member *pending;
    size_t n_pending, cap_pending;
};

static bool compose_node(struct composer *c, const yaml_event_t *event, unsigned depth, struct doc_node *node,
                         unsigned *height);

static bool no_memory(struct composer *c, yaml_mark_t mark) {
    return mistake_at(mark, c->error, "the file needs more memory than is allowed for it; split it");
}

static bool next_event(struct composer *c, yaml_event_t *event) {
    return yaml_parser_parse(&c->parser, event) || mistake_of_parser(&c->parser, c->text, c->error);
}

static bool copy_text(struct composer *c, yaml_mark_t mark, const yaml_char_t *bytes, size_t len, struct str *out) {
    *out = arena_str(c->arena, (struct str){(const char *)bytes, len});
    return out->ptr != NULL || no_memory(c, mark);
}

static bool count_nodes(struct composer *c, yaml_mark_t mark, size_t more) {
    c->nodes += more;
    return c->nodes <= NODES_MAX ||
           mistake_at(mark, c->error, "more than %d values (aliases counted in full)", NODES_MAX);
}

static bool check_depth(struct composer *c, yaml_mark_t mark, unsigned depth) {
    return depth <= DEPTH_MAX || mistake_at(mark, c->error, "nested more than %d levels deep", DEPTH_MAX);
}

static bool open_anchor(struct composer *c, yaml_mark_t mark, const yaml_char_t *name, struct anchor **out) {
    *out = NULL;
    if (!name)
        return true;
    if (c->n_anchors == ANCHORS_MAX)
        return mistake_at(mark, c->error, "more than %d anchors", ANCHORS_MAX);
    if (!c->anchors)
        c->anchors = must_alloc(ANCHORS_MAX * sizeof *c->anchors);
    struct anchor *anchor = &c->anchors[c->n_anchors];
    *anchor = (struct anchor){0};
    if (!copy_text(c, mark, name, strlen((const char *)name), &anchor->name))
        return false;
    c->n_anchors++;
    *out = anchor;
    return true;
}

static void close_anchor(struct anchor *anchor, const struct doc_node *node, size_t nodes, unsigned height) {
    if (!anchor)
        return;
    anchor->node = *node;
    anchor->nodes = nodes;
    anchor->height = height;
    anchor->complete = true;
}

static bool compose_alias(struct composer *c, const yaml_event_t *event, unsigned depth, struct doc_node *node,
                          unsigned *height) {
    struct str name = str_of((const char *)event->data.alias.anchor);
    for (size_t i = c->n_anchors; i-- > 0;) { // the newest of a name counts
        const struct anchor *anchor = &c->anchors[i];
        if (!str_eq(anchor->name, name))
            continue;
        if (!anchor->complete)
            return mistake_at(event->start_mark, c->error, "the alias '*%s' stands inside of what it names", name.ptr);
        if (!count_nodes(c, event->start_mark, anchor->nodes) ||
            (anchor->height > 0 && !check_depth(c, event->start_mark, depth + anchor->height - 1)))
            return false;
        *node = anchor->node;
        node->line = (unsigned)event->start_mark.line + 1;
        node->column = (unsigned)event->start_mark.column + 1;
        *height = anchor->height;
        return true;
    }
    return mistake_at(event->start_mark, c->error,
                      "no anchor '&%.100s' stands before this alias; a text that begins with '*' needs quotes",
                      name.ptr);
}

// Only the tags that say what is so anyway, and !!str, mean anything to us. Everything else is most often a condition
// that begins with '!' and was not quoted.
static bool check_tag(struct composer *c, yaml_mark_t mark, const yaml_char_t *tag, const char *allowed) {
    if (!tag || strcmp((const char *)tag, allowed) == 0)
        return true;
    return mistake_at(mark, c->error, "the tag '%.100s' has no meaning here; a text that begins with '!' needs quotes",
                      (const char *)tag);
}

static bool means_null(struct str text) {
    return text.len == 0 || str_eq(text, STR("~")) || str_eq(text, STR("null")) || str_eq(text, STR("Null")) ||
           str_eq(text, STR("NULL"));
}

static bool compose_scalar(struct composer *c, const yaml_event_t *event, struct doc_node *node) {
    const yaml_char_t *tag = event->data.scalar.tag;
    if (!check_tag(c, event->start_mark, tag, YAML_STR_TAG) ||
        !copy_text(c, event->start_mark, event->data.scalar.value, event->data.scalar.length, &node->text))
        return false;
    node->quoted = tag || event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->kind = !node->quoted && means_null(node->text) ? DOC_NULL : DOC_SCALAR;
    return true;
}

static struct doc_member *push_pending(struct composer *c, const struct doc_member *member) {
    if (c->n_pending == c->cap_pending) {
        c->cap_pending = c->cap_pending ? c->cap_pending * 2 : 64;
        c->pending = must_realloc(c->pending, c->cap_pending * sizeof *c->pending);
    }
    c->pending[c->n_pending] = *member;
    return &c->pending[c->n_pending++];
}

static bool compose_children_of_sequence(struct composer *c, unsigned depth, unsigned *height) {
    for (;;) {
        yaml_event_t event;
        if (!next_event(c, &event))
            return false;
        bool end = event.type == YAML_SEQUENCE_END_EVENT;
        struct doc_member member = {0};
        unsigned child_height = 0;
        bool composed = end || compose_node(c, &event, depth + 1, &member.node, &child_height);
        yaml_event_delete(&event);
        if (!composed || end)
            return composed;
        if (child_height + 1 > *height)
            *height = child_height + 1;
        push_pending(c, &member);
    }
}

static bool compose_key(struct composer *c, const yaml_event_t *event, struct doc_member *member) {
    member->line = (unsigned)event->start_mark.line + 1;
    member->column = (unsigned)event->start_mark.column + 1;
    if (event->type != YAML_SCALAR_EVENT)
        return mistake_at(event->start_mark, c->error,
                          "a key must be a text; one that begins with '[', '{' or '*' needs quotes");
    if (event->data.scalar.anchor)
        return mistake_at(event->start_mark, c->error,
                          "a key cannot be an anchor; one that begins with '&' needs quotes");
    if (event->data.scalar.length == 0 && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        return mistake_at(event->start_mark, c->error, "a key is missing before the ':'");
    return check_tag(c, event->start_mark, event->data.scalar.tag, YAML_STR_TAG) &&
           copy_text(c, event->start_mark, event->data.scalar.value, event->data.scalar.length, &member->key);
}

static bool compose_children_of_mapping(struct composer *c, unsigned depth, unsigned *height) {
    for (;;) {
        yaml_event_t event;
        if (!next_event(c, &event))
            return false;
        bool end = event.type == YAML_MAPPING_END_EVENT;
        struct doc_member member = {0};
        bool composed = end || compose_key(c, &event, &member);
        yaml_event_delete(&event);
        if (!composed || end)
            return composed;
        unsigned child_height = 0;
        if (!next_event(c, &event))
            return false;
        composed = compose_node(c, &event, depth + 1, &member.node, &child_height);
        yaml_event_delete(&event);
        if (!composed)
            return false;
        if (child_height + 1 > *height)
            *height = child_height + 1;
        push_pending(c, &member);
    }
}

// The first member whose key an earlier one has; NULL if all differ.
static const struct doc_member *find_duplicate(const struct doc_member *members, size_t n,
                                               const struct doc_member **earlier) {
    size_t slots = 2 * LINEAR_MEMBERS;
    while (slots < 2 * n)
        slots *= 2;
    uint32_t few[2 * LINEAR_MEMBERS] = {0};
    uint32_t *index = n <= LINEAR_MEMBERS ? few : must_alloc(slots * sizeof *index);
    const struct doc_member *duplicate = NULL;
    for (size_t i = 0; i < n && !duplicate; i++) {
        size_t at = hash64_bytes(members[i].key.ptr, members[i].key.len) & (slots - 1);
        while (index[at] != 0 && !str_eq(members[index[at] - 1].key, members[i].key))
            at = (at + 1) & (slots - 1);
        if (index[at] != 0) {
            duplicate = &members[i];
            *earlier = &members[index[at] - 1];
        }
        index[at] = (uint32_t)i + 1;
    }
    if (index != few)
        free(index);
    return duplicate;
}

static bool finish_mapping(struct composer *c, yaml_mark_t mark, const struct doc_member *children,
                           struct doc_node *node) {
    const struct doc_member *earlier = NULL, *duplicate = find_duplicate(children, node->n, &earlier);
    if (duplicate) {
        yaml_mark_t at = {.line = duplicate->line - 1, .column = duplicate->column - 1};
        return mistake_at(at, c->error, "the key '%.100s' stands in line %u already", duplicate->key.ptr,
                          earlier->line);
    }
    struct doc_member *members = arena_alloc(c->arena, node->n * sizeof *members);
    if (!members)
        return no_memory(c, mark);
    if (node->n)
        memcpy(members, children, node->n * sizeof *members);
    node->members = members;
    return true;
}

static bool finish_sequence(struct composer *c, yaml_mark_t mark, const struct doc_member *children,
                            struct doc_node *node) {
    struct doc_node *items = arena_alloc(c->arena, node->n * sizeof *items);
    if (!items)
        return no_memory(c, mark);
    for (size_t i = 0; i < node->n; i++)
        items[i] = children[i].node;
    node->items = items;
    return true;
}

static bool compose_container(struct composer *c, const yaml_event_t *event, unsigned depth, struct doc_node *node,
                              unsigned *height) {
    bool mapping = event->type == YAML_MAPPING_START_EVENT;
    const yaml_char_t *tag = mapping ? event->data.mapping_start.tag : event->data.sequence_start.tag;
    if (!check_depth(c, event->start_mark, depth) ||
        !check_tag(c, event->start_mark, tag, mapping ? YAML_MAP_TAG : YAML_SEQ_TAG))
        return false;
    size_t first = c->n_pending;
    *height = 1;
    node->kind = mapping ? DOC_MAPPING : DOC_SEQUENCE;
    if (!(mapping ? compose_children_of_mapping : compose_children_of_sequence)(c, depth, height))
        return false;
    node->n = c->n_pending - first;
    c->n_pending = first;
    const struct doc_member *children = node->n ? c->pending + first : NULL;
    return (mapping ? finish_mapping : finish_sequence)(c, event->start_mark, children, node);
}

static bool compose_node(struct composer *c, const yaml_event_t *event, unsigned depth, struct doc_node *node,
                         unsigned *height) {
    if (event->type == YAML_ALIAS_EVENT)
        return compose_alias(c, event, depth, node, height);
    *node = (struct doc_node){.line = (unsigned)event->start_mark.line + 1,
                              .column = (unsigned)event->start_mark.column + 1};
    const yaml_char_t *name = event->type == YAML_SCALAR_EVENT          ? event->data.scalar.anchor
                              : event->type == YAML_MAPPING_START_EVENT ? event->data.mapping_start.anchor
                                                                        : event->data.sequence_start.anchor;
    struct anchor *anchor;
    size_t nodes_before = c->nodes;
    if (!count_nodes(c, event->start_mark, 1) || !open_anchor(c, event->start_mark, name, &anchor))
        return false;
    *height = 0;
    bool composed = event->type == YAML_SCALAR_EVENT ? compose_scalar(c, event, node)
                                                     : compose_container(c, event, depth, node, height);
    if (composed)
        close_anchor(anchor, node, c->nodes - nodes_before, *height);
    return composed;
}

static bool compose_document(struct composer *c) {
    yaml_event_t event;
    struct doc_member document = {0};
    unsigned height;
    c->n_anchors = 0;
    if (!next_event(c, &event))
        return false;
    size_t first = c->n_pending;
    bool composed = compose_node(c, &event, 1, &document.node, &height);
    yaml_event_delete(&event);
    if (!composed || !next_event(c, &event))
        return false;
    must(event.type == YAML_DOCUMENT_END_EVENT && c->n_pending == first);
    yaml_event_delete(&event);
    push_pending(c, &document);
    return true;
}

static bool compose_stream(struct composer *c) {
    for (;;) {
        yaml_event_t event;
        if (!next_event(c, &event))
            return false;
        yaml_event_type_t type = event.type;
        yaml_event_delete(&event);
        if (type == YAML_STREAM_END_EVENT)
            return true;
        if (type == YAML_DOCUMENT_START_EVENT && !compose_document(c))
            return false;
    }
}

bool doc_parse(struct str text, struct arena *arena, const struct doc_node **documents, size_t *n,
               struct doc_error *error) {
    struct composer c = {.text = text, .arena = arena, .error = error};
    *error = (struct doc_error){0};
    *documents = NULL;
    *n = 0;
    if (text.len > TEXT_MAX_BYTES)
        return mistake_at((yaml_mark_t){0}, error, "the file is larger than %u MiB; split it", TEXT_MAX_BYTES >> 20);
    must(yaml_parser_initialize(&c.parser));
    yaml_parser_set_encoding(&c.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&c.parser, (const unsigned char *)(text.ptr ? text.ptr : ""), text.len);
    struct doc_node all = {0};
    bool composed = compose_stream(&c);
    if (composed) {
        all.n = c.n_pending;
        composed = finish_sequence(&c, (yaml_mark_t){0}, c.pending, &all);
    }
    if (composed) {
        *documents = all.items;
        *n = all.n;
    }
    yaml_parser_delete(&c.parser);
    free(c.anchors);
    free(c.pending);
    return composed;
}
