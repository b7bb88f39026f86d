/* The input as what a peer sends: frames, and in each the message that its type carries. */
#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "proto/frame.h"
#include "proto/msg.h"

/* Decodes as struct msg_x; what decodes must encode to the same bytes. */
#define DEFINE_CHECK(x)                                                                            \
	static void check_##x(const uint8_t *data, size_t n)                                       \
	{                                                                                          \
		struct msg_##x m;                                                                  \
		uint8_t *out;                                                                      \
                                                                                                   \
		if (msg_##x##_decode(data, n, &m) != 0)                                            \
			return;                                                                    \
		out = malloc(n + 1);                                                               \
		FUZZ_CHECK(out != NULL && msg_##x##_encode(&m, out, n + 1) == (int)n);             \
		FUZZ_CHECK(memcmp(out, data, n) == 0);                                             \
		free(out);                                                                         \
	}

DEFINE_CHECK(request)
DEFINE_CHECK(response)
DEFINE_CHECK(chunk)
DEFINE_CHECK(credit)
DEFINE_CHECK(document)
DEFINE_CHECK(end)
DEFINE_CHECK(goaway)

static void check_payload(uint8_t type, const uint8_t *data, size_t n)
{
	switch (type) {
	case FRAME_REQUEST:
		check_request(data, n);
		break;
	case FRAME_RESPONSE:
		check_response(data, n);
		break;
	case FRAME_CHUNK:
		check_chunk(data, n);
		break;
	case FRAME_CREDIT:
		check_credit(data, n);
		break;
	case FRAME_EVENT:
		check_document(data, n);
		break;
	case FRAME_END:
		check_end(data, n);
		break;
	case FRAME_GOAWAY:
		check_goaway(data, n);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t at = 0;

	for (;;) {
		uint8_t header[FRAME_HEADER_BYTES];
		struct frame frame;
		int rc = frame_decode_header(data + at, size - at, &frame);

		if (rc != 0) {
			FUZZ_CHECK(rc == -EAGAIN || rc == -EBADMSG || rc == -EMSGSIZE ||
				   rc == -EPROTONOSUPPORT);
			break;
		}
		FUZZ_CHECK(frame.length <= FRAME_MAX_PAYLOAD);
		frame_encode_header(&frame, header);
		FUZZ_CHECK(memcmp(header, data + at, sizeof(header)) == 0);
		at += FRAME_HEADER_BYTES;
		if (size - at < frame.length)
			break;
		check_payload(frame.type, data + at, frame.length);
		at += frame.length;
	}
	return 0;
}
