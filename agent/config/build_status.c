/* status.yml is checked here in full, so that a mistake shows at `check`; the probes read it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/build.h"
#include "agent/config/input.h"
#include "core/base/mem.h"

#define MAX_ITEMS 128
#define MIN_INTERVAL_US UINT64_C(1000000)

static void check_count(struct build *b, const struct raw_pos *at, size_t n, const char *name)
{
	if (n > MAX_ITEMS)
		build_error_at(b, at, "'%s' may have %d entries", name, MAX_ITEMS);
}

static void check_input(
	struct build *b, const struct raw_text *text, enum input_type type, const char *name)
{
	struct input_spec spec = {.type = type, .max_length = 1024};
	struct err err;

	if (text != NULL && input_check_text(&spec, text->text, strlen(text->text), &err) != 0)
		build_error(b, text, "'%s' %s", name, err.msg);
}

static void check_path(struct build *b, const struct raw_text *text, const char *name)
{
	free(build_path(b, text, name));
}

static void check_units(struct build *b, const struct raw_texts *units)
{
	static const char suffixes[] = ".service .socket .timer .mount .path .target .slice ";

	if (units == NULL)
		return;
	check_count(b, &units->at, units->items_count, "units");
	for (size_t i = 0; i < units->items_count; i++) {
		const struct raw_text *unit = &units->items[i];
		const char *dot = strrchr(unit->text, '.');
		const char *found = dot != NULL ? strstr(suffixes, dot) : NULL;

		check_input(b, unit, INPUT_STRING, "units");
		if (found == NULL || found[strlen(dot)] != ' ' || strchr(unit->text, '/') != NULL ||
			strchr(unit->text, ' ') != NULL)
			build_error(b, unit, "'%.60s' is no unit name, such as caddy.service",
				unit->text);
	}
}

static void check_certificates(struct build *b, const struct raw_certificates *list)
{
	if (list == NULL)
		return;
	check_count(b, &list->at, list->items_count, "certificates");
	for (size_t i = 0; i < list->items_count; i++) {
		const struct raw_certificate *c = &list->items[i];

		if ((c->host != NULL) == (c->file != NULL))
			build_error_at(
				b, &c->at, "a certificate has 'host' (and 'port') or 'file'");
		if (c->file != NULL && c->port != NULL)
			build_error(b, c->port, "a certificate file has no 'port'");
		check_input(b, c->host, INPUT_HOST, "host");
		check_path(b, c->file, "file");
		(void)build_int(b, c->port, "port", 1, 65535, 443);
	}
}

static void check_backups(struct build *b, const struct raw_backups *list)
{
	if (list == NULL)
		return;
	check_count(b, &list->at, list->items_count, "backups");
	for (size_t i = 0; i < list->items_count; i++) {
		const struct raw_backup *backup = &list->items[i];

		free(build_text(b, backup->name, "name", BUILD_MAX_TITLE, false));
		check_path(b, backup->glob, "glob");
		(void)build_duration(b, backup->max_age, "max_age", 0);
		(void)build_size(b, backup->min_size, "min_size", 0);
	}
}

static void check_urls(struct build *b, const struct raw_urls *list)
{
	if (list == NULL)
		return;
	check_count(b, &list->at, list->items_count, "urls");
	for (size_t i = 0; i < list->items_count; i++) {
		check_input(b, list->items[i].url, INPUT_URL, "url");
		(void)build_int(b, list->items[i].expect, "expect", 100, 599, 200);
	}
}

void build_status(struct build *b, const struct raw_status *raw)
{
	build_version(b, raw->version);
	(void)build_bool(b, raw->host, "host", true);
	if (build_duration(b, raw->interval, "interval", MIN_INTERVAL_US) < MIN_INTERVAL_US)
		build_error(b, raw->interval, "'interval' must be at least 1s");
	if (raw->docker != NULL)
		check_path(b, raw->docker->socket, "socket");
	check_units(b, raw->units);
	if (raw->repositories != NULL) {
		check_count(
			b, &raw->repositories->at, raw->repositories->items_count, "repositories");
		for (size_t i = 0; i < raw->repositories->items_count; i++)
			check_path(b, &raw->repositories->items[i], "repositories");
	}
	check_certificates(b, raw->certificates);
	check_backups(b, raw->backups);
	check_urls(b, raw->urls);
}
