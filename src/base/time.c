// time: instants as text and number. Real events write time in many ways; the forms
// accepted are exactly those of the header, each read strictly: a text that is
// nearly a time is no time, because a wrong instant does more harm than none.
// Instants lie between the years 1 and 9999, which four-digit years can write.
#include "penstock/base.h"

#include <stdio.h>

#define SECONDS_PER_DAY 86400
#define NANOS_PER_SECOND 1000000000
#define FIRST_SECOND (-62135596800) // 0001-01-01T00:00:00Z
#define LAST_SECOND 253402300799    // 9999-12-31T23:59:59Z

struct civil {
    int64_t year;
    int month, day, hour, minute, second;
    int32_t nanos;
};

static bool is_leap_year(int64_t year) {
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in_month(int64_t year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap_year(year) ? 29 : days[month - 1];
}

// The calendar's arithmetic is Howard Hinnant's ("chrono-compatible low-level date algorithms"): years begin in March,
// so that the leap day is the last of the year, and 400 years are one era of 146,097 days.
static int64_t days_of_civil(int64_t year, int month, int day) {
    int64_t shifted = month <= 2 ? year - 1 : year;
    int64_t era = (shifted >= 0 ? shifted : shifted - 399) / 400;
    int64_t year_of_era = shifted - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void civil_of_days(int64_t days, struct civil *out) {
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    out->day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
    out->month = (int)(month < 10 ? month + 3 : month - 9);
    out->year = year_of_era + era * 400 + (out->month <= 2);
}

static bool take_char(struct str *s, char c) {
    if (s->len == 0 || s->ptr[0] != c)
        return false;
    s->ptr++;
    s->len--;
    return true;
}

// Between `least` and `most` digits, as many as stand there; a further digit is left and fails what follows.
static bool take_digits(struct str *s, size_t least, size_t most, int *out) {
    size_t n = 0;
    int number = 0;
    while (n < most && n < s->len && s->ptr[n] >= '0' && s->ptr[n] <= '9')
        number = number * 10 + (s->ptr[n++] - '0');
    if (n < least)
        return false;
    s->ptr += n;
    s->len -= n;
    *out = number;
    return true;
}

// The digits behind a decimal point; what is finer than a nanosecond is cut off.
static bool take_fraction(struct str *s, int32_t *nanos) {
    int32_t scale = NANOS_PER_SECOND / 10, sum = 0;
    size_t n = 0;
    for (; n < s->len && s->ptr[n] >= '0' && s->ptr[n] <= '9'; n++) {
        sum += (s->ptr[n] - '0') * scale;
        scale /= 10;
    }
    if (n == 0 || n > 18)
        return false;
    s->ptr += n;
    s->len -= n;
    *nanos = sum;
    return true;
}

// The instant of a checked clock reading. A leap second (23:59:60 UTC) counts as the second after it.
static bool instant_of(const struct civil *civil, int offset_seconds, int64_t *sec, int32_t *nanos) {
    if (civil->year < 1 || civil->month < 1 || civil->month > 12 || civil->day < 1 ||
        civil->day > days_in_month(civil->year, civil->month))
        return false;
    if (civil->hour > 23 || civil->minute > 59 || civil->second > 60)
        return false;
    int64_t instant = days_of_civil(civil->year, civil->month, civil->day) * SECONDS_PER_DAY + civil->hour * 3600 +
                      civil->minute * 60 + civil->second - offset_seconds;
    if (civil->second == 60 && instant % SECONDS_PER_DAY != 0)
        return false;
    if (instant < FIRST_SECOND || instant > LAST_SECOND)
        return false;
    *sec = instant;
    *nanos = civil->nanos;
    return true;
}

// Nothing (UTC), "Z", "UTC", "+02:00", "+0200", each perhaps after one space.
static bool take_zone(struct str *s, int *offset_seconds) {
    *offset_seconds = 0;
    if (s->len == 0)
        return true;
    take_char(s, ' ');
    if (str_eq_fold(*s, STR("Z")) || str_eq_fold(*s, STR("UTC"))) {
        s->ptr += s->len;
        s->len = 0;
        return true;
    }
    int sign = 1, hours, minutes;
    if (take_char(s, '-'))
        sign = -1;
    else if (!take_char(s, '+'))
        return false;
    if (!take_digits(s, 2, 2, &hours))
        return false;
    take_char(s, ':');
    if (!take_digits(s, 2, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *offset_seconds = sign * (hours * 3600 + minutes * 60);
    return true;
}

static bool take_clock(struct str *s, size_t least_hour_digits, struct civil *civil) {
    return take_digits(s, least_hour_digits, 2, &civil->hour) && take_char(s, ':') &&
           take_digits(s, 2, 2, &civil->minute) && take_char(s, ':') && take_digits(s, 2, 2, &civil->second) &&
           (!take_char(s, '.') || take_fraction(s, &civil->nanos));
}

static bool parse_iso(struct str s, int64_t *sec, int32_t *nanos) {
    struct civil civil = {0};
    int year, offset_seconds;
    if (!take_digits(&s, 4, 4, &year) || !take_char(&s, '-') || !take_digits(&s, 2, 2, &civil.month) ||
        !take_char(&s, '-') || !take_digits(&s, 2, 2, &civil.day))
        return false;
    civil.year = year;
    if (!take_char(&s, 'T') && !take_char(&s, 't') && !take_char(&s, ' '))
        return false;
    if (!take_clock(&s, 2, &civil) || !take_zone(&s, &offset_seconds) || s.len != 0)
        return false;
    return instant_of(&civil, offset_seconds, sec, nanos);
}

static bool parse_us(struct str s, int64_t *sec, int32_t *nanos) {
    struct civil civil = {0};
    int year;
    if (!take_digits(&s, 1, 2, &civil.month) || !take_char(&s, '/') || !take_digits(&s, 1, 2, &civil.day) ||
        !take_char(&s, '/') || !take_digits(&s, 4, 4, &year) || !take_char(&s, ' ') || !take_clock(&s, 1, &civil) ||
        !take_char(&s, ' '))
        return false;
    civil.year = year;
    bool afternoon = str_eq_fold(s, STR("PM"));
    if ((!afternoon && !str_eq_fold(s, STR("AM"))) || civil.hour < 1 || civil.hour > 12)
        return false;
    civil.hour = civil.hour % 12 + (afternoon ? 12 : 0);
    return instant_of(&civil, 0, sec, nanos);
}

// Which unit a count since 1970 has, by its magnitude. The borders leave each unit the years 1973 to 5138, but for two:
// seconds reach down to 1970, and counts that as nanoseconds would lie in 1973-1975 are far likelier Windows' file
// times (100 ns since 1601) of 1970-2110, which some collectors put into the same field.
#define TICKS_AT_1970 116444736000000000
#define TICKS_AT_2110 160640000000000000
#define SECONDS_BELOW 100000000000
#define MILLIS_BELOW 100000000000000
#define MICROS_BELOW 100000000000000000

// Units in a second, and the count's zero.
static void unit_of(int64_t number, int64_t *per_second, int64_t *origin) {
    *origin = 0;
    if (number < SECONDS_BELOW) {
        *per_second = 1;
    } else if (number < MILLIS_BELOW) {
        *per_second = 1000;
    } else if (number < MICROS_BELOW) {
        *per_second = 1000000;
    } else if (number >= TICKS_AT_1970 && number < TICKS_AT_2110) {
        *per_second = 10000000;
        *origin = TICKS_AT_1970;
    } else {
        *per_second = NANOS_PER_SECOND;
    }
}

bool time_from_int(int64_t number, int64_t *sec, int32_t *nanos) {
    if (number < 0) // -1 and the like stand for "no time"
        return false;
    int64_t per_second, origin;
    unit_of(number, &per_second, &origin);
    number -= origin;
    *sec = number / per_second;
    *nanos = (int32_t)(number % per_second * (NANOS_PER_SECOND / per_second));
    return true;
}

bool time_from_number(double number, int64_t *sec, int32_t *nanos) {
    if (!(number >= 0 && number < 9.2e18))
        return false;
    int64_t whole = (int64_t)number, per_second, origin;
    unit_of(whole, &per_second, &origin);
    if (per_second > 1000) // no room for a fraction in a double
        return time_from_int(whole, sec, nanos);
    // A double holds today's time to about a quarter of a microsecond: finer digits would be noise.
    int64_t micros_per_unit = 1000000 / per_second;
    double fraction = number - (double)whole;
    int64_t micros = whole * micros_per_unit + (int64_t)(fraction * (double)micros_per_unit + 0.5);
    *sec = micros / 1000000;
    *nanos = (int32_t)(micros % 1000000 * 1000);
    return true;
}

// "1700000000", "1700000000.123456": digits are kept exactly, as no double would.
static bool parse_epoch(struct str s, int64_t *sec, int32_t *nanos) {
    size_t digits = 0;
    while (digits < s.len && s.ptr[digits] >= '0' && s.ptr[digits] <= '9')
        digits++;
    int64_t whole;
    if (!str_to_int64((struct str){s.ptr, digits}, &whole) || !time_from_int(whole, sec, nanos))
        return false;
    s.ptr += digits;
    s.len -= digits;
    if (s.len == 0)
        return true;
    int32_t fraction = 0; // billionths of the unit
    if (!take_char(&s, '.') || !take_fraction(&s, &fraction) || s.len != 0)
        return false;
    int64_t per_second, origin;
    unit_of(whole, &per_second, &origin);
    *nanos += (int32_t)(fraction / per_second);
    return true;
}

bool time_parse(struct str text, int64_t *sec, int32_t *nanos) {
    if (text.len == 0 || text.len > 64)
        return false;
    if (text.len > 4 && text.ptr[4] == '-')
        return parse_iso(text, sec, nanos);
    if (memchr(text.ptr, '/', text.len))
        return parse_us(text, sec, nanos);
    return parse_epoch(text, sec, nanos);
}

// Instants outside of the four-digit years are shown as the nearest one inside.
static size_t format_civil(int64_t sec, char out[TIME_TEXT_MAX]) {
    if (sec < FIRST_SECOND)
        sec = FIRST_SECOND;
    if (sec > LAST_SECOND)
        sec = LAST_SECOND;
    int64_t days = sec / SECONDS_PER_DAY, second_of_day = sec % SECONDS_PER_DAY;
    if (second_of_day < 0) {
        second_of_day += SECONDS_PER_DAY;
        days--;
    }
    struct civil civil;
    civil_of_days(days, &civil);
    int len = snprintf(out, TIME_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02d", (int)civil.year, civil.month, civil.day,
                       (int)(second_of_day / 3600), (int)(second_of_day / 60 % 60), (int)(second_of_day % 60));
    must(len == 19);
    return (size_t)len;
}

size_t time_format_ms(int64_t ms, char out[TIME_TEXT_MAX]) {
    int64_t sec = ms / 1000, millis = ms % 1000;
    if (millis < 0) {
        millis += 1000;
        sec--;
    }
    size_t len = format_civil(sec, out);
    return len + (size_t)snprintf(out + len, TIME_TEXT_MAX - len, ".%03dZ", (int)millis);
}

size_t time_format(int64_t sec, int32_t nanos, char out[TIME_TEXT_MAX]) {
    must(nanos >= 0 && nanos < NANOS_PER_SECOND);
    size_t len = format_civil(sec, out);
    if (nanos % 1000 != 0)
        len += (size_t)snprintf(out + len, TIME_TEXT_MAX - len, ".%09d", (int)nanos);
    else if (nanos % 1000000 != 0)
        len += (size_t)snprintf(out + len, TIME_TEXT_MAX - len, ".%06d", (int)(nanos / 1000));
    else if (nanos != 0)
        len += (size_t)snprintf(out + len, TIME_TEXT_MAX - len, ".%03d", (int)(nanos / 1000000));
    out[len++] = 'Z';
    out[len] = '\0';
    return len;
}
