#include "core/app/live/live_msg.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "core/app/config/agents_conf.h"
#include "core/app/limits.h"
#include "core/app/runs/runref.h"

/* A container or unit: what it may be called is the agent's to say; here it is only bounded. */
static bool read_tail(const char *name, enum live_topic topic, struct live_msg *msg)
{
	size_t n = strlen(name);

	if (n == 0 || n >= sizeof(msg->name))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (name[i] <= ' ' || name[i] > '~' || name[i] == '/')
			return false;
	}
	memcpy(msg->name, name, n + 1);
	msg->topic = topic;
	return true;
}

static bool read_topic(const char *topic, struct live_msg *msg)
{
	size_t n = strlen(topic);
	const char *run, *slash;

	msg->topic = TOPIC_UNSUPPORTED;
	if (n == 0 || n > LIVE_NAME_BYTES + 12)
		return false;
	if (strcmp(topic, "runs") == 0)
		msg->topic = TOPIC_RUNS;
	else if (strcmp(topic, "catalog") == 0)
		msg->topic = TOPIC_CATALOG;
	else if (strcmp(topic, "system") == 0)
		msg->topic = TOPIC_SYSTEM;
	else if (strcmp(topic, "status") == 0)
		msg->topic = TOPIC_STATUS;
	if (strncmp(topic, "tail/docker/", 12) == 0)
		return read_tail(topic + 12, TOPIC_TAIL_DOCKER, msg);
	if (strncmp(topic, "tail/unit/", 10) == 0)
		return read_tail(topic + 10, TOPIC_TAIL_UNIT, msg);
	if (strncmp(topic, "run/", 4) != 0)
		return true;
	run = topic + 4;
	slash = strchr(run, '/');
	n = slash != NULL ? (size_t)(slash - run) : strlen(run);
	if (n >= sizeof(msg->run) || (slash != NULL && strcmp(slash, "/log") != 0))
		return false;
	memcpy(msg->run, run, n);
	msg->run[n] = '\0';
	if (!runref_is_valid(msg->run))
		return false;
	msg->topic = slash != NULL ? TOPIC_RUN_LOG : TOPIC_RUN;
	return true;
}

static bool members_are_known(json_t *doc)
{
	static const char *const known[] = {"op", "id", "topic", "host", "offset", "bytes"};
	const char *name;
	json_t *value;

	json_object_foreach(doc, name, value)
	{
		bool found = false;

		for (size_t i = 0; i < ARRAY_LEN(known) && !found; i++)
			found = strcmp(known[i], name) == 0;
		if (!found)
			return false;
	}
	return true;
}

static bool read_host(const json_t *host, struct live_msg *msg)
{
	const char *text = json_string_value(host);

	if (host == NULL)
		return true;
	if (text == NULL || !agents_is_host_name(text))
		return false;
	snprintf(msg->host, sizeof(msg->host), "%s", text);
	return true;
}

static const char *read_members(json_t *doc, struct live_msg *msg)
{
	const char *op = json_string_value(json_object_get(doc, "op"));
	const char *topic = json_string_value(json_object_get(doc, "topic"));
	const json_t *offset = json_object_get(doc, "offset"),
		     *bytes = json_object_get(doc, "bytes");
	const json_t *id = json_object_get(doc, "id");

	if (!json_is_integer(id) || json_integer_value(id) < 1 ||
		json_integer_value(id) > UINT32_MAX)
		return "id must be an integer from 1 to 4294967295";
	msg->id = (uint32_t)json_integer_value(id);
	if (!members_are_known(doc))
		return "the message has a member that is not known";
	if (op == NULL)
		return "op must be subscribe, credit, hush or unsubscribe";
	if (strcmp(op, "unsubscribe") == 0) {
		msg->op = LIVE_UNSUBSCRIBE;
		return NULL;
	}
	if (strcmp(op, "hush") == 0) {
		msg->op = LIVE_HUSH;
		return NULL;
	}
	if (strcmp(op, "credit") == 0) {
		msg->op = LIVE_CREDIT;
		if (!json_is_integer(bytes) || json_integer_value(bytes) < 1)
			return "bytes must be a positive integer";
		msg->bytes = (uint32_t)MIN(json_integer_value(bytes), LIMIT_CREDIT_BYTES);
		return NULL;
	}
	if (strcmp(op, "subscribe") != 0)
		return "op must be subscribe, credit, hush or unsubscribe";
	msg->op = LIVE_SUBSCRIBE;
	if (topic == NULL || !read_topic(topic, msg))
		return "topic is malformed";
	if (offset != NULL && (!json_is_integer(offset) || json_integer_value(offset) < -INT64_MAX))
		return "offset must be an integer";
	msg->offset = json_integer_value(offset);
	if (!read_host(json_object_get(doc, "host"), msg))
		return "host must be the name of a host";
	return NULL;
}

int live_msg_parse(const char *text, size_t len, struct live_msg *ret_msg, const char **ret_fault)
{
	json_t *doc = NULL;

	memset(ret_msg, 0, sizeof(*ret_msg));
	*ret_fault = "the message is longer than 4096 bytes";
	if (len <= LIMIT_MESSAGE_BYTES) {
		doc = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
		*ret_fault = "the message is not a JSON object";
	}
	if (json_is_object(doc))
		*ret_fault = read_members(doc, ret_msg);
	json_decref(doc);
	return *ret_fault == NULL ? 0 : -EINVAL;
}
