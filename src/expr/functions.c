// functions: the table of all functions and how an overload is chosen.
#include "ast.h"

static const struct function_group *const groups[] = {&text_functions, &convert_functions, &time_functions,
                                                      &math_functions, &net_functions,     &optional_functions,
                                                      &plain_functions};

#define BIT(type) (1u << (type))
#define NUMBERS (BIT(VALUE_INT) | BIT(VALUE_UINT) | BIT(VALUE_DOUBLE))

static const struct {
    enum value_type type;
    uint32_t mask;
    const char *name;
} letters[128] = {
    ['b'] = {VALUE_BOOL, BIT(VALUE_BOOL), "a bool"},
    ['i'] = {VALUE_INT, BIT(VALUE_INT), "an int"},
    ['u'] = {VALUE_UINT, BIT(VALUE_UINT), "a uint"},
    ['d'] = {VALUE_DOUBLE, BIT(VALUE_DOUBLE), "a double"},
    ['N'] = {VALUE_ANY, NUMBERS, "a number"},
    ['s'] = {VALUE_STRING, BIT(VALUE_STRING), "a string"},
    ['y'] = {VALUE_BYTES, BIT(VALUE_BYTES), "bytes"},
    ['t'] = {VALUE_TIMESTAMP, BIT(VALUE_TIMESTAMP), "a timestamp"},
    ['D'] = {VALUE_DURATION, BIT(VALUE_DURATION), "a duration"},
    ['l'] = {VALUE_LIST, BIT(VALUE_LIST), "a list"},
    ['m'] = {VALUE_MAP, BIT(VALUE_MAP), "a map"},
    ['T'] = {VALUE_TYPE, BIT(VALUE_TYPE), "a type"},
    ['n'] = {VALUE_NULL, BIT(VALUE_NULL), "null"},
    ['I'] = {VALUE_IP, BIT(VALUE_IP), "an ip(…)"},
    ['C'] = {VALUE_CIDR, BIT(VALUE_CIDR), "a cidr(…)"},
    ['O'] = {VALUE_OPTIONAL, BIT(VALUE_OPTIONAL), "an optional"},
    ['a'] = {VALUE_ANY, ~(BIT(VALUE_ABSENT) | BIT(VALUE_ERROR)), "anything"},
};

enum value_type function_letter_type(char letter) {
    return letters[(unsigned char)letter & 127].type;
}
const char *function_letter_name(char letter) {
    return letters[(unsigned char)letter & 127].name;
}

char function_letter_at(const struct function *function, size_t arg) {
    size_t len = strlen(function->args);
    bool repeats = len > 0 && function->args[len - 1] == '*';
    return repeats && arg >= len - 1 ? function->args[len - 2] : function->args[arg];
}

bool function_takes_count(const struct function *function, size_t n) {
    size_t len = strlen(function->args);
    return len > 0 && function->args[len - 1] == '*' ? n >= len - 1 : n == len;
}

bool function_takes(const struct function *function, const struct value *args, size_t n) {
    char letter = 'a';
    size_t i = 0;
    for (const char *at = function->args; i < n; i++) {
        if (*at == '\0')
            return false;
        if (*at != '*')
            letter = *at++;
        if (((letters[(unsigned char)letter].mask >> args[i].type) & 1) == 0)
            return false;
    }
    return function_takes_count(function, n);
}

bool function_may_take(const struct function *function, const struct node *call, size_t *mismatch) {
    for (size_t i = 0; i < call->n; i++) {
        uint8_t type = call->kids[i]->type;
        *mismatch = i;
        if (type != VALUE_ANY && ((letters[(unsigned char)function_letter_at(function, i)].mask >> type) & 1) == 0)
            return false;
    }
    return true;
}

const struct function *function_find(struct str name, bool is_method, size_t *n_overloads) {
    *n_overloads = 0;
    for (size_t g = 0; g < COUNT_OF(groups); g++) {
        const struct function *f = groups[g]->functions, *end = f + groups[g]->n;
        while (f < end && (f->is_method != is_method || !str_eq(name, str_of(f->name))))
            f++;
        const struct function *first = f;
        while (f < end && f->is_method == is_method && str_eq(name, str_of(f->name)))
            f++;
        *n_overloads = (size_t)(f - first);
        if (*n_overloads > 0)
            return first;
    }
    return NULL;
}

bool function_name_exists(struct str name, bool is_method) {
    size_t n;
    return function_find(name, is_method, &n) != NULL;
}

struct str function_nearest(struct str name) {
    static const char *const macros[] = {"has", "all",           "exists",       "exists_one", "filter",
                                         "map", "transformList", "transformMap", "cel.bind"};
    struct str names[512];
    size_t n = 0;
    for (size_t i = 0; i < COUNT_OF(macros); i++)
        names[n++] = str_of(macros[i]);
    for (size_t g = 0; g < COUNT_OF(groups); g++) {
        for (size_t i = 0; i < groups[g]->n && n < COUNT_OF(names); i++)
            names[n++] = str_of(groups[g]->functions[i].name);
    }
    return str_nearest(name, names, n);
}
