// zone: the yearly rule of a time zone, as zone_rule.c reads it for zone.c.
#ifndef PENSTOCK_EXPR_ZONE_H
#define PENSTOCK_EXPR_ZONE_H

#include "ast.h"

struct zone_date {
    int32_t month, week, weekday;
    int32_t time; // seconds after local midnight
};
struct zone_rule {
    int32_t standard, summer; // seconds east of UTC
    bool has_summer;
    struct zone_date begin, end;
};

bool zone_rule_parse(struct str text, struct zone_rule *out);
int64_t zone_rule_offset(const struct zone_rule *rule, int64_t seconds);

#endif
