#include "agent/monitor/ledger_runs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/hex.h"
#include "core/base/mem.h"

#define CAP_MIN 1024

/* Where in the text it is; each take_…() moves on past what it took. */
struct cursor {
	const char *at, *end;
	bool failed;
};

static bool take(struct cursor *c, const char *text)
{
	size_t n = strlen(text);

	if (c->failed || (size_t)(c->end - c->at) < n || memcmp(c->at, text, n) != 0)
		return false;
	c->at += n;
	return true;
}

static void must_take(struct cursor *c, const char *text)
{
	if (!take(c, text))
		c->failed = true;
}

static void take_uuid(struct cursor *c, struct uuid *ret_id)
{
	size_t n = UUID_TEXT_BYTES - 1;

	if (c->failed || (size_t)(c->end - c->at) < n || uuid_parse(c->at, n, ret_id) != 0)
		c->failed = true;
	else
		c->at += n;
}

static void take_sha256(struct cursor *c, uint8_t out[CRYPTO_SHA256_BYTES])
{
	size_t n = 2 * (size_t)CRYPTO_SHA256_BYTES;

	if (c->failed || (size_t)(c->end - c->at) < n ||
		hex_decode(c->at, n, out, CRYPTO_SHA256_BYTES) != 0)
		c->failed = true;
	else
		c->at += n;
}

static uint64_t take_number(struct cursor *c)
{
	uint64_t value = 0;
	const char *from = c->at;

	while (c->at < c->end && *c->at >= '0' && *c->at <= '9' && c->at - from < 20)
		value = value * 10 + (uint64_t)(*c->at++ - '0');
	if (c->at == from)
		c->failed = true;
	return value;
}

/* Skips to just behind the first place where this text stands. */
static void skip_past(struct cursor *c, const char *text)
{
	const char *found =
		c->failed ? NULL : memmem(c->at, (size_t)(c->end - c->at), text, strlen(text));

	if (found == NULL)
		c->failed = true;
	else
		c->at = found + strlen(text);
}

/* ---- the table ---- */

static bool is_used(const struct ledger_run *run)
{
	return run->has_digest || run->has_seal || run->not_sealed;
}

/* The entry of this id, or the free one where it belongs. There is always a free one. */
static struct ledger_run *slot(const struct ledger_runs *runs, const struct uuid *id)
{
	uint64_t hash;
	size_t i;

	memcpy(&hash, id->bytes + 8, sizeof(hash)); /* random bits of a version 7 id */
	hash ^= hash >> 29;
	i = (size_t)hash & (runs->cap - 1);
	while (is_used(&runs->runs[i]) && memcmp(&runs->runs[i].id, id, sizeof(*id)) != 0)
		i = (i + 1) & (runs->cap - 1);
	return &runs->runs[i];
}

static struct ledger_run *get(struct ledger_runs *runs, const struct uuid *id)
{
	struct ledger_run *run;

	if (runs->n >= runs->cap / 2) {
		struct ledger_runs old = *runs;

		runs->cap = old.cap == 0 ? CAP_MIN : 2 * old.cap;
		runs->runs = xcalloc(runs->cap, sizeof(runs->runs[0]));
		for (size_t i = 0; i < old.cap; i++) {
			if (is_used(&old.runs[i]))
				*slot(runs, &old.runs[i].id) = old.runs[i];
		}
		free(old.runs);
	}
	run = slot(runs, id);
	if (!is_used(run)) {
		runs->n++;
		run->id = *id;
	}
	return run;
}

void ledger_runs_fini(struct ledger_runs *runs)
{
	free(runs->runs);
	*runs = (struct ledger_runs){0};
}

int ledger_runs_add(struct ledger_runs *runs, uint64_t offset, const char *json, size_t n)
{
	struct cursor c = {.at = json, .end = json + n};
	struct ledger_run said = {0};
	struct ledger_run *run;

	if (take(&c, "{\"event\":\"run.finished\",\"run\":\"")) {
		take_uuid(&c, &said.id);
		skip_past(&c, "\",\"number\":"); /* status and reason are words of ours */
		skip_past(&c, ",\"digest\":\"");
		take_sha256(&c, said.digest);
		said.has_digest = true;
	} else if (take(&c, "{\"event\":\"run.sealed\",\"run\":\"")) {
		take_uuid(&c, &said.id);
		must_take(&c, "\",\"size\":");
		said.seal.size = take_number(&c);
		must_take(&c, ",\"sha256\":\"");
		take_sha256(&c, said.seal.sha256);
		said.has_seal = true;
	} else if (take(&c, "{\"event\":\"run.not_sealed\",\"run\":\"")) {
		take_uuid(&c, &said.id);
		said.not_sealed = true;
	} else {
		return 0;
	}
	if (c.failed)
		return -EBADMSG;
	run = get(runs, &said.id);
	if (said.has_digest) {
		run->has_digest = true;
		run->digest_at = offset;
		memcpy(run->digest, said.digest, sizeof(run->digest));
	}
	if (said.has_seal && !run->has_seal) { /* the first seal holds: a later one cannot mend */
		run->has_seal = true;
		run->seal_at = offset;
		run->seal = said.seal;
	}
	run->not_sealed |= said.not_sealed;
	return 0;
}

const struct ledger_run *ledger_runs_find(const struct ledger_runs *runs, const struct uuid *id)
{
	const struct ledger_run *run = runs->cap != 0 ? slot(runs, id) : NULL;

	return run != NULL && is_used(run) ? run : NULL;
}
