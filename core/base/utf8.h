/* UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef OPS_BASE_UTF8_H
#define OPS_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length (1..4) of the valid sequence at data, or 0 when there is none within n bytes. */
size_t utf8_sequence(const uint8_t *data, size_t n);
/* Whether all n bytes are valid UTF-8. */
bool utf8_is_valid(const void *data, size_t n);

#endif
