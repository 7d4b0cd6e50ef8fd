// scenario: a policy with some of everything, and an endless stream of random records for it.
#ifndef GATE_SCENARIO_H
#define GATE_SCENARIO_H

#include "fixture.h"
#include "random.h"

static inline struct test_policy *scenario_policy(unsigned variant) {
    struct test_policy *made = new_policy();
    add_consumer(made, "machines", "kind == \"signal\" && action == \"revoke\"");
    add_consumer(made, "others", "kind == \"signal\"");
    add_consumer(made, "people", "kind == \"alert\"");
    static const char *const names[] = {"one", "two", "three", "four"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct route *route = add_route(made, names[i]);
        add_evidence(route, "a", BOUNDARY_NONE);
        add_evidence(route, "b", BOUNDARY_DATA);
        route->threshold_alert = 0.3;
        route->threshold_signal = 0.5;
    }
    made->routes[0].dedup_within_ms = 2 * MINUTE;
    made->routes[0].confidence_within_ms = 5 * MINUTE;
    made->routes[0].confidence_half_life_ms = MINUTE;
    made->routes[1].action = STR("restrict");
    made->routes[1].escalate_on = BOUNDARY_DATA;
    made->routes[1].dedup_within_ms = 30 * SECOND;
    made->routes[2].mode = variant % 2 ? MODE_ENFORCE : MODE_SHADOW;
    made->routes[2].confidence_within_ms = MINUTE;
    made->routes[3].mode = MODE_ALERT;
    made->routes[3].allow_unowned = true;
    add_memory(&made->routes[0], "often", MEMORY_COUNT, 3, 20 * SECOND);
    add_memory(&made->routes[1], "many", MEMORY_DISTINCT, 3, 30 * SECOND);
    add_memory(&made->routes[2], "new", MEMORY_FIRST_SEEN, 0, 10 * MINUTE)->learn_ms = 20 * SECOND;
    add_after(&made->routes[3], "next", &made->routes[0].evidence[0], 3 * MINUTE);
    add_limit(made, "subject", 1u << LIMIT_SUBJECT, 1, 20 * SECOND, 2);
    if (variant % 3 != 2)
        add_limit(made, "tenant", 1u << LIMIT_TENANT | 1u << LIMIT_ACTION, 20, MINUTE, 5);
    static struct str mild[] = {STR("restrict")};
    struct limit *detector = add_limit(made, "detector", 1u << LIMIT_DETECTOR, 10, MINUTE, 4);
    detector->over = OVER_ALERT;
    detector->actions = mild;
    detector->n_actions = COUNT_OF(mild);
    add_limit(made, "consumer", 1u << LIMIT_CONSUMER, 40, MINUTE, 6);
    add_limit(made, "all", 0, 12, MINUTE, 4);
    made->policy.hold_ttl_ms = 90 * SECOND;
    made->policy.hold_max = variant % 4 == 3 ? 10 : 40;
    made->policy.kill_switch = variant % 5 == 4;
    made->policy.hash = (struct hash128){7, variant};
    return made;
}

// The next record: mostly candidates, a few of every other kind.
static inline void scenario_step(struct fixture *f, uint64_t *seed, int64_t *at_ms) {
    static const char *const subjects[] = {"ann", "ben", "cat", "dan", "eve", "fay", "*", "gil"};
    static const char *const tenants[] = {"x", "y", "z"};
    static const char *const severities[] = {"low", "high", "critical", "odd"};
    *at_ms += (int64_t)random_below(seed, random_below(seed, 50) ? 1500 : 40000);
    uint64_t what = random_below(seed, 100);
    if (what < 5) {
        tick(f, *at_ms);
        return;
    }
    uint64_t more = *seed >> 8; // for evidence with a memory
    struct event event = {
        .at_ms = *at_ms,
        .subject = subjects[random_below(seed, COUNT_OF(subjects))],
        .tenant = tenants[random_below(seed, COUNT_OF(tenants))],
        .severity = severities[random_below(seed, COUNT_OF(severities))],
        .detector = random_below(seed, 2) ? "d" : NULL,
        .no_owner = random_below(seed, 10) == 0,
        .protected = random_below(seed, 20) == 0,
        .unordered = random_below(seed, 3) == 0,
        .route = (uint16_t)random_below(seed, 4),
        .weights = {(double)random_below(seed, 100) / 100, (double)random_below(seed, 120) / 100 - 0.2,
                    more % 2 ? 0.1 : -1},
        .n_weights = 3,
        .value = more / 2 % 6,
        .per = more / 16 % 4 ? "all of them" : NULL,
    };
    if (what < 12) // one that was there before, or is new where none was expected
        event.offset = (f->offset > 200 ? f->offset - 200 : 1) + (int64_t)random_below(seed, 202);
    give(f, event);
}

#endif
