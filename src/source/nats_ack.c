// nats_ack: the two forms of JetStream's ack subject.
//
//   $JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>
//   $JS.ACK.<domain>.<account>.<stream>.<consumer>.<deliveries>. … .<pending>[.<more>]
//
// Nine tokens are the first form, eleven and more the second; ten are none.
#include "nats_ack.h"

#define TOKENS_OLD 9
#define TOKENS_NEW 11
#define TOKENS_MAX 16

static size_t split(struct str subject, struct str *tokens) {
    size_t n = 0, from = 0;
    for (size_t i = 0; i <= subject.len; i++) {
        if (i < subject.len && subject.ptr[i] != '.')
            continue;
        if (n == TOKENS_MAX)
            return 0;
        tokens[n++] = (struct str){subject.ptr + from, i - from};
        from = i + 1;
    }
    return n;
}

bool nats_ack_parse(struct str subject, struct nats_ack *out) {
    struct str tokens[TOKENS_MAX];
    if (!str_starts(subject, STR("$JS.ACK.")))
        return false;
    size_t n = split(subject, tokens);
    if (n != TOKENS_OLD && n < TOKENS_NEW)
        return false;
    const struct str *at = tokens + (n == TOKENS_OLD ? 2 : 4);
    out->stream = at[0];
    out->consumer = at[1];
    return out->stream.len > 0 && out->consumer.len > 0 && str_to_int64(at[2], &out->deliveries) &&
           str_to_int64(at[3], &out->stream_seq) && str_to_int64(at[4], &out->consumer_seq) &&
           str_to_int64(at[5], &out->time_ns) && str_to_int64(at[6], &out->pending) && out->deliveries > 0 &&
           out->stream_seq > 0 && out->time_ns >= 0 && out->pending >= 0;
}
