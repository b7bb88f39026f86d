/*
 * A growable byte buffer with a hard maximum. The first failure (too large, out of memory) sticks:
 * later appends do nothing and buf_err() tells it, so a writer may check once at its end.
 */
#ifndef OPS_BASE_BUF_H
#define OPS_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/mem.h"

struct buf {
	uint8_t *data; /* NULL while empty and never grown */
	size_t len;    /* bytes in use */
	size_t cap;    /* bytes allocated */
	size_t max;    /* len never exceeds this */
	int err;       /* 0, -EMSGSIZE or -ENOMEM */
};

/* An empty buffer of at most max_bytes. Allocates nothing. */
void buf_init(struct buf *buf, size_t max_bytes);
/* Frees the bytes; the buffer may be used again after buf_init(). NULL is fine. */
void buf_fini(struct buf *buf);
/* Empties it and clears the error; keeps the memory. */
void buf_reset(struct buf *buf);
/* Makes room for n more bytes and returns where they go, or NULL (the error sticks). The caller
 * adds what it wrote to len. */
uint8_t *buf_reserve(struct buf *buf, size_t n);
void buf_append(struct buf *buf, const void *data, size_t n);
void buf_append_str(struct buf *buf, const char *s);
void buf_append_byte(struct buf *buf, uint8_t byte);
/* In decimal. */
void buf_append_int(struct buf *buf, int64_t v);
void buf_append_uint(struct buf *buf, uint64_t v);
/* The lowest n_bytes of v, the lowest first. */
void buf_append_le(struct buf *buf, uint64_t v, unsigned n_bytes);
/* A text behind its length in four bytes, as proto/wire.h reads it; NULL is the empty one. */
void buf_append_counted(struct buf *buf, const char *s);
void buf_printf(struct buf *buf, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Drops the first n bytes (n <= len). */
void buf_consume(struct buf *buf, size_t n);
/* 0 or the first error: -EMSGSIZE, -ENOMEM. */
MUSTCHECK int buf_err(const struct buf *buf);
/* The bytes with a NUL behind them, to be freed by the caller; the buffer is empty afterwards.
 * NULL after an error. */
MUSTCHECK char *buf_take_str(struct buf *buf);

#endif
