// define: named conditions and lists of the users.
//
// A named condition is written out, between parentheses, wherever its name stands; it has been compiled alone before,
// so that it is whole and its mistakes are told once, where they were made. A list is a constant that the name means.
// Soundness: only a free name is replaced (not a member, not a call), and a loop's variable may neither bear the name
// of a definition nor, where definitions are used, one that a definition could mean.
#include "compile.h"
#include "scan.h"

#include <stdio.h>
#include <stdlib.h>

#define DEFINITIONS_MAX 10000
#define DEFINITIONS_DEEP_MAX 64
#define EXPANDED_MAX_BYTES (64u << 20) // of all conditions together
#define LIST_ITEMS_MAX 100000

// ---- collecting --------------------------------------------------------------------------

static bool is_taken(struct str name) {
    static const char *const words[] = {"true",     "false",   "null",      "in",        "as",       "break",  "const",
                                        "continue", "else",    "for",       "function",  "if",       "import", "let",
                                        "loop",     "package", "namespace", "return",    "var",      "void",   "while",
                                        "bool",     "int",     "uint",      "double",    "string",   "bytes",  "list",
                                        "map",      "type",    "null_type", "timestamp", "duration", "cel",    "math",
                                        "strings",  "sets",    "lists",     "base64",    "optional", "ip",     "cidr",
                                        "net",      "google",  "regex",     "has",       "dyn"};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (str_eq(name, str_of(words[i])))
            return true;
    return is_root_name(name);
}

static bool is_identifier(struct str name) {
    size_t at = 0;
    struct scan_token token = scan_next(name, &at);
    return token.kind == SCAN_NAME && token.len == name.len && name.len <= NAME_MAX_BYTES;
}

static bool read_list(struct compile *c, const struct doc_node *node, struct value *out) {
    if (node->n > LIST_ITEMS_MAX) {
        report_error(c, place_of(c->file, node), "a list has over %d entries", LIST_ITEMS_MAX);
        return false;
    }
    struct value *items = policy_alloc(c, node->n * sizeof *items);
    for (size_t i = 0; i < node->n; i++) {
        if (node->items[i].kind != DOC_SCALAR) {
            report_error(c, place_of(c->file, &node->items[i]),
                         "a list holds single values: texts, numbers, true or false");
            return false;
        }
        items[i] = doc_value(&node->items[i], c->arena);
        if (items[i].type == VALUE_STRING)
            items[i].string = policy_str(c, items[i].string);
    }
    *out = value_list(c->arena, items, node->n);
    return out->type == VALUE_LIST;
}

static void add_definition(struct compile *c, const struct doc_member *member) {
    size_t other;
    struct place place = place_of_key(c->file, member);
    if (!is_identifier(member->key) || is_taken(member->key)) {
        report_error(
            c, place,
            "'%.*s' cannot name a definition; take letters, digits and '_', and no word that conditions know already",
            STR_ARG(member->key));
        return;
    }
    if (names_find(&c->definition_names, member->key, &other)) {
        const struct definition *first = &c->definitions[other];
        report_error(c, place, "'%.*s' is defined already at %.*s:%u; rename one of them", STR_ARG(member->key),
                     STR_ARG(first->file->text.path), first->node->line);
        return;
    }
    if (c->n_definitions == DEFINITIONS_MAX) {
        report_error(c, place, "over %d definitions", DEFINITIONS_MAX);
        return;
    }
    struct definition definition = {.name = member->key, .file = c->file, .node = &member->node};
    if (member->node.kind == DOC_SEQUENCE && !read_list(c, &member->node, &definition.list))
        definition.state = DEFINITION_BROKEN;
    else if (member->node.kind == DOC_SEQUENCE)
        definition.state = DEFINITION_DONE;
    else if (member->node.kind != DOC_SCALAR) {
        report_error(c, place_of(c->file, &member->node), "a definition is a condition or a list of constants");
        definition.state = DEFINITION_BROKEN;
    }
    c->definitions = grow_list(c->definitions, c->n_definitions, &c->cap_definitions, sizeof *c->definitions);
    names_add(&c->definition_names, definition.name, c->n_definitions, NULL);
    c->definitions[c->n_definitions++] = definition;
}

void collect_definitions(struct compile *c, struct source_file *file, const struct doc_node *node) {
    c->file = file;
    if (node->kind != DOC_MAPPING) {
        report_error(c, place_of(file, node), "'define' must be a mapping of names to conditions or lists");
        return;
    }
    for (size_t i = 0; i < node->n && !c->ended; i++)
        add_definition(c, &node->members[i]);
}

void define_schema(struct buf *out) {
    buf_str(
        out,
        STR("\"type\":\"object\",\"propertyNames\":{\"pattern\":\"^[A-Za-z_][A-Za-z0-9_]*$\"},\"additionalProperties\":"
            "{\"type\":[\"string\",\"number\",\"boolean\",\"array\"],\"items\":{\"type\":[\"string\",\"number\","
            "\"boolean\"]}}"));
}

// ---- writing out ---------------------------------------------------------------------------

static struct str token_text(struct str text, struct scan_token token) {
    return (struct str){text.ptr + token.offset, token.len};
}

static bool is_sign(struct str text, struct scan_token token, char sign) {
    return token.kind == SCAN_SIGN && text.ptr[token.offset] == sign;
}

static bool is_macro(struct str name, unsigned *most_variables) {
    static const struct {
        const char *name;
        unsigned variables;
    } macros[] = {{"all", 2},    {"exists", 2},        {"exists_one", 2},   {"existsOne", 2},         {"map", 1},
                  {"filter", 1}, {"transformList", 2}, {"transformMap", 2}, {"transformMapEntry", 2}, {"bind", 1},
                  {"optMap", 1}, {"optFlatMap", 1},    {"sortBy", 1}};
    for (size_t i = 0; i < COUNT_OF(macros); i++) {
        if (!str_eq(name, str_of(macros[i].name)))
            continue;
        *most_variables = macros[i].variables;
        return true;
    }
    return false;
}

struct walk {
    struct compile *c;
    struct str text;
    struct expansion *out;
    struct expr_error *error;
    size_t copied;             // of the text so far
    struct scan_token last[3]; // the tokens before, the newest first
    unsigned variables;        // how many more variables a macro may name here
    bool uses_definitions;
    size_t root_variable; // 1 + place of a loop's variable that bears the name of a root
    unsigned depth;
};

static bool expand_definition(struct compile *c, size_t index, unsigned depth);

static bool fail_at(struct walk *w, size_t offset, const char *format, ...) PENSTOCK_PRINTF(3, 4);

static bool fail_at(struct walk *w, size_t offset, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(w->error->text, sizeof w->error->text, format, args);
    va_end(args);
    w->error->offset = offset;
    return false;
}

static void add_segment(struct expansion *e, size_t in, bool definition) {
    e->segments = grow_list(e->segments, e->n, &e->cap, sizeof *e->segments);
    e->segments[e->n++] = (struct expansion_segment){e->buf.len, in, definition};
}

static void copy_until(struct walk *w, size_t end) {
    if (end > w->copied) {
        add_segment(w->out, w->copied, false);
        buf_add(&w->out->buf, w->text.ptr + w->copied, end - w->copied);
    }
    w->copied = end;
}

static bool has_comment(struct str text) {
    return memmem(text.ptr, text.len, "//", 2) != NULL;
}

static bool write_definition(struct walk *w, struct scan_token token, size_t index) {
    const struct definition *definition = &w->c->definitions[index];
    if (definition->state == DEFINITION_OPEN)
        return fail_at(w, token.offset, "the definition '%.*s' uses itself; take it out of the circle",
                       STR_ARG(definition->name));
    if (!expand_definition(w->c, index, w->depth + 1)) {
        w->out->broken = true;
        return true;
    }
    definition = &w->c->definitions[index];
    if (definition->list.type == VALUE_LIST)
        return true;
    w->uses_definitions = true;
    copy_until(w, token.offset);
    add_segment(w->out, token.offset, true);
    buf_char(&w->out->buf, '(');
    buf_str(&w->out->buf, definition->expanded);
    buf_str(&w->out->buf, has_comment(definition->expanded) ? STR("\n)") : STR(")"));
    w->copied = token.offset + token.len;
    w->c->expanded_bytes += definition->expanded.len;
    if (w->out->buf.overflow || w->c->expanded_bytes > EXPANDED_MAX_BYTES)
        return fail_at(w, token.offset,
                       "with '%.*s' written out the text is too long; use fewer definitions of definitions",
                       STR_ARG(definition->name));
    return true;
}

static bool take_name(struct walk *w, struct scan_token token, struct scan_token next) {
    struct str name = token_text(w->text, token);
    size_t index;
    bool is_member =
        is_sign(w->text, w->last[0], '.') || (is_sign(w->text, w->last[0], '?') && is_sign(w->text, w->last[1], '.') &&
                                              w->last[1].offset + 1 == w->last[0].offset);
    bool is_known = names_find(&w->c->definition_names, name, &index);
    if (is_sign(w->text, w->last[0], '(') && w->last[1].kind == SCAN_NAME && is_sign(w->text, w->last[2], '.')) {
        if (!is_macro(token_text(w->text, w->last[1]), &w->variables))
            w->variables = 0;
    } else if (!is_sign(w->text, w->last[0], ',')) {
        w->variables = 0;
    }
    if (w->variables > 0 && is_sign(w->text, next, ',')) {
        w->variables--;
        if (is_known)
            return fail_at(w, token.offset, "the variable '%.*s' has the name of a definition; call it something else",
                           STR_ARG(name));
        if (is_root_name(name))
            w->root_variable = token.offset + 1;
        return true;
    }
    if (is_member || !is_known || is_sign(w->text, next, '('))
        return true;
    return write_definition(w, token, index);
}

static bool walk_text(struct walk *w) {
    size_t at = 0;
    struct scan_token token = scan_next(w->text, &at);
    while (token.kind != SCAN_END) {
        struct scan_token next = scan_next(w->text, &at);
        if (token.kind == SCAN_NAME && !take_name(w, token, next))
            return false;
        if (token.kind != SCAN_NAME && !is_sign(w->text, token, ','))
            w->variables = 0;
        w->last[2] = w->last[1];
        w->last[1] = w->last[0];
        w->last[0] = token;
        token = next;
    }
    if (w->uses_definitions && w->root_variable)
        return fail_at(w, w->root_variable - 1,
                       "a variable with a name that conditions know could be mistaken inside of a definition; call it "
                       "something else");
    copy_until(w, w->text.len);
    return true;
}

static bool expand_text(struct compile *c, struct str text, unsigned depth, struct expansion *out,
                        struct expr_error *error) {
    *out = (struct expansion){0};
    buf_init(&out->buf, EXPR_SOURCE_MAX_BYTES);
    if (c->n_definitions == 0) {
        add_segment(out, 0, false);
        out->text = text;
        return true;
    }
    struct walk w = {.c = c, .text = text, .out = out, .error = error, .depth = depth};
    if (text.len > EXPR_SOURCE_MAX_BYTES)
        return fail_at(&w, 0, "the text is over %d bytes long", EXPR_SOURCE_MAX_BYTES);
    for (size_t i = 0; i < COUNT_OF(w.last); i++)
        w.last[i].kind = SCAN_END;
    if (!walk_text(&w))
        return false;
    out->text = buf_view(&out->buf);
    return true;
}

bool expand_definitions(struct compile *c, struct str text, struct expansion *out, struct expr_error *error) {
    return expand_text(c, text, 0, out, error);
}

size_t expansion_place(const struct expansion *e, size_t offset) {
    size_t i = e->n;
    while (i > 0 && e->segments[i - 1].out > offset)
        i--;
    if (i == 0)
        return 0;
    const struct expansion_segment *segment = &e->segments[i - 1];
    return segment->definition ? segment->in : segment->in + (offset - segment->out);
}

void expansion_free(struct expansion *e) {
    buf_free(&e->buf);
    free(e->segments);
    *e = (struct expansion){0};
}

// ---- checking ---------------------------------------------------------------------------------

// Compiled as if it stood in a route, else as in a consumer's `accepts`: one of them must know all its names.
static bool try_compile(struct compile *c, struct str text, struct expr_error *error) {
    struct expr_error second;
    struct resolver in_route = {.c = c, .scope = SCOPE_ROUTE, .trial = true};
    struct resolver in_accepts = {.c = c, .scope = SCOPE_ACCEPTS, .trial = true};
    struct expr *expr = expr_compile(text, &(struct expr_env){&in_route, resolve_name}, error);
    if (!expr)
        expr = expr_compile(text, &(struct expr_env){&in_accepts, resolve_name}, &second);
    bool ok = expr != NULL;
    expr_free(expr);
    return ok;
}

static bool expand_definition(struct compile *c, size_t index, unsigned depth) {
    struct definition *definition = &c->definitions[index];
    if (definition->state == DEFINITION_DONE || definition->state == DEFINITION_BROKEN)
        return definition->state == DEFINITION_DONE;
    definition->state = DEFINITION_OPEN;
    struct expansion expansion;
    struct expr_error error = {.text = "definitions of definitions are nested too deep; write some of them out"};
    struct str text = definition->node->text;
    bool ok = depth <= DEFINITIONS_DEEP_MAX;
    if (ok)
        ok = expand_text(c, text, depth, &expansion, &error);
    else
        expansion = (struct expansion){0};
    bool broken = ok && expansion.broken;
    if (ok && !broken && !try_compile(c, expansion.text, &error)) {
        error.offset = expansion_place(&expansion, error.offset);
        ok = false;
    }
    if (!ok)
        report_error(c, place_in_scalar(definition->file, definition->node, error.offset), "%s", error.text);
    if (ok && !broken)
        definition->expanded = policy_str(c, expansion.text);
    definition->state = ok && !broken ? DEFINITION_DONE : DEFINITION_BROKEN;
    expansion_free(&expansion);
    return definition->state == DEFINITION_DONE;
}

void check_definitions(struct compile *c) {
    for (size_t i = 0; i < c->n_definitions && !c->ended; i++)
        expand_definition(c, i, 1);
}
