// The deployment file: sources, connections, bounds, the admin listener. Nothing of
// policy. The tables below are the manual, the reader and the schema at once.
#include "settings.h"

#include <stdio.h>
#include <stdlib.h>

#define CONFIG_MAX_BYTES (1024 * 1024)
#define CONFIG_ARENA_MAX_BYTES (16 * 1024 * 1024)
#define SOURCES_MAX 256
#define TOPICS_MAX 1000
#define KIB INT64_C(1024)
#define MIB (INT64_C(1024) * KIB)
#define GIB (INT64_C(1024) * MIB)


// ---- connections ------------------------------------------------------------------

static void read_client_settings(struct settings_reader *in, const struct doc_node *node, void *target)
{
    struct kafka_settings *kafka = target;
    if (node->kind != DOC_MAPPING) {
        settings_error(in, node, "settings must be a mapping of librdkafka's own names, as in {security.protocol: SSL}");
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

static void client_settings_schema(struct buf *out)
{
    buf_str(out, STR("{\"type\":\"object\""
                     "}"));
}

static const struct setting_key kafka_keys[] = {
    {"brokers", SETTING_TEXT, offsetof(struct kafka_settings, brokers), "host:port, several by commas", true, 0, 0, NULL, NULL, NULL, NULL},
    {"settings", SETTING_OTHER, 0, "librdkafka's own settings: security.protocol, sasl.*, ssl.* and others", false, 0, 0, NULL, NULL, read_client_settings, client_settings_schema},
};
static const struct setting_object kafka_object = {"kafka", kafka_keys, COUNT_OF(kafka_keys)};

static const struct setting_key nats_keys[] = {
    {"url", SETTING_TEXT, offsetof(struct nats_settings, url), "nats://host:4222, several by commas; tls:// for TLS", true, 0, 0, NULL, NULL, NULL, NULL},
    {"credentials", SETTING_PATH, offsetof(struct nats_settings, credentials), "a .creds file", false, 0, 0, NULL, NULL, NULL, NULL},
    {"user", SETTING_SECRET, offsetof(struct nats_settings, user), "user name", false, 0, 0, NULL, NULL, NULL, NULL},
    {"password", SETTING_SECRET, offsetof(struct nats_settings, password), "password", false, 0, 0, NULL, NULL, NULL, NULL},
    {"token", SETTING_SECRET, offsetof(struct nats_settings, token), "token", false, 0, 0, NULL, NULL, NULL, NULL},
    {"tls", SETTING_BOOL, offsetof(struct nats_settings, tls), "require TLS", false, 0, 0, NULL, NULL, NULL, NULL},
    {"tls_ca", SETTING_PATH, offsetof(struct nats_settings, tls_ca), "trusted certificates, PEM", false, 0, 0, NULL, NULL, NULL, NULL},
    {"tls_cert", SETTING_PATH, offsetof(struct nats_settings, tls_cert), "own certificate, PEM", false, 0, 0, NULL, NULL, NULL, NULL},
    {"tls_key", SETTING_PATH, offsetof(struct nats_settings, tls_key), "own key, PEM", false, 0, 0, NULL, NULL, NULL, NULL},
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

static void read_topics(struct settings_reader *in, const struct doc_node *node, void *target)
{
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

static void topics_schema(struct buf *out)
{
    buf_str(out, STR("{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"minItems\":1}]}"));
}

#define IN_SOURCE(field) (offsetof(struct source_draft, config) + offsetof(struct source_config, field))

static const struct setting_key kafka_source_keys[] = {
    {"topic", SETTING_OTHER, 0, "a topic, or a list of them (add new ones at its end: a topic's place is part of its events' ids)", true, 0, 0, NULL, NULL, read_topics, topics_schema},
    {"group", SETTING_TEXT, IN_SOURCE(group), "consumer group", true, 0, 0, NULL, NULL, NULL, NULL},
    {"offset_reset", SETTING_WORD, offsetof(struct source_draft, offset_reset), "where a group without committed offsets begins; chosen, never guessed", true, 0, 0, offset_resets, NULL, NULL, NULL},
    {"brokers", SETTING_TEXT, IN_SOURCE(kafka) + offsetof(struct kafka_settings, brokers), "in place of the shared connection's", false, 0, 0, NULL, NULL, NULL, NULL},
};
static const struct setting_object kafka_source_object = {"kafka", kafka_source_keys, COUNT_OF(kafka_source_keys)};

static const struct setting_key nats_source_keys[] = {
    {"stream", SETTING_TEXT, IN_SOURCE(stream), "JetStream stream; it must exist", true, 0, 0, NULL, NULL, NULL, NULL},
    {"durable", SETTING_TEXT, IN_SOURCE(durable), "durable consumer; made if it does not exist", true, 0, 0, NULL, NULL, NULL, NULL},
    {"subject", SETTING_TEXT, IN_SOURCE(subject), "only these subjects of the stream", false, 0, 0, NULL, NULL, NULL, NULL},
    {"max_ack_pending", SETTING_COUNT, offsetof(struct source_draft, max_ack_pending), "messages under way at most", false, 1, 1000000, NULL, NULL, NULL, NULL},
    {"ack_wait", SETTING_DURATION, offsetof(struct source_draft, ack_wait_ms), "the server sends again what was not acked by then", false, 1000, 3600000, NULL, NULL, NULL, NULL},
};
static const struct setting_object nats_source_object = {"nats", nats_source_keys, COUNT_OF(nats_source_keys)};

static const struct setting_key file_source_keys[] = {
    {"path", SETTING_PATH, IN_SOURCE(path), "NDJSON file", true, 0, 0, NULL, NULL, NULL, NULL},
    {"follow", SETTING_BOOL, IN_SOURCE(follow), "wait for more at its end", false, 0, 0, NULL, NULL, NULL, NULL},
};
static const struct setting_object file_source_object = {"file", file_source_keys, COUNT_OF(file_source_keys)};
static const struct setting_object stdin_source_object = {"stdin", NULL, 0};

static const struct setting_object *const door_objects[] = {
    [SOURCE_KAFKA] = &kafka_source_object, [SOURCE_NATS] = &nats_source_object, [SOURCE_FILE] = &file_source_object, [SOURCE_STDIN] = &stdin_source_object};

#define READ_DOOR(name, kind) \
    static void read_##name##_door(struct settings_reader *in, const struct doc_node *node, void *target) \
    { \
        ((struct source_draft *)target)->doors[kind] = node; \
        read_settings(in, door_objects[kind], node, target); \
    } \
    static void name##_door_schema(struct buf *out) { settings_schema(out, door_objects[kind]); }
READ_DOOR(kafka, SOURCE_KAFKA)
READ_DOOR(nats, SOURCE_NATS)
READ_DOOR(file, SOURCE_FILE)
READ_DOOR(stdin, SOURCE_STDIN)
#undef READ_DOOR

static const struct setting_key source_keys[] = {
    {"name", SETTING_TEXT, IN_SOURCE(name), "what routes call it; part of its events' ids", true, 0, 0, NULL, NULL, NULL, NULL},
    {"map", SETTING_TEXT, IN_SOURCE(map), "its map, if that has another name", false, 0, 0, NULL, NULL, NULL, NULL},
    {"kafka", SETTING_OTHER, 0, "events from Kafka topics", false, 0, 0, NULL, NULL, read_kafka_door, kafka_door_schema},
    {"nats", SETTING_OTHER, 0, "events from a JetStream stream", false, 0, 0, NULL, NULL, read_nats_door, nats_door_schema},
    {"file", SETTING_OTHER, 0, "events from a file", false, 0, 0, NULL, NULL, read_file_door, file_door_schema},
    {"stdin", SETTING_OTHER, 0, "events from standard input", false, 0, 0, NULL, NULL, read_stdin_door, stdin_door_schema},
};
static const struct setting_object source_object = {"source", source_keys, COUNT_OF(source_keys)};

static bool is_name(const char *text)
{
    return text[0] && strlen(text) <= 100 && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == strlen(text);
}

static void read_source(struct settings_reader *in, const struct doc_node *node, struct source_config *out)
{
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
        settings_error(in, node, "source name '%s': letters, digits, '.', '_' and '-' only, 100 at most", draft.config.name);
    draft.config.offset_reset = (char *)offset_resets[draft.offset_reset];
    draft.config.max_ack_pending = (uint32_t)draft.max_ack_pending;
    draft.config.ack_wait_ms = (uint32_t)draft.ack_wait_ms;
    *out = draft.config;
}

static void read_sources(struct settings_reader *in, const struct doc_node *node, void *target)
{
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

static void sources_schema(struct buf *out)
{
    buf_str(out, STR("{\"type\":\"array\",\"minItems\":1,\"items\":"));
    settings_schema(out, &source_object);
    buf_char(out, '}');
}

// ---- dead letters -----------------------------------------------------------------------

static const struct setting_key to_kafka_keys[] = {{"topic", SETTING_TEXT, offsetof(struct sink_config, topic), "topic", true, 0, 0, NULL, NULL, NULL, NULL}};
static const struct setting_key to_nats_keys[] = {{"subject", SETTING_TEXT, offsetof(struct sink_config, subject), "JetStream subject", true, 0, 0, NULL, NULL, NULL, NULL}};
static const struct setting_key to_file_keys[] = {{"path", SETTING_PATH, offsetof(struct sink_config, path), "file, appended to", true, 0, 0, NULL, NULL, NULL, NULL}};
static const struct setting_object to_objects[] = {
    [SINK_KAFKA] = {"kafka", to_kafka_keys, 1}, [SINK_NATS] = {"nats", to_nats_keys, 1}, [SINK_FILE] = {"file", to_file_keys, 1}, [SINK_STDOUT] = {"stdout", NULL, 0}};

#define READ_TO(name, sink_kind) \
    static void read_to_##name(struct settings_reader *in, const struct doc_node *node, void *target) \
    { \
        ((struct sink_config *)target)->kind = sink_kind; \
        read_settings(in, &to_objects[sink_kind], node, target); \
    } \
    static void to_##name##_schema(struct buf *out) { settings_schema(out, &to_objects[sink_kind]); }
READ_TO(kafka, SINK_KAFKA)
READ_TO(nats, SINK_NATS)
READ_TO(file, SINK_FILE)
READ_TO(stdout, SINK_STDOUT)
#undef READ_TO

static const struct setting_key to_keys[] = {
    {"kafka", SETTING_OTHER, 0, "to a Kafka topic", false, 0, 0, NULL, NULL, read_to_kafka, to_kafka_schema},
    {"nats", SETTING_OTHER, 0, "to a JetStream subject", false, 0, 0, NULL, NULL, read_to_nats, to_nats_schema},
    {"file", SETTING_OTHER, 0, "to a file", false, 0, 0, NULL, NULL, read_to_file, to_file_schema},
    {"stdout", SETTING_OTHER, 0, "to standard output", false, 0, 0, NULL, NULL, read_to_stdout, to_stdout_schema},
};
static const struct setting_object to_object = {"to", to_keys, COUNT_OF(to_keys)};
static const struct setting_key dead_letter_keys[] = {{"to", SETTING_OBJECT, 0, "where they go: one of kafka, nats, file, stdout", true, 0, 0, NULL, &to_object, NULL, NULL}};
static const struct setting_object dead_letters_object = {"dead_letters", dead_letter_keys, 1};

// ---- the whole ------------------------------------------------------------------------------

static const char *const log_formats[] = {[LOGLINE_LOGFMT] = "logfmt", [LOGLINE_JSON] = "json", NULL};
static const char *const log_levels[] = {[LOGLINE_ERROR] = "error", [LOGLINE_WARN] = "warn", [LOGLINE_INFO] = "info", [LOGLINE_DEBUG] = "debug", NULL};
static const struct setting_key log_keys[] = {
    {"format", SETTING_WORD, offsetof(struct config, log_format), "form of the log lines", false, 0, 0, log_formats, NULL, NULL, NULL},
    {"level", SETTING_WORD, offsetof(struct config, log_level), "what is logged at most", false, 0, 0, log_levels, NULL, NULL, NULL},
};
static const struct setting_object log_object = {"log", log_keys, COUNT_OF(log_keys)};
static const struct setting_key journal_keys[] = {
    {"segment", SETTING_SIZE, offsetof(struct config, journal_segment_bytes), "size of a segment", false, 64 * KIB, 4 * GIB, NULL, NULL, NULL, NULL},
    {"max", SETTING_SIZE, offsetof(struct config, journal_max_bytes), "all segments; intake stops at it", false, 1 * MIB, 1024 * GIB, NULL, NULL, NULL, NULL},
};
static const struct setting_object journal_object = {"journal", journal_keys, COUNT_OF(journal_keys)};

static const struct setting_key config_keys[] = {
    {"data", SETTING_PATH, offsetof(struct config, data), "folder of the journal, the snapshots and the consumers' streams", true, 0, 0, NULL, NULL, NULL, NULL},
    {"routes", SETTING_PATH, offsetof(struct config, routes), "folder of the route files", true, 0, 0, NULL, NULL, NULL, NULL},
    {"inventory", SETTING_PATH, offsetof(struct config, inventory), "identities: NDJSON, or YAML by its ending", false, 0, 0, NULL, NULL, NULL, NULL},
    {"listen", SETTING_TEXT, offsetof(struct config, listen), "address and port of /metrics, /healthz and /readyz", false, 0, 0, NULL, NULL, NULL, NULL},
    {"log", SETTING_OBJECT, 0, "log lines on stderr", false, 0, 0, NULL, &log_object, NULL, NULL},
    {"sift_threads", SETTING_COUNT, offsetof(struct config, sift_threads), "threads that read and match events", false, 1, 256, NULL, NULL, NULL, NULL},
    {"kafka", SETTING_OBJECT, offsetof(struct config, kafka), "the Kafka connection", false, 0, 0, NULL, &kafka_object, NULL, NULL},
    {"nats", SETTING_OBJECT, offsetof(struct config, nats), "the NATS connection", false, 0, 0, NULL, &nats_object, NULL, NULL},
    {"sources", SETTING_OTHER, 0, "where events come from", true, 0, 0, NULL, NULL, read_sources, sources_schema},
    {"dead_letters", SETTING_OBJECT, offsetof(struct config, dead_letters), "what could not be read", false, 0, 0, NULL, &dead_letters_object, NULL, NULL},
    {"max_event_bytes", SETTING_SIZE, offsetof(struct config, max_event_bytes), "longer inputs are dead letters", false, 1 * KIB, 64 * MIB, NULL, NULL, NULL, NULL},
    {"journal", SETTING_OBJECT, 0, "bounds of the journal", false, 0, 0, NULL, &journal_object, NULL, NULL},
    {"stream_max", SETTING_SIZE, offsetof(struct config, stream_max_bytes), "a consumer's unsent records on disk; intake stops at it", false, 1 * MIB, 1024 * GIB, NULL, NULL, NULL, NULL},
    {"snapshot_every", SETTING_DURATION, offsetof(struct config, snapshot_every_ms), "at most this much is replayed after a crash", false, 100, 3600000, NULL, NULL, NULL, NULL},
};
static const struct setting_object config_object = {"the configuration", config_keys, COUNT_OF(config_keys)};

static void require_connection(struct settings_reader *in, const char *who, const char *what, bool missing)
{
    if (missing)
        findings_add(in->findings, true, in->file, 0, 0, "%s needs a connection: add `%s`", who, what);
}

static void finish(struct settings_reader *in, struct config *config)
{
    for (size_t i = 0; i < config->n_sources; i++) {
        struct source_config *source = &config->sources[i];
        char *own_brokers = source->kafka.brokers;
        source->max_message_bytes = (uint32_t)config->max_event_bytes;
        source->kafka = config->kafka;
        if (own_brokers)
            source->kafka.brokers = own_brokers;
        source->nats = config->nats;
        require_connection(in, source->name, "kafka: {brokers: host:9092}", source->kind == SOURCE_KAFKA && !source->kafka.brokers);
        require_connection(in, source->name, "nats: {url: nats://host:4222}", source->kind == SOURCE_NATS && !source->nats.url);
    }
    struct sink_config *letters = &config->dead_letters;
    letters->name = (char *)"dead-letters";
    letters->kafka = config->kafka;
    letters->nats = config->nats;
    if (letters->kind == SINK_FILE && !letters->path && config->data)
        letters->path = (char *)arena_printf(in->arena, "%s/dead-letters.ndjson", config->data).ptr;
    require_connection(in, "dead_letters", "kafka: {brokers: host:9092}", letters->kind == SINK_KAFKA && !letters->kafka.brokers);
    require_connection(in, "dead_letters", "nats: {url: nats://host:4222}", letters->kind == SINK_NATS && !letters->nats.url);
}

static struct str folder_of(struct arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? arena_str(arena, (struct str){path, (size_t)(slash - path)}) : STR(".");
}

static void parse(struct settings_reader *in, struct str text)
{
    const struct doc_node *documents;
    struct doc_error error;
    size_t n;
    if (!doc_parse(text, in->arena, &documents, &n, &error))
        findings_add(in->findings, true, in->file, error.line, error.column, "%s", error.text);
    else if (n != 1)
        findings_add(in->findings, true, in->file, 0, 0, "the configuration is one YAML document; this file has %zu", n);
    else
        read_settings(in, &config_object, &documents[0], in->config);
}

struct config *config_load(const char *path, struct findings *findings)
{
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
    struct settings_reader in = {.findings = findings, .arena = arena, .file = str_of(config->path), .folder = folder_of(arena, path), .config = config};
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

void config_free(struct config *config)
{
    if (config)
        arena_free(config->arena);
}

struct policy_source *config_policy_sources(const struct config *config)
{
    struct policy_source *sources = arena_alloc(config->arena, (config->n_sources + 1) * sizeof *sources);
    for (size_t i = 0; i < config->n_sources; i++)
        sources[i] = (struct policy_source){str_of(config->sources[i].name), str_of(config->sources[i].map ? config->sources[i].map : "")};
    return sources;
}

void config_schema(struct buf *out)
{
    struct buf body;
    buf_init(&body, CONFIG_MAX_BYTES);
    settings_schema(&body, &config_object);
    buf_str(out, STR("{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"title\":\"penstock's deployment file\","));
    buf_add(out, body.ptr + 1, body.len - 1);
    buf_char(out, '\n');
    buf_free(&body);
}
