#include "agent/probes/unit.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct text_property {
	const char *name;
	size_t offset, size;
} text_properties[] = {
#define TEXT(name, member)                                                                         \
	{                                                                                          \
		name, offsetof(struct unit, member), sizeof(((struct unit *)0)->member)            \
	}
	TEXT("Description", description),
	TEXT("LoadState", load),
	TEXT("ActiveState", active),
	TEXT("SubState", sub),
	TEXT("UnitFileState", enabled),
	TEXT("Result", result),
	TEXT("Type", type),
	TEXT("Unit", starts),
};

static const struct number_property {
	const char *name;
	size_t offset;
} number_properties[] = {
#define NUMBER(name, member)                                                                       \
	{                                                                                          \
		name, offsetof(struct unit, member)                                                \
	}
	NUMBER("StateChangeTimestamp", since_us),
	NUMBER("MainPID", pid),
	NUMBER("NRestarts", restarts),
	NUMBER("MemoryCurrent", memory_bytes),
	NUMBER("CPUUsageNSec", cpu_ns),
	NUMBER("NextElapseUSecRealtime", next_us),
	NUMBER("NextElapseUSecMonotonic", next_mono_us),
	NUMBER("LastTriggerUSec", last_us),
};

void unit_init(struct unit *unit, const char *name)
{
	*unit = (struct unit){.memory_bytes = UNIT_NONE, .cpu_ns = UNIT_NONE};
	snprintf(unit->name, sizeof(unit->name), "%s", name);
	snprintf(unit->id, sizeof(unit->id), "%s", name);
	snprintf(unit->title, sizeof(unit->title), "%s", name);
}

void unit_set_text(struct unit *unit, const char *property, const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(text_properties); i++) {
		const struct text_property *p = &text_properties[i];

		if (strcmp(p->name, property) == 0)
			snprintf((char *)unit + p->offset, p->size, "%s", text);
	}
}

void unit_set_number(struct unit *unit, const char *property, uint64_t number)
{
	for (size_t i = 0; i < ARRAY_LEN(number_properties); i++) {
		const struct number_property *p = &number_properties[i];

		if (strcmp(p->name, property) == 0)
			memcpy((char *)unit + p->offset, &number, sizeof(number));
	}
}

static bool is_kind(const struct unit *unit, const char *suffix)
{
	const char *dot = strrchr(unit->name, '.');

	return dot != NULL && strcmp(dot, suffix) == 0;
}

const char *unit_interface(const char *name)
{
	static const struct {
		const char *suffix, *interface;
	} kinds[] = {
		{".service", "Service"},
		{".timer", "Timer"},
		{".socket", "Socket"},
		{".mount", "Mount"},
		{".slice", "Slice"},
	};
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot != NULL && i < ARRAY_LEN(kinds); i++) {
		if (strcmp(dot, kinds[i].suffix) == 0)
			return kinds[i].interface;
	}
	return NULL;
}

/* What runs now and then, or only while it has something in it, is well when it is inactive. */
static bool may_rest(const struct unit *unit)
{
	return unit->is_triggered || is_kind(unit, ".slice") || strcmp(unit->type, "oneshot") == 0;
}

static void judge(struct finding *f, const struct unit *unit)
{
	bool starts = strcmp(unit->active, "activating") == 0;

	if (strcmp(unit->load, "not-found") == 0) {
		finding_raise(f, LEVEL_BAD, "unit_missing", "there is no such unit");
	} else if (strcmp(unit->load, "masked") == 0) {
		finding_raise(f, LEVEL_BAD, "unit_masked", "is masked: it cannot be started");
	} else if (unit->load[0] != '\0' && strcmp(unit->load, "loaded") != 0) {
		finding_raise(f, LEVEL_BAD, "unit_file", "its unit file is not in order (%s)",
			unit->load);
	} else if (strcmp(unit->active, "failed") == 0) {
		if (unit->result[0] != '\0')
			finding_raise(
				f, LEVEL_BAD, "unit_failed_how", "has failed (%s)", unit->result);
		else
			finding_raise(f, LEVEL_BAD, "unit_failed", "has failed");
	} else if (starts && strncmp(unit->sub, "auto-restart", 12) == 0) {
		finding_raise(
			f, LEVEL_WARN, "unit_restarting", "ended, and is about to be restarted");
	} else if (starts && strcmp(unit->type, "oneshot") != 0) {
		finding_raise(f, LEVEL_WARN, "unit_starting", "is starting (%s)", unit->sub);
	} else if (strcmp(unit->active, "deactivating") == 0) {
		finding_raise(f, LEVEL_WARN, "unit_stopping", "is stopping (%s)", unit->sub);
	} else if (strcmp(unit->active, "inactive") == 0 && !may_rest(unit)) {
		finding_raise(f, LEVEL_BAD, "unit_inactive", "is not running");
	}
}

static void put_text(struct finding *f, const char *key, const char *text)
{
	if (text[0] != '\0')
		json_kv_str(&f->json, key, text);
}

static void put_number(struct finding *f, const char *key, uint64_t number)
{
	if (number != 0 && number != UNIT_NONE)
		json_kv_uint(&f->json, key, number);
}

static bool is_time(uint64_t us)
{
	return us != 0 && us != UNIT_NONE;
}

/* The earlier of what is due by the calendar and what is due a while after something. */
static uint64_t next_of(const struct unit *unit, uint64_t mono_us, uint64_t wall_us)
{
	uint64_t next = is_time(unit->next_us) ? unit->next_us : UNIT_NONE;

	if (is_time(unit->next_mono_us) && unit->next_mono_us < UNIT_NONE - wall_us)
		next = MIN(next,
			wall_us +
				(unit->next_mono_us > mono_us ? unit->next_mono_us - mono_us : 0));
	return next;
}

void unit_report(const struct unit *unit, uint64_t mono_us, uint64_t wall_us, struct report *report)
{
	struct finding *f = report_begin(report, unit->name, unit->title);

	judge(f, unit);
	put_text(f, "description", unit->description);
	put_text(f, "load", unit->load);
	put_text(f, "active", unit->active);
	put_text(f, "sub", unit->sub);
	put_text(f, "enabled", unit->enabled);
	put_text(f, "result", unit->result);
	put_number(f, "since_us", unit->since_us);
	put_number(f, "pid", unit->pid);
	if (is_kind(unit, ".service"))
		json_kv_uint(&f->json, "restarts", unit->restarts);
	put_number(f, "memory_bytes", unit->memory_bytes);
	if (unit->cpu_ns != UNIT_NONE)
		json_kv_uint(&f->json, "cpu_us", unit->cpu_ns / 1000);
	if (is_kind(unit, ".timer")) {
		put_number(f, "next_us", next_of(unit, mono_us, wall_us));
		put_number(f, "last_us", unit->last_us);
		put_text(f, "unit", unit->starts);
	}
	json_kv_bool(&f->json, "listed", unit->is_listed);
	report_end(report);
}
