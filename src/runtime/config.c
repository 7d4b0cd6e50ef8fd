// The deployment file: sources, connections, bounds, the admin listener. Nothing of
// policy. The tables below are the manual, the reader and the schema at once.
#include "settings.h"

#include <stdio.h>
#include <stdlib.h>

#define CONFIG_MAX_BYTES (1024 * 1024)
#define CONFIG_ARENA_MAX_BYTES (16 * 1024 * 1024)
#define SOURCES_MAX 256
#define TOPICS_MAX 1000
#define JOURNAL_SEGMENTS_MIN 4
#define KIB INT64_C(1024)
#define MIB (INT64_C(1024) * KIB)
#define GIB (INT64_C(1024) * MIB)

// ---- connections ------------------------------------------------------------------

static void read_client_settings(struct settings_reader *in, const struct doc_node *node, void *target) {
    struct kafka_settings *kafka = target;
    if (node->kind != DOC_MAPPING) {
        settings_error(in, node,
                       "settings must be a mapping of librdkafka's own names, as in {security.protocol: SSL}");
        return;
    }
    kafka->settings = arena_alloc(in->arena, (node->n + 1) * sizeof *kafka->settings);
    kafka->n_settings = 0;
    for (size_t i = 0; i < node->n; i++) {
        char *key = (char *)arena_str(in->arena, node->members[i].key).ptr;
        char *value = settings_secret(in, &node->members[i].node, key);
        if (value)
            kafka->settings[kafka->n_settings++] = (struct setting){key, value};
    }
}

static void client_settings_schema(struct buf *out) {
    buf_str(out, STR("{\"type\":\"object\""
                     "}"));
}

static const struct setting_key kafka_keys[] = {
    {.name = "brokers",
     .kind = SETTING_TEXT,
     .at = offsetof(struct kafka_settings, brokers),
     .help = "host:port, several by commas",
     .required = true},
    {.name = "settings",
     .kind = SETTING_OTHER,
     .help = "librdkafka's own settings: security.protocol, sasl.*, ssl.* and others",
     .read = read_client_settings,
     .schema = client_settings_schema},
};
static const struct setting_object kafka_object = {"kafka", kafka_keys, COUNT_OF(kafka_keys)};

static const struct setting_key nats_keys[] = {
    {.name = "url",
     .kind = SETTING_TEXT,
     .at = offsetof(struct nats_settings, url),
     .help = "nats://host:4222, several by commas; tls:// for TLS",
     .required = true},
    {.name = "credentials",
     .kind = SETTING_PATH,
     .at = offsetof(struct nats_settings, credentials),
     .help = "a .creds file"},
    {.name = "user", .kind = SETTING_SECRET, .at = offsetof(struct nats_settings, user), .help = "user name"},
    {.name = "password", .kind = SETTING_SECRET, .at = offsetof(struct nats_settings, password), .help = "password"},
    {.name = "token", .kind = SETTING_SECRET, .at = offsetof(struct nats_settings, token), .help = "token"},
    {.name = "tls", .kind = SETTING_BOOL, .at = offsetof(struct nats_settings, tls), .help = "require TLS"},
    {.name = "tls_ca",
     .kind = SETTING_PATH,
     .at = offsetof(struct nats_settings, tls_ca),
     .help = "trusted certificates, PEM"},
    {.name = "tls_cert",
     .kind = SETTING_PATH,
     .at = offsetof(struct nats_settings, tls_cert),
     .help = "own certificate, PEM"},
    {.name = "tls_key", .kind = SETTING_PATH, .at = offsetof(struct nats_settings, tls_key), .help = "own key, PEM"},
};
static const struct setting_object nats_object = {"nats", nats_keys, COUNT_OF(nats_keys)};

// ---- sources ------------------------------------------------------------------------

// A source as it is written: exactly one of the four doors.
struct source_draft {
    struct source_config config;
    int64_t max_ack_pending, ack_wait_ms;
    unsigned offset_reset;
    const struct doc_node *doors[4]; // by enum source_kind
};
static const char *const offset_resets[] = {"earliest", "latest", "error", NULL};

static void read_topics(struct settings_reader *in, const struct doc_node *node, void *target) {
    struct source_config *source = &((struct source_draft *)target)->config;
    size_t n = node->kind == DOC_SEQUENCE ? node->n : 1;
    if (n == 0 || n > TOPICS_MAX) {
        settings_error(in, node, "topic must be a topic or a list of 1 to %d topics", TOPICS_MAX);
        return;
    }
    source->topics = arena_alloc(in->arena, n * sizeof *source->topics);
    for (size_t i = 0; i < n; i++) {
        char *topic = settings_text(in, node->kind == DOC_SEQUENCE ? &node->items[i] : node, "topic");
        if (topic)
            source->topics[source->n_topics++] = topic;
    }
}

static void topics_schema(struct buf *out) {
    buf_str(
        out,
        STR("{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"minItems\":1}]}"));
}

#define IN_SOURCE(field) (offsetof(struct source_draft, config) + offsetof(struct source_config, field))

static const struct setting_key kafka_source_keys[] = {
    {.name = "topic",
     .kind = SETTING_OTHER,
     .help = "a topic, or a list of them (add new ones at its end: a topic's place is part of its events' ids)",
     .required = true,
     .read = read_topics,
     .schema = topics_schema},
    {.name = "group", .kind = SETTING_TEXT, .at = IN_SOURCE(group), .help = "consumer group", .required = true},
    {.name = "offset_reset",
     .kind = SETTING_WORD,
     .at = offsetof(struct source_draft, offset_reset),
     .help = "where a group without committed offsets begins; chosen, never guessed",
     .required = true,
     .words = offset_resets},
    {.name = "brokers",
     .kind = SETTING_TEXT,
     .at = IN_SOURCE(kafka) + offsetof(struct kafka_settings, brokers),
     .help = "in place of the shared connection's"},
};
static const struct setting_object kafka_source_object = {"kafka", kafka_source_keys, COUNT_OF(kafka_source_keys)};

static const struct setting_key nats_source_keys[] = {
    {.name = "stream",
     .kind = SETTING_TEXT,
     .at = IN_SOURCE(stream),
     .help = "JetStream stream; it must exist",
     .required = true},
    {.name = "durable",
     .kind = SETTING_TEXT,
     .at = IN_SOURCE(durable),
     .help = "durable consumer; made if it does not exist",
     .required = true},
    {.name = "subject", .kind = SETTING_TEXT, .at = IN_SOURCE(subject), .help = "only these subjects of the stream"},
    {.name = "max_ack_pending",
     .kind = SETTING_COUNT,
     .at = offsetof(struct source_draft, max_ack_pending),
     .help = "messages under way at most",
     .min = 1,
     .max = 1000000},
    {.name = "ack_wait",
     .kind = SETTING_DURATION,
     .at = offsetof(struct source_draft, ack_wait_ms),
     .help = "the server sends again what was not acked by then",
     .min = 1000,
     .max = 3600000},
};
static const struct setting_object nats_source_object = {"nats", nats_source_keys, COUNT_OF(nats_source_keys)};

static const struct setting_key file_source_keys[] = {
    {.name = "path", .kind = SETTING_PATH, .at = IN_SOURCE(path), .help = "NDJSON file", .required = true},
    {.name = "follow", .kind = SETTING_BOOL, .at = IN_SOURCE(follow), .help = "wait for more at its end"},
};
static const struct setting_object file_source_object = {"file", file_source_keys, COUNT_OF(file_source_keys)};
static const struct setting_object stdin_source_object = {"stdin", NULL, 0};

static const struct setting_object *const door_objects[] = {[SOURCE_KAFKA] = &kafka_source_object,
                                                            [SOURCE_NATS] = &nats_source_object,
                                                            [SOURCE_FILE] = &file_source_object,
                                                            [SOURCE_STDIN] = &stdin_source_object};

#define READ_DOOR(name, kind) \
    static void read_##name##_door(struct settings_reader *in, const struct doc_node *node, void *target) { \
        ((struct source_draft *)target)->doors[kind] = node; \
        read_settings(in, door_objects[kind], node, target); \
    } \
    static void name##_door_schema(struct buf *out) { \
        settings_schema(out, door_objects[kind]); \
    }
READ_DOOR(kafka, SOURCE_KAFKA)
READ_DOOR(nats, SOURCE_NATS)
READ_DOOR(file, SOURCE_FILE)
READ_DOOR(stdin, SOURCE_STDIN)
#undef READ_DOOR

static const struct setting_key source_keys[] = {
    {.name = "name",
     .kind = SETTING_TEXT,
     .at = IN_SOURCE(name),
     .help = "what routes call it; part of its events' ids",
     .required = true},
    {.name = "map", .kind = SETTING_TEXT, .at = IN_SOURCE(map), .help = "its map, if that has another name"},
    {.name = "kafka",
     .kind = SETTING_OTHER,
     .help = "events from Kafka topics",
     .read = read_kafka_door,
     .schema = kafka_door_schema},
    {.name = "nats",
     .kind = SETTING_OTHER,
     .help = "events from a JetStream stream",
     .read = read_nats_door,
     .schema = nats_door_schema},
    {.name = "file",
     .kind = SETTING_OTHER,
     .help = "events from a file",
     .read = read_file_door,
     .schema = file_door_schema},
    {.name = "stdin",
     .kind = SETTING_OTHER,
     .help = "events from standard input",
     .read = read_stdin_door,
     .schema = stdin_door_schema},
};
static const struct setting_object source_object = {"source", source_keys, COUNT_OF(source_keys)};

static bool is_name(const char *text) {
    return text[0] && strlen(text) <= 100 &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == strlen(text);
}

static void read_source(struct settings_reader *in, const struct doc_node *node, struct source_config *out) {
    struct source_draft draft = {.max_ack_pending = 4096, .ack_wait_ms = 30000};
    read_settings(in, &source_object, node, &draft);
    size_t doors = 0;
    for (size_t i = 0; i < COUNT_OF(draft.doors); i++) {
        if (!draft.doors[i])
            continue;
        draft.config.kind = (enum source_kind)i;
        doors++;
    }
    if (node->kind == DOC_MAPPING && doors != 1)
        settings_error(in, node, "a source has exactly one of kafka, nats, file, stdin");
    if (draft.config.name && !is_name(draft.config.name))
        settings_error(in, node, "source name '%s': letters, digits, '.', '_' and '-' only, 100 at most",
                       draft.config.name);
    draft.config.offset_reset = (char *)offset_resets[draft.offset_reset];
    draft.config.max_ack_pending = (uint32_t)draft.max_ack_pending;
    draft.config.ack_wait_ms = (uint32_t)draft.ack_wait_ms;
    *out = draft.config;
}

static void read_sources(struct settings_reader *in, const struct doc_node *node, void *target) {
    struct config *config = target;
    if (node->kind != DOC_SEQUENCE || node->n == 0 || node->n > SOURCES_MAX) {
        settings_error(in, node, "sources must be a list of 1 to %d sources", SOURCES_MAX);
        return;
    }
    config->sources = arena_alloc(in->arena, node->n * sizeof *config->sources);
    for (size_t i = 0; i < node->n; i++) {
        struct source_config *source = &config->sources[config->n_sources];
        read_source(in, &node->items[i], source);
        for (size_t other = 0; source->name && other < config->n_sources; other++)
            if (config->sources[other].name && strcmp(config->sources[other].name, source->name) == 0)
                settings_error(in, &node->items[i], "two sources are named '%s'", source->name);
        config->n_sources++;
    }
}

static void sources_schema(struct buf *out) {
    buf_str(out, STR("{\"type\":\"array\",\"minItems\":1,\"items\":"));
    settings_schema(out, &source_object);
    buf_char(out, '}');
}

// ---- dead letters -----------------------------------------------------------------------

static const struct setting_key to_kafka_keys[] = {{.name = "topic",
                                                    .kind = SETTING_TEXT,
                                                    .at = offsetof(struct sink_config, topic),
                                                    .help = "topic",
                                                    .required = true}};
static const struct setting_key to_nats_keys[] = {{.name = "subject",
                                                   .kind = SETTING_TEXT,
                                                   .at = offsetof(struct sink_config, subject),
                                                   .help = "JetStream subject",
                                                   .required = true}};
static const struct setting_key to_file_keys[] = {{.name = "path",
                                                   .kind = SETTING_PATH,
                                                   .at = offsetof(struct sink_config, path),
                                                   .help = "file, appended to",
                                                   .required = true}};
static const struct setting_object to_objects[] = {[SINK_KAFKA] = {"kafka", to_kafka_keys, 1},
                                                   [SINK_NATS] = {"nats", to_nats_keys, 1},
                                                   [SINK_FILE] = {"file", to_file_keys, 1},
                                                   [SINK_STDOUT] = {"stdout", NULL, 0}};

#define READ_TO(name, sink_kind) \
    static void read_to_##name(struct settings_reader *in, const struct doc_node *node, void *target) { \
        ((struct sink_config *)target)->kind = sink_kind; \
        read_settings(in, &to_objects[sink_kind], node, target); \
    } \
    static void to_##name##_schema(struct buf *out) { \
        settings_schema(out, &to_objects[sink_kind]); \
    }
READ_TO(kafka, SINK_KAFKA)
READ_TO(nats, SINK_NATS)
READ_TO(file, SINK_FILE)
READ_TO(stdout, SINK_STDOUT)
#undef READ_TO

static const struct setting_key to_keys[] = {
    {.name = "kafka",
     .kind = SETTING_OTHER,
     .help = "to a Kafka topic",
     .read = read_to_kafka,
     .schema = to_kafka_schema},
    {.name = "nats",
     .kind = SETTING_OTHER,
     .help = "to a JetStream subject",
     .read = read_to_nats,
     .schema = to_nats_schema},
    {.name = "file", .kind = SETTING_OTHER, .help = "to a file", .read = read_to_file, .schema = to_file_schema},
    {.name = "stdout",
     .kind = SETTING_OTHER,
     .help = "to standard output",
     .read = read_to_stdout,
     .schema = to_stdout_schema},
};
static const struct setting_object to_object = {"to", to_keys, COUNT_OF(to_keys)};
static const struct setting_key dead_letter_keys[] = {{.name = "to",
                                                       .kind = SETTING_OBJECT,
                                                       .help = "where they go: one of kafka, nats, file, stdout",
                                                       .required = true,
                                                       .object = &to_object}};
static const struct setting_object dead_letters_object = {"dead_letters", dead_letter_keys, 1};

// ---- the whole ------------------------------------------------------------------------------

static const char *const log_formats[] = {[LOGLINE_LOGFMT] = "logfmt", [LOGLINE_JSON] = "json", NULL};
static const char *const log_levels[] = {
    [LOGLINE_ERROR] = "error", [LOGLINE_WARN] = "warn", [LOGLINE_INFO] = "info", [LOGLINE_DEBUG] = "debug", NULL};
static const struct setting_key log_keys[] = {
    {.name = "format",
     .kind = SETTING_WORD,
     .at = offsetof(struct config, log_format),
     .help = "form of the log lines",
     .words = log_formats},
    {.name = "level",
     .kind = SETTING_WORD,
     .at = offsetof(struct config, log_level),
     .help = "what is logged at most",
     .words = log_levels},
};
static const struct setting_object log_object = {"log", log_keys, COUNT_OF(log_keys)};
static const struct setting_key journal_keys[] = {
    {.name = "segment",
     .kind = SETTING_SIZE,
     .at = offsetof(struct config, journal_segment_bytes),
     .help = "size of a segment",
     .min = 64 * KIB,
     .max = 4 * GIB},
    {.name = "max",
     .kind = SETTING_SIZE,
     .at = offsetof(struct config, journal_max_bytes),
     .help = "all segments; intake stops at it",
     .min = 1 * MIB,
     .max = 1024 * GIB},
};
static const struct setting_object journal_object = {"journal", journal_keys, COUNT_OF(journal_keys)};

static const struct setting_key config_keys[] = {
    {.name = "data",
     .kind = SETTING_PATH,
     .at = offsetof(struct config, data),
     .help = "folder of the journal, the snapshots and the consumers' streams",
     .required = true},
    {.name = "routes",
     .kind = SETTING_PATH,
     .at = offsetof(struct config, routes),
     .help = "folder of the route files",
     .required = true},
    {.name = "inventory",
     .kind = SETTING_PATH,
     .at = offsetof(struct config, inventory),
     .help = "identities: NDJSON, or YAML by its ending"},
    {.name = "listen",
     .kind = SETTING_TEXT,
     .at = offsetof(struct config, listen),
     .help = "address and port of /metrics, /healthz and /readyz"},
    {.name = "log", .kind = SETTING_OBJECT, .help = "log lines on stderr", .object = &log_object},
    {.name = "sift_threads",
     .kind = SETTING_COUNT,
     .at = offsetof(struct config, sift_threads),
     .help = "threads that read and match events",
     .min = 1,
     .max = 256},
    {.name = "kafka",
     .kind = SETTING_OBJECT,
     .at = offsetof(struct config, kafka),
     .help = "the Kafka connection",
     .object = &kafka_object},
    {.name = "nats",
     .kind = SETTING_OBJECT,
     .at = offsetof(struct config, nats),
     .help = "the NATS connection",
     .object = &nats_object},
    {.name = "sources",
     .kind = SETTING_OTHER,
     .help = "where events come from",
     .required = true,
     .read = read_sources,
     .schema = sources_schema},
    {.name = "dead_letters",
     .kind = SETTING_OBJECT,
     .at = offsetof(struct config, dead_letters),
     .help = "what could not be read",
     .object = &dead_letters_object},
    {.name = "max_event_bytes",
     .kind = SETTING_SIZE,
     .at = offsetof(struct config, max_event_bytes),
     .help = "longer inputs are dead letters",
     .min = 1 * KIB,
     .max = 64 * MIB},
    {.name = "journal", .kind = SETTING_OBJECT, .help = "bounds of the journal", .object = &journal_object},
    {.name = "stream_max",
     .kind = SETTING_SIZE,
     .at = offsetof(struct config, stream_max_bytes),
     .help = "a consumer's unsent records on disk; intake stops at it",
     .min = 1 * MIB,
     .max = 1024 * GIB},
    {.name = "snapshot_every",
     .kind = SETTING_DURATION,
     .at = offsetof(struct config, snapshot_every_ms),
     .help = "at most this much is replayed after a crash",
     .min = 100,
     .max = 3600000},
};
static const struct setting_object config_object = {"the configuration", config_keys, COUNT_OF(config_keys)};

static void require_connection(struct settings_reader *in, const char *who, const char *what, bool missing) {
    if (missing)
        findings_add(in->findings, true, in->file, 0, 0, "%s needs a connection: add `%s`", who, what);
}

static void finish(struct settings_reader *in, struct config *config) {
    for (size_t i = 0; i < config->n_sources; i++) {
        struct source_config *source = &config->sources[i];
        char *own_brokers = source->kafka.brokers;
        source->max_message_bytes = (uint32_t)config->max_event_bytes;
        source->kafka = config->kafka;
        if (own_brokers)
            source->kafka.brokers = own_brokers;
        source->nats = config->nats;
        require_connection(in, source->name, "kafka: {brokers: host:9092}",
                           source->kind == SOURCE_KAFKA && !source->kafka.brokers);
        require_connection(in, source->name, "nats: {url: nats://host:4222}",
                           source->kind == SOURCE_NATS && !source->nats.url);
    }
    struct sink_config *letters = &config->dead_letters;
    letters->name = (char *)"dead-letters";
    letters->kafka = config->kafka;
    letters->nats = config->nats;
    if (letters->kind == SINK_FILE && !letters->path && config->data)
        letters->path = (char *)arena_printf(in->arena, "%s/dead-letters.ndjson", config->data).ptr;
    require_connection(in, "dead_letters", "kafka: {brokers: host:9092}",
                       letters->kind == SINK_KAFKA && !letters->kafka.brokers);
    require_connection(in, "dead_letters", "nats: {url: nats://host:4222}",
                       letters->kind == SINK_NATS && !letters->nats.url);
    if (config->journal_max_bytes / JOURNAL_SEGMENTS_MIN < config->journal_segment_bytes)
        findings_add(in->findings, true, in->file, 0, 0,
                     "journal: max must be at least %d times segment, for only whole segments are freed",
                     JOURNAL_SEGMENTS_MIN);
}

static struct str folder_of(struct arena *arena, const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? arena_str(arena, (struct str){path, (size_t)(slash - path)}) : STR(".");
}

static void parse(struct settings_reader *in, struct str text) {
    const struct doc_node *documents;
    struct doc_error error;
    size_t n;
    if (!doc_parse(text, in->arena, &documents, &n, &error))
        findings_add(in->findings, true, in->file, error.line, error.column, "%s", error.text);
    else if (n != 1)
        findings_add(in->findings, true, in->file, 0, 0, "the configuration is one YAML document; this file has %zu",
                     n);
    else
        read_settings(in, &config_object, &documents[0], in->config);
}

struct config *config_load(const char *path, struct findings *findings) {
    struct arena *arena = arena_new(CONFIG_ARENA_MAX_BYTES);
    struct config *config = arena_alloc(arena, sizeof *config);
    *config = (struct config){
        .arena = arena,
        .path = (char *)arena_str(arena, str_of(path)).ptr,
        .listen = (char *)"127.0.0.1:9464",
        .log_level = LOGLINE_INFO,
        .sift_threads = 2,
        .dead_letters = {.kind = SINK_FILE},
        .max_event_bytes = MIB,
        .journal_segment_bytes = 64 * MIB,
        .journal_max_bytes = 8 * GIB,
        .stream_max_bytes = 2 * GIB,
        .snapshot_every_ms = 10000,
    };
    struct settings_reader in = {.findings = findings,
                                 .arena = arena,
                                 .file = str_of(config->path),
                                 .folder = folder_of(arena, path),
                                 .config = config};
    struct buf text;
    struct status status;
    buf_init(&text, CONFIG_MAX_BYTES);
    if (file_read(path, &text, &status))
        parse(&in, buf_view(&text));
    else
        findings_add(findings, true, in.file, 0, 0, "%s", status.text);
    buf_free(&text);
    if (findings->n_errors == 0)
        finish(&in, config);
    if (findings->n_errors == 0)
        return config;
    config_free(config);
    return NULL;
}

void config_free(struct config *config) {
    if (config)
        arena_free(config->arena);
}

struct policy_source *config_policy_sources(const struct config *config) {
    struct policy_source *sources = arena_alloc(config->arena, (config->n_sources + 1) * sizeof *sources);
    for (size_t i = 0; i < config->n_sources; i++)
        sources[i] = (struct policy_source){str_of(config->sources[i].name),
                                            str_of(config->sources[i].map ? config->sources[i].map : "")};
    return sources;
}

bool config_check_consumers(const struct config *config, const struct policy *policy, struct findings *findings) {
    bool ok = true;
    for (size_t i = 0; i < policy->n_consumers; i++) {
        const struct consumer *consumer = &policy->consumers[i];
        bool kafka = consumer->to == TO_KAFKA && !config->kafka.brokers;
        bool nats = consumer->to == TO_NATS && !config->nats.url;
        if (!kafka && !nats)
            continue;
        findings_add(findings, true, consumer->file, consumer->line, 1,
                     "consumer '%.*s' sends to %s, but %s has no `%s:` connection", STR_ARG(consumer->name),
                     kafka ? "Kafka" : "NATS", config->path, kafka ? "kafka" : "nats");
        ok = false;
    }
    return ok;
}

void config_schema(struct buf *out) {
    struct buf body;
    buf_init(&body, CONFIG_MAX_BYTES);
    settings_schema(&body, &config_object);
    buf_str(
        out,
        STR("{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"title\":\"penstock's deployment file\","));
    buf_add(out, body.ptr + 1, body.len - 1);
    buf_char(out, '\n');
    buf_free(&body);
}
