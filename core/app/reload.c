#include "core/app/reload.h"

#include <string.h>

#include "core/base/log.h"
#include "core/net/tls.h"

static bool differ(const char *a, const char *b)
{
	return (a == NULL) != (b == NULL) || (a != NULL && strcmp(a, b) != 0);
}

static void keep_text(char **live, char **next, const char *name)
{
	char *text = *live;

	if (differ(*live, *next))
		log_warn(LOG_EV("config.needs_restart"), LOG_STR("name", name));
	*live = *next;
	*next = text;
}

/* What the daemon was built upon stays as it is. */
static void keep_fixed(struct config *live, struct config *next)
{
	keep_text(&live->database_url, &next->database_url, "DATABASE_URL");
	keep_text(&live->state_dir, &next->state_dir, "STATE_DIR");
	if (live->listen_port != next->listen_port && !differ(live->listen_host, next->listen_host))
		log_warn(LOG_EV("config.needs_restart"), LOG_STR("name", "LISTEN"));
	keep_text(&live->listen_host, &next->listen_host, "LISTEN");
	if (live->retention_days != next->retention_days)
		log_warn(LOG_EV("config.needs_restart"), LOG_STR("name", "RETENTION_DAYS"));
	next->retention_days = live->retention_days;
	next->listen_port = live->listen_port;
	next->listen_loopback = live->listen_loopback;
}

static void apply_sign_in(struct server *server)
{
	struct cookie_keys before = server->keys;

	cookie_derive_keys(server->cfg, &server->keys);
	if (memcmp(&before, &server->keys, sizeof(before)) != 0) {
		password_pool_set_hash(server->passwords, server->cfg->auth_password_hash);
		sessions_end_all(server->sessions);
		log_info(LOG_EV("sessions.ended"), LOG_STR("reason", "the sign-in has changed"));
	}
	mem_wipe(&before, sizeof(before));
}

void server_reload(struct server *server, struct config *cfg, char *const envp[])
{
	struct config_report report;
	struct config next, before;
	struct tls_identity *identity = NULL;
	struct err err = {0};
	int rc = config_load(envp, &next, &report);

	for (size_t i = 0; i < report.n_warnings; i++)
		log_warn(LOG_EV("config.warning"), LOG_STR("text", report.warnings[i]));
	for (size_t i = 0; i < report.n_problems; i++)
		log_error(LOG_EV("config.problem"), LOG_STR("text", report.problems[i]));
	if (rc == 0 && (next.tls_cert == NULL) != (cfg->tls_cert == NULL)) {
		log_error(LOG_EV("config.problem"),
			LOG_STR("text", "TLS is turned on or off by a restart"));
		rc = -EINVAL;
	}
	if (rc == 0 && next.tls_cert != NULL) {
		identity = tls_identity_load(next.tls_cert, next.tls_key, &err);
		if (identity == NULL) {
			log_error(LOG_EV("config.problem"), LOG_STR("text", err.msg));
			rc = err.code;
		}
	}
	if (rc == 0 && web_server_set_origin(server->web, next.public_origin, &err) < 0) {
		log_error(LOG_EV("config.problem"), LOG_STR("text", err.msg));
		rc = err.code;
	}
	if (rc < 0) {
		log_error(LOG_EV("config.reload_failed"), LOG_STR("reason", "the old one is kept"));
		tls_identity_release(identity);
		config_fini(&next);
		return;
	}
	keep_fixed(cfg, &next);
	before = *cfg;
	*cfg = next;
	log_setup(cfg->log_level, cfg->log_format);
	if (identity != NULL)
		web_server_set_identity(server->web, identity);
	apply_sign_in(server);
	notify_reload(server->notify);
	hosts_reload(server->hosts);
	config_fini(&before);
	log_info(LOG_EV("config.reloaded"));
}
