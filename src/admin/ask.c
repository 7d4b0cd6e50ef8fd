// The client side of the admin listener, for a container's health check: one GET by
// libcurl, bounded in time and size.
#include <curl/curl.h>

#include "penstock/admin.h"

#define ASK_TIMEOUT_MS 5000L

static size_t take(char *bytes, size_t size, size_t n, void *ctx) {
    buf_add(ctx, bytes, size * n);
    return size * n;
}

bool admin_ask(const char *url, struct buf *body, struct status *status) {
    CURL *curl = curl_easy_init();
    must(curl != NULL);
    long code = 0;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(curl, CURLOPT_PROXY,
                     ""); // the listener is this machine's; a proxy from the environment would be in the way
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, ASK_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    CURLcode result = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
    curl_easy_cleanup(curl);
    if (result != CURLE_OK)
        return status_fail(status, STATUS_UNAVAILABLE, "%s: %s", url, curl_easy_strerror(result));
    if (code != 200)
        return status_fail(status, STATUS_UNAVAILABLE, "%s: %ld %.*s", url, code, (int)str_trim(buf_view(body)).len,
                           str_trim(buf_view(body)).ptr);
    return true;
}
