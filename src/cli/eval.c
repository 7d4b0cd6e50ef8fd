// `penstock eval`: one condition, or a stream of them, evaluated over values that are given beside it: to try a
// condition before it stands in a route, and to hold the language against other implementations of CEL.
//
// A condition is compiled as in a route. What the check refuses there is evaluated without it, as CEL's own programs
// may be; if that gives a value, the refusal is a warning.
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "options.h"
#include "penstock/expr.h"
#include "penstock/json.h"
#include "typed.h"

#define LINE_MAX_BYTES (16u << 20)
#define VALUE_MAX_BYTES (64u << 20)   // of a result in its JSON form
#define MEMORY_MAX_BYTES (256u << 20) // of the bindings and the evaluation of one expression
#define JSON_FLAGS (JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL)

// ---- names ---------------------------------------------------------------------

struct names {
    struct arena *arena;
    struct value bound; // a map; keys may have dots in them
    struct str container;
    struct value *slots;
    size_t n_slots;
};

static void add_slot(struct names *names, struct value value, struct expr_ref *out) {
    names->slots = must_realloc(names->slots, (names->n_slots + 1) * sizeof *names->slots);
    names->slots[names->n_slots] = value;
    *out = (struct expr_ref){.slot = (int)names->n_slots++, .type = VALUE_ANY};
}

// The first `n` steps as one dotted name, looked for in the container a.b, then in a, then as it stands.
static bool find_bound(const struct names *names, struct path chain, size_t n, struct value *out) {
    const struct value_source *source = names->bound.container.source;
    struct str within = names->container;
    struct buf name;
    bool found = false;
    buf_init(&name, 2 * EXPR_SOURCE_MAX_BYTES);
    while (!found) {
        buf_clear(&name);
        buf_str(&name, within);
        for (size_t i = 0; i < n; i++)
            buf_printf(&name, "%s%.*s", name.len > 0 ? "." : "", STR_ARG(chain.steps[i].key));
        struct value key = value_string(buf_view(&name));
        found = source->get(source, names->bound.container.node, &key, out);
        if (within.len == 0)
            break;
        while (within.len > 0 && within.ptr[--within.len] != '.')
            continue;
    }
    buf_free(&name);
    return found;
}

static bool begins_type_name(struct str name) {
    for (enum value_type type = VALUE_NULL; type <= VALUE_OPTIONAL; type++) {
        const char *known = value_type_name(type);
        if (str_eq(name, (struct str){known, strcspn(known, ".")}))
            return true;
    }
    return false;
}

// What is not bound is a field that is not there.
static size_t resolve_name(void *ctx, struct path chain, struct expr_ref *out, struct buf *why) {
    struct names *names = ctx;
    struct value value = value_absent();
    size_t plain = 0;
    while (plain < chain.n && !chain.steps[plain].is_index)
        plain++;
    for (size_t n = plain; n > 0; n--) {
        if (find_bound(names, chain, n, &value)) {
            add_slot(names, value, out);
            return n;
        }
    }
    if (begins_type_name(chain.steps[0].key)) { // the language knows them
        buf_printf(why, "%.*s is not there", STR_ARG(chain.steps[0].key));
        return 0;
    }
    add_slot(names, value_absent(), out);
    return 1;
}

// ---- one expression --------------------------------------------------------------

struct answer {
    struct buf value; // in its JSON form, if there is one
    bool has_value;
    bool refused; // by the check; `error` then says why
    struct expr_error error;
};

static void answer_value(struct answer *answer, const struct value *value) {
    buf_clear(&answer->value);
    typed_write(&answer->value, value);
    answer->has_value = !answer->value.overflow;
    if (answer->value.overflow)
        answer->error = (struct expr_error){.line = 1, .column = 1, .text = "the value is over 64 MiB"};
}

static void evaluate(struct str source, struct names *names, struct answer *answer) {
    struct expr_env env = {.ctx = names, .resolve = resolve_name};
    struct expr_error unchecked_error;
    answer->has_value = false;
    struct expr *expr = expr_compile(source, &env, &answer->error);
    answer->refused = !expr;
    if (!expr)
        expr = expr_compile_unchecked(source, &env, &unchecked_error);
    if (!expr)
        return;
    struct value value = expr_eval(expr, names->slots, names->arena, EXPR_FUEL_DEFAULT);
    if (value.type != VALUE_ABSENT && value.type != VALUE_ERROR)
        answer_value(answer, &value);
    else if (!answer->refused)
        expr_explain(expr, names->slots, names->arena, &value, &answer->error);
    expr_free(expr);
}

// Binds the members of an object, which must outlive the names; NULL binds nothing.
static bool bind(struct names *names, json_t *object, struct status *status) {
    struct value *pairs = arena_alloc(names->arena, 2 * json_object_size(object) * sizeof *pairs + 1);
    size_t n = 0;
    if (object && !json_is_object(object))
        return status_fail(status, STATUS_INVALID, "the bindings are not an object; write {\"x\": {\"int\": \"1\"}}");
    for (void *at = json_object_iter(object); pairs && at; at = json_object_iter_next(object, at), n++) {
        struct status why;
        struct str name = {json_object_iter_key(at), json_object_iter_key_len(at)};
        pairs[2 * n] = value_string(name);
        if (!typed_read(json_object_iter_value(at), names->arena, &pairs[2 * n + 1], &why))
            return status_fail(status, why.code, "binding '%.*s': %s", (int)(name.len < 100 ? name.len : 100), name.ptr,
                               why.text);
    }
    names->bound = pairs ? value_map(names->arena, pairs, n) : value_absent();
    return names->bound.type == VALUE_MAP || status_fail(status, STATUS_FULL, "the bindings are too big");
}

static void names_reset(struct names *names) {
    arena_reset(names->arena);
    names->n_slots = 0;
    names->container = (struct str){NULL, 0};
}

// ---- a stream of them --------------------------------------------------------------

struct stream {
    struct names names;
    struct answer answer;
    struct buf line, out;
};

static void write_error(struct buf *out, const char *text, const struct expr_error *at) {
    buf_char(out, '{');
    json_write_key(out, STR("error"));
    json_write_string(out, str_of(text));
    if (at)
        buf_printf(out, ",\"line\":%u,\"column\":%u", at->line, at->column);
    buf_char(out, '}');
}

static void answer_request(struct stream *stream, json_t *request) {
    const json_t *expr = json_object_get(request, "expr"), *container = json_object_get(request, "container");
    struct status status;
    names_reset(&stream->names);
    if (!json_is_string(expr)) {
        write_error(&stream->out, "a line is {\"expr\": \"x + 1\", \"bindings\": {\"x\": 2}}; this has no text 'expr'",
                    NULL);
        return;
    }
    if (!bind(&stream->names, json_object_get(request, "bindings"), &status)) {
        write_error(&stream->out, status.text, NULL);
        return;
    }
    if (json_is_string(container))
        stream->names.container = (struct str){json_string_value(container), json_string_length(container)};
    evaluate((struct str){json_string_value(expr), json_string_length(expr)}, &stream->names, &stream->answer);
    if (!stream->answer.has_value) {
        write_error(&stream->out, stream->answer.error.text, &stream->answer.error);
        return;
    }
    buf_str(&stream->out, STR("{\"value\":"));
    buf_str(&stream->out, buf_view(&stream->answer.value));
    buf_char(&stream->out, '}');
}

static void answer_line(struct stream *stream) {
    json_error_t error;
    char text[JSON_ERROR_TEXT_LENGTH + 64];
    buf_clear(&stream->out);
    if (stream->line.overflow) {
        write_error(&stream->out, "the line is over 16 MiB", NULL);
    } else {
        json_t *request = json_loadb(stream->line.ptr ? stream->line.ptr : "", stream->line.len, JSON_FLAGS, &error);
        snprintf(text, sizeof text, "not JSON: %s (at byte %d)", request ? "" : error.text, error.position);
        if (request)
            answer_request(stream, request);
        else
            write_error(&stream->out, text, NULL);
        json_decref(request);
    }
    buf_char(&stream->out, '\n');
}

// A line without its end, as much of it as the bound allows; false: there is none.
static bool read_line(struct buf *line) {
    int c = getc_unlocked(stdin);
    buf_clear(line);
    if (c == EOF)
        return false;
    for (; c != EOF && c != '\n'; c = getc_unlocked(stdin))
        buf_char(line, (char)c);
    return true;
}

static bool is_read_at_once(int fd) {
    struct stat st;
    return isatty(fd) || (fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)));
}

static int run_stream(void) {
    struct stream stream = {.names.arena = arena_new(MEMORY_MAX_BYTES)};
    bool flush = is_read_at_once(STDOUT_FILENO);
    buf_init(&stream.line, LINE_MAX_BYTES);
    buf_init(&stream.out, VALUE_MAX_BYTES + 64);
    buf_init(&stream.answer.value, VALUE_MAX_BYTES);
    while (!ferror(stdout) && read_line(&stream.line)) {
        answer_line(&stream);
        fwrite(stream.out.ptr, 1, stream.out.len, stdout);
        if (flush)
            fflush(stdout);
    }
    bool ok = fflush(stdout) == 0 && !ferror(stdout) && !ferror(stdin);
    if (!ok)
        fputs("penstock eval: standard input or output failed\n", stderr);
    buf_free(&stream.line);
    buf_free(&stream.out);
    buf_free(&stream.answer.value);
    free(stream.names.slots);
    arena_free(stream.names.arena);
    return ok ? EXIT_OK : EXIT_FAILED;
}

// ---- one on the command line --------------------------------------------------------

static void show_error(const char *kind, struct str source, const struct expr_error *error) {
    struct buf picture;
    buf_init(&picture, 16 * 1024);
    expr_show_error(&picture, source, error);
    fprintf(stderr, "%s: %.*s", kind, STR_ARG(buf_view(&picture)));
    buf_free(&picture);
}

static int show_answer(struct str source, const struct answer *answer) {
    if (!answer->has_value) {
        show_error("error", source, &answer->error);
        return EXIT_FAILED;
    }
    if (answer->refused)
        show_error("warning: a route would not be let through with this", source, &answer->error);
    fwrite(answer->value.ptr, 1, answer->value.len, stdout);
    putchar('\n');
    return EXIT_OK;
}

static int run_one(const char *source, const char *bindings) {
    json_error_t error;
    json_t *object = bindings ? json_loads(bindings, JSON_FLAGS, &error) : NULL;
    if (bindings && !object)
        return usage_error(&verb_eval, "--bindings is not JSON: %s (at byte %d)", error.text, error.position);
    struct names names = {.arena = arena_new(MEMORY_MAX_BYTES)};
    struct answer answer = {0};
    struct status status;
    int code;
    buf_init(&answer.value, VALUE_MAX_BYTES);
    if (bind(&names, object, &status)) {
        evaluate(str_of(source), &names, &answer);
        code = show_answer(str_of(source), &answer);
    } else {
        code = usage_error(&verb_eval, "%s", status.text);
    }
    buf_free(&answer.value);
    free(names.slots);
    arena_free(names.arena);
    json_decref(object);
    return code;
}

// Takes `--stdin`, the one option without a value, out of the arguments before a `--`; *rest is what stands behind it.
static bool take_flags(int *argc, char **argv, char ***rest, int *n_rest) {
    bool stream = false;
    int kept = 1, i = 1;
    for (; i < *argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--stdin") == 0)
            stream = true;
        else
            argv[kept++] = argv[i];
    }
    *rest = &argv[i < *argc ? i + 1 : i];
    *n_rest = i < *argc ? *argc - i - 1 : 0;
    *argc = kept;
    return stream;
}

static int run(int argc, char **argv) {
    const char *bindings = NULL;
    const struct option options[] = {{"--bindings", &bindings, false}};
    char **rest;
    int code, n_rest;
    bool stream = take_flags(&argc, argv, &rest, &n_rest);
    if (!options_read(&verb_eval, options, COUNT_OF(options), &argc, argv, &code))
        return code;
    int n = argc - 1 + n_rest;
    if (stream && (n > 0 || bindings))
        return usage_error(&verb_eval, "--stdin takes expressions and bindings from standard input only");
    if (stream)
        return run_stream();
    if (n != 1)
        return usage_error(&verb_eval, n == 0 ? "say which expression" : "more than one expression; put it in quotes");
    return run_one(n_rest > 0 ? rest[0] : argv[1], bindings);
}

const struct verb verb_eval = {
    .name = "eval",
    .summary = "evaluate a condition over values you give it",
    .help =
        "penstock eval [--bindings JSON] EXPR\n"
        "penstock eval --stdin\n\n"
        "Tries a condition (CEL, as in routes) and prints its value with its type:\n\n"
        "    $ penstock eval '1 + 2'\n"
        "    {\"int\":\"3\"}\n"
        "    $ penstock eval --bindings '{\"raw\": {\"user\": \"ann\", \"ip\": null}}' 'raw.user.startsWith(\"a\")'\n"
        "    {\"bool\":true}\n"
        "    $ penstock eval 'event.severity > 3'\n"
        "    error: 1:1: event is not there\n"
        "        event.severity > 3\n"
        "        ^\n\n"
        "A binding is plain JSON, or an object with one member that is named after a type:\n"
        "    {\"int\":\"1\"} {\"uint\":\"1\"} {\"double\":\"0.5\"} {\"string\":\"a\"} {\"bytes\":\"YQ==\"} "
        "{\"bool\":true}\n"
        "    {\"null\":null} {\"list\":[…]} {\"map\":[[key,value],…]} {\"type\":\"int\"} {\"optional\":null or a "
        "value}\n"
        "    {\"timestamp\":[seconds,nanos]} {\"duration\":[seconds,nanos]} {\"ip\":\"192.0.2.1\"}\n"
        "    {\"cidr\":\"192.0.2.0/24\"}\n"
        "Values are printed in these forms. A name that is not bound is a field that is not there:\n"
        "neither `x == 1` nor `x != 1` holds, has(x) is false. A null that nothing takes counts as that too.\n"
        "What a route's check would refuse, but has a value, is printed with a warning.\n\n"
        "With --stdin each line is {\"expr\": \"…\", \"bindings\": {…}} and gives one line, in order:\n"
        "    {\"value\":{\"int\":\"3\"}}   or   {\"error\":\"…\",\"line\":1,\"column\":5}\n"
        "A wrong line gives an error and the next one goes on. \"container\": \"a.b\" makes a name x mean\n"
        "a.b.x, a.x or x, whichever is bound. Other members are ignored (disable_macros among them: macros\n"
        "are part of the language).\n\n"
        "Exit: 0 it has a value (--stdin: all lines were read), 1 it has none, 2 usage.\n",
    .run = run,
};
