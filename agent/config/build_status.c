/* status.yml, checked in full and kept as plain data: a mistake shows at `check`; the probes read
 * the result. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/build.h"
#include "agent/config/input.h"
#include "core/base/mem.h"

#define MIN_INTERVAL_US UINT64_C(1000000)
#define DOCKER_SOCKET "/var/run/docker.sock"

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

static void take_units(struct build *b, const struct raw_texts *units, struct status_config *config)
{
	size_t n;

	if (units == NULL)
		return;
	n = count(b, &units->at, units->items_count, "units");
	config->units = xcalloc(n + 1, sizeof(*config->units));
	for (size_t i = 0; i < n; i++) {
		char *unit = take_unit(b, &units->items[i]);

		if (unit != NULL)
			config->units[config->n_units++] = unit;
	}
}

static void take_repositories(
	struct build *b, const struct raw_texts *list, struct status_config *config)
{
	size_t n;

	if (list == NULL)
		return;
	n = count(b, &list->at, list->items_count, "repositories");
	config->repositories = xcalloc(n + 1, sizeof(*config->repositories));
	for (size_t i = 0; i < n; i++) {
		char *path = build_path(b, &list->items[i], "repositories");

		if (path != NULL)
			config->repositories[config->n_repositories++] = path;
	}
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
		out->port = (uint16_t)build_int(b, c->port, "port", 1, 65535, 443);
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
	}
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
	take_units(b, raw->units, config);
	take_repositories(b, raw->repositories, config);
	take_certificates(b, raw->certificates, config);
	take_backups(b, raw->backups, config);
	take_urls(b, raw->urls, config);
}

static void free_texts(char **texts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(texts[i]);
	free(texts);
}

void status_config_free(struct status_config *config)
{
	if (config == NULL)
		return;
	for (size_t i = 0; i < config->n_certificates; i++) {
		free(config->certificates[i].host);
		free(config->certificates[i].file);
	}
	for (size_t i = 0; i < config->n_backups; i++) {
		free(config->backups[i].name);
		free(config->backups[i].glob);
	}
	for (size_t i = 0; i < config->n_urls; i++)
		free(config->urls[i].url);
	free_texts(config->units, config->n_units);
	free_texts(config->repositories, config->n_repositories);
	free(config->certificates);
	free(config->backups);
	free(config->urls);
	free(config->docker_socket);
	free(config);
}
