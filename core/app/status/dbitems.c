#include "core/app/status/dbitems.h"

#include <stdio.h>
#include <string.h>

enum {
	OK,
	UNKNOWN,
	WARN,
	BAD
};

static const char *const level_names[] = {"ok", "unknown", "warn", "bad"};

/* ---- levels ---- */

static unsigned above(int64_t value, int64_t warn, int64_t bad)
{
	return value >= bad ? BAD : value >= warn ? WARN : OK;
}

static int64_t percent(int64_t part, int64_t whole)
{
	return whole > 0 && part >= 0 ? part * 100 / whole : -1;
}

struct text {
	char s[32];
};

static struct text number_text(int64_t n, const char *unit)
{
	struct text text;

	snprintf(text.s, sizeof(text.s), "%lld%s", (long long)n, unit);
	return text;
}

static struct text ms_text(int64_t ms)
{
	int64_t s = ms / 1000;

	return s < 120 ? number_text(s, " s") : number_text(s / 60, " min");
}

/* A sentence around its param. */
static void say(struct db_reason *r, const char *code, const char *before, struct text param,
	const char *after)
{
	r->code = code;
	r->n_params = 1;
	memcpy(r->params[0], param.s, sizeof(param.s));
	snprintf(r->message, sizeof(r->message), "%s%s%s", before, param.s, after);
}

static unsigned judge_server(const struct db_facts *f, struct db_reason *r)
{
	struct text all = number_text(f->connections_max, "");
	char after[64];

	snprintf(after, sizeof(after), " of %s connections are in use", all.s);
	say(r, "db_connections", "", number_text(f->connections, ""), after);
	memcpy(r->params[r->n_params++], all.s, sizeof(all.s));
	return above(percent(f->connections, f->connections_max), 80, 95);
}

static unsigned judge_statements(const struct db_facts *f, struct db_reason *r)
{
	unsigned slow = above(f->slowest_ms, 5 * 60000, 60 * 60000);
	unsigned idle = above(f->idle_transaction_ms, 10 * 60000, 60 * 60000);

	if (idle > slow)
		say(r, "db_idle", "a transaction has been idle for ",
			ms_text(f->idle_transaction_ms), "");
	else
		say(r, "db_slow", "a statement has been running for ", ms_text(f->slowest_ms), "");
	return MAX(slow, idle);
}

static unsigned judge_replication(const struct db_facts *f, struct db_reason *r)
{
	if (f->is_standby)
		say(r, "db_standby_behind", "this standby is behind by ", ms_text(f->lag_ms), "");
	else
		say(r, "db_replica_behind", "a replica is behind by ", ms_text(f->lag_ms), "");
	return above(f->lag_ms, 30000, 300000);
}

static unsigned judge_maintenance(const struct db_facts *f, struct db_reason *r)
{
	int64_t dead_pct = percent(f->dead_rows, f->dead_rows + f->live_rows);
	unsigned dead = f->dead_rows >= 10000 ? above(dead_pct, 30, 60) : OK;
	unsigned age = above(f->xid_age, 1000000000, 1500000000);

	if (f->checksum_failures > 0) {
		say(r, "db_checksums", "", number_text(f->checksum_failures, ""),
			" pages did not match their checksum: restore from a backup");
		return BAD;
	}
	if (age > dead)
		say(r, "db_old_transaction", "the oldest transaction id is ",
			number_text(f->xid_age / 1000000, ""), " million old: vacuum");
	else
		say(r, "db_dead_rows", "", number_text(dead_pct, ""),
			" % of the rows are dead: is autovacuum running?");
	return MAX(age, dead);
}

static unsigned judge(enum db_item item, const struct db_facts *f, struct db_reason *r)
{
	switch (item) {
	case DB_SERVER:
		return judge_server(f, r);
	case DB_STATEMENTS:
		return judge_statements(f, r);
	case DB_REPLICATION:
		return judge_replication(f, r);
	case DB_MAINTENANCE:
	case DB_ITEMS:
		break;
	}
	return judge_maintenance(f, r);
}

static void show(struct db_settled *s, unsigned level, uint64_t now_us)
{
	if (!s->known || s->level != level)
		s->since_us = now_us;
	s->level = level;
	s->known = true;
	s->looks = 0;
}

/* Facts count at once; what jumps must be so for some looks. */
static void settle(struct db_settled *s, unsigned level, bool at_once, uint64_t now_us)
{
	if (s->looks == 0 || s->wanted != level) {
		s->wanted = level;
		s->looks = 0;
	}
	s->looks++;
	if (!s->known || s->level == UNKNOWN || at_once || level == s->level ||
		s->looks >= (level > s->level ? DBITEMS_RAISE : DBITEMS_LOWER))
		show(s, level, now_us);
}

/* ---- items ---- */

static void set_number(json_t *values, const char *name, int64_t value)
{
	if (value >= 0)
		json_object_set_new(values, name, json_integer(value));
}

static json_t *values_of(enum db_item item, const struct db_facts *f)
{
	json_t *values = json_object();

	switch (item) {
	case DB_SERVER:
		set_number(values, "connections_pct", percent(f->connections, f->connections_max));
		set_number(values, "connections", f->connections);
		set_number(values, "connections_max", f->connections_max);
		set_number(values, "size_bytes", f->size_bytes);
		set_number(values, "started_us", f->started_us);
		json_object_set_new(values, "version", json_string(f->version));
		break;
	case DB_STATEMENTS:
		set_number(values, "active", f->active);
		set_number(values, "waiting", f->waiting);
		set_number(values, "slowest_ms", f->slowest_ms);
		set_number(values, "idle_transaction_ms", f->idle_transaction_ms);
		break;
	case DB_REPLICATION:
		set_number(values, "replicas", f->replicas);
		set_number(values, "lag_ms", f->lag_ms);
		break;
	case DB_MAINTENANCE:
	case DB_ITEMS:
		set_number(values, "dead_rows", f->dead_rows);
		set_number(values, "dead_pct", percent(f->dead_rows, f->dead_rows + f->live_rows));
		set_number(values, "autovacuum_us", f->autovacuum_us);
		set_number(values, "checksum_failures", f->checksum_failures);
		set_number(values, "xid_age", f->xid_age);
		break;
	}
	return values;
}

static bool is_there(enum db_item item, const struct db_facts *f)
{
	return item != DB_REPLICATION || f->is_standby || f->replicas > 0;
}

static void put_code(json_t *item, const struct db_reason *r)
{
	json_t *params = json_array();

	for (unsigned i = 0; i < r->n_params; i++)
		json_array_append_new(params, json_string(r->params[i]));
	json_object_set_new(item, "code", json_string(r->code));
	json_object_set_new(item, "params", params);
}

static json_t *write_items(const struct db_items *items, uint64_t now_us)
{
	static const struct {
		const char *id, *title;
	} names[] = {{"server", "PostgreSQL"}, {"statements", "Statements"},
		{"replication", "Replication"}, {"maintenance", "Maintenance"}};
	json_t *list = json_array();

	for (unsigned i = 0; i < DB_ITEMS; i++) {
		const struct db_settled *s = &items->settled[i];

		if (!is_there((enum db_item)i, &items->facts))
			continue;
		json_array_append_new(
			list, json_pack("{s:s,s:s,s:s,s:s?,s:I,s:I,s:n,s:o}", "id", names[i].id,
				      "title", names[i].title, "level", level_names[s->level],
				      "message", s->level != OK ? s->reason.message : NULL,
				      "since_us", (json_int_t)s->since_us, "checked_us",
				      (json_int_t)now_us, "action", "values",
				      items->looked && s->level != UNKNOWN
					      ? values_of((enum db_item)i, &items->facts)
					      : json_object()));
		if (s->level != OK && s->reason.code != NULL)
			put_code(json_array_get(list, json_array_size(list) - 1), &s->reason);
	}
	return list;
}

json_t *db_items_take(struct db_items *items, const struct db_facts *facts, uint64_t now_us)
{
	items->facts = *facts;
	items->looked = true;
	for (unsigned i = 0; i < DB_ITEMS; i++) {
		struct db_settled *s = &items->settled[i];
		struct db_reason reason = {0};
		unsigned level = judge((enum db_item)i, facts, &reason);
		bool fact = i == DB_MAINTENANCE && facts->checksum_failures > 0;

		settle(s, level, fact, now_us);
		/* while it is not shown as better yet, what was wrong stays said */
		if (level != OK)
			s->reason = reason;
	}
	return write_items(items, now_us);
}

json_t *db_items_away(struct db_items *items, const char *why, uint64_t now_us)
{
	for (unsigned i = 0; i < DB_ITEMS; i++) {
		struct db_settled *s = &items->settled[i];

		show(s, UNKNOWN, now_us);
		s->reason = (struct db_reason){0};
		snprintf(s->reason.message, sizeof(s->reason.message), "%s", why);
	}
	return write_items(items, now_us);
}
