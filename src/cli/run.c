// `penstock run`: the service.
#include <stdio.h>

#include "options.h"

static int run(int argc, char **argv) {
    const char *path = NULL, *routes = NULL, *data = NULL, *listen = NULL;
    const struct option options[] = {{"--config", &path, true},
                                     {"--routes", &routes, false},
                                     {"--data", &data, false},
                                     {"--listen", &listen, false}};
    int code;
    if (!options_read(&verb_run, options, COUNT_OF(options), &argc, argv, &code))
        return code;
    if (argc > 1)
        return usage_error(&verb_run, "'%s' is not an option", argv[1]);
    struct findings findings;
    findings_init(&findings);
    struct config *config = config_load(path, &findings);
    print_findings_to(&findings, true);
    findings_free(&findings);
    if (!config)
        return EXIT_FAILED;
    if (routes)
        config->routes = (char *)routes;
    if (data)
        config->data = (char *)data;
    if (listen)
        config->listen = (char *)listen;
    logline_setup(config->log_format, config->log_level);
    code = service_run(config);
    config_free(config);
    return code;
}

const struct verb verb_run = {
    .name = "run",
    .summary = "run the service",
    .help = "penstock run --config FILE [--routes DIR] [--data DIR] [--listen ADDRESS:PORT]\n\n"
            "Runs until SIGTERM or SIGINT (drains, exits 0 within 10 s), or until all sources\n"
            "have ended (files and stdin). Route files and inventory are read again when they\n"
            "change and on SIGHUP; if they are wrong the old ones stay in force.\n\n"
            "  --config FILE   the deployment file; config/penstock.yaml is a commented one\n"
            "  --routes DIR    in place of the file's `routes`\n"
            "  --data DIR      in place of the file's `data`\n"
            "  --listen A:P    in place of the file's `listen`\n\n"
            "Metrics and health: http://127.0.0.1:9464/metrics /healthz /readyz.\n"
            "Exit: 0 a clean stop, 1 it cannot start (said on stderr), 70 it gave up while running.\n",
    .run = run,
};
