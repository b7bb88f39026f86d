#include "core/app/runs/rundoc.h"

#include <errno.h>
#include <string.h>

static const char *text_of(const json_t *doc, const char *key)
{
	const char *text = json_string_value(json_object_get(doc, key));
	return text != NULL ? text : "";
}

static int64_t number_of(const json_t *doc, const char *key)
{
	const json_t *value = json_object_get(doc, key);
	return json_is_integer(value) ? json_integer_value(value) : RUNDOC_NONE;
}

static uint64_t count_of(const json_t *doc, const char *key)
{
	int64_t n = number_of(doc, key);
	return n > 0 ? (uint64_t)n : 0;
}

bool rundoc_status_is_final(const char *status)
{
	return status[0] != '\0' && strcmp(status, "queued") != 0 &&
	       strcmp(status, "running") != 0 && strcmp(status, "waiting") != 0;
}

int rundoc_read(const json_t *doc, struct rundoc *ret_doc)
{
	const char *id = text_of(doc, "id");
	struct rundoc read = {
		.host = text_of(doc, "host"),
		.kind = text_of(doc, "kind"),
		.name = text_of(doc, "name"),
		.title = text_of(doc, "title"),
		.status = text_of(doc, "status"),
		.actor = text_of(doc, "actor"),
		.trigger = text_of(doc, "trigger"),
		.config_digest = text_of(doc, "config_digest"),
		.reason = json_string_value(json_object_get(doc, "reason")),
		.number = number_of(doc, "number"),
		.exit_code = number_of(doc, "exit_code"),
		.signal = number_of(doc, "signal"),
		.created_us = number_of(doc, "created_us"),
		.started_us = number_of(doc, "started_us"),
		.finished_us = number_of(doc, "finished_us"),
		.bytes = count_of(doc, "bytes"),
		.lines = count_of(doc, "lines"),
		.size = count_of(doc, "size"),
		.truncated = json_is_true(json_object_get(doc, "truncated")),
	};
	if (uuid_parse(id, strlen(id), &read.id) != 0)
		return -EINVAL;
	read.final = rundoc_status_is_final(read.status);
	/* An agent that does not say what is durable has made it so by the run's end. */
	read.durable = read.final ? read.size : MIN(count_of(doc, "durable_offset"), read.size);
	*ret_doc = read;
	return 0;
}

size_t rundoc_for_jsonb(struct wire_str json, char *out)
{
	size_t i = 0;
	while (i < json.len) {
		/* A backslash and what it escapes stay together, so "\\u0000" is left alone. */
		if (json.data[i] == '\\' && i + 1 < json.len) {
			bool nul = json.len - i >= 6 && memcmp(json.data + i, "\\u0000", 6) == 0;
			size_t n = nul ? 6 : 2;
			memcpy(out + i, nul ? "\\ufffd" : json.data + i, n);
			i += n;
		} else {
			out[i] = json.data[i];
			i++;
		}
	}
	return i;
}
