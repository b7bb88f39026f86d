/* core/app/hosts/ask.c alone: hosts, agents and the answer to the request are the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "core/app/hosts/ask.h"
#include "core/app/http.h"
#include "core/app/server.h"

struct request {
	int unused;
};

static struct server server;
static struct request request;
static struct host hosts[2];
static size_t n_hosts;
static struct {
	link_reply_fn cb;
	void *arg;
} calls[2];
static size_t n_calls, n_answers, n_noted;
static int problem; /* what the request was refused with; 0: it was not */

void *request_app(const struct request *req)
{
	assert_ptr_equal(req, &request);
	return &server;
}

size_t hosts_count(const struct hosts *all)
{
	(void)all;
	return n_hosts;
}

struct host *hosts_at(const struct hosts *all, size_t i)
{
	(void)all;
	return &hosts[i];
}

const char *host_name(const struct host *host)
{
	return host == &hosts[0] ? "web1" : "db1";
}

unsigned hosts_call_ms(const struct host *host)
{
	(void)host;
	return 1;
}

void hosts_note_answer(struct hosts *all, const char *name, const struct link_reply *reply)
{
	(void)all;
	(void)name;
	(void)reply;
	n_noted++;
}

struct link_call *link_request(struct link *link, uint16_t method, const struct wire_str *fields,
	unsigned timeout_ms, link_reply_fn cb, void *arg)
{
	(void)link;
	(void)method;
	(void)fields;
	(void)timeout_ms;
	calls[n_calls].cb = cb;
	calls[n_calls++].arg = arg;
	return NULL;
}

void http_agent_problem(struct request *req, const struct link_reply *reply)
{
	assert_ptr_equal(req, &request);
	problem = reply->err;
}

static void on_answers(struct request *req, const struct ask_answer *answers, size_t n)
{
	assert_ptr_equal(req, &request);
	assert_int_equal(n, n_hosts);
	assert_string_equal(answers[0].host, "web1");
	n_answers++;
}

static void ask(size_t n)
{
	n_hosts = n;
	n_calls = n_answers = n_noted = 0;
	problem = 0;
	ask_hosts(&request, NULL, MSG_SCHEDULE, NULL, on_answers);
}

static void answers_when_all_have(void **state)
{
	const struct link_reply reply = {.err = 0};

	(void)state;
	ask(2);
	assert_int_equal(n_calls, 2);
	calls[1].cb(&reply, calls[1].arg);
	assert_int_equal(n_answers, 0);
	calls[0].cb(&reply, calls[0].arg);
	assert_int_equal(n_answers, 1);
	assert_int_equal(n_noted, 2);
	assert_int_equal(problem, 0);
}

static void answers_when_all_hosts_are_closing(void **state)
{
	(void)state;
	ask(0);
	assert_int_equal(n_calls, 0);
	assert_int_equal(n_answers, 0);
	assert_int_equal(problem, -ECANCELED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_when_all_have),
		cmocka_unit_test(answers_when_all_hosts_are_closing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
