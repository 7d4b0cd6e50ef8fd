// broker: what the front doors and the back doors share about Kafka and NATS:
// settings, how a client handle is made from them, and what a door says about itself.
//
// No message passes through here. Values of settings are never shown anywhere: they
// may be passwords.
#ifndef PENSTOCK_BROKER_H
#define PENSTOCK_BROKER_H

#include <pthread.h>
#include <stdatomic.h>

#include "penstock/base.h"

struct setting { // one "key: value" passed through to a client library
    char *key, *value;
};
struct kafka_settings {
    char *brokers;            // "host:port,host:port"
    struct setting *settings; // librdkafka's own names: security.protocol, sasl.*, ssl.* …; checked by the library
    size_t n_settings;
};
struct nats_settings {
    char *url;                         // "nats://host:4222", several by commas
    char *credentials;                 // path of a .creds file, or NULL
    char *user, *password, *token;     // or NULL
    char *tls_ca, *tls_cert, *tls_key; // paths, or NULL
    bool tls;                          // require TLS (also by tls:// in the url)
};

// ---- what a door says about itself ---------------------------------------------
// Any thread. A trouble is logged when it begins and then at most every 30 s.

enum door_trouble {
    DOOR_UNREACHABLE, // no connection, or lost
    DOOR_DENIED,      // credentials or permissions
    DOOR_MISSING,     // a topic, stream or file that does not exist (yet)
    DOOR_REFUSED,     // the far side did not take something, or lost it
    DOOR_DIFFERENT,   // it works, but not as configured
};
#define DOOR_TROUBLES 5

struct door_state {
    const char *room, *name; // "source" or "sink", and the door's name in the configuration
    pthread_mutex_t mutex;
    bool ready;
    enum door_trouble last; // the last trouble; means something only while not ready
    uint64_t errors, reconnects;
    int64_t logged_ms[DOOR_TROUBLES];
    char detail[200];
};
void door_init(struct door_state *door, const char *room, const char *name); // `room` and `name` must outlive it
void door_free(struct door_state *door);
// The door works (again); logs it if it did not before.
void door_is_ready(struct door_state *door, const char *format, ...) PENSTOCK_PRINTF(2, 3);
// It waits for something ordinary (connecting, an assignment): shown, neither counted nor logged.
void door_is_waiting(struct door_state *door, const char *format, ...) PENSTOCK_PRINTF(2, 3);
// It does not work; counted, shown, logged. DOOR_REFUSED and DOOR_DIFFERENT leave `ready` as it is. A door that is
// denied is not called unreachable by what follows from that.
void door_has_trouble(struct door_state *door, enum door_trouble trouble, const char *format, ...)
    PENSTOCK_PRINTF(3, 4);
void door_reconnected(struct door_state *door);
bool door_ready(struct door_state *door);

// ---- Kafka -----------------------------------------------------------------------

struct rd_kafka_s; // librdkafka's rd_kafka_t and rd_kafka_conf_t, without its header
struct rd_kafka_conf_s;

struct kafka_default {
    const char *key, *value;
    bool newer; // only newer versions of the library know it
};
// What a handle is to be, and what its callbacks say. It is the handle's opaque and must outlive it.
struct kafka_plan {
    const struct kafka_default *defaults; // a setting of the user's wins over these
    size_t n_defaults;
    const struct kafka_default *fixed; // and these win over the user's
    size_t n_fixed;
    struct door_state *door; // gets the library's errors and its log
    void *owner;             // for the owner's own callbacks
    // The rest is set by the callbacks, on the owner's thread as it polls; the atomic ones on any.
    bool fatal;       // only a new handle helps
    bool down;        // no broker answers, or none lets us in; kafka_client_probe finds out when that is over
    int64_t probe_ms; // the next probe
    char reason[160];
    _Atomic int64_t logged_ms;
    atomic_bool made; // what the library logs before may quote settings, and is not passed on
};
// A configuration with settings and the callbacks for errors and log lines; the caller adds its own callbacks. NULL: a
// setting that can never work; the message names its key.
struct rd_kafka_conf_s *kafka_conf_new(const struct kafka_settings *settings, struct kafka_plan *plan,
                                       struct status *status);
// Takes the configuration over. NULL: the library refuses it.
struct rd_kafka_s *kafka_client_new(struct rd_kafka_conf_s *conf, const struct kafka_settings *settings, bool producer,
                                    struct status *status);
// While the plan is `down`: asks, at most once a second, whether a broker answers again; waits at most timeout_ms.
// True: it is up.
bool kafka_client_probe(struct rd_kafka_s *client, struct kafka_plan *plan, int timeout_ms);
// Destroys the handle; old libraries can hang there, so it waits at most timeout_ms and then leaves the handle behind.
// False: left behind, and then the plan and the door must live on.
bool kafka_client_free(struct rd_kafka_s *client, int timeout_ms);

// ---- NATS ------------------------------------------------------------------------

struct __natsConnection;
// A connection that is made in the background and made again whenever the library gives up on it.
struct nats_link;
// NULL: settings that can never work (a file that does not exist, a url that is none). `offline_bytes`: so much that is
// published while the connection is away is kept and sent when it is back; beyond it publishing fails.
struct nats_link *nats_link_open(const struct nats_settings *settings, int offline_bytes, struct door_state *door,
                                 struct status *status);
// The connection, or NULL while there is none. Owner's thread only; it stays valid until a later call gives NULL or
// another.
struct __natsConnection *nats_link_connection(struct nats_link *link);
// Goes up at each connect and reconnect: what was asked on the connection before (a pull, a publish) may be lost.
uint64_t nats_link_epoch(struct nats_link *link);
bool nats_link_is_up(struct nats_link *link); // any thread: connected at this moment
// Waits until there is a connection that is up, or the time is over, or nats_link_stop.
void nats_link_wait(struct nats_link *link, int timeout_ms);
void nats_link_stop(struct nats_link *link); // any thread: ends waits and attempts
// After what uses the connection is gone; bounded. False: the library still holds a connection, and the door must live
// on.
bool nats_link_close(struct nats_link *link);

// Versions of librdkafka and cnats as they are at run time.
const char *broker_kafka_version(void);
const char *broker_nats_version(void);

#endif
