// ast: what the files of this room share: the tree, the compiler's state, the evaluator's state, the function table.
//
// A tree is built by parse.c, resolved and typed in place by check.c and read by eval.c. No path from the root is
// longer than EXPR_DEPTH_MAX nodes, so that each pass may recurse. All nodes live in one arena with the expression.
#ifndef PENSTOCK_EXPR_AST_H
#define PENSTOCK_EXPR_AST_H

#include "penstock/expr.h"

#define EXPR_LOCALS_MAX 64 // macro variables in scope at one place
#define EXPR_TREE_MAX_BYTES (32u << 20)
#define EXPR_FOLD_FUEL 1000000u // for all folding of one compilation

enum node_op {
    NODE_CONST,
    NODE_NAME, // before the check: a name, `absolute` when written with a leading dot
    NODE_SLOT,
    NODE_LOCAL,
    NODE_SELECT,     // kids[0].name; the key is `constant`
    NODE_INDEX,      // kids[0][kids[1]]
    NODE_OPT_SELECT, // kids[0].?name
    NODE_OPT_INDEX,  // kids[0][?kids[1]]
    NODE_OPT_FOUND,  // kids[0], absent becoming optional.none()
    NODE_HAS,        // kids[0] is there
    NODE_LIST,
    NODE_MAP, // key, value, key, value, …
    NODE_AND,
    NODE_OR,
    NODE_NOT,
    NODE_NEGATE,
    NODE_IF,
    NODE_EQ,
    NODE_NE,
    NODE_LT,
    NODE_LE,
    NODE_GT,
    NODE_GE,
    NODE_IN,
    NODE_IN_SET, // kids[0] in a constant set of strings
    NODE_ADD,
    NODE_SUB,
    NODE_MUL,
    NODE_DIV,
    NODE_MOD,
    NODE_CALL,
    NODE_LOOP, // a macro over a list or a map
    NODE_BIND, // cel.bind(name, kids[0], kids[1])
    NODE_OPT_OR,
    NODE_OPT_OR_VALUE,
    NODE_OPT_MAP,
    NODE_OPT_FLAT_MAP,
};

enum loop_kind {
    LOOP_ALL,
    LOOP_EXISTS,
    LOOP_EXISTS_ONE,
    LOOP_MAP,
    LOOP_FILTER,
    LOOP_TRANSFORM_LIST,
    LOOP_TRANSFORM_MAP,
    LOOP_TRANSFORM_ENTRY,
};

struct function;
struct regex;
struct zone;
struct string_set;

struct node {
    uint8_t op;           // enum node_op
    uint8_t type;         // enum value_type, VALUE_ANY when unknown
    uint8_t loop;         // enum loop_kind
    uint8_t n_vars;       // loops: 1 or 2
    uint8_t height;       // of the tree below, at most EXPR_DEPTH_MAX
    bool absolute;        // names: not a macro variable
    bool reads_slot;      // somewhere below
    bool is_method;       // calls: kids[0] is the receiver
    bool keep;            // has() asks how this node finds its value, so it is not folded
    uint8_t lowest_local; // the outermost local read below, EXPR_LOCALS_MAX if none
    uint32_t offset;      // into the source
    uint32_t n;           // kids
    int32_t index;        // slot, or (first) local
    uint32_t n_functions;
    struct node **kids; // a slot keeps, with n = 0, those of the selection that it was
    struct value constant;
    struct str name; // names, selections, calls
    struct str vars[2];
    uint8_t *optional;                // lists: by element, maps: by pair; NULL when none is
    const struct function *functions; // calls: the overloads of that name
    struct regex *regex;              // calls: the constant pattern, compiled
    const struct zone *zone;          // calls: the constant time zone, loaded
    const struct string_set *set;
};

struct expr {
    struct arena *tree;
    struct node *root;
    struct str source;
    int *slots;
    size_t n_slots;
    struct regex **regexes;
    size_t n_regexes;
};

// ---- compiling ---------------------------------------------------------------

struct compile {
    struct expr *expr;
    const struct expr_env *env;
    struct expr_error *error;
    bool failed;
    bool unchecked;
    uint64_t fold_fuel;
    struct node **stack; // kids of the nodes being parsed
    size_t stack_n, stack_cap;
    struct str scope[EXPR_LOCALS_MAX];
    size_t n_scope;
};

// Records the first error; always NULL, so that a parser can return it.
void *compile_fail(struct compile *compile, size_t offset, const char *format, ...) PENSTOCK_PRINTF(3, 4);
void place_error(struct str source, struct expr_error *error); // line and column of its offset
void *compile_alloc(struct compile *compile, size_t bytes);    // NULL with the error recorded
struct node *parse_source(struct compile *compile);
bool check_node(struct compile *compile, struct node *node);
// Replaces a node that reads no slot by its value, where it has one.
bool fold_node(struct compile *compile, struct node *node);

// ---- tokens --------------------------------------------------------------------

enum token_kind { // single characters are their own kind
    TOKEN_END = 256,
    TOKEN_NAME,
    TOKEN_QUOTED_NAME,
    TOKEN_INT,
    TOKEN_UINT,
    TOKEN_DOUBLE,
    TOKEN_STRING,
    TOKEN_BYTES,
    TOKEN_EQ,
    TOKEN_NE,
    TOKEN_LE,
    TOKEN_GE,
    TOKEN_AND,
    TOKEN_OR,
    TOKEN_OPT_DOT, // .?
    TOKEN_IN,
    TOKEN_TRUE,
    TOKEN_FALSE,
    TOKEN_NULL,
    TOKEN_BAD, // an error has been recorded
};

struct token {
    int kind;
    size_t offset;
    struct str text; // as written; of a string its content between the quotes, of a quoted name its name
    bool raw;
};

struct token lex_token(struct compile *compile, size_t *at);
bool lex_is_reserved(struct str word);
// The value of a number or string token; a '-' in front of an int belongs to it, for the sake of the smallest one.
bool literal_value(struct compile *compile, const struct token *token, bool minus, struct value *out);

// ---- evaluation -------------------------------------------------------------------

struct run {
    const struct value *slots;
    struct value *locals;
    struct arena *scratch;
    uint64_t fuel;
    bool reads_event;    // a null that an operation does not take then counts as missing
    const char *fatal;   // out of fuel or memory: no operator may absorb it
    struct regex *regex; // the last pattern that was computed
    struct str regex_pattern;
};

struct value eval_node(struct run *run, const struct node *node);
// What an operation comes to whose operand `v`, the value of `node`, is absent, an error or of a type it does not take.
struct value unfit(const struct run *run, const struct node *node, const struct value *v);
// Keeps in *worst what a row of terms comes to when none decides it: a bool, then absent, then the first error.
void note_worse(struct value *worst, struct value unfit_term);
struct value eval_loop(struct run *run, const struct node *node);
struct value eval_map_literal(struct run *run, const struct node *node);
struct value eval_list_literal(struct run *run, const struct node *node);
// Pairs with keys CEL allows, none twice.
struct value make_map_checked(struct run *run, struct value *pairs, size_t n);

// The value of a node, in place where it has a place, otherwise in *space.
static inline const struct value *eval_operand(struct run *run, const struct node *node, struct value *space) {
    if (node->op == NODE_CONST)
        return &node->constant;
    if (node->op == NODE_SLOT)
        return &run->slots[node->index];
    if (node->op == NODE_LOCAL)
        return &run->locals[node->index];
    *space = eval_node(run, node);
    return space;
}

static inline bool is_settled(const struct value *v) {
    return v->type != VALUE_ABSENT && v->type != VALUE_ERROR;
}
// What many senders write for "there is none", unless it stands in the condition itself.
static inline bool is_null_field(const struct run *run, const struct node *node, const struct value *v) {
    return v->type == VALUE_NULL && run->reads_event && node->op != NODE_CONST;
}
static inline bool is_number(const struct value *v) {
    return v->type >= VALUE_INT && v->type <= VALUE_DOUBLE;
}

struct value run_fail(struct run *run, const char *why); // sticks
// False when the fuel does not suffice.
static inline bool run_charge(struct run *run, uint64_t cost) {
    if (run->fuel >= cost) {
        run->fuel -= cost;
        return true;
    }
    run->fuel = 0;
    run_fail(run, "the evaluation took more steps than it may");
    return false;
}
void *run_alloc(struct run *run, size_t bytes);  // charged; NULL: has failed
struct value run_failure(const struct run *run); // after a NULL or a false of the above
struct value make_list(struct run *run, const struct value *items, size_t n);
struct value make_map(struct run *run, const struct value *pairs, size_t n);
struct value make_optional(struct run *run, const struct value *inner); // NULL: none
struct value no_overload(void);

// compare.c
enum { ORDER_NONE = 2 }; // not comparable: NaN
int compare_numbers(const struct value *a, const struct value *b);
struct value equal_values(struct run *run, const struct value *a, const struct value *b); // bool or error
struct value order_values(struct run *run, enum node_op op, const struct value *a, const struct value *b);
struct value value_in(struct run *run, const struct value *needle, const struct value *in);

// arithmetic.c
struct value calculate(struct run *run, enum node_op op, const struct value *a, const struct value *b);
struct value negate(const struct value *a);

// select.c
struct value select_key(struct run *run, const struct value *from, const struct value *key);
struct value select_optional(struct run *run, const struct value *from, const struct value *key);

// explain.c: "raw.user.roles[0]"; false: the node is no such chain.
bool write_chain(const struct node *node, struct buf *out);

// set.c: constant strings, found by hash
const struct string_set *string_set_new(struct arena *arena, const struct value *strings, size_t n);
bool string_set_has(const struct string_set *set, struct str s);

// ---- functions ----------------------------------------------------------------------

// Types are letters: b bool, i int, u uint, d double, N any number, s string, y bytes, t timestamp, D duration, l list,
// m map, T type, n null, I ip, C cidr, O optional, a anything. A trailing '*' repeats the last one.
struct function {
    const char *name;
    const char *args;
    char result;
    bool is_method; // the first argument stands before the dot
    struct value (*call)(struct run *run, const struct node *node, const struct value *args);
};
struct function_group {
    const struct function *functions;
    size_t n;
};
extern const struct function_group text_functions, convert_functions, time_functions, math_functions, net_functions,
    optional_functions, plain_functions;

const struct function *function_find(struct str name, bool is_method, size_t *n_overloads);
struct str function_nearest(struct str name);
bool function_name_exists(struct str name, bool is_method);
bool function_takes(const struct function *function, const struct value *args, size_t n);
// The same over static types; `*mismatch` is the first argument that does not fit.
bool function_may_take(const struct function *function, const struct node *call, size_t *mismatch);
bool function_takes_count(const struct function *function, size_t n);
enum value_type function_letter_type(char letter);
const char *function_letter_name(char letter);
char function_letter_at(const struct function *function, size_t arg);

// ---- helpers of the functions -----------------------------------------------------------

size_t utf8_encode(uint32_t code, char out[4]);
size_t utf8_step(struct str s, size_t at); // bytes of the character there
size_t utf8_count(struct str s);
bool utf8_is_valid(struct str s);
uint32_t utf8_decode(struct str s, size_t at);

struct value text_of(struct run *run, const struct value *v); // what string(v) gives
struct value text_copy(struct run *run, const char *bytes, size_t len);
struct value format_text(struct run *run, const struct value *args);
#define DOUBLE_TEXT_MAX 64
size_t double_text(double d, char out[DOUBLE_TEXT_MAX]);
#define DURATION_TEXT_MAX 48
size_t duration_text(const struct value *v, char out[DURATION_TEXT_MAX]);

bool timestamp_make(int64_t seconds, int64_t nanos, struct value *out); // false: out of 0001…9999
bool duration_make(int64_t seconds, int64_t nanos, struct value *out);  // false: over what 64 bits of nanoseconds hold

// zone.c: a named time zone of the system's database, read once.
const struct zone *zone_load(struct arena *arena, struct str name, const char **why);
bool zone_is_offset(struct str name, int64_t *seconds); // "UTC", "Z", "+02:00", "-2:30"
int64_t zone_offset(const struct zone *zone, int64_t seconds);

#endif
