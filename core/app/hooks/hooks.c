/*
 * A call goes through, in this order: signature (404), rate (429), JSON (400), events and refs (202
 * with `skipped`), inputs (422), and then to the agent as any other start. The delivery's id is the
 * idempotency key, which the agent keeps per actor for 24 hours, over restarts of everything: the
 * same delivery again is answered with the first run. A call without an id has its body's hash
 * for one.
 */
#include "core/app/hooks/hooks.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/hooks/hook.h"
#include "core/app/http.h"
#include "core/app/limits.h"
#include "core/app/runs/start.h"
#include "core/app/server.h"
#include "core/base/clock.h"
#include "core/base/crypto.h"
#include "core/base/hex.h"
#include "core/base/log.h"

#define MAX_DELIVERY 100
#define KEY_BYTES (MAX_DELIVERY + 32)

/* A bucket that fills with `rate_limit` calls in `rate_us`; by name, over reloads. */
struct bucket {
	char name[NOTIFY_MAX_NAME + 1]; /* "": free */
	uint64_t used_us;		/* of rate_us, at at_us */
	uint64_t at_us;
};

struct hooks {
	struct bucket buckets[NOTIFY_MAX_HOOKS];
};

struct hooks *hooks_new(void)
{
	return xcalloc(1, sizeof(struct hooks));
}

void hooks_free(struct hooks *hooks)
{
	free(hooks);
}

/* The one of this name, else a free one, else that which was used longest ago. */
static struct bucket *bucket_of(struct hooks *hooks, const char *name)
{
	struct bucket *found = &hooks->buckets[0];

	for (size_t i = 0; i < ARRAY_LEN(hooks->buckets); i++) {
		struct bucket *bucket = &hooks->buckets[i];

		if (strcmp(bucket->name, name) == 0)
			return bucket;
		if (bucket->at_us < found->at_us)
			found = bucket;
	}
	memset(found, 0, sizeof(*found));
	snprintf(found->name, sizeof(found->name), "%s", name);
	return found;
}

/* Seconds to wait; 0: it counts as a call. */
static uint64_t rate_wait_s(struct hooks *hooks, const struct notify_hook *hook)
{
	struct bucket *bucket = bucket_of(hooks, hook->name);
	uint64_t now_us = clock_mono_us(), each_us = hook->rate_us / hook->rate_limit;
	uint64_t drained_us = now_us - MIN(bucket->at_us, now_us);

	bucket->used_us -= MIN(bucket->used_us, drained_us);
	bucket->at_us = now_us;
	if (bucket->used_us + each_us <= hook->rate_us) {
		bucket->used_us += each_us;
		return 0;
	}
	return 1 + (bucket->used_us + each_us - hook->rate_us) / CLOCK_SECOND_US;
}

static const char *either(const struct request *req, const char *a, const char *b, const char *c)
{
	const char *value = request_header(req, a);

	if (value == NULL && b != NULL)
		value = request_header(req, b);
	if (value == NULL && c != NULL)
		value = request_header(req, c);
	return value;
}

/* The idempotency key. false: the id is none; answered. */
static bool delivery_key(struct request *req, const void *body, size_t len, char key[KEY_BYTES])
{
	const char *id = either(req, "X-GitHub-Delivery", "X-Forgejo-Delivery", "X-Gitea-Delivery");
	uint8_t digest[CRYPTO_SHA256_BYTES];

	if (id == NULL) {
		crypto_sha256(body, len, digest);
		memcpy(key, "body-", 5);
		hex_encode(digest, sizeof(digest), key + 5);
		return true;
	}
	for (const char *p = id; *p != '\0'; p++) {
		if (*p <= ' ' || *p > '~' || p - id >= MAX_DELIVERY) {
			response_problem(req, 400, "bad_delivery",
				"The delivery's id must be 1 to 100 printable characters.");
			return false;
		}
	}
	snprintf(key, KEY_BYTES, "%s", id);
	return true;
}

/* The agent has accepted the run, or says why not. */
static void on_started(const struct link_reply *reply, void *arg)
{
	struct request *req = arg;
	struct msg_run_start_reply start;
	const char *id = NULL;
	json_t *doc = NULL, *answer;

	if (reply->err != 0 || reply->status != MSG_OK) {
		http_agent_problem(req, reply);
		return;
	}
	if (msg_run_start_reply_decode(reply->fields, reply->fields_len, &start) == 0)
		doc = json_loadb(start.json.data, start.json.len, JSON_REJECT_DUPLICATES, NULL);
	id = json_string_value(json_object_get(doc, "id"));
	if (id == NULL) {
		response_problem(
			req, 502, "agent_error", "The agent gave an answer that makes no sense.");
	} else {
		caller_note(req, NULL, NULL, id);
		answer = json_pack("{s:s}", "run", id);
		http_json(req, 202, answer);
		json_decref(answer);
	}
	json_decref(doc);
}

static void start_flow(
	struct request *req, const struct notify_hook *hook, const char *key, const json_t *inputs)
{
	char actor[NOTIFY_MAX_NAME + 8];

	snprintf(actor, sizeof(actor), "hook:%s", hook->name);
	start_from_outside(req,
		&(struct start_order){
			.flow = hook->flow,
			.host = hook->host,
			.actor = actor,
			.key = key,
			.inputs = inputs,
		},
		on_started);
}

static void answer_skipped(struct request *req, const char *reason)
{
	json_t *answer = json_pack("{s:s}", "skipped", reason);

	caller_note(req, "hook.skipped", NULL, NULL);
	http_json(req, 202, answer);
	json_decref(answer);
}

/* The call is signed: what it says is looked at. */
static void take_call(struct request *req, const struct notify_hook *hook,
	const struct hook_head *head, const char *body, size_t len)
{
	struct hook_problem problem;
	char key[KEY_BYTES], reason[200];
	json_error_t error;
	json_t *doc, *inputs;

	if (!delivery_key(req, body, len, key))
		return;
	doc = json_loadb(body, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	if (!json_is_object(doc)) {
		response_problem(req, 400, "bad_json", "The body is not a JSON object.");
	} else if (!hook_is_meant(hook, head, doc, reason, sizeof(reason))) {
		answer_skipped(req, reason);
	} else if ((inputs = hook_inputs(hook, doc, &problem)) == NULL) {
		http_input_problem(req, "The call does not hold what the flow needs.",
			problem.input, problem.message);
	} else {
		start_flow(req, hook, key, inputs);
		json_decref(inputs);
	}
	json_decref(doc);
}

void hooks_call(struct request *req)
{
	struct server *server = server_of(req);
	const char *name = request_param(req, "name");
	const struct notify_hook *hook = notify_conf_hook(server->cfg->notify, name);
	const struct hook_head head = {
		.hub_signature = request_header(req, "X-Hub-Signature-256"),
		.forge_signature = either(req, "X-Forgejo-Signature", "X-Gitea-Signature", NULL),
		.event = either(req, "X-GitHub-Event", "X-Forgejo-Event", "X-Gitea-Event"),
	};
	size_t len;
	const char *body = (const char *)request_body(req, &len);
	char text[24];
	uint64_t wait_s;

	if (!hook_signature_is_right(&head, hook != NULL ? hook->secret : NULL, body, len)) {
		log_warn(LOG_EV("hook.refused"), LOG_STR("name", name),
			LOG_STR("reason", hook == NULL ? "there is no such hook"
						       : "the signature is missing or wrong"),
			LOG_STR("request_id", request_id(req)));
		caller_note(req, "hook.refused", hook != NULL ? hook->name : NULL, NULL);
		response_problem(req, 404, "not_found",
			"There is no such hook, or the signature is missing or wrong.");
		return;
	}
	caller_set_hook(req, hook->name);
	caller_note(req, "hook.call", hook->flow, NULL);
	wait_s = rate_wait_s(server->hooks, hook);
	if (wait_s > 0) {
		snprintf(text, sizeof(text), "%" PRIu64, wait_s);
		response_header(req, "Retry-After", text);
		response_problem(req, 429, "limit", "This hook was called too often.");
		return;
	}
	take_call(req, hook, &head, body, len);
}
