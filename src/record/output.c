// Output records as JSON: signals and alerts, bare or inside a CloudEvents envelope.
//
// One table of members in the order of OUTPUT_FIELDS, each with the function that
// writes it, or nothing when there is nothing to say. Every byte follows from the
// output alone, so the same output sent again is the same record.
#include "penstock/json.h"
#include "penstock/record.h"

static void write_id(struct buf *out, struct hash128 id) {
    char hex[33];
    hash128_hex(id, hex);
    json_write_string(out, str_of(hex));
}

static void write_time(struct buf *out, int64_t ms) {
    char text[TIME_TEXT_MAX];
    size_t len = time_format_ms(ms, text);
    json_write_string(out, (struct str){text, len});
}

static void member(struct buf *out, const char *name) {
    json_write_key(out, str_of(name));
}

static void member_str(struct buf *out, const char *name, struct str s) {
    if (s.len == 0)
        return;
    member(out, name);
    json_write_string(out, s);
}

static void member_value(struct buf *out, const char *name, const struct value *v) {
    if (!value_is_present(v))
        return;
    member(out, name);
    json_write_value(out, v);
}

static const char *kind_name(enum output_kind kind) {
    static const char *const names[] = {
        [OUTPUT_IS_SIGNAL] = "signal", [OUTPUT_IS_ALERT] = "alert", [OUTPUT_IS_DEAD_LETTER] = "dead_letter"};
    return names[kind];
}

static void write_subject(struct buf *out, const struct candidate *candidate) {
    if (!value_is_present(&candidate->event[EVENT_SUBJECT_ID]))
        return;
    const struct value *kind = &candidate->event[EVENT_SUBJECT_KIND];
    member(out, "subject");
    buf_char(out, '{');
    member_value(out, "id", &candidate->event[EVENT_SUBJECT_ID]);
    member_value(out, "kind", value_is_present(kind) ? kind : &candidate->identity[IDENTITY_KIND]);
    member_value(out, "format", &candidate->event[EVENT_SUBJECT_FORMAT]);
    member_value(out, "iss", &candidate->event[EVENT_SUBJECT_ISS]);
    buf_char(out, '}');
}

static void write_event(struct buf *out, const struct candidate *candidate) {
    member(out, "event");
    buf_char(out, '{');
    member_value(out, "id", &candidate->event[EVENT_ID]);
    member_value(out, "time", &candidate->event[EVENT_TIME]);
    member_str(out, "source", candidate->at.source);
    buf_char(out, '}');
}

static const char *boundary_name(enum boundary boundary) {
    return boundary == BOUNDARY_PRIVILEGE ? "privilege" : boundary == BOUNDARY_DATA ? "data" : "trust";
}

static void write_evidence(struct buf *out, const struct output *output) {
    if (output->n_evidence == 0)
        return;
    member(out, "evidence");
    buf_char(out, '[');
    for (size_t i = 0; i < output->n_evidence; i++) {
        const struct output_evidence *evidence = &output->evidence[i];
        buf_str(out, i ? STR(",{") : STR("{"));
        member_str(out, "name", evidence->name);
        member(out, "weight");
        json_write_double(out, evidence->weight);
        if (evidence->boundary != BOUNDARY_NONE)
            member_str(out, "boundary", str_of(boundary_name(evidence->boundary)));
        buf_char(out, '}');
    }
    buf_char(out, ']');
}

static void write_boundaries(struct buf *out, unsigned boundaries) {
    if (boundaries == 0)
        return;
    member(out, "boundaries");
    buf_char(out, '[');
    const char *comma = "";
    for (unsigned bit = BOUNDARY_PRIVILEGE; bit <= BOUNDARY_TRUST; bit <<= 1) {
        if (!(boundaries & bit))
            continue;
        buf_printf(out, "%s\"%s\"", comma, boundary_name((enum boundary)bit));
        comma = ",";
    }
    buf_char(out, ']');
}

static void write_guard(struct buf *out, const struct guard *guard) {
    if (!guard)
        return;
    member(out, "guard");
    buf_char(out, '{');
    member_str(out, "name", guard->name);
    member_str(out, "level", guard->level);
    member_str(out, "limit", guard->limit);
    member(out, "generation");
    buf_printf(out, "%llu", (unsigned long long)guard->generation);
    buf_char(out, '}');
}

static void write_escalate_to(struct buf *out, const struct output *output) {
    if (output->n_escalate_to == 0)
        return;
    member(out, "escalate_to");
    buf_char(out, '[');
    for (size_t i = 0; i < output->n_escalate_to; i++) {
        if (i)
            buf_char(out, ',');
        json_write_string(out, output->escalate_to[i]);
    }
    buf_char(out, ']');
}

static void write_confidence(struct buf *out, double confidence) {
    member(out, "confidence");
    // Four digits: what a person reads, and no tail of the arithmetic.
    json_write_double(out, (double)(int64_t)(confidence * 10000.0 + 0.5) / 10000.0);
}

static void member_time(struct buf *out, const char *name, int64_t ms) {
    if (ms == 0)
        return;
    member(out, name);
    write_time(out, ms);
}

static void write_member(struct buf *out, const struct output *output, enum output_field field) {
    const struct candidate *candidate = output->candidate;
    switch (field) {
    case OUTPUT_KIND: member_str(out, "kind", str_of(kind_name(output->kind))); return;
    case OUTPUT_ID: member(out, "id"), write_id(out, output->id); return;
    case OUTPUT_TXN: member(out, "txn"), write_id(out, output->txn); return;
    case OUTPUT_TIME: member(out, "time"), write_time(out, output->time_ms); return;
    case OUTPUT_CONSUMER: member_str(out, "consumer", output->consumer); return;
    case OUTPUT_ROUTE: member_str(out, "route", output->route); return;
    case OUTPUT_POLICY_VERSION:
        member(out, "policy_version"), buf_printf(out, "%lld", (long long)output->route_version);
        return;
    case OUTPUT_TENANT: member_value(out, "tenant", &candidate->event[EVENT_TENANT]); return;
    case OUTPUT_SUBJECT: write_subject(out, candidate); return;
    case OUTPUT_TYPE: member_str(out, "type", output->type); return;
    case OUTPUT_ACTION: member_str(out, "action", output->action); return;
    case OUTPUT_CONFIDENCE: write_confidence(out, output->confidence); return;
    case OUTPUT_EVIDENCE: write_evidence(out, output); return;
    case OUTPUT_BOUNDARIES: write_boundaries(out, output->boundaries); return;
    case OUTPUT_EVENT: write_event(out, candidate); return;
    case OUTPUT_DUPLICATES:
        member(out, "duplicates"), buf_printf(out, "%llu", (unsigned long long)output->duplicates);
        return;
    case OUTPUT_REASON: member_str(out, "reason", output->reason); return;
    case OUTPUT_GUARD: write_guard(out, output->guard); return;
    case OUTPUT_WHY: member_str(out, "why", output->why); return;
    case OUTPUT_SEVERITY: member_str(out, "severity", output->severity); return;
    case OUTPUT_TITLE: member_str(out, "title", output->title); return;
    case OUTPUT_OWNER: member_str(out, "owner", output->owner); return;
    case OUTPUT_STEWARD: member_value(out, "steward", &candidate->identity[IDENTITY_STEWARD]); return;
    case OUTPUT_ACKNOWLEDGE_BY: member_time(out, "acknowledge_by", output->acknowledge_by_ms); return;
    case OUTPUT_RESOLVE_BY: member_time(out, "resolve_by", output->resolve_by_ms); return;
    case OUTPUT_ESCALATE_TO: write_escalate_to(out, output); return;
    case OUTPUT_RUNBOOK: member_str(out, "runbook", output->runbook); return;
    case OUTPUT_REVOCATION: member_value(out, "revocation", &candidate->identity[IDENTITY_REVOCATION]); return;
    case OUTPUT_DEPENDENTS: member_value(out, "dependents", &candidate->identity[IDENTITY_DEPENDENTS]); return;
    case OUTPUT_FIELD_COUNT: return;
    }
}

static void write_record(struct buf *out, const struct output *output, uint64_t fields) {
    buf_char(out, '{');
    for (unsigned field = 0; field < OUTPUT_FIELD_COUNT; field++)
        if (fields >> field & 1)
            write_member(out, output, (enum output_field)field);
    buf_char(out, '}');
}

// CloudEvents 1.0, JSON format. The attributes are the envelope's own; `fields` chooses among the members of `data`.
static void write_cloudevent(struct buf *out, const struct output *output, uint64_t fields) {
    buf_char(out, '{');
    member_str(out, "specversion", STR("1.0"));
    member(out, "id"), write_id(out, output->id);
    member(out, "source");
    json_write_string(out, STR("penstock"));
    member(out, "type");
    buf_printf(out, "\"dev.penstock.%s\"", kind_name(output->kind));
    member(out, "time"), write_time(out, output->time_ms);
    if (fields >> OUTPUT_SUBJECT & 1)
        member_value(out, "subject", &output->candidate->event[EVENT_SUBJECT_ID]);
    member_str(out, "datacontenttype", STR("application/json"));
    member(out, "data");
    write_record(out, output, fields);
    buf_char(out, '}');
}

void output_write(struct buf *out, const struct output *output, enum output_format format, uint64_t fields) {
    if (output->kind == OUTPUT_IS_DEAD_LETTER)
        dead_letter_write_json(out, output->dead_letter, output->time_ms);
    else if (format == FORMAT_CLOUDEVENTS)
        write_cloudevent(out, output, fields);
    else
        write_record(out, output, fields);
}

// Bytes that a JSON text can carry unharmed: valid UTF-8 without control characters other than tab, CR and LF.
static bool is_clean_text(struct str s) {
    const unsigned char *at = (const unsigned char *)s.ptr, *end = at + s.len;
    while (at < end) {
        unsigned char c = *at;
        size_t extra = c < 0x80                ? 0
                       : c >= 0xc2 && c < 0xe0 ? 1
                       : c >= 0xe0 && c < 0xf0 ? 2
                       : c >= 0xf0 && c < 0xf5 ? 3
                                               : 9;
        if ((c < 0x20 && c != '\t' && c != '\r' && c != '\n') || (size_t)(end - at) <= extra)
            return false;
        if ((c == 0xe0 && at[1] < 0xa0) || (c == 0xed && at[1] > 0x9f) || (c == 0xf0 && at[1] < 0x90) ||
            (c == 0xf4 && at[1] > 0x8f))
            return false;
        for (size_t i = 1; i <= extra; i++)
            if ((at[i] & 0xc0) != 0x80)
                return false;
        at += 1 + extra;
    }
    return true;
}

void dead_letter_write_json(struct buf *out, const struct dead_letter *letter, int64_t time_ms) {
    buf_char(out, '{');
    member_str(out, "kind", STR("dead_letter"));
    member(out, "id"), write_id(out, dead_letter_id(&letter->at, letter->reason));
    member(out, "time"), write_time(out, time_ms);
    member_str(out, "reason", letter->reason);
    member_str(out, "detail", letter->detail);
    member_str(out, "source", letter->at.source);
    member(out, "partition"), buf_printf(out, "%d", (int)letter->at.partition);
    member(out, "offset"), buf_printf(out, "%lld", (long long)letter->at.offset);
    member(out, "index"), buf_printf(out, "%u", (unsigned)letter->at.index);
    member(out, "bytes"), buf_printf(out, "%llu", (unsigned long long)letter->full_bytes);
    if (letter->full_bytes > letter->bytes.len)
        member(out, "truncated"), buf_str(out, STR("true"));
    if (is_clean_text(letter->bytes)) {
        member(out, "data");
        json_write_string(out, letter->bytes);
    } else {
        member(out, "data_base64");
        json_write_base64(out, letter->bytes);
    }
    buf_char(out, '}');
}

int output_field_find(struct str name) {
    static const struct str names[] = {
#define X(field, text) STR(text),
        OUTPUT_FIELDS(X)
#undef X
    };
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (str_eq(names[i], name))
            return (int)i;
    return -1;
}

struct str output_content_type(enum output_format format) {
    return format == FORMAT_CLOUDEVENTS ? STR("application/cloudevents+json") : STR("application/json");
}

struct str output_subject_key(const struct output *output) {
    if (!output->candidate || output->candidate->event[EVENT_SUBJECT_ID].type != VALUE_STRING)
        return STR("");
    return output->candidate->event[EVENT_SUBJECT_ID].string;
}
