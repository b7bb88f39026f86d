/*
 * A systemd for tests, on a bus of their own: fake-systemd ADDRESS FILE. Answers what the probes
 * ask for a few units, in the way that the first word of FILE says, which is read at every
 * question: good · changed (web.service has failed) · hang · garbage (wrong types) · lies (right
 * types, nonsense in them) · flood (the longest answer a bus passes on) · refuse
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "core/base/mem.h"

#define UNITS "/org/freedesktop/systemd1/unit"
#define TUPLE "(ssssssouso)"
#define FLOOD_BYTES (60u << 20) /* an array may have 64 MiB */
#define HOUR_US UINT64_C(3600000000)

static const struct fake {
	const char *name, *load, *active, *sub, *type, *result, *triggered_by;
} fakes[] = {
	{"web.service", "loaded", "active", "running", "simple", "success", NULL},
	{"broken.service", "loaded", "failed", "failed", "simple", "exit-code", NULL},
	{"stray.service", "loaded", "failed", "failed", "simple", "signal", NULL},
	{"nightly.timer", "loaded", "active", "waiting", NULL, "success", NULL},
	{"nightly.service", "loaded", "inactive", "dead", "simple", "success", "nightly.timer"},
	{"setup.service", "loaded", "inactive", "dead", "oneshot", "success", NULL},
	{"down.service", "loaded", "inactive", "dead", "simple", "success", NULL},
	{"loop.service", "loaded", "activating", "auto-restart", "simple", "exit-code", NULL},
};

struct server {
	const char *mode_path;
	char mode[16];
};

static void check(int rc, const char *what)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "fake-systemd: %s: %s\n", what, strerror(-rc));
	exit(1);
}

static void read_mode(struct server *server)
{
	FILE *file = fopen(server->mode_path, "re");

	if (file == NULL || fscanf(file, "%15s", server->mode) != 1)
		memcpy(server->mode, "good", 5);
	if (file != NULL)
		fclose(file);
}

static bool is_mode(const struct server *server, const char *mode)
{
	return strcmp(server->mode, mode) == 0;
}

/* The unit as it is now; one that is none is not found. */
static struct fake get(const struct server *server, const char *name)
{
	struct fake fake = {name, "not-found", "inactive", "dead", NULL, NULL, NULL};

	for (size_t i = 0; i < ARRAY_LEN(fakes); i++) {
		if (strcmp(fakes[i].name, name) == 0)
			fake = fakes[i];
	}
	if (is_mode(server, "changed") && strcmp(name, "web.service") == 0) {
		fake.active = fake.sub = "failed";
		fake.result = "oom-kill";
	}
	return fake;
}

static void append_unit(sd_bus_message *m, const struct fake *fake)
{
	char *path;

	check(sd_bus_path_encode(UNITS, fake->name, &path), "path");
	check(sd_bus_message_append(m, TUPLE, fake->name, "A unit", fake->load, fake->active,
		      fake->sub, "", path, 0, "", "/"),
		"append");
	free(path);
}

static void list_by_names(const struct server *server, sd_bus_message *question, sd_bus_message *m)
{
	const char *name;

	check(sd_bus_message_enter_container(question, 'a', "s"), "names");
	while (sd_bus_message_read_basic(question, 's', &name) > 0) {
		struct fake fake = get(server, name);

		append_unit(m, &fake);
	}
}

static void list_failed(const struct server *server, sd_bus_message *m)
{
	for (size_t i = 0; i < ARRAY_LEN(fakes); i++) {
		struct fake fake = get(server, fakes[i].name);

		if (strcmp(fake.active, "failed") == 0)
			append_unit(m, &fake);
	}
}

static void append_properties(const struct fake *fake, const char *interface, sd_bus_message *m)
{
	static const char *const none[] = {NULL};
	const char *triggers[] = {fake->triggered_by, NULL};

	if (strstr(interface, ".Unit") != NULL) {
		check(sd_bus_message_append(m, "{sv}{sv}{sv}{sv}", "UnitFileState", "s", "enabled",
			      "StateChangeTimestamp", "t", UINT64_C(1795474800000000),
			      "ActiveState", "s", fake->active, "NeedDaemonReload", "b", 0),
			"unit");
		check(sd_bus_message_open_container(m, 'e', "sv"), "TriggeredBy");
		check(sd_bus_message_append(m, "s", "TriggeredBy"), "TriggeredBy");
		check(sd_bus_message_open_container(m, 'v', "as"), "TriggeredBy");
		check(sd_bus_message_append_strv(
			      m, (char **)(uintptr_t)(fake->triggered_by ? triggers : none)),
			"TriggeredBy");
		check(sd_bus_message_close_container(m), "TriggeredBy");
		check(sd_bus_message_close_container(m), "TriggeredBy");
	} else if (strstr(interface, ".Service") != NULL) {
		check(sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}{sv}", "Type", "s",
			      fake->type != NULL ? fake->type : "simple", "Result", "s",
			      fake->result != NULL ? fake->result : "success", "MainPID", "u",
			      strcmp(fake->active, "active") == 0 ? 4711 : 0, "NRestarts", "u", 3,
			      "MemoryCurrent", "t", UINT64_C(12345678), "CPUUsageNSec", "t",
			      UINT64_MAX),
			"service");
	} else if (strstr(interface, ".Timer") != NULL) {
		check(sd_bus_message_append(m, "{sv}{sv}{sv}{sv}", "Unit", "s", "nightly.service",
			      "NextElapseUSecRealtime", "t", UINT64_C(1795474800000000) + HOUR_US,
			      "NextElapseUSecMonotonic", "t", UINT64_C(0), "LastTriggerUSec", "t",
			      UINT64_C(1795474800000000)),
			"timer");
	}
}

static void answer(const struct server *server, sd_bus_message *question, sd_bus_message *m)
{
	const char *member = sd_bus_message_get_member(question), *interface;
	char *name = NULL;

	if (strcmp(member, "GetAll") != 0) {
		check(sd_bus_message_open_container(m, 'a', TUPLE), "list");
		if (strcmp(member, "ListUnitsByNames") == 0)
			list_by_names(server, question, m);
		else
			list_failed(server, m);
	} else {
		struct fake fake;

		check(sd_bus_path_decode(sd_bus_message_get_path(question), UNITS, &name), "path");
		check(sd_bus_message_read(question, "s", &interface), "interface");
		check(sd_bus_message_open_container(m, 'a', "{sv}"), "properties");
		fake = get(server, name);
		append_properties(&fake, interface, m);
		free(name);
	}
	check(sd_bus_message_close_container(m), "close");
}

static void append_flood(sd_bus_message *m)
{
	void *bytes;

	check(sd_bus_message_append_array_space(m, 'y', FLOOD_BYTES, &bytes), "flood");
	memset(bytes, 'x', FLOOD_BYTES);
}

/* Names and states of any length, and paths that lead nowhere. */
static void append_lies(sd_bus_message *m)
{
	char text[4096];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	check(sd_bus_message_open_container(m, 'a', TUPLE), "lies");
	for (int i = 0; i < 50; i++)
		check(sd_bus_message_append(m, TUPLE, i % 2 ? text : "a", text, text, text, text,
			      text, "/nowhere", 0, text, "/"),
			"lies");
	check(sd_bus_message_close_container(m), "lies");
}

static int on_message(sd_bus_message *question, void *arg, sd_bus_error *error)
{
	struct server *server = arg;
	sd_bus_message *m = NULL;

	(void)error;
	if (sd_bus_message_is_method_call(question, NULL, NULL) <= 0)
		return 0;
	read_mode(server);
	if (is_mode(server, "hang"))
		return 1;
	if (is_mode(server, "refuse"))
		return sd_bus_reply_method_errorf(
			question, SD_BUS_ERROR_ACCESS_DENIED, "not for you");
	check(sd_bus_message_new_method_return(question, &m), "reply");
	if (is_mode(server, "garbage"))
		check(sd_bus_message_append(m, "ub", 7, 1), "garbage");
	else if (is_mode(server, "lies"))
		append_lies(m);
	else if (is_mode(server, "flood"))
		append_flood(m);
	else
		answer(server, question, m);
	check(sd_bus_send(NULL, m, NULL), "send");
	sd_bus_message_unref(m);
	return 1;
}

int main(int argc, char **argv)
{
	struct server server = {.mode_path = argc == 3 ? argv[2] : ""};
	sd_bus *bus;

	if (argc != 3) {
		fprintf(stderr, "usage: fake-systemd ADDRESS FILE\n");
		return 64;
	}
	check(sd_bus_new(&bus), "bus");
	check(sd_bus_set_address(bus, argv[1]), "address");
	check(sd_bus_set_bus_client(bus, 1), "client");
	check(sd_bus_start(bus), "start");
	check(sd_bus_add_filter(bus, NULL, on_message, &server), "filter");
	check(sd_bus_request_name(bus, "org.freedesktop.systemd1", 0), "name");
	puts("ready");
	fflush(stdout);
	for (;;) {
		int rc = sd_bus_process(bus, NULL);

		check(rc, "process");
		if (rc == 0)
			check(sd_bus_wait(bus, UINT64_MAX), "wait");
	}
}
