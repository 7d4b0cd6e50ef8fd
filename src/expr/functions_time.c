// functions_time: what a timestamp's calendar and a duration say. Months and days count from 0, as CEL has it; getDate
// alone counts from 1.
#include "ast.h"

#define SECONDS_MIN (-62135596800) // 0001-01-01T00:00:00Z
#define SECONDS_MAX 253402300799   // 9999-12-31T23:59:59Z
#define NANOS 1000000000
#define DAY 86400

bool timestamp_make(int64_t seconds, int64_t nanos, struct value *out) {
    int64_t carry = nanos / NANOS;
    nanos %= NANOS;
    if (nanos < 0) {
        nanos += NANOS;
        carry--;
    }
    if (__builtin_add_overflow(seconds, carry, &seconds) || seconds < SECONDS_MIN || seconds > SECONDS_MAX)
        return false;
    *out = value_timestamp(seconds, (int32_t)nanos);
    return true;
}

bool duration_make(int64_t seconds, int64_t nanos, struct value *out) {
    int64_t total;
    if (__builtin_mul_overflow(seconds, (int64_t)NANOS, &total) || __builtin_add_overflow(total, nanos, &total))
        return false;
    *out = (struct value){.type = VALUE_DURATION, .nanos = (int32_t)(total % NANOS), .seconds = total / NANOS};
    return true;
}

struct calendar {
    int64_t year, month, day, hour, minute, second; // month and day from 1
    int64_t weekday, year_day;                      // from 0; 0 is Sunday
};

// Howard Hinnant's days-to-civil: eras of 400 years, years from March.
static struct calendar calendar_of(int64_t seconds) {
    int64_t days = seconds / DAY, rest = seconds % DAY;
    if (rest < 0) {
        rest += DAY;
        days--;
    }
    struct calendar c = {
        .hour = rest / 3600, .minute = rest / 60 % 60, .second = rest % 60, .weekday = ((days + 4) % 7 + 7) % 7};
    int64_t shifted = days + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097, era_day = shifted - era * 146097;
    int64_t era_year = (era_day - era_day / 1460 + era_day / 36524 - era_day / 146096) / 365;
    int64_t march_day = era_day - (365 * era_year + era_year / 4 - era_year / 100),
            march_month = (5 * march_day + 2) / 153;
    c.day = march_day - (153 * march_month + 2) / 5 + 1;
    c.month = march_month < 10 ? march_month + 3 : march_month - 9;
    c.year = era_year + era * 400 + (c.month <= 2);
    bool leap = (c.year % 4 == 0 && c.year % 100 != 0) || c.year % 400 == 0;
    c.year_day = c.month > 2 ? march_day + 59 + leap : march_day - 306;
    return c;
}

// The time where the second argument says; false: *error.
static bool local_calendar(const struct node *node, const struct value *args, struct calendar *out,
                           struct value *error) {
    int64_t offset = 0, seconds;
    if (node->n == 2 && node->zone)
        offset = zone_offset(node->zone, args[0].seconds);
    else if (node->n == 2 && !zone_is_offset(args[1].string, &offset)) {
        *error = value_error(
            "a time zone that is computed must be UTC or an offset as +02:00; names must stand as constants");
        return false;
    }
    if (__builtin_add_overflow(args[0].seconds, offset, &seconds) || seconds < SECONDS_MIN - DAY ||
        seconds > SECONDS_MAX + DAY) {
        *error = value_error("timestamp out of range: only the years 1 to 9999 exist");
        return false;
    }
    *out = calendar_of(seconds);
    return true;
}

#define ACCESSOR(function_name, what) \
    static struct value function_name(struct run *run, const struct node *node, const struct value *args) { \
        struct calendar c; \
        struct value error; \
        (void)run; \
        return local_calendar(node, args, &c, &error) ? value_int(what) : error; \
    }
ACCESSOR(full_year, c.year)
ACCESSOR(month, c.month - 1)
ACCESSOR(date, c.day)
ACCESSOR(day_of_month, c.day - 1)
ACCESSOR(day_of_week, c.weekday)
ACCESSOR(day_of_year, c.year_day)
ACCESSOR(hours, c.hour)
ACCESSOR(minutes, c.minute)
ACCESSOR(seconds_of, c.second)
ACCESSOR(milliseconds, args[0].nanos / 1000000)

static struct value duration_hours(struct run *run, const struct node *node, const struct value *args) {
    (void)run, (void)node;
    return value_int(args->seconds / 3600);
}

static struct value duration_minutes(struct run *run, const struct node *node, const struct value *args) {
    (void)run, (void)node;
    return value_int(args->seconds / 60);
}

static struct value duration_seconds(struct run *run, const struct node *node, const struct value *args) {
    (void)run, (void)node;
    return value_int(args->seconds);
}

static struct value duration_milliseconds(struct run *run, const struct node *node, const struct value *args) {
    (void)run, (void)node;
    return value_int(args->nanos / 1000000);
}

#define TIMES(name, function) \
    {name, "t", 'i', true, function}, { \
        name, "ts", 'i', true, function \
    }

static const struct function functions[] = {
    TIMES("getFullYear", full_year),
    TIMES("getMonth", month),
    TIMES("getDate", date),
    TIMES("getDayOfMonth", day_of_month),
    TIMES("getDayOfWeek", day_of_week),
    TIMES("getDayOfYear", day_of_year),
    TIMES("getHours", hours),
    {"getHours", "D", 'i', true, duration_hours},
    TIMES("getMinutes", minutes),
    {"getMinutes", "D", 'i', true, duration_minutes},
    TIMES("getSeconds", seconds_of),
    {"getSeconds", "D", 'i', true, duration_seconds},
    TIMES("getMilliseconds", milliseconds),
    {"getMilliseconds", "D", 'i', true, duration_milliseconds},
};
const struct function_group time_functions = {functions, COUNT_OF(functions)};
