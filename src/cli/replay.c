// `penstock replay`: raw events through sift and gate with the events' own time as
// clock. The same input gives the same bytes, on any machine.
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "feed.h"

#define DEAD_LETTERS_SHOWN 20
#define RECORD_MAX_BYTES (16 * 1024 * 1024)
#define PROGRESS_EVERY_MS 200

// Which (cause, route) pairs came out, to count decisions and not copies for several consumers.
struct decisions {
    struct hash128 *items;
    size_t n, cap;
};

struct replay {
    const struct policy *policy;
    const struct source_binding *binding;
    struct offline *offline;
    struct feed *feed;
    struct buf record;
    struct decisions alerts, signals;
    uint64_t *by_consumer;
    uint64_t bytes, total_bytes, shown_dead;
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

static void show_dead_letter(struct replay *replay, const struct dead_letter *letter) {
    if (replay->shown_dead++ < DEAD_LETTERS_SHOWN)
        fprintf(stderr, "%s:%lld: dead letter: %.*s: %.*s\n", feed_name(replay->feed),
                (long long)feed_line(replay->feed), STR_ARG(letter->reason), STR_ARG(letter->detail));
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
        fprintf(stderr, "\r%llu events, %d %%", (unsigned long long)replay->feed->n, percent > 100 ? 100 : percent);
    else
        fprintf(stderr, "\r%llu events", (unsigned long long)replay->feed->n);
}

static bool replay_message(void *ctx, struct feed *feed) {
    struct replay *replay = ctx;
    struct sift_input input = feed_input(feed, replay->binding);
    replay->feed = feed;
    offline_message(replay->offline, replay->binding, &input, -1);
    replay->bytes += input.full_bytes + 1;
    show_progress(replay, false);
    return true;
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

static int replay_all(struct replay *replay, int n_files, char **files) {
    for (int i = 0; i < n_files; i++) {
        struct stat info;
        if (stat(files[i], &info) == 0)
            replay->total_bytes += (uint64_t)info.st_size;
    }
    bool ok = feed_files(&verb_replay, n_files, files, replay_message, replay);
    show_progress(replay, true);
    show_summary(replay);
    return ok && replay->shown_dead == 0 && fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
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
    const struct source_binding *binding = inventory ? find_binding(&verb_replay, policy, source) : NULL;
    code = inventory ? EXIT_USAGE : EXIT_FAILED;
    if (binding) {
        struct replay replay = {
            .policy = policy,
            .binding = binding,
            .by_consumer = must_alloc((policy->n_consumers + 1) * sizeof *replay.by_consumer),
            .progress = isatty(STDERR_FILENO) == 1,
        };
        buf_init(&replay.record, RECORD_MAX_BYTES);
        replay.offline = offline_new(policy, inventory, show_output, &replay);
        code = replay_all(&replay, argc - 1, argv + 1);
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
