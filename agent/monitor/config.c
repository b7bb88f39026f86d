#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/errand.h"
#include "agent/monitor/secret.h"
#include "agent/monitor/state.h"
#include "core/base/log.h"

/* The monitor has no use for the secret, but a broken one is to be told before it is needed. */
static int check_secret(const struct monitor *m, struct config_errors *errors)
{
	struct secret secret;
	struct err err = {0};
	int rc = secret_load(m->settings.secret_path, &secret, &err);

	if (rc != 0)
		config_errors_add(errors, "secret", (struct config_pos){0}, "%s", err.msg);
	else
		secret_wipe(&secret);
	return rc;
}

static int load(const struct monitor *m, struct catalog **ret_catalog, struct config_errors *errors)
{
	int rc;

	config_errors_init(errors);
	rc = catalog_load(m->settings.config_dir, &m->catalog_opts, ret_catalog, errors);
	if (check_secret(m, errors) == 0 || rc != 0)
		return rc;
	catalog_free(*ret_catalog);
	*ret_catalog = NULL;
	return -EINVAL;
}

static int note(struct monitor *m, const char *event, struct wire_str actor, const char *key,
	const char *value)
{
	struct json *json = ledger_begin(m->ledger, event);
	struct err err = {0};
	int rc;

	json_key(json, "actor");
	json_strn(json, actor.data, actor.len);
	json_kv_str(json, key, value);
	rc = ledger_commit(m->ledger, &err);
	if (rc != 0)
		log_error(LOG_EV("ledger.failed"), LOG_STR("error", err.msg));
	return rc;
}

int config_load_first(struct monitor *m)
{
	struct config_errors *errors = xcalloc(1, sizeof(*errors));
	int rc = load(m, &m->catalog, errors);

	for (size_t i = 0; i < errors->n; i++)
		fprintf(stderr, "%s\n", errors->lines[i]);
	if (errors->total > errors->n)
		fprintf(stderr, "… and %zu more\n", errors->total - errors->n);
	free(errors);
	return rc;
}

void config_start_watching(struct monitor *m)
{
	const struct status_config *status = m->catalog->status;
	const char *docker = m->catalog->has_status ? status->docker_socket : NULL;

	int status_fd = -1;

	if (status != NULL)
		status_fd = errand_seal(m->catalog->status_text, m->catalog->status_text_len,
			m->catalog->status_modified_us);
	if (status != NULL && status_fd < 0)
		log_error(LOG_EV("probes.no_errand"), LOG_STR("error", strerror(-status_fd)));
	watchman_configure(&m->probes, status_fd >= 0, NULL, MAX(status_fd, -1));
	watchman_configure(&m->relay, docker != NULL, docker, -1);
}

int config_reload(struct monitor *m, struct wire_str actor, struct config_errors *errors)
{
	struct imsg notice = {.type = IMSG_CONFIG};
	struct catalog *catalog = NULL;
	int rc = load(m, &catalog, errors);

	free(m->config_error);
	m->config_error = NULL;
	if (rc == 0) {
		catalog_free(m->catalog);
		m->catalog = catalog;
		config_start_watching(m);
		(void)!note(m, "config.loaded", actor, "config_digest", catalog->digest);
		log_info(LOG_EV("config.loaded"), LOG_STR("digest", catalog->digest));
	} else {
		m->config_error = xstrdup(errors->n != 0 ? errors->lines[0] : strerror(-rc));
		notice.message = wire_str_of(m->config_error);
		(void)!note(m, "config.refused", actor, "error", m->config_error);
		log_error(LOG_EV("config.refused"), LOG_STR("error", m->config_error),
			LOG_INT("errors", errors->total));
	}
	child_send(&m->child, &notice);
	return rc;
}
