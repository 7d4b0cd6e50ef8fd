// nats: a durable JetStream pull consumer as a source, by core calls alone.
//
// The library's own Fetch overruns its buffer in versions that distributions ship, so
// the pull loop is ours: one inbox, one request outstanding for so many messages as
// may be in flight, and heartbeats that tell a slow stream from a dead request. Any
// message that comes is taken, whichever request asked for it. An ack is sent when its
// message is durable in the log, and never before; what was read and not acked comes
// again after the consumer's ack_wait, out of order, under the same stream sequence.
//
// Threads: all on the source's own but nats_commit, which publishes acks on the
// connection; `mutex` keeps the connection from going away meanwhile.
#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>

#include "nats_ack.h"
#include "source_ops.h"

#define REQUEST_MESSAGES 1000
#define REQUEST_BYTES (32 << 20)
#define REQUEST_EXPIRES_MS 5000 // short: should a server lose track of a request, the next one is soon there
#define HEARTBEAT_MS 2000
#define SETUP_EVERY_MS 1000 // between attempts to find stream and consumer
#define API_WAIT_MS 2000
#define FLUSH_MS 2000
#define OFFLINE_BYTES_MAX (1 << 20)           // acks, which count on the next connection as well
#define PENDING_BYTES_MAX (4 * REQUEST_BYTES) // old requests' messages beside the new one's
#define PENDING_MESSAGES_MAX (8 * REQUEST_MESSAGES)
#define MAX_ACK_PENDING_DEFAULT 20000
#define ACK_WAIT_DEFAULT_MS 60000
#define NANOS_A_MS 1000000
#define NATS_INBOX_BYTES_MAX 64

struct nats_source {
    struct source_meter *meter;
    struct nats_link *link;
    char *stream, *durable, *subject;
    int64_t max_ack_pending, ack_wait_ms;
    uint32_t max_message_bytes;

    pthread_mutex_t mutex;
    natsConnection *connection; // set under the mutex
    natsSubscription *subscription, *retired;
    natsInbox *inbox;
    uint64_t epoch;      // of the link, as last seen
    bool consumer_known; // checked or made on this connection
    int64_t setup_ms;    // the next attempt
    uint64_t request_no;
    int64_t outstanding;   // messages the running request may still bring; 0: none runs
    int64_t heard_ms;      // the last sign of life of it
    bool one_at_a_time;    // the next message is larger than REQUEST_BYTES
    natsMsg *held;         // did not fit into the last batch
    struct status failure; // sticks: only a person can mend it
};

// ---- stream and consumer -------------------------------------------------------------

static bool fail_for_good(struct nats_source *nats, const char *what, const char *remedy) {
    struct door_state *door = &nats->meter->door;
    door_has_trouble(door, DOOR_MISSING, "consumer %s of stream %s: %s", nats->durable, nats->stream, what);
    return status_fail(&nats->failure, STATUS_INVALID, "source \"%s\": consumer %s of stream %s: %s; %s", door->name,
                       nats->durable, nats->stream, what, remedy);
}

// Somebody made the consumer before us: can we work with it, and is it what the configuration says?
static bool check_consumer(struct nats_source *nats, const jsConsumerConfig *found) {
    const char *remedy = "delete it (nats consumer rm) or name another durable";
    if (found->DeliverSubject && found->DeliverSubject[0])
        return fail_for_good(nats, "it is a push consumer, and a pull consumer is needed", remedy);
    if (found->AckPolicy != js_AckExplicit)
        return fail_for_good(nats, "its ack policy is not explicit, so messages could be lost", remedy);
    const char *filter = found->FilterSubject ? found->FilterSubject : "",
               *subject = nats->subject ? nats->subject : "";
    const char *differs = strcmp(filter, subject) != 0                       ? "filter_subject"
                          : found->MaxDeliver > 0                            ? "max_deliver"
                          : found->AckWait != nats->ack_wait_ms * NANOS_A_MS ? "ack_wait"
                          : found->MaxAckPending != nats->max_ack_pending    ? "max_ack_pending"
                          : found->DeliverPolicy != js_DeliverAll            ? "deliver_policy"
                                                                             : NULL;
    if (differs)
        door_has_trouble(&nats->meter->door, DOOR_DIFFERENT,
                         "consumer %s of stream %s exists with another %s; used as it is", nats->durable, nats->stream,
                         differs);
    return true;
}

static natsStatus find_or_make_consumer(struct nats_source *nats, jsCtx *js, jsErrCode *error) {
    jsConsumerInfo *info = NULL;
    natsStatus result = js_GetConsumerInfo(&info, js, nats->stream, nats->durable, NULL, error);
    if (result == NATS_OK) {
        check_consumer(nats, info->Config);
        jsConsumerInfo_Destroy(info);
        return NATS_OK;
    }
    if (result != NATS_NOT_FOUND || *error != JSConsumerNotFoundErr)
        return result;
    jsConsumerConfig wanted;
    jsConsumerConfig_Init(&wanted);
    wanted.Durable = nats->durable;
    wanted.DeliverPolicy = js_DeliverAll;
    wanted.AckPolicy = js_AckExplicit;
    wanted.AckWait = nats->ack_wait_ms * NANOS_A_MS;
    wanted.MaxDeliver = -1;
    wanted.MaxAckPending = nats->max_ack_pending;
    wanted.FilterSubject = nats->subject;
    result = js_AddConsumer(NULL, js, nats->stream, &wanted, NULL, error);
    if (result == NATS_OK)
        logline(LOGLINE_INFO, "source", "made the durable consumer", "name", nats->meter->door.name, "stream",
                nats->stream, "consumer", nats->durable, NULL);
    return result;
}

static void report_setup(struct nats_source *nats, natsStatus result, jsErrCode error) {
    struct door_state *door = &nats->meter->door;
    if (error == JSStreamNotFoundErr)
        door_has_trouble(door, DOOR_MISSING, "stream %s does not exist yet; waiting for it", nats->stream);
    else if (result == NATS_NO_RESPONDERS || error == JSNotEnabledErr || error == JSNotEnabledForAccountErr)
        door_has_trouble(door, DOOR_MISSING, "JetStream is not enabled on this server or account; waiting for it");
    else if (result == NATS_TIMEOUT)
        door_has_trouble(door, DOOR_UNREACHABLE, "JetStream does not answer about stream %s", nats->stream);
    else if (result == NATS_NOT_PERMITTED)
        door_has_trouble(door, DOOR_DENIED, "not permitted to use stream %s", nats->stream);
    else
        door_has_trouble(door, DOOR_MISSING, "consumer %s of stream %s: %s (error %d)", nats->durable, nats->stream,
                         natsStatus_GetText(result), (int)error);
}

// Libraries before 3.6.1 crash when a subscription is freed while their reader still hands it a message (nats.c#637).
// So it is only unsubscribed here and freed much later: when the next one is retired, or after the connection is gone.
static void retire_subscription(struct nats_source *nats) {
    if (!nats->subscription)
        return;
    natsSubscription_Unsubscribe(nats->subscription);
    natsSubscription_Destroy(nats->retired);
    nats->retired = nats->subscription;
    nats->subscription = NULL;
}

static void let_go(struct nats_source *nats) {
    retire_subscription(nats);
    natsInbox_Destroy(nats->inbox);
    nats->inbox = NULL;
    nats->outstanding = 0;
    nats->consumer_known = false;
    pthread_mutex_lock(&nats->mutex);
    nats->connection = NULL;
    pthread_mutex_unlock(&nats->mutex);
}

static natsStatus open_inbox(struct nats_source *nats) {
    char subject[NATS_INBOX_BYTES_MAX];
    natsStatus result = natsInbox_Create(&nats->inbox);
    if (result != NATS_OK)
        return result;
    snprintf(subject, sizeof subject, "%s.*", nats->inbox);
    result = natsConnection_SubscribeSync(&nats->subscription, nats->connection, subject);
    if (result == NATS_OK)
        result = natsSubscription_SetPendingLimits(nats->subscription, PENDING_MESSAGES_MAX, PENDING_BYTES_MAX);
    return result;
}

static bool take_connection(struct nats_source *nats) {
    if (nats->connection && natsConnection_IsClosed(nats->connection))
        let_go(nats);
    natsConnection *connection = nats_link_connection(nats->link);
    if (!connection || !nats_link_is_up(nats->link))
        return false;
    if (!nats->connection) {
        pthread_mutex_lock(&nats->mutex);
        nats->connection = connection;
        pthread_mutex_unlock(&nats->mutex);
        if (open_inbox(nats) != NATS_OK) {
            let_go(nats);
            return false;
        }
    }
    return true;
}

// A connection that is up, an inbox on it and a consumer behind it. False: not now; the door says why.
static bool set_up(struct nats_source *nats) {
    if (!take_connection(nats))
        return false;
    if (nats->consumer_known)
        return true;
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms < nats->setup_ms)
        return false;
    nats->setup_ms = now_ms + SETUP_EVERY_MS;
    jsErrCode error = 0;
    jsOptions options;
    jsOptions_Init(&options);
    options.Wait = API_WAIT_MS;
    jsCtx *js = NULL;
    natsStatus result = natsConnection_JetStream(&js, nats->connection, &options);
    if (result == NATS_OK)
        result = find_or_make_consumer(nats, js, &error);
    jsCtx_Destroy(js);
    if (result != NATS_OK) {
        report_setup(nats, result, error);
        return false;
    }
    if (nats->failure.code != STATUS_OK)
        return false;
    nats->consumer_known = true;
    door_is_ready(&nats->meter->door, "pulling from consumer %s of stream %s", nats->durable, nats->stream);
    return true;
}

// ---- requests ------------------------------------------------------------------------

static void send_request(struct nats_source *nats) {
    char subject[600], reply[NATS_INBOX_BYTES_MAX + 24], body[160];
    int64_t batch = nats->one_at_a_time                        ? 1
                    : nats->max_ack_pending < REQUEST_MESSAGES ? nats->max_ack_pending
                                                               : REQUEST_MESSAGES;
    snprintf(subject, sizeof subject, "$JS.API.CONSUMER.MSG.NEXT.%s.%s", nats->stream, nats->durable);
    snprintf(reply, sizeof reply, "%s.%llu", nats->inbox, (unsigned long long)++nats->request_no);
    int len = snprintf(body, sizeof body, "{\"batch\":%lld,\"expires\":%lld,\"idle_heartbeat\":%lld", (long long)batch,
                       (long long)REQUEST_EXPIRES_MS * NANOS_A_MS, (long long)HEARTBEAT_MS * NANOS_A_MS);
    len += snprintf(body + len, sizeof body - (size_t)len, nats->one_at_a_time ? "}" : ",\"max_bytes\":%d}",
                    REQUEST_BYTES);
    if (natsConnection_PublishRequest(nats->connection, subject, reply, body, len) != NATS_OK)
        return;
    natsConnection_FlushTimeout(nats->connection, STOP_CHECK_MS); // else the library sits on it for a millisecond
    nats->outstanding = batch;
    nats->heard_ms = clock_monotonic_ms();
}

static void keep_a_request(struct nats_source *nats) {
    uint64_t epoch = nats_link_epoch(nats->link);
    bool silent = nats->outstanding > 0 && clock_monotonic_ms() - nats->heard_ms > 2 * HEARTBEAT_MS;
    if (silent ||
        epoch != nats->epoch) { // the request died with its connection or server; the consumer perhaps as well
        nats->epoch = epoch;
        nats->outstanding = 0;
        nats->consumer_known = false;
        nats->setup_ms = 0;
    }
    if (nats->outstanding == 0 && set_up(nats))
        send_request(nats);
}

static void consumer_is_gone(struct nats_source *nats) {
    nats->outstanding = 0;
    nats->consumer_known = false;
    nats->setup_ms = clock_monotonic_ms() + SETUP_EVERY_MS;
    door_has_trouble(&nats->meter->door, DOOR_MISSING,
                     "consumer %s of stream %s is gone or has no leader; looking for it", nats->durable, nats->stream);
}

// A status instead of a message: heartbeats, and why a request is over.
static void take_status(struct nats_source *nats, natsMsg *message) {
    const char *code = NULL, *text = NULL;
    if (natsMsgHeader_Get(message, "Status", &code) != NATS_OK)
        return; // not from JetStream
    natsMsgHeader_Get(message, "Description", &text);
    const char *number = strrchr(natsMsg_GetSubject(message), '.');
    bool current = number && strtoull(number + 1, NULL, 10) == nats->request_no;
    if (!current || strcmp(code, "100") == 0)
        return;
    nats->outstanding = 0;
    if (strcmp(code, "404") == 0 || strcmp(code, "408") == 0)
        return;
    if (strcmp(code, "409") == 0 && text && strstr(text, "MaxBytes")) {
        nats->one_at_a_time = true; // harmless if the request was merely used up
        return;
    }
    if (strcmp(code, "409") == 0 && text && strstr(text, "Exceeded")) { // a bound of the consumer's, not its end
        nats->setup_ms = clock_monotonic_ms() + SETUP_EVERY_MS;
        door_has_trouble(&nats->meter->door, DOOR_REFUSED, "the pull ended: %s", text);
        return;
    }
    consumer_is_gone(nats);
}

// ---- reading -------------------------------------------------------------------------

// False: no room, the message is held.
static bool take_message(struct nats_source *nats, struct batch *batch, natsMsg *raw) {
    struct str reply = str_of(natsMsg_GetReply(raw));
    struct nats_ack ack;
    nats->heard_ms = clock_monotonic_ms();
    if (!nats_ack_parse(reply, &ack) || !str_eq(ack.stream, str_of(nats->stream)) ||
        !str_eq(ack.consumer, str_of(nats->durable))) {
        take_status(nats, raw);
        natsMsg_Destroy(raw);
        return true;
    }
    size_t len = (size_t)natsMsg_GetDataLength(raw);
    struct message message = {
        .bytes = {natsMsg_GetData(raw), len < nats->max_message_bytes ? len : nats->max_message_bytes},
        .full_bytes = len,
        .offset = ack.stream_seq,
        .time_ms = ack.time_ns / NANOS_A_MS,
        .ack = reply,
    };
    if (!batch_add(batch, &message)) {
        nats->held = raw;
        return false;
    }
    if (nats->outstanding > 0)
        nats->outstanding--;
    nats->one_at_a_time = false;
    atomic_store(&nats->meter->lag, ack.pending);
    natsMsg_Destroy(raw);
    return true;
}

// One wait for a first message, then all that is at hand. False: the batch is to be given out.
static bool take_what_came(struct nats_source *nats, struct batch *batch, int wait_ms) {
    natsMsg *message = NULL;
    natsStatus result = natsSubscription_NextMsg(&message, nats->subscription, wait_ms > 0 ? wait_ms : 1);
    if (result == NATS_TIMEOUT)
        return false;
    if (result == NATS_NO_RESPONDERS) { // the library's form of a 503
        consumer_is_gone(nats);
        return false;
    }
    if (result == NATS_SLOW_CONSUMER) {
        door_has_trouble(&nats->meter->door, DOOR_REFUSED,
                         "messages came faster than asked for; they will be redelivered");
        return true;
    }
    if (result != NATS_OK) {
        let_go(nats);
        return false;
    }
    if (!take_message(nats, batch, message))
        return false;
    int at_hand = 0;
    if (natsSubscription_GetPending(nats->subscription, &at_hand, NULL) != NATS_OK)
        at_hand = 0;
    for (; at_hand > 0 && !batch_is_full(batch); at_hand--) {
        if (natsSubscription_NextMsg(&message, nats->subscription, 1) != NATS_OK)
            break;
        if (!take_message(nats, batch, message))
            return false;
    }
    return !batch_is_full(batch);
}

static bool nats_read(void *state, struct batch *batch, int timeout_ms, struct status *status) {
    struct nats_source *nats = state;
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;
    bool go_on = true;
    if (nats->held) {
        natsMsg *held = nats->held;
        nats->held = NULL;
        take_message(nats, batch, held);
    }
    while (go_on && !batch_is_full(batch) && nats->failure.code == STATUS_OK) {
        int64_t left_ms = batch->n > 0 ? 0 : until_ms - clock_monotonic_ms();
        int wait_ms = left_ms <= 0 ? 0 : left_ms < STOP_CHECK_MS ? (int)left_ms : STOP_CHECK_MS;
        keep_a_request(nats);
        if (nats->subscription && nats->consumer_known)
            go_on = take_what_came(nats, batch, wait_ms);
        else if (!nats_link_is_up(nats->link))
            nats_link_wait(nats->link, wait_ms);
        else
            clock_sleep_ms(wait_ms);
        if (batch->n == 0 && left_ms > 0 && !atomic_load(&nats->meter->stop))
            go_on = true;
        else if (left_ms <= 0 && batch->n == 0)
            go_on = false;
    }
    batch_seal(batch);
    if (batch->n > 0 || nats->failure.code == STATUS_OK)
        return true;
    *status = nats->failure;
    return false;
}

static void nats_idle(void *state) {
    (void)state; // the library answers the server's pings by itself, and nothing is asked for
}

static void nats_commit(void *state, const struct batch *batch) {
    struct nats_source *nats = state;
    size_t failed = 0;
    pthread_mutex_lock(&nats->mutex);
    for (size_t i = 0; i < batch->n; i++) {
        char subject[600];
        struct str ack = batch->messages[i].ack;
        if (!nats->connection || ack.len >= sizeof subject) {
            failed++;
            continue;
        }
        memcpy(subject, ack.ptr, ack.len);
        subject[ack.len] = '\0';
        failed += natsConnection_Publish(nats->connection, subject, "+ACK", 4) != NATS_OK;
    }
    pthread_mutex_unlock(&nats->mutex);
    atomic_fetch_add(&nats->meter->commits, 1);
    if (failed > 0)
        door_has_trouble(&nats->meter->door, DOOR_REFUSED,
                         "%zu acks could not be sent; these messages will be redelivered", failed);
}

// ---- opening and closing ---------------------------------------------------------------

// Names become parts of subjects.
static bool is_name(const char *name) {
    return name && name[0] && strlen(name) <= 255 && strpbrk(name, " \t\r\n.*>/\\") == NULL;
}

static void *nats_open(const struct source_config *config, const struct source_position *positions, size_t n_positions,
                       struct source_meter *meter, struct status *status) {
    (void)positions;
    (void)n_positions;
    if (!is_name(config->stream) || !is_name(config->durable)) {
        status_fail(status, STATUS_INVALID, "source \"%s\": %s must be a name without dots, spaces and wildcards",
                    config->name, is_name(config->stream) ? "durable" : "stream");
        return NULL;
    }
    struct nats_source *nats = must_alloc(sizeof *nats);
    nats->meter = meter;
    nats->stream = must_strdup(config->stream);
    nats->durable = must_strdup(config->durable);
    nats->subject = config->subject && config->subject[0] ? must_strdup(config->subject) : NULL;
    nats->max_ack_pending = config->max_ack_pending ? config->max_ack_pending : MAX_ACK_PENDING_DEFAULT;
    nats->ack_wait_ms = config->ack_wait_ms ? config->ack_wait_ms : ACK_WAIT_DEFAULT_MS;
    nats->max_message_bytes = config->max_message_bytes;
    pthread_mutex_init(&nats->mutex, NULL);
    nats->link = nats_link_open(&config->nats, OFFLINE_BYTES_MAX, &meter->door, status);
    if (nats->link)
        return nats;
    pthread_mutex_destroy(&nats->mutex);
    free(nats->stream);
    free(nats->durable);
    free(nats->subject);
    free(nats);
    return NULL;
}

static void nats_stop(void *state) {
    struct nats_source *nats = state;
    nats_link_stop(nats->link);
}

// What came and was not given out need not wait for ack_wait: somebody may have it now. Only after the inbox is gone,
// or the server gives it to what is left of our own request.
static void give_back(struct nats_source *nats) {
    int at_hand = 0;
    if (nats->subscription && natsSubscription_GetPending(nats->subscription, &at_hand, NULL) != NATS_OK)
        at_hand = 0;
    natsMsg **messages = must_alloc(((size_t)at_hand + 1) * sizeof(natsMsg *));
    size_t n = 0;
    if (nats->held)
        messages[n++] = nats->held;
    nats->held = NULL;
    for (; at_hand > 0; at_hand--)
        if (natsSubscription_NextMsg(&messages[n], nats->subscription, 1) == NATS_OK)
            n++;
    retire_subscription(nats);
    bool up = nats->connection && nats_link_is_up(nats->link) &&
              natsConnection_FlushTimeout(nats->connection, FLUSH_MS) == NATS_OK;
    for (size_t i = 0; i < n; i++) {
        struct nats_ack ack;
        if (up && nats_ack_parse(str_of(natsMsg_GetReply(messages[i])), &ack))
            natsConnection_Publish(nats->connection, natsMsg_GetReply(messages[i]), "-NAK", 4);
        natsMsg_Destroy(messages[i]);
    }
    free(messages);
    if (up)
        natsConnection_FlushTimeout(nats->connection, FLUSH_MS);
}

static bool nats_close(void *state) {
    struct nats_source *nats = state;
    give_back(nats);
    let_go(nats);
    bool gone = nats_link_close(nats->link);
    natsSubscription_Destroy(nats->retired);
    pthread_mutex_destroy(&nats->mutex);
    free(nats->stream);
    free(nats->durable);
    free(nats->subject);
    free(nats);
    return gone;
}

const struct source_ops nats_source_ops = {
    .open = nats_open,
    .read = nats_read,
    .idle = nats_idle,
    .commit = nats_commit,
    .stop = nats_stop,
    .close = nats_close,
};
