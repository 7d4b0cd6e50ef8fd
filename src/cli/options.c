// Options and loading, shared by the verbs.
#include "options.h"

#include <stdio.h>

void print_text(struct str text, FILE *to) {
    if (text.len > 0)
        fwrite(text.ptr, 1, text.len, to);
}

int usage_error(const struct verb *verb, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "penstock %s: ", verb->name);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "; see `penstock %s --help`\n", verb->name);
    return EXIT_USAGE;
}

static const struct option *find_option(const struct option *options, size_t n, struct str name) {
    for (size_t i = 0; i < n; i++)
        if (str_eq(str_of(options[i].name), name))
            return &options[i];
    return NULL;
}

static int unknown_option(const struct verb *verb, const struct option *options, size_t n, struct str name) {
    struct str names[16];
    for (size_t i = 0; i < n && i < COUNT_OF(names); i++)
        names[i] = str_of(options[i].name);
    struct str near = str_nearest(name, names, n);
    if (near.ptr)
        return usage_error(verb, "unknown option %.*s, did you mean %.*s?", STR_ARG(name), STR_ARG(near));
    return usage_error(verb, "unknown option %.*s", STR_ARG(name));
}

bool options_read(const struct verb *verb, const struct option *options, size_t n_options, int *argc, char **argv,
                  int *exit_code) {
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(verb->help, stdout);
            *exit_code = EXIT_OK;
            return false;
        }
        if (strncmp(argv[i], "--", 2) != 0) {
            argv[kept++] = argv[i];
            continue;
        }
        const char *equals = strchr(argv[i], '=');
        struct str name = {argv[i], equals ? (size_t)(equals - argv[i]) : strlen(argv[i])};
        const struct option *option = find_option(options, n_options, name);
        if (!option) {
            *exit_code = unknown_option(verb, options, n_options, name);
            return false;
        }
        if (!equals && i + 1 >= *argc) {
            *exit_code = usage_error(verb, "%s needs a value", option->name);
            return false;
        }
        *option->value = equals ? equals + 1 : argv[++i];
    }
    *argc = kept;
    for (size_t i = 0; i < n_options; i++) {
        if (options[i].required && !*options[i].value) {
            *exit_code = usage_error(verb, "%s is needed", options[i].name);
            return false;
        }
    }
    return true;
}

void print_findings_to(const struct findings *findings, bool warnings_too) {
    struct buf text;
    buf_init(&text, 4 * 1024 * 1024);
    if (warnings_too || findings->n_errors > 0)
        findings_write(findings, &text);
    print_text(buf_view(&text), stderr);
    if (findings->n_errors > findings->n)
        fprintf(stderr, "… and more errors: %zu in all\n", findings->n_errors);
    buf_free(&text);
}

struct policy *load_routes(const char *dir, const struct policy_source *sources, size_t n_sources, bool show_warnings,
                           size_t *n_warnings) {
    struct status status = {0};
    struct policy_bundle *bundle = policy_bundle_load(dir, sources, n_sources, &status);
    if (!bundle) {
        fprintf(stderr, "%s: error: %s\n", dir, status.text);
        return NULL;
    }
    struct findings findings;
    findings_init(&findings);
    struct policy *policy = policy_compile(bundle, &findings);
    print_findings_to(&findings, show_warnings);
    if (n_warnings)
        *n_warnings = findings.n - (findings.n_errors < findings.n ? findings.n_errors : findings.n);
    findings_free(&findings);
    policy_bundle_free(bundle);
    return policy;
}

struct inventory *load_inventory_or_empty(const char *path) {
    struct status status = {0};
    if (!path)
        return inventory_empty();
    struct inventory *inventory = inventory_load(path, &status);
    if (!inventory)
        fprintf(stderr, "%s\n", status.text);
    return inventory;
}
