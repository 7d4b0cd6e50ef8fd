// sources: which map a source has, which routes hear it, which raw paths those need.
//
// A raw path has one slot in the whole policy; each source extracts those that its map or its routes read.
#include "compile.h"

#include <stdlib.h>

// ---- names ------------------------------------------------------------------------------------

static const struct map_draft *find_map(struct compile *c, const struct policy_source *source) {
    size_t index;
    struct str name = source->map.len > 0 ? source->map : source->name;
    if (names_find(&c->map_names, name, &index))
        return &c->maps[index];
    struct place nowhere = {0};
    char hint[160];
    struct str nearest = names_nearest(&c->map_names, name);
    did_you_mean(name, &nearest, nearest.ptr != NULL, hint);
    if (c->some_unreadable)
        return NULL;
    if (source->map.len > 0)
        report_error(c, nowhere, "source '%.*s' names the map '%.*s', which no route file has%s", STR_ARG(source->name),
                     STR_ARG(name), hint);
    else
        report_error(c, nowhere,
                     "source '%.*s' has no map; write one ('map: %.*s') or name another in the source's settings%s",
                     STR_ARG(source->name), STR_ARG(source->name), hint);
    return NULL;
}

static void bind_maps(struct compile *c) {
    struct policy *policy = &c->out->policy;
    const struct policy_bundle *bundle = c->bundle;
    size_t n = bundle->n_sources ? bundle->n_sources : c->n_maps;
    policy->sources = policy_alloc(c, n * sizeof *policy->sources);
    for (size_t i = 0; i < n; i++) {
        struct source_binding *binding = &policy->sources[i];
        struct policy_source of_map = {.name = bundle->n_sources ? (struct str){0} : c->maps[i].map.name};
        const struct policy_source *source = bundle->n_sources ? &bundle->sources[i] : &of_map;
        const struct map_draft *map = bundle->n_sources ? find_map(c, source) : &c->maps[i];
        binding->name = policy_str(c, source->name);
        binding->map = map ? &policy->maps[map - c->maps] : NULL;
        if (!names_add(&c->source_names, binding->name, i, NULL) && bundle->n_sources)
            report_error(c, (struct place){0}, "two sources are called '%.*s'; rename one of them",
                         STR_ARG(binding->name));
    }
    policy->n_sources = n;
}

// ---- routes -------------------------------------------------------------------------------------

static void add_route(struct compile *c, struct source_binding *binding, size_t route) {
    if (binding->n_routes > 0 && binding->routes[binding->n_routes - 1] == route)
        return;
    if (!binding->routes)
        binding->routes = policy_alloc(c, c->n_routes * sizeof *binding->routes);
    binding->routes[binding->n_routes++] = (uint16_t)route;
}

// A name in `from` is a source, or a map: then all sources that this map reads.
static bool is_named(const struct source_binding *binding, struct str name) {
    return str_eq(binding->name, name) || (binding->map && str_eq(binding->map->name, name));
}

static bool hears(const struct route_draft *draft, const struct source_binding *binding) {
    for (size_t i = 0; i < draft->from.n; i++)
        if (is_named(binding, draft->from.items[i]))
            return true;
    return false;
}

static bool is_known(const struct compile *c, struct str name) {
    size_t number;
    return names_find(&c->source_names, name, &number) || names_find(&c->map_names, name, &number);
}

static void check_from(struct compile *c, const struct route_draft *draft, const struct doc_node *from) {
    size_t n_items;
    const struct doc_node *items = list_items(from, &n_items);
    for (size_t i = 0; i < draft->from.n; i++) {
        if (is_known(c, draft->from.items[i]) || c->some_unreadable)
            continue;
        char hint[160];
        struct str nearest = names_nearest(&c->source_names, draft->from.items[i]);
        did_you_mean(draft->from.items[i], &nearest, nearest.ptr != NULL, hint);
        report_error(c, place_of(draft->file, draft->from.n == n_items ? &items[i] : from),
                     "there is no source or map '%.*s'%s", STR_ARG(draft->from.items[i]), hint);
    }
    if (draft->from.n == 0 && !draft->broken)
        report_error(c, place_of(draft->file, from), "'from' is empty; name a source or leave the key out for all");
}

// False: none of the sources is one that the route wants to hear.
static bool bind_route(struct compile *c, size_t index) {
    const struct route_draft *draft = &c->routes[index];
    struct policy *policy = &c->out->policy;
    const struct doc_node *from = doc_get(draft->document, "from");
    bool heard = false;
    for (size_t i = 0; i < policy->n_sources; i++) {
        if (from && !hears(draft, &policy->sources[i]))
            continue;
        add_route(c, &policy->sources[i], index);
        heard = true;
    }
    if (from)
        check_from(c, draft, from);
    return heard;
}

// A library holds routes for more vendors than one deployment has, so this is said once and not for each.
static void report_unheard(struct compile *c, size_t n_unheard, const struct route_draft *first) {
    if (c->findings->n_errors == 0)
        report_warning(c, first->place, "%zu routes hear none of the configured sources; '%.*s' is the first of them",
                       n_unheard, STR_ARG(first->route.name));
}

// ---- raw paths ------------------------------------------------------------------------------------

static void add_paths(struct compile *c, struct source_binding *binding, const struct slot_list *slots,
                      uint8_t *wanted) {
    for (size_t i = 0; i < slots->n; i++) {
        size_t index = (size_t)(slots->items[i] - SLOT_RAW);
        const struct raw_path *raw = &c->raw_paths[index];
        if (wanted[index])
            continue;
        wanted[index] = 1;
        if (raw->envelope && !binding->envelope)
            binding->envelope = jpaths_new();
        jpaths_add(raw->envelope ? binding->envelope : binding->raw, raw->path, (unsigned)slots->items[i]);
    }
}

static void bind_paths(struct compile *c) {
    struct policy *policy = &c->out->policy;
    uint8_t *wanted = must_alloc(c->n_raw_paths + 1);
    for (size_t i = 0; i < policy->n_sources; i++) {
        struct source_binding *binding = &policy->sources[i];
        memset(wanted, 0, c->n_raw_paths);
        binding->raw = jpaths_new();
        if (binding->map)
            add_paths(c, binding, &c->maps[binding->map - policy->maps].slots, wanted);
        for (size_t r = 0; r < binding->n_routes; r++)
            add_paths(c, binding, &c->routes[binding->routes[r]].slots, wanted);
    }
    free(wanted);
}

void bind_sources(struct compile *c) {
    struct policy *policy = &c->out->policy;
    policy->maps = policy_alloc(c, c->n_maps * sizeof *policy->maps);
    for (size_t i = 0; i < c->n_maps; i++)
        policy->maps[i] = c->maps[i].map;
    policy->n_maps = c->n_maps;
    bind_maps(c);
    size_t n_unheard = 0, first_unheard = 0;
    for (size_t i = 0; i < c->n_routes && !c->ended; i++)
        if (!bind_route(c, i) && n_unheard++ == 0)
            first_unheard = i;
    if (n_unheard > 0)
        report_unheard(c, n_unheard, &c->routes[first_unheard]);
    bind_paths(c);
    policy->n_slots = (unsigned)(SLOT_RAW + c->n_raw_paths);
}
