#include "core/base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_MIN_CAP 256

void buf_init(struct buf *buf, size_t max_bytes)
{
	*buf = (struct buf){.max = max_bytes};
}

void buf_fini(struct buf *buf)
{
	if (buf == NULL)
		return;
	free(buf->data);
	buf_init(buf, buf->max);
}

void buf_reset(struct buf *buf)
{
	buf->len = 0;
	buf->err = 0;
}

uint8_t *buf_reserve(struct buf *buf, size_t n)
{
	size_t cap;
	uint8_t *data;

	if (buf->err != 0)
		return NULL;
	if (n > buf->max - buf->len) {
		buf->err = -EMSGSIZE;
		return NULL;
	}
	if (n <= buf->cap - buf->len && buf->data != NULL)
		return buf->data + buf->len;
	cap = MAX(buf->cap, (size_t)BUF_MIN_CAP);
	while (cap < buf->len + n)
		cap *= 2;
	data = realloc(buf->data, cap);
	if (data == NULL) {
		buf->err = -ENOMEM;
		return NULL;
	}
	buf->data = data;
	buf->cap = cap;
	return buf->data + buf->len;
}

/* Whether n bytes fit where there is memory already: most do. */
static bool fits(const struct buf *buf, size_t n)
{
	return buf->err == 0 && n <= MIN(buf->cap, buf->max) - buf->len;
}

void buf_append(struct buf *buf, const void *data, size_t n)
{
	uint8_t *to = fits(buf, n) ? buf->data + buf->len : buf_reserve(buf, n);

	if (to == NULL || n == 0)
		return;
	memcpy(to, data, n);
	buf->len += n;
}

void buf_append_str(struct buf *buf, const char *s)
{
	buf_append(buf, s, strlen(s));
}

void buf_append_byte(struct buf *buf, uint8_t byte)
{
	if (fits(buf, 1))
		buf->data[buf->len++] = byte;
	else
		buf_append(buf, &byte, 1);
}

static void append_decimal(struct buf *buf, bool minus, uint64_t v)
{
	char text[21]; /* a sign and 20 digits */
	size_t at = sizeof(text);

	do {
		text[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	if (minus)
		text[--at] = '-';
	buf_append(buf, text + at, sizeof(text) - at);
}

void buf_append_int(struct buf *buf, int64_t v)
{
	append_decimal(buf, v < 0, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void buf_append_uint(struct buf *buf, uint64_t v)
{
	append_decimal(buf, false, v);
}

void buf_append_le(struct buf *buf, uint64_t v, unsigned n_bytes)
{
	for (unsigned i = 0; i < n_bytes; i++)
		buf_append_byte(buf, (uint8_t)(v >> (8 * i)));
}

void buf_append_counted(struct buf *buf, const char *s)
{
	size_t n = s != NULL ? strlen(s) : 0;

	buf_append_le(buf, n, 4);
	buf_append(buf, s, n);
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
	char small[256];
	char *text = small;
	va_list args, again;
	int n;

	va_start(args, fmt);
	va_copy(again, args);
	n = vsnprintf(small, sizeof(small), fmt, args);
	va_end(args);
	if (n >= (int)sizeof(small)) {
		text = NULL;
		n = vasprintf(&text, fmt, again);
	}
	va_end(again);
	if (n < 0) {
		buf->err = buf->err != 0 ? buf->err : -ENOMEM;
		return;
	}
	buf_append(buf, text, (size_t)n);
	if (text != small)
		free(text);
}

void buf_consume(struct buf *buf, size_t n)
{
	if (n == 0)
		return;
	memmove(buf->data, buf->data + n, buf->len - n);
	buf->len -= n;
}

int buf_err(const struct buf *buf)
{
	return buf->err;
}

char *buf_take_str(struct buf *buf)
{
	size_t max = buf->max;
	char *text = NULL;
	uint8_t *end;

	buf->max += max == SIZE_MAX ? 0 : 1; /* the NUL does not count */
	end = buf_reserve(buf, 1);
	if (end != NULL) {
		*end = '\0';
		text = (char *)buf->data;
		buf->data = NULL;
	}
	buf_fini(buf);
	buf->max = max;
	return text;
}
