// zone_rule: the yearly rule at the end of a time zone file ("CET-1CEST,M3.5.0,M10.5.0/3", POSIX TZ with the month form
// of its dates), which holds after the file's last change. Offsets here are east of UTC; the text counts to the west.
#include "zone.h"

#define DAY 86400

struct text {
    const char *at, *end;
};

static bool take(struct text *t, char c) {
    if (t->at == t->end || *t->at != c)
        return false;
    t->at++;
    return true;
}

static bool take_number(struct text *t, int32_t most, int32_t *out) {
    const char *begin = t->at;
    for (*out = 0; t->at < t->end && *t->at >= '0' && *t->at <= '9' && *out <= most; t->at++)
        *out = *out * 10 + (*t->at - '0');
    return t->at > begin && *out <= most;
}

static bool take_name(struct text *t) {
    const char *begin = t->at;
    if (take(t, '<')) {
        while (t->at < t->end && *t->at != '>')
            t->at++;
        return take(t, '>');
    }
    while (t->at < t->end && ((*t->at >= 'a' && *t->at <= 'z') || (*t->at >= 'A' && *t->at <= 'Z')))
        t->at++;
    return t->at - begin >= 3;
}

// [+-]hh[:mm[:ss]] in seconds.
static bool take_time(struct text *t, int32_t *out) {
    int32_t hours, minutes = 0, seconds = 0;
    bool minus = take(t, '-');
    if (!minus)
        take(t, '+');
    if (!take_number(t, 167, &hours) || (take(t, ':') && !take_number(t, 59, &minutes)) ||
        (take(t, ':') && !take_number(t, 59, &seconds)))
        return false;
    *out = (minus ? -1 : 1) * (hours * 3600 + minutes * 60 + seconds);
    return true;
}

static bool take_date(struct text *t, struct zone_date *out) {
    out->time = 7200;
    return take(t, ',') && take(t, 'M') && take_number(t, 12, &out->month) && take(t, '.') &&
           take_number(t, 5, &out->week) && take(t, '.') && take_number(t, 6, &out->weekday) && out->month >= 1 &&
           out->week >= 1 && (!take(t, '/') || take_time(t, &out->time));
}

bool zone_rule_parse(struct str text, struct zone_rule *out) {
    struct text t = {text.ptr, text.ptr + text.len};
    *out = (struct zone_rule){0};
    if (!take_name(&t) || !take_time(&t, &out->standard))
        return false;
    out->standard = -out->standard;
    if (t.at == t.end)
        return true;
    out->has_summer = true;
    out->summer = out->standard + 3600;
    if (!take_name(&t))
        return false;
    if (t.at < t.end && *t.at != ',') {
        if (!take_time(&t, &out->summer))
            return false;
        out->summer = -out->summer;
    }
    return take_date(&t, &out->begin) && take_date(&t, &out->end) && t.at == t.end;
}

static int64_t days_before_month(int64_t year, int64_t month) {
    // Years from March, so that the leap day is the last of its year.
    int64_t y = month <= 2 ? year - 1 : year, m = month <= 2 ? month + 9 : month - 3;
    int64_t era = (y >= 0 ? y : y - 399) / 400, year_of_era = y - era * 400;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + (153 * m + 2) / 5 - 719468;
}

// The date in a year, in seconds of its local time: the n-th such weekday of the month, 5 being the last.
static int64_t date_in(const struct zone_date *date, int64_t year) {
    int64_t first = days_before_month(year, date->month);
    int64_t next = date->month == 12 ? days_before_month(year + 1, 1) : days_before_month(year, date->month + 1);
    int64_t weekday = ((first + 4) % 7 + 7) % 7;
    int64_t day = first + (date->weekday - weekday + 7) % 7 + (date->week - 1) * 7;
    if (day >= next)
        day -= 7;
    return day * DAY + date->time;
}

int64_t zone_rule_offset(const struct zone_rule *rule, int64_t seconds) {
    if (!rule->has_summer)
        return rule->standard;
    // The year by local time; a border at new year is not one any zone has.
    int64_t days = (seconds + rule->standard) / DAY, year = 1970 + (days >= 0 ? days / 366 : days / 365 - 1);
    while (days_before_month(year + 1, 1) <= days)
        year++;
    int64_t begin = date_in(&rule->begin, year) - rule->standard, end = date_in(&rule->end, year) - rule->summer;
    bool summer = begin < end ? seconds >= begin && seconds < end : seconds < end || seconds >= begin;
    return summer ? rule->summer : rule->standard;
}
