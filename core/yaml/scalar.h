/*
 * Strict readers of what stands in a YAML scalar or an input's value. Nothing is guessed: `010`,
 * `+1`, `1e3`, `yes`, `5 m` and `5M` are errors. All return 0 or -EINVAL (-ERANGE when the text is
 * right and the number too large) and leave the result untouched on failure.
 */
#ifndef OPS_CORE_YAML_SCALAR_H
#define OPS_CORE_YAML_SCALAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/mem.h"

#define SCALAR_MAX_DURATION_US (UINT64_C(3660) * 86400 * 1000000) /* about ten years */

/* 0, 7, -12 */
MUSTCHECK int scalar_int(const char *s, size_t n, int64_t *ret_value);
/* true, false */
MUSTCHECK int scalar_bool(const char *s, size_t n, bool *ret_value);
/* 500ms, 30s, 5m, 1h30m, 7d: descending units, each at most once; or 0. In microseconds. */
MUSTCHECK int scalar_duration(const char *s, size_t n, uint64_t *ret_us);
/* 512B, 64KiB, 256MiB, 2GiB, 1TiB; or 0. In bytes. */
MUSTCHECK int scalar_size(const char *s, size_t n, uint64_t *ret_bytes);
/* 1% .. 100000% */
MUSTCHECK int scalar_percent(const char *s, size_t n, uint32_t *ret_percent);

#define SCALAR_DURATION_TEXT_BYTES 64
/* The shortest text scalar_duration() reads back as us (below a millisecond: cut). */
void scalar_duration_format(uint64_t us, char text[SCALAR_DURATION_TEXT_BYTES]);

#endif
