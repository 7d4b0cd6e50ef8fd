// `penstock replay`: raw events through sift and gate with the events' own time as
// clock. The same input gives the same bytes, on any machine.
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "options.h"

#define DEAD_LETTERS_SHOWN 20
#define RECORD_MAX_BYTES (16 * 1024 * 1024)
#define MESSAGE_MAX_BYTES (1024 * 1024)
#define PROGRESS_EVERY_MS 200

// Which (cause, route) pairs came out, to count decisions and not copies for several consumers.
struct decisions {
    struct hash128 *items;
    size_t n, cap;
};

struct replay {
    const struct policy *policy;
    struct offline *offline;
    struct buf record;
    struct decisions alerts, signals;
    uint64_t *by_consumer;
    uint64_t events, bytes, total_bytes, shown_dead;
    const char *path;      // being read; "-" for standard input
    int64_t offset;        // of the event being read: byte of a file, line of standard input
    FILE *file;            // the same file, to turn bytes into lines for people
    int64_t counted, line; // lines of it before byte `counted`
    int64_t progress_ms;
    bool progress;
};

static void add_decision(struct decisions *list, const struct output *output) {
    struct hash_parts parts = {.len = 0};
    hash_parts_int(&parts, (int64_t)output->txn.hi);
    hash_parts_int(&parts, (int64_t)output->txn.lo);
    hash_parts_str(&parts, output->route);
    if (list->n == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 1024;
        list->items = must_realloc(list->items, list->cap * sizeof *list->items);
    }
    list->items[list->n++] = hash_parts_end(&parts);
}

static int order_hashes(const void *a, const void *b) {
    const struct hash128 *x = a, *y = b;
    if (x->hi != y->hi)
        return x->hi < y->hi ? -1 : 1;
    return (x->lo > y->lo) - (x->lo < y->lo);
}

static uint64_t count_distinct(struct decisions *list) {
    uint64_t distinct = 0;
    if (list->n > 0)
        qsort(list->items, list->n, sizeof *list->items, order_hashes);
    for (size_t i = 0; i < list->n; i++)
        distinct += i == 0 || !hash128_eq(list->items[i], list->items[i - 1]);
    return distinct;
}

// An event's place is a byte in its file; people want the line.
static int64_t line_of(struct replay *replay) {
    if (strcmp(replay->path, "-") == 0)
        return replay->offset;
    if (!replay->file && !(replay->file = fopen(replay->path, "re")))
        return 0;
    for (int c; replay->counted < replay->offset && (c = getc(replay->file)) != EOF; replay->counted++)
        replay->line += c == '\n';
    return replay->line + 1;
}

static void show_dead_letter(struct replay *replay, const struct dead_letter *letter) {
    if (replay->shown_dead++ < DEAD_LETTERS_SHOWN)
        fprintf(stderr, "%s:%lld: dead letter: %.*s: %.*s\n", strcmp(replay->path, "-") == 0 ? "stdin" : replay->path,
                (long long)line_of(replay), STR_ARG(letter->reason), STR_ARG(letter->detail));
}

// What was to be enforced on nobody in particular is counted as dead, although a person is told too.
static bool is_dead_letters_alert(const struct output *output) {
    const struct value *subject = &output->candidate->event[EVENT_SUBJECT_ID];
    return output->why.len > 0 && (subject->type != VALUE_STRING || !subject_is_definite(subject->string));
}

static void show_output(void *ctx, const struct emission *emission) {
    struct replay *replay = ctx;
    const struct output *output = emission->output;
    if (!emission->consumer) {
        show_dead_letter(replay, output->dead_letter);
        return;
    }
    if (output->kind == OUTPUT_IS_SIGNAL)
        add_decision(&replay->signals, output);
    else if (!is_dead_letters_alert(output))
        add_decision(&replay->alerts, output);
    replay->by_consumer[emission->consumer - replay->policy->consumers]++;
    buf_clear(&replay->record);
    output_write(&replay->record, output, emission->consumer->format, emission->consumer->fields);
    buf_char(&replay->record, '\n');
    must(!replay->record.overflow);
    fwrite(replay->record.ptr, 1, replay->record.len, stdout);
}

static void show_progress(struct replay *replay, bool last) {
    int64_t now = clock_monotonic_ms();
    if (!replay->progress || (!last && now - replay->progress_ms < PROGRESS_EVERY_MS))
        return;
    replay->progress_ms = now;
    int percent = replay->total_bytes ? (int)(100 * replay->bytes / replay->total_bytes) : 0;
    if (last)
        fprintf(stderr, "\r%40s\r", "");
    else if (replay->total_bytes)
        fprintf(stderr, "\r%llu events, %d %%", (unsigned long long)replay->events, percent > 100 ? 100 : percent);
    else
        fprintf(stderr, "\r%llu events", (unsigned long long)replay->events);
}

static void replay_batch(struct replay *replay, const struct source_binding *binding, const struct batch *batch) {
    for (size_t i = 0; i < batch->n; i++) {
        const struct message *message = &batch->messages[i];
        replay->offset = message->offset;
        // Events are counted over all files: that is an event's coordinate in a replay.
        struct sift_input input = {
            .at = {.source = binding->name, .offset = (int64_t)++replay->events, .ordered = true},
            .bytes = message->bytes,
            .full_bytes = message->full_bytes};
        offline_message(replay->offline, binding, &input, -1);
        replay->bytes += message->full_bytes + 1;
        show_progress(replay, false);
    }
}

static bool replay_file(struct replay *replay, const struct source_binding *binding, char *path) {
    struct source_config config = {
        .name = (char *)"replay", .kind = SOURCE_FILE, .path = path, .max_message_bytes = MESSAGE_MAX_BYTES};
    if (strcmp(path, "-") == 0)
        config.kind = SOURCE_STDIN;
    struct status status = {0};
    struct stat info;
    if (config.kind == SOURCE_FILE && stat(path, &info) != 0) {
        fprintf(stderr, "penstock replay: cannot read %s: no such file, or no permission\n", path);
        return false;
    }
    replay->path = path;
    replay->counted = replay->line = 0;
    struct source *source = source_open(&config, NULL, 0, &status);
    struct batch batch;
    batch_init(&batch, 1000, 1024 * 1024);
    while (source) {
        batch_clear(&batch);
        bool more = source_read(source, &batch, 1000, &status);
        replay_batch(replay, binding, &batch);
        if (!more)
            break;
    }
    bool ok = source && status.code == STATUS_CLOSED;
    if (!ok)
        fprintf(stderr, "penstock replay: %s: %s\n", path, status.text);
    if (replay->file)
        fclose(replay->file);
    replay->file = NULL;
    batch_free(&batch);
    source_close(source);
    return ok;
}

static void show_summary(struct replay *replay) {
    const struct sift_counts *sift = offline_sift_counts(replay->offline);
    const struct gate_counts *gate = gate_get_counts(offline_gate(replay->offline));
    uint64_t unreadable = sift_counts_unreadable(sift);
    if (replay->shown_dead > DEAD_LETTERS_SHOWN)
        fprintf(stderr, "… and %llu more dead letters\n",
                (unsigned long long)(replay->shown_dead - DEAD_LETTERS_SHOWN));
    fprintf(
        stderr,
        "in=%llu drop=%llu alert=%llu signal=%llu deduplicated=%llu held=%llu released=%llu shadow=%llu dead=%llu\n",
        (unsigned long long)(sift->events + unreadable), (unsigned long long)(sift->dropped + gate->below),
        (unsigned long long)count_distinct(&replay->alerts), (unsigned long long)count_distinct(&replay->signals),
        (unsigned long long)gate->deduplicated, (unsigned long long)gate->held_now, (unsigned long long)gate->released,
        (unsigned long long)(gate->shadow_alerts + gate->shadow_signals), (unsigned long long)replay->shown_dead);
    for (size_t i = 0; i < replay->policy->n_consumers; i++)
        fprintf(stderr, "%s%.*s=%llu", i ? " " : "records: ", STR_ARG(replay->policy->consumers[i].name),
                (unsigned long long)replay->by_consumer[i]);
    fputc('\n', stderr);
    if (sift->failed_conditions > 0)
        fprintf(stderr, "note: %llu conditions ended in an error (not: a missing field) and did not hold\n",
                (unsigned long long)sift->failed_conditions);
}

static int replay_all(struct replay *replay, const struct source_binding *binding, int n_files, char **files) {
    static char standard_input[] = "-";
    char *only[] = {standard_input};
    bool ok = true;
    if (n_files == 0) {
        files = only;
        n_files = 1;
    }
    for (int i = 0; i < n_files; i++) {
        struct stat info;
        if (stat(files[i], &info) == 0)
            replay->total_bytes += (uint64_t)info.st_size;
    }
    for (int i = 0; ok && i < n_files; i++)
        ok = replay_file(replay, binding, files[i]);
    show_progress(replay, true);
    show_summary(replay);
    return ok && replay->shown_dead == 0 && fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
}

static int unknown_source(const struct policy *policy, const char *name) {
    struct str names[64];
    size_t n = 0;
    for (; n < policy->n_sources && n < COUNT_OF(names); n++)
        names[n] = policy->sources[n].name;
    struct str near = str_nearest(str_of(name), names, n);
    if (near.ptr)
        return usage_error(&verb_replay, "no map is named '%s'; did you mean '%.*s'?", name, STR_ARG(near));
    return usage_error(&verb_replay, "no map is named '%s'; --source names the map that reads the events", name);
}

static int run(int argc, char **argv) {
    const char *routes = NULL, *inventory_path = NULL, *source = NULL;
    const struct option options[] = {
        {"--routes", &routes, true}, {"--inventory", &inventory_path, false}, {"--source", &source, true}};
    int code;
    if (!options_read(&verb_replay, options, COUNT_OF(options), &argc, argv, &code))
        return code;
    logline_setup(LOGLINE_LOGFMT, LOGLINE_WARN);
    struct policy *policy = load_routes(routes, NULL, 0, false, NULL);
    struct inventory *inventory = policy ? load_inventory_or_empty(inventory_path) : NULL;
    const struct source_binding *binding = policy ? policy_find_source(policy, str_of(source)) : NULL;
    code = EXIT_FAILED;
    if (inventory && !binding) {
        code = unknown_source(policy, source);
    } else if (inventory) {
        struct replay replay = {.policy = policy,
                                .by_consumer = must_alloc((policy->n_consumers + 1) * sizeof *replay.by_consumer),
                                .progress = isatty(STDERR_FILENO) == 1};
        buf_init(&replay.record, RECORD_MAX_BYTES);
        replay.offline = offline_new(policy, inventory, show_output, &replay);
        code = replay_all(&replay, binding, argc - 1, argv + 1);
        offline_free(replay.offline);
        buf_free(&replay.record);
        free(replay.by_consumer);
        free(replay.alerts.items);
        free(replay.signals.items);
    }
    inventory_unref(inventory);
    policy_unref(policy);
    return code;
}

const struct verb verb_replay = {
    .name = "replay",
    .summary = "run recorded events through routes and show what would go out",
    .help = "penstock replay --routes DIR [--inventory FILE] --source NAME [FILE…|-]\n\n"
            "Raw events (NDJSON; from standard input without a FILE) go through the map of that\n"
            "name, the routes and the gate, with the events' own time as clock. Each consumer's\n"
            "records come out on stdout as NDJSON, wherever its `to` points; a summary on stderr:\n"
            "    in=… drop=… alert=… signal=… deduplicated=… held=… released=… shadow=… dead=…\n"
            "alert and signal count decisions, however many consumers get them; held is what still\n"
            "waits at the end, released what waited before. The same input gives the same bytes, on\n"
            "any machine.\n\n"
            "Exit: 0, 1 if input lines were dead-lettered or could not be read, 2 usage.\n",
    .run = run,
};
