// consumers: `consumers`: downstream systems, what they take and where it is sent.
#include "compile.h"

static const struct word format_words[] = {
    {"json", FORMAT_JSON}, {"cloudevents", FORMAT_CLOUDEVENTS}, {"set", WORD_LATER}, {NULL, 0}};

#define TOPIC_MAX_BYTES 249 // Kafka's own bound

// ---- where to ---------------------------------------------------------------------------------

static bool is_topic(struct str topic) {
    if (topic.len > TOPIC_MAX_BYTES || str_eq(topic, STR(".")) || str_eq(topic, STR("..")))
        return false;
    for (size_t i = 0; i < topic.len; i++) {
        char c = topic.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
              c == '-'))
            return false;
    }
    return topic.len > 0;
}

static bool is_subject(struct str subject) {
    bool token_empty = true;
    for (size_t i = 0; i < subject.len; i++) {
        unsigned char c = (unsigned char)subject.ptr[i];
        if (c <= ' ' || c == 0x7f || c == '*' || c == '>' || (c == '.' && token_empty))
            return false;
        token_empty = c == '.';
    }
    return !token_empty;
}

static void end_kafka(struct compile *c, const struct doc_node *node, void *target) {
    struct consumer *consumer = target;
    consumer->to = TO_KAFKA;
    if (consumer->topic.len > 0 && !is_topic(consumer->topic))
        report_error(c, place_of(c->file, doc_get(node, "topic")),
                     "'topic' must be letters, digits, '.', '_' and '-', at most 249 long");
}

static void end_nats(struct compile *c, const struct doc_node *node, void *target) {
    struct consumer *consumer = target;
    consumer->to = TO_NATS;
    if (consumer->subject.len > 0 && !is_subject(consumer->subject))
        report_error(c, place_of(c->file, doc_get(node, "subject")),
                     "'subject' must be words with single dots between them, without blanks, '*' and '>'");
}

static void end_file(struct compile *c, const struct doc_node *node, void *target) {
    (void)c, (void)node;
    ((struct consumer *)target)->to = TO_FILE;
}

static const struct word message_key_words[] = {{"subject", 0}, {NULL, 0}};

static void read_message_key(struct compile *c, const struct doc_node *node, void *target) {
    unsigned only;
    (void)target;
    read_word(c, "key", message_key_words, node, &only);
}

static void message_key_schema(struct buf *out) {
    buf_str(out, STR("\"const\":\"subject\""));
}

static const struct key kafka_keys[] = {
    {.name = "topic",
     .kind = KEY_TEXT,
     .required = true,
     .at = offsetof(struct consumer, topic),
     .text = "the topic to produce to"},
    {.name = "key",
     .kind = KEY_OTHER,
     .read = read_message_key,
     .schema = message_key_schema,
     .text = "the message key: the subject's id, always"},
};
static const struct object kafka_object = {.name = "kafka",
                                           .example = "{topic: signals.idp}",
                                           KEYS(kafka_keys),
                                           .bytes = sizeof(struct consumer),
                                           .end = end_kafka};
static const struct key nats_keys[] = {
    {.name = "subject",
     .kind = KEY_TEXT,
     .required = true,
     .at = offsetof(struct consumer, subject),
     .text = "the subject to publish to"},
};
static const struct object nats_object = {.name = "nats",
                                          .example = "{subject: alerts.soc}",
                                          KEYS(nats_keys),
                                          .bytes = sizeof(struct consumer),
                                          .end = end_nats};
static const struct key file_keys[] = {
    {.name = "path",
     .kind = KEY_TEXT,
     .required = true,
     .at = offsetof(struct consumer, path),
     .text = "the file to append to, a record a line"},
};
static const struct object file_object = {.name = "file",
                                          .example = "{path: /var/log/penstock/out.ndjson}",
                                          KEYS(file_keys),
                                          .bytes = sizeof(struct consumer),
                                          .end = end_file};

static void read_stdout(struct compile *c, const struct doc_node *node, void *target) {
    ((struct consumer *)target)->to = TO_STDOUT;
    if (node->kind != DOC_NULL && (node->kind != DOC_MAPPING || node->n > 0))
        report_error(c, place_of(c->file, node), "'stdout' has no settings; write 'to: stdout'");
}

static void stdout_schema(struct buf *out) {
    buf_str(out, STR("\"type\":[\"object\",\"null\"],\"maxProperties\":0"));
}

static const struct key to_keys[] = {
    {.name = "kafka", .kind = KEY_OBJECT, .object = &kafka_object, .text = "a Kafka topic"},
    {.name = "nats", .kind = KEY_OBJECT, .object = &nats_object, .text = "a NATS subject"},
    {.name = "file", .kind = KEY_OBJECT, .object = &file_object, .text = "a file"},
    {.name = "stdout", .kind = KEY_OTHER, .read = read_stdout, .schema = stdout_schema, .text = "standard output"},
};

static void end_to(struct compile *c, const struct doc_node *node, void *target) {
    (void)target;
    size_t n = 0;
    for (size_t i = 0; i < COUNT_OF(to_keys); i++)
        n += doc_get(node, to_keys[i].name) != NULL;
    if (n != 1)
        report_error(c, place_of(c->file, node),
                     "'to' must name exactly one of kafka, nats, file, stdout; make a consumer for each");
}

const struct object to_object = {.name = "to",
                                 .example = "{kafka: {topic: signals.idp}}",
                                 KEYS(to_keys),
                                 .bytes = sizeof(struct consumer),
                                 .end = end_to};

static void read_to(struct compile *c, const struct doc_node *node, void *target) {
    struct str text;
    if (doc_str(node, &text) && str_eq(text, STR("stdout")))
        ((struct consumer *)target)->to = TO_STDOUT;
    else
        read_object(c, &to_object, node, target);
}

static void to_schema(struct buf *out) {
    buf_str(out, STR("\"anyOf\":[{\"const\":\"stdout\"},{\"$ref\":\"#/$defs/to\"}]"));
}

// ---- what of it ----------------------------------------------------------------------------------

static const char *const output_fields[] = {
#define X(name, member) member,
    OUTPUT_FIELDS(X)
#undef X
};

static void read_fields(struct compile *c, const struct doc_node *node, void *target) {
    struct consumer *consumer = target;
    size_t n;
    const struct doc_node *items = list_items(node, &n);
    struct str words[OUTPUT_FIELD_COUNT];
    char hint[160];
    for (size_t i = 0; i < OUTPUT_FIELD_COUNT; i++)
        words[i] = str_of(output_fields[i]);
    consumer->fields = 0;
    for (size_t i = 0; i < n; i++) {
        struct str text = {0};
        int field = doc_str(&items[i], &text) ? output_field_find(text) : -1;
        if (field >= 0)
            consumer->fields |= UINT64_C(1) << field;
        else
            report_error(c, place_of(c->file, &items[i]), "an output has no field '%.*s'%s", STR_ARG(text),
                         did_you_mean(text, words, OUTPUT_FIELD_COUNT, hint));
    }
    if (n == 0)
        report_error(c, place_of(c->file, node),
                     "'fields' is empty: nothing would be sent; name some or leave the key out for all");
}

static void fields_schema(struct buf *out) {
    buf_str(out, STR("\"type\":\"array\",\"minItems\":1,\"items\":{\"enum\":["));
    for (size_t i = 0; i < COUNT_OF(output_fields); i++) {
        if (i)
            buf_char(out, ',');
        json_write_string(out, str_of(output_fields[i]));
    }
    buf_str(out, STR("]}"));
}

// ---- the consumer ----------------------------------------------------------------------------------

static void begin_consumer(void *target) {
    ((struct consumer *)target)->fields = OUTPUT_ALL_FIELDS;
}

static const struct key consumer_keys[] = {
    {.name = "name",
     .kind = KEY_NAME,
     .required = true,
     .at = offsetof(struct consumer, name),
     .text = "unique; its stream and its metrics bear it"},
    {.name = "accepts",
     .kind = KEY_EXPR,
     .required = true,
     .at = offsetof(struct consumer, accepts),
     .wanted = VALUE_BOOL,
     .text = "which outputs it takes: a condition over kind, action, type, route, severity, confidence, why, tenant, "
             "owner, event.…, identity.…; \"true\": all"},
    {.name = "format",
     .kind = KEY_WORD,
     .at = offsetof(struct consumer, format),
     .words = format_words,
     .text = "json (default) or cloudevents"},
    {.name = "fields",
     .kind = KEY_OTHER,
     .read = read_fields,
     .schema = fields_schema,
     .text = "nothing else leaves; left out: all"},
    {.name = "to",
     .kind = KEY_OTHER,
     .required = true,
     .read = read_to,
     .schema = to_schema,
     .text = "where to: kafka, nats, file or stdout"},
};
const struct object consumer_object = {.name = "consumer",
                                       .example =
                                           "{name: soc, accepts: kind == \"alert\", to: {nats: {subject: alerts.soc}}}",
                                       KEYS(consumer_keys),
                                       .bytes = sizeof(struct consumer),
                                       .begin = begin_consumer};

static void add_consumer(struct compile *c, const struct doc_node *node) {
    struct consumer_draft draft = {.file = c->file, .node = node};
    draft.broken = !read_object(c, &consumer_object, node, &draft.consumer);
    draft.consumer.file = policy_str(c, c->file->text.path);
    draft.consumer.line = node->line;
    for (size_t i = 0; i < c->n_consumers && draft.consumer.name.len > 0; i++)
        if (str_eq(c->consumers[i].consumer.name, draft.consumer.name))
            report_error(c, place_of(c->file, node), "consumer '%.*s' stands already at %.*s:%u; rename one of them",
                         STR_ARG(draft.consumer.name), STR_ARG(c->consumers[i].file->text.path),
                         c->consumers[i].node->line);
    c->consumers = grow_list(c->consumers, c->n_consumers, &c->cap_consumers, sizeof *c->consumers);
    c->consumers[c->n_consumers++] = draft;
}

void read_consumers(struct compile *c, const struct doc_node *node, void *target) {
    (void)target;
    c->scope = SCOPE_ACCEPTS;
    if (node->kind != DOC_SEQUENCE) {
        report_error(c, place_of(c->file, node), "'consumers' must be a list, each entry like %s",
                     consumer_object.example);
        return;
    }
    for (size_t i = 0; i < node->n && !c->ended; i++) {
        if (c->n_consumers == POLICY_MAX_CONSUMERS) {
            report_error(c, place_of(c->file, &node->items[i]), "over %d consumers", POLICY_MAX_CONSUMERS);
            return;
        }
        add_consumer(c, &node->items[i]);
    }
}
