// nats_link: a NATS connection that is made in the background and never given up.
//
// The library reconnects by itself once it has been connected, but its retry of a
// failed *first* connect is unsound before 3.12, and it closes a connection for good
// when the credentials are refused twice. So a small thread makes the connection,
// hands it to the owner, and makes another when the owner finds it closed.
//
// The owner's thread alone takes and destroys connections; `epoch` tells it that
// whatever it had asked on the connection may be lost.
#include "penstock/broker.h"

#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define CONNECT_TIMEOUT_MS 2000
#define RETRY_FIRST_MS 250
#define RETRY_MAX_MS 5000
#define PING_EVERY_MS 5000
#define PINGS_OUT_MAX 2
#define CLOSE_WAIT_MS 3000
#define SERVERS_MAX 32

struct nats_link {
    struct door_state *door;
    natsOptions *options;
    char shown[128]; // the url without user and password
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool stop;
    natsConnection *made;  // by the thread, not yet seen by the owner
    natsConnection *taken; // the owner's
    unsigned alive;        // connections whose closing the library has not yet told
    uint32_t connects;
    natsStatistics *statistics; // scratch
};

static struct timespec deadline_after(int64_t ms) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

// ---- the library's callbacks, on its threads -------------------------------------

static void on_disconnected(natsConnection *connection, void *closure) {
    (void)connection;
    struct nats_link *link = closure;
    pthread_mutex_lock(&link->mutex);
    bool stop = link->stop;
    pthread_mutex_unlock(&link->mutex);
    if (!stop)
        door_has_trouble(link->door, DOOR_UNREACHABLE, "connection to %s lost, reconnecting", link->shown);
}

static void on_reconnected(natsConnection *connection, void *closure) {
    (void)connection;
    struct nats_link *link = closure;
    door_reconnected(link->door);
    pthread_mutex_lock(&link->mutex);
    pthread_cond_broadcast(&link->cond);
    pthread_mutex_unlock(&link->mutex);
}

static void on_closed(natsConnection *connection, void *closure) {
    (void)connection;
    struct nats_link *link = closure;
    pthread_mutex_lock(&link->mutex);
    if (link->alive > 0)
        link->alive--;
    pthread_cond_broadcast(&link->cond);
    pthread_mutex_unlock(&link->mutex);
}

static void on_error(natsConnection *connection, natsSubscription *subscription, natsStatus error, void *closure) {
    (void)subscription;
    struct nats_link *link = closure;
    if (error == NATS_NOT_PERMITTED) {
        const char *text = NULL;
        natsConnection_GetLastError(connection, &text);
        door_has_trouble(link->door, DOOR_REFUSED, "not permitted: %s", text ? text : natsStatus_GetText(error));
    } else {
        door_has_trouble(link->door, DOOR_REFUSED, "NATS: %s", natsStatus_GetText(error));
    }
}

// ---- settings --------------------------------------------------------------------

static bool is_readable(const char *path, const char *key, struct status *status) {
    if (!path || access(path, R_OK) == 0)
        return true;
    return status_fail(status, STATUS_INVALID, "nats: the file of `%s` cannot be read: %s", key, path);
}

// "nats://user:word@host:4222" -> "nats://host:4222", each of a list.
static void hide_userinfo(const char *url, char *out, size_t size) {
    size_t len = 0;
    while (*url && len + 1 < size) {
        size_t part = strcspn(url, ",");
        const char *at = memrchr(url, '@', part);
        const char *scheme = memmem(url, part, "://", 3);
        const char *rest = at ? at + 1 : url;
        if (at && scheme && scheme < at)
            for (const char *p = url; p < scheme + 3 && len + 1 < size; p++)
                out[len++] = *p;
        for (const char *p = rest; p < url + part && len + 1 < size; p++)
            out[len++] = *p;
        url += part;
        if (*url == ',' && len + 1 < size)
            out[len++] = *url++;
    }
    out[len] = '\0';
}

static natsStatus set_servers(natsOptions *options, const char *url) {
    char *copy = must_strdup(url), *rest = copy;
    const char *servers[SERVERS_MAX];
    int n = 0;
    for (char *one; (one = strsep(&rest, ",")) != NULL;) {
        one += strspn(one, " \t");
        one[strcspn(one, " \t")] = '\0';
        if (one[0] && n < SERVERS_MAX)
            servers[n++] = one;
    }
    natsStatus result = n > 0 ? natsOptions_SetServers(options, servers, n) : NATS_INVALID_ARG;
    free(copy);
    return result;
}

static bool step(natsStatus result, const char *key, struct status *status) {
    if (result == NATS_OK)
        return true;
    return status_fail(status, STATUS_INVALID, "nats: `%s` is not usable: %s", key, natsStatus_GetText(result));
}

static bool set_options(struct nats_link *link, const struct nats_settings *settings, struct status *status) {
    natsOptions *options = link->options;
    if (!is_readable(settings->credentials, "credentials", status) ||
        !is_readable(settings->tls_ca, "tls_ca", status) || !is_readable(settings->tls_cert, "tls_cert", status) ||
        !is_readable(settings->tls_key, "tls_key", status))
        return false;
    if (!step(set_servers(options, settings->url), "url", status))
        return false;
    if (settings->credentials &&
        !step(natsOptions_SetUserCredentialsFromFiles(options, settings->credentials, NULL), "credentials", status))
        return false;
    if (settings->user &&
        !step(natsOptions_SetUserInfo(options, settings->user, settings->password ? settings->password : ""), "user",
              status))
        return false;
    if (settings->token && !step(natsOptions_SetToken(options, settings->token), "token", status))
        return false;
    bool tls = settings->tls || settings->tls_ca || settings->tls_cert;
    if (tls && !step(natsOptions_SetSecure(options, true), "tls", status))
        return false;
    if (settings->tls_ca && !step(natsOptions_LoadCATrustedCertificates(options, settings->tls_ca), "tls_ca", status))
        return false;
    if (settings->tls_cert && !settings->tls_key)
        return status_fail(status, STATUS_INVALID, "nats: `tls_cert` needs `tls_key`");
    return !settings->tls_cert ||
           step(natsOptions_LoadCertificatesChain(options, settings->tls_cert, settings->tls_key), "tls_cert", status);
}

// Ours: these can only fail for want of memory.
static void set_own_options(struct nats_link *link, int offline_bytes) {
    natsOptions *options = link->options;
    char name[128];
    snprintf(name, sizeof name, "penstock %s %s", link->door->room, link->door->name);
    natsStatus result = natsOptions_SetName(options, name);
    result = result == NATS_OK ? natsOptions_SetTimeout(options, CONNECT_TIMEOUT_MS) : result;
    result = result == NATS_OK ? natsOptions_SetMaxReconnect(options, -1) : result;
    result = result == NATS_OK ? natsOptions_SetReconnectWait(options, RETRY_FIRST_MS) : result;
    result = result == NATS_OK ? natsOptions_SetPingInterval(options, PING_EVERY_MS) : result;
    result = result == NATS_OK ? natsOptions_SetMaxPingsOut(options, PINGS_OUT_MAX) : result;
    result = result == NATS_OK ? natsOptions_SetReconnectBufSize(options, offline_bytes) : result;
    result = result == NATS_OK ? natsOptions_SetDisconnectedCB(options, on_disconnected, link) : result;
    result = result == NATS_OK ? natsOptions_SetReconnectedCB(options, on_reconnected, link) : result;
    result = result == NATS_OK ? natsOptions_SetClosedCB(options, on_closed, link) : result;
    result = result == NATS_OK ? natsOptions_SetErrorHandler(options, on_error, link) : result;
    must(result == NATS_OK);
}

// ---- making connections ----------------------------------------------------------

static void report_failure(struct nats_link *link, natsStatus result) {
    if (result == NATS_CONNECTION_AUTH_FAILED || result == NATS_NOT_PERMITTED)
        door_has_trouble(link->door, DOOR_DENIED, "%s refuses the credentials: %s", link->shown,
                         natsStatus_GetText(result));
    else if (result == NATS_SSL_ERROR || result == NATS_SECURE_CONNECTION_REQUIRED ||
             result == NATS_SECURE_CONNECTION_WANTED)
        door_has_trouble(link->door, DOOR_DENIED, "TLS with %s failed: %s", link->shown, natsStatus_GetText(result));
    else
        door_has_trouble(link->door, DOOR_UNREACHABLE, "cannot connect to %s: %s", link->shown,
                         natsStatus_GetText(result));
}

static void *make_connections(void *argument) {
    struct nats_link *link = argument;
    int64_t retry_ms = RETRY_FIRST_MS;
    pthread_mutex_lock(&link->mutex);
    while (!link->stop) {
        if (link->made || link->taken) {
            pthread_cond_wait(&link->cond, &link->mutex);
            continue;
        }
        pthread_mutex_unlock(&link->mutex);
        natsConnection *connection = NULL;
        natsStatus result = natsConnection_Connect(&connection, link->options);
        if (result != NATS_OK)
            report_failure(link, result);
        pthread_mutex_lock(&link->mutex);
        if (result == NATS_OK) {
            link->made = connection;
            link->alive++;
            if (link->connects++ > 0)
                door_reconnected(link->door);
            retry_ms = RETRY_FIRST_MS;
            pthread_cond_broadcast(&link->cond);
        } else {
            struct timespec until = deadline_after(retry_ms);
            while (!link->stop && pthread_cond_timedwait(&link->cond, &link->mutex, &until) == 0)
                ;
            retry_ms = retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : retry_ms * 2;
        }
    }
    pthread_mutex_unlock(&link->mutex);
    nats_ReleaseThreadMemory();
    return NULL;
}

struct nats_link *nats_link_open(const struct nats_settings *settings, int offline_bytes, struct door_state *door,
                                 struct status *status) {
    if (!settings->url || !settings->url[0]) {
        status_fail(status, STATUS_INVALID, "nats: `url` is missing (nats://host:4222)");
        return NULL;
    }
    struct nats_link *link = must_alloc(sizeof *link);
    link->door = door;
    hide_userinfo(settings->url, link->shown, sizeof link->shown);
    must(natsOptions_Create(&link->options) == NATS_OK && natsStatistics_Create(&link->statistics) == NATS_OK);
    if (!set_options(link, settings, status)) {
        natsOptions_Destroy(link->options);
        natsStatistics_Destroy(link->statistics);
        free(link);
        return NULL;
    }
    set_own_options(link, offline_bytes);
    pthread_mutex_init(&link->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&link->cond, &attributes);
    pthread_condattr_destroy(&attributes);
    door_is_waiting(door, "connecting to %s", link->shown);
    must(pthread_create(&link->thread, NULL, make_connections, link) == 0);
    return link;
}

natsConnection *nats_link_connection(struct nats_link *link) {
    natsConnection *closed = NULL;
    pthread_mutex_lock(&link->mutex);
    if (link->taken && natsConnection_IsClosed(link->taken)) {
        closed = link->taken;
        link->taken = NULL;
        pthread_cond_broadcast(&link->cond);
    }
    if (!link->taken) {
        link->taken = link->made;
        link->made = NULL;
    }
    natsConnection *connection = link->taken;
    pthread_mutex_unlock(&link->mutex);
    natsConnection_Destroy(closed);
    return connection;
}

uint64_t nats_link_epoch(struct nats_link *link) {
    // Asked of the connection itself: its callbacks come later than its first use after a reconnect.
    pthread_mutex_lock(&link->mutex);
    natsConnection *connection = link->taken ? link->taken : link->made;
    uint64_t reconnects = 0;
    if (connection && natsConnection_GetStats(connection, link->statistics) == NATS_OK)
        natsStatistics_GetCounts(link->statistics, NULL, NULL, NULL, NULL, &reconnects);
    uint64_t epoch = ((uint64_t)link->connects << 32) + reconnects;
    pthread_mutex_unlock(&link->mutex);
    return epoch;
}

static bool is_up(struct nats_link *link) {
    natsConnection *connection = link->taken ? link->taken : link->made;
    return connection && natsConnection_Status(connection) == NATS_CONN_STATUS_CONNECTED;
}

bool nats_link_is_up(struct nats_link *link) {
    pthread_mutex_lock(&link->mutex);
    bool up = is_up(link);
    pthread_mutex_unlock(&link->mutex);
    return up;
}

void nats_link_wait(struct nats_link *link, int timeout_ms) {
    struct timespec until = deadline_after(timeout_ms);
    pthread_mutex_lock(&link->mutex);
    while (!link->stop && !is_up(link) && pthread_cond_timedwait(&link->cond, &link->mutex, &until) == 0)
        ;
    pthread_mutex_unlock(&link->mutex);
}

void nats_link_stop(struct nats_link *link) {
    pthread_mutex_lock(&link->mutex);
    link->stop = true;
    pthread_cond_broadcast(&link->cond);
    pthread_mutex_unlock(&link->mutex);
}

bool nats_link_close(struct nats_link *link) {
    nats_link_stop(link);
    pthread_join(link->thread, NULL);
    natsConnection_Destroy(link->taken);
    natsConnection_Destroy(link->made);
    // The library tells of the end on a thread of its own and may not find us gone.
    struct timespec until = deadline_after(CLOSE_WAIT_MS);
    pthread_mutex_lock(&link->mutex);
    link->taken = link->made = NULL;
    while (link->alive > 0 && pthread_cond_timedwait(&link->cond, &link->mutex, &until) == 0)
        ;
    bool gone = link->alive == 0;
    pthread_mutex_unlock(&link->mutex);
    if (!gone) {
        logline(LOGLINE_WARN, "broker", "the NATS client library does not let go; leaving a connection behind", NULL);
        return false;
    }
    natsOptions_Destroy(link->options);
    natsStatistics_Destroy(link->statistics);
    pthread_mutex_destroy(&link->mutex);
    pthread_cond_destroy(&link->cond);
    free(link);
    return true;
}
