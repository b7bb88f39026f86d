/* First line: a secret; the rest is the text, cut where a byte of it says. The masker and the
 * obvious way agree, and it holds back what it should. */
#include <string.h>

#include "agent/runner/mask.h"
#include "fuzz.h"
#include "tests/unit/mask_naive.h"

#define MAX_SECRET 40
#define MAX_TEXT 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t out[MAX_TEXT + 8], wanted[MAX_TEXT + 8];
	char secret[MAX_SECRET + 1] = "";
	const char *list[] = {secret};
	const uint8_t *end = size != 0 ? memchr(data, '\n', size) : NULL;
	struct mask_stream stream;
	struct naive naive = {0};
	struct mask *mask;
	bool masked = false;
	size_t n, len = 0;

	if (end == NULL || end - data < MASK_MIN_SECRET || end - data > MAX_SECRET)
		return 0;
	memcpy(secret, data, (size_t)(end - data));
	if (strlen(secret) != (size_t)(end - data))
		return 0;
	data = end + 1;
	n = MIN(size - strlen(secret) - 1, (size_t)MAX_TEXT);
	naive_add_secret(&naive, secret);
	mask = mask_new(list, 1);
	FUZZ_CHECK(mask != NULL && mask_stream_init(&stream, mask, MAX_TEXT) == 0);
	for (size_t at = 0; at < n;) {
		size_t piece = MIN(n - at, (size_t)1 + data[at] % 16);

		memcpy(mask_room(&stream), data + at, piece);
		len += mask_take(&stream, piece, out + len, &masked);
		at += piece;
		FUZZ_CHECK(stream.held == naive_hold(&naive, data, at));
	}
	len += mask_flush(&stream, out + len, &masked);
	FUZZ_CHECK(len == naive_mask(&naive, data, n, wanted) && memcmp(out, wanted, len) == 0);
	mask_stream_fini(&stream);
	mask_unref(mask);
	return 0;
}
