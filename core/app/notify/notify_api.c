/*
 * GET /notify: what is configured and how it went, without secrets and addresses beyond host and
 * port. POST /notify/test: one message to a target, or to each; answered when all have.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/http.h"
#include "core/app/notify/notify_internal.h"
#include "core/app/notify/notify_message.h"
#include "core/app/server.h"
#include "core/base/json.h"
#include "core/base/log.h"

static void put_list(struct json *json, const char *key, const struct notify_list *list)
{
	json_key(json, key);
	json_open_array(json);
	for (size_t i = 0; i < list->n; i++)
		json_str(json, list->items[i]);
	json_close_array(json);
}

static uint64_t count_waiting(const struct notify *n, const char *target)
{
	uint64_t count = 0;

	list_foreach(pos, tmp, &n->lanes)
	{
		const struct notify_lane *lane = container_of(pos, struct notify_lane, link);

		if (strcmp(lane->target, target) == 0)
			count += lane->n_items + lane->more;
	}
	return count;
}

static void put_target(struct json *json, struct notify *n, const struct notify_target *target)
{
	const struct notify_tally *tally = notify_tally_of(n, target->name);
	char where[256];

	notify_message_where(target, where, sizeof(where));
	json_open_object(json);
	json_kv_str(json, "name", target->name);
	json_kv_str(json, "kind", notify_kind_name(target->kind));
	json_kv_str(json, "where", where);
	json_kv_uint(json, "waiting", count_waiting(n, target->name));
	json_key(json, "last");
	if (tally->last_us == 0) {
		json_nil(json);
	} else {
		json_open_object(json);
		json_kv_uint(json, "time_us", tally->last_us);
		json_kv_bool(json, "ok", tally->last_ok);
		json_kv_bool(json, "test", tally->last_was_test);
		json_kv_str(json, "message", tally->last_message);
		json_close_object(json);
	}
	json_close_object(json);
}

static void put_rule(
	struct json *json, const struct notify_conf *conf, const struct notify_rule *rule)
{
	json_open_object(json);
	json_key(json, "on");
	json_open_array(json);
	for (unsigned i = 0; i < NOTIFY_N_ON; i++) {
		if ((rule->on & 1u << i) != 0)
			json_str(json, notify_on_name((enum notify_on)i));
	}
	json_close_array(json);
	put_list(json, "hosts", &rule->hosts);
	put_list(json, "runs", &rule->runs);
	put_list(json, "sections", &rule->sections);
	put_list(json, "items", &rule->items);
	json_key(json, "targets");
	json_open_array(json);
	for (size_t i = 0; i < rule->n_targets; i++)
		json_str(json, conf->targets[rule->targets[i]].name);
	json_close_array(json);
	json_kv_uint(json, "quiet_us", rule->quiet_us);
	json_close_object(json);
}

void notify_get(struct request *req)
{
	struct notify *n = server_of(req)->notify;
	const struct notify_conf *conf = n->conf;
	struct buf body;
	struct json json;

	buf_init(&body, HTTP_MAX_DOCUMENT);
	json_init(&json, &body);
	json_open_object(&json);
	json_kv_bool(&json, "configured", conf != NULL);
	json_key(&json, "targets");
	json_open_array(&json);
	for (size_t i = 0; conf != NULL && i < conf->n_targets; i++)
		put_target(&json, n, &conf->targets[i]);
	json_close_array(&json);
	json_key(&json, "rules");
	json_open_array(&json);
	for (size_t i = 0; conf != NULL && i < conf->n_rules; i++)
		put_rule(&json, conf, &conf->rules[i]);
	json_close_array(&json);
	json_key(&json, "hooks");
	json_open_array(&json);
	for (size_t i = 0; conf != NULL && i < conf->n_hooks; i++) {
		const struct notify_hook *hook = &conf->hooks[i];

		json_open_object(&json);
		json_kv_str(&json, "name", hook->name);
		json_kv_str(&json, "flow", hook->flow);
		json_kv_str(&json, "host", hook->host);
		put_list(&json, "events", &hook->events);
		put_list(&json, "refs", &hook->refs);
		json_close_object(&json);
	}
	json_close_array(&json);
	json_close_object(&json);
	response_json(req, 200, &body);
	buf_fini(&body);
}

/* ---- tests ---- */

struct probe {
	struct test *test;
	char target[NOTIFY_MAX_NAME + 1], message[256];
	bool ok;
};

struct test {
	struct notify *notify;
	struct request *req;
	size_t n, n_left;
	struct probe probes[NOTIFY_MAX_TARGETS];
};

static void test_answer(struct test *test)
{
	struct buf body;
	struct json json;

	buf_init(&body, HTTP_MAX_DOCUMENT);
	json_init(&json, &body);
	json_open_object(&json);
	json_key(&json, "results");
	json_open_array(&json);
	for (size_t i = 0; i < test->n; i++) {
		json_open_object(&json);
		json_kv_str(&json, "target", test->probes[i].target);
		json_kv_bool(&json, "ok", test->probes[i].ok);
		json_kv_str(&json, "message", test->probes[i].message);
		json_close_object(&json);
	}
	json_close_array(&json);
	json_close_object(&json);
	response_json(test->req, 200, &body);
	buf_fini(&body);
	free(test);
}

/* A target has answered the test, or has not. */
static void on_tested(const struct outgoing_result *result, void *arg)
{
	struct probe *probe = arg;
	struct test *test = probe->test;

	probe->ok = notify_message_arrived(result);
	snprintf(probe->message, sizeof(probe->message), "%s", result->message);
	notify_tally_count(notify_tally_of(test->notify, probe->target),
		probe->ok ? NOTIFY_SENT : NOTIFY_FAILED, result->message, true);
	if (--test->n_left == 0)
		test_answer(test);
}

static void test_target(struct test *test, const struct notify_target *target)
{
	struct notify_words words = notify_words(test->notify);
	struct probe *probe = &test->probes[test->n++];
	struct notify_event event = {0};

	probe->test = test;
	snprintf(probe->target, sizeof(probe->target), "%s", target->name);
	notify_text_test(&words, target->name, &event);
	test->n_left++;
	notify_message_send(test->notify->outgoing, target, &event, 1, on_tested, probe);
}

void notify_test(struct request *req)
{
	static const char *const names[] = {"target", NULL};
	struct notify *n = server_of(req)->notify;
	const struct notify_target *target = NULL;
	json_t *body = http_body(req, names, true);
	const char *name;
	struct test *test;
	bool ok = true;

	if (body == NULL)
		return;
	name = http_string(body, "target", &ok);
	caller_note(req, "notify.test", name, NULL);
	if (name != NULL)
		target = notify_conf_target(n->conf, name);
	if (!ok) {
		response_problem(req, 422, "invalid_input", "target must be a text.");
	} else if (name != NULL && target == NULL) {
		response_problem(req, 404, "not_found", "NOTIFY_FILE names no such target.");
	} else if (n->closing) {
		response_abandon(req);
	} else {
		test = xcalloc(1, sizeof(*test));
		test->notify = n;
		test->req = req;
		for (size_t i = 0; n->conf != NULL && i < n->conf->n_targets; i++) {
			if (target == NULL || target == &n->conf->targets[i])
				test_target(test, &n->conf->targets[i]);
		}
		if (test->n == 0)
			test_answer(test);
	}
	json_decref(body);
}

/* ---- metrics ---- */

void notify_put_metrics(const struct notify *n, struct buf *out)
{
	static const char *const results[NOTIFY_N_RESULTS] = {"sent", "failed", "dropped"};

	buf_append_str(out,
		"# HELP ops_notifications_total Messages by target: taken, attempts that failed, "
		"given up.\n"
		"# TYPE ops_notifications_total counter\n");
	list_foreach(pos, tmp, &n->tallies)
	{
		const struct notify_tally *tally = container_of(pos, struct notify_tally, link);

		for (size_t i = 0; i < NOTIFY_N_RESULTS; i++)
			buf_printf(out,
				"ops_notifications_total{target=\"%s\",result=\"%s\"} %" PRIu64
				"\n",
				tally->name, results[i], tally->results[i]);
	}
	buf_append_str(out, "# HELP ops_notifications_waiting Events that targets have not taken.\n"
			    "# TYPE ops_notifications_waiting gauge\n");
	for (size_t i = 0; n->conf != NULL && i < n->conf->n_targets; i++)
		buf_printf(out, "ops_notifications_waiting{target=\"%s\"} %" PRIu64 "\n",
			n->conf->targets[i].name, count_waiting(n, n->conf->targets[i].name));
}
