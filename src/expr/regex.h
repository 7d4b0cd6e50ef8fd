// regex: RE2 behind a C face. Linear time, bounded memory; const once compiled, so that any thread may match.
#ifndef PENSTOCK_EXPR_REGEX_H
#define PENSTOCK_EXPR_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define REGEX_PATTERN_MAX_BYTES 4096
#define REGEX_MEMORY_MAX_BYTES (1 << 20)

struct regex;
// NULL and a one-line reason when the pattern is wrong or too big.
struct regex *regex_compile(const char *pattern, size_t len, char *why, size_t why_size);
bool regex_matches(const struct regex *regex, const char *text, size_t len); // anywhere in the text
void regex_free(struct regex *regex);

#ifdef __cplusplus
}
#endif
#endif
