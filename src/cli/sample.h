// sample: what a map makes of recorded events, so that a wrong map is seen at once.
#ifndef CLI_SAMPLE_H
#define CLI_SAMPLE_H

#include "options.h"

// Reads the files through the source's map and its routes and writes the tables to stdout. The exit code: 0, 1 when
// something could not be read, 2 when there is no such source.
int sample_show(const struct verb *verb, const struct policy *policy, const struct inventory *inventory,
                const char *source, int n_files, char **files);

#endif
