// fuzz_expr: any text as a condition, compiled with and without the check and evaluated with little fuel and memory.
// The first byte chooses how much of a path the environment resolves. Beyond crashes it holds the compiler to one law:
// what the check lets through comes to the same with and without the check; and every result that is no value has an
// explanation within the text.
//
//     clang++ -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -Iinclude -Isrc/expr -Itests/unit/expr -x c
//         tests/fuzz/fuzz_expr.c src/expr/*.c src/base/*.c -x c++ src/expr/regex.cc -lre2 -lxxhash -lm
#include "test_names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct value evaluate(struct expr *expr, const struct names *names, struct arena *scratch) {
    struct value v = expr_eval(expr, names->slots, scratch, 20000);
    struct expr_error error;
    if (!is_settled(&v)) {
        expr_explain(expr, names->slots, scratch, &v, &error);
        must(error.text[0] != '\0' && error.offset <= expr_source(expr).len && error.line > 0 && error.column > 0);
    }
    return v;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct names names;
    struct expr_error error;
    if (size == 0)
        return 0;
    names_init(&names, data[0] % 5);
    struct str source = {(const char *)data + 1, size - 1};
    struct arena *scratch = arena_new(1 << 20);
    struct expr *checked = expr_compile(source, &names.env, &error);
    if (!checked) {
        struct buf out;
        must(error.text[0] != '\0' && error.offset <= source.len && error.line > 0 && error.column > 0);
        buf_init(&out, 4096);
        expr_show_error(&out, source, &error);
        must(!out.overflow);
        buf_free(&out);
    }
    names.n = COUNT_OF(event_fields);
    struct expr *unchecked = expr_compile_unchecked(source, &names.env, &error);
    must(!checked || unchecked);
    if (checked) {
        struct value a = evaluate(checked, &names, scratch), b = evaluate(unchecked, &names, scratch);
        must(a.type == b.type || a.type == VALUE_ERROR || b.type == VALUE_ERROR);
    } else if (unchecked) {
        evaluate(unchecked, &names, scratch);
    }
    expr_free(checked);
    expr_free(unchecked);
    arena_free(scratch);
    names_free(&names);
    return 0;
}
