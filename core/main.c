/*
 * ops-dashboard: the process. Reads the configuration, starts the server (core/app/server.h), and
 * turns signals into a graceful stop. Exit codes are those of sysexits.h: 78 when the configuration
 * is missing something or weak, 64 for a command nobody knows.
 */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>
#include <uv.h>

#include "core/app/activation.h"
#include "core/app/commands.h"
#include "core/app/config/config.h"
#include "core/app/config/report.h"
#include "core/app/notify/notify_command.h"
#include "core/app/reload.h"
#include "core/app/server.h"
#include "core/app/verify/verify.h"
#include "core/base/log.h"

/* A block of that many bytes is a mapping of its own, given back when it is freed. */
#define KEEP_BYTES (128 << 10)

extern char **environ;

/* GnuTLS comes with libpq's libldap, which nobody uses here. Its constructor would read tables into
 * 100 KiB of every daemon and touch a megabyte of libraries; it asks for this symbol first
 * (gnutls.h: GNUTLS_SKIP_GLOBAL_INIT). Who does use it calls gnutls_global_init(). */
int _gnutls_global_init_skip(void);
int _gnutls_global_init_skip(void)
{
	return 1;
}

struct process {
	struct server server;
	struct config cfg;
	uv_signal_t signals[3];
	uv_timer_t watchdog;
	uv_prepare_t flush;
	int exit_code;
};

static const char usage[] =
	"usage: ops-dashboard [serve]      serve the page and its API\n"
	"       ops-dashboard passwd       make the AUTH_PASSWORD_HASH line of a password\n"
	"       ops-dashboard migrate      bring the database's schema up to date\n"
	"       ops-dashboard verify       check every archived log, mend what the agent still "
	"has\n"
	"       ops-dashboard rebuild      make the tables of runs and steps again out of the "
	"logs\n"
	"       ops-dashboard check        check the configuration\n"
	"       ops-dashboard notify-test [TARGET]\n"
	"                                  send a test to a target of NOTIFY_FILE, or to all\n"
	"       ops-dashboard healthcheck  ask the running daemon whether it is well\n"
	"       ops-dashboard --version\n";

/* Everything is closed but the signals, which end the loop. */
static void on_stopped(struct server *server)
{
	struct process *process = container_of(server, struct process, server);

	for (size_t i = 0; i < ARRAY_LEN(process->signals); i++)
		uv_close((uv_handle_t *)&process->signals[i], NULL);
	uv_close((uv_handle_t *)&process->watchdog, NULL);
	uv_close((uv_handle_t *)&process->flush, NULL);
	log_info(LOG_EV("server.stopped"));
}

/* SIGTERM or SIGINT: stop. SIGHUP: the configuration is read again. */
static void on_signal(uv_signal_t *handle, int signum)
{
	struct process *process = handle->data;

	if (process->server.stopping)
		return;
	if (signum == SIGHUP) {
		activation_tell_reloading();
		server_reload(&process->server, &process->cfg, environ);
		activation_tell_ready();
		return;
	}
	log_info(LOG_EV("server.stopping"), LOG_STR("signal", strsignal(signum)));
	activation_tell_stopping();
	server_stop(&process->server, on_stopped);
}

static int watch_signals(struct process *process, uv_loop_t *loop)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		uv_signal_init(loop, &process->signals[i]);
		process->signals[i].data = process;
		if (uv_signal_start(&process->signals[i], on_signal, numbers[i]) < 0)
			return -1;
	}
	return 0;
}

/* Each connection is a descriptor: as many as the administrator allows. */
static void raise_descriptor_limit(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

/* The loop is about to wait: what it has said is written. */
static void on_prepare(uv_prepare_t *prepare)
{
	(void)prepare;
	log_flush();
}

static int serve(void)
{
	struct process process = {0};
	struct config_report report;
	struct err err = {0};
	uv_loop_t loop;
	int rc;

	if (config_load(environ, &process.cfg, &report) < 0) {
		report_print(&report);
		config_fini(&process.cfg);
		return EX_CONFIG;
	}
	raise_descriptor_limit();
	/* Otherwise the first large block that is freed makes the C library keep them from then on:
	 * an evening's flood would be paid for all night. The archiver pays for it with fresh
	 * pages, 0.4 s a GiB, which PostgreSQL takes longer than anyway. */
	mallopt(M_MMAP_THRESHOLD, KEEP_BYTES);
	log_setup(process.cfg.log_level, process.cfg.log_format);
	for (size_t i = 0; i < report.n_warnings; i++)
		log_warn(LOG_EV("config.warning"), LOG_STR("text", report.warnings[i]));
	if (uv_loop_init(&loop) < 0 || watch_signals(&process, &loop) < 0)
		return EX_OSERR;
	rc = server_start(&process.server, &loop, &process.cfg, &err);
	if (rc != 0) {
		log_error(LOG_EV("server.start_failed"), LOG_STR("reason", err.msg));
		exit(rc); /* with what was opened still open: nothing outlives the process */
	}
	log_info(LOG_EV("server.ready"), LOG_STR("url", process.cfg.public_origin),
		LOG_STR("listen", process.cfg.listen_host),
		LOG_INT("port", process.cfg.listen_port), LOG_STR("version", OPS_VERSION),
		LOG_INT("pid", getpid()));
	activation_watch(&loop, &process.watchdog);
	uv_prepare_init(&loop, &process.flush);
	uv_prepare_start(&process.flush, on_prepare);
	uv_unref((uv_handle_t *)&process.flush);
	log_set_buffered(true);
	activation_tell_ready();
	uv_run(&loop, UV_RUN_DEFAULT);
	log_set_buffered(false);
	uv_loop_close(&loop);
	config_fini(&process.cfg);
	return 0;
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "serve";

	if (strcmp(command, "notify-test") == 0 && argc <= 3)
		return command_notify_test(environ, argc == 3 ? argv[2] : NULL);
	if (argc > 2)
		command = "";
	if (strcmp(command, "serve") == 0)
		return serve();
	if (strcmp(command, "passwd") == 0)
		return command_passwd();
	if (strcmp(command, "check") == 0)
		return command_check(environ);
	if (strcmp(command, "migrate") == 0)
		return command_migrate(environ);
	if (strcmp(command, "verify") == 0)
		return command_verify(environ);
	if (strcmp(command, "rebuild") == 0)
		return command_rebuild(environ);
	if (strcmp(command, "healthcheck") == 0)
		return command_healthcheck(environ);
	if (strcmp(command, "--version") == 0) {
		puts("ops-dashboard " OPS_VERSION);
		return 0;
	}
	if (strcmp(command, "--help") == 0) {
		fputs(usage, stdout);
		return 0;
	}
	fputs(usage, stderr);
	return EX_USAGE;
}
