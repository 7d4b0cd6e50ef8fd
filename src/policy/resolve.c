// resolve: what a name in a condition means: which slot holds it, or why there is no such name.
//
// Event and identity fields have fixed slots. Each path into the vendor's document gets a slot of its own when it is
// first named; the sources that need it are found out later (sources.c).
#include "compile.h"

#include <stdio.h>

#define RAW_PATHS_MAX 10000
#define RAW_STEPS_MAX 64
#define PATH_TEXT_MAX 256

enum root {
    ROOT_EVENT,
    ROOT_IDENTITY,
    ROOT_SOURCE,
    ROOT_SUBJECT_KIND,
    ROOT_RAW,
    ROOT_ENVELOPE,
    ROOT_KIND,
    ROOT_ACTION,
    ROOT_TYPE,
    ROOT_ROUTE,
    ROOT_SEVERITY,
    ROOT_CONFIDENCE,
    ROOT_WHY,
    ROOT_TENANT,
    ROOT_OWNER
};
#define IN(scope) (1u << (scope))

static const struct root_info {
    const char *name;
    enum root root;
    unsigned scopes;
    int slot; // -1: more than one
    enum value_type type;
} roots[] = {
    {"event", ROOT_EVENT, IN(SCOPE_ROUTE) | IN(SCOPE_PARTITION) | IN(SCOPE_ACCEPTS), -1, VALUE_ANY},
    {"identity", ROOT_IDENTITY, IN(SCOPE_ROUTE) | IN(SCOPE_ACCEPTS), -1, VALUE_ANY},
    {"source", ROOT_SOURCE, IN(SCOPE_MAP) | IN(SCOPE_ROUTE) | IN(SCOPE_PARTITION), SLOT_SOURCE, VALUE_STRING},
    {"subject_kind", ROOT_SUBJECT_KIND, IN(SCOPE_ROUTE), SLOT_SUBJECT_KIND, VALUE_STRING},
    {"raw", ROOT_RAW, IN(SCOPE_MAP) | IN(SCOPE_ROUTE), -1, VALUE_ANY},
    {"envelope", ROOT_ENVELOPE, IN(SCOPE_MAP) | IN(SCOPE_ROUTE), -1, VALUE_ANY},
    {"kind", ROOT_KIND, IN(SCOPE_ACCEPTS), ACCEPT_KIND, VALUE_STRING},
    {"action", ROOT_ACTION, IN(SCOPE_ACCEPTS), ACCEPT_ACTION, VALUE_STRING},
    {"type", ROOT_TYPE, IN(SCOPE_ACCEPTS), ACCEPT_TYPE, VALUE_STRING},
    {"route", ROOT_ROUTE, IN(SCOPE_ACCEPTS), ACCEPT_ROUTE, VALUE_STRING},
    {"severity", ROOT_SEVERITY, IN(SCOPE_ACCEPTS), ACCEPT_SEVERITY, VALUE_STRING},
    {"confidence", ROOT_CONFIDENCE, IN(SCOPE_ACCEPTS), ACCEPT_CONFIDENCE, VALUE_DOUBLE},
    {"why", ROOT_WHY, IN(SCOPE_ACCEPTS), ACCEPT_WHY, VALUE_STRING},
    {"tenant", ROOT_TENANT, IN(SCOPE_ACCEPTS), ACCEPT_TENANT, VALUE_STRING},
    {"owner", ROOT_OWNER, IN(SCOPE_ACCEPTS), ACCEPT_OWNER, VALUE_STRING},
};

bool is_root_name(struct str name) {
    for (size_t i = 0; i < COUNT_OF(roots); i++)
        if (str_eq(name, str_of(roots[i].name)))
            return true;
    return false;
}

// ---- fields of events and identities ---------------------------------------------------

// "subject.id" of the first `n` steps behind the root; false: an index is among them, or it is too long.
static bool join_steps(struct path chain, size_t n, char out[PATH_TEXT_MAX]) {
    size_t len = 0;
    for (size_t i = 1; i <= n; i++) {
        struct str key = chain.steps[i].key;
        if (chain.steps[i].is_index || key.len + len + 2 > PATH_TEXT_MAX)
            return false;
        if (i > 1)
            out[len++] = '.';
        if (key.len > 0)
            memcpy(out + len, key.ptr, key.len);
        len += key.len;
    }
    out[len] = '\0';
    return true;
}

// "subject" of "subject.id".
static bool is_group(struct str name, const struct field_info *fields, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct str path = str_of(fields[i].path);
        if (str_starts(path, name) && path.len > name.len && path.ptr[name.len] == '.')
            return true;
    }
    return false;
}

static void explain_field(const char *root, const char *path, const struct field_info *fields, size_t n,
                          struct buf *why) {
    char group[PATH_TEXT_MAX + 1];
    snprintf(group, sizeof group, "%s.", path);
    struct str words[2 * (EVENT_FIELD_COUNT + IDENTITY_FIELD_COUNT)]; // more than either needs
    for (size_t i = 0; i < n; i++) {
        words[i] = str_of(fields[i].path);
        if (path[0] && str_starts(words[i], str_of(group))) {
            buf_printf(why, "'%s.%s' is a group of fields; name one of them, such as '%s.%s'", root, path, root,
                       fields[i].path);
            return;
        }
    }
    if (path[0] == '\0') {
        buf_printf(why, "'%s' is a group of fields; name one of them, such as '%s.%s'", root, root, fields[0].path);
        return;
    }
    for (size_t i = 0; i < n; i++) { // the groups' names too
        const char *dot = strchr(fields[i].path, '.');
        words[n + i] = (struct str){fields[i].path, dot ? (size_t)(dot - fields[i].path) : 0};
    }
    char hint[160];
    buf_printf(why, "%s has no field '%s'%s", root, path, did_you_mean(str_of(path), words, 2 * n, hint));
}

static size_t resolve_field(struct path chain, const char *root, const struct field_info *fields, size_t n_fields,
                            int first_slot, int (*find)(struct str), struct expr_ref *out, struct buf *why) {
    char path[PATH_TEXT_MAX] = "";
    size_t most = chain.n - 1 < 2 ? chain.n - 1 : 2; // no field's path is longer
    for (size_t n = most; n > 0; n--) {
        int field = join_steps(chain, n, path) ? find(str_of(path)) : -1;
        if (field < 0)
            continue;
        *out = (struct expr_ref){.slot = first_slot + field, .type = fields[field].type};
        return n + 1;
    }
    while (most > 0 && !join_steps(chain, most, path))
        most--;
    if (most == 0)
        path[0] = '\0';
    out->wrong_step = most == 0 ? 0 : is_group(chain.steps[1].key, fields, n_fields) ? most : 1;
    explain_field(root, path, fields, n_fields, why);
    return 0;
}

// ---- paths into the vendor's document ------------------------------------------------------

static void encode_path(struct path chain, bool envelope, struct buf *key) {
    buf_char(key, envelope ? 'e' : 'r');
    for (size_t i = 1; i < chain.n; i++) {
        const struct path_step *step = &chain.steps[i];
        if (step->is_index)
            buf_printf(key, "i%lld", (long long)step->index);
        else
            buf_printf(key, "k%zu:", step->key.len);
        buf_str(key, step->is_index ? (struct str){0} : step->key);
    }
}

static struct path copy_path(struct compile *c, struct path chain) {
    struct path_step *steps = policy_alloc(c, chain.n * sizeof *steps);
    for (size_t i = 1; i < chain.n; i++) {
        steps[i - 1] = chain.steps[i];
        if (!steps[i - 1].is_index)
            steps[i - 1].key = policy_str(c, chain.steps[i].key);
    }
    return (struct path){steps, chain.n - 1};
}

static int raw_slot(struct compile *c, struct path chain, bool envelope, struct buf *why) {
    struct buf key;
    size_t index;
    buf_init(&key, EXPR_SOURCE_MAX_BYTES * 2);
    encode_path(chain, envelope, &key);
    if (!names_find(&c->raw_names, buf_view(&key), &index)) {
        if (c->n_raw_paths == RAW_PATHS_MAX) {
            buf_printf(why, "all maps and routes together name over %d raw paths; map some of them to event fields",
                       RAW_PATHS_MAX);
            buf_free(&key);
            return -1;
        }
        index = c->n_raw_paths;
        c->raw_paths = grow_list(c->raw_paths, c->n_raw_paths, &c->cap_raw_paths, sizeof *c->raw_paths);
        c->raw_paths[c->n_raw_paths++] = (struct raw_path){copy_path(c, chain), envelope};
        names_add(&c->raw_names, policy_str(c, buf_view(&key)), index, NULL);
    }
    buf_free(&key);
    return SLOT_RAW + (int)index;
}

static size_t resolve_raw(const struct resolver *resolver, struct path chain, bool envelope, struct expr_ref *out,
                          struct buf *why) {
    if (chain.n > RAW_STEPS_MAX)
        chain.n = RAW_STEPS_MAX; // the rest is selected from the value
    *out = (struct expr_ref){.slot = SLOT_RAW, .type = VALUE_ANY};
    if (resolver->path && envelope) {
        buf_str(why, STR("a document is unwrapped along 'raw'; write raw.… here"));
        return 0;
    }
    if (resolver->path)
        *resolver->path = copy_path(resolver->c, chain);
    else if (!resolver->trial)
        out->slot = raw_slot(resolver->c, chain, envelope, why);
    return out->slot < 0 ? 0 : chain.n;
}

// ---- names ----------------------------------------------------------------------------------

static void explain_scope(enum scope scope, const struct root_info *root, struct buf *why) {
    const char *name = root->name;
    if (scope == SCOPE_MAP && root->root == ROOT_EVENT)
        buf_printf(why, "'event' is what a map makes; name the vendor's field: raw.…");
    else if (scope == SCOPE_MAP)
        buf_printf(why, "'%s' is not known in a map; name the vendor's field: raw.…", name);
    else if (scope == SCOPE_ACCEPTS && (root->root == ROOT_RAW || root->root == ROOT_ENVELOPE))
        buf_printf(why,
                   "'%s' is not known to consumers: no output carries the vendor's document; map it to an event field",
                   name);
    else if (scope == SCOPE_ACCEPTS && root->root == ROOT_SUBJECT_KIND)
        buf_printf(why, "'%s' is not known to consumers; write event.subject.kind or identity.kind", name);
    else if (scope == SCOPE_ACCEPTS)
        buf_printf(why, "'%s' is not known to consumers; choose by route, or map it to an event field", name);
    else if (scope == SCOPE_PARTITION)
        buf_printf(why, "'%s' may differ between events of one tenant; partition by event fields and source only",
                   name);
    else
        buf_printf(why, "'%s' is known in a consumer's 'accepts' only", name);
}

static void explain_unknown(const struct resolver *resolver, struct str name, bool alone, struct buf *why) {
    struct str words[COUNT_OF(roots)];
    size_t n = 0;
    char hint[160];
    for (size_t i = 0; i < COUNT_OF(roots); i++)
        if (roots[i].scopes & IN(resolver->scope))
            words[n++] = str_of(roots[i].name);
    struct str defined = names_nearest(&resolver->c->definition_names, name);
    did_you_mean(name, words, n, hint);
    if (!hint[0] && defined.ptr)
        snprintf(hint, sizeof hint, "; did you mean '%.*s'?", STR_ARG(defined));
    if (!hint[0] && alone)
        snprintf(hint, sizeof hint, "; a text needs quotes of its own: '\"%.*s\"'",
                 (int)(name.len < 60 ? name.len : 60), name.ptr);
    buf_printf(why, "there is no name '%.*s'%s", STR_ARG(name), hint);
}

static size_t resolve_root(const struct resolver *resolver, const struct root_info *root, struct path chain,
                           struct expr_ref *out, struct buf *why) {
    switch (root->root) {
    case ROOT_EVENT:
        return resolve_field(chain, "event", event_fields, EVENT_FIELD_COUNT, SLOT_EVENT, event_field_find, out, why);
    case ROOT_IDENTITY:
        return resolve_field(chain, "identity", identity_fields, IDENTITY_FIELD_COUNT, SLOT_IDENTITY,
                             identity_field_find, out, why);
    case ROOT_RAW:
    case ROOT_ENVELOPE: return resolve_raw(resolver, chain, root->root == ROOT_ENVELOPE, out, why);
    default: *out = (struct expr_ref){.slot = root->slot, .type = root->type}; return 1;
    }
}

size_t resolve_name(void *ctx, struct path chain, struct expr_ref *out, struct buf *why) {
    const struct resolver *resolver = ctx;
    struct str name = chain.steps[0].key;
    size_t definition;
    if (names_find(&resolver->c->definition_names, name, &definition)) {
        const struct value *list = &resolver->c->definitions[definition].list;
        if (list->type == VALUE_LIST) { // the others have been written out
            *out = (struct expr_ref){.slot = -1, .type = VALUE_LIST, .constant = *list};
            return 1;
        }
    }
    for (size_t i = 0; i < COUNT_OF(roots); i++) {
        if (!str_eq(name, str_of(roots[i].name)))
            continue;
        if (roots[i].scopes & IN(resolver->scope))
            return resolve_root(resolver, &roots[i], chain, out, why);
        explain_scope(resolver->scope, &roots[i], why);
        return 0;
    }
    explain_unknown(resolver, name, chain.n == 1, why);
    return 0;
}
