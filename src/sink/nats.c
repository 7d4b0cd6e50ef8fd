// nats: JetStream publishing as a sink, by core calls alone.
//
// Each record is published with a reply subject that ends in its ticket (see window.h)
// and its id as Nats-Msg-Id; the answers are read by poll on the sink's own thread. So
// no answer can be taken for another's, none can stay away for good, and nothing runs
// on a library's thread, all of which the library's own asynchronous publishing does
// not promise in the versions that distributions ship. A record that the stream had
// already (a duplicate) is acknowledged.
//
// An answer that says no, none within ACK_WAIT_MS, or a new connection lets go of all
// that is in flight. What was let go may have been stored; it is sent again with the
// same id.
#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>

#include "nats_reply.h"
#include "sink_ops.h"
#include "window.h"

#define IN_FLIGHT_DEFAULT 1024
#define ACK_WAIT_MS 5000
#define OFFLINE_BYTES_MAX 1 // nothing old may go out before what is sent again
#define LOOK_EVERY_MS 1000  // while no stream takes the subject
#define LOOK_WAIT_MS 1000
#define INBOX_BYTES_MAX 64
#define SUBJECT_BYTES_MAX 255
#define PENDING_BYTES_MAX (16 << 20)

struct nats_sink {
    struct sink_meter *meter;
    struct nats_link *link;
    char *subject;
    natsConnection *connection;
    natsSubscription *replies, *retired;
    natsInbox *inbox;
    uint64_t epoch; // of the link, as last seen
    bool stream_known;
    int64_t look_ms;
    struct window window;
    int64_t *sent_ms; // of ticket t: sent_ms[t % cap]
};

// ---- connection ------------------------------------------------------------------------

// Libraries before 3.6.1 crash when a subscription is freed while their reader still hands it a message (nats.c#637).
// So it is only unsubscribed here and freed much later: when the next one is retired, or after the connection is gone.
static void close_inbox(struct nats_sink *nats) {
    if (nats->replies) {
        natsSubscription_Unsubscribe(nats->replies);
        natsSubscription_Destroy(nats->retired);
        nats->retired = nats->replies;
    }
    natsInbox_Destroy(nats->inbox);
    nats->replies = NULL;
    nats->inbox = NULL;
    nats->connection = NULL;
    nats->stream_known = false;
}

static bool open_inbox(struct nats_sink *nats, natsConnection *connection) {
    char subject[INBOX_BYTES_MAX];
    if (natsInbox_Create(&nats->inbox) != NATS_OK)
        return false;
    snprintf(subject, sizeof subject, "%s.*", nats->inbox);
    if (natsConnection_SubscribeSync(&nats->replies, connection, subject) != NATS_OK ||
        natsSubscription_SetPendingLimits(nats->replies, (int)nats->window.cap * 4, PENDING_BYTES_MAX) != NATS_OK) {
        close_inbox(nats);
        return false;
    }
    nats->connection = connection;
    return true;
}

// Is there a stream that takes the subject? When nobody may say so, publishing will tell.
static void look_for_stream(struct nats_sink *nats) {
    struct door_state *door = &nats->meter->door;
    int64_t now_ms = clock_monotonic_ms();
    if (nats->stream_known || now_ms < nats->look_ms)
        return;
    nats->look_ms = now_ms + LOOK_EVERY_MS;
    char body[SUBJECT_BYTES_MAX + 32];
    snprintf(body, sizeof body, "{\"subject\":\"%s\"}", nats->subject);
    natsMsg *reply = NULL;
    natsStatus result =
        natsConnection_RequestString(&reply, nats->connection, "$JS.API.STREAM.NAMES", body, LOOK_WAIT_MS);
    bool none =
        result == NATS_OK && memmem(natsMsg_GetData(reply), (size_t)natsMsg_GetDataLength(reply), "\"total\":0", 9);
    natsMsg_Destroy(reply);
    if (result == NATS_NO_RESPONDERS) {
        door_has_trouble(door, DOOR_MISSING, "JetStream is not enabled on this server or account; waiting for it");
    } else if (none) {
        door_has_trouble(door, DOOR_MISSING, "no stream takes subject %s yet; waiting for one", nats->subject);
    } else {
        nats->stream_known = true;
        door_is_ready(door, "publishing to subject %s", nats->subject);
    }
}

// False: everything in flight has been let go.
static bool keep_connection(struct nats_sink *nats) {
    bool was_in_flight = window_in_flight(&nats->window) > 0, kept = true;
    uint64_t epoch = nats_link_epoch(nats->link);
    if (nats->connection && natsConnection_IsClosed(nats->connection)) {
        close_inbox(nats);
        kept = false;
    }
    natsConnection *connection = nats_link_connection(nats->link);
    if (epoch != nats->epoch) {
        nats->epoch = epoch;
        nats->stream_known = false;
        nats->look_ms = 0;
        kept = false;
    }
    if (connection && nats_link_is_up(nats->link) && (nats->connection || open_inbox(nats, connection)))
        look_for_stream(nats);
    if (kept || !was_in_flight)
        return true;
    window_let_go(&nats->window);
    return false;
}

// ---- sending ---------------------------------------------------------------------------

static natsStatus publish(struct nats_sink *nats, const struct sink_record *record, uint64_t ticket) {
    char reply[INBOX_BYTES_MAX + 24], id[128];
    must(record->id.len < sizeof id);
    snprintf(reply, sizeof reply, "%s.%llu", nats->inbox, (unsigned long long)ticket);
    snprintf(id, sizeof id, "%.*s", STR_ARG(record->id));
    char content_type[128];
    snprintf(content_type, sizeof content_type, "%.*s", STR_ARG(record->content_type));
    natsMsg *message = NULL;
    natsStatus result = natsMsg_Create(&message, nats->subject, reply, record->payload.ptr, (int)record->payload.len);
    if (result == NATS_OK)
        result = natsMsgHeader_Set(message, "Nats-Msg-Id", id);
    if (result == NATS_OK && content_type[0])
        result = natsMsgHeader_Set(message, "Content-Type", content_type);
    if (result == NATS_OK)
        result = natsConnection_PublishMsg(nats->connection, message);
    natsMsg_Destroy(message);
    return result;
}

static enum sink_sent nats_send(void *state, const struct sink_record *record, struct status *status) {
    struct nats_sink *nats = state;
    if (window_goes_back(&nats->window, record->seq))
        window_let_go(&nats->window);
    // On a new connection nothing goes out before poll has let go of what was in flight on the old one.
    if (window_is_full(&nats->window) || !nats->connection || !nats->stream_known || !nats_link_is_up(nats->link) ||
        nats_link_epoch(nats->link) != nats->epoch)
        return SINK_BUSY;
    uint64_t ticket = window_push(&nats->window, record->seq);
    natsStatus result = publish(nats, record, ticket);
    if (result == NATS_OK) {
        nats->sent_ms[ticket % nats->window.cap] = clock_monotonic_ms();
        atomic_fetch_add(&nats->meter->resent, window_was_sent_before(&nats->window, record->seq));
        return SINK_SENT;
    }
    window_let_go(&nats->window); // perhaps it went out all the same: then the answer is void
    atomic_fetch_add(&nats->meter->refused, 1);
    door_has_trouble(&nats->meter->door, DOOR_REFUSED, "record %llu (%zu bytes) cannot be published to %s: %s",
                     (unsigned long long)record->seq, record->payload.len, nats->subject, natsStatus_GetText(result));
    status_fail(status, result == NATS_MAX_PAYLOAD ? STATUS_INVALID : STATUS_UNAVAILABLE,
                "record %llu (%zu bytes) cannot be published to %s: %s", (unsigned long long)record->seq,
                record->payload.len, nats->subject, natsStatus_GetText(result));
    return SINK_FAILED;
}

// ---- answers ---------------------------------------------------------------------------

static bool no_stream(struct nats_sink *nats, struct status *why) {
    atomic_fetch_add(&nats->meter->refused, 1);
    nats->stream_known = false;
    door_has_trouble(&nats->meter->door, DOOR_MISSING, "no stream takes subject %s; waiting for one", nats->subject);
    return status_fail(why, STATUS_NOT_FOUND, "no stream takes subject %s", nats->subject);
}

// False: the stream said no.
static bool take_reply(struct nats_sink *nats, natsMsg *message, struct status *why) {
    const char *number = strrchr(natsMsg_GetSubject(message), '.');
    uint64_t ticket = number ? strtoull(number + 1, NULL, 10) : UINT64_MAX;
    if (ticket < nats->window.first || ticket >= nats->window.next)
        return true; // of a flight that was let go
    char text[160];
    struct str body = {natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message)};
    if (nats_reply_is_ack(body, text, sizeof text)) {
        if (window_ack(&nats->window, ticket))
            atomic_fetch_add(&nats->meter->acked, 1);
        return true;
    }
    atomic_fetch_add(&nats->meter->refused, 1);
    door_has_trouble(&nats->meter->door, DOOR_REFUSED, "subject %s: the stream refused a record: %s", nats->subject,
                     text);
    return status_fail(why, STATUS_UNAVAILABLE, "subject %s: the stream refused a record: %s", nats->subject, text);
}

// One answer, if there is one within the wait. False: it said no.
static bool next_reply(struct nats_sink *nats, int wait_ms, struct status *why) {
    natsMsg *message = NULL;
    natsStatus result = natsSubscription_NextMsg(&message, nats->replies, wait_ms > 0 ? wait_ms : 1);
    if (result == NATS_NO_RESPONDERS) // the library tells it so, and not whose it was: only one in flight can be meant
        return window_in_flight(&nats->window) == 0 || no_stream(nats, why);
    if (result != NATS_OK)
        return true;
    bool ok = take_reply(nats, message, why);
    natsMsg_Destroy(message);
    return ok;
}

// False: let go of all in flight, `why` says why.
static bool take_replies(struct nats_sink *nats, int timeout_ms, struct status *why) {
    int at_hand = 0;
    bool ok = next_reply(nats, window_in_flight(&nats->window) > 0 ? timeout_ms : 0, why);
    if (natsSubscription_GetPending(nats->replies, &at_hand, NULL) != NATS_OK)
        at_hand = 0;
    for (; ok && at_hand > 0; at_hand--)
        ok = next_reply(nats, 1, why);
    if (ok && window_in_flight(&nats->window) > 0 &&
        clock_monotonic_ms() - nats->sent_ms[nats->window.first % nats->window.cap] > ACK_WAIT_MS) {
        atomic_fetch_add(&nats->meter->refused, 1);
        door_has_trouble(&nats->meter->door, DOOR_REFUSED, "subject %s: no answer within %d ms", nats->subject,
                         ACK_WAIT_MS);
        ok = status_fail(why, STATUS_UNAVAILABLE, "subject %s: no answer within %d ms", nats->subject, ACK_WAIT_MS);
    }
    return ok;
}

static bool nats_poll(void *state, int timeout_ms, uint64_t *acked_seq, struct status *status) {
    struct nats_sink *nats = state;
    struct status why = {0};
    bool ok = keep_connection(nats);
    if (!ok)
        status_fail(&why, STATUS_UNAVAILABLE, "subject %s: the connection was lost", nats->subject);
    else if (nats->connection && nats_link_is_up(nats->link))
        ok = take_replies(nats, timeout_ms, &why);
    else
        nats_link_wait(nats->link, timeout_ms);
    *acked_seq = nats->window.acked_seq;
    if (ok)
        return true;
    window_let_go(&nats->window);
    if (status)
        *status = why;
    return false;
}

// ---- opening and closing -----------------------------------------------------------------

static bool is_subject(const char *subject) {
    return subject && subject[0] && strlen(subject) <= SUBJECT_BYTES_MAX && strpbrk(subject, " \t\r\n*>\"\\") == NULL &&
           subject[0] != '.' && subject[strlen(subject) - 1] != '.' && strstr(subject, "..") == NULL;
}

static void *nats_open(const struct sink_config *config, struct sink_meter *meter, struct status *status) {
    if (!is_subject(config->subject)) {
        status_fail(status, STATUS_INVALID, "sink \"%s\": `subject` must be a subject without spaces and wildcards",
                    config->name);
        return NULL;
    }
    struct nats_sink *nats = must_alloc(sizeof *nats);
    nats->meter = meter;
    nats->subject = must_strdup(config->subject);
    window_init(&nats->window, config->max_in_flight ? config->max_in_flight : IN_FLIGHT_DEFAULT);
    nats->sent_ms = must_alloc(nats->window.cap * sizeof *nats->sent_ms);
    nats->link = nats_link_open(&config->nats, OFFLINE_BYTES_MAX, &meter->door, status);
    if (nats->link)
        return nats;
    window_free(&nats->window);
    free(nats->sent_ms);
    free(nats->subject);
    free(nats);
    return NULL;
}

static bool nats_close(void *state, int timeout_ms) {
    struct nats_sink *nats = state;
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;
    uint64_t acked;
    while (window_in_flight(&nats->window) > 0 && clock_monotonic_ms() < until_ms)
        if (!nats_poll(nats, 50, &acked, NULL))
            break;
    close_inbox(nats);
    bool gone = nats_link_close(nats->link);
    natsSubscription_Destroy(nats->retired);
    window_free(&nats->window);
    free(nats->sent_ms);
    free(nats->subject);
    free(nats);
    return gone;
}

const struct sink_ops nats_sink_ops = {
    .open = nats_open,
    .send = nats_send,
    .poll = nats_poll,
    .close = nats_close,
};
