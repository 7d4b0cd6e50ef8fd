// policy: a bundle becomes a policy: read the files, collect the definitions, read the sections, bind what names what.
#include "compile.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

// ---- reporting and memory -----------------------------------------------------------------

static struct str file_of(struct place at) {
    return at.file ? at.file->text.path : (struct str){0};
}

void report_error(struct compile *c, struct place at, const char *format, ...) {
    char text[1000];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    findings_add(c->findings, true, file_of(at), at.line, at.column, "%s", text);
    if (c->findings->n == FINDINGS_MAX)
        c->ended = true;
}

void report_warning(struct compile *c, struct place at, const char *format, ...) {
    char text[1000];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    findings_add(c->findings, false, file_of(at), at.line, at.column, "%s", text);
}

// Whoever asks gets memory, so that no reader needs a way out of its own; the loops over files, documents, keys and
// list entries look at `ended` and stop, which bounds what the emergency arena must hold to one value.
void *policy_alloc(struct compile *c, size_t bytes) {
    void *memory = arena_alloc(c->arena, bytes);
    if (memory)
        return memory;
    if (!c->ended)
        report_error(c, (struct place){0}, "the policy needs over %u MiB of memory; make the route files smaller",
                     POLICY_ARENA_MAX_BYTES >> 20);
    c->ended = true;
    memory = arena_alloc(c->emergency, bytes);
    must(memory);
    return memory;
}

struct str policy_str(struct compile *c, struct str s) {
    char *copy = policy_alloc(c, s.len + 1);
    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    return (struct str){copy, s.len};
}

void *grow_list(void *items, size_t n, size_t *cap, size_t element_bytes) {
    if (n < *cap)
        return items;
    *cap = *cap ? *cap * 2 : 8;
    return must_realloc(items, *cap * element_bytes);
}

// ---- documents ------------------------------------------------------------------------------

static void read_owner(struct compile *c, const struct doc_node *node, void *target) {
    struct policy *policy = target;
    if (c->owner_place.file)
        report_error(c, place_of(c->file, node), "'default_owner' is set already at %.*s:%u; keep one of them",
                     STR_ARG(c->owner_place.file->text.path), c->owner_place.line);
    c->owner_place = place_of(c->file, node);
    read_text(c, "default_owner", node, &policy->default_owner);
}

static void owner_schema(struct buf *out) {
    buf_str(out, STR("\"type\":\"string\",\"minLength\":1"));
}

// Definitions have been collected before all else.
static void skip_define(struct compile *c, const struct doc_node *node, void *target) {
    (void)c, (void)node, (void)target;
}

static void gate_schema(struct buf *out) {
    buf_str(out, STR("\"$ref\":\"#/$defs/gate\""));
}

static void consumers_schema(struct buf *out) {
    buf_str(out, STR("\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/consumer\"}"));
}

static const struct key root_keys[] = {
    {.name = "define",
     .kind = KEY_OTHER,
     .read = skip_define,
     .schema = define_schema,
     .text = "named conditions and lists of constants; conditions of all files know them by their names"},
    {.name = "gate",
     .kind = KEY_OTHER,
     .read = read_gate,
     .schema = gate_schema,
     .text = "limits for signals, how they wait, the kill switch"},
    {.name = "consumers",
     .kind = KEY_OTHER,
     .read = read_consumers,
     .schema = consumers_schema,
     .text = "downstream systems"},
    {.name = "default_owner",
     .kind = KEY_OTHER,
     .read = read_owner,
     .schema = owner_schema,
     .text = "who gets alerts on identities that nobody owns"},
};
const struct object root_object = {
    .name = "route file", .example = "{route: name, when: '…'}", KEYS(root_keys), .bytes = sizeof(struct policy)};

static void report_stray(struct compile *c, bool has_map, bool has_route, const struct doc_member *member) {
    struct place place = place_of_key(c->file, member);
    if (find_key(&root_object, member->key) || (has_map && find_key(&map_object, member->key)) ||
        (has_route && find_key(&route_object, member->key)))
        return;
    if (find_key(&map_object, member->key)) {
        report_error(c, place, "'%.*s' belongs to a map; name the map with 'map: …' beside it", STR_ARG(member->key));
        return;
    }
    if (find_key(&route_object, member->key)) {
        report_error(c, place, "'%.*s' belongs to a route; name the route with 'route: …' beside it",
                     STR_ARG(member->key));
        return;
    }
    struct str words[64];
    size_t n = 0;
    const struct object *objects[] = {&root_object, has_route || !has_map ? &route_object : NULL,
                                      has_map || !has_route ? &map_object : NULL};
    for (size_t i = 0; i < COUNT_OF(objects); i++)
        for (size_t k = 0; objects[i] && k < objects[i]->n_keys; k++)
            words[n++] = str_of(objects[i]->keys[k].name);
    char hint[160];
    report_error(c, place, "unknown key '%.*s' in %s%s", STR_ARG(member->key),
                 has_route ? "route"
                 : has_map ? "map"
                           : "route file",
                 did_you_mean(member->key, words, n, hint));
}

static void read_document(struct compile *c, const struct doc_node *document) {
    if (document->kind == DOC_NULL)
        return;
    if (document->kind != DOC_MAPPING) {
        report_error(c, place_of(c->file, document),
                     "a route file holds mappings: map, route, define, gate, consumers, default_owner");
        return;
    }
    bool has_map = doc_get(document, "map"), has_route = doc_get(document, "route");
    for (size_t i = 0; i < document->n && !c->ended; i++)
        report_stray(c, has_map, has_route, &document->members[i]);
    if (has_map)
        read_map(c, document);
    if (has_route)
        read_route(c, document);
    read_members(c, &root_object, document, &c->out->policy);
}

// ---- files ----------------------------------------------------------------------------------

static void parse_files(struct compile *c) {
    c->files = must_alloc((c->bundle->n_files + 1) * sizeof *c->files);
    c->n_files = c->bundle->n_files;
    for (size_t i = 0; i < c->n_files; i++) {
        struct source_file *file = &c->files[i];
        struct doc_error error = {0};
        file->text = c->bundle->files[i];
        file->unreadable = !doc_parse(file->text.text, c->documents, &file->documents, &file->n_documents, &error);
        if (!file->unreadable)
            continue;
        file->n_documents = 0;
        c->some_unreadable = true;
        report_error(c, (struct place){file, error.line, error.column}, "%s", error.text);
    }
}

static void read_files(struct compile *c) {
    for (size_t i = 0; i < c->n_files; i++)
        for (size_t d = 0; d < c->files[i].n_documents; d++) {
            const struct doc_node *define = doc_get(&c->files[i].documents[d], "define");
            if (define)
                collect_definitions(c, &c->files[i], define);
        }
    check_definitions(c);
    for (size_t i = 0; i < c->n_files && !c->ended; i++) {
        c->file = &c->files[i];
        for (size_t d = 0; d < c->file->n_documents && !c->ended; d++)
            read_document(c, &c->file->documents[d]);
    }
    c->file = NULL;
}

// ---- the whole ------------------------------------------------------------------------------

static void check_whole(struct compile *c) {
    struct place nowhere = {0};
    if (c->some_unreadable)
        return;
    if (c->n_files == 0)
        report_error(c, nowhere, "there are no route files; put *.yaml, *.yml or *.json files into the routes folder");
    else if (c->n_routes == 0)
        report_warning(c, nowhere, "there is no route, so nothing comes of any event");
    if (c->n_routes == 0)
        return;
    if (!c->owner_place.file)
        report_error(c, nowhere,
                     "nobody would answer for identities without an owner; set 'default_owner: …' in a route file");
    if (c->n_consumers == 0)
        report_error(c, nowhere, "there is no consumer, so no output could go anywhere; add 'consumers: [%s]'",
                     consumer_object.example);
    if (c->n_maps == 0 && c->bundle->n_sources == 0)
        report_error(c, nowhere, "there is no map, so no event could be read; add one: %s", map_object.example);
}

static void set_defaults(struct compile *c) {
    struct policy *policy = &c->out->policy;
    c->scope = SCOPE_PARTITION;
    if (!c->gate_place.file) {
        struct doc_node empty = {.kind = DOC_MAPPING};
        read_gate(c, &empty, policy);
    }
    if (!policy->partition_by)
        policy->partition_by = compile_text(c, "event.tenant");
}

static void take_drafts(struct compile *c) {
    struct policy *policy = &c->out->policy;
    policy->routes = policy_alloc(c, c->n_routes * sizeof *policy->routes);
    for (size_t i = 0; i < c->n_routes; i++)
        policy->routes[i] = c->routes[i].route;
    policy->n_routes = c->n_routes;
    policy->consumers = policy_alloc(c, c->n_consumers * sizeof *policy->consumers);
    for (size_t i = 0; i < c->n_consumers; i++)
        policy->consumers[i] = c->consumers[i].consumer;
    policy->n_consumers = c->n_consumers;
    policy->tests = policy_alloc(c, c->n_tests * sizeof *policy->tests);
    if (c->n_tests > 0)
        memcpy(policy->tests, c->tests, c->n_tests * sizeof *policy->tests);
    policy->n_tests = c->n_tests;
}

static struct hash128 hash_bundle(const struct policy_bundle *bundle) {
    struct buf bytes;
    buf_init(&bytes, SIZE_MAX / 2);
    policy_bundle_write(bundle, &bytes);
    struct hash128 hash = hash128_bytes(bytes.ptr, bytes.len);
    buf_free(&bytes);
    return hash;
}

static void compile_free(struct compile *c) {
    for (size_t i = 0; i < c->n_files; i++)
        free(c->files[i].lines);
    for (size_t i = 0; i < c->n_maps; i++)
        free(c->maps[i].slots.items);
    for (size_t i = 0; i < c->n_routes; i++)
        free(c->routes[i].slots.items);
    free(c->files);
    free(c->definitions);
    free(c->raw_paths);
    free(c->maps);
    free(c->routes);
    free(c->consumers);
    free(c->tests);
    struct name_table *tables[] = {&c->definition_names, &c->expressions, &c->raw_names,
                                   &c->map_names,        &c->route_names, &c->source_names};
    for (size_t i = 0; i < COUNT_OF(tables); i++)
        names_free(tables[i]);
    arena_free(c->documents);
    arena_free(c->emergency);
}

struct policy *policy_compile(const struct policy_bundle *bundle, struct findings *findings) {
    struct compiled *out = must_alloc(sizeof *out);
    struct compile c = {.findings = findings,
                        .out = out,
                        .bundle = bundle,
                        .arena = arena_new(POLICY_ARENA_MAX_BYTES),
                        .emergency = arena_new(SIZE_MAX / 2),
                        .documents = arena_new(DOCUMENTS_MAX_BYTES)};
    size_t errors = findings->n_errors;
    atomic_init(&out->references, 1);
    out->policy.arena = c.arena;
    parse_files(&c);
    read_files(&c);
    if (!c.ended) {
        check_whole(&c);
        set_defaults(&c);
        bind_sources(&c);
        bind_memories(&c);
        take_drafts(&c);
        check_tests(&c);
        check_reach(&c);
    }
    out->policy.hash = hash_bundle(bundle);
    compile_free(&c);
    if (findings->n_errors == errors)
        return &out->policy;
    policy_unref(&out->policy);
    return NULL;
}

// ---- references -----------------------------------------------------------------------------

struct policy *policy_ref(struct policy *policy) {
    atomic_fetch_add_explicit(&((struct compiled *)policy)->references, 1, memory_order_relaxed);
    return policy;
}

void policy_unref(struct policy *policy) {
    struct compiled *compiled = (struct compiled *)policy;
    if (!policy || atomic_fetch_sub_explicit(&compiled->references, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < policy->n_sources; i++) {
        if (policy->sources[i].raw)
            jpaths_free(policy->sources[i].raw);
        if (policy->sources[i].envelope)
            jpaths_free(policy->sources[i].envelope);
    }
    for (size_t i = 0; i < compiled->n_exprs; i++)
        expr_free(compiled->exprs[i]);
    free(compiled->exprs);
    arena_free(policy->arena);
    free(compiled);
}

const struct source_binding *policy_find_source(const struct policy *policy, struct str name) {
    for (size_t i = 0; i < policy->n_sources; i++)
        if (str_eq(policy->sources[i].name, name))
            return &policy->sources[i];
    return NULL;
}
