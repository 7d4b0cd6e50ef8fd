// `penstock health`: asks a running instance whether it is ready; a container's
// health check, so that no shell and no curl need be in the image.
#include <stdio.h>

#include "options.h"

static int run(int argc, char **argv) {
    const char *config_path = NULL, *address = NULL;
    const struct option options[] = {{"--config", &config_path, false}, {"--listen", &address, false}};
    int code;
    if (!options_read(&verb_health, options, COUNT_OF(options), &argc, argv, &code))
        return code;
    struct findings findings;
    findings_init(&findings);
    struct config *config = config_path ? config_load(config_path, &findings) : NULL;
    print_findings_to(&findings, false);
    findings_free(&findings);
    if (config_path && !config)
        return EXIT_FAILED;
    if (!address)
        address = config ? config->listen : "127.0.0.1:9464";
    struct str port = str_of(strrchr(address, ':') ? strrchr(address, ':') : "");
    bool any = strncmp(address, "0.0.0.0:", 8) == 0 || strncmp(address, "[::]:", 5) == 0;
    char url[300];
    if (any)
        snprintf(url, sizeof url, "http://127.0.0.1%.*s/readyz", STR_ARG(port));
    else
        snprintf(url, sizeof url, "http://%s/readyz", address);
    struct buf body;
    struct status status = {0};
    buf_init(&body, 64 * 1024);
    bool ready = admin_ask(url, &body, &status);
    if (ready)
        puts("ready");
    else
        fprintf(stderr, "not ready: %s\n", status.text);
    buf_free(&body);
    config_free(config);
    return ready ? EXIT_OK : EXIT_FAILED;
}

const struct verb verb_health = {
    .name = "health",
    .summary = "ask a running instance whether it is ready",
    .help = "penstock health [--config FILE | --listen ADDRESS:PORT]\n\n"
            "Asks /readyz of the instance that listens there (default 127.0.0.1:9464). Ready means:\n"
            "inputs assigned, outputs reachable, recovered. Exit: 0 ready, 1 not (said on stderr).\n",
    .run = run,
};
