// admin: metrics and health over HTTP, by libmicrohttpd.
//
// Knows nothing of what it serves: each page is a function that fills a buffer. It
// listens where it is told, by default on loopback only.
#ifndef PENSTOCK_ADMIN_H
#define PENSTOCK_ADMIN_H

#include "penstock/base.h"

#define ADMIN_PAGE_MAX_BYTES (32 * 1024 * 1024)

// Fills `body` and gives the HTTP status. Called on a thread of the server's, one at a time.
typedef unsigned admin_page(void *ctx, struct buf *body);
struct admin_route {
    const char *path; // "/metrics"
    const char *content_type;
    admin_page *page;
};

struct admin;
// Serves GET and HEAD of `routes` (not copied). `listen`: "127.0.0.1:9464", "[::1]:9464"; port 0 takes a free one.
struct admin *admin_open(const char *listen, const struct admin_route *routes, size_t n_routes, void *ctx,
                         struct status *status);
unsigned admin_port(const struct admin *admin);
void admin_close(struct admin *admin);

// GET `url`, for `penstock health`. False: no answer, or a status other than 200; *status says which. At most 5 s.
bool admin_ask(const char *url, struct buf *body, struct status *status);

#endif
