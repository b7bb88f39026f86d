/* The input as a journal: what decodes encodes to the same header, and the pieces agree. */
#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "proto/crc32c.h"
#include "proto/record.h"

static uint32_t count_plainly(const uint8_t *data, size_t n)
{
	uint32_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += data[i] == '\n';
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t at = 0;

	while (at < size) {
		uint8_t header[RECORD_HEADER_BYTES];
		struct record rec, head;
		int n = record_decode(data + at, size - at, &rec);

		if (n < 0) {
			FUZZ_CHECK(n == -EAGAIN || n == -EBADMSG);
			break;
		}
		FUZZ_CHECK((size_t)n == RECORD_HEADER_BYTES + rec.length && (size_t)n <= size - at);
		FUZZ_CHECK(rec.payload == data + at + RECORD_HEADER_BYTES);
		FUZZ_CHECK(record_decode_header(data + at, size - at, &head) == 0);
		FUZZ_CHECK(head.payload == NULL && head.line == rec.line && head.crc == rec.crc);
		record_encode_header(&rec, header);
		FUZZ_CHECK(memcmp(header, data + at, sizeof(header)) == 0);
		at += (size_t)n;
	}
	FUZZ_CHECK(record_count_newlines(data, size) == count_plainly(data, size));
	FUZZ_CHECK(crc32c(1, data, size) == crc32c_portable(1, data, size));
	return 0;
}
