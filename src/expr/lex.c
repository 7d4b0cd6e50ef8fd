// lex: source text to tokens. Each call finds the one token at *at and moves past it; what no token can begin with
// is an error with its place. Strings keep their escapes here (literal.c undoes them).
#include "ast.h"

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
static bool is_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
static bool is_name_start(char c) {
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static bool is_name(char c) {
    return is_name_start(c) || is_digit(c);
}
static char at_or_nul(struct str s, size_t i) {
    return i < s.len ? s.ptr[i] : '\0';
}

bool lex_is_reserved(struct str word) {
    static const char *const words[] = {"as",        "break",  "const",  "continue", "else", "for",
                                        "function",  "if",     "import", "let",      "loop", "package",
                                        "namespace", "return", "var",    "void",     "while"};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (str_eq(word, str_of(words[i])))
            return true;
    }
    return false;
}

static size_t skip_space(struct str source, size_t at) {
    while (at < source.len) {
        char c = source.ptr[at];
        if (c == '/' && at_or_nul(source, at + 1) == '/') {
            while (at < source.len && source.ptr[at] != '\n')
                at++;
        } else if (c == ' ' || (c >= '\t' && c <= '\r')) {
            at++;
        } else {
            break;
        }
    }
    return at;
}

static struct token bad(struct compile *compile, size_t offset, const char *text) {
    compile_fail(compile, offset, "%s", text);
    return (struct token){.kind = TOKEN_BAD, .offset = offset};
}

static struct token lex_number(struct compile *compile, size_t *at) {
    struct str s = compile->expr->source;
    size_t start = *at, i = start;
    int kind = TOKEN_INT;
    if (s.ptr[i] == '0' && (at_or_nul(s, i + 1) == 'x' || at_or_nul(s, i + 1) == 'X')) {
        i += 2;
        if (!is_hex(at_or_nul(s, i)))
            return bad(compile, start, "hexadecimal digits must follow '0x'");
        while (is_hex(at_or_nul(s, i)))
            i++;
    } else {
        while (is_digit(at_or_nul(s, i)))
            i++;
        if (at_or_nul(s, i) == '.' && is_digit(at_or_nul(s, i + 1))) {
            kind = TOKEN_DOUBLE;
            for (i++; is_digit(at_or_nul(s, i)); i++) {
            }
        }
        char e = at_or_nul(s, i), sign = at_or_nul(s, i + 1);
        size_t digits = i + (sign == '+' || sign == '-' ? 2 : 1);
        if ((e == 'e' || e == 'E') && is_digit(at_or_nul(s, digits))) {
            kind = TOKEN_DOUBLE;
            for (i = digits; is_digit(at_or_nul(s, i)); i++) {
            }
        }
    }
    struct token token = {.kind = kind, .offset = start, .text = {s.ptr + start, i - start}};
    if (kind == TOKEN_INT && (at_or_nul(s, i) == 'u' || at_or_nul(s, i) == 'U')) {
        token.kind = TOKEN_UINT;
        i++;
    }
    if (is_name(at_or_nul(s, i)))
        return bad(compile, start, "a number ends where a name begins; put an operator or a space between them");
    *at = i;
    return token;
}

// `at` is at the opening quote.
static struct token lex_string(struct compile *compile, size_t start, size_t *at, int kind, bool raw) {
    struct str s = compile->expr->source;
    size_t i = *at;
    char quote = s.ptr[i];
    bool triple = at_or_nul(s, i + 1) == quote && at_or_nul(s, i + 2) == quote;
    i += triple ? 3 : 1;
    size_t content = i;
    for (; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '\\' && !raw) {
            i++;
        } else if (!triple && (c == '\n' || c == '\r')) {
            break;
        } else if (c == quote && (!triple || (at_or_nul(s, i + 1) == quote && at_or_nul(s, i + 2) == quote))) {
            *at = i + (triple ? 3 : 1);
            return (struct token){.kind = kind, .offset = start, .text = {s.ptr + content, i - content}, .raw = raw};
        }
    }
    return bad(compile, start,
               triple ? "this string is not closed; three quotes as at its start must end it"
                      : "this string is not closed on its line; end it with the same quote, or use three quotes for "
                        "several lines");
}

static struct token lex_word(struct compile *compile, size_t *at) {
    struct str s = compile->expr->source;
    size_t start = *at, i = start;
    bool raw = false, bytes = false;
    for (; i < start + 2; i++) {
        char c = at_or_nul(s, i);
        if ((c == 'r' || c == 'R') && !raw)
            raw = true;
        else if ((c == 'b' || c == 'B') && !bytes)
            bytes = true;
        else
            break;
    }
    if (i > start && (at_or_nul(s, i) == '"' || at_or_nul(s, i) == '\'')) {
        *at = i;
        return lex_string(compile, start, at, bytes ? TOKEN_BYTES : TOKEN_STRING, raw);
    }
    for (i = start; is_name(at_or_nul(s, i)); i++) {
    }
    *at = i;
    struct token token = {.kind = TOKEN_NAME, .offset = start, .text = {s.ptr + start, i - start}};
    static const struct {
        const char *word;
        int kind;
    } words[] = {{"in", TOKEN_IN}, {"true", TOKEN_TRUE}, {"false", TOKEN_FALSE}, {"null", TOKEN_NULL}};
    for (size_t w = 0; w < COUNT_OF(words); w++) {
        if (str_eq(token.text, str_of(words[w].word)))
            token.kind = words[w].kind;
    }
    return token;
}

static struct token lex_quoted_name(struct compile *compile, size_t *at) {
    struct str s = compile->expr->source;
    size_t start = *at, i = start + 1;
    while (i < s.len && s.ptr[i] != '`' && s.ptr[i] != '\n')
        i++;
    if (at_or_nul(s, i) != '`' || i == start + 1)
        return bad(compile, start,
                   "a name in backquotes must have a character and end with a backquote on the same line");
    *at = i + 1;
    return (struct token){.kind = TOKEN_QUOTED_NAME, .offset = start, .text = {s.ptr + start + 1, i - start - 1}};
}

static struct token lex_sign(struct compile *compile, size_t *at) {
    static const struct {
        char first, second;
        int kind;
    } pairs[] = {{'=', '=', TOKEN_EQ},  {'!', '=', TOKEN_NE}, {'<', '=', TOKEN_LE},     {'>', '=', TOKEN_GE},
                 {'&', '&', TOKEN_AND}, {'|', '|', TOKEN_OR}, {'.', '?', TOKEN_OPT_DOT}};
    struct str s = compile->expr->source;
    size_t start = *at;
    char c = s.ptr[start], next = at_or_nul(s, start + 1);
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        if (c == pairs[i].first && next == pairs[i].second) {
            *at = start + 2;
            return (struct token){.kind = pairs[i].kind, .offset = start, .text = {s.ptr + start, 2}};
        }
    }
    if (c != '\0' && strchr("()[]{}.,:?<>+-*/%!", c)) {
        *at = start + 1;
        return (struct token){.kind = c, .offset = start, .text = {s.ptr + start, 1}};
    }
    if (c == '=')
        return bad(compile, start, "'=' does nothing here; write '==' to compare");
    if (c == '&' || c == '|')
        return bad(compile, start, c == '&' ? "write '&&' for and" : "write '||' for or");
    if ((unsigned char)c >= 0x80)
        return bad(compile, start, "this character has no meaning outside of a string; put text between quotes");
    return bad(compile, start, "this character has no meaning here");
}

struct token lex_token(struct compile *compile, size_t *at) {
    struct str s = compile->expr->source;
    *at = skip_space(s, *at);
    if (*at >= s.len)
        return (struct token){.kind = TOKEN_END, .offset = s.len};
    char c = s.ptr[*at];
    if (is_digit(c) || (c == '.' && is_digit(at_or_nul(s, *at + 1))))
        return lex_number(compile, at);
    if (is_name_start(c))
        return lex_word(compile, at);
    if (c == '"' || c == '\'')
        return lex_string(compile, *at, at, TOKEN_STRING, false);
    if (c == '`')
        return lex_quoted_name(compile, at);
    return lex_sign(compile, at);
}
