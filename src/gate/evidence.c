// evidence: what speaks for a route's suspicion of one subject, and how sure it is.
//
// Each name counts once, by its strongest weight, which fades with its age. What is
// remembered of a name is one entry: weight and time. All entries of a name fade by
// the same half-life, so the one that is stronger now stays the stronger one.
// Confidence is 1 - (1 - w1)(1 - w2)…, in the route's order: floating-point results
// depend on the order of the operations, and replay must give the same bytes. It is
// computed as c + w(1 - c), so that a single weight comes out as it went in.
#include "gate_internal.h"

// 2^(-2^-k) for k = 1, 2, …: the factor for each binary digit of the age in half-lives.
static const double half_powers[32] = {
    0x1.6a09e667f3bcdp-1, 0x1.ae89f995ad3adp-1, 0x1.d5818dcfba487p-1, 0x1.ea4afa2a490dap-1, 0x1.f50765b6e4540p-1,
    0x1.fa7c1819e90d8p-1, 0x1.fd3c22b8f71f1p-1, 0x1.fe9d96b2a23d9p-1, 0x1.ff4eaca4391b6p-1, 0x1.ffa74ea381efcp-1,
    0x1.ffd3a565efb65p-1, 0x1.ffe9d237fe372p-1, 0x1.fff4e8fd40081p-1, 0x1.fffa7476f029dp-1, 0x1.fffd3a398c1bbp-1,
    0x1.fffe9d1c4b0f3p-1, 0x1.ffff4e8e06c7fp-1, 0x1.ffffa746fbb40p-1, 0x1.ffffd3a37bee0p-1, 0x1.ffffe9d1bd7c0p-1,
    0x1.fffff4e8de9f4p-1, 0x1.fffffa746f47fp-1, 0x1.fffffd3a37a21p-1, 0x1.fffffe9d1bd09p-1, 0x1.ffffff4e8de82p-1,
    0x1.ffffffa746f41p-1, 0x1.ffffffd3a37a0p-1, 0x1.ffffffe9d1bd0p-1, 0x1.fffffff4e8de8p-1, 0x1.fffffffa746f4p-1,
    0x1.fffffffd3a37ap-1, 0x1.fffffffe9d1bdp-1,
};

// By multiplications of doubles in a fixed order, which every machine rounds alike; good to nine digits.
double half_life_factor(int64_t age_ms, int64_t half_life_ms) {
    if (half_life_ms <= 0 || age_ms <= 0)
        return 1;
    int64_t whole = age_ms / half_life_ms;
    if (whole >= 64)
        return 0;
    double factor = 1;
    for (int64_t i = 0; i < whole; i++)
        factor *= 0.5;
    uint64_t rest = (uint64_t)(age_ms % half_life_ms), unit = (uint64_t)half_life_ms;
    while (unit > UINT32_MAX) { // half-lives of weeks: their last bits are less than a millisecond's worth
        unit >>= 1;
        rest >>= 1;
    }
    for (uint64_t digits = (rest << 32) / unit & UINT32_MAX; digits;) {
        int top = 63 - __builtin_clzll(digits);
        factor *= half_powers[31 - top];
        digits ^= UINT64_C(1) << top;
    }
    return factor;
}

static double clamp_weight(double weight) {
    return weight > 0 ? (weight < 1 ? weight : 1) : 0; // NaN: 0
}

// A changed window makes a new key: entries say when they end, and from that and the window, when they were made.
static void find_keys(const struct gate *gate, const struct decision *decision, struct hash128 keys[EVIDENCE_MAX]) {
    const struct route *route = decision->route;
    struct hash128 parts[4] = {
        decision->subject_hash,
        hash128_bytes(route->name.ptr, route->name.len),
        {.hi = (uint64_t)route->confidence_within_ms},
    };
    for (size_t i = 0; i < route->n_evidence; i++) {
        parts[3] = hash128_bytes(route->evidence[i].name.ptr, route->evidence[i].name.len);
        keys[i] = hash128_bytes(parts, sizeof parts);
        table_prefetch(&gate->evidence, keys[i]);
    }
}

// The strongest now of what is remembered and what the event brings; the event's is remembered if it is that.
static double weigh_remembered(struct gate *gate, const struct route *route, struct hash128 key, double weight) {
    struct entry *entry = table_find(&gate->evidence, key, gate->now_ms);
    if (entry) {
        double remembered;
        memcpy(&remembered, &entry->payload, sizeof remembered);
        int64_t age_ms = gate->now_ms - (entry->expires_ms - route->confidence_within_ms);
        remembered *= half_life_factor(age_ms, route->confidence_half_life_ms);
        if (remembered > weight)
            return remembered;
    }
    if (weight > 0) {
        if (!entry)
            entry = table_add(&gate->evidence, key, gate->now_ms, true, &gate->counts.forgotten);
        entry->expires_ms = gate->now_ms + route->confidence_within_ms;
        memcpy(&entry->payload, &weight, sizeof weight);
    }
    return weight;
}

static void prefetch_memories(const struct gate *gate, const struct decision *decision) {
    const struct route *route = decision->route;
    for (unsigned i = 0; i < decision->hit.n_evidence; i++) {
        const struct hit_evidence *found = &decision->hit.evidence[i];
        if (found->index < route->n_evidence)
            memory_prefetch(gate, decision, &route->evidence[found->index], found);
    }
}

// What fires now. False: nothing, or only what weighs nothing and is there for others to come after.
static bool find_weights(struct gate *gate, const struct decision *decision, double weights[EVIDENCE_MAX]) {
    const struct route *route = decision->route;
    bool fired = false;
    for (unsigned i = 0; i < decision->hit.n_evidence; i++) {
        const struct hit_evidence *found = &decision->hit.evidence[i];
        if (found->index >= route->n_evidence || !memory_fires(gate, decision, &route->evidence[found->index], found))
            continue;
        leave_trace(gate, decision, &route->evidence[found->index]);
        double weight = clamp_weight(found->weight);
        fired |= weight > 0 || route->evidence[found->index].trace_ms == 0;
        if (weight > weights[found->index])
            weights[found->index] = weight;
    }
    return fired;
}

bool weigh_evidence(struct gate *gate, struct decision *decision) {
    const struct route *route = decision->route;
    if (route->n_evidence == 0) {
        decision->confidence = 1;
        return true;
    }
    double weights[EVIDENCE_MAX] = {0};
    struct hash128 keys[EVIDENCE_MAX] = {0};
    prefetch_memories(gate, decision);
    if (!find_weights(gate, decision, weights))
        return false;
    // Nobody's evidence must not add up to anybody's guilt: without a definite subject only the event itself speaks.
    bool remembers = route->confidence_within_ms > 0 && decision->definite;
    if (remembers)
        find_keys(gate, decision, keys);
    for (size_t i = 0; i < route->n_evidence; i++) {
        const struct evidence *evidence = &route->evidence[i];
        double weight = remembers ? weigh_remembered(gate, route, keys[i], weights[i]) : weights[i];
        if (weight <= 0)
            continue;
        decision->confidence += weight * (1 - decision->confidence);
        decision->boundaries |= (unsigned)evidence->boundary;
        decision->evidence[decision->n_evidence++] =
            (struct output_evidence){.name = evidence->name, .weight = weight, .boundary = evidence->boundary};
    }
    return true;
}
