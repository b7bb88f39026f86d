#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/net/framed.h"

#define MAX_QUEUE (4u * 1024u * 1024u)
#define LOW_WATER (128u * 1024u)

/* One connection on a loop, and the bare descriptor at its other end. */
struct side {
	uv_loop_t loop;
	struct framed *conn;
	int peer;
	unsigned n_frames, n_drains, n_errors, n_closed;
	int err;
	uint8_t last_type;
	uint32_t last_stream, last_length;
	uint8_t last_bytes[64];
	uint32_t sum; /* of all payload bytes */
	bool close_at_frame, pause_at_frame;
	uint32_t next_stream; /* frames must come in this order when not 0 */
};

static void on_frame(struct framed *conn, const struct frame *frame, const uint8_t *payload)
{
	struct side *side = framed_arg(conn);

	if (side->next_stream != 0)
		assert_int_equal(frame->stream, side->next_stream++);
	side->n_frames++;
	side->last_type = frame->type;
	side->last_stream = frame->stream;
	side->last_length = frame->length;
	memcpy(side->last_bytes, payload, MIN(frame->length, sizeof(side->last_bytes)));
	for (uint32_t i = 0; i < frame->length; i++)
		side->sum += payload[i];
	if (side->pause_at_frame)
		framed_pause(conn);
	if (side->close_at_frame)
		framed_close(conn, 0);
}

static void on_drain(struct framed *conn)
{
	((struct side *)framed_arg(conn))->n_drains++;
	assert_true(framed_queued(conn) <= LOW_WATER / 2);
}

static void on_error(struct framed *conn, int err)
{
	((struct side *)framed_arg(conn))->n_errors++;
	((struct side *)framed_arg(conn))->err = err;
}

static void on_closed(struct framed *conn)
{
	((struct side *)framed_arg(conn))->n_closed++;
}

static const struct framed_callbacks callbacks = {on_frame, on_drain, on_error, on_closed};
static const struct framed_opts opts = {.max_queue = MAX_QUEUE, .low_water = LOW_WATER};
static const struct framed_opts impatient = {MAX_QUEUE, LOW_WATER, .frame_ms = 1};

static int set_up_with(void **state, const struct framed_opts *with)
{
	struct side *side = calloc(1, sizeof(*side));
	int fds[2], err = 0;

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(uv_loop_init(&side->loop), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	side->peer = fds[1];
	assert_int_equal(fcntl(side->peer, F_SETFL, O_NONBLOCK), 0);
	side->conn = framed_open(&side->loop, fds[0], &callbacks, with, side, &err);
	assert_non_null(side->conn);
	*state = side;
	return 0;
}

static int set_up(void **state)
{
	return set_up_with(state, &opts);
}

static int set_up_impatient(void **state)
{
	return set_up_with(state, &impatient);
}

static void turn(struct side *side)
{
	uv_run(&side->loop, UV_RUN_NOWAIT);
}

static int tear_down(void **state)
{
	struct side *side = *state;

	if (side->n_closed == 0)
		framed_close(side->conn, 0);
	uv_run(&side->loop, UV_RUN_DEFAULT);
	assert_int_equal(side->n_closed, 1);
	assert_int_equal(uv_loop_close(&side->loop), 0);
	if (side->peer >= 0)
		close(side->peer);
	free(side);
	return 0;
}

/* Writes all to the connection from its other end, turning the loop when the socket is full. */
static void peer_write(struct side *side, const void *data, size_t n)
{
	const uint8_t *at = data;

	while (n > 0) {
		ssize_t w = write(side->peer, at, n);

		if (w > 0) {
			at += w;
			n -= (size_t)w;
			continue;
		}
		assert_int_equal(errno, EAGAIN);
		turn(side);
	}
}

static size_t make_frame(uint8_t *out, uint8_t type, uint32_t stream, const void *data, size_t n)
{
	struct frame frame = {.type = type, .stream = stream, .length = (uint32_t)n};

	frame_encode_header(&frame, out);
	if (n > 0)
		memcpy(out + FRAME_HEADER_BYTES, data, n);
	return FRAME_HEADER_BYTES + n;
}

static int send_text(struct side *side, uint32_t stream, const char *text)
{
	struct framed_part part = {text, strlen(text)};

	return framed_send(side->conn, FRAME_EVENT, stream, &part, 1);
}

static void delivers_a_frame_that_arrives_byte_by_byte(void **state)
{
	struct side *side = *state;
	uint8_t bytes[64];
	size_t n = make_frame(bytes, FRAME_EVENT, 7, "hello", 5);

	for (size_t i = 0; i < n; i++) {
		assert_int_equal(side->n_frames, 0);
		peer_write(side, bytes + i, 1);
		turn(side);
		assert_int_equal(framed_is_mid_frame(side->conn), i + 1 < n);
	}
	assert_int_equal(side->n_frames, 1);
	assert_int_equal(side->last_type, FRAME_EVENT);
	assert_int_equal(side->last_stream, 7);
	assert_int_equal(side->last_length, 5);
	assert_memory_equal(side->last_bytes, "hello", 5);
}

static void delivers_frames_in_order_whatever_the_buffer_boundaries(void **state)
{
	struct side *side = *state;
	static uint8_t bytes[FRAME_HEADER_BYTES + 70000];
	static uint8_t payload[70000];
	uint32_t sum = 0;

	side->next_stream = 1;
	for (uint32_t i = 1; i <= 400; i++) {
		size_t n = (i * 7919u) % sizeof(payload);

		memset(payload, (int)(i & 0xff), n);
		sum += (uint32_t)n * (i & 0xff);
		peer_write(side, bytes, make_frame(bytes, FRAME_CHUNK, i, payload, n));
	}
	for (int i = 0; i < 100 && side->n_frames < 400; i++)
		turn(side);
	assert_int_equal(side->n_frames, 400);
	assert_int_equal(side->sum, sum);
	assert_int_equal(side->n_errors, 0);
}

static void delivers_a_frame_of_the_largest_size(void **state)
{
	struct side *side = *state;
	uint8_t *payload = malloc(FRAME_MAX_PAYLOAD);
	uint8_t *bytes = malloc(FRAME_HEADER_BYTES + FRAME_MAX_PAYLOAD);

	memset(payload, 1, FRAME_MAX_PAYLOAD);
	for (uint32_t i = 1; i <= 3; i++) {
		peer_write(
			side, bytes, make_frame(bytes, FRAME_CHUNK, i, payload, FRAME_MAX_PAYLOAD));
		peer_write(side, bytes, make_frame(bytes, FRAME_EVENT, i, "x", 1));
	}
	for (int i = 0; i < 100 && side->n_frames < 6; i++)
		turn(side);
	assert_int_equal(side->n_frames, 6);
	assert_int_equal(side->sum, 3 * FRAME_MAX_PAYLOAD + 3 * 'x');
	free(bytes);
	free(payload);
}

static void gives_frames_before_damage_and_nothing_after_it(void **state)
{
	struct side *side = *state;
	uint8_t bytes[128];
	size_t n = make_frame(bytes, FRAME_EVENT, 1, "a", 1), at = n;

	n += make_frame(bytes + n, FRAME_EVENT, 2, "b", 1);
	n += make_frame(bytes + n, FRAME_EVENT, 3, "c", 1);
	bytes[at + 4] = 9; /* version of the second */
	peer_write(side, bytes, n);
	turn(side);
	assert_int_equal(side->n_frames, 1);
	assert_int_equal(side->n_errors, 1);
	assert_int_equal(side->err, -EPROTONOSUPPORT);
	peer_write(side, bytes, at);
	turn(side);
	assert_int_equal(side->n_frames, 1);
	assert_int_equal(send_text(side, 0, "why"), 0);
	turn(side);
	assert_int_equal(read(side->peer, bytes, sizeof(bytes)), FRAME_HEADER_BYTES + 3);
}

static void half_a_frame_is_not_waited_for_without_end(void **state)
{
	struct side *side = *state;
	uint8_t bytes[64];

	peer_write(side, bytes, make_frame(bytes, FRAME_EVENT, 7, "hello", 5) - 1);
	while (side->n_errors == 0)
		uv_run(&side->loop, UV_RUN_ONCE);
	assert_int_equal(side->err, UV_ETIMEDOUT);
	assert_int_equal(side->n_frames, 0);
}

static void reports_the_end_of_the_stream_once(void **state)
{
	struct side *side = *state;

	close(side->peer);
	side->peer = -1;
	turn(side);
	turn(side);
	assert_int_equal(side->n_errors, 1);
	assert_int_equal(side->err, UV_EOF);
}

static void writes_small_frames_of_one_turn_together(void **state)
{
	struct side *side = *state;
	uint8_t bytes[4096];
	ssize_t n;

	for (uint32_t i = 1; i <= 50; i++)
		assert_int_equal(send_text(side, i, "tick"), 0);
	assert_int_equal(read(side->peer, bytes, sizeof(bytes)), -1); /* not before the turn ends */
	assert_int_equal(framed_queued(side->conn), 50 * (FRAME_HEADER_BYTES + 4));
	turn(side);
	assert_int_equal(framed_queued(side->conn), 0);
	n = read(side->peer, bytes, sizeof(bytes));
	assert_int_equal(n, 50 * (FRAME_HEADER_BYTES + 4));
	for (uint32_t i = 0; i < 50; i++) {
		struct frame frame;
		const uint8_t *at = bytes + i * (FRAME_HEADER_BYTES + 4);

		assert_int_equal(frame_decode_header(at, FRAME_HEADER_BYTES + 4, &frame), 0);
		assert_int_equal(frame.stream, i + 1);
		assert_memory_equal(at + FRAME_HEADER_BYTES, "tick", 4);
	}
}

/* Reads n bytes at the other end, turning the loop, and checks that byte i is fill(i). */
static void peer_read_all(struct side *side, size_t n, uint8_t *out)
{
	size_t got = 0;

	while (got < n) {
		ssize_t r = read(side->peer, out + got, n - got);

		if (r > 0)
			got += (size_t)r;
		else
			assert_int_equal(errno, EAGAIN);
		turn(side);
	}
}

static void keeps_every_byte_for_a_slow_reader_and_tells_when_drained(void **state)
{
	struct side *side = *state;
	const size_t frame_bytes = FRAME_HEADER_BYTES + 100000, n = 30;
	uint8_t *all = malloc(n * frame_bytes);

	for (uint32_t i = 0; i < n; i++) {
		uint8_t *block = malloc(frame_bytes);

		memset(block + FRAME_HEADER_BYTES, (int)i, 100000);
		if (i % 2 == 0) {
			assert_int_equal(
				framed_send_block(side->conn, FRAME_CHUNK, i, block, 100000), 0);
		} else {
			struct framed_part parts[2] = {{block + FRAME_HEADER_BYTES, 8},
				{block + FRAME_HEADER_BYTES, 99992}};

			assert_int_equal(framed_send(side->conn, FRAME_CHUNK, i, parts, 2), 0);
			free(block);
		}
	}
	turn(side);
	assert_true(framed_queued(side->conn) > LOW_WATER);
	assert_int_equal(side->n_drains, 0);
	peer_read_all(side, n * frame_bytes, all);
	assert_int_equal(framed_queued(side->conn), 0);
	assert_int_equal(side->n_drains, 1);
	for (uint32_t i = 0; i < n; i++) {
		struct frame frame;
		const uint8_t *at = all + i * frame_bytes;

		assert_int_equal(frame_decode_header(at, frame_bytes, &frame), 0);
		assert_int_equal(frame.length, 100000);
		assert_int_equal(frame.stream, i);
		for (size_t k = FRAME_HEADER_BYTES; k < frame_bytes; k++)
			assert_int_equal(at[k], i);
	}
	free(all);
}

static void a_full_queue_ends_the_connection(void **state)
{
	struct side *side = *state;
	static uint8_t payload[FRAME_MAX_PAYLOAD];
	struct framed_part part = {payload, sizeof(payload)};
	int rc = 0;

	for (int i = 0; i < 10 && rc == 0; i++)
		rc = framed_send(side->conn, FRAME_CHUNK, 1, &part, 1);
	assert_int_equal(rc, -ENOBUFS);
	assert_true(framed_queued(side->conn) <= MAX_QUEUE);
	assert_int_equal(side->n_errors, 0);
	turn(side);
	assert_int_equal(side->n_errors, 1);
	assert_int_equal(side->err, UV_ENOBUFS);
}

static void refuses_to_send_an_oversized_frame(void **state)
{
	struct side *side = *state;
	uint8_t *block = malloc(FRAME_HEADER_BYTES + FRAME_MAX_PAYLOAD + 1);

	assert_int_equal(
		framed_send_block(side->conn, FRAME_CHUNK, 1, block, FRAME_MAX_PAYLOAD + 1),
		-EMSGSIZE);
	turn(side);
	assert_int_equal(side->n_errors, 0);
}

static void a_paused_connection_holds_frames_back(void **state)
{
	struct side *side = *state;
	uint8_t bytes[256];
	size_t n = 0;

	for (uint32_t i = 1; i <= 3; i++)
		n += make_frame(bytes + n, FRAME_EVENT, i, "x", 1);
	side->pause_at_frame = true;
	side->next_stream = 1;
	peer_write(side, bytes, n);
	turn(side);
	turn(side);
	assert_int_equal(side->n_frames, 1);
	framed_resume(side->conn);
	assert_int_equal(side->n_frames, 1); /* never from within framed_*() */
	turn(side);
	assert_int_equal(side->n_frames, 2);
	side->pause_at_frame = false;
	framed_resume(side->conn);
	turn(side);
	assert_int_equal(side->n_frames, 3);
	side->next_stream = 0;
	peer_write(side, bytes, n);
	turn(side);
	assert_int_equal(side->n_frames, 6);
}

static void may_be_closed_while_a_frame_is_handed_out(void **state)
{
	struct side *side = *state;
	uint8_t bytes[128];
	size_t n = make_frame(bytes, FRAME_EVENT, 1, "a", 1);

	n += make_frame(bytes + n, FRAME_EVENT, 2, "b", 1);
	side->close_at_frame = true;
	peer_write(side, bytes, n);
	uv_run(&side->loop, UV_RUN_DEFAULT);
	assert_int_equal(side->n_frames, 1);
	assert_int_equal(side->n_errors, 0);
	assert_int_equal(side->n_closed, 1);
}

static void close_with_flush_writes_what_is_queued(void **state)
{
	struct side *side = *state;
	uint8_t bytes[256];

	assert_int_equal(send_text(side, 0, "goodbye"), 0);
	framed_close(side->conn, 1000);
	assert_int_equal(send_text(side, 0, "too late"), -EPIPE);
	uv_run(&side->loop, UV_RUN_DEFAULT);
	assert_int_equal(side->n_closed, 1);
	assert_int_equal(read(side->peer, bytes, sizeof(bytes)), FRAME_HEADER_BYTES + 7);
	assert_int_equal(read(side->peer, bytes, sizeof(bytes)), 0);
}

static void close_with_flush_gives_up_on_a_peer_that_does_not_read(void **state)
{
	struct side *side = *state;
	static uint8_t payload[FRAME_MAX_PAYLOAD];
	struct framed_part part = {payload, sizeof(payload)};

	assert_int_equal(framed_send(side->conn, FRAME_CHUNK, 1, &part, 1), 0);
	framed_close(side->conn, 20);
	framed_close(side->conn, 20);
	uv_run(&side->loop, UV_RUN_DEFAULT);
	assert_int_equal(side->n_closed, 1);
	assert_int_equal(side->n_errors, 0);
}

static void a_peer_that_left_is_told_as_an_error_of_writing(void **state)
{
	struct side *side = *state;

	framed_pause(side->conn); /* so that the end of the stream is not seen first */
	close(side->peer);
	side->peer = -1;
	assert_int_equal(send_text(side, 1, "anybody?"), 0);
	turn(side);
	assert_int_equal(side->n_errors, 1);
	assert_int_equal(side->err, UV_EPIPE);
}

static void a_descriptor_that_cannot_be_read_is_refused_and_closed(void **state)
{
	uv_loop_t loop;
	int err = 0, fds[2];

	(void)state;
	uv_loop_init(&loop);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_null(framed_open(&loop, fds[1], &callbacks, &opts, NULL, &err));
	assert_int_equal(err, UV_ENOTCONN);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(fcntl(fds[1], F_GETFD), -1);
	close(fds[0]);
	assert_int_equal(uv_loop_close(&loop), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(delivers_a_frame_that_arrives_byte_by_byte),
		T(delivers_frames_in_order_whatever_the_buffer_boundaries),
		T(delivers_a_frame_of_the_largest_size),
		T(gives_frames_before_damage_and_nothing_after_it),
		cmocka_unit_test_setup_teardown(
			half_a_frame_is_not_waited_for_without_end, set_up_impatient, tear_down),
		T(reports_the_end_of_the_stream_once),
		T(writes_small_frames_of_one_turn_together),
		T(keeps_every_byte_for_a_slow_reader_and_tells_when_drained),
		T(a_full_queue_ends_the_connection),
		T(refuses_to_send_an_oversized_frame),
		T(a_paused_connection_holds_frames_back),
		T(may_be_closed_while_a_frame_is_handed_out),
		T(close_with_flush_writes_what_is_queued),
		T(close_with_flush_gives_up_on_a_peer_that_does_not_read),
		T(a_peer_that_left_is_told_as_an_error_of_writing),
		cmocka_unit_test(a_descriptor_that_cannot_be_read_is_refused_and_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
