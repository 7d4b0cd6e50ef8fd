// The verbs' table, --help and --version.
#include <stdio.h>

#include "penstock/cli.h"

static const struct verb *const verbs[] = {&verb_run,    &verb_check,   &verb_test,   &verb_eval,
                                           &verb_replay, &verb_explain, &verb_schema, &verb_health};

static void print_help(FILE *out) {
    fputs("penstock routes identity signals: raw identity events in, alerts for people and\n"
          "signals for machines out, each consumer on its own stream, never a cascade.\n\n",
          out);
    for (size_t i = 0; i < COUNT_OF(verbs); i++)
        fprintf(out, "  penstock %-8s %s\n", verbs[i]->name, verbs[i]->summary);
    fputs("\n`penstock VERB --help` says more. Try: penstock check --routes routes\n", out);
}

static int unknown_verb(const char *name) {
    struct str names[COUNT_OF(verbs)];
    for (size_t i = 0; i < COUNT_OF(verbs); i++)
        names[i] = str_of(verbs[i]->name);
    struct str near = str_nearest(str_of(name), names, COUNT_OF(verbs));
    fprintf(stderr, "penstock: there is no verb '%s'", name);
    if (near.ptr)
        fprintf(stderr, ", did you mean '%.*s'?", STR_ARG(near));
    fputs("\n\n", stderr);
    print_help(stderr);
    return EXIT_USAGE;
}

int cli_main(int argc, char **argv) {
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("penstock " PENSTOCK_VERSION);
        return EXIT_OK;
    }
    for (size_t i = 0; i < COUNT_OF(verbs); i++)
        if (strcmp(argv[1], verbs[i]->name) == 0)
            return verbs[i]->run(argc - 1, argv + 1);
    return unknown_verb(argv[1]);
}
