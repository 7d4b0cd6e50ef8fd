// event: the canonical fields of an identity event and of an identity, one table each.
//
// Everything that names a field reads these tables: maps, conditions, candidates,
// schemas, messages. A field is a slot: event fields first, then the identity's,
// then `source`; slots of raw paths follow, numbered by the policy.
#ifndef PENSTOCK_EVENT_H
#define PENSTOCK_EVENT_H

#include "penstock/value.h"

// X(NAME, "path", static type, "what it is")
#define EVENT_FIELDS(X) \
    X(ID, "id", VALUE_STRING, "the vendor's event id; without one a hash of the bytes") \
    X(TIME, "time", VALUE_TIMESTAMP, "when it happened; without one the log's time") \
    X(TYPE, "type", VALUE_STRING, \
      "class: authentication, authorization, credential, configuration, token_use, posture, finding, …") \
    X(ACTION, "action", VALUE_STRING, "the vendor's verb") \
    X(OUTCOME, "outcome", VALUE_STRING, "success | failure | unknown") \
    X(TENANT, "tenant", VALUE_STRING, "whose event it is; limits are kept per tenant") \
    X(SUBJECT_ID, "subject.id", VALUE_STRING, "whom it is about") \
    X(SUBJECT_KIND, "subject.kind", VALUE_STRING, \
      "human | service_account | api_key | workload | oauth_client | agent | device | session") \
    X(SUBJECT_FORMAT, "subject.format", VALUE_STRING, \
      "subject identifier format (RFC 9493): email, iss_sub, uri, opaque, …") \
    X(SUBJECT_ISS, "subject.iss", VALUE_STRING, "who issued the subject's id") \
    X(ACTOR_ID, "actor.id", VALUE_STRING, "who did it") \
    X(ACTOR_KIND, "actor.kind", VALUE_STRING, "kind of the actor, as of the subject") \
    X(ACTOR_NAME, "actor.name", VALUE_STRING, "the actor's name for people") \
    X(RESOURCE_ID, "resource.id", VALUE_STRING, "what it was done to") \
    X(RESOURCE_KIND, "resource.kind", VALUE_STRING, "kind of resource") \
    X(RESOURCE_SENSITIVITY, "resource.sensitivity", VALUE_STRING, "low | moderate | high, or the vendor's words") \
    X(SESSION_ID, "session.id", VALUE_STRING, "session") \
    X(CREDENTIAL_ID, "credential.id", VALUE_STRING, "credential used or changed: an id, never the secret") \
    X(CREDENTIAL_TYPE, "credential.type", VALUE_STRING, "credential type (CAEP): password, x509, api_key, …") \
    X(NET_IP, "net.ip", VALUE_STRING, "source address") \
    X(NET_ASN, "net.asn", VALUE_ANY, "source autonomous system") \
    X(NET_COUNTRY, "net.country", VALUE_STRING, "source country") \
    X(DEVICE_ID, "device.id", VALUE_STRING, "device") \
    X(DEVICE_COMPLIANT, "device.compliant", VALUE_BOOL, "device meets its policy") \
    X(DETECTOR_NAME, "detector.name", VALUE_STRING, "which detector found it") \
    X(DETECTOR_CONFIDENCE, "detector.confidence", VALUE_DOUBLE, "the detector's confidence, 0 to 1") \
    X(DETECTOR_SEVERITY, "detector.severity", VALUE_ANY, "the detector's severity, its own scale") \
    X(LABELS, "labels", VALUE_ANY, "anything else, a map of strings")

#define IDENTITY_FIELDS(X) \
    X(ID, "id", VALUE_STRING, "the identity's id") \
    X(KIND, "kind", VALUE_STRING, "human | service_account | api_key | …") \
    X(TENANT, "tenant", VALUE_STRING, "its tenant") \
    X(OWNER, "owner", VALUE_STRING, "who answers for it") \
    X(STEWARD, "steward", VALUE_STRING, "who answers for a shared credential") \
    X(TEAM, "team", VALUE_STRING, "the owning team") \
    X(PURPOSE, "purpose", VALUE_STRING, "what it is for") \
    X(PRIVILEGE, "privilege", VALUE_INT, "0 none, 1 ordinary, 2 high, 3 total") \
    X(BLAST_RADIUS, "blast_radius", VALUE_DOUBLE, "weight of what stops when it is stopped; default 1") \
    X(DEPENDENTS, "dependents", VALUE_LIST, "ids that stop with it") \
    X(NETWORKS, "networks", VALUE_LIST, "addresses and networks it works from") \
    X(REGIONS, "regions", VALUE_LIST, "regions or countries it works from") \
    X(HOURS, "hours", VALUE_ANY, "when it works") \
    X(RESOURCES, "resources", VALUE_LIST, "what it works on") \
    X(EPHEMERAL, "ephemeral", VALUE_BOOL, "short-lived by design") \
    X(SHARED, "shared", VALUE_BOOL, "used by several") \
    X(PROTECTED, "protected", VALUE_BOOL, "never enforced automatically") \
    X(REVOCATION, "revocation", VALUE_STRING, "how it is revoked") \
    X(RUNBOOK, "runbook", VALUE_STRING, "what a person does about it") \
    X(GROUP, "group", VALUE_STRING, "dependency or workload group")

enum event_field {
#define X(name, path, type, text) EVENT_##name,
    EVENT_FIELDS(X)
#undef X
        EVENT_FIELD_COUNT
};
enum identity_field {
#define X(name, path, type, text) IDENTITY_##name,
    IDENTITY_FIELDS(X)
#undef X
        IDENTITY_FIELD_COUNT
};

// Slots of a condition over an event.
enum {
    SLOT_EVENT = 0,
    SLOT_IDENTITY = SLOT_EVENT + EVENT_FIELD_COUNT,
    SLOT_SOURCE = SLOT_IDENTITY + IDENTITY_FIELD_COUNT,
    SLOT_SUBJECT_KIND, // event.subject.kind, else identity.kind
    SLOT_RAW,          // the first raw path
};

struct field_info {
    const char *path; // "subject.id"
    enum value_type type;
    const char *text;
};
extern const struct field_info event_fields[EVENT_FIELD_COUNT];
extern const struct field_info identity_fields[IDENTITY_FIELD_COUNT];
int event_field_find(struct str path); // enum event_field, -1: none
int identity_field_find(struct str path);

// How hard an action bites, for "a stronger action passes": none 0, then notify, step_up, restrict, isolate, disable,
// revoke. An action of the user's own words counts as restrict.
unsigned action_strength(struct str action);

#endif
