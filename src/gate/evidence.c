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
static const double half_powers[48] = {
    0x1.6a09e667f3bcdp-1, 0x1.ae89f995ad3adp-1, 0x1.d5818dcfba487p-1, 0x1.ea4afa2a490dap-1,
    0x1.f50765b6e4540p-1, 0x1.fa7c1819e90d8p-1, 0x1.fd3c22b8f71f1p-1, 0x1.fe9d96b2a23d9p-1,
    0x1.ff4eaca4391b6p-1, 0x1.ffa74ea381efcp-1, 0x1.ffd3a565efb65p-1, 0x1.ffe9d237fe372p-1,
    0x1.fff4e8fd40081p-1, 0x1.fffa7476f029dp-1, 0x1.fffd3a398c1bbp-1, 0x1.fffe9d1c4b0f3p-1,
    0x1.ffff4e8e06c7fp-1, 0x1.ffffa746fbb40p-1, 0x1.ffffd3a37bee0p-1, 0x1.ffffe9d1bd7c0p-1,
    0x1.fffff4e8de9f4p-1, 0x1.fffffa746f47fp-1, 0x1.fffffd3a37a21p-1, 0x1.fffffe9d1bd09p-1,
    0x1.ffffff4e8de82p-1, 0x1.ffffffa746f41p-1, 0x1.ffffffd3a37a0p-1, 0x1.ffffffe9d1bd0p-1,
    0x1.fffffff4e8de8p-1, 0x1.fffffffa746f4p-1, 0x1.fffffffd3a37ap-1, 0x1.fffffffe9d1bdp-1,
    0x1.ffffffff4e8dfp-1, 0x1.ffffffffa746fp-1, 0x1.ffffffffd3a38p-1, 0x1.ffffffffe9d1cp-1,
    0x1.fffffffff4e8ep-1, 0x1.fffffffffa747p-1, 0x1.fffffffffd3a3p-1, 0x1.fffffffffe9d2p-1,
    0x1.ffffffffff4e9p-1, 0x1.ffffffffffa74p-1, 0x1.ffffffffffd3ap-1, 0x1.ffffffffffe9dp-1,
    0x1.fffffffffff4fp-1, 0x1.fffffffffffa7p-1, 0x1.fffffffffffd4p-1, 0x1.fffffffffffeap-1,
};

double half_life_factor(int64_t age_ms, int64_t half_life_ms)
{
    if (half_life_ms <= 0 || age_ms <= 0)
        return 1;
    int64_t whole = age_ms / half_life_ms;
    uint64_t rest = (uint64_t)(age_ms % half_life_ms), unit = (uint64_t)half_life_ms;
    if (whole >= 64)
        return 0;
    double factor = 1;
    for (int64_t i = 0; i < whole; i++)
        factor *= 0.5;
    // Long division in binary: digit k of rest/unit chooses factor k.
    for (size_t k = 0; k < COUNT_OF(half_powers) && rest; k++) {
        rest *= 2;
        if (rest >= unit) {
            rest -= unit;
            factor *= half_powers[k];
        }
    }
    return factor;
}

static double clamp_weight(double weight)
{
    return weight > 0 ? (weight < 1 ? weight : 1) : 0; // NaN: 0
}

// A changed window makes a new key: entries say when they end, and from that and the window, when they were made.
static struct hash128 memory_key(const struct decision *decision, struct str evidence)
{
    const struct route *route = decision->route;
    struct hash128 parts[4] = {
        decision->subject_hash,
        hash128_bytes(route->name.ptr, route->name.len),
        hash128_bytes(evidence.ptr, evidence.len),
        {.hi = (uint64_t)route->confidence_within_ms},
    };
    return hash128_bytes(parts, sizeof parts);
}

// The strongest now of what is remembered and what the event brings; the event's is remembered if it is that.
static double weigh_remembered(struct gate *gate, const struct decision *decision, struct str name, double weight)
{
    const struct route *route = decision->route;
    struct hash128 key = memory_key(decision, name);
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

void weigh_evidence(struct gate *gate, struct decision *decision)
{
    const struct route *route = decision->route;
    if (route->n_evidence == 0) {
        decision->confidence = 1;
        return;
    }
    double weights[EVIDENCE_MAX] = {0};
    for (unsigned i = 0; i < decision->hit.n_evidence; i++) {
        const struct hit_evidence *found = &decision->hit.evidence[i];
        double weight = clamp_weight(found->weight);
        if (found->index < route->n_evidence && weight > weights[found->index])
            weights[found->index] = weight;
    }
    // Nobody's evidence must not add up to anybody's guilt: without a definite subject only the event itself speaks.
    bool remembers = route->confidence_within_ms > 0 && decision->definite;
    for (size_t i = 0; i < route->n_evidence; i++) {
        const struct evidence *evidence = &route->evidence[i];
        double weight = remembers ? weigh_remembered(gate, decision, evidence->name, weights[i]) : weights[i];
        if (weight <= 0)
            continue;
        decision->confidence += weight * (1 - decision->confidence);
        decision->boundaries |= (unsigned)evidence->boundary;
        decision->evidence[decision->n_evidence++] =
            (struct output_evidence){.name = evidence->name, .weight = weight, .boundary = evidence->boundary};
    }
}
