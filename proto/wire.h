/*
 * Reading and writing the fields of messages: little-endian integers and `str` (u32 length and
 * bytes). Both cursors are bounded and their first error sticks, so a codec checks once at its end.
 */
#ifndef OPS_PROTO_WIRE_H
#define OPS_PROTO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Text or bytes inside somebody else's memory; not NUL-terminated. */
struct wire_str {
	const char *data;
	uint32_t len;
};

/* A wire_str of a C string (NULL is the empty one). */
struct wire_str wire_str_of(const char *s);
bool wire_str_eq(struct wire_str s, const char *text);

struct wire_reader {
	const uint8_t *at, *end;
	bool failed; /* a read went past the end */
};

void wire_reader_init(struct wire_reader *r, const void *data, size_t n);
/* After a failure these return 0 or the empty string. */
uint8_t wire_get_u8(struct wire_reader *r);
uint16_t wire_get_u16(struct wire_reader *r);
uint32_t wire_get_u32(struct wire_reader *r);
uint64_t wire_get_u64(struct wire_reader *r);
struct wire_str wire_get_str(struct wire_reader *r);
/* 0 when nothing failed and nothing is left over; -EBADMSG otherwise. */
int wire_reader_finish(const struct wire_reader *r);

struct wire_writer {
	uint8_t *start, *at, *end;
	bool failed; /* did not fit */
};

void wire_writer_init(struct wire_writer *w, void *data, size_t cap);
void wire_put_u8(struct wire_writer *w, uint8_t v);
void wire_put_u16(struct wire_writer *w, uint16_t v);
void wire_put_u32(struct wire_writer *w, uint32_t v);
void wire_put_u64(struct wire_writer *w, uint64_t v);
void wire_put_bytes(struct wire_writer *w, const void *data, size_t n);
void wire_put_str(struct wire_writer *w, struct wire_str s);
void wire_put_cstr(struct wire_writer *w, const char *s); /* NULL is the empty string */
/* Bytes written, or -EMSGSIZE when something did not fit. */
int wire_writer_finish(const struct wire_writer *w);

#endif
