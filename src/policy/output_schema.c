// output schema: the JSON Schema of the records that consumers get: signals and alerts, and dead letters.
//
// No member of a record is required, because a consumer's `fields` may leave any of them out.
#include "penstock/policy.h"

#define TEXT "\"type\":\"string\",\"minLength\":1"
#define TIME "\"type\":\"string\",\"format\":\"date-time\""
#define HASH "\"type\":\"string\",\"pattern\":\"^[0-9a-f]{32}$\""
#define WHOLE "\"type\":\"integer\",\"minimum\":0"
#define RATIO "\"type\":\"number\",\"minimum\":0,\"maximum\":1"
#define BOUNDARY "\"enum\":[\"privilege\",\"data\",\"trust\"]"
#define CLOSED "\"type\":\"object\",\"additionalProperties\":false,\"properties\":"

struct member {
    const char *name, *schema, *text;
};

static const struct member record_members[OUTPUT_FIELD_COUNT] = {
    [OUTPUT_KIND] = {"kind", "\"enum\":[\"signal\",\"alert\"]", "signal: for machines; alert: for people"},
    [OUTPUT_ID] = {"id", HASH, "the same when the record is sent again"},
    [OUTPUT_TXN] = {"txn", HASH, "one per cause: all records of one event share it"},
    [OUTPUT_TIME] = {"time", TIME, "when the gate decided"},
    [OUTPUT_CONSUMER] = {"consumer", TEXT, "for whom it is"},
    [OUTPUT_ROUTE] = {"route", TEXT, "which route decided"},
    [OUTPUT_POLICY_VERSION] = {"policy_version", WHOLE, "the route's version"},
    [OUTPUT_TENANT] = {"tenant", TEXT, "whose event it was"},
    [OUTPUT_SUBJECT] = {"subject",
                        CLOSED "{\"id\":{" TEXT "},\"kind\":{" TEXT "},\"format\":{" TEXT "},\"iss\":{" TEXT "}}",
                        "whom it is about"},
    [OUTPUT_TYPE] = {"type", TEXT, "signals: event type, a short name of CAEP, RISC or WISE or a URI"},
    [OUTPUT_ACTION] = {"action", TEXT, "signals: what is to be done"},
    [OUTPUT_CONFIDENCE] = {"confidence", RATIO, "what the evidence adds up to"},
    [OUTPUT_EVIDENCE] = {"evidence",
                         "\"type\":\"array\",\"minItems\":1,\"items\":{" CLOSED "{\"name\":{" TEXT
                         "},\"weight\":{" RATIO "},\"boundary\":{" BOUNDARY "}},\"required\":[\"name\",\"weight\"]}",
                         "what spoke for it"},
    [OUTPUT_BOUNDARIES] = {"boundaries",
                           "\"type\":\"array\",\"minItems\":1,\"uniqueItems\":true,\"items\":{" BOUNDARY "}",
                           "what lines were crossed"},
    [OUTPUT_EVENT] = {"event", CLOSED "{\"id\":{" TEXT "},\"time\":{" TIME "},\"source\":{" TEXT "}}",
                      "the event it comes from"},
    [OUTPUT_DUPLICATES] = {"duplicates", WHOLE, "repeats counted into it"},
    [OUTPUT_REASON] = {"reason", TEXT, "why, for the consumer"},
    [OUTPUT_GUARD] = {"guard",
                      CLOSED "{\"name\":{" TEXT "},\"level\":{" TEXT "},\"limit\":{" TEXT "},\"generation\":{" WHOLE
                             "}},\"required\":[\"name\",\"generation\"]",
                      "the limit or switch that did not simply let it pass"},
    [OUTPUT_WHY] = {"why", "\"type\":\"string\",\"pattern\":\"^[a-z_]+$\"", "alerts: why it is not a signal"},
    [OUTPUT_SEVERITY] = {"severity", TEXT, "info, low, medium, high, critical"},
    [OUTPUT_TITLE] = {"title", TEXT, "one line for people"},
    [OUTPUT_OWNER] = {"owner", TEXT, "who answers for the identity"},
    [OUTPUT_STEWARD] = {"steward", TEXT, "who answers for a shared credential"},
    [OUTPUT_ACKNOWLEDGE_BY] = {"acknowledge_by", TIME, "deadline for somebody to take it up"},
    [OUTPUT_RESOLVE_BY] = {"resolve_by", TIME, "deadline for it to be closed"},
    [OUTPUT_ESCALATE_TO] = {"escalate_to", "\"type\":\"array\",\"minItems\":1,\"items\":{" TEXT "}",
                            "who is told when a deadline passes, one after another"},
    [OUTPUT_RUNBOOK] = {"runbook", TEXT, "where it says what to do"},
    [OUTPUT_REVOCATION] = {"revocation", TEXT, "how the identity is revoked"},
    [OUTPUT_DEPENDENTS] = {"dependents", "\"type\":\"array\",\"minItems\":1", "what stops with the identity"},
};

static const struct member dead_letter_members[] = {
    {"kind", "\"const\":\"dead_letter\"", "an input that could not be read or must not be enforced"},
    {"id", HASH, "the same when the record is sent again"},
    {"time", TIME, "when it was set aside"},
    {"reason", "\"type\":\"string\",\"pattern\":\"^[a-z0-9_]+$\"", "one of a fixed set"},
    {"detail", TEXT, "for people"},
    {"source", TEXT, "where it came from"},
    {"partition", "\"type\":\"integer\"", "where it stood"},
    {"offset", "\"type\":\"integer\"", "where it stood"},
    {"index", WHOLE, "which element of an unwrapped document"},
    {"bytes", WHOLE, "length of the input"},
    {"truncated", "\"const\":true", "data holds the beginning only"},
    {"data", "\"type\":\"string\"", "the input as text"},
    {"data_base64", "\"type\":\"string\",\"contentEncoding\":\"base64\"", "the input when it is no clean text"},
};

static void write_members(struct buf *out, const struct member *members, size_t n) {
    buf_str(out, STR(CLOSED "{"));
    for (size_t i = 0; i < n; i++) {
        must(members[i].name);
        if (i)
            buf_char(out, ',');
        json_write_string(out, str_of(members[i].name));
        buf_str(out, STR(":{\"description\":"));
        json_write_string(out, str_of(members[i].text));
        buf_char(out, ',');
        buf_str(out, str_of(members[i].schema));
        buf_char(out, '}');
    }
    buf_char(out, '}');
}

void policy_schema_output(struct buf *out) {
    buf_str(out, STR("{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"title\":\"penstock output "
                     "record\",\"oneOf\":[{\"title\":"
                     "\"signal or alert\",\"minProperties\":1,"));
    write_members(out, record_members, COUNT_OF(record_members));
    buf_str(out, STR("},{\"title\":\"dead letter\","));
    write_members(out, dead_letter_members, COUNT_OF(dead_letter_members));
    buf_str(out, STR(",\"required\":[\"kind\",\"id\",\"time\",\"reason\",\"source\",\"partition\",\"offset\",\"index\","
                     "\"bytes\"]}]}\n"));
}
