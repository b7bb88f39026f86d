#include "core/app/commands.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

#include "core/app/auth/password.h"
#include "core/app/config/config.h"
#include "core/app/config/report.h"
#include "core/base/file.h"
#include "core/db/conninfo.h"
#include "core/db/migrate.h"
#include "core/net/tls.h"

#define MIN_PASSWORD_BYTES 8
#define HEALTH_TIMEOUT_S 5

/* One line, without its newline. -1: none. */
static int read_line(char *out, size_t cap)
{
	size_t n;

	if (fgets(out, (int)cap, stdin) == NULL)
		return -1;
	n = strlen(out);
	if (n > 0 && out[n - 1] == '\n')
		out[--n] = '\0';
	return (int)n;
}

static int ask(const char *prompt, char *out, size_t cap)
{
	struct termios before, quiet;
	int n;

	fputs(prompt, stderr);
	if (tcgetattr(STDIN_FILENO, &before) < 0)
		return -1;
	quiet = before;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	n = read_line(out, cap);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	fputc('\n', stderr);
	return n;
}

static int read_password(char *password, size_t cap)
{
	char again[LIMIT_PASSWORD_BYTES + 2];
	int n, rc = 0;

	if (!isatty(STDIN_FILENO))
		return read_line(password, cap) < 0 ? EX_DATAERR : 0;
	n = ask("New password: ", password, cap);
	if (n < 0 || ask("Again: ", again, sizeof(again)) < 0) {
		rc = EX_DATAERR;
	} else if (strcmp(password, again) != 0) {
		fputs("The two are not the same.\n", stderr);
		rc = EX_DATAERR;
	}
	mem_wipe(again, sizeof(again));
	return rc;
}

int command_passwd(void)
{
	char password[LIMIT_PASSWORD_BYTES + 2] = "";
	struct err err = {0};
	char *hash = NULL;
	size_t n;
	int rc;

	rc = read_password(password, sizeof(password));
	n = strlen(password);
	if (rc == 0 && n < MIN_PASSWORD_BYTES) {
		fprintf(stderr, "The password needs %d bytes at least.\n", MIN_PASSWORD_BYTES);
		rc = EX_DATAERR;
	} else if (rc == 0 && n > LIMIT_PASSWORD_BYTES) {
		fprintf(stderr, "The password may have %d bytes at most.\n", LIMIT_PASSWORD_BYTES);
		rc = EX_DATAERR;
	}
	if (rc == 0) {
		hash = password_hash(password, &err);
		if (hash == NULL)
			fprintf(stderr, "%s\n", err.msg);
		else
			printf("AUTH_PASSWORD_HASH=%s\n", hash);
		rc = hash != NULL ? 0 : EX_SOFTWARE;
	}
	free(hash);
	mem_wipe(password, sizeof(password));
	return rc;
}

/* Where there is a file of them: which, and where. */
static void print_agents(const struct agents_conf *agents)
{
	for (size_t i = 0; i < agents->n && agents->items[0].host != NULL; i++)
		printf("ok: agent %s at %s%s\n", agents->items[i].host, agents->items[i].socket,
			i == 0 ? " (primary)" : "");
}

int command_check(char *const envp[])
{
	struct tls_identity *identity = NULL;
	struct conninfo *info = NULL;
	struct config_report report;
	struct err err = {0};
	struct config cfg;
	int rc = config_load(envp, &cfg, &report);

	report_print(&report);
	if (rc == 0)
		info = conninfo_parse(cfg.database_url, &err);
	if (rc == 0 && cfg.tls_cert != NULL) {
		identity = tls_identity_load(cfg.tls_cert, cfg.tls_key, &err);
		if (identity == NULL) {
			fprintf(stderr, "ops-dashboard: %s\n", err.msg);
			rc = -EINVAL;
		}
		tls_identity_release(identity);
	}
	if (rc == 0 && info == NULL) {
		fprintf(stderr, "ops-dashboard: DATABASE_URL: %s\n", err.msg);
		rc = -EINVAL;
	}
	if (rc == 0) {
		printf("ok: %s, listening on %s port %u, database %s\n", cfg.public_origin,
			cfg.listen_host, cfg.listen_port, info->where);
		print_agents(&cfg.agents);
	}
	conninfo_free(info);
	config_fini(&cfg);
	return rc == 0 ? 0 : EX_CONFIG;
}

struct migration_run {
	uv_loop_t loop;
	struct conninfo *info;
	struct pg *pg;
	int rc;
};

static void on_pg_closed(void *arg)
{
	(void)arg;
}

/* The schema is up to date, or could not be brought there. */
static void on_migrated(const struct err *err, int applied, void *arg)
{
	struct migration_run *run = arg;

	if (err->code == 0) {
		printf("ok: %d new, schema of %s is up to date\n", applied, run->info->where);
		run->rc = 0;
	} else {
		fprintf(stderr, "%s\n", err->msg);
		run->rc = EX_UNAVAILABLE;
	}
	pg_close(run->pg, on_pg_closed, NULL);
}

static void on_pg_ready(struct pg *pg, void *arg)
{
	struct migration_run *run = arg;

	migrate_start(&run->loop, pg, on_migrated, run);
}

static void on_pg_down(struct pg *pg, const char *reason, void *arg)
{
	struct migration_run *run = arg;

	if (run->rc < 0)
		fprintf(stderr, "%s: %s\n", run->info->where, reason);
	run->rc = EX_UNAVAILABLE;
	pg_close(pg, on_pg_closed, NULL);
}

int command_migrate(char *const envp[])
{
	static const struct pg_callbacks callbacks = {on_pg_ready, on_pg_down};
	struct migration_run run = {.rc = -1};
	struct config_report report;
	struct err err = {0};
	struct config cfg;

	if (config_load_database(envp, &cfg, &report) < 0) {
		report_print(&report);
		config_fini(&cfg);
		return EX_CONFIG;
	}
	run.info = conninfo_parse(cfg.database_url, &err);
	config_fini(&cfg);
	if (run.info == NULL) {
		fprintf(stderr, "DATABASE_URL: %s\n", err.msg);
		return EX_CONFIG;
	}
	if (uv_loop_init(&run.loop) < 0)
		return EX_OSERR;
	run.pg = pg_open(&run.loop, run.info, 0, &callbacks, &run);
	uv_run(&run.loop, UV_RUN_DEFAULT);
	uv_loop_close(&run.loop);
	conninfo_free(run.info);
	return run.rc < 0 ? EX_UNAVAILABLE : run.rc;
}

static int connect_to(const struct config *cfg)
{
	struct timeval timeout = {.tv_sec = HEALTH_TIMEOUT_S};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(cfg->listen_port)};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(cfg->listen_port)};
	bool is_v4 = inet_pton(AF_INET, cfg->listen_host, &v4.sin_addr) == 1;
	int fd;

	if (!is_v4 && inet_pton(AF_INET6, cfg->listen_host, &v6.sin6_addr) != 1)
		return -EINVAL;
	/* "Any address" is reached by the loopback one. */
	if (is_v4 && v4.sin_addr.s_addr == htonl(INADDR_ANY))
		v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (!is_v4 && memcmp(&v6.sin6_addr, &in6addr_any, sizeof(in6addr_any)) == 0)
		v6.sin6_addr = in6addr_loopback;
	fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, is_v4 ? (const struct sockaddr *)&v4 : (const struct sockaddr *)&v6,
		    is_v4 ? sizeof(v4) : sizeof(v6)) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

int command_healthcheck(char *const envp[])
{
	static const char request[] =
		"GET /healthz HTTP/1.1\r\nHost: healthcheck\r\nConnection: close\r\n\r\n";
	struct config_report report;
	struct config cfg;
	char answer[64] = "";
	ssize_t n = 0;
	bool tls;
	int fd;

	if (config_load_listen(envp, &cfg, &report) < 0) {
		report_print(&report);
		config_fini(&cfg);
		return EX_CONFIG;
	}
	fd = connect_to(&cfg);
	tls = cfg.tls_cert != NULL;
	config_fini(&cfg);
	if (fd < 0) {
		fprintf(stderr, "not reachable: %s\n", strerror(-fd));
		return EX_UNAVAILABLE;
	}
	if (tls)
		n = tls_ask(fd, request, answer, sizeof(answer) - 1);
	else if (file_write_all(fd, request, sizeof(request) - 1) == 0)
		n = read(fd, answer, sizeof(answer) - 1);
	close(fd);
	if (n >= 12 && strncmp(answer, "HTTP/1.1 200", 12) == 0)
		return 0;
	fputs("not healthy\n", stderr);
	return EX_UNAVAILABLE;
}
