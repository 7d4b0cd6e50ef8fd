// functions_net: addresses and networks: CEL's network extension, and ip_in, which asks of a text whether it lies in a
// network. An IPv4 address in IPv6 hexadecimal form is that IPv4 address; the mixed form ::ffff:1.2.3.4 is refused.
#include "ast.h"

#include <stdio.h>

static const struct value bad_ip = {.type = VALUE_ERROR, .string = {"this string is not an IP address", 32}};
static const struct value bad_cidr = {.type = VALUE_ERROR,
                                      .string = {"this string is not a network; write it as 10.0.0.0/8", 52}};

static bool parse_strict(struct str text, struct ip_address *out) {
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    bool mixed = text.len > 0 && memchr(text.ptr, ':', text.len) && memchr(text.ptr, '.', text.len);
    if (mixed || (text.len > 0 && memchr(text.ptr, '%', text.len)) || !ip_parse(text, out))
        return false;
    out->v4 = memcmp(out->bytes, mapped, sizeof mapped) == 0;
    return true;
}

// The host bits stay: masked() clears them.
static bool parse_cidr(struct str text, struct ip_network *out) {
    const char *slash = text.len > 0 ? memchr(text.ptr, '/', text.len) : NULL;
    int64_t bits;
    if (!slash)
        return false;
    size_t len = (size_t)(slash - text.ptr);
    struct str behind = {slash + 1, text.len - len - 1};
    bool digits = behind.len > 0 && behind.len <= 3 && behind.ptr[0] >= '0' && behind.ptr[0] <= '9' &&
                  (behind.len == 1 || behind.ptr[0] != '0');
    if (!digits || !parse_strict((struct str){text.ptr, len}, &out->address) || !str_to_int64(behind, &bits) ||
        bits > (out->address.v4 ? 32 : 128))
        return false;
    out->bits = (uint8_t)(bits + (out->address.v4 ? 96 : 0));
    return true;
}

static void mask_host(struct ip_network *network) {
    for (unsigned i = 0; i < 16; i++) {
        unsigned keep = network->bits >= (i + 1) * 8 ? 8 : network->bits > i * 8 ? network->bits - i * 8 : 0;
        network->address.bytes[i] = (uint8_t)(network->address.bytes[i] & (0xFF00u >> keep));
    }
}

static struct value make_ip(struct run *run, const struct ip_address *ip) {
    struct ip_address *copy = run_alloc(run, sizeof *copy);
    if (!copy)
        return run_failure(run);
    *copy = *ip;
    return (struct value){.type = VALUE_IP, .ip = copy};
}

static struct value make_cidr(struct run *run, const struct ip_network *network) {
    struct ip_network *copy = run_alloc(run, sizeof *copy);
    if (!copy)
        return run_failure(run);
    *copy = *network;
    return (struct value){.type = VALUE_CIDR, .network = copy};
}

static struct value ip_of_text(struct run *run, const struct node *node, const struct value *args) {
    struct ip_address ip;
    (void)node;
    return parse_strict(args->string, &ip) ? make_ip(run, &ip) : bad_ip;
}

static struct value cidr_of_text(struct run *run, const struct node *node, const struct value *args) {
    struct ip_network network;
    (void)node;
    return parse_cidr(args->string, &network) ? make_cidr(run, &network) : bad_cidr;
}

static struct value itself(struct run *run, const struct node *node, const struct value *args) {
    (void)run, (void)node;
    return *args;
}

static struct value is_ip(struct run *run, const struct node *node, const struct value *args) {
    struct ip_address ip;
    (void)run, (void)node;
    return value_bool(parse_strict(args->string, &ip));
}

static struct value is_cidr(struct run *run, const struct node *node, const struct value *args) {
    struct ip_network network;
    (void)run, (void)node;
    return value_bool(parse_cidr(args->string, &network));
}

static struct value is_canonical(struct run *run, const struct node *node, const struct value *args) {
    struct ip_address ip;
    char out[48];
    (void)run, (void)node;
    if (!parse_strict(args->string, &ip))
        return bad_ip;
    size_t len = ip_format(&ip, out);
    return value_bool(str_eq(args->string, (struct str){out, len}));
}

static struct value family(struct run *run, const struct node *node, const struct value *args) {
    (void)run, (void)node;
    return value_int(args->ip->v4 ? 4 : 6);
}

static bool is_zero(const uint8_t *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

enum { UNSPECIFIED = 1, LOOPBACK = 2, LINK_UNICAST = 4, LINK_MULTICAST = 8, GLOBAL_UNICAST = 16 };

static unsigned ip_classes(const struct ip_address *ip) {
    const uint8_t *b = ip->bytes, *v4 = b + 12;
    unsigned is = 0;
    if (ip->v4) {
        is |= is_zero(v4, 4) ? UNSPECIFIED : 0u;
        is |= v4[0] == 127 ? LOOPBACK : 0u;
        is |= v4[0] == 169 && v4[1] == 254 ? LINK_UNICAST : 0u;
        is |= v4[0] == 224 && v4[1] == 0 && v4[2] == 0 ? LINK_MULTICAST : 0u;
        bool broadcast = v4[0] == 255 && v4[1] == 255 && v4[2] == 255 && v4[3] == 255,
             multicast = (v4[0] & 0xF0) == 0xE0;
        return is | (is == 0 && !broadcast && !multicast ? GLOBAL_UNICAST : 0u);
    }
    is |= is_zero(b, 16) ? UNSPECIFIED : 0u;
    is |= is_zero(b, 15) && b[15] == 1 ? LOOPBACK : 0u;
    is |= b[0] == 0xFE && (b[1] & 0xC0) == 0x80 ? LINK_UNICAST : 0u;
    is |= b[0] == 0xFF && (b[1] & 0x0F) == 0x02 ? LINK_MULTICAST : 0u;
    return is | (is == 0 && b[0] != 0xFF ? GLOBAL_UNICAST : 0u);
}

#define IS_CLASS(function_name, class) \
    static struct value function_name(struct run *run, const struct node *node, const struct value *args) { \
        (void)run, (void)node; \
        return value_bool((ip_classes(args->ip) & (class)) != 0); \
    }
IS_CLASS(is_unspecified, UNSPECIFIED)
IS_CLASS(is_loopback, LOOPBACK)
IS_CLASS(is_global_unicast, GLOBAL_UNICAST)
IS_CLASS(is_link_unicast, LINK_UNICAST)
IS_CLASS(is_link_multicast, LINK_MULTICAST)

static bool network_has(const struct ip_network *network, const struct ip_address *ip) {
    return network->address.v4 == ip->v4 && ip_in_network(ip, network);
}

static struct value contains_ip(struct run *run, const struct node *node, const struct value *args) {
    struct ip_address ip;
    (void)run, (void)node;
    if (args[1].type == VALUE_IP)
        return value_bool(network_has(args[0].network, args[1].ip));
    return parse_strict(args[1].string, &ip) ? value_bool(network_has(args[0].network, &ip)) : bad_ip;
}

static struct value contains_cidr(struct run *run, const struct node *node, const struct value *args) {
    struct ip_network parsed;
    const struct ip_network *outer = args[0].network, *inner = &parsed;
    (void)run, (void)node;
    if (args[1].type == VALUE_CIDR)
        inner = args[1].network;
    else if (!parse_cidr(args[1].string, &parsed))
        return bad_cidr;
    return value_bool(inner->bits >= outer->bits && network_has(outer, &inner->address));
}

static struct value ip_of_cidr(struct run *run, const struct node *node, const struct value *args) {
    (void)run, (void)node;
    return (struct value){.type = VALUE_IP, .ip = &args->network->address};
}

static struct value masked(struct run *run, const struct node *node, const struct value *args) {
    struct ip_network network = *args->network;
    (void)node;
    mask_host(&network);
    return make_cidr(run, &network);
}

static struct value prefix_length(struct run *run, const struct node *node, const struct value *args) {
    (void)run, (void)node;
    return value_int(args->network->bits - (args->network->address.v4 ? 96 : 0));
}

// Whether the address lies in one network, given as text or as cidr(…). *bad: it is no network.
static bool in_one(const struct ip_address *ip, const struct value *network, bool *bad) {
    struct ip_network parsed;
    if (network->type == VALUE_CIDR)
        return ip_in_network(ip, network->network);
    *bad = network->type != VALUE_STRING || !ip_network_parse(network->string, &parsed);
    return !*bad && ip_in_network(ip, &parsed);
}

// ip_in(text or ip, network or a list of them). Text that is no address lies in none.
static struct value ip_in(struct run *run, const struct node *node, const struct value *args) {
    static const char error[] = "ip_in: not a network; write it as 10.0.0.0/8";
    struct ip_address parsed;
    const struct ip_address *ip = args[0].type == VALUE_IP ? args[0].ip : &parsed;
    bool bad = false;
    (void)node;
    if (args[0].type == VALUE_STRING && !ip_parse_port(args[0].string, &parsed))
        return value_bool(false);
    if (args[1].type != VALUE_LIST) {
        bool in = in_one(ip, &args[1], &bad);
        return bad ? value_error(error) : value_bool(in);
    }
    const struct value_source *source = args[1].container.source;
    uint64_t cursor = 0;
    struct value item;
    bool any_bad = false;
    while (source->next(source, args[1].container.node, &cursor, NULL, &item)) {
        if (!run_charge(run, 1))
            return run_failure(run);
        if (in_one(ip, &item, &bad))
            return value_bool(true);
        any_bad |= bad;
    }
    return any_bad ? value_error(error) : value_bool(false);
}

static const struct function functions[] = {
    {"ip", "s", 'I', false, ip_of_text},
    {"ip", "I", 'I', false, itself},
    {"ip", "C", 'I', true, ip_of_cidr},
    {"cidr", "s", 'C', false, cidr_of_text},
    {"cidr", "C", 'C', false, itself},
    {"isIP", "s", 'b', false, is_ip},
    {"isCIDR", "s", 'b', false, is_cidr},
    {"ip.isCanonical", "s", 'b', false, is_canonical},
    {"family", "I", 'i', true, family},
    {"isUnspecified", "I", 'b', true, is_unspecified},
    {"isLoopback", "I", 'b', true, is_loopback},
    {"isGlobalUnicast", "I", 'b', true, is_global_unicast},
    {"isLinkLocalUnicast", "I", 'b', true, is_link_unicast},
    {"isLinkLocalMulticast", "I", 'b', true, is_link_multicast},
    {"containsIP", "Cs", 'b', true, contains_ip},
    {"containsIP", "CI", 'b', true, contains_ip},
    {"containsCIDR", "Cs", 'b', true, contains_cidr},
    {"containsCIDR", "CC", 'b', true, contains_cidr},
    {"masked", "C", 'C', true, masked},
    {"prefixLength", "C", 'i', true, prefix_length},
    {"ip_in", "ss", 'b', false, ip_in},
    {"ip_in", "sC", 'b', false, ip_in},
    {"ip_in", "sl", 'b', false, ip_in},
    {"ip_in", "Is", 'b', false, ip_in},
    {"ip_in", "IC", 'b', false, ip_in},
    {"ip_in", "Il", 'b', false, ip_in},
};
const struct function_group net_functions = {functions, COUNT_OF(functions)};
