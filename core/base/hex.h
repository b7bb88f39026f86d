/* Lower-case hexadecimal text. */
#ifndef OPS_BASE_HEX_H
#define OPS_BASE_HEX_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/mem.h"

/* Writes 2 * n characters and a NUL to out. */
void hex_encode(const uint8_t *data, size_t n, char *out);
/* The value of one digit, either case; -1: it is none. */
int hex_digit(char c);
/* Reads exactly 2 * n characters, either case. -EINVAL otherwise; out is untouched then. */
MUSTCHECK int hex_decode(const char *text, size_t text_len, uint8_t *out, size_t n);

#endif
