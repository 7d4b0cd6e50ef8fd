// `penstock check`: everything that can be known before running.
#include <stdio.h>

#include "options.h"
#include "sample.h"

static bool check_config(const char *path, struct config **config) {
    struct findings findings;
    findings_init(&findings);
    *config = config_load(path, &findings);
    print_findings_to(&findings, true);
    findings_free(&findings);
    return *config != NULL;
}

static bool check_connections(const struct config *config, const struct policy *policy) {
    struct findings findings;
    findings_init(&findings);
    bool ok = config_check_consumers(config, policy, &findings);
    print_findings_to(&findings, false);
    findings_free(&findings);
    return ok;
}

static int run(int argc, char **argv) {
    const char *config_path = NULL, *routes = NULL, *inventory_path = NULL, *source = NULL, *sample = NULL;
    const struct option options[] = {{"--config", &config_path, false},
                                     {"--routes", &routes, false},
                                     {"--inventory", &inventory_path, false},
                                     {"--source", &source, false},
                                     {"--sample", &sample, false}};
    int code;
    if (!options_read(&verb_check, options, COUNT_OF(options), &argc, argv, &code))
        return code;
    if ((argc > 1 && !sample) || (!config_path && !routes))
        return usage_error(&verb_check, "say what to check: --config FILE or --routes DIR");
    if (!source != !sample)
        return usage_error(&verb_check, "--source NAME and --sample FILE go together: whose map reads which events");
    struct config *config = NULL;
    bool ok = !config_path || check_config(config_path, &config);
    if (config && !routes)
        routes = config->routes;
    if (config && !inventory_path)
        inventory_path = config->inventory;
    size_t warnings = 0;
    struct policy *policy = routes ? load_routes(routes, config ? config_policy_sources(config) : NULL,
                                                 config ? config->n_sources : 0, true, &warnings)
                                   : NULL;
    struct inventory *inventory = load_inventory_or_empty(inventory_path);
    if (policy && config)
        ok &= check_connections(config, policy);
    ok &= (policy || !routes) && inventory;
    if (ok && policy)
        printf("ok: %zu maps, %zu routes, %zu consumers, %zu tests, %zu identities, %zu warnings\n", policy->n_maps,
               policy->n_routes, policy->n_consumers, policy->n_tests, inventory_size(inventory), warnings);
    code = ok ? EXIT_OK : EXIT_FAILED;
    if (ok && policy && sample) {
        logline_setup(LOGLINE_LOGFMT, LOGLINE_WARN);
        argv[0] = (char *)(uintptr_t)sample; // further files stand behind it
        code = sample_show(&verb_check, policy, inventory, source, argc, argv);
    }
    policy_unref(policy);
    inventory_unref(inventory);
    config_free(config);
    return code;
}

const struct verb verb_check = {
    .name = "check",
    .summary = "say what is wrong with configuration and routes before running",
    .help = "penstock check [--config FILE] [--routes DIR] [--inventory FILE]\n"
            "               [--source NAME --sample FILE…]\n\n"
            "Reads and compiles everything and says what is wrong, one finding a line:\n"
            "    FILE:LINE:COLUMN: error|warning: what is wrong and what would mend it\n"
            "With --config also the deployment file, with its sources, routes and inventory.\n"
            "Without it every map is a source of its own name.\n\n"
            "--sample: recorded events (NDJSON; - is standard input) go through that source's map and\n"
            "routes. Tables on stdout say what share of them got each field, with an example, which\n"
            "expressions of the map never gave anything, which values no table has, what could not\n"
            "be read, and how many events concern each route.\n\n"
            "Exit: 0 no errors (warnings are allowed), 1 errors or unreadable events, 2 usage.\n",
    .run = run,
};
