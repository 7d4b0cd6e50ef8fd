// The admin listener: a table of pages on one libmicrohttpd thread. Requests are
// small and few, so connections and their time are bounded low.
#include "penstock/admin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 64
#define CONNECTION_TIMEOUT_S 10

struct admin {
    struct MHD_Daemon *daemon;
    const struct admin_route *routes;
    size_t n_routes;
    void *ctx;
    unsigned port;
};

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned code, const char *type, struct str body) {
    struct MHD_Response *response = MHD_create_response_from_buffer(body.len, (void *)body.ptr, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    enum MHD_Result result = MHD_queue_response(connection, code, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result serve(void *ctx, struct MHD_Connection *connection, const char *url, const char *method,
                             const char *version, const char *upload, size_t *upload_size, void **request) {
    (void)version, (void)upload, (void)upload_size, (void)request;
    const struct admin *admin = ctx;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain", STR("only GET here\n"));
    for (size_t i = 0; i < admin->n_routes; i++) {
        if (strcmp(url, admin->routes[i].path) != 0)
            continue;
        struct buf body;
        buf_init(&body, ADMIN_PAGE_MAX_BYTES);
        unsigned code = admin->routes[i].page(admin->ctx, &body);
        enum MHD_Result result = answer(connection, code, admin->routes[i].content_type, buf_view(&body));
        buf_free(&body);
        return result;
    }
    return answer(connection, MHD_HTTP_NOT_FOUND, "text/plain",
                  STR("no such page; there are /metrics /healthz /readyz\n"));
}

static bool parse_listen(const char *listen, struct sockaddr_storage *address, socklen_t *len, struct status *status) {
    const char *colon = strrchr(listen, ':');
    int64_t port = -1;
    if (!colon || !str_to_int64(str_of(colon + 1), &port) || port < 0 || port > 65535)
        return status_fail(status, STATUS_INVALID, "listen: '%s' is not an address and a port, as in 127.0.0.1:9464",
                           listen);
    struct str host = {listen, (size_t)(colon - listen)};
    if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = (struct str){host.ptr + 1, host.len - 2};
    struct ip_address ip;
    if (!ip_parse(host, &ip))
        return status_fail(status, STATUS_INVALID,
                           "listen: '%.*s' is not an IP address; use 127.0.0.1 for this machine alone, 0.0.0.0 for all",
                           STR_ARG(host));
    memset(address, 0, sizeof *address);
    if (ip.v4) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)address;
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        memcpy(&v4->sin_addr, ip.bytes + 12, 4);
        *len = sizeof *v4;
    } else {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        memcpy(&v6->sin6_addr, ip.bytes, 16);
        *len = sizeof *v6;
    }
    return true;
}

static unsigned bound_port(int socket) {
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    must(getsockname(socket, (struct sockaddr *)&address, &len) == 0);
    // NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): getsockname has filled it
    return ntohs(address.ss_family == AF_INET ? ((struct sockaddr_in *)&address)->sin_port
                                              : ((struct sockaddr_in6 *)&address)->sin6_port);
}

// The socket is ours, so that a taken port is a clear message and not the library's NULL.
static int open_socket(const char *listen_at, struct status *status) {
    struct sockaddr_storage address = {0};
    socklen_t len = 0;
    if (!parse_listen(listen_at, &address, &len, status))
        return -1;
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0 && listen(fd, CONNECTIONS_MAX) == 0)
        return fd;
    int error = errno;
    if (fd >= 0)
        close(fd);
    status_errno(status, error, "cannot listen on %s%s", listen_at,
                 error == EADDRINUSE ? " (another process has the port: stop it, or set `listen` to another)" : "");
    return -1;
}

struct admin *admin_open(const char *listen_at, const struct admin_route *routes, size_t n_routes, void *ctx,
                         struct status *status) {
    int fd = open_socket(listen_at, status);
    if (fd < 0)
        return NULL;
    struct admin *admin = must_alloc(sizeof *admin);
    *admin = (struct admin){.routes = routes, .n_routes = n_routes, .ctx = ctx, .port = bound_port(fd)};
    admin->daemon =
        MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, serve, admin, MHD_OPTION_LISTEN_SOCKET, fd,
                         MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                         (unsigned)CONNECTION_TIMEOUT_S, MHD_OPTION_END);
    if (!admin->daemon) {
        close(fd);
        free(admin);
        status_fail(status, STATUS_IO, "the HTTP server did not start on %s", listen_at);
        return NULL;
    }
    return admin;
}

unsigned admin_port(const struct admin *admin) {
    return admin->port;
}

void admin_close(struct admin *admin) {
    if (!admin)
        return;
    MHD_stop_daemon(admin->daemon);
    free(admin);
}
