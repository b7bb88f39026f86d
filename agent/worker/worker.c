/*
 * Owns the loop, the listening descriptor's poll handle, the watcher, the run set, the link to the
 * monitor, the catalogue and the secret.
 *
 * Happy path: drop privileges, load, watch, serve. Each turn of the loop ends with the check
 * handle, which serves every ready connection once; while some stay ready the idle handle keeps the
 * loop from blocking.
 *
 * Ends: the monitor says so, or is gone, or SIGTERM: GOAWAY to all clients, everything is closed,
 * the loop runs out. Runs do not notice.
 *
 * Failure modes: no descriptor left at accept: the listening socket rests for a second. A config
 * that cannot be read: the one that was there stays, with the reason beside the catalogue.
 */
#include "agent/worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/monitor/ledger.h"
#include "agent/run/hostname.h"
#include "agent/worker/conn.h"
#include "agent/worker/events.h"
#include "agent/worker/live.h"
#include "agent/worker/sandbox.h"
#include "agent/worker/state.h"
#include "agent/worker/status.h"
#include "agent/worker/tail.h"
#include "agent/worker/verified.h"
#include "core/base/log.h"

#define EXIT_FAILED 1
#define EXIT_CONFIG 78
#define ACCEPTS_A_TURN 16
#define LISTEN_REST_MS 1000
#define KEEP_BYTES (2 << 20) /* of freed memory, for the next chunks */
#define STOP_MS 3000	     /* for clients to take their GOAWAY */

/* ---- serving ---- */

/* Something is left to send after the check handle ran: do not block. */
static void on_idle(uv_idle_t *idle)
{
	(void)idle;
}

/* The events of this turn are handled: send what they made ready. */
static void on_check(uv_check_t *check)
{
	struct worker *worker = container_of(check, struct worker, check);

	list_foreach(pos, tmp, &worker->ready)
	{
		conn_service(container_of(pos, struct conn, ready_link));
	}
	if (list_empty(&worker->ready))
		uv_idle_stop(&worker->idle);
	else
		uv_idle_start(&worker->idle, on_idle);
}

static void on_acceptable(uv_poll_t *poll, int status, int events);

/* The listening socket has rested. */
static void on_rested(uv_timer_t *timer)
{
	struct worker *worker = container_of(timer, struct worker, listen_timer);

	uv_poll_start(&worker->listen_poll, UV_READABLE, on_acceptable);
}

/* Somebody connects. */
static void on_acceptable(uv_poll_t *poll, int status, int events)
{
	struct worker *worker = container_of(poll, struct worker, listen_poll);

	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		int fd = accept4(worker->opts->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			conn_accept(worker, fd);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno != EAGAIN) {
			log_error(
				LOG_EV("worker.accept_failed"), LOG_STR("error", strerror(errno)));
			uv_poll_stop(poll);
			uv_timer_start(&worker->listen_timer, on_rested, LISTEN_REST_MS, 0);
		}
		return;
	}
}

/* The ledger has grown. */
static void on_ledger(struct watch *watch, uint32_t mask, const char *name)
{
	struct worker *worker = container_of(watch, struct worker, ledger_watch);

	(void)mask;
	(void)name;
	events_advance(worker);
	events_wake(worker);
}

static void on_run_change(void *arg)
{
	verified_look(arg);
	events_wake(arg);
}

static const struct runset_callbacks runset_cbs = {
	.on_change = on_run_change,
	.on_journal = tail_wake,
};

/* ---- secret and config ---- */

static void keep_error(struct worker *worker, const char *text)
{
	free(worker->config_error);
	worker->config_error = text != NULL ? xstrdup(text) : NULL;
}

static bool load(struct worker *worker)
{
	struct config_errors *errors = xcalloc(1, sizeof(*errors));
	struct catalog *catalog = NULL;
	struct err err = {0};
	bool ok = true;

	config_errors_init(errors);
	if (secrets_load(worker, &err) != 0) {
		keep_error(worker, err.msg);
		ok = false;
	}
	if (catalog_load(worker->opts->settings->config_dir, worker->opts->catalog_opts, &catalog,
		    errors) == 0) {
		struct catalog *old = worker->catalog;

		worker->catalog = catalog;
		schedule_reload(&worker->schedule);
		catalog_free(old);
	} else {
		keep_error(worker, errors->n != 0 ? errors->lines[0] : "unknown");
		ok = false;
	}
	if (ok)
		keep_error(worker, NULL);
	else
		log_error(LOG_EV("worker.config_refused"), LOG_STR("error", worker->config_error));
	free(errors);
	return ok;
}

void worker_reload(struct worker *worker)
{
	if (load(worker))
		verified_scan(worker);
}

/* ---- the monitor ---- */

static void on_stop_timer(uv_timer_t *timer)
{
	uv_stop(timer->loop);
}

static void stop(struct worker *worker, const char *why)
{
	if (worker->stopping)
		return;
	worker->stopping = true;
	log_info(LOG_EV("worker.stopping"), LOG_STR("reason", why));
	while (!list_empty(&worker->conns))
		conn_goaway(container_of(worker->conns.next, struct conn, link),
			MSG_GOAWAY_SHUTDOWN, "the agent is shutting down");
	schedule_close(&worker->schedule);
	status_close(worker);
	live_close(worker);
	secrets_close(&worker->secrets);
	monlink_close(&worker->monitor);
	runset_close(&worker->runs);
	watch_remove(&worker->watcher, &worker->ledger_watch);
	watcher_close(&worker->watcher);
	uv_close((uv_handle_t *)&worker->listen_poll, NULL);
	uv_close((uv_handle_t *)&worker->listen_timer, NULL);
	uv_close((uv_handle_t *)&worker->term, NULL);
	uv_close((uv_handle_t *)&worker->check, NULL);
	uv_close((uv_handle_t *)&worker->idle, NULL);
	uv_timer_start(&worker->stop_timer, on_stop_timer, STOP_MS, 0);
	uv_unref((uv_handle_t *)&worker->stop_timer);
}

static void on_notice(const struct imsg *msg, void *arg)
{
	struct worker *worker = arg;
	char text[1024];

	switch (msg->type) {
	case IMSG_CONFIG:
		if (msg->message.len == 0) {
			worker_reload(worker);
			break;
		}
		snprintf(text, sizeof(text), "%.*s", (int)MIN(msg->message.len, 1023u),
			msg->message.data);
		keep_error(worker, text);
		break;
	case IMSG_SHUTDOWN:
		stop(worker, "the agent stops");
		break;
	default:
		stop(worker, "the monitor sent what it never does");
	}
}

static void on_gone(void *arg)
{
	stop(arg, "the monitor is gone");
}

static const struct monlink_callbacks monlink_cbs = {
	.on_notice = on_notice,
	.on_gone = on_gone,
};

/* SIGTERM, of somebody who means only the worker: the monitor starts another one. */
static void on_term(uv_signal_t *handle, int signum)
{
	(void)signum;
	stop(container_of(handle, struct worker, term), "SIGTERM");
}

/* ---- start ---- */

static int drop_privileges(const struct settings *settings, struct err *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return err_set_errno(err, -errno, "cannot set no_new_privs");
	if (!settings->drop_privileges)
		return 0;
	if (sandbox_drop_capabilities() != 0)
		return err_set_errno(err, -errno, "cannot drop capabilities");
	if (initgroups(settings->worker_user, settings->worker_gid) != 0 ||
		setresgid(settings->worker_gid, settings->worker_gid, settings->worker_gid) != 0 ||
		setresuid(settings->worker_uid, settings->worker_uid, settings->worker_uid) != 0)
		return err_set_errno(err, -errno, "cannot become %s", settings->worker_user);
	/* the way back must be closed */
	if (setuid(0) == 0 || setgid(0) == 0)
		return err_set(
			err, -EPERM, "still privileged after becoming %s", settings->worker_user);
	return 0;
}

static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int open_files(struct worker *worker, struct err *err)
{
	const char *state_dir = worker->opts->settings->state_dir;
	char *ledger = xasprintf("%s/%s", state_dir, LEDGER_FILE);
	int rc = 0;

	worker->ledger_fd = open(ledger, O_RDONLY | O_CLOEXEC);
	if (worker->ledger_fd < 0)
		rc = err_set_errno(err, -errno, "cannot open %s", ledger);
	if (rc == 0 && (rc = watcher_open(&worker->watcher, &worker->loop)) != 0)
		err_set_errno(err, rc, "cannot use inotify");
	watch_init(&worker->ledger_watch, on_ledger);
	if (rc == 0 &&
		(rc = watch_add(&worker->watcher, &worker->ledger_watch, ledger, IN_MODIFY)) != 0)
		err_set_errno(err, rc, "cannot watch %s", ledger);
	if (rc == 0 && (rc = runset_open(&worker->runs, &worker->loop, &worker->watcher, state_dir,
				&runset_cbs, worker)) != 0)
		err_set_errno(err, rc, "cannot watch the runs in %s", state_dir);
	free(ledger);
	return rc;
}

static int open_sockets(struct worker *worker, struct err *err)
{
	int rc = monlink_open(
		&worker->monitor, &worker->loop, worker->opts->monitor_fd, &monlink_cbs, worker);

	uv_timer_init(&worker->loop, &worker->listen_timer);
	uv_timer_init(&worker->loop, &worker->stop_timer);
	uv_check_init(&worker->loop, &worker->check);
	uv_idle_init(&worker->loop, &worker->idle);
	uv_check_start(&worker->check, on_check);
	uv_signal_init(&worker->loop, &worker->term);
	if (rc == 0)
		rc = uv_signal_start(&worker->term, on_term, SIGTERM);
	live_open(worker);
	if (rc == 0)
		rc = status_open(worker);
	if (rc == 0)
		rc = uv_poll_init(&worker->loop, &worker->listen_poll, worker->opts->listen_fd);
	if (rc == 0)
		rc = uv_poll_start(&worker->listen_poll, UV_READABLE, on_acceptable);
	if (rc == 0)
		rc = schedule_open(&worker->schedule, worker, worker->opts->seen_alive_us);
	return rc != 0 ? err_set(err, rc, "cannot serve: %s", uv_strerror(rc)) : 0;
}

static int start(struct worker *worker, struct err *err)
{
	int rc = drop_privileges(worker->opts->settings, err);

	if (rc != 0)
		return rc;
	rc = sandbox_enter();
	if (rc == -ENOTSUP)
		log_warn(LOG_EV("worker.no_sandbox"), LOG_STR("error", "not on this kernel"));
	else if (rc != 0)
		return err_set_errno(err, rc, "cannot enter the sandbox");
	raise_descriptor_limit();
	/* chunks come and go by the thousand: not from fresh pages every time */
	mallopt(M_MMAP_THRESHOLD, KEEP_BYTES);
	mallopt(M_TRIM_THRESHOLD, KEEP_BYTES);
	prctl(PR_SET_NAME, "ops-worker");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	rc = hostname_read(worker->host, sizeof(worker->host), err);
	if (rc != 0)
		return rc;
	if (!load(worker) && worker->catalog == NULL)
		return err_set(err, -EINVAL, "the worker cannot load the configuration: %s",
			worker->config_error);
	if (worker->opts->config_error != NULL)
		keep_error(worker, worker->opts->config_error);
	rc = open_files(worker, err);
	if (rc == 0)
		verified_scan(worker);
	return rc != 0 ? rc : open_sockets(worker, err);
}

static void finish(struct worker *worker)
{
	uv_run(&worker->loop, UV_RUN_DEFAULT);
	if (!uv_is_closing((uv_handle_t *)&worker->stop_timer))
		uv_close((uv_handle_t *)&worker->stop_timer, NULL);
	uv_run(&worker->loop, UV_RUN_NOWAIT);
	uv_loop_close(&worker->loop);
	for (size_t i = 0; i < worker->n_verified; i++)
		free(worker->verified[i].name);
	catalog_free(worker->catalog);
	keep_error(worker, NULL);
	close(worker->ledger_fd);
	close(worker->opts->listen_fd);
}

int worker_main(const struct worker_opts *opts)
{
	struct worker *worker = xcalloc(1, sizeof(*worker));
	struct err err = {0};

	worker->opts = opts;
	worker->ledger_fd = -1;
	worker->ledger_end = opts->ledger_position;
	worker->next_conn_id = 1;
	list_init(&worker->conns);
	list_init(&worker->listeners);
	list_init(&worker->ready);
	if (uv_loop_init(&worker->loop) != 0)
		abort();
	if (start(worker, &err) != 0) {
		log_error(LOG_EV("worker.failed"), LOG_STR("error", err.msg));
		return err.code == -EINVAL ? EXIT_CONFIG : EXIT_FAILED;
	}
	log_info(LOG_EV("worker.ready"), LOG_INT("uid", geteuid()));
	finish(worker);
	free(worker);
	return 0;
}
