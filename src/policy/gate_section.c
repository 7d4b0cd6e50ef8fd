// gate section: `gate`: limits, hold, kill switch, partitions.
#include "compile.h"

#include <stdio.h>
#include <stdlib.h>

#define HOLD_TTL_DEFAULT_MS (30 * 60 * 1000)
#define HOLD_MAX_DEFAULT 100000

static const struct word limit_key_words[] = {{"subject", 1u << LIMIT_SUBJECT},
                                              {"detector", 1u << LIMIT_DETECTOR},
                                              {"route", 1u << LIMIT_ROUTE},
                                              {"tenant", 1u << LIMIT_TENANT},
                                              {"action", 1u << LIMIT_ACTION},
                                              {"consumer", 1u << LIMIT_CONSUMER},
                                              {NULL, 0}};
static const struct word over_words[] = {{"hold", OVER_HOLD}, {"alert", OVER_ALERT}, {NULL, 0}};
static const struct word order_words[] = {
    {"confidence", HOLD_BY_CONFIDENCE}, {"severity", HOLD_BY_SEVERITY}, {"age", HOLD_BY_AGE}, {NULL, 0}};

// ---- limits -------------------------------------------------------------------------------

struct limit_draft {
    struct limit limit;
    struct str rate;
    int64_t burst;
};

// "50/s", "3/10m", "200/1h30m".
static bool parse_rate(struct str text, int64_t *count, int64_t *per_ms) {
    const char *slash = memchr(text.ptr, '/', text.len);
    if (!slash)
        return false;
    struct str before = str_trim((struct str){text.ptr, (size_t)(slash - text.ptr)});
    struct str after = str_trim((struct str){slash + 1, (size_t)(text.ptr + text.len - slash - 1)});
    char unit[16];
    if (after.len > 0 && after.len < sizeof unit - 2 && after.ptr[0] >= 'a' && after.ptr[0] <= 'z') {
        snprintf(unit, sizeof unit, "1%.*s", STR_ARG(after));
        after = str_of(unit);
    }
    return str_to_int64(before, count) && *count > 0 && *count <= 1000000000 && duration_parse(after, per_ms) &&
           *per_ms > 0;
}

static void begin_limit(void *target) {
    ((struct limit_draft *)target)->burst = -1;
}

// "tenant,action", as guards name it.
static struct str limit_level(struct compile *c, unsigned per) {
    struct buf text;
    buf_init(&text, 200);
    for (const struct word *word = limit_key_words; word->name; word++)
        if (per & word->value)
            buf_printf(&text, "%s%s", text.len ? "," : "", word->name);
    struct str level = text.len ? policy_str(c, buf_view(&text)) : STR("global");
    buf_free(&text);
    return level;
}

static void end_limit(struct compile *c, const struct doc_node *node, void *target) {
    struct limit_draft *draft = target;
    struct limit *limit = &draft->limit;
    const struct doc_node *rate = doc_get(node, "rate");
    if (draft->rate.len == 0 || !rate)
        return;
    if (!parse_rate(draft->rate, &limit->rate_count, &limit->rate_per_ms)) {
        report_error(c, place_of(c->file, rate), "'rate' must be a count and a time, such as 50/s, 200/m or 3/10m");
        return;
    }
    limit->burst = draft->burst < 0 ? limit->rate_count : draft->burst;
    if (limit->burst == 0)
        report_error(c, place_of(c->file, doc_get(node, "burst")),
                     "'burst' must be at least 1: with 0 nothing ever passes; use kill_switch for that");
    limit->level = limit_level(c, limit->per);
    char text[200];
    snprintf(text, sizeof text, "%.*s burst %lld", (int)(draft->rate.len < 100 ? draft->rate.len : 100),
             draft->rate.ptr, (long long)limit->burst);
    limit->text = policy_str(c, str_of(text));
}

static const struct key limit_keys[] = {
    {.name = "name",
     .kind = KEY_NAME,
     .required = true,
     .at = offsetof(struct limit_draft, limit.name),
     .text = "what outputs and metrics call it"},
    {.name = "per",
     .kind = KEY_WORDS,
     .at = offsetof(struct limit_draft, limit.per),
     .words = limit_key_words,
     .text = "each value of these has tokens of its own; left out: one for all"},
    {.name = "actions",
     .kind = KEY_TEXTS,
     .at = offsetof(struct limit_draft, limit.actions),
     .count_at = offsetof(struct limit_draft, limit.n_actions),
     .most = 64,
     .text = "only signals with these actions; left out: all"},
    {.name = "rate",
     .kind = KEY_TEXT,
     .required = true,
     .at = offsetof(struct limit_draft, rate),
     .text = "a count and a time: 50/s, 200/m, 3/10m"},
    {.name = "burst",
     .kind = KEY_COUNT,
     .at = offsetof(struct limit_draft, burst),
     .text = "how many may pass at once; left out: the rate's count"},
    {.name = "over",
     .kind = KEY_WORD,
     .at = offsetof(struct limit_draft, limit.over),
     .words = over_words,
     .text = "what becomes of a signal that does not fit: hold (it waits, the default) or alert"},
};
static const struct object limit_object = {.name = "limit",
                                           .example = "{name: per-tenant, per: [tenant], rate: 200/m}",
                                           KEYS(limit_keys),
                                           .bytes = sizeof(struct limit_draft),
                                           .begin = begin_limit,
                                           .end = end_limit};

// ---- hold ------------------------------------------------------------------------------------

struct hold_draft {
    int64_t ttl_ms, max;
    enum hold_order order[3];
};

static void begin_hold(void *target) {
    *(struct hold_draft *)target =
        (struct hold_draft){HOLD_TTL_DEFAULT_MS, HOLD_MAX_DEFAULT, {HOLD_BY_CONFIDENCE, HOLD_BY_SEVERITY, HOLD_BY_AGE}};
}

static void read_order(struct compile *c, const struct doc_node *node, void *target) {
    struct hold_draft *hold = target;
    size_t n, done = 0;
    const struct doc_node *items = list_items(node, &n);
    unsigned seen = 0, value;
    for (size_t i = 0; i < n; i++) {
        if (!read_word(c, "order", order_words, &items[i], &value))
            return;
        if (seen & 1u << value) {
            report_error(c, place_of(c->file, &items[i]), "'%.*s' stands twice in 'order'; remove one",
                         STR_ARG(items[i].text));
            return;
        }
        seen |= 1u << value;
        hold->order[done++] = (enum hold_order)value;
    }
    for (value = HOLD_BY_CONFIDENCE; value <= HOLD_BY_AGE; value++)
        if (!(seen & 1u << value))
            hold->order[done++] = (enum hold_order)value;
}

static void order_schema(struct buf *out) {
    buf_str(out,
            STR("\"type\":\"array\",\"uniqueItems\":true,\"items\":{\"enum\":[\"confidence\",\"severity\",\"age\"]}"));
}

static void end_hold(struct compile *c, const struct doc_node *node, void *target) {
    const struct hold_draft *hold = target;
    if (hold->ttl_ms == 0)
        report_error(c, place_of(c->file, doc_get(node, "ttl")),
                     "'ttl' must be longer than nothing: how long a signal may wait");
    if (hold->max == 0 || hold->max > 10000000)
        report_error(c, place_of(c->file, doc_get(node, "max")),
                     "'max' must be from 1 to 10000000: how many signals may wait");
}

static const struct key hold_keys[] = {
    {.name = "ttl",
     .kind = KEY_DURATION,
     .at = offsetof(struct hold_draft, ttl_ms),
     .text = "how long a signal may wait before it becomes an alert (30m)"},
    {.name = "max",
     .kind = KEY_COUNT,
     .at = offsetof(struct hold_draft, max),
     .text = "how many signals may wait (100000)"},
    {.name = "order",
     .kind = KEY_OTHER,
     .read = read_order,
     .schema = order_schema,
     .text = "which of those that wait goes first: by confidence, severity, age"},
};
static const struct object hold_object = {.name = "hold",
                                          .example = "{ttl: 30m, max: 100000, order: [confidence, severity, age]}",
                                          KEYS(hold_keys),
                                          .bytes = sizeof(struct hold_draft),
                                          .begin = begin_hold,
                                          .end = end_hold};

// ---- the section -------------------------------------------------------------------------------

struct gate_draft {
    struct expr *partition_by;
    struct limit_draft *limits;
    size_t n_limits;
    struct hold_draft hold;
    bool kill_switch;
};

static void begin_gate(void *target) {
    begin_hold(&((struct gate_draft *)target)->hold);
}

static const struct key gate_keys[] = {
    {.name = "partition_by",
     .kind = KEY_EXPR,
     .at = offsetof(struct gate_draft, partition_by),
     .wanted = VALUE_ANY,
     .text = "events with the same value are decided together, one after another (event.tenant)"},
    {.name = "limits",
     .kind = KEY_OBJECTS,
     .at = offsetof(struct gate_draft, limits),
     .count_at = offsetof(struct gate_draft, n_limits),
     .object = &limit_object,
     .most = POLICY_MAX_LIMITS,
     .text = "token buckets for signals, checked from the narrowest to the widest"},
    {.name = "breakers", .kind = KEY_LATER, .text = "not available in this version"},
    {.name = "feedback", .kind = KEY_LATER, .text = "not available in this version"},
    {.name = "hold",
     .kind = KEY_OBJECT,
     .at = offsetof(struct gate_draft, hold),
     .object = &hold_object,
     .text = "how signals wait that are over a limit"},
    {.name = "kill_switch",
     .kind = KEY_BOOL,
     .at = offsetof(struct gate_draft, kill_switch),
     .text = "true: every signal is held"},
};
const struct object gate_object = {.name = "gate",
                                   .example = "{limits: [{name: per-tenant, per: [tenant], rate: 200/m}]}",
                                   KEYS(gate_keys),
                                   .bytes = sizeof(struct gate_draft),
                                   .begin = begin_gate};

// Narrow limits come first, so that one noisy subject does not use up what all share; a consumer's limit comes late,
// because only then is it known to whom a signal goes.
static int limit_rank(const struct limit *limit) {
    if (limit->per == 0)
        return 5;
    if (limit->per & 1u << LIMIT_CONSUMER)
        return 4;
    if (limit->per & 1u << LIMIT_SUBJECT)
        return 0;
    if (limit->per & 1u << LIMIT_DETECTOR)
        return 1;
    return limit->per & 1u << LIMIT_ROUTE ? 2 : 3;
}

// By insertion: they are few, and those of equal rank stay as written.
static void add_limit(struct policy *policy, const struct limit *limit) {
    size_t at = policy->n_limits++;
    for (; at > 0 && limit_rank(&policy->limits[at - 1]) > limit_rank(limit); at--)
        policy->limits[at] = policy->limits[at - 1];
    policy->limits[at] = *limit;
}

static void check_limit_names(struct compile *c, const struct gate_draft *draft, const struct doc_node *node) {
    struct name_table names = {0};
    size_t other;
    for (size_t i = 0; i < draft->n_limits; i++)
        if (!names_add(&names, draft->limits[i].limit.name, i, &other))
            report_error(c, place_of(c->file, doc_get(node, "limits")),
                         "two limits are called '%.*s'; rename one of them", STR_ARG(draft->limits[i].limit.name));
    names_free(&names);
}

void read_gate(struct compile *c, const struct doc_node *node, void *target) {
    struct policy *policy = target;
    struct gate_draft draft = {0};
    if (c->gate_place.file) {
        report_error(c, place_of(c->file, node), "'gate' is set already at %.*s:%u; keep one of them",
                     STR_ARG(c->gate_place.file->text.path), c->gate_place.line);
        return;
    }
    c->gate_place = place_of(c->file, node);
    c->scope = SCOPE_PARTITION;
    begin_gate(&draft);
    read_object(c, &gate_object, node, &draft);
    check_limit_names(c, &draft, node);
    policy->limits = policy_alloc(c, draft.n_limits * sizeof *policy->limits);
    for (size_t i = 0; i < draft.n_limits; i++)
        add_limit(policy, &draft.limits[i].limit);
    policy->hold_ttl_ms = draft.hold.ttl_ms;
    policy->hold_max = (uint32_t)draft.hold.max;
    memcpy(policy->hold_order, draft.hold.order, sizeof policy->hold_order);
    policy->kill_switch = draft.kill_switch;
    policy->partition_by = draft.partition_by;
}
