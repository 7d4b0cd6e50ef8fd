// cli: the command line, a verb a file.
#ifndef PENSTOCK_CLI_H
#define PENSTOCK_CLI_H

#include "penstock/admin.h"
#include "penstock/runtime.h"

#define EXIT_OK 0
#define EXIT_FAILED 1 // the thing asked about is wrong, or could not be done
#define EXIT_USAGE 2

struct verb {
    const char *name;
    const char *summary;               // one line
    const char *help;                  // the whole of `penstock VERB --help`
    int (*run)(int argc, char **argv); // argv[0] is the verb
};
extern const struct verb verb_run, verb_check, verb_test, verb_eval, verb_replay, verb_explain, verb_schema,
    verb_health;

// argv -> verb; the process's exit code.
int cli_main(int argc, char **argv);

#endif
