// zone: fixed offsets, and named time zones read once from the system's database (TZif, RFC 8536) into the expression's
// arena. No process-wide state is touched: neither TZ nor tzset. After the table's last change its yearly rule holds.
#include "zone.h"

#define ZONE_FILE_MAX_BYTES 65536
#define ZONE_FOLDER "/usr/share/zoneinfo/"

struct zone {
    size_t n;
    const int64_t *changes; // ascending
    const int32_t *offsets; // offsets[i] from changes[i] on
    int32_t first;          // before all changes
    struct zone_rule rule;  // after the last one
};

static bool two_digits(struct str s, size_t *at, int64_t *out) {
    size_t begin = *at;
    for (*out = 0; *at < s.len && *at < begin + 2 && s.ptr[*at] >= '0' && s.ptr[*at] <= '9'; (*at)++)
        *out = *out * 10 + (s.ptr[*at] - '0');
    return *at > begin;
}

bool zone_is_offset(struct str name, int64_t *seconds) {
    int64_t hours = 0, minutes = 0;
    size_t at = 0;
    *seconds = 0;
    if (str_eq(name, STR("UTC")) || str_eq(name, STR("Z")) || str_eq(name, STR("GMT")))
        return true;
    bool minus = name.len > 0 && name.ptr[0] == '-';
    if (name.len > 0 && (minus || name.ptr[0] == '+'))
        at = 1;
    if (!two_digits(name, &at, &hours) || at >= name.len || name.ptr[at++] != ':' || !two_digits(name, &at, &minutes))
        return false;
    *seconds = (minus ? -1 : 1) * (hours * 3600 + minutes * 60);
    return at == name.len && hours <= 18 && minutes < 60;
}

static bool is_zone_name(struct str name) {
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                     c == '-' || c == '+' || c == '/';
        if (!plain || (c == '/' && (i == 0 || name.ptr[i - 1] == '/')))
            return false;
    }
    return name.len > 0 && name.len < 64;
}

static uint64_t big_endian(const char *bytes, size_t n) {
    uint64_t out = 0;
    for (size_t i = 0; i < n; i++)
        out = out << 8 | (uint8_t)bytes[i];
    return out;
}

struct header {
    size_t utc, std, leaps, changes, types, letters;
};

static bool read_header(struct str file, struct header *out) {
    if (file.len < 44 || memcmp(file.ptr, "TZif", 4) != 0)
        return false;
    size_t *const fields[] = {&out->utc, &out->std, &out->leaps, &out->changes, &out->types, &out->letters};
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        *fields[i] = (size_t)big_endian(file.ptr + 20 + 4 * i, 4);
        if (*fields[i] > ZONE_FILE_MAX_BYTES)
            return false;
    }
    return true;
}

static size_t block_size(const struct header *h, size_t time_size) {
    return 44 + h->changes * (time_size + 1) + h->types * 6 + h->letters + h->leaps * (time_size + 4) + h->std + h->utc;
}

static struct zone *read_zone(struct arena *arena, struct str file) {
    struct header h;
    if (!read_header(file, &h) || file.ptr[4] < '2' || block_size(&h, 4) > file.len)
        return NULL;
    file = (struct str){file.ptr + block_size(&h, 4), file.len - block_size(&h, 4)};
    if (!read_header(file, &h) || block_size(&h, 8) > file.len || h.types == 0)
        return NULL;
    const char *changes = file.ptr + 44, *kinds = changes + h.changes * 8, *types = kinds + h.changes;
    struct zone *zone = arena_alloc(arena, sizeof *zone);
    int64_t *at = arena_alloc(arena, (h.changes + 1) * sizeof *at);
    int32_t *offsets = arena_alloc(arena, (h.changes + 1) * sizeof *offsets);
    if (!zone || !at || !offsets)
        return NULL;
    for (size_t i = 0; i < h.changes; i++) {
        size_t type = (uint8_t)kinds[i];
        if (type >= h.types)
            return NULL;
        at[i] = (int64_t)big_endian(changes + 8 * i, 8);
        offsets[i] = (int32_t)(uint32_t)big_endian(types + 6 * type, 4);
        if ((i > 0 && at[i] <= at[i - 1]) || offsets[i] < -90000 || offsets[i] > 90000)
            return NULL;
    }
    int32_t first = (int32_t)(uint32_t)big_endian(types, 4);
    if (first < -90000 || first > 90000)
        return NULL;
    *zone = (struct zone){.n = h.changes, .changes = at, .offsets = offsets, .first = first};
    // The rule stands between two line feeds at the end.
    struct str rule = {file.ptr + block_size(&h, 8), file.len - block_size(&h, 8)};
    if (rule.len < 2 || rule.ptr[0] != '\n' || rule.ptr[rule.len - 1] != '\n' ||
        !zone_rule_parse((struct str){rule.ptr + 1, rule.len - 2}, &zone->rule))
        return NULL;
    return zone;
}

const struct zone *zone_load(struct arena *arena, struct str name, const char **why) {
    struct buf path, file;
    const struct zone *zone = NULL;
    *why = "not a time zone of this system; write UTC, an offset as +02:00, or a name as Europe/Zurich";
    if (!is_zone_name(name))
        return NULL;
    buf_init(&path, 256);
    buf_init(&file, ZONE_FILE_MAX_BYTES);
    buf_printf(&path, ZONE_FOLDER "%.*s", STR_ARG(name));
    buf_char(&path, '\0');
    if (file_read(path.ptr, &file, NULL)) {
        *why = "the system's time zone file cannot be read";
        zone = read_zone(arena, buf_view(&file));
    }
    buf_free(&path);
    buf_free(&file);
    return zone;
}

int64_t zone_offset(const struct zone *zone, int64_t seconds) {
    if (zone->n == 0 || seconds >= zone->changes[zone->n - 1])
        return zone_rule_offset(&zone->rule, seconds);
    size_t low = 0, high = zone->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (zone->changes[mid] <= seconds)
            low = mid + 1;
        else
            high = mid;
    }
    return low == 0 ? zone->first : zone->offsets[low - 1];
}
