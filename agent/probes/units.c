/*
 * systemd's units over the system bus: those that status.yml names, and every failed one. Two
 * questions for the lists and two for each unit; read-only ones, which systemd answers to anybody.
 *
 * The bus is as little trusted as anything that is looked at: each call has a deadline, and what
 * does not have the documented types is no answer. DBUS_SYSTEM_BUS_ADDRESS names another bus.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "agent/probes/probe.h"
#include "agent/probes/unit.h"
#include "core/base/clock.h"
#include "core/base/err.h"

#define CALL_US UINT64_C(4000000)
#define MAX_UNITS (2 * STATUS_CONFIG_MAX_ITEMS) /* shown: those listed, and as many failed ones */
#define SYSTEMD "org.freedesktop.systemd1"
#define UNIT_TUPLE "ssssssouso"

struct units {
	sd_bus *bus;
	const struct status_config *config;
	struct unit *list;
	char **paths; /* of the units, on the bus */
	size_t n;
};

static int no_sense(struct err *err)
{
	return err_set(err, -EBADMSG, "systemd's answer makes no sense");
}

/* Why a call went wrong, in the bus's words if it has any. */
static int failed(int rc, const sd_bus_error *error, struct err *err)
{
	if (rc == -ETIMEDOUT || sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY) > 0)
		return err_set(err, -ETIMEDOUT, "systemd does not answer");
	return err_set(err, rc, "systemd cannot be asked: %.200s",
		error->message != NULL ? error->message : strerror(-rc));
}

/* Under this name, or an alias of it. */
static bool is_there(const struct units *units, const char *id)
{
	for (size_t i = 0; i < units->n; i++) {
		if (strcmp(units->list[i].id, id) == 0)
			return true;
	}
	return false;
}

/* ---- lists ---- */

/* Takes the units of an answer. names: those asked for, in whose order they come; NULL: the answer
 * is of all that failed, and those that are there already are left out. */
static int take_list(struct units *units, sd_bus_message *answer, char **names, struct err *err)
{
	const char *id, *description, *load, *active, *sub, *path;
	int rc = sd_bus_message_enter_container(answer, 'a', "(" UNIT_TUPLE ")");

	while (rc > 0 && (rc = sd_bus_message_read(answer, "(" UNIT_TUPLE ")", &id, &description,
				  &load, &active, &sub, NULL, &path, NULL, NULL, NULL)) > 0) {
		struct unit *unit = &units->list[units->n];

		if (names != NULL && *names == NULL)
			return no_sense(err);
		if (strlen(id) >= UNIT_MAX_NAME || units->n == MAX_UNITS ||
			(names == NULL && is_there(units, id)))
			continue;
		unit_init(unit, names != NULL ? *names++ : id);
		snprintf(unit->id, sizeof(unit->id), "%s", id);
		unit->is_listed = names != NULL;
		unit_set_text(unit, "Description", description);
		unit_set_text(unit, "LoadState", load);
		unit_set_text(unit, "ActiveState", active);
		unit_set_text(unit, "SubState", sub);
		units->paths[units->n++] = xstrdup(path);
	}
	return rc < 0 || (names != NULL && *names != NULL) ? no_sense(err) : 0;
}

static int ask_list(struct units *units, const char *method, char **words, struct err *err)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *question = NULL, *answer = NULL;
	bool by_name = strcmp(method, "ListUnitsByNames") == 0;
	int rc = sd_bus_message_new_method_call(units->bus, &question, SYSTEMD,
		"/org/freedesktop/systemd1", SYSTEMD ".Manager", method);

	if (rc >= 0)
		rc = sd_bus_message_append_strv(question, words);
	if (rc >= 0)
		rc = sd_bus_call(units->bus, question, CALL_US, &error, &answer);
	rc = rc < 0 ? failed(rc, &error, err)
		    : take_list(units, answer, by_name ? words : NULL, err);
	sd_bus_error_free(&error);
	sd_bus_message_unref(question);
	sd_bus_message_unref(answer);
	return rc;
}

static int ask_lists(struct units *units, struct err *err)
{
	char failed_state[] = "failed";
	char *states[] = {failed_state, NULL};
	char **names = xcalloc(units->config->n_units + 1, sizeof(*names));
	int rc = 0;

	for (size_t i = 0; i < units->config->n_units; i++)
		names[i] = units->config->units[i].unit;
	if (units->config->n_units != 0)
		rc = ask_list(units, "ListUnitsByNames", names, err);
	free(names);
	return rc != 0 ? rc : ask_list(units, "ListUnitsFiltered", states, err);
}

/* ---- properties ---- */

/* One property's value: texts and numbers are kept, an array only for whether it is empty. */
static int take_value(struct unit *unit, const char *property, sd_bus_message *answer)
{
	union {
		const char *s;
		uint8_t y;
		int b;
		uint16_t q;
		uint32_t u;
		uint64_t t;
	} value = {0};
	const char *contents;
	char type;
	int rc = sd_bus_message_peek_type(answer, &type, &contents);

	if (rc < 0)
		return rc;
	if (type != 'v')
		return -EBADMSG;
	if (strcmp(contents, "s") != 0 && strcmp(contents, "u") != 0 &&
		strcmp(contents, "t") != 0) {
		bool triggered = strcmp(property, "TriggeredBy") == 0;

		if (!triggered || strcmp(contents, "as") != 0)
			return sd_bus_message_skip(answer, "v");
		rc = sd_bus_message_enter_container(answer, 'v', "as");
		rc = rc < 0 ? rc : sd_bus_message_enter_container(answer, 'a', "s");
		while (rc > 0 && (rc = sd_bus_message_read_basic(answer, 's', &value.s)) > 0)
			unit->is_triggered = true;
		rc = rc < 0 ? rc : sd_bus_message_exit_container(answer);
		return rc < 0 ? rc : sd_bus_message_exit_container(answer);
	}
	rc = sd_bus_message_read(answer, "v", contents, &value);
	if (rc < 0)
		return rc;
	if (contents[0] == 's')
		unit_set_text(unit, property, value.s);
	else
		unit_set_number(unit, property, contents[0] == 'u' ? value.u : value.t);
	return 0;
}

static int take_properties(struct unit *unit, sd_bus_message *answer)
{
	int rc = sd_bus_message_enter_container(answer, 'a', "{sv}");

	while (rc > 0 && (rc = sd_bus_message_enter_container(answer, 'e', "sv")) > 0) {
		const char *property;

		rc = sd_bus_message_read_basic(answer, 's', &property);
		rc = rc < 0 ? rc : take_value(unit, property, answer);
		rc = rc < 0 ? rc : sd_bus_message_exit_container(answer);
		if (rc >= 0)
			rc = 1;
	}
	return MIN(rc, 0);
}

static int ask_properties(struct units *units, size_t i, const char *interface, struct err *err)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *answer = NULL;
	char *name = xasprintf(SYSTEMD ".%s", interface);
	int rc = sd_bus_call_method(units->bus, SYSTEMD, units->paths[i],
		"org.freedesktop.DBus.Properties", "GetAll", &error, &answer, "s", name);

	/* a unit may be gone by now: what the list said of it stands */
	if (rc >= 0)
		rc = take_properties(&units->list[i], answer) != 0 ? no_sense(err) : 0;
	else if (sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_OBJECT) > 0)
		rc = 0;
	else
		rc = failed(rc, &error, err);
	free(name);
	sd_bus_error_free(&error);
	sd_bus_message_unref(answer);
	return rc;
}

/* ---- the look ---- */

static int ask(struct units *units, struct err *err)
{
	int rc = sd_bus_open_system(&units->bus);

	if (rc < 0)
		return err_set(err, rc, "there is no system bus: %s", strerror(-rc));
	rc = sd_bus_set_method_call_timeout(units->bus, CALL_US);
	rc = rc < 0 ? err_set_errno(err, rc, "the system bus") : ask_lists(units, err);
	for (size_t i = 0; rc == 0 && i < units->n; i++) {
		const char *more = unit_interface(units->list[i].name);

		if (strcmp(units->list[i].load, "not-found") == 0)
			continue;
		rc = ask_properties(units, i, "Unit", err);
		if (rc == 0 && more != NULL)
			rc = ask_properties(units, i, more, err);
	}
	return rc;
}

/* Those that are named, all unknown; without any, the section itself, unless this is no machine
 * with systemd, which then has no failed units either. */
static void report_unknown(const struct probe *probe, const struct units *units,
	const struct err *err, struct report *report)
{
	const struct status_config *config = units->config;

	for (size_t i = 0; i < config->n_units; i++) {
		const struct status_unit *unit = &config->units[i];
		struct finding *f = report_begin(
			report, unit->unit, unit->name != NULL ? unit->name : unit->unit);

		finding_raise(f, LEVEL_UNKNOWN, NULL, "%s", err->msg);
		json_kv_bool(&f->json, "listed", true);
		report_end(report);
	}
	if (config->n_units == 0 && units->bus != NULL) {
		finding_raise(report_begin(report, probe->id, probe->title), LEVEL_UNKNOWN, NULL,
			"%s", err->msg);
		report_end(report);
	}
}

void units_run(const struct probe *probe, struct report *report)
{
	struct units units = {.config = probe->subject};
	struct err err = {0};
	int rc;

	units.list = xcalloc(MAX_UNITS + 1, sizeof(*units.list));
	units.paths = xcalloc(MAX_UNITS + 1, sizeof(*units.paths));
	rc = ask(&units, &err);
	if (rc != 0)
		report_unknown(probe, &units, &err, report);
	for (size_t i = 0; rc == 0 && i < units.n; i++) {
		struct unit *unit = &units.list[i];

		for (size_t k = 0; k < units.config->n_units; k++) {
			const struct status_unit *named = &units.config->units[k];

			if (named->name != NULL && strcmp(named->unit, unit->name) == 0)
				snprintf(unit->title, sizeof(unit->title), "%s", named->name);
		}
		unit_report(unit, clock_mono_us(), clock_wall_us(), report);
	}
	for (size_t i = 0; i < units.n; i++)
		free(units.paths[i]);
	free(units.paths);
	free(units.list);
	sd_bus_flush_close_unref(units.bus);
}
