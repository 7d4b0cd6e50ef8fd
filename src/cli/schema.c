// `penstock schema`: JSON Schemas of what users write and what consumers get.
#include <stdio.h>

#include "options.h"

static int run(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*write)(struct buf *out);
    } schemas[] = {{"routes", policy_schema_routes}, {"config", config_schema}, {"output", policy_schema_output}};
    int code;
    if (!options_read(&verb_schema, NULL, 0, &argc, argv, &code))
        return code;
    for (size_t i = 0; argc == 2 && i < COUNT_OF(schemas); i++) {
        if (strcmp(argv[1], schemas[i].name) != 0)
            continue;
        struct buf out;
        buf_init(&out, 4 * 1024 * 1024);
        schemas[i].write(&out);
        fwrite(out.ptr, 1, out.len, stdout);
        buf_free(&out);
        return EXIT_OK;
    }
    return usage_error(&verb_schema, "say which: routes, config or output");
}

const struct verb verb_schema = {
    .name = "schema",
    .summary = "print a JSON Schema: routes, config or output",
    .help = "penstock schema routes|config|output\n\n"
            "JSON Schema (draft 2020-12) of route files, of the deployment file, or of the records\n"
            "that consumers get. Point your editor at the first two and it completes and checks\n"
            "while you type, for example with a first line in a route file:\n"
            "    # yaml-language-server: $schema=routes.schema.json\n",
    .run = run,
};
