// regex: see regex.h.
#include "regex.h"

#include <cstdio>
#include <re2/re2.h>

struct regex {
    RE2 re;
    regex(const re2::StringPiece &pattern, const RE2::Options &options) : re(pattern, options) {
    }
};

struct regex *regex_compile(const char *pattern, size_t len, char *why, size_t why_size) {
    if (len > REGEX_PATTERN_MAX_BYTES) {
        snprintf(why, why_size, "the pattern is longer than %d bytes", REGEX_PATTERN_MAX_BYTES);
        return nullptr;
    }
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(REGEX_MEMORY_MAX_BYTES);
    struct regex *made = new regex(re2::StringPiece(pattern, len), options);
    if (made->re.ok())
        return made;
    snprintf(why, why_size, "%s", made->re.error().c_str());
    delete made;
    return nullptr;
}

bool regex_matches(const struct regex *regex, const char *text, size_t len) {
    return RE2::PartialMatch(re2::StringPiece(text, len), regex->re);
}

void regex_free(struct regex *regex) {
    delete regex;
}
