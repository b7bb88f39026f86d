#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/agentlink/link.h"
#include "core/net/framed.h"

#define SECRET "a secret of this test"
#define MAX_REQUESTS 64

struct request {
	uint32_t stream;
	uint16_t method;
};

/*
 * An agent as small as can be: answers hello and events by itself, keeps every other request for
 * the test to answer, and counts what else it hears.
 */
struct fake {
	uv_loop_t *loop;
	char dir[64], path[96];
	int listener;
	uv_poll_t poll;
	struct framed *conn; /* the last one accepted */
	unsigned n_conns, n_credits, n_closes, n_pings;
	uint32_t credited, events_stream;
	bool is_silent; /* answers nothing */
	struct request requests[MAX_REQUESTS];
	size_t n_requests;
};

struct test {
	uv_loop_t loop;
	struct fake fake;
	struct link *link;
	struct link_watch watch;
	struct link_info info; /* as last told */
	unsigned n_states, n_events;
	char event[128];
	bool link_closed;

	unsigned n_replies, n_chunks, n_ends;
	struct link_reply reply;
	struct link_end end;
	uint64_t chunk_bytes;
};

/* --- the fake agent --- */

static void fake_send(struct fake *fake, uint8_t type, uint32_t stream, const void *data, size_t n)
{
	assert_int_equal(
		framed_send(fake->conn, type, stream, &(struct framed_part){data, n}, 1), 0);
}

static void fake_answer(
	struct fake *fake, uint32_t stream, uint16_t status, const void *fields, size_t n)
{
	struct msg_response response = {
		.status = status,
		.message = wire_str_of(status == MSG_OK ? "" : "because"),
		.fields = fields,
		.fields_len = n,
	};
	uint8_t out[1024];
	int len = msg_response_encode(&response, out, sizeof(out));

	assert_true(len > 0);
	fake_send(fake, FRAME_RESPONSE, stream, out, (size_t)len);
}

static void fake_hello(struct fake *fake, uint32_t stream)
{
	struct msg_hello_reply hello = {
		.version = 1,
		.agent_version = wire_str_of("0.1.0"),
		.agent_id = wire_str_of("id"),
		.host = wire_str_of("host"),
		.config_digest = wire_str_of("digest"),
		.max_payload = FRAME_MAX_PAYLOAD,
		.initial_credit = FRAME_INITIAL_CREDIT,
		.max_streams = 8,
	};
	uint8_t out[256];
	int n = msg_hello_reply_encode(&hello, out, sizeof(out));

	assert_true(n > 0);
	fake_answer(fake, stream, MSG_OK, out, (size_t)n);
}

static void fake_request(struct fake *fake, const struct frame *frame, const uint8_t *payload)
{
	static const uint8_t position[8] = {0};
	struct msg_request request;

	assert_int_equal(msg_request_decode(payload, frame->length, &request), 0);
	if (!wire_str_eq(request.authorization, "Bearer " SECRET)) {
		fake_answer(fake, frame->stream, MSG_UNAUTHORIZED, NULL, 0);
	} else if (request.method == MSG_HELLO) {
		fake_hello(fake, frame->stream);
	} else if (request.method == MSG_EVENTS) {
		fake->events_stream = frame->stream;
		fake_answer(fake, frame->stream, MSG_OK, position, sizeof(position));
	} else {
		assert_true(fake->n_requests < MAX_REQUESTS);
		fake->requests[fake->n_requests++] =
			(struct request){frame->stream, request.method};
	}
}

static void on_fake_frame(struct framed *conn, const struct frame *frame, const uint8_t *payload)
{
	struct fake *fake = framed_arg(conn);
	struct msg_credit credit;

	if (fake->is_silent)
		return;
	switch (frame->type) {
	case FRAME_REQUEST:
		fake_request(fake, frame, payload);
		return;
	case FRAME_CREDIT:
		assert_int_equal(msg_credit_decode(payload, frame->length, &credit), 0);
		fake->n_credits++;
		fake->credited += credit.bytes;
		return;
	case FRAME_CLOSE:
		fake->n_closes++;
		return;
	case FRAME_PING:
		fake->n_pings++;
		fake_send(fake, FRAME_PONG, 0, payload, frame->length);
		return;
	default:
		fail();
	}
}

static void on_fake_error(struct framed *conn, int err)
{
	struct fake *fake = framed_arg(conn);

	(void)err;
	if (fake->conn == conn)
		fake->conn = NULL;
	framed_close(conn, 0);
}

static void on_fake_closed(struct framed *conn)
{
	(void)conn;
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
	static const struct framed_callbacks callbacks = {
		.on_frame = on_fake_frame,
		.on_error = on_fake_error,
		.on_closed = on_fake_closed,
	};
	struct framed_opts opts = {.max_queue = 1u << 24, .low_water = 1u << 20};
	struct fake *fake = poll->data;
	int fd = accept4(fake->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), err;

	(void)status;
	(void)events;
	if (fd < 0)
		return;
	fake->conn = framed_open(fake->loop, fd, &callbacks, &opts, fake, &err);
	assert_non_null(fake->conn);
	fake->n_conns++;
}

static void fake_listen(struct fake *fake)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	strcpy(addr.sun_path, fake->path);
	unlink(fake->path);
	fake->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fake->listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fake->listener, 8), 0);
	uv_poll_init(fake->loop, &fake->poll, fake->listener);
	fake->poll.data = fake;
	uv_poll_start(&fake->poll, UV_READABLE, on_acceptable);
}

static void fake_hang_up(struct fake *fake)
{
	struct framed *conn = fake->conn;

	fake->conn = NULL;
	framed_close(conn, 0);
}

static void fake_close(struct fake *fake)
{
	if (fake->conn != NULL)
		fake_hang_up(fake);
	if (fake->listener >= 0) {
		uv_close((uv_handle_t *)&fake->poll, NULL);
		uv_run(fake->loop, UV_RUN_NOWAIT);
		close(fake->listener);
		fake->listener = -1;
	}
	unlink(fake->path);
}

/* --- the link's side --- */

static void on_state(struct link_watch *watch, const struct link_info *info)
{
	struct test *t = container_of(watch, struct test, watch);

	t->info = *info;
	t->n_states++;
}

static void on_event(struct link_watch *watch, struct wire_str json)
{
	struct test *t = container_of(watch, struct test, watch);

	snprintf(t->event, sizeof(t->event), "%.*s", (int)json.len, json.data);
	t->n_events++;
}

static void on_reply(const struct link_reply *reply, void *arg)
{
	struct test *t = arg;

	t->n_replies++;
	t->reply = *reply;
}

static void on_stream_reply(struct link_stream *stream, const struct link_reply *reply)
{
	on_reply(reply, link_stream_arg(stream));
}

static void on_stream_chunk(struct link_stream *stream, const uint8_t *payload, size_t len)
{
	struct test *t = link_stream_arg(stream);

	(void)payload;
	t->n_chunks++;
	t->chunk_bytes += len;
}

static void on_stream_end(struct link_stream *stream, const struct link_end *end)
{
	struct test *t = link_stream_arg(stream);

	t->n_ends++;
	t->end = *end;
}

static const struct link_stream_callbacks stream_callbacks = {
	.on_reply = on_stream_reply,
	.on_chunk = on_stream_chunk,
	.on_end = on_stream_end,
};

static void on_link_closed(void *arg)
{
	((struct test *)arg)->link_closed = true;
}

static void open_link(struct test *t, const char *secret)
{
	struct link_opts opts = {t->fake.path, secret, "test/1", NULL};

	t->link = link_open(&t->loop, &opts);
	t->watch.on_state = on_state;
	t->watch.on_event = on_event;
	link_watch_add(t->link, &t->watch);
}

/* Runs the loop until the condition holds; a test that hangs is ended by meson. */
#define RUN_UNTIL(cond)                                                                            \
	while (!(cond))                                                                            \
	uv_run(&t->loop, UV_RUN_ONCE)

static void connected(struct test *t)
{
	open_link(t, SECRET);
	RUN_UNTIL(link_is_connected(t->link));
}

static int setup(void **state)
{
	struct test *t = xcalloc(1, sizeof(*t));

	uv_loop_init(&t->loop);
	t->fake.loop = &t->loop;
	t->fake.listener = -1;
	strcpy(t->fake.dir, "/tmp/ops-link-XXXXXX");
	assert_non_null(mkdtemp(t->fake.dir));
	snprintf(t->fake.path, sizeof(t->fake.path), "%s/agent.sock", t->fake.dir);
	fake_listen(&t->fake);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct test *t = *state;

	if (t->link != NULL && !t->link_closed) {
		link_close(t->link, on_link_closed, t);
		RUN_UNTIL(t->link_closed);
	}
	fake_close(&t->fake);
	uv_run(&t->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&t->loop), 0);
	rmdir(t->fake.dir);
	free(t);
	return 0;
}

static void says_hello_and_opens_events_before_it_tells_anybody(void **state)
{
	struct test *t = *state;

	open_link(t, SECRET);
	assert_int_equal(t->n_states, 0);
	RUN_UNTIL(t->n_states > 0);
	assert_int_equal(t->info.state, LINK_CONNECTED);
	assert_string_equal(t->info.host, "host");
	assert_string_equal(t->info.config_digest, "digest");
	assert_string_equal(t->info.reason, "");
	assert_true(t->fake.events_stream != 0);
}

static void hands_events_to_watchers(void **state)
{
	struct test *t = *state;
	uint8_t out[64];
	int n;

	connected(t);
	n = msg_document_encode(
		&(struct msg_document){wire_str_of("{\"event\":\"x\"}")}, out, sizeof(out));
	fake_send(&t->fake, FRAME_EVENT, t->fake.events_stream, out, (size_t)n);
	RUN_UNTIL(t->n_events == 1);
	assert_string_equal(t->event, "{\"event\":\"x\"}");
}

static void answers_a_request_once(void **state)
{
	struct test *t = *state;

	connected(t);
	link_request(t->link, MSG_CATALOG, NULL, 0, on_reply, t);
	assert_int_equal(t->n_replies, 0);
	RUN_UNTIL(t->fake.n_requests == 1);
	fake_answer(&t->fake, t->fake.requests[0].stream, MSG_NOT_FOUND, NULL, 0);
	fake_answer(&t->fake, t->fake.requests[0].stream, MSG_OK, NULL, 0);
	RUN_UNTIL(t->n_replies == 1);
	assert_int_equal(t->reply.err, 0);
	assert_int_equal(t->reply.status, MSG_NOT_FOUND);
	link_request(t->link, MSG_CATALOG, NULL, 0, on_reply, t);
	RUN_UNTIL(t->fake.n_requests == 2);
	assert_int_equal(t->n_replies, 1);
}

static void answers_may_come_in_any_order(void **state)
{
	struct test *t = *state;
	struct test other = {0};

	connected(t);
	link_request(t->link, MSG_CATALOG, NULL, 0, on_reply, t);
	link_request(t->link, MSG_STATUS, NULL, 0, on_reply, &other);
	RUN_UNTIL(t->fake.n_requests == 2);
	fake_answer(&t->fake, t->fake.requests[1].stream, MSG_LIMIT, NULL, 0);
	RUN_UNTIL(other.n_replies == 1);
	assert_int_equal(other.reply.status, MSG_LIMIT);
	assert_int_equal(t->n_replies, 0);
}

static void without_a_connection_calls_fail_soon_but_not_at_once(void **state)
{
	struct test *t = *state;

	fake_close(&t->fake);
	open_link(t, SECRET);
	link_request(t->link, MSG_CATALOG, NULL, 0, on_reply, t);
	link_tail(t->link, "1", 0, &stream_callbacks, t);
	assert_int_equal(t->n_replies, 0);
	RUN_UNTIL(t->n_replies == 2);
	assert_int_equal(t->reply.err, -ENOTCONN);
	RUN_UNTIL(t->n_states > 0);
	assert_int_equal(t->info.state, LINK_AWAY);
	assert_non_null(strstr(t->info.reason, "is ops-agent running?"));
}

static void connects_when_the_agent_comes(void **state)
{
	struct test *t = *state;

	fake_close(&t->fake);
	open_link(t, SECRET);
	RUN_UNTIL(t->n_states > 0);
	fake_listen(&t->fake);
	RUN_UNTIL(t->info.state == LINK_CONNECTED);
}

static void says_that_it_was_refused(void **state)
{
	struct test *t = *state;

	open_link(t, "another secret");
	RUN_UNTIL(t->n_states > 0);
	assert_int_equal(t->info.state, LINK_REFUSED);
	assert_non_null(strstr(t->info.reason, "OPS_AGENT_SECRET"));
}

static void a_lost_connection_ends_what_is_open_and_comes_back(void **state)
{
	struct test *t = *state;

	connected(t);
	link_request(t->link, MSG_CATALOG, NULL, 0, on_reply, t);
	RUN_UNTIL(t->fake.n_requests == 1);
	fake_hang_up(&t->fake);
	RUN_UNTIL(t->n_replies == 1);
	assert_int_equal(t->reply.err, -ECONNRESET);
	RUN_UNTIL(t->info.state == LINK_AWAY);
	RUN_UNTIL(t->info.state == LINK_CONNECTED);
	assert_int_equal(t->fake.n_conns, 2);
	assert_int_equal(t->info.reconnects, 1);
}

static void a_late_answer_is_ignored(void **state)
{
	struct test *t = *state;

	connected(t);
	link_request(t->link, MSG_CATALOG, NULL, 20, on_reply, t);
	RUN_UNTIL(t->n_replies == 1);
	assert_int_equal(t->reply.err, -ETIMEDOUT);
	fake_answer(&t->fake, t->fake.requests[0].stream, MSG_OK, NULL, 0);
	link_request(t->link, MSG_CATALOG, NULL, 0, on_reply, t);
	RUN_UNTIL(t->fake.n_requests == 2);
	assert_int_equal(t->n_replies, 1);
	assert_true(link_is_connected(t->link));
}

static void a_forgotten_call_is_not_called_back(void **state)
{
	struct test *t = *state;
	struct link_call *call;

	connected(t);
	call = link_request(t->link, MSG_CATALOG, NULL, 0, on_reply, t);
	link_call_forget(call);
	RUN_UNTIL(t->fake.n_requests == 1);
	fake_answer(&t->fake, t->fake.requests[0].stream, MSG_OK, NULL, 0);
	link_request(t->link, MSG_CATALOG, NULL, 0, on_reply, t);
	RUN_UNTIL(t->fake.n_requests == 2);
	assert_int_equal(t->n_replies, 0);
}

/* A tail that was answered; its stream id. */
static uint32_t open_tail(struct test *t, struct link_stream **ret_stream)
{
	struct msg_run_tail_reply reply = {.json = wire_str_of("{}")};
	uint32_t id;
	uint8_t out[64];
	int n = msg_run_tail_reply_encode(&reply, out, sizeof(out));

	*ret_stream = link_tail(t->link, "1", 0, &stream_callbacks, t);
	RUN_UNTIL(t->fake.n_requests == 1);
	id = t->fake.requests[0].stream;
	fake_answer(&t->fake, id, MSG_OK, out, (size_t)n);
	RUN_UNTIL(t->n_replies == 1);
	return id;
}

static void send_end(struct test *t, uint32_t id, uint16_t reason)
{
	uint8_t out[16];
	int n = msg_end_encode(&(struct msg_end){77, reason}, out, sizeof(out));

	fake_send(&t->fake, FRAME_END, id, out, (size_t)n);
}

static void a_stream_gives_chunks_takes_credit_and_ends(void **state)
{
	struct test *t = *state;
	struct link_stream *stream;
	uint8_t chunk[64] = {0};
	uint32_t id;

	connected(t);
	id = open_tail(t, &stream);
	fake_send(&t->fake, FRAME_CHUNK, id, chunk, sizeof(chunk));
	RUN_UNTIL(t->n_chunks == 1);
	assert_int_equal(t->chunk_bytes, 64);
	link_credit(stream, 4096);
	RUN_UNTIL(t->fake.n_credits == 1);
	assert_int_equal(t->fake.credited, 4096);
	send_end(t, id, MSG_END_FINISHED);
	RUN_UNTIL(t->n_ends == 1);
	assert_int_equal(t->end.err, 0);
	assert_int_equal(t->end.reason, MSG_END_FINISHED);
	assert_int_equal(t->end.offset, 77);
}

static void closing_a_stream_is_silent_and_told_to_the_agent(void **state)
{
	struct test *t = *state;
	struct link_stream *stream;
	uint8_t chunk[64] = {0};
	uint32_t id;

	connected(t);
	id = open_tail(t, &stream);
	link_close_stream(stream);
	fake_send(&t->fake, FRAME_CHUNK, id, chunk, sizeof(chunk));
	send_end(t, id, MSG_END_CLOSED);
	RUN_UNTIL(t->fake.n_closes == 1);
	link_request(t->link, MSG_CATALOG, NULL, 0, on_reply, t);
	RUN_UNTIL(t->fake.n_requests == 2);
	assert_int_equal(t->n_chunks, 0);
	assert_int_equal(t->n_ends, 0);
	assert_true(link_is_connected(t->link));
}

static void a_stream_closed_before_its_answer_is_closed_behind_it(void **state)
{
	struct test *t = *state;
	struct msg_run_tail_reply reply = {.json = wire_str_of("{}")};
	uint8_t out[64];
	int n = msg_run_tail_reply_encode(&reply, out, sizeof(out));

	connected(t);
	link_close_stream(link_tail(t->link, "1", 0, &stream_callbacks, t));
	RUN_UNTIL(t->fake.n_requests == 1);
	assert_int_equal(t->fake.n_closes, 0);
	fake_answer(&t->fake, t->fake.requests[0].stream, MSG_OK, out, (size_t)n);
	RUN_UNTIL(t->fake.n_closes == 1);
	assert_int_equal(t->n_replies, 0);
}

static void asks_for_no_more_than_the_agent_allows(void **state)
{
	struct test *t = *state;

	connected(t);
	/* eight at most, one of which is the events stream */
	for (int i = 0; i < 8; i++)
		link_request(t->link, MSG_CATALOG, NULL, 0, on_reply, t);
	RUN_UNTIL(t->n_replies == 1);
	assert_int_equal(t->reply.err, -ENOBUFS);
	RUN_UNTIL(t->fake.n_requests == 7);
}

static void bytes_that_make_no_sense_end_the_connection(void **state)
{
	struct test *t = *state;

	connected(t);
	link_request(t->link, MSG_CATALOG, NULL, 0, on_reply, t);
	RUN_UNTIL(t->fake.n_requests == 1);
	fake_send(&t->fake, FRAME_RESPONSE, t->fake.requests[0].stream, "x", 1);
	RUN_UNTIL(t->info.state == LINK_AWAY);
	assert_non_null(strstr(t->info.reason, "malformed"));
	assert_int_equal(t->n_replies, 1);
	assert_int_equal(t->reply.err, -ECONNRESET);
	RUN_UNTIL(t->info.state == LINK_CONNECTED);
}

static void a_goaway_is_passed_on_as_the_reason(void **state)
{
	struct msg_goaway goaway = {MSG_GOAWAY_FORBIDDEN, wire_str_of("not you")};
	struct test *t = *state;
	uint8_t out[64];
	int n = msg_goaway_encode(&goaway, out, sizeof(out));

	connected(t);
	fake_send(&t->fake, FRAME_GOAWAY, 0, out, (size_t)n);
	RUN_UNTIL(t->info.state == LINK_REFUSED);
	assert_non_null(strstr(t->info.reason, "not you"));
}

static void closing_cancels_everything_once(void **state)
{
	struct test *t = *state;
	struct link_stream *stream;

	connected(t);
	open_tail(t, &stream);
	link_request(t->link, MSG_CATALOG, NULL, 0, on_reply, t);
	link_close(t->link, on_link_closed, t);
	assert_int_equal(t->n_replies, 1);
	RUN_UNTIL(t->link_closed);
	assert_int_equal(t->n_replies, 2);
	assert_int_equal(t->reply.err, -ECANCELED);
	assert_int_equal(t->n_ends, 1);
	assert_int_equal(t->end.err, -ECANCELED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(says_hello_and_opens_events_before_it_tells_anybody),
		TEST(hands_events_to_watchers),
		TEST(answers_a_request_once),
		TEST(answers_may_come_in_any_order),
		TEST(without_a_connection_calls_fail_soon_but_not_at_once),
		TEST(connects_when_the_agent_comes),
		TEST(says_that_it_was_refused),
		TEST(a_lost_connection_ends_what_is_open_and_comes_back),
		TEST(a_late_answer_is_ignored),
		TEST(a_forgotten_call_is_not_called_back),
		TEST(a_stream_gives_chunks_takes_credit_and_ends),
		TEST(closing_a_stream_is_silent_and_told_to_the_agent),
		TEST(a_stream_closed_before_its_answer_is_closed_behind_it),
		TEST(asks_for_no_more_than_the_agent_allows),
		TEST(bytes_that_make_no_sense_end_the_connection),
		TEST(a_goaway_is_passed_on_as_the_reason),
		TEST(closing_cancels_everything_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
