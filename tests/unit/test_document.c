#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/worker/document.h"
#include "core/base/mem.h"

static char *text(const char *s)
{
	return xstrdup(s);
}

static struct plan *some_meta(void)
{
	struct plan *plan = xcalloc(1, sizeof(*plan));

	assert_int_equal(uuid_parse("0198f2a0-7c3b-7def-8a01-0123456789ab", 36, &plan->id), 0);
	plan->number = 1482;
	plan->is_flow = true;
	plan->name = text("backup");
	plan->title = text("Nightly \"backup\"");
	plan->host = text("vm");
	plan->actor = text("user:anna");
	plan->trigger = text("manual");
	plan->config_digest = text("c0ffee");
	plan->created_us = 10;
	plan->n_inputs = 2;
	plan->inputs = xcalloc(2, sizeof(plan->inputs[0]));
	plan->inputs[0] = (struct plan_run_input){text("db"), text("app"), false};
	plan->inputs[1] = (struct plan_run_input){text("key"), text("***"), true};
	plan->n_steps = 2;
	plan->steps = xcalloc(2, sizeof(plan->steps[0]));
	plan->steps[0].id = text("dump");
	plan->steps[0].uses = text("pg.dump");
	plan->steps[0].title = text("Dump");
	plan->steps[1].id = text("finally.1");
	plan->steps[1].uses = text("tmp.clean");
	plan->steps[1].title = text("Clean");
	plan->steps[1].phase = PLAN_FINALLY;
	plan->steps[1].n_needs = 1;
	plan->steps[1].needs = xcalloc(1, sizeof(uint16_t));
	return plan;
}

static const char expected[] =
	"{\"id\":\"0198f2a0-7c3b-7def-8a01-0123456789ab\",\"number\":1482,\"host\":\"vm\","
	"\"kind\":\"flow\",\"name\":\"backup\",\"title\":\"Nightly \\\"backup\\\"\","
	"\"status\":\"failed\",\"reason\":\"exit\",\"exit_code\":3,\"signal\":null,"
	"\"inputs\":{\"db\":\"app\",\"key\":\"***\"},\"actor\":\"user:anna\",\"trigger\":"
	"\"manual\","
	"\"config_digest\":\"c0ffee\",\"created_us\":10,\"started_us\":11,\"finished_us\":null,"
	"\"bytes\":5,\"lines\":1,\"size\":500,\"durable_offset\":0,\"truncated\":true,\"cancel\":"
	"null,\"steps\":["
	"{\"index\":0,\"id\":\"dump\",\"uses\":\"pg.dump\",\"title\":\"Dump\",\"phase\":\"main\","
	"\"needs\":[],\"status\":\"failed\",\"attempt\":2,\"reason\":\"exit\",\"exit_code\":3,"
	"\"signal\":null,\"started_us\":12,\"finished_us\":13,\"offset\":0,"
	"\"outputs\":{\"path\":\"/b\"},\"approve\":null},"
	"{\"index\":1,\"id\":\"finally.1\",\"uses\":\"tmp.clean\",\"title\":\"Clean\","
	"\"phase\":\"finally\",\"needs\":[0],\"status\":\"pending\",\"attempt\":0,\"reason\":null,"
	"\"exit_code\":null,\"signal\":null,\"started_us\":null,\"finished_us\":null,"
	"\"offset\":null,\"outputs\":{},\"approve\":null}]}";

static void a_run_is_composed_of_meta_state_and_outputs(void **state)
{
	static char path[] = "path", first[] = "/a", second[] = "/b";
	struct output items[] = {{0, 1, path, first}, {0, 2, path, second}};
	struct outputs outputs = {.items = items, .n = 2};
	struct run_state *run = xcalloc(1, sizeof(*run));
	struct plan *meta = some_meta();
	struct json json;
	struct buf buf;

	(void)state;
	run->status = RUN_FAILED;
	run->reason = REASON_EXIT;
	run->exit_code = 3;
	run->started_us = 11;
	run->bytes = 5;
	run->lines = 1;
	run->size = 500;
	run->truncated = true;
	run->n_steps = 2;
	run->steps[0] = (struct step_state){.status = STEP_FAILED,
		.reason = REASON_EXIT,
		.attempt = 2,
		.exit_code = 3,
		.started_us = 12,
		.finished_us = 13};
	run->steps[1] = (struct step_state){.exit_code = -1, .offset = UINT64_MAX};
	buf_init(&buf, DOCUMENT_MAX_BYTES);
	json_init(&json, &buf);
	document_write(&json, meta, run, &outputs, &(struct document_cancel){0});
	buf_append_byte(&buf, 0);
	assert_int_equal(buf_err(&buf), 0);
	assert_string_equal((const char *)buf.data, expected);
	buf_fini(&buf);
	plan_free(meta);
	free(run);
}

static void steps_the_state_does_not_know_yet_are_pending(void **state)
{
	struct run_state *run = xcalloc(1, sizeof(*run));
	struct outputs outputs = {0};
	struct plan *meta = some_meta();
	struct json json;
	struct buf buf;

	(void)state;
	run->exit_code = -1;
	buf_init(&buf, DOCUMENT_MAX_BYTES);
	json_init(&json, &buf);
	document_write(&json, meta, run, &outputs, &(struct document_cancel){0});
	buf_append_byte(&buf, 0);
	assert_non_null(strstr((const char *)buf.data, "\"id\":\"dump\""));
	assert_non_null(strstr((const char *)buf.data, "\"status\":\"pending\""));
	buf_fini(&buf);
	plan_free(meta);
	free(run);
}

static void says_who_asked_it_to_end(void **state)
{
	static const struct {
		struct document_cancel cancel;
		const char *says;
	} cases[] = {
		{{.asked = true, .time_us = 7, .actor = "user:anna"},
			"\"cancel\":{\"actor\":\"user:anna\",\"time_us\":7,\"kill\":false}"},
		{{.asked = true, .kill = true, .actor = "host"},
			"\"cancel\":{\"actor\":\"host\",\"time_us\":null,\"kill\":true}"},
	};
	struct run_state *run = xcalloc(1, sizeof(*run));
	struct outputs outputs = {0};
	struct plan *meta = some_meta();
	struct json json;
	struct buf buf;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		buf_init(&buf, DOCUMENT_MAX_BYTES);
		json_init(&json, &buf);
		document_write(&json, meta, run, &outputs, &cases[i].cancel);
		buf_append_byte(&buf, 0);
		assert_non_null(strstr((const char *)buf.data, cases[i].says));
		buf_fini(&buf);
	}
	plan_free(meta);
	free(run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_run_is_composed_of_meta_state_and_outputs),
		cmocka_unit_test(steps_the_state_does_not_know_yet_are_pending),
		cmocka_unit_test(says_who_asked_it_to_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
