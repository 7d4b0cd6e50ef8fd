// ip: addresses and networks. Everything is kept as 128 bits, IPv4 in the mapped
// range ::ffff:0:0/96, so that one comparison serves both; a mapped address is
// the IPv4 address, however it was written.
#include "penstock/base.h"

#include <arpa/inet.h>

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

// Any text that is not an address alone ("10.1", "010.0.0.1", "fe80::1%eth0") is refused by inet_pton.
bool ip_parse(struct str text, struct ip_address *out) {
    char copy[INET6_ADDRSTRLEN];
    if (text.len == 0 || text.len >= sizeof copy || memchr(text.ptr, '\0', text.len))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    struct ip_address ip = {0};
    if (inet_pton(AF_INET, copy, ip.bytes + sizeof mapped_prefix) == 1)
        memcpy(ip.bytes, mapped_prefix, sizeof mapped_prefix);
    else if (inet_pton(AF_INET6, copy, ip.bytes) != 1)
        return false;
    ip.v4 = memcmp(ip.bytes, mapped_prefix, sizeof mapped_prefix) == 0;
    *out = ip;
    return true;
}

static bool is_number_up_to(struct str text, int64_t most, int64_t *out) {
    if (text.len == 0 || text.len > 5 || (text.len > 1 && text.ptr[0] == '0'))
        return false;
    return str_to_int64(text, out) && *out >= 0 && *out <= most;
}

bool ip_parse_port(struct str text, struct ip_address *out) {
    if (ip_parse(text, out))
        return true;
    if (text.len == 0)
        return false;
    struct str host = text, port = {0};
    if (text.ptr[0] == '[') {
        const char *close = memchr(text.ptr, ']', text.len);
        if (!close)
            return false;
        host = (struct str){text.ptr + 1, (size_t)(close - text.ptr) - 1};
        port = (struct str){close + 1, text.len - host.len - 2};
        if (!memchr(host.ptr, ':', host.len))
            return false;
        if (port.len == 0)
            return ip_parse(host, out);
    } else {
        const char *colon = memchr(text.ptr, ':', text.len);
        if (!colon)
            return false;
        host.len = (size_t)(colon - text.ptr);
        port = (struct str){colon, text.len - host.len};
    }
    int64_t number;
    return port.ptr[0] == ':' && is_number_up_to((struct str){port.ptr + 1, port.len - 1}, UINT16_MAX, &number) &&
           ip_parse(host, out);
}

bool ip_network_parse(struct str text, struct ip_network *out) {
    struct str host = text, prefix = {0};
    const char *slash = text.len ? memchr(text.ptr, '/', text.len) : NULL;
    if (slash) {
        host.len = (size_t)(slash - text.ptr);
        prefix = (struct str){slash + 1, text.len - host.len - 1};
    }
    struct ip_network network = {.bits = 128};
    if (!ip_parse(host, &network.address))
        return false;
    if (slash) {
        bool dotted = memchr(host.ptr, ':', host.len) == NULL;
        int64_t bits;
        if (!is_number_up_to(prefix, dotted ? 32 : 128, &bits))
            return false;
        network.bits = (uint8_t)(dotted ? bits + 96 : bits);
        if (network.bits < 96) // "::ffff:1.2.3.4/64" is more than IPv4
            network.address.v4 = false;
    }
    *out = network;
    return true;
}

bool ip_in_network(const struct ip_address *ip, const struct ip_network *network) {
    must(network->bits <= 128);
    size_t whole = network->bits / 8;
    unsigned rest = network->bits % 8;
    if (memcmp(ip->bytes, network->address.bytes, whole) != 0)
        return false;
    return rest == 0 || (ip->bytes[whole] ^ network->address.bytes[whole]) >> (8 - rest) == 0;
}

size_t ip_format(const struct ip_address *ip, char out[48]) {
    const char *text = ip->v4 ? inet_ntop(AF_INET, ip->bytes + sizeof mapped_prefix, out, 48)
                              : inet_ntop(AF_INET6, ip->bytes, out, 48);
    must(text != NULL);
    return strlen(out);
}
