#include "proto/wire.h"

#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

struct wire_str wire_str_of(const char *s)
{
	return (struct wire_str){
		.data = s != NULL ? s : "", .len = s != NULL ? (uint32_t)strlen(s) : 0};
}

bool wire_str_eq(struct wire_str s, const char *text)
{
	return strlen(text) == s.len && (s.len == 0 || memcmp(s.data, text, s.len) == 0);
}

void wire_reader_init(struct wire_reader *r, const void *data, size_t n)
{
	r->at = data;
	r->end = n > 0 ? r->at + n : r->at;
	r->failed = false;
}

/* The next n bytes, or NULL when there are not so many. */
static const uint8_t *take(struct wire_reader *r, size_t n)
{
	const uint8_t *p = r->at;

	if (r->failed || (size_t)(r->end - r->at) < n) {
		r->failed = true;
		return NULL;
	}
	if (n > 0)
		r->at += n;
	return p;
}

uint8_t wire_get_u8(struct wire_reader *r)
{
	const uint8_t *p = take(r, 1);

	return p != NULL ? *p : 0;
}

uint16_t wire_get_u16(struct wire_reader *r)
{
	const uint8_t *p = take(r, 2);
	uint16_t v;

	if (p == NULL)
		return 0;
	memcpy(&v, p, sizeof(v));
	return le16toh(v);
}

uint32_t wire_get_u32(struct wire_reader *r)
{
	const uint8_t *p = take(r, 4);
	uint32_t v;

	if (p == NULL)
		return 0;
	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

uint64_t wire_get_u64(struct wire_reader *r)
{
	const uint8_t *p = take(r, 8);
	uint64_t v;

	if (p == NULL)
		return 0;
	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

struct wire_str wire_get_str(struct wire_reader *r)
{
	uint32_t len = wire_get_u32(r);
	const uint8_t *p = r->failed ? NULL : take(r, len);

	if (p == NULL)
		return (struct wire_str){.data = "", .len = 0};
	return (struct wire_str){.data = (const char *)p, .len = len};
}

int wire_reader_finish(const struct wire_reader *r)
{
	return r->failed || r->at != r->end ? -EBADMSG : 0;
}

void wire_writer_init(struct wire_writer *w, void *data, size_t cap)
{
	w->start = w->at = data;
	w->end = cap > 0 ? w->start + cap : w->start;
	w->failed = false;
}

void wire_put_bytes(struct wire_writer *w, const void *data, size_t n)
{
	if (w->failed || (size_t)(w->end - w->at) < n) {
		w->failed = true;
		return;
	}
	if (n == 0)
		return;
	memcpy(w->at, data, n);
	w->at += n;
}

void wire_put_u8(struct wire_writer *w, uint8_t v)
{
	wire_put_bytes(w, &v, sizeof(v));
}

void wire_put_u16(struct wire_writer *w, uint16_t v)
{
	v = htole16(v);
	wire_put_bytes(w, &v, sizeof(v));
}

void wire_put_u32(struct wire_writer *w, uint32_t v)
{
	v = htole32(v);
	wire_put_bytes(w, &v, sizeof(v));
}

void wire_put_u64(struct wire_writer *w, uint64_t v)
{
	v = htole64(v);
	wire_put_bytes(w, &v, sizeof(v));
}

void wire_put_str(struct wire_writer *w, struct wire_str s)
{
	wire_put_u32(w, s.len);
	wire_put_bytes(w, s.data, s.len);
}

void wire_put_cstr(struct wire_writer *w, const char *s)
{
	wire_put_str(w, wire_str_of(s));
}

int wire_writer_finish(const struct wire_writer *w)
{
	size_t n = (size_t)(w->at - w->start);

	return w->failed || n > INT_MAX ? -EMSGSIZE : (int)n;
}
