/*
 * What the dashboard is told by its environment. Each NAME may be given as NAME, as NAME_FILE (the
 * path of a file that holds the value; one trailing newline is dropped), or as a line NAME=VALUE of
 * the file that ENV_FILE names. The environment wins over ENV_FILE; NAME and NAME_FILE together
 * are an error.
 */
#ifndef OPS_CORE_APP_CONFIG_CONFIG_H
#define OPS_CORE_APP_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/app/config/address.h"
#include "core/app/config/agents_conf.h"
#include "core/app/limits.h"
#include "core/app/notify/notify_conf.h"
#include "core/base/err.h"
#include "core/base/log.h"

#define CONFIG_MAX_PROBLEMS 32

struct config {
	char *database_url;
	char *auth_secret;
	char *auth_user;
	char *auth_password_hash;
	char *auth_totp_secret;	   /* NULL: no second factor */
	struct agents_conf agents; /* of AGENTS_FILE, or the one of OPS_AGENT_SOCKET */
	char *listen_host;	   /* an address, without brackets */
	uint16_t listen_port;
	bool listen_loopback;
	char *public_origin;	  /* scheme://host[:port] as a browser sends it */
	char *public_host;	  /* host[:port] of it, as a browser sends it in Host */
	bool https;		  /* the origin's scheme */
	char *tls_cert, *tls_key; /* paths, both or neither */
	char *state_dir;
	struct notify_conf *notify; /* of NOTIFY_FILE; NULL: none */
	unsigned retention_days;
	enum log_level log_level;
	enum log_format log_format;
	struct network trusted_proxies[LIMIT_TRUSTED_PROXIES];
	size_t n_trusted_proxies;
};

/* What is wrong, all of it at once, and what is odd but no reason not to start. */
struct config_report {
	size_t n_problems, n_warnings;
	char problems[CONFIG_MAX_PROBLEMS][256];
	char warnings[CONFIG_MAX_PROBLEMS][256];
};

/* Reads envp (as environ). 0, or -EINVAL when report has problems; cfg is to be finished by
 * config_fini() either way. Reads files; blocking. */
MUSTCHECK int config_load(char *const envp[], struct config *cfg, struct config_report *report);
/* Only LISTEN and TLS, for `healthcheck`. */
MUSTCHECK int config_load_listen(
	char *const envp[], struct config *cfg, struct config_report *report);
/* Only what `migrate` needs: DATABASE_URL and the log settings. */
MUSTCHECK int config_load_database(
	char *const envp[], struct config *cfg, struct config_report *report);
/* Only what `notify-test` needs: NOTIFY_FILE, PUBLIC_ORIGIN and the log settings. */
MUSTCHECK int config_load_notify(
	char *const envp[], struct config *cfg, struct config_report *report);
/* Frees and wipes. */
void config_fini(struct config *cfg);

/* Whether a peer of that address is one whose X-Forwarded-For counts. */
bool config_is_trusted_proxy(const struct config *cfg, const uint8_t addr[ADDRESS_BYTES]);

/* Who is behind a peer: itself, or the last hop of the X-Forwarded-For header (or NULL) when the
 * peer is a trusted proxy. peer is an address as text. */
void config_client_address(const struct config *cfg, const char *peer, const char *forwarded,
	uint8_t ret_addr[ADDRESS_BYTES]);

#endif
