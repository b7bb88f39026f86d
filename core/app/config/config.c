/*
 * The configuration's reader: every value is checked on its own, problems are collected so that a
 * person mends all of them in one go, and nothing has a default that would weaken the sign-in.
 *
 * Over 500 lines: each value has its check here, and no two checks are alike.
 */
#include "core/app/config/config.h"

#include <crypt.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/auth/totp.h"
#include "core/app/config/env.h"

#define MIN_AUTH_SECRET_BYTES 32
#define MIN_DISTINCT_BYTES 8 /* in a secret; fewer is a placeholder, not chance */
#define DEFAULT_LISTEN "127.0.0.1:3001"
#define DEFAULT_AGENT_SOCKET "/run/ops-agent/agent.sock"
#define DEFAULT_STATE_DIR "/var/lib/ops-dashboard"
#define DEFAULT_RETENTION_DAYS 365

static const char *const known_names[] = {
	"DATABASE_URL",
	"AUTH_SECRET",
	"AUTH_USER",
	"AUTH_PASSWORD_HASH",
	"AUTH_TOTP_SECRET",
	"OPS_AGENT_SECRET",
	"OPS_AGENT_SOCKET",
	"LISTEN",
	"PUBLIC_ORIGIN",
	"TLS_CERT",
	"TLS_KEY",
	"RETENTION_DAYS",
	"LOG_LEVEL",
	"LOG_FORMAT",
	"TRUSTED_PROXIES",
	"STATE_DIR",
	"NOTIFY_FILE",
	"AGENTS_FILE",
};

struct loader {
	struct env env;
	struct config *cfg;
	struct config_report *report;
};

PRINTF_LIKE(3, 0)
static void add_line(char lines[][256], size_t *n, const char *fmt, va_list ap)
{
	if (*n < CONFIG_MAX_PROBLEMS)
		vsnprintf(lines[(*n)++], 256, fmt, ap);
}

PRINTF_LIKE(2, 3) static void problem(struct loader *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_line(l->report->problems, &l->report->n_problems, fmt, ap);
	va_end(ap);
}

PRINTF_LIKE(2, 3) static void warning(struct loader *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_line(l->report->warnings, &l->report->n_warnings, fmt, ap);
	va_end(ap);
}

/* The value, a copy of the fallback, or NULL (with a problem unless it is simply not given). */
static char *get(struct loader *l, const char *name, const char *fallback)
{
	struct err err = {0};
	char *value;

	if (env_get(&l->env, name, &value, &err) < 0) {
		problem(l, "%s", err.msg);
		return NULL;
	}
	return value != NULL ? value : xstrdup(fallback);
}

static char *get_required(struct loader *l, const char *name, const char *what)
{
	size_t before = l->report->n_problems;
	char *value = get(l, name, NULL);

	if (value == NULL && l->report->n_problems == before)
		problem(l, "%s is missing: %s", name, what);
	return value;
}

static void check_secret(struct loader *l, const char *name, const char *value, size_t min_bytes)
{
	bool seen[256] = {false};
	size_t distinct = 0;

	if (value == NULL)
		return;
	for (const unsigned char *p = (const unsigned char *)value; *p != '\0'; p++) {
		distinct += !seen[*p];
		seen[*p] = true;
	}
	if (strlen(value) < min_bytes)
		problem(l, "%s is weak: %zu bytes, at least %zu are needed (openssl rand -hex 32)",
			name, strlen(value), min_bytes);
	else if (distinct < MIN_DISTINCT_BYTES)
		problem(l,
			"%s is weak: it is made of %zu different characters (openssl rand -hex 32)",
			name, distinct);
}

static void rtrim(char *s)
{
	size_t n = s != NULL ? strlen(s) : 0;

	while (n > 0 && isspace((unsigned char)s[n - 1]))
		s[--n] = '\0';
}

static void load_auth(struct loader *l)
{
	struct config *cfg = l->cfg;
	uint8_t key[TOTP_MAX_KEY_BYTES];

	cfg->auth_secret =
		get_required(l, "AUTH_SECRET", "it signs the sessions (openssl rand -hex 32)");
	rtrim(cfg->auth_secret);
	check_secret(l, "AUTH_SECRET", cfg->auth_secret, MIN_AUTH_SECRET_BYTES);

	cfg->auth_user = get(l, "AUTH_USER", "admin");
	if (cfg->auth_user != NULL && strlen(cfg->auth_user) > LIMIT_USER_BYTES)
		problem(l, "AUTH_USER is longer than %d bytes", LIMIT_USER_BYTES);
	for (const char *p = cfg->auth_user; p != NULL && *p != '\0'; p++) {
		if (!isalnum((unsigned char)*p) && strchr("._@-", *p) == NULL) {
			problem(l, "AUTH_USER may hold letters, digits and . _ @ - only");
			break;
		}
	}

	cfg->auth_password_hash =
		get_required(l, "AUTH_PASSWORD_HASH", "make it with `ops-dashboard passwd`");
	rtrim(cfg->auth_password_hash);
	if (cfg->auth_password_hash != NULL &&
		(strncmp(cfg->auth_password_hash, "$y$", 3) != 0 ||
			crypt_checksalt(cfg->auth_password_hash) != CRYPT_SALT_OK ||
			strlen(cfg->auth_password_hash) < 60))
		problem(l, "AUTH_PASSWORD_HASH is not a yescrypt hash ($y$…): make it with "
			   "`ops-dashboard passwd`, and quote it where $ means something");

	cfg->auth_totp_secret = get(l, "AUTH_TOTP_SECRET", NULL);
	rtrim(cfg->auth_totp_secret);
	if (cfg->auth_totp_secret != NULL && totp_parse_key(cfg->auth_totp_secret, key) < 0)
		problem(l, "AUTH_TOTP_SECRET is not base32 of %d to %d bytes", TOTP_MIN_KEY_BYTES,
			TOTP_MAX_KEY_BYTES);
	mem_wipe(key, sizeof(key));
}

/* The one agent, whatever it is called. */
static void load_one_agent(struct loader *l)
{
	struct agent_conf *agent = &l->cfg->agents.items[0];

	agent->secret = get_required(l, "OPS_AGENT_SECRET", "the content of /etc/ops-agent/secret");
	rtrim(agent->secret);
	check_secret(l, "OPS_AGENT_SECRET", agent->secret, AGENTS_MIN_SECRET);
	agent->socket = get(l, "OPS_AGENT_SOCKET", DEFAULT_AGENT_SOCKET);
	if (agent->socket != NULL &&
		(agent->socket[0] != '/' || strlen(agent->socket) > AGENTS_MAX_SOCKET))
		problem(l, "OPS_AGENT_SOCKET must be an absolute path of at most %d bytes",
			AGENTS_MAX_SOCKET);
	l->cfg->agents.n = 1;
}

static void refuse_beside_file(struct loader *l, const char *name)
{
	char *value = get(l, name, NULL);

	if (value != NULL) {
		problem(l,
			"%s and AGENTS_FILE are both given: remove %s, or all agents but one "
			"and AGENTS_FILE",
			name, name);
		mem_wipe(value, strlen(value));
	}
	free(value);
}

static void load_agents(struct loader *l, const char *path)
{
	struct config_errors errors;
	int rc;

	config_errors_init(&errors);
	rc = agents_conf_load(path, &l->cfg->agents, &errors);
	for (size_t i = 0; i < errors.n; i++)
		problem(l, "AGENTS_FILE: %s", errors.lines[i]);
	if (rc < 0)
		agents_conf_fini(&l->cfg->agents);
	refuse_beside_file(l, "OPS_AGENT_SECRET");
	refuse_beside_file(l, "OPS_AGENT_SOCKET");
}

static void load_agent(struct loader *l)
{
	struct config *cfg = l->cfg;
	char *path = get(l, "AGENTS_FILE", NULL);

	rtrim(path);
	if (path != NULL)
		load_agents(l, path);
	else
		load_one_agent(l);
	free(path);
	cfg->state_dir = get(l, "STATE_DIR", DEFAULT_STATE_DIR);
	if (cfg->state_dir != NULL && cfg->state_dir[0] != '/')
		problem(l, "STATE_DIR must be an absolute path");
}

/* ADDRESS:PORT or [ADDRESS]:PORT */
static void load_listen(struct loader *l)
{
	char *text = get(l, "LISTEN", DEFAULT_LISTEN), *colon;
	const char *host = text;
	unsigned long port = 0;
	uint8_t addr[ADDRESS_BYTES];
	size_t n;

	if (text == NULL)
		return;
	colon = strrchr(text, ':');
	if (colon == NULL || number_parse(colon + 1, 65535, &port) < 0 || port == 0) {
		problem(l, "LISTEN must be ADDRESS:PORT, as in 127.0.0.1:3001 or [::1]:3001");
		free(text);
		return;
	}
	n = (size_t)(colon - text);
	if (n >= 2 && text[0] == '[' && text[n - 1] == ']')
		host++, n -= 2;
	if (n == 9 && strncmp(host, "localhost", n) == 0)
		l->cfg->listen_host = xstrdup("127.0.0.1");
	else
		l->cfg->listen_host = xstrndup(host, n);
	l->cfg->listen_port = (uint16_t)port;
	if (address_parse(l->cfg->listen_host, strlen(l->cfg->listen_host), addr) < 0)
		problem(l, "LISTEN: '%s' is no address; a name is not accepted here",
			l->cfg->listen_host);
	else
		l->cfg->listen_loopback = address_is_loopback(addr);
	free(text);
}

/* Whether the files are what they should be is seen when they are read. */
static void load_tls(struct loader *l)
{
	l->cfg->tls_cert = get(l, "TLS_CERT", NULL);
	l->cfg->tls_key = get(l, "TLS_KEY", NULL);
	if ((l->cfg->tls_cert == NULL) != (l->cfg->tls_key == NULL))
		problem(l, "TLS_CERT and TLS_KEY are paths that go together: give both, or neither "
			   "behind a proxy");
}

static void load_origin(struct loader *l)
{
	struct config *cfg = l->cfg;
	char *origin = get(l, "PUBLIC_ORIGIN", NULL);
	bool tls = cfg->tls_cert != NULL;
	const char *fault;

	if (origin == NULL) {
		bool v6 = cfg->listen_host != NULL && strchr(cfg->listen_host, ':') != NULL;

		if (cfg->listen_host == NULL)
			return;
		if (!cfg->listen_loopback)
			problem(l, "PUBLIC_ORIGIN is missing: LISTEN is not loopback, so say how "
				   "browsers reach this dashboard, as in https://ops.example.org");
		origin = xasprintf(v6 ? "%s://[%s]:%u" : "%s://%s:%u", tls ? "https" : "http",
			cfg->listen_host, cfg->listen_port);
		if (cfg->listen_port == (tls ? 443 : 80))
			*strrchr(origin, ':') = '\0';
	}
	fault = origin_fault(origin);
	if (fault != NULL)
		problem(l, "PUBLIC_ORIGIN '%.100s' %s", origin, fault);
	cfg->https = strncmp(origin, "https://", 8) == 0;
	if (fault == NULL)
		cfg->public_host = xstrdup(strstr(origin, "://") + 3);
	cfg->public_origin = origin;
	if (fault == NULL && tls && !cfg->https)
		problem(l, "PUBLIC_ORIGIN begins with http:// while TLS_CERT is given: browsers "
			   "would not reach it");
	if (fault == NULL && !cfg->https && !cfg->listen_loopback)
		warning(l, "PUBLIC_ORIGIN is plain http: passwords and output cross the network "
			   "readable");
}

static void load_network(struct loader *l, const char *item, size_t n)
{
	struct network *net = &l->cfg->trusted_proxies[l->cfg->n_trusted_proxies];

	if (network_parse(item, n, net) < 0)
		problem(l, "TRUSTED_PROXIES: '%.*s' is no address or network", (int)MIN(n, 60u),
			item);
	else
		l->cfg->n_trusted_proxies++;
}

static void load_proxies(struct loader *l)
{
	char *list = get(l, "TRUSTED_PROXIES", NULL);
	const char *at = list;

	while (at != NULL && *at != '\0') {
		size_t n = strcspn(at, ", ");

		if (n > 0 && l->cfg->n_trusted_proxies == LIMIT_TRUSTED_PROXIES) {
			problem(l, "TRUSTED_PROXIES holds more than %d entries",
				LIMIT_TRUSTED_PROXIES);
			break;
		}
		if (n > 0)
			load_network(l, at, n);
		at += n;
		at += strspn(at, ", ");
	}
	free(list);
}

static void load_log(struct loader *l)
{
	char *level = get(l, "LOG_LEVEL", "info"), *format = get(l, "LOG_FORMAT", "text");

	l->cfg->log_level = LOG_LEVEL_INFO;
	if (level != NULL && log_parse_level(level, &l->cfg->log_level) < 0)
		problem(l, "LOG_LEVEL '%.40s' is not debug, info, warn or error", level);
	if (format != NULL && log_parse_format(format, &l->cfg->log_format) < 0)
		problem(l, "LOG_FORMAT '%.40s' is not text or json", format);
	free(level);
	free(format);
}

static void load_rest(struct loader *l)
{
	char *days = get(l, "RETENTION_DAYS", NULL);
	unsigned long n = DEFAULT_RETENTION_DAYS;

	if (days != NULL && (number_parse(days, 36500, &n) < 0 || n == 0))
		problem(l, "RETENTION_DAYS '%.40s' is not a number of days from 1 to 36500", days);
	l->cfg->retention_days = (unsigned)n;
	free(days);
}

static void load_notify(struct loader *l)
{
	char *path = get(l, "NOTIFY_FILE", NULL);
	struct config_errors errors;

	config_errors_init(&errors);
	rtrim(path);
	if (path != NULL)
		l->cfg->notify = notify_conf_load(path, &l->cfg->agents, &errors);
	for (size_t i = 0; i < errors.n; i++)
		problem(l, "NOTIFY_FILE: %s", errors.lines[i]);
	free(path);
}

static void load_database(struct loader *l)
{
	l->cfg->database_url = get_required(l, "DATABASE_URL", "postgresql://user@host/database");
	rtrim(l->cfg->database_url);
}

static bool name_is_known(const char *name)
{
	size_t n = strlen(name);

	if (strcmp(name, "NOTIFY_FILE") == 0 || strcmp(name, "AGENTS_FILE") == 0)
		return true;
	if (n > 5 && strcmp(name + n - 5, "_FILE") == 0)
		n -= 5;
	for (size_t i = 0; i < ARRAY_LEN(known_names); i++) {
		if (strncmp(known_names[i], name, n) == 0 && known_names[i][n] == '\0')
			return true;
	}
	return false;
}

static int loader_init(
	struct loader *l, char *const envp[], struct config *cfg, struct config_report *report)
{
	struct err err = {0};

	memset(cfg, 0, sizeof(*cfg));
	memset(report, 0, sizeof(*report));
	l->cfg = cfg;
	l->report = report;
	if (env_init(&l->env, envp, &err) < 0)
		problem(l, "%s", err.msg);
	return report->n_problems == 0 ? 0 : -EINVAL;
}

static int loader_fini(struct loader *l)
{
	env_fini(&l->env);
	return l->report->n_problems == 0 ? 0 : -EINVAL;
}

int config_load(char *const envp[], struct config *cfg, struct config_report *report)
{
	struct loader l;

	if (loader_init(&l, envp, cfg, report) < 0)
		return loader_fini(&l);
	load_log(&l);
	load_database(&l);
	load_auth(&l);
	load_agent(&l);
	load_listen(&l);
	load_tls(&l);
	load_origin(&l);
	load_proxies(&l);
	load_rest(&l);
	load_notify(&l);
	for (size_t i = 0; i < l.env.n_lines; i++) {
		if (!name_is_known(l.env.lines[i].name))
			warning(&l, "ENV_FILE: %.100s is not a setting of this program",
				l.env.lines[i].name);
	}
	return loader_fini(&l);
}

int config_load_listen(char *const envp[], struct config *cfg, struct config_report *report)
{
	struct loader l;

	if (loader_init(&l, envp, cfg, report) == 0) {
		load_listen(&l);
		load_tls(&l);
	}
	return loader_fini(&l);
}

int config_load_database(char *const envp[], struct config *cfg, struct config_report *report)
{
	struct loader l;

	if (loader_init(&l, envp, cfg, report) == 0) {
		load_log(&l);
		load_database(&l);
	}
	return loader_fini(&l);
}

int config_load_notify(char *const envp[], struct config *cfg, struct config_report *report)
{
	struct loader l;

	if (loader_init(&l, envp, cfg, report) == 0) {
		load_log(&l);
		load_listen(&l);
		load_tls(&l);
		load_origin(&l);
		load_notify(&l);
	}
	return loader_fini(&l);
}

static void free_secret(char *s)
{
	if (s != NULL)
		mem_wipe(s, strlen(s));
	free(s);
}

void config_fini(struct config *cfg)
{
	free_secret(cfg->database_url);
	free_secret(cfg->auth_secret);
	free_secret(cfg->auth_password_hash);
	free_secret(cfg->auth_totp_secret);
	free(cfg->auth_user);
	agents_conf_fini(&cfg->agents);
	free(cfg->listen_host);
	free(cfg->public_origin);
	free(cfg->public_host);
	free(cfg->tls_cert);
	free(cfg->tls_key);
	free(cfg->state_dir);
	notify_conf_free(cfg->notify);
	memset(cfg, 0, sizeof(*cfg));
}

bool config_is_trusted_proxy(const struct config *cfg, const uint8_t addr[ADDRESS_BYTES])
{
	for (size_t i = 0; i < cfg->n_trusted_proxies; i++) {
		if (network_contains(&cfg->trusted_proxies[i], addr))
			return true;
	}
	return false;
}

void config_client_address(const struct config *cfg, const char *peer, const char *forwarded,
	uint8_t ret_addr[ADDRESS_BYTES])
{
	uint8_t hop[ADDRESS_BYTES];
	const char *last;
	size_t n;

	memset(ret_addr, 0, ADDRESS_BYTES);
	if (address_parse(peer, strlen(peer), ret_addr) < 0 || forwarded == NULL ||
		!config_is_trusted_proxy(cfg, ret_addr))
		return;
	last = strrchr(forwarded, ',');
	last = last != NULL ? last + 1 : forwarded;
	last += strspn(last, " \t");
	n = strcspn(last, " \t");
	if (address_parse(last, n, hop) == 0)
		memcpy(ret_addr, hop, ADDRESS_BYTES);
}
