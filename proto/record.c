#include "proto/record.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "proto/crc32c.h"
#include "proto/wire.h"

#define CRC_FROM 8 /* the checksum covers what follows it */

void record_encode_header(const struct record *rec, uint8_t out[RECORD_HEADER_BYTES])
{
	struct wire_writer w;
	uint32_t crc;

	assert(rec->length <= RECORD_MAX_PAYLOAD);
	wire_writer_init(&w, out + CRC_FROM, RECORD_HEADER_BYTES - CRC_FROM);
	wire_put_u64(&w, rec->time_us);
	wire_put_u32(&w, rec->line);
	wire_put_u16(&w, rec->step);
	wire_put_u8(&w, rec->kind);
	wire_put_u8(&w, rec->flags);
	crc = crc32c(0, out + CRC_FROM, RECORD_HEADER_BYTES - CRC_FROM);
	crc = crc32c(crc, rec->payload, rec->length);
	wire_writer_init(&w, out, CRC_FROM);
	wire_put_u32(&w, rec->length);
	wire_put_u32(&w, crc);
}

int record_decode_header(const uint8_t *data, size_t n, struct record *ret_rec)
{
	struct record rec = {0};
	struct wire_reader r;

	if (n < RECORD_HEADER_BYTES)
		return -EAGAIN;
	wire_reader_init(&r, data, RECORD_HEADER_BYTES);
	rec.length = wire_get_u32(&r);
	rec.crc = wire_get_u32(&r);
	rec.time_us = wire_get_u64(&r);
	rec.line = wire_get_u32(&r);
	rec.step = wire_get_u16(&r);
	rec.kind = wire_get_u8(&r);
	rec.flags = wire_get_u8(&r);
	if (rec.length > RECORD_MAX_PAYLOAD || rec.kind < RECORD_STDOUT ||
		rec.kind > RECORD_EVENT || (rec.flags & ~RECORD_FLAG_MASKED) != 0)
		return -EBADMSG;
	*ret_rec = rec;
	return 0;
}

int record_decode(const uint8_t *data, size_t n, struct record *ret_rec)
{
	struct record rec;
	uint32_t crc;
	int rc = record_decode_header(data, n, &rec);

	if (rc != 0)
		return rc;
	if (n - RECORD_HEADER_BYTES < rec.length)
		return -EAGAIN;
	rec.payload = data + RECORD_HEADER_BYTES;
	crc = crc32c(0, data + CRC_FROM, RECORD_HEADER_BYTES - CRC_FROM + rec.length);
	if (crc != rec.crc)
		return -EBADMSG;
	*ret_rec = rec;
	return (int)(RECORD_HEADER_BYTES + rec.length);
}

/* Sixteen counters side by side; whatever the compiler's level, this becomes vector code. */
typedef uint8_t counters __attribute__((vector_size(16)));

#define COUNTERS_PER_STEP 4
#define STEP_BYTES (COUNTERS_PER_STEP * sizeof(counters))
#define MAX_STEPS UINT8_MAX /* a counter grows by at most one a step */

static uint32_t sum(const counters *c)
{
	uint32_t n = 0;

	for (size_t k = 0; k < COUNTERS_PER_STEP; k++) {
		for (size_t i = 0; i < sizeof(counters); i++)
			n += c[k][i];
	}
	return n;
}

uint32_t record_count_newlines(const uint8_t *data, size_t n)
{
	uint32_t total = 0;

	while (n >= STEP_BYTES) {
		size_t steps = n / STEP_BYTES < MAX_STEPS ? n / STEP_BYTES : MAX_STEPS;
		counters count[COUNTERS_PER_STEP] = {0};

		for (size_t i = 0; i < steps; i++, data += STEP_BYTES) {
			counters bytes[COUNTERS_PER_STEP];

			memcpy(bytes, data, STEP_BYTES);
			for (size_t k = 0; k < COUNTERS_PER_STEP; k++)
				count[k] -= (counters)(bytes[k] == '\n'); /* equal is -1 */
		}
		n -= steps * STEP_BYTES;
		total += sum(count);
	}
	for (size_t i = 0; i < n; i++)
		total += data[i] == '\n';
	return total;
}
