#include "agent/config/status.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

const char *status_section_name(enum status_section section)
{
	static const char *const names[] = {
		[STATUS_HOST] = "host",
		[STATUS_DOCKER] = "docker",
		[STATUS_UNITS] = "units",
		[STATUS_CERTIFICATES] = "certificates",
		[STATUS_URLS] = "urls",
		[STATUS_REPOSITORIES] = "repositories",
		[STATUS_BACKUPS] = "backups",
	};

	return names[section];
}

char *status_certificate_id(const struct status_certificate *certificate)
{
	return certificate->file != NULL ? xstrdup(certificate->file)
					 : xasprintf("%s:%u", certificate->host, certificate->port);
}

static const char *certificate_action(const struct status_config *config, const char *id)
{
	for (size_t i = 0; i < config->n_certificates; i++) {
		char *own = status_certificate_id(&config->certificates[i]);
		bool is_it = strcmp(own, id) == 0;

		free(own);
		if (is_it)
			return config->certificates[i].action;
	}
	return NULL;
}

/* The action of the entry in a list whose text is the id. */
#define FIND_ACTION(list, n, text)                                                                 \
	for (size_t i = 0; i < (n); i++) {                                                         \
		if (strcmp((list)[i].text, id) == 0)                                               \
			return (list)[i].action;                                                   \
	}

static const char *own_action(
	const struct status_config *config, enum status_section section, const char *id)
{
	switch (section) {
	case STATUS_UNITS:
		FIND_ACTION(config->units, config->n_units, unit)
		return NULL;
	case STATUS_CERTIFICATES:
		return certificate_action(config, id);
	case STATUS_URLS:
		FIND_ACTION(config->urls, config->n_urls, url)
		return NULL;
	case STATUS_REPOSITORIES:
		FIND_ACTION(config->repositories, config->n_repositories, path)
		return NULL;
	case STATUS_BACKUPS:
		FIND_ACTION(config->backups, config->n_backups, name)
		return NULL;
	default:
		return NULL;
	}
}

const char *status_config_action(
	const struct status_config *config, const char *section, const char *id)
{
	for (int i = 0; i < STATUS_SECTIONS; i++) {
		enum status_section known = (enum status_section)i;
		const char *own;

		if (strcmp(section, status_section_name(known)) != 0)
			continue;
		own = own_action(config, known, id);
		return own != NULL ? own : config->actions[known];
	}
	return NULL;
}

static bool is_same(const char *action, const char *runnable)
{
	return action != NULL && strcmp(action, runnable) == 0;
}

bool status_config_has_action(const struct status_config *config, const char *runnable)
{
	bool found = false;

	for (int i = 0; i < STATUS_SECTIONS; i++)
		found = found || is_same(config->actions[i], runnable);
	for (size_t i = 0; i < config->n_units; i++)
		found = found || is_same(config->units[i].action, runnable);
	for (size_t i = 0; i < config->n_repositories; i++)
		found = found || is_same(config->repositories[i].action, runnable);
	for (size_t i = 0; i < config->n_certificates; i++)
		found = found || is_same(config->certificates[i].action, runnable);
	for (size_t i = 0; i < config->n_backups; i++)
		found = found || is_same(config->backups[i].action, runnable);
	for (size_t i = 0; i < config->n_urls; i++)
		found = found || is_same(config->urls[i].action, runnable);
	return found;
}

void status_config_free(struct status_config *config)
{
	if (config == NULL)
		return;
	for (size_t i = 0; i < config->n_units; i++) {
		free(config->units[i].unit);
		free(config->units[i].name);
		free(config->units[i].action);
	}
	for (size_t i = 0; i < config->n_repositories; i++) {
		free(config->repositories[i].path);
		free(config->repositories[i].action);
	}
	for (size_t i = 0; i < config->n_certificates; i++) {
		free(config->certificates[i].host);
		free(config->certificates[i].file);
		free(config->certificates[i].action);
	}
	for (size_t i = 0; i < config->n_backups; i++) {
		free(config->backups[i].name);
		free(config->backups[i].glob);
		free(config->backups[i].verified_by);
		free(config->backups[i].action);
	}
	for (size_t i = 0; i < config->n_urls; i++) {
		free(config->urls[i].url);
		free(config->urls[i].text);
		free(config->urls[i].action);
	}
	for (int i = 0; i < STATUS_SECTIONS; i++)
		free(config->actions[i]);
	free(config->units);
	free(config->repositories);
	free(config->certificates);
	free(config->backups);
	free(config->urls);
	free(config->docker_socket);
	free(config);
}
