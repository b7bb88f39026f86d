#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/web/out.h"

#define FILL_BYTES (4u << 20) /* more than the kernel takes on a socket pair */
#define SMALL_WRITES 100000

static uv_loop_t loop;
static uv_pipe_t stream;
static struct out out;
static int peer;

static void on_progress(struct out *o, int status)
{
	(void)o;
	assert_int_equal(status, 0);
}

static int set_up(void **state)
{
	int fds[2];

	(void)state;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) != 0)
		return -1;
	peer = fds[1];
	uv_loop_init(&loop);
	uv_pipe_init(&loop, &stream, 0);
	uv_pipe_open(&stream, fds[0]);
	out_init(&out, (uv_stream_t *)&stream, on_progress);
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	(void)handle;
	out_fini(&out);
}

static int tear_down(void **state)
{
	(void)state;
	close(peer);
	uv_close((uv_handle_t *)&stream, on_closed);
	uv_run(&loop, UV_RUN_DEFAULT);
	return uv_loop_close(&loop);
}

static void write_piece(const void *data, size_t len)
{
	struct out_piece piece = {.data = data, .len = len, .mode = OUT_COPY};

	assert_int_equal(out_write(&out, &piece, 1), 0);
}

static void write_owned(uint8_t value, size_t len)
{
	uint8_t *block = malloc(len);
	struct out_piece piece = {.data = block, .len = len, .base = block, .mode = OUT_OWNED};

	assert_non_null(block);
	memset(block, value, len);
	assert_int_equal(out_write(&out, &piece, 1), 0);
}

/* Fills what the kernel takes, so that further pieces wait. */
static void fill(void)
{
	uint8_t *big = calloc(1, FILL_BYTES);

	write_piece(big, FILL_BYTES);
	free(big);
	assert_true(out_queued(&out) > 0);
}

/* Reads everything that is queued; the bytes behind skip are copied to ret. */
static size_t drain(size_t skip, uint8_t *ret, size_t cap)
{
	static uint8_t part[65536];
	size_t total = 0, kept = 0;

	while (total < out.total) {
		ssize_t n = read(peer, part, sizeof(part));

		for (ssize_t i = 0; i < n; i++, total++) {
			if (total >= skip && kept < cap)
				ret[kept++] = part[i];
		}
		uv_run(&loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(out_queued(&out), 0);
	return kept;
}

static void many_small_pieces_cost_about_their_bytes(void **state)
{
	struct mallinfo2 before;

	(void)state;
	fill();
	before = mallinfo2();
	for (int i = 0; i < SMALL_WRITES; i++)
		write_piece("\x8a", 2);
	/* Under a sanitizer's allocator both are 0, and the next test is what counts. */
	assert_true(mallinfo2().uordblks - before.uordblks < 4 * 2 * SMALL_WRITES);
}

static void pieces_of_all_kinds_leave_in_order(void **state)
{
	static const size_t sizes[] = {1, 2, 511, 512, 513, 1023, 1024, 1025, 3, 70000};
	static uint8_t got[1 << 20], expected[1 << 20];
	size_t n = 0, all = 0;

	(void)state;
	out.all = &all;
	fill();
	for (int i = 0; i < 60; i++) {
		uint8_t copy[2000];
		size_t len = sizes[i % 10];

		memset(copy, i, sizeof(copy));
		if (i % 3 == 0 || len > sizeof(copy))
			write_owned((uint8_t)i, len);
		else
			write_piece(copy, len);
		memset(expected + n, i, len);
		n += len;
	}
	assert_true(out_queued(&out) > n);
	assert_int_equal(all, out_queued(&out));
	assert_int_equal(drain(FILL_BYTES, got, sizeof(got)), n);
	assert_memory_equal(got, expected, n);
	assert_int_equal(all, 0);
	out.all = &out.own_all;
}

static void closing_with_a_queue_frees_it(void **state)
{
	(void)state;
	fill();
	write_owned(1, 100);
	write_owned(2, 10000);
	write_piece("x", 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			many_small_pieces_cost_about_their_bytes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			pieces_of_all_kinds_leave_in_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(closing_with_a_queue_frees_it, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
