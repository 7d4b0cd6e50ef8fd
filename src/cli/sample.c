// sample: what a map makes of recorded events, so that a wrong map is seen at once.
//
// The events go through sift as always, with somebody who looks on. Shares are of the
// events that could be read, and rounded down: 100 % is all of them.
#include "sample.h"

#include <stdlib.h>

#include "feed.h"
#include "lines.h"

#define TEXTS_MAX_BYTES (16 * 1024 * 1024)
#define WORDS_MAX 1000 // different values of one table that are told apart; further ones are counted together
#define WORDS_SHOWN 5
#define NAME_COLUMNS_MOST 60

struct word { // a value that a table does not have
    struct str text;
    uint64_t n;
};
struct field_tally {
    uint64_t got, unfit;
    struct str example, unfit_example;
    uint64_t *of_given, *of_failed; // by expression
    struct str *of_error;           // why it failed first
    struct word *words;
    size_t n_words;
    uint64_t more_words;
};
struct sample {
    const struct verb *verb;
    const struct policy *policy;
    const struct inventory *inventory;
    const struct source_binding *binding;
    struct sifter *sifter;
    struct sift_output records;
    struct arena *texts;
    struct field_tally *fields; // by the map's field
    uint64_t *routes;           // by index in the policy: events that concern it
    uint64_t events;
    struct str first_place[64]; // by dead letters' reason
};

// ---- counting -------------------------------------------------------------------------------

static void count_word(struct sample *sample, struct field_tally *tally, const struct value *from,
                       struct arena *scratch) {
    struct str text = from->type == VALUE_ABSENT ? STR("(no value)") : value_text(scratch, from);
    for (size_t i = 0; i < tally->n_words; i++) {
        if (str_eq(tally->words[i].text, text)) {
            tally->words[i].n++;
            return;
        }
    }
    if (tally->n_words == WORDS_MAX) {
        tally->more_words++;
        return;
    }
    if (!tally->words)
        tally->words = must_alloc(WORDS_MAX * sizeof *tally->words);
    tally->words[tally->n_words++] = (struct word){.text = arena_str(sample->texts, text), .n = 1};
}

static void count_expressions(struct sample *sample, const struct sift_view *view, const struct map_field *field,
                              struct field_tally *tally) {
    for (size_t i = 0; i < field->n_of; i++) {
        struct value v = expr_eval(field->of[i], view->slots, view->scratch, EXPR_FUEL_DEFAULT);
        if (v.type != VALUE_ERROR) {
            tally->of_given[i] += value_is_present(&v);
            continue;
        }
        if (tally->of_failed[i]++ == 0)
            tally->of_error[i] = arena_str(sample->texts, v.string);
    }
}

static void count_field(struct sample *sample, const struct sift_view *view, const struct map_field *field,
                        struct field_tally *tally) {
    struct sift_mapped mapped = sift_view_field(view, field);
    count_expressions(sample, view, field, tally);
    if (mapped.value.type != VALUE_ABSENT) {
        if (tally->got++ == 0)
            tally->example = value_text(sample->texts, &mapped.value);
    } else if (field->n_table == 0 && mapped.from.type != VALUE_ABSENT) {
        if (tally->unfit++ == 0)
            tally->unfit_example = value_text(sample->texts, &mapped.from);
    }
    if (field->n_table > 0 && !mapped.has_table_word)
        count_word(sample, tally, &mapped.from, view->scratch);
}

static void count_event(void *ctx, const struct sift_view *view) {
    struct sample *sample = ctx;
    const struct map *map = view->source->map;
    sample->events++;
    for (size_t i = 0; i < map->n_fields; i++)
        count_field(sample, view, &map->fields[i], &sample->fields[i]);
}

static void count_hits(struct sample *sample, struct str payload) {
    struct candidate candidate;
    struct hit hit;
    size_t cursor = 0;
    must(candidate_read(payload, &candidate));
    while (candidate_next_hit(&candidate, &cursor, &hit))
        sample->routes[hit.route]++;
}

enum reason {
#define X(name, help) REASON_##name,
    SIFT_DEAD_REASONS(X)
#undef X
        REASON_COUNT
};

static void note_dead_letter(struct sample *sample, struct feed *feed, struct str payload) {
    static const char *const names[] = {
#define X(name, help) #name,
        SIFT_DEAD_REASONS(X)
#undef X
    };
    struct dead_letter letter;
    must(dead_letter_read(payload, &letter));
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (str_eq(letter.reason, str_of(names[i])) && !sample->first_place[i].ptr)
            sample->first_place[i] =
                arena_printf(sample->texts, "%s:%lld", feed_name(feed), (long long)feed_line(feed));
}

static bool take_message(void *ctx, struct feed *feed) {
    struct sample *sample = ctx;
    struct sift_input input = feed_input(feed, sample->binding);
    sift_output_clear(&sample->records);
    sift_message(sample->sifter, sample->policy, sample->binding, sample->inventory, &input, &sample->records);
    for (size_t i = 0; i < sample->records.n; i++) {
        const struct sift_record *record = &sample->records.records[i];
        struct str payload = sift_record_bytes(&sample->records, record);
        if (record->type == RECORD_CANDIDATE)
            count_hits(sample, payload);
        else if (record->type == RECORD_DEAD)
            note_dead_letter(sample, feed, payload);
    }
    return true;
}

// ---- showing ----------------------------------------------------------------------------------

static struct str share(struct sample *sample, uint64_t n) {
    uint64_t permille = sample->events ? 1000 * n / sample->events : 0;
    return arena_printf(sample->texts, "%llu.%llu %%", (unsigned long long)permille / 10,
                        (unsigned long long)permille % 10);
}

static uint64_t show_dead_letters(struct sample *sample, struct buf *out) {
    const struct sift_counts *counts = sifter_counts(sample->sifter);
    const struct {
        uint64_t n;
        const char *name, *help;
    } reasons[] = {
#define X(name, help) {counts->dead.name, #name, help},
        SIFT_DEAD_REASONS(X)
#undef X
    };
    for (size_t i = 0; i < COUNT_OF(reasons); i++) {
        if (reasons[i].n == 0)
            continue;
        struct str place = sample->first_place[i];
        lines_add(out, 2, 12, "%8llu  %s: %s; first: %.*s", (unsigned long long)reasons[i].n, reasons[i].name,
                  reasons[i].help, STR_ARG(place));
    }
    return sift_counts_unreadable(counts);
}

static void show_fields(struct sample *sample, struct buf *out) {
    const struct map *map = sample->binding->map;
    buf_printf(out, "\n%-20s %8s %8s  %s\n", "field", "events", "share", "example");
    for (size_t i = 0; i < map->n_fields; i++) {
        const struct field_tally *tally = &sample->fields[i];
        struct str part = share(sample, tally->got);
        lines_add(out, 0, 40, "%-20s %8llu %8.*s  %.*s", event_fields[map->fields[i].field].path,
                  (unsigned long long)tally->got, STR_ARG(part), STR_ARG(tally->example));
    }
    struct str missing = STR("");
    for (int field = 0; field < EVENT_FIELD_COUNT; field++) {
        bool mapped = false;
        for (size_t i = 0; i < map->n_fields; i++)
            mapped |= map->fields[i].field == (enum event_field)field;
        if (!mapped)
            missing = arena_printf(sample->texts, "%.*s%s%s", STR_ARG(missing), missing.len ? ", " : "",
                                   event_fields[field].path);
    }
    if (missing.len > 0)
        lines_add(out, 0, 2, "not in the map: %.*s", STR_ARG(missing));
}

static void show_expression(struct sample *sample, struct buf *out, size_t field, size_t of) {
    const struct field_tally *tally = &sample->fields[field];
    const char *path = event_fields[sample->binding->map->fields[field].field].path;
    struct str source = one_line(sample->texts, expr_source(sample->binding->map->fields[field].of[of]));
    if (tally->of_failed[of] > 0)
        lines_add(out, 2, 21, "%-20s %.*s: failed %llu times: %.*s", path, STR_ARG(source),
                  (unsigned long long)tally->of_failed[of], STR_ARG(tally->of_error[of]));
    else if (tally->of_given[of] == 0)
        lines_add(out, 2, 21, "%-20s %.*s", path, STR_ARG(source));
}

static void show_silent_expressions(struct sample *sample, struct buf *out) {
    const struct map *map = sample->binding->map;
    bool any = false;
    for (size_t i = 0; i < map->n_fields; i++) {
        for (size_t of = 0; of < map->fields[i].n_of; of++) {
            if (sample->fields[i].of_given[of] > 0 && sample->fields[i].of_failed[of] == 0)
                continue;
            if (!any)
                buf_str(out, STR("\nexpressions that never gave anything, or failed\n"));
            any = true;
            show_expression(sample, out, i, of);
        }
    }
}

static void show_unfit(struct sample *sample, struct buf *out) {
    const struct map *map = sample->binding->map;
    bool any = false;
    for (size_t i = 0; i < map->n_fields; i++) {
        const struct field_tally *tally = &sample->fields[i];
        const struct field_info *info = &event_fields[map->fields[i].field];
        if (tally->unfit == 0)
            continue;
        if (!any)
            buf_str(out, STR("\nvalues that are not what the field is\n"));
        any = true;
        const char *type = info->type == VALUE_TIMESTAMP ? "time" : value_type_name(info->type);
        lines_add(out, 2, 21, "%-20s %llu of them no %s, such as %.*s", info->path, (unsigned long long)tally->unfit,
                  type, STR_ARG(tally->unfit_example));
    }
}

static int order_words(const void *a, const void *b) {
    const struct word *x = a, *y = b;
    if (x->n != y->n)
        return x->n > y->n ? -1 : 1;
    return str_cmp(x->text, y->text);
}

static void show_words(struct sample *sample, struct buf *out, size_t field) {
    const struct map_field *of = &sample->binding->map->fields[field];
    struct field_tally *tally = &sample->fields[field];
    struct str fallback = of->table_else;
    qsort(tally->words, tally->n_words, sizeof *tally->words, order_words);
    if (fallback.ptr)
        lines_add(out, 2, 2, "%s: not in its table, so %.*s", event_fields[of->field].path, STR_ARG(fallback));
    else
        lines_add(out, 2, 2, "%s: not in its table, which has no else, so absent", event_fields[of->field].path);
    uint64_t rest = tally->more_words;
    for (size_t i = 0; i < tally->n_words; i++) {
        if (i < WORDS_SHOWN)
            lines_add(out, 4, 10, "%8llu  %.*s", (unsigned long long)tally->words[i].n, STR_ARG(tally->words[i].text));
        else
            rest += tally->words[i].n;
    }
    if (rest > 0)
        lines_add(out, 4, 10, "%8llu  other values", (unsigned long long)rest);
}

static void show_tables(struct sample *sample, struct buf *out) {
    bool any = false;
    for (size_t i = 0; i < sample->binding->map->n_fields; i++) {
        if (sample->fields[i].n_words == 0)
            continue;
        if (!any)
            buf_str(out, STR("\nvalues that no table has\n"));
        any = true;
        show_words(sample, out, i);
    }
}

static int order_routes(const void *a, const void *b, void *ctx) {
    const struct sample *sample = ctx;
    uint16_t x = *(const uint16_t *)a, y = *(const uint16_t *)b;
    if (sample->routes[x] != sample->routes[y])
        return sample->routes[x] > sample->routes[y] ? -1 : 1;
    return str_cmp(sample->policy->routes[x].name, sample->policy->routes[y].name);
}

static void show_routes(struct sample *sample, struct buf *out) {
    size_t n = sample->binding->n_routes, shown = 0, width = 20;
    uint16_t *order = must_alloc((n + 1) * sizeof *order);
    for (size_t i = 0; i < n; i++)
        order[i] = sample->binding->routes[i];
    qsort_r(order, n, sizeof *order, order_routes, sample);
    for (size_t i = 0; i < n && sample->routes[order[i]] > 0; i++) {
        size_t len = sample->policy->routes[order[i]].name.len;
        width = len > width ? len : width;
    }
    width = width < NAME_COLUMNS_MOST ? width : NAME_COLUMNS_MOST;
    buf_printf(out, "\n%-*s %8s %8s\n", (int)width, "route", "events", "share");
    for (; shown < n && sample->routes[order[shown]] > 0; shown++) {
        struct str name = sample->policy->routes[order[shown]].name;
        struct str part = share(sample, sample->routes[order[shown]]);
        lines_add(out, 0, 2, "%-*.*s %8llu %8.*s", (int)width, STR_ARG(name),
                  (unsigned long long)sample->routes[order[shown]], STR_ARG(part));
    }
    struct str rest = STR("");
    for (size_t i = shown; i < n && rest.len < 1000; i++)
        rest = arena_printf(sample->texts, "%.*s%s%.*s", STR_ARG(rest), rest.len ? ", " : "",
                            STR_ARG(sample->policy->routes[order[i]].name));
    if (n > shown)
        lines_add(out, 0, 2, "%zu concern none of them: %.*s", n - shown, STR_ARG(rest));
    free(order);
}

static uint64_t show_all(struct sample *sample) {
    struct buf out;
    buf_init(&out, TEXTS_MAX_BYTES);
    uint64_t unreadable = sift_counts_unreadable(sifter_counts(sample->sifter));
    buf_printf(&out, "\n%.*s: %llu events, %llu unreadable\n", STR_ARG(sample->binding->name),
               (unsigned long long)sample->events, (unsigned long long)unreadable);
    show_dead_letters(sample, &out);
    show_fields(sample, &out);
    show_silent_expressions(sample, &out);
    show_unfit(sample, &out);
    show_tables(sample, &out);
    show_routes(sample, &out);
    print_text(buf_view(&out), stdout);
    buf_free(&out);
    return unreadable;
}

// ---- the whole ----------------------------------------------------------------------------------

static void open_tallies(struct sample *sample) {
    const struct map *map = sample->binding->map;
    sample->fields = must_alloc((map->n_fields + 1) * sizeof *sample->fields);
    sample->routes = must_alloc((sample->policy->n_routes + 1) * sizeof *sample->routes);
    for (size_t i = 0; i < map->n_fields; i++) {
        size_t n = map->fields[i].n_of + 1;
        sample->fields[i].of_given = must_alloc(n * sizeof(uint64_t));
        sample->fields[i].of_failed = must_alloc(n * sizeof(uint64_t));
        sample->fields[i].of_error = must_alloc(n * sizeof(struct str));
    }
}

static void close_tallies(struct sample *sample) {
    for (size_t i = 0; i < sample->binding->map->n_fields; i++) {
        free(sample->fields[i].of_given);
        free(sample->fields[i].of_failed);
        free(sample->fields[i].of_error);
        free(sample->fields[i].words);
    }
    free(sample->fields);
    free(sample->routes);
}

int sample_show(const struct verb *verb, const struct policy *policy, const struct inventory *inventory,
                const char *source, int n_files, char **files) {
    _Static_assert(REASON_COUNT <= COUNT_OF(((struct sample *)0)->first_place), "a place for each reason");
    struct sample sample = {.verb = verb, .policy = policy, .inventory = inventory};
    sample.binding = find_binding(verb, policy, source);
    if (!sample.binding)
        return EXIT_USAGE;
    sample.texts = arena_new(4 * (size_t)TEXTS_MAX_BYTES);
    sample.sifter = sifter_new(1024 * 1024);
    sift_output_init(&sample.records);
    open_tallies(&sample);
    sifter_set_watch(sample.sifter, count_event, &sample);
    bool read = feed_files(verb, n_files, files, take_message, &sample);
    uint64_t unreadable = show_all(&sample);
    close_tallies(&sample);
    sift_output_free(&sample.records);
    sifter_free(sample.sifter);
    arena_free(sample.texts);
    return read && unreadable == 0 && fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
}
