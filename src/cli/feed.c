// feed: recorded events for the verbs that look at them: files of NDJSON, a message a line.
#include "feed.h"

#include <sys/stat.h>

#define MESSAGE_MAX_BYTES (1024 * 1024)

int64_t feed_line(struct feed *feed) {
    if (strcmp(feed->path, "-") == 0)
        return feed->message->offset;
    if (!feed->file && !(feed->file = fopen(feed->path, "re")))
        return 0;
    for (int c; feed->counted < feed->message->offset && (c = getc(feed->file)) != EOF; feed->counted++)
        feed->line += c == '\n';
    return feed->line + 1;
}

const char *feed_name(const struct feed *feed) {
    return strcmp(feed->path, "-") == 0 ? "stdin" : feed->path;
}

struct sift_input feed_input(const struct feed *feed, const struct source_binding *binding) {
    return (struct sift_input){.at = {.source = binding->name, .offset = (int64_t)feed->n, .ordered = true},
                               .bytes = feed->message->bytes,
                               .full_bytes = feed->message->full_bytes};
}

static bool feed_batch(struct feed *feed, const struct batch *batch, bool (*each)(void *ctx, struct feed *feed),
                       void *ctx) {
    for (size_t i = 0; i < batch->n; i++) {
        feed->message = &batch->messages[i];
        feed->n++;
        if (!each(ctx, feed))
            return false;
    }
    return true;
}

// *wanted: false when `each` has had enough.
static bool feed_file(const struct verb *verb, struct feed *feed, char *path,
                      bool (*each)(void *ctx, struct feed *feed), void *ctx, bool *wanted) {
    struct source_config config = {
        .name = (char *)"feed", .kind = SOURCE_FILE, .path = path, .max_message_bytes = MESSAGE_MAX_BYTES};
    struct status status = {0};
    struct stat info;
    if (strcmp(path, "-") == 0)
        config.kind = SOURCE_STDIN;
    if (config.kind == SOURCE_FILE && stat(path, &info) != 0) {
        fprintf(stderr, "penstock %s: cannot read %s: no such file, or no permission\n", verb->name, path);
        return false;
    }
    feed->path = path;
    feed->counted = feed->line = 0;
    struct source *source = source_open(&config, NULL, 0, &status);
    struct batch batch;
    batch_init(&batch, 1000, 1024 * 1024);
    bool more = source != NULL;
    while (more && *wanted) {
        batch_clear(&batch);
        more = source_read(source, &batch, 1000, &status);
        *wanted = feed_batch(feed, &batch, each, ctx);
    }
    bool ok = source && (!*wanted || status.code == STATUS_CLOSED);
    if (!ok)
        fprintf(stderr, "penstock %s: %s: %s\n", verb->name, path, status.text);
    if (feed->file)
        fclose(feed->file);
    feed->file = NULL;
    batch_free(&batch);
    source_close(source);
    return ok;
}

bool feed_files(const struct verb *verb, int n_files, char **files, bool (*each)(void *ctx, struct feed *feed),
                void *ctx) {
    static char standard_input[] = "-";
    char *only[] = {standard_input};
    struct feed feed = {0};
    bool ok = true, wanted = true;
    if (n_files == 0) {
        files = only;
        n_files = 1;
    }
    for (int i = 0; ok && wanted && i < n_files; i++)
        ok = feed_file(verb, &feed, files[i], each, ctx, &wanted);
    return ok;
}

const struct source_binding *find_binding(const struct verb *verb, const struct policy *policy, const char *name) {
    const struct source_binding *binding = policy_find_source(policy, str_of(name));
    struct str names[64];
    size_t n = 0;
    if (binding)
        return binding;
    for (; n < policy->n_sources && n < COUNT_OF(names); n++)
        names[n] = policy->sources[n].name;
    struct str near = str_nearest(str_of(name), names, n);
    if (near.ptr)
        usage_error(verb, "no map is named '%s'; did you mean '%.*s'?", name, STR_ARG(near));
    else
        usage_error(verb, "no map is named '%s'; --source names the map that reads the events", name);
    return NULL;
}
