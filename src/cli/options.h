// What the verbs share: reading options, loading policies and inventories, showing findings.
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdio.h>

#include "penstock/cli.h"

struct option {
    const char *name; // "--routes"
    const char **value;
    bool required;
};
// Takes `--name value` and `--name=value`; what is left is put at argv[1..*argc-1]. False: said on stderr (or --help
// was answered on stdout), *exit_code is the answer.
bool options_read(const struct verb *verb, const struct option *options, size_t n_options, int *argc, char **argv,
                  int *exit_code);
void print_text(struct str text, FILE *to); // also an empty one, which fwrite does not take as NULL
int usage_error(const struct verb *verb, const char *format, ...) PENSTOCK_PRINTF(2, 3);

// The compiled routes of a folder; findings and other errors go to `errors_to` (a FILE *). NULL: there were errors.
struct policy *load_routes(const char *dir, const struct policy_source *sources, size_t n_sources, bool show_warnings,
                           size_t *n_warnings);
struct inventory *load_inventory_or_empty(const char *path); // NULL: said on stderr
void print_findings_to(const struct findings *findings, bool warnings_too);

#endif
