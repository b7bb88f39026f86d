#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/web/ws.h"
#include "core/web/ws_recv.h"

#define MAX_BYTES 128

/* What a peer sends, and what came of it. */
struct peer {
	uint8_t bytes[MAX_BYTES];
	size_t n;
	unsigned close_code;
	size_t n_messages, n_replies;
	char message[16];
};

static unsigned on_message(void *arg, bool is_text, const uint8_t *data, size_t len)
{
	struct peer *peer = arg;

	assert_true(is_text);
	assert_true(len < sizeof(peer->message));
	memcpy(peer->message, data, len);
	peer->message[len] = '\0';
	peer->n_messages++;
	return 0;
}

static void on_replies(void *arg, uint8_t *frames, size_t len)
{
	struct peer *peer = arg;

	peer->n_replies += len > 0;
	free(frames);
}

static void on_peer_close(void *arg, unsigned code)
{
	struct peer *peer = arg;

	peer->close_code = code;
}

static const struct ws_recv_events events = {on_message, on_replies, on_peer_close};

/* A masked frame with a payload under 126 bytes. first: its first byte. */
static void add_frame(struct peer *peer, uint8_t first, const void *payload, size_t len)
{
	static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
	const uint8_t *data = payload;

	assert_true(len < 126 && peer->n + 6 + len <= MAX_BYTES);
	peer->bytes[peer->n++] = first;
	peer->bytes[peer->n++] = (uint8_t)(0x80 | len);
	memcpy(peer->bytes + peer->n, mask, 4);
	peer->n += 4;
	for (size_t i = 0; i < len; i++)
		peer->bytes[peer->n++] = data[i] ^ mask[i % 4];
}

static void add_close(struct peer *peer, const char *reason)
{
	char payload[64] = "\x03\xe8";

	strcpy(payload + 2, reason);
	add_frame(peer, 0x88, payload, 2 + strlen(reason));
}

/* What all of it is answered with, given in pieces that end at these places. */
static unsigned feed(struct peer *peer, size_t first, size_t second)
{
	const size_t ends[] = {first, second, peer->n};
	struct ws_recv recv;
	unsigned code = 0;
	size_t at = 0;

	peer->close_code = 0;
	peer->n_messages = peer->n_replies = 0;
	ws_recv_init(&recv, &events, peer, 1024, 16);
	for (size_t i = 0; i < ARRAY_LEN(ends) && code == 0; i++) {
		code = ws_recv_feed(&recv, (const char *)peer->bytes + at, ends[i] - at);
		at = ends[i];
	}
	ws_recv_fini(&recv);
	return code;
}

/* In up to three pieces, wherever they are cut, also within a half message and behind a ping. */
static void expect(const char *reason, unsigned code)
{
	struct peer peer = {.n = 0};

	add_frame(&peer, 0x01, "he", 2);
	add_frame(&peer, 0x89, "p", 1);
	add_frame(&peer, 0x80, "llo", 3);
	add_frame(&peer, 0x01, "ha", 2);
	add_close(&peer, reason);
	for (size_t first = 0; first <= peer.n; first++) {
		for (size_t second = first; second <= peer.n; second++) {
			assert_int_equal(feed(&peer, first, second), code);
			assert_int_equal(peer.n_messages, 1);
			assert_string_equal(peer.message, "hello");
			assert_int_equal(peer.close_code, code == WS_RECV_CLOSED ? 1000 : 0);
			assert_true(peer.n_replies > 0);
		}
	}
}

static void takes_a_reason_in_any_pieces(void **state)
{
	(void)state;
	expect("", WS_RECV_CLOSED);
	expect("bye", WS_RECV_CLOSED);
	expect("κόσμε", WS_RECV_CLOSED);
	expect("\xf0\x9f\x91\x8b€é", WS_RECV_CLOSED);
}

static void refuses_a_broken_reason_in_any_pieces(void **state)
{
	(void)state;
	expect("\xff", WS_CLOSE_BAD_TEXT);
	expect("\xc3\x28", WS_CLOSE_BAD_TEXT);
	expect("abc\xe2\x82", WS_CLOSE_BAD_TEXT);
	expect("\xed\xa0\x80"
	       "e",
		WS_CLOSE_BAD_TEXT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_a_reason_in_any_pieces),
		cmocka_unit_test(refuses_a_broken_reason_in_any_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
