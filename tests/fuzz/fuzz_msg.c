/* The first byte names a message of MSG_EACH_STRUCT, the rest are its bytes: what decodes encodes
 * to the same bytes, and never into a buffer one byte too small. */
#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "proto/msg.h"

#define DEFINE_CHECK(x)                                                                            \
	static void check_##x(const uint8_t *data, size_t n)                                       \
	{                                                                                          \
		struct msg_##x *m = malloc(sizeof(*m));                                            \
		uint8_t *out = malloc(n + 1);                                                      \
                                                                                                   \
		FUZZ_CHECK(m != NULL && out != NULL);                                              \
		if (msg_##x##_decode(data, n, m) == 0) {                                           \
			FUZZ_CHECK(msg_##x##_encode(m, out, n + 1) == (int)n);                     \
			FUZZ_CHECK(n == 0 || memcmp(out, data, n) == 0);                           \
			FUZZ_CHECK(n == 0 || msg_##x##_encode(m, out, n - 1) == -EMSGSIZE);        \
		}                                                                                  \
		free(out);                                                                         \
		free(m);                                                                           \
	}

MSG_EACH_STRUCT(DEFINE_CHECK)

#define ROW(x) check_##x,
static void (*const checks[])(const uint8_t *data, size_t n) = {MSG_EACH_STRUCT(ROW)};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0 && data[0] < sizeof(checks) / sizeof(checks[0]))
		checks[data[0]](data + 1, size - 1);
	return 0;
}
