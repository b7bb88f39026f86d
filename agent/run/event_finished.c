/*
 * run.finished, written and read back. Reading it parses no JSON: it takes exactly the bytes that
 * writing makes, member after member in this order, and refuses all others.
 */
#include <errno.h>
#include <string.h>

#include "agent/run/event.h"
#include "core/base/hex.h"
#include "core/base/json.h"

#define FINISHED_PREFIX "{\"event\":\"run.finished\",\"status\":\""

static void put_small(struct json *json, const char *key, int value, int none)
{
	if (value != none)
		json_kv_int(json, key, value);
	else
		json_kv_null(json, key);
}

void event_run_finished(struct buf *buf, const struct event_run_finished *ev)
{
	char digest[2 * sizeof(ev->digest) + 1];
	struct json json;

	hex_encode(ev->digest, sizeof(ev->digest), digest);
	json_init(&json, buf);
	json_open_object(&json);
	json_kv_str(&json, "event", "run.finished");
	json_kv_str(&json, "status", run_status_name(ev->status));
	json_kv_str(&json, "reason", run_reason_name(ev->reason));
	put_small(&json, "exit_code", ev->exit_code, -1);
	put_small(&json, "signal", ev->signal, 0);
	json_kv_uint(&json, "bytes", ev->bytes);
	json_kv_uint(&json, "lines", ev->lines);
	json_kv_uint(&json, "records", ev->records);
	json_kv_bool(&json, "truncated", ev->truncated);
	json_kv_str(&json, "digest", digest);
	json_kv_str(&json, "message", ev->message);
	json_kv_uint(&json, "cut_bytes", ev->cut_bytes);
	json_close_object(&json);
}

bool event_is_run_finished(const struct record *rec)
{
	size_t n = strlen(FINISHED_PREFIX);

	return rec->kind == RECORD_EVENT && rec->step == RECORD_STEP_RUN && rec->length > n &&
	       memcmp(rec->payload, FINISHED_PREFIX, n) == 0;
}

/* Where in the text it is; each take_…() moves on past what it took. */
struct cursor {
	const char *at, *end;
	bool failed;
};

static void take(struct cursor *c, const char *text)
{
	size_t n = strlen(text);

	if (c->failed || (size_t)(c->end - c->at) < n || memcmp(c->at, text, n) != 0)
		c->failed = true;
	else
		c->at += n;
}

/* A name up to the closing quote; or null, which is the empty name. */
static size_t take_name(struct cursor *c, const char **ret_name)
{
	const char *quote;

	*ret_name = c->at;
	if ((size_t)(c->end - c->at) >= 4 && memcmp(c->at, "null", 4) == 0) {
		c->at += 4;
		return 0;
	}
	take(c, "\"");
	*ret_name = c->at;
	quote = c->failed ? NULL : memchr(c->at, '"', (size_t)(c->end - c->at));
	if (quote == NULL) {
		c->failed = true;
		return 0;
	}
	c->at = quote + 1;
	return (size_t)(quote - *ret_name);
}

static uint64_t take_uint(struct cursor *c)
{
	const char *start = c->at;
	uint64_t v = 0;

	while (c->at < c->end && *c->at >= '0' && *c->at <= '9' && c->at - start < 19)
		v = v * 10 + (uint64_t)(*c->at++ - '0');
	if (c->at == start)
		c->failed = true;
	return v;
}

/* A small number, or null, which is none. */
static int take_small(struct cursor *c, int none)
{
	uint64_t v;

	if (c->end - c->at >= 4 && memcmp(c->at, "null", 4) == 0) {
		c->at += 4;
		return none;
	}
	v = take_uint(c);
	return (int)MIN(v, UINT64_C(0x7fff));
}

int event_read_run_finished(const struct record *rec, struct event_run_finished *ret_ev)
{
	struct event_run_finished ev = {0};
	struct cursor c = {.at = (const char *)rec->payload};
	const char *status, *reason, *digest;
	size_t status_len, reason_len, digest_len;

	if (!event_is_run_finished(rec))
		return -EBADMSG;
	c.end = c.at + rec->length;
	take(&c, "{\"event\":\"run.finished\",\"status\":");
	status_len = take_name(&c, &status);
	take(&c, ",\"reason\":");
	reason_len = take_name(&c, &reason);
	take(&c, ",\"exit_code\":");
	ev.exit_code = take_small(&c, -1);
	take(&c, ",\"signal\":");
	ev.signal = take_small(&c, 0);
	take(&c, ",\"bytes\":");
	ev.bytes = take_uint(&c);
	take(&c, ",\"lines\":");
	ev.lines = take_uint(&c);
	take(&c, ",\"records\":");
	ev.records = take_uint(&c);
	take(&c, ",\"truncated\":");
	ev.truncated = !c.failed && c.at < c.end && *c.at == 't';
	take(&c, ev.truncated ? "true" : "false");
	take(&c, ",\"digest\":");
	digest_len = take_name(&c, &digest);
	if (c.failed || run_status_parse(status, status_len, &ev.status) != 0 ||
		(reason_len != 0 && run_reason_parse(reason, reason_len, &ev.reason) != 0) ||
		hex_decode(digest, digest_len, ev.digest, sizeof(ev.digest)) != 0)
		return -EBADMSG;
	*ret_ev = ev;
	return 0;
}
