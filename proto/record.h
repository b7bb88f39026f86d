/*
 * The record: the one unit that the runner writes to the journal and that travels unchanged over
 * the agent's socket, into PostgreSQL, over the WebSocket and into the browser. PROTOCOL.md,
 * "Records", is its specification. All integers are little-endian.
 *
 *	 0  u32 length     payload bytes, 0..65536
 *	 4  u32 crc32c     of bytes 8..24 and the payload
 *	 8  u64 time_us    unix time
 *	16  u32 line       newlines in this journal's stdout and stderr records before this one
 *	20  u16 step       step index; RECORD_STEP_RUN: the run itself
 *	22  u8  kind       enum record_kind
 *	23  u8  flags      RECORD_FLAG_*
 */
#ifndef OPS_PROTO_RECORD_H
#define OPS_PROTO_RECORD_H

#include <stddef.h>
#include <stdint.h>

#define RECORD_HEADER_BYTES 24
#define RECORD_MAX_PAYLOAD 65536
#define RECORD_MAX_BYTES (RECORD_HEADER_BYTES + RECORD_MAX_PAYLOAD)
#define RECORD_STEP_RUN 0xffff
#define RECORD_FLAG_MASKED 0x01

enum record_kind {
	RECORD_STDOUT = 1,
	RECORD_STDERR = 2,
	RECORD_EVENT = 3, /* one JSON object, UTF-8 */
};

struct record {
	uint64_t time_us;
	uint32_t length; /* payload bytes */
	uint32_t crc;	 /* as read; record_encode_header() computes its own */
	uint32_t line;
	uint16_t step;
	uint8_t kind;
	uint8_t flags;
	const uint8_t *payload; /* points into the bytes that were decoded */
};

/* Writes the 24 header bytes of rec (its crc is computed from the fields and rec->payload).
 * rec->length must be at most RECORD_MAX_PAYLOAD. */
void record_encode_header(const struct record *rec, uint8_t out[RECORD_HEADER_BYTES]);

/*
 * Decodes a header alone: to walk a journal without its payloads. The checksum is not verified and
 * ret_rec->payload is NULL. 0, -EAGAIN (fewer than 24 bytes) or -EBADMSG (length, kind or flags
 * that no writer makes).
 */
int record_decode_header(const uint8_t *data, size_t n, struct record *ret_rec);

/*
 * Decodes and verifies the record at data. Returns its size in bytes (header and payload),
 * -EAGAIN when n bytes do not hold it whole, or -EBADMSG when it is damaged.
 */
int record_decode(const uint8_t *data, size_t n, struct record *ret_rec);

/* Newlines (0x0a) in n bytes: what the line field of later records grows by. */
uint32_t record_count_newlines(const uint8_t *data, size_t n);

#endif
