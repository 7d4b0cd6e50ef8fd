// parse: tokens to tree, by recursive descent with one token of look-ahead. Macros become loops here (macro.c); names
// stay names. Kids of unfinished nodes wait on a stack; no tree grows higher than EXPR_DEPTH_MAX.
#include "parse.h"

static void advance(struct parser *p) {
    p->token = lex_token(p->compile, &p->at);
}

static bool accept(struct parser *p, int kind) {
    if (p->token.kind != kind)
        return false;
    advance(p);
    return true;
}

static const char *token_name(int kind) {
    switch (kind) {
    case ')': return "')'";
    case ']': return "']'";
    case '}': return "'}'";
    case ':': return "':'";
    default: return "an expression";
    }
}

static void *unexpected(struct parser *p, const char *wanted) {
    const struct token *token = &p->token;
    static const struct {
        const char *word, *sign;
    } hints[] = {{"and", "&&"}, {"AND", "&&"}, {"or", "||"}, {"OR", "||"},  {"is", "=="}, {"eq", "=="},
                 {"ne", "!="},  {"not", "!"},  {"NOT", "!"}, {"then", "?"}, {"else", ":"}};
    if (token->kind == TOKEN_BAD)
        return NULL;
    if (token->kind == TOKEN_END)
        return compile_fail(p->compile, token->offset, "the condition ends where %s should follow", wanted);
    for (size_t i = 0; token->kind == TOKEN_NAME && i < COUNT_OF(hints); i++) {
        if (str_eq(token->text, str_of(hints[i].word)))
            return compile_fail(p->compile, token->offset, "'%s' is not an operator here; did you mean '%s'?",
                                hints[i].word, hints[i].sign);
    }
    struct str source = p->compile->expr->source;
    size_t len = p->at - token->offset;
    while (len > 40 ||
           (len > 0 && token->offset + len < source.len && (source.ptr[token->offset + len] & 0xC0) == 0x80))
        len--;
    return compile_fail(p->compile, token->offset, "'%.*s' where %s should be", (int)len, source.ptr + token->offset,
                        wanted);
}

static bool expect(struct parser *p, int kind) {
    return accept(p, kind) || unexpected(p, token_name(kind)) != NULL;
}

void parse_push(struct parser *p, struct node *node) {
    struct compile *c = p->compile;
    if (c->stack_n == c->stack_cap) {
        c->stack_cap = c->stack_cap ? c->stack_cap * 2 : 32;
        c->stack = must_realloc(c->stack, c->stack_cap * sizeof *c->stack);
    }
    c->stack[c->stack_n++] = node;
}

struct node *parse_node(struct parser *p, enum node_op op, size_t offset, size_t base) {
    struct compile *c = p->compile;
    struct node *node = compile_alloc(c, sizeof *node);
    size_t n = c->stack_n - base;
    if (!node || (n > 0 && !(node->kids = compile_alloc(c, n * sizeof *node->kids))))
        return NULL;
    node->op = (uint8_t)op;
    node->type = VALUE_ANY;
    node->offset = (uint32_t)offset;
    node->n = (uint32_t)n;
    node->lowest_local = EXPR_LOCALS_MAX;
    size_t height = 1;
    for (size_t i = 0; i < n; i++) {
        node->kids[i] = c->stack[base + i];
        if (height <= node->kids[i]->height)
            height = (size_t)node->kids[i]->height + 1;
    }
    c->stack_n = base;
    if (height > EXPR_DEPTH_MAX)
        return compile_fail(c, offset, "the condition is nested deeper than %d; split it with `define`",
                            EXPR_DEPTH_MAX);
    node->height = (uint8_t)height;
    return node;
}

struct node *parse_node_of(struct parser *p, enum node_op op, size_t offset, struct node *a, struct node *b) {
    size_t base = p->compile->stack_n;
    if (a)
        parse_push(p, a);
    if (b)
        parse_push(p, b);
    return parse_node(p, op, offset, base);
}

struct node *parse_constant(struct parser *p, size_t offset, struct value value) {
    struct node *node = parse_node_of(p, NODE_CONST, offset, NULL, NULL);
    if (node)
        node->constant = value;
    return node;
}

static struct node *parse_expression(struct parser *p);

// Expressions up to `close`, on the stack from `base`; `optional` gets the marks of elements with '?'.
static bool parse_items(struct parser *p, int close, bool pairs, struct buf *optional) {
    while (p->token.kind != close) {
        bool mark = optional && accept(p, '?');
        struct node *item = parse_expression(p);
        if (!item)
            return false;
        parse_push(p, item);
        if (pairs) {
            if (!expect(p, ':'))
                return false;
            struct node *value = parse_expression(p);
            if (!value)
                return false;
            parse_push(p, value);
        }
        if (optional)
            buf_char(optional, mark ? 1 : 0);
        // A comma after the last one is allowed in lists and maps, not in calls.
        if (!accept(p, ',')) {
            if (p->token.kind != close)
                return unexpected(p, close == ')' ? "',' or ')'" : close == ']' ? "',' or ']'" : "',' or '}'") != NULL;
        } else if (p->token.kind == close && close == ')') {
            return unexpected(p, "another argument") != NULL;
        }
    }
    advance(p);
    return true;
}

static struct node *parse_literal_items(struct parser *p, int close, enum node_op op) {
    size_t offset = p->token.offset, base = p->compile->stack_n;
    struct buf marks;
    buf_init(&marks, EXPR_SOURCE_MAX_BYTES);
    advance(p);
    struct node *node = NULL;
    if (parse_items(p, close, op == NODE_MAP, &marks) && (node = parse_node(p, op, offset, base)) && marks.len > 0 &&
        memchr(marks.ptr, 1, marks.len)) {
        node->optional = compile_alloc(p->compile, marks.len);
        if (node->optional)
            memcpy(node->optional, marks.ptr, marks.len);
        else
            node = NULL;
    }
    buf_free(&marks);
    return node;
}

static struct node *parse_call(struct parser *p, struct node *receiver, struct str name, size_t offset) {
    size_t base = p->compile->stack_n;
    advance(p);
    if (receiver)
        parse_push(p, receiver);
    if (!parse_items(p, ')', false, NULL))
        return NULL;
    struct node *node = parse_node(p, NODE_CALL, offset, base);
    if (!node)
        return NULL;
    node->name = name;
    node->is_method = receiver != NULL;
    return parse_macro(p, node);
}

static struct node *parse_name(struct parser *p) {
    bool absolute = accept(p, '.');
    struct token token = p->token;
    if (token.kind != TOKEN_NAME)
        return unexpected(p, absolute ? "a name" : "an expression");
    if (lex_is_reserved(token.text))
        return compile_fail(p->compile, token.offset, "'%.*s' is a reserved word and cannot be a name",
                            STR_ARG(token.text));
    advance(p);
    if (p->token.kind == '(')
        return parse_call(p, NULL, token.text, token.offset);
    if (p->token.kind == '{')
        return compile_fail(p->compile, p->token.offset, "there are no message types; write a map as {\"key\": value}");
    struct node *node = parse_node_of(p, NODE_NAME, token.offset, NULL, NULL);
    if (node) {
        node->name = token.text;
        node->absolute = absolute;
    }
    return node;
}

static struct node *parse_primary(struct parser *p, bool minus) {
    struct token token = p->token;
    struct value value;
    struct node *node;
    switch (token.kind) {
    case TOKEN_INT:
    case TOKEN_UINT:
    case TOKEN_DOUBLE:
    case TOKEN_STRING:
    case TOKEN_BYTES:
    case TOKEN_TRUE:
    case TOKEN_FALSE:
    case TOKEN_NULL:
        if (!literal_value(p->compile, &token, minus, &value))
            return NULL;
        advance(p);
        return parse_constant(p, token.offset, value);
    case '(':
        advance(p);
        node = parse_expression(p);
        return node && expect(p, ')') ? node : NULL;
    case '[': return parse_literal_items(p, ']', NODE_LIST);
    case '{': return parse_literal_items(p, '}', NODE_MAP);
    case '.':
    case TOKEN_NAME: return parse_name(p);
    default: return unexpected(p, "an expression");
    }
}

static struct node *parse_select(struct parser *p, struct node *from, bool optional) {
    advance(p);
    struct token token = p->token;
    bool keyword =
        token.kind == TOKEN_TRUE || token.kind == TOKEN_FALSE || token.kind == TOKEN_NULL || token.kind == TOKEN_IN;
    if (token.kind != TOKEN_NAME && token.kind != TOKEN_QUOTED_NAME)
        return keyword
                   ? compile_fail(p->compile, token.offset, "'%.*s' cannot be selected with a dot; write [\"%.*s\"]",
                                  STR_ARG(token.text), STR_ARG(token.text))
                   : unexpected(p, "the name of a field");
    advance(p);
    if (p->token.kind == '(' && token.kind == TOKEN_NAME && !optional)
        return parse_call(p, from, token.text, token.offset);
    struct node *node = parse_node_of(p, optional ? NODE_OPT_SELECT : NODE_SELECT, token.offset, from, NULL);
    if (node) {
        node->name = token.text;
        node->constant = value_string(token.text);
    }
    return node;
}

static struct node *parse_index(struct parser *p, struct node *from) {
    size_t offset = p->token.offset;
    advance(p);
    bool optional = accept(p, '?');
    struct node *key = parse_expression(p);
    if (!key || !expect(p, ']'))
        return NULL;
    return parse_node_of(p, optional ? NODE_OPT_INDEX : NODE_INDEX, offset, from, key);
}

static struct node *parse_member(struct parser *p, bool minus) {
    struct node *node = parse_primary(p, minus);
    while (node) {
        if (p->token.kind == '.' || p->token.kind == TOKEN_OPT_DOT)
            node = parse_select(p, node, p->token.kind == TOKEN_OPT_DOT);
        else if (p->token.kind == '[')
            node = parse_index(p, node);
        else
            break;
    }
    return node;
}

// A row of the same sign is one step: `!!x` negates twice, which is not the same as x when x is no bool.
static struct node *parse_unary(struct parser *p) {
    int sign = p->token.kind;
    size_t offset = p->token.offset, count = 0;
    if (sign != '!' && sign != '-')
        return parse_member(p, false);
    while (accept(p, sign))
        count++;
    bool literal = sign == '-' && p->token.kind == TOKEN_INT;
    struct node *node = parse_member(p, literal);
    if (literal)
        count--;
    if (count > 2)
        count = count % 2 ? 1 : 2;
    for (; node && count > 0; count--)
        node = parse_node_of(p, sign == '!' ? NODE_NOT : NODE_NEGATE, offset, node, NULL);
    return node;
}

static const struct {
    int kind;
    uint8_t op, level;
} binary_signs[] = {
    {TOKEN_EQ, NODE_EQ, 1}, {TOKEN_NE, NODE_NE, 1}, {'<', NODE_LT, 1},      {TOKEN_LE, NODE_LE, 1},
    {'>', NODE_GT, 1},      {TOKEN_GE, NODE_GE, 1}, {TOKEN_IN, NODE_IN, 1}, {'+', NODE_ADD, 2},
    {'-', NODE_SUB, 2},     {'*', NODE_MUL, 3},     {'/', NODE_DIV, 3},     {'%', NODE_MOD, 3},
};

static struct node *parse_binary(struct parser *p, unsigned level) {
    struct node *left = level > 3 ? parse_unary(p) : parse_binary(p, level + 1);
    while (left && level <= 3) {
        size_t i = 0;
        while (i < COUNT_OF(binary_signs) && (binary_signs[i].kind != p->token.kind || binary_signs[i].level != level))
            i++;
        if (i == COUNT_OF(binary_signs))
            break;
        size_t offset = p->token.offset;
        advance(p);
        struct node *right = parse_binary(p, level + 1);
        if (!right)
            return NULL;
        left = parse_node_of(p, binary_signs[i].op, offset, left, right);
    }
    return left;
}

// && and || take all their terms in one node: a long row of them is not deep.
static struct node *parse_row(struct parser *p, int sign) {
    size_t base = p->compile->stack_n, offset = 0;
    do {
        struct node *term = sign == TOKEN_OR ? parse_row(p, TOKEN_AND) : parse_binary(p, 1);
        if (!term)
            return NULL;
        parse_push(p, term);
        if (p->token.kind == sign && offset == 0)
            offset = p->token.offset;
    } while (accept(p, sign));
    if (p->compile->stack_n - base == 1) {
        p->compile->stack_n = base;
        return p->compile->stack[base];
    }
    return parse_node(p, sign == TOKEN_OR ? NODE_OR : NODE_AND, offset, base);
}

static struct node *parse_expression(struct parser *p) {
    if (++p->depth > EXPR_DEPTH_MAX)
        return compile_fail(p->compile, p->token.offset, "the condition is nested deeper than %d", EXPR_DEPTH_MAX);
    struct node *node = parse_row(p, TOKEN_OR);
    size_t offset = p->token.offset;
    if (node && accept(p, '?')) {
        size_t base = p->compile->stack_n;
        parse_push(p, node);
        struct node *yes = parse_row(p, TOKEN_OR);
        if (!yes || !expect(p, ':'))
            return NULL;
        parse_push(p, yes);
        struct node *no = parse_expression(p);
        if (!no)
            return NULL;
        parse_push(p, no);
        node = parse_node(p, NODE_IF, offset, base);
    }
    p->depth--;
    return node;
}

struct node *parse_source(struct compile *compile) {
    struct parser parser = {.compile = compile};
    advance(&parser);
    if (parser.token.kind == TOKEN_END)
        return compile_fail(compile, 0, "the condition is empty; write `true` for one that always holds");
    struct node *node = parse_expression(&parser);
    if (node && parser.token.kind != TOKEN_END)
        return unexpected(&parser, "an operator or the end");
    return node;
}
