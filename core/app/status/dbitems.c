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

static void say_ms(char *message, size_t cap, const char *what, int64_t ms)
{
	int64_t s = ms / 1000;

	if (s < 120)
		snprintf(message, cap, "%s %lld s", what, (long long)s);
	else
		snprintf(message, cap, "%s %lld min", what, (long long)(s / 60));
}

static unsigned judge_server(const struct db_facts *f, char *message, size_t cap)
{
	snprintf(message, cap, "%lld of %lld connections are in use", (long long)f->connections,
		(long long)f->connections_max);
	return above(percent(f->connections, f->connections_max), 80, 95);
}

static unsigned judge_statements(const struct db_facts *f, char *message, size_t cap)
{
	unsigned slow = above(f->slowest_ms, 5 * 60000, 60 * 60000);
	unsigned idle = above(f->idle_transaction_ms, 10 * 60000, 60 * 60000);

	if (idle > slow)
		say_ms(message, cap, "a transaction has been idle for", f->idle_transaction_ms);
	else
		say_ms(message, cap, "a statement has been running for", f->slowest_ms);
	return MAX(slow, idle);
}

static unsigned judge_replication(const struct db_facts *f, char *message, size_t cap)
{
	say_ms(message, cap, f->is_standby ? "this standby is behind by" : "a replica is behind by",
		f->lag_ms);
	return above(f->lag_ms, 30000, 300000);
}

static unsigned judge_maintenance(const struct db_facts *f, char *message, size_t cap)
{
	int64_t dead_pct = percent(f->dead_rows, f->dead_rows + f->live_rows);
	unsigned dead = f->dead_rows >= 10000 ? above(dead_pct, 30, 60) : OK;
	unsigned age = above(f->xid_age, 1000000000, 1500000000);

	if (f->checksum_failures > 0) {
		snprintf(message, cap,
			"%lld pages did not match their checksum: restore from a backup",
			(long long)f->checksum_failures);
		return BAD;
	}
	if (age > dead)
		snprintf(message, cap, "the oldest transaction id is %lld million old: vacuum",
			(long long)(f->xid_age / 1000000));
	else
		snprintf(message, cap, "%lld %% of the rows are dead: is autovacuum running?",
			(long long)dead_pct);
	return MAX(age, dead);
}

static unsigned judge(enum db_item item, const struct db_facts *f, char *message, size_t cap)
{
	switch (item) {
	case DB_SERVER:
		return judge_server(f, message, cap);
	case DB_STATEMENTS:
		return judge_statements(f, message, cap);
	case DB_REPLICATION:
		return judge_replication(f, message, cap);
	case DB_MAINTENANCE:
	case DB_ITEMS:
		break;
	}
	return judge_maintenance(f, message, cap);
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
				      "message", s->level != OK ? s->message : NULL, "since_us",
				      (json_int_t)s->since_us, "checked_us", (json_int_t)now_us,
				      "action", "values",
				      items->looked && s->level != UNKNOWN
					      ? values_of((enum db_item)i, &items->facts)
					      : json_object()));
	}
	return list;
}

json_t *db_items_take(struct db_items *items, const struct db_facts *facts, uint64_t now_us)
{
	items->facts = *facts;
	items->looked = true;
	for (unsigned i = 0; i < DB_ITEMS; i++) {
		struct db_settled *s = &items->settled[i];
		char message[sizeof(s->message)] = "";
		unsigned level = judge((enum db_item)i, facts, message, sizeof(message));
		bool fact = i == DB_MAINTENANCE && facts->checksum_failures > 0;

		settle(s, level, fact, now_us);
		/* while it is not shown as better yet, what was wrong stays said */
		if (level != OK)
			memcpy(s->message, message, sizeof(message));
	}
	return write_items(items, now_us);
}

json_t *db_items_away(struct db_items *items, const char *why, uint64_t now_us)
{
	for (unsigned i = 0; i < DB_ITEMS; i++) {
		struct db_settled *s = &items->settled[i];

		show(s, UNKNOWN, now_us);
		snprintf(s->message, sizeof(s->message), "%s", why);
	}
	return write_items(items, now_us);
}
