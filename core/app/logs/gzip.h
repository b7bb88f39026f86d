/* A gzip stream (RFC 1952) onto buffers, made for speed: level 1. */
#ifndef OPS_CORE_APP_LOGS_GZIP_H
#define OPS_CORE_APP_LOGS_GZIP_H

#include <stddef.h>

#include "core/base/buf.h"

struct gzip;

/* NULL when out of memory (about 256 KiB). */
struct gzip *gzip_new(void);
void gzip_free(struct gzip *gzip); /* NULL is fine */

/* Appends to out what n more bytes make so far, which may be nothing. Errors stay in out. */
void gzip_write(struct gzip *gzip, const void *data, size_t n, struct buf *out);
/* Appends the rest. Nothing may follow. */
void gzip_end(struct gzip *gzip, struct buf *out);

#endif
