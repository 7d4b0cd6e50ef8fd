// limit: token buckets as exact arithmetic (the generic cell rate algorithm).
//
// A bucket is kept as what it owes: with rate_count tokens per rate_per_ms, a token
// costs rate_per_ms units of 1/rate_count ms, and owing more than `burst` tokens'
// worth is refused. So in every interval of t at most burst + rate·t pass, to the
// millisecond and without rounding. The table's entry expires when nothing is owed,
// which is the same as having no entry; one that owes is never evicted.
#include "gate_internal.h"

#define UNITS_MAX (INT64_MAX / 4)

static int64_t rate_of(const struct limit *limit) {
    return limit->rate_count < UNITS_MAX ? limit->rate_count : UNITS_MAX;
}

static int64_t cost_of(const struct limit *limit) // of a token, in units
{
    return limit->rate_per_ms < DURATION_MAX_MS ? limit->rate_per_ms : DURATION_MAX_MS;
}

static int64_t capacity_of(const struct limit *limit) // in units; a burst beyond what can be counted is cut
{
    int64_t cost = cost_of(limit), most = UNITS_MAX / cost;
    return (limit->burst < most ? limit->burst : most) * cost;
}

static int64_t divide_up(int64_t n, int64_t by) {
    return n / by + (n % by > 0);
}

// Kept as the time when nothing is owed any more, and how many units before it that is.
static void set_debt(const struct limit *limit, struct entry *entry, int64_t debt, int64_t now_ms) {
    int64_t ahead_ms = divide_up(debt, rate_of(limit));
    entry->expires_ms = now_ms + ahead_ms;
    entry->payload = (uint64_t)(ahead_ms * rate_of(limit) - debt);
}

static int64_t debt_of(const struct limit *limit, struct entry *entry, int64_t now_ms) {
    if (!entry)
        return 0;
    int64_t rate = rate_of(limit), capacity = capacity_of(limit), ahead_ms = entry->expires_ms - now_ms;
    if (ahead_ms > divide_up(capacity, rate)) { // owed to a slower limit of a policy before: an empty bucket is enough
        set_debt(limit, entry, capacity, now_ms);
        return capacity;
    }
    int64_t fraction = entry->payload < (uint64_t)rate ? (int64_t)entry->payload : rate - 1;
    return ahead_ms * rate - fraction;
}

int64_t bucket_token_ms(struct gate *gate, const struct limit *limit, struct hash128 bucket) {
    struct entry *entry = table_find(&gate->buckets, bucket, gate->now_ms);
    if (!entry) {
        int64_t room_ms = table_room_ms(&gate->buckets, bucket);
        return room_ms > gate->now_ms ? room_ms : gate->now_ms;
    }
    int64_t missing = debt_of(limit, entry, gate->now_ms) + cost_of(limit) - capacity_of(limit);
    return missing > 0 ? gate->now_ms + divide_up(missing, rate_of(limit)) : gate->now_ms;
}

static bool concerns(const struct limit *limit, const struct route *route) {
    for (size_t i = 0; i < limit->n_actions; i++)
        if (str_eq(limit->actions[i], route->action))
            return true;
    return limit->n_actions == 0;
}

static struct hash128 bucket_key(const struct gate *gate, const struct limit *limit, const struct decision *decision,
                                 uint16_t consumer) {
    const struct value *detector = &decision->candidate->event[EVENT_DETECTOR_NAME];
    struct str values[LIMIT_KEY_COUNT] = {
        [LIMIT_SUBJECT] = decision->subject,
        [LIMIT_DETECTOR] = value_is_string(detector) ? detector->string : decision->candidate->at.source,
        [LIMIT_ROUTE] = decision->route->name,
        [LIMIT_TENANT] = decision->tenant,
        [LIMIT_ACTION] = decision->route->action,
        [LIMIT_CONSUMER] = consumer == ALL_CONSUMERS ? STR("") : gate->policy->consumers[consumer].name,
    };
    unsigned per = limit->per;
    if (per & 1u << LIMIT_SUBJECT) // subjects of two tenants may share a name, never a bucket
        per |= 1u << LIMIT_TENANT;
    struct hash_parts parts = {.len = 0};
    hash_parts_str(&parts, limit->name);
    for (unsigned key = 0; key < LIMIT_KEY_COUNT; key++)
        if (per & 1u << key) {
            hash_parts_int(&parts, key);
            hash_parts_str(&parts, values[key]);
        }
    return hash_parts_end(&parts);
}

// Whoever waits for the bucket goes first, unless the newcomer is worth more than the best of them.
static bool others_wait(const struct gate *gate, struct hash128 bucket, const struct priority *priority,
                        uint32_t slot) {
    uint32_t queue = queue_find(gate, bucket);
    uint32_t best = queue ? gate->queues[queue].root : 0;
    return best && best != slot && !priority_better(gate, priority, &gate->held[best].priority);
}

int limits_charge(struct gate *gate, const struct decision *decision, const struct priority *priority, uint32_t slot,
                  struct hash128 *bucket) {
    const struct policy *policy = gate->policy;
    struct hash128 keys[POLICY_MAX_LIMITS];
    int stage[POLICY_MAX_LIMITS];
    size_t n = 0;
    for (size_t i = 0; i < policy->n_limits; i++) {
        const struct limit *limit = &policy->limits[i];
        bool own = limit->per & 1u << LIMIT_CONSUMER;
        if (own != (priority->consumer != ALL_CONSUMERS) || !concerns(limit, decision->route))
            continue;
        *bucket = bucket_key(gate, limit, decision, priority->consumer);
        if (others_wait(gate, *bucket, priority, slot) || bucket_token_ms(gate, limit, *bucket) > gate->now_ms)
            return (int)i;
        keys[n] = *bucket;
        stage[n++] = (int)i;
    }
    struct entry before[POLICY_MAX_LIMITS];
    for (size_t i = 0; i < n; i++) {
        const struct limit *limit = &policy->limits[stage[i]];
        struct entry *entry = table_find(&gate->buckets, keys[i], gate->now_ms);
        before[i] = entry ? *entry : (struct entry){0};
        int64_t debt = debt_of(limit, entry, gate->now_ms);
        if (!entry)
            entry = table_add(&gate->buckets, keys[i], gate->now_ms, false, NULL);
        if (!entry) { // the limits before it took the last room: give back what they took
            for (size_t undo = i; undo-- > 0;)
                *table_find(&gate->buckets, keys[undo], gate->now_ms) = before[undo];
            *bucket = keys[i];
            return stage[i];
        }
        set_debt(limit, entry, debt + cost_of(limit), gate->now_ms);
    }
    return LIMIT_NONE;
}
