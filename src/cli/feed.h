// feed: recorded events for the verbs that look at them: files of NDJSON, a message a line.
#ifndef CLI_FEED_H
#define CLI_FEED_H

#include <stdio.h>

#include "options.h"

struct feed {
    const char *path; // being read; "-" for standard input
    const struct message *message;
    uint64_t n; // messages over all files, this one included: an event's coordinate, as in a replay
    FILE *file; // the same file, to turn bytes into lines for people
    int64_t counted, line;
};
// Hands over each line of each file ("-" is standard input, which is also read when there is none) until `each` says
// false. False: a file could not be read, said on stderr.
bool feed_files(const struct verb *verb, int n_files, char **files, bool (*each)(void *ctx, struct feed *feed),
                void *ctx);
int64_t feed_line(struct feed *feed);       // of the message; 0 unknown
const char *feed_name(const struct feed *); // the file's name for people
struct sift_input feed_input(const struct feed *feed, const struct source_binding *binding);
// The binding of that name; NULL: none, said on stderr with the nearest.
const struct source_binding *find_binding(const struct verb *verb, const struct policy *policy, const char *name);

#endif
