/* status.yml, checked in full and kept as plain data: a mistake shows at `check`; the probes read
 * the result. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/build.h"
#include "agent/config/input.h"
#include "core/base/mem.h"
#include "core/yaml/suggest.h"

#define MIN_INTERVAL_US UINT64_C(1000000)
#define DOCKER_SOCKET "/var/run/docker.sock"
#define MAX_EXPECTED_TEXT 256

/* How many of a list's entries are built: none more than there may be. */
static size_t count(struct build *b, const struct raw_pos *at, size_t n, const char *name)
{
	if (n > STATUS_CONFIG_MAX_ITEMS)
		build_error_at(b, at, "'%s' may have %d entries", name, STATUS_CONFIG_MAX_ITEMS);
	return MIN(n, (size_t)STATUS_CONFIG_MAX_ITEMS);
}

/* A copy of a text that is valid for the type, or NULL. */
static char *take_input(
	struct build *b, const struct raw_text *text, enum input_type type, const char *name)
{
	struct input_spec spec = {.type = type, .max_length = 1024};
	struct err err;

	if (text == NULL)
		return NULL;
	if (input_check_text(&spec, text->text, strlen(text->text), &err) == 0)
		return xstrdup(text->text);
	build_error(b, text, "'%s' %s", name, err.msg);
	return NULL;
}

/* A command or flow of the catalogue, by its id; or NULL. */
static char *take_runnable(struct build *b, const struct raw_text *action, const char *key)
{
	const struct catalog *catalog = b->catalog;
	char text[SUGGEST_TEXT_BYTES];
	struct suggest near;

	if (action == NULL)
		return NULL;
	if (b->knows_references ||
		catalog_find_command(catalog, action->text, strlen(action->text)) != NULL ||
		catalog_find_flow(catalog, action->text, strlen(action->text)) != NULL)
		return xstrdup(action->text);
	suggest_init(&near, action->text, strlen(action->text));
	for (size_t i = 0; i < catalog->n_commands; i++)
		suggest_offer(&near, catalog->commands[i].id);
	for (size_t i = 0; i < catalog->n_flows; i++) {
		if (catalog->flows[i].id != NULL)
			suggest_offer(&near, catalog->flows[i].id);
	}
	build_error(b, action, "'%s' names no command or flow: '%.60s'%s", key, action->text,
		suggest_text(&near, text));
	return NULL;
}

static char *take_action(struct build *b, const struct raw_text *action)
{
	return take_runnable(b, action, "action");
}

static char *take_unit(struct build *b, const struct raw_text *unit)
{
	static const char suffixes[] = ".service .socket .timer .mount .path .target .slice ";
	const char *dot = strrchr(unit->text, '.');
	const char *found = dot != NULL ? strstr(suffixes, dot) : NULL;

	if (found == NULL || found[strlen(dot)] != ' ' || strchr(unit->text, '/') != NULL ||
		strchr(unit->text, ' ') != NULL)
		build_error(b, unit, "'%.60s' is no unit name, such as caddy.service", unit->text);
	return take_input(b, unit, INPUT_STRING, "units");
}

static bool has_unit(const struct status_config *config, const char *unit)
{
	for (size_t i = 0; i < config->n_units; i++) {
		if (strcmp(config->units[i].unit, unit) == 0)
			return true;
	}
	return false;
}

static void take_units(struct build *b, const struct raw_units *units, struct status_config *config)
{
	size_t n;

	if (units == NULL)
		return;
	config->has_units = true;
	n = count(b, &units->at, units->items_count, "units");
	config->units = xcalloc(n + 1, sizeof(*config->units));
	for (size_t i = 0; i < n; i++) {
		const struct raw_unit *raw = &units->items[i];
		char *unit = take_unit(b, raw->unit);

		if (unit == NULL || has_unit(config, unit)) {
			if (unit != NULL)
				build_error(b, raw->unit, "'%.60s' is listed twice", unit);
			free(unit);
			continue;
		}
		config->units[config->n_units++] = (struct status_unit){
			.unit = unit,
			.name = build_text(b, raw->name, "name", BUILD_MAX_TITLE, false),
			.action = take_action(b, raw->action),
		};
	}
}

static void take_repositories(
	struct build *b, const struct raw_repositories *list, struct status_config *config)
{
	size_t n;

	if (list == NULL)
		return;
	n = count(b, &list->at, list->items_count, "repositories");
	config->repositories = xcalloc(n + 1, sizeof(*config->repositories));
	for (size_t i = 0; i < n; i++) {
		char *path = build_path(b, list->items[i].path, "repositories");
		char *action = take_action(b, list->items[i].action);

		if (path != NULL)
			config->repositories[config->n_repositories++] =
				(struct status_repository){.path = path, .action = action};
		else
			free(action);
	}
}

static enum status_starttls take_starttls(struct build *b, const struct raw_certificate *raw)
{
	static const char *const names[] = {"none", "smtp", "imap"};

	if (raw->starttls != NULL && raw->file != NULL)
		build_error(b, raw->starttls, "a certificate file has no 'starttls'");
	return (enum status_starttls)build_choice(
		b, raw->starttls, "starttls", names, ARRAY_LEN(names), STATUS_STARTTLS_NONE);
}

static int64_t usual_port(enum status_starttls starttls)
{
	static const int64_t ports[] = {443, 587, 143};

	return ports[starttls];
}

static void take_certificates(
	struct build *b, const struct raw_certificates *list, struct status_config *config)
{
	size_t n;

	if (list == NULL)
		return;
	n = count(b, &list->at, list->items_count, "certificates");
	config->certificates = xcalloc(n + 1, sizeof(*config->certificates));
	for (size_t i = 0; i < n; i++) {
		const struct raw_certificate *c = &list->items[i];
		struct status_certificate *out = &config->certificates[config->n_certificates++];

		if ((c->host != NULL) == (c->file != NULL))
			build_error_at(
				b, &c->at, "a certificate has 'host' (and 'port') or 'file'");
		if (c->file != NULL && c->port != NULL)
			build_error(b, c->port, "a certificate file has no 'port'");
		out->host = take_input(b, c->host, INPUT_HOST, "host");
		out->file = c->file != NULL ? build_path(b, c->file, "file") : NULL;
		out->starttls = take_starttls(b, c);
		out->port = (uint16_t)build_int(
			b, c->port, "port", 1, 65535, usual_port(out->starttls));
		out->action = take_action(b, c->action);
	}
}

static void take_backups(
	struct build *b, const struct raw_backups *list, struct status_config *config)
{
	size_t n;

	if (list == NULL)
		return;
	n = count(b, &list->at, list->items_count, "backups");
	config->backups = xcalloc(n + 1, sizeof(*config->backups));
	for (size_t i = 0; i < n; i++) {
		const struct raw_backup *backup = &list->items[i];
		struct status_backup *out = &config->backups[config->n_backups++];

		out->name = build_text(b, backup->name, "name", BUILD_MAX_TITLE, false);
		out->glob = build_path(b, backup->glob, "glob");
		out->max_age_us = build_duration(b, backup->max_age, "max_age", 0);
		out->min_size = build_size(b, backup->min_size, "min_size", 0);
		out->verified_by = take_runnable(b, backup->verified_by, "verified_by");
		out->action = take_action(b, backup->action);
	}
}

static void take_urls(struct build *b, const struct raw_urls *list, struct status_config *config)
{
	size_t n;

	if (list == NULL)
		return;
	n = count(b, &list->at, list->items_count, "urls");
	config->urls = xcalloc(n + 1, sizeof(*config->urls));
	for (size_t i = 0; i < n; i++) {
		struct status_url *out = &config->urls[config->n_urls++];

		out->url = take_input(b, list->items[i].url, INPUT_URL, "url");
		out->expect =
			(unsigned)build_int(b, list->items[i].expect, "expect", 100, 599, 200);
		out->text = build_text(b, list->items[i].text, "text", MAX_EXPECTED_TEXT, false);
		out->action = take_action(b, list->items[i].action);
	}
}

static void take_actions(
	struct build *b, const struct raw_actions *raw, struct status_config *config)
{
	if (raw == NULL)
		return;
	config->actions[STATUS_HOST] = take_action(b, raw->host);
	config->actions[STATUS_DOCKER] = take_action(b, raw->docker);
	config->actions[STATUS_UNITS] = take_action(b, raw->units);
	config->actions[STATUS_CERTIFICATES] = take_action(b, raw->certificates);
	config->actions[STATUS_URLS] = take_action(b, raw->urls);
	config->actions[STATUS_REPOSITORIES] = take_action(b, raw->repositories);
	config->actions[STATUS_BACKUPS] = take_action(b, raw->backups);
}

void build_status(struct build *b, const struct raw_status *raw)
{
	struct status_config *config = xcalloc(1, sizeof(*config));

	b->catalog->status = config;
	build_version(b, raw->version);
	config->host = build_bool(b, raw->host, "host", true);
	config->interval_us =
		build_duration(b, raw->interval, "interval", STATUS_CONFIG_INTERVAL_US);
	if (config->interval_us < MIN_INTERVAL_US)
		build_error(b, raw->interval, "'interval' must be at least 1s");
	if (raw->docker != NULL)
		config->docker_socket = raw->docker->socket != NULL
						? build_path(b, raw->docker->socket, "socket")
						: xstrdup(DOCKER_SOCKET);
	take_actions(b, raw->actions, config);
	take_units(b, raw->units, config);
	take_repositories(b, raw->repositories, config);
	take_certificates(b, raw->certificates, config);
	take_backups(b, raw->backups, config);
	take_urls(b, raw->urls, config);
}
