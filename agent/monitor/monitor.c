/*
 * Owns everything in struct monitor; one poll(2) loop over the signalfd, the worker's socket and
 * the inotify descriptor on the locks of runners that are not its children, with a handful of
 * deadlines.
 *
 * Happy path: load, lock the state folder, settle or adopt what runs were left, bind the socket,
 * fork the worker, serve its questions until SIGTERM.
 *
 * Failure modes: the worker dies: another is forked after a backoff, the socket stays bound, so
 * clients only reconnect. A reload finds errors: the old config stays. The ledger cannot be
 * written: no new runs. The monitor itself dies: the worker sees end of file and ends; runners go
 * on and are adopted by the next agent.
 */
#include "agent/monitor/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/monitor/confine.h"
#include "agent/monitor/listen.h"
#include "agent/monitor/rotate.h"
#include "agent/monitor/state.h"
#include "agent/monitor/title.h"
#include "agent/run/hostname.h"
#include "agent/run/rundir.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/service.h"

#define STOP_US 5000000 /* for the worker to say goodbye */
#define SYNC_US 1000000 /* of the ledger after it was written */
#define LISTEN_TRIES 50 /* 100 ms each: a killed agent's worker may take a moment to go */
#define MESSAGES_A_TURN 64
#define UMASK 027 /* the worker's group reads */

static uint64_t sooner(uint64_t a, uint64_t b)
{
	if (a == 0 || b == 0)
		return MAX(a, b);
	return MIN(a, b);
}

/* ---- the worker ---- */

/* In the forked process: only what the worker may have stays open. */
static void close_all_but(int a, int b, int c)
{
	unsigned keep[] = {(unsigned)a, (unsigned)b, (unsigned)c};
	unsigned from = 3;

	for (size_t n = ARRAY_LEN(keep); n > 0; n--) {
		unsigned *low = &keep[0];

		for (size_t i = 1; i < n; i++)
			low = keep[i] < *low ? &keep[i] : low;
		if (*low > from)
			close_range(from, *low - 1, 0);
		from = *low + 1;
		*low = keep[n - 1];
	}
	close_range(from, ~0u, 0);
}

/* Returns -1 in the monitor, the exit code in the worker. */
static int fork_worker(struct monitor *m)
{
	struct worker_opts opts = {
		.settings = &m->settings,
		.catalog_opts = &m->catalog_opts,
		.agent_id = m->agent_id,
		.config_error = m->config_error,
		.started_us = m->started_us,
		.seen_alive_us = m->seen_alive_us,
		.ledger_position = ledger_position(m->ledger),
		.listen_fd = m->listen_fd,
		.probes_fd = m->probes.peer_fd,
	};
	struct err err = {0};
	sigset_t none;

	if (child_fork(&m->child, &opts.monitor_fd, &err) != 0) {
		log_error(LOG_EV("worker.fork_failed"), LOG_STR("error", err.msg));
		child_gone(&m->child);
		return -1;
	}
	if (opts.monitor_fd < 0)
		return -1;
	/* the bus is the monitor's; libsystemd insists on closing it itself */
	units_free(m->launch.units);
	m->launch.units = NULL;
	close_all_but(opts.listen_fd, opts.monitor_fd, opts.probes_fd);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	title_set("worker", NULL);
	return m->programs->worker(&opts);
}

static void worker_exited(struct monitor *m, int status)
{
	struct json *json;
	struct err err = {0};

	child_gone(&m->child);
	m->seen_alive_us = clock_wall_us();
	if (m->stopping)
		return;
	log_error(LOG_EV("worker.died"),
		LOG_INT("status", WIFEXITED(status) ? WEXITSTATUS(status) : -1),
		LOG_INT("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0));
	json = ledger_begin(m->ledger, "worker.died");
	json_kv_int(json, "exit_code", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	json_kv_int(json, "signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	if (ledger_commit(m->ledger, &err) != 0)
		log_error(LOG_EV("ledger.failed"), LOG_STR("error", err.msg));
}

static void serve_worker(struct monitor *m)
{
	static uint8_t bytes[IMSG_MAX_BYTES];

	for (int i = 0; i < MESSAGES_A_TURN && m->child.fd >= 0; i++) {
		struct imsg msg;
		int rc = child_receive(&m->child, bytes, &msg);

		if (rc == 0)
			break;
		if (rc > 0) {
			requests_handle(m, &msg);
			continue;
		}
		if (rc == -EBADMSG) {
			log_error(LOG_EV("worker.nonsense"), LOG_INT("pid", m->child.pid));
			kill(m->child.pid, SIGKILL);
		}
		/* it is ending: it may say goodbye to its clients, but not for ever */
		close(m->child.fd);
		m->child.fd = -1;
		m->child.kill_us = clock_mono_us() + STOP_US;
	}
	starts_flush(m);
}

/* ---- signals ---- */

static void reap(struct monitor *m)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == m->child.pid)
			worker_exited(m, status);
		else if (!watchman_exited(&m->probes, pid, status) &&
			 !watchman_exited(&m->relay, pid, status) && !sealer_exited(m, pid, status))
			active_child_exited(&m->active, pid);
	}
}

static void stop(struct monitor *m)
{
	if (m->stopping)
		return;
	log_info(LOG_EV("agent.stopping"), LOG_INT("active_runs", m->active.n));
	service_tell("STOPPING=1");
	m->stopping = true;
	watchman_stop(&m->probes);
	watchman_stop(&m->relay);
	sealer_stop(&m->sealer);
	m->stop_by_us = clock_mono_us() + STOP_US;
	child_send(&m->child, &(struct imsg){.type = IMSG_SHUTDOWN});
}

static void reload(struct monitor *m)
{
	struct config_errors *errors = xcalloc(1, sizeof(*errors));

	if (config_reload(m, wire_str_of("signal:HUP"), errors) != 0) {
		for (size_t i = 0; i < errors->n; i++)
			log_error(LOG_EV("config.error"), LOG_STR("error", errors->lines[i]));
	}
	free(errors);
}

static void serve_signals(struct monitor *m)
{
	struct signalfd_siginfo info;

	while (read(m->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			reap(m);
		else if (info.ssi_signo == SIGHUP)
			reload(m);
		else
			stop(m);
	}
}

static int open_signals(struct monitor *m)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	m->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return m->signal_fd >= 0 ? 0 : -errno;
}

/* ---- the loop ---- */

/* Does what is due, and returns when something will be. */
static uint64_t run_deadlines(struct monitor *m, uint64_t now)
{
	uint64_t watchdog = service_watchdog_us();
	uint64_t next = requests_tell_refusals(m);

	next = sooner(next, watchman_run(&m->probes, now));
	next = sooner(next, watchman_run(&m->relay, now));
	if (!ledger_is_dirty(m->ledger)) {
		m->sync_by_us = 0;
	} else if (m->sync_by_us == 0) {
		m->sync_by_us = now + SYNC_US;
	} else if (now >= m->sync_by_us) {
		if (ledger_sync(m->ledger) != 0)
			log_error(LOG_EV("ledger.sync_failed"), LOG_STR("error", strerror(errno)));
		m->sync_by_us = 0;
	}
	next = sooner(next, active_retry(&m->active, now));
	if (watchdog != 0 && now >= m->watchdog_by_us) {
		service_tell("WATCHDOG=1");
		m->watchdog_by_us = now + watchdog;
	}
	if (m->child.kill_us != 0 && now >= m->child.kill_us) {
		m->child.kill_us = 0;
		kill(m->child.pid, SIGKILL);
	}
	next = sooner(next, starts_let_go(m, now));
	next = sooner(next, care_step(m, now));
	next = sooner(next, sealer_step(m, now));
	next = sooner(next, rotate_step(m, now));
	next = sooner(next, m->child.kill_us);
	next = sooner(next, m->sync_by_us);
	next = sooner(next, m->watchdog_by_us);
	next = sooner(next, m->stop_by_us);
	return m->child.pid == 0 && !m->stopping ? sooner(next, m->child.respawn_us) : next;
}

static void wait_and_serve(struct monitor *m, uint64_t until, uint64_t now)
{
	struct pollfd fds[] = {{.fd = m->signal_fd, .events = POLLIN},
		{.fd = m->child.fd, .events = POLLIN},
		{.fd = m->active.inotify_fd, .events = POLLIN},
		{.fd = m->sealer.fd, .events = POLLIN},
		{.fd = m->probes.life_fd, .events = POLLIN}};
	int timeout_ms = -1;

	if (until != 0)
		timeout_ms =
			until > now ? (int)MIN((until - now) / 1000 + 1, (uint64_t)INT_MAX) : 0;
	if (poll(fds, ARRAY_LEN(fds), timeout_ms) <= 0)
		return;
	if (fds[1].revents != 0)
		serve_worker(m);
	if (fds[0].revents != 0)
		serve_signals(m);
	if (fds[3].revents != 0 && m->sealer.fd == fds[3].fd)
		sealer_serve(m);
	if (fds[2].revents != 0)
		active_polled(&m->active);
	if (fds[4].revents != 0)
		watchman_polled(&m->probes);
}

/* Returns -1 when stopped, the exit code in a worker's process. */
static int loop(struct monitor *m)
{
	for (;;) {
		uint64_t now = clock_mono_us();
		uint64_t until;

		if (m->stopping && (m->child.pid == 0 || now >= m->stop_by_us))
			return -1;
		if (!m->stopping && m->child.pid == 0 && now >= m->child.respawn_us) {
			int code = fork_worker(m);

			if (code >= 0)
				return code;
		}
		until = run_deadlines(m, now);
		wait_and_serve(m, until, now);
	}
}

/* ---- start and end ---- */

static int open_socket(struct monitor *m, struct err *err)
{
	char *parent = xstrdup(m->settings.socket_path);
	char *slash = strrchr(parent, '/');
	gid_t gid = m->settings.drop_privileges ? m->settings.worker_gid : (gid_t)-1;
	int fd, rc = 0;

	if (slash != parent) {
		*slash = '\0';
		fd = listen_open_dir(AT_FDCWD, parent, gid, err);
		if (fd >= 0)
			close(fd);
		else
			rc = fd;
	}
	free(parent);
	for (int i = 0; rc == 0; i++) {
		m->listen_fd = listen_open(m->settings.socket_path, gid, err);
		if (m->listen_fd >= 0)
			return 0;
		if (m->listen_fd != -EADDRINUSE || i == LISTEN_TRIES)
			rc = m->listen_fd;
		else
			usleep(100000);
	}
	return rc;
}

/* Not where runners are forked: they would inherit it. */
static int confine(struct monitor *m, struct err *err)
{
	char *socket_dir = xstrdup(m->settings.socket_path);
	char *secret_dir = xstrdup(m->settings.secret_path);
	const char *outputs = rundir_output_base();
	const char *folders[] = {m->settings.state_dir, dirname(socket_dir), dirname(secret_dir),
		outputs != NULL ? outputs : m->settings.state_dir};
	int rc = m->launch.units != NULL ? confine_enter(folders, ARRAY_LEN(folders), err) : 0;

	free(socket_dir);
	free(secret_dir);
	return rc;
}

static int note_agent(struct monitor *m, const char *event, struct err *err)
{
	struct json *json = ledger_begin(m->ledger, event);

	json_kv_str(json, "version", OPS_VERSION);
	json_kv_int(json, "pid", getpid());
	json_kv_str(json, "config_digest", m->catalog->digest);
	json_kv_uint(json, "active_runs", m->active.n);
	return ledger_commit(m->ledger, err);
}

static int start(struct monitor *m, struct err *err)
{
	int rc;

	close_range(3, ~0u, 0);
	umask(UMASK);
	prctl(PR_SET_NAME, "ops-agent");
	title_set("serve", NULL);
	m->started_us = clock_wall_us();
	child_init(&m->child);
	sealer_init(&m->sealer);
	rc = watchman_init(&m->relay, "docker-relay", err);
	if (rc == 0)
		rc = watchman_init(&m->probes, "probes", err);
	if (rc != 0)
		return MONITOR_EXIT_FAILED;
	rc = hostname_read(m->host, sizeof(m->host), err);
	if (rc == 0)
		rc = settings_load(&m->settings, err);
	if (rc == 0)
		rc = care_init(&m->care, err);
	if (rc == 0)
		rc = catalog_opts_from_env(&m->catalog_opts, m->account, err);
	if (rc != 0)
		return MONITOR_EXIT_CONFIG;
	watchman_give(&m->probes, m->relay.peer_fd, m->settings.probes_path);
	if (config_load_first(m) != 0) {
		err_set(err, -EINVAL, "the configuration is not in order");
		return MONITOR_EXIT_CONFIG;
	}
	config_start_watching(m);
	rc = open_signals(m);
	if (rc == 0)
		rc = files_open(m, err);
	if (rc == 0)
		rc = open_socket(m, err);
	if (rc == 0)
		rc = confine(m, err);
	if (rc == 0)
		rc = note_agent(m, "agent.started", err);
	if (rc == 0)
		return MONITOR_EXIT_OK;
	return rc == -EAGAIN || rc == -EADDRINUSE ? MONITOR_EXIT_BUSY : MONITOR_EXIT_FAILED;
}

static void finish(struct monitor *m)
{
	struct err err = {0};

	if (m->child.pid != 0)
		kill(m->child.pid, SIGKILL);
	watchman_stop(&m->probes);
	watchman_stop(&m->relay);
	watchman_last(&m->probes);
	(void)unlink(m->settings.socket_path);
	if (note_agent(m, "agent.stopped", &err) != 0)
		log_error(LOG_EV("ledger.failed"), LOG_STR("error", err.msg));
	log_info(LOG_EV("agent.stopped"), LOG_INT("active_runs", m->active.n));
}

int monitor_main(const struct monitor_programs *programs)
{
	struct monitor *m = xcalloc(1, sizeof(*m));
	struct err err = {0};
	int code;

	m->programs = programs;
	code = start(m, &err);
	if (code != MONITOR_EXIT_OK) {
		log_error(LOG_EV("agent.not_started"), LOG_STR("error", err.msg));
	} else {
		log_info(LOG_EV("agent.started"), LOG_STR("version", OPS_VERSION),
			LOG_STR("socket", m->settings.socket_path),
			LOG_STR("config_digest", m->catalog->digest),
			LOG_INT("active_runs", m->active.n));
		service_tell("READY=1");
		code = loop(m);
		if (code < 0) {
			finish(m);
			code = MONITOR_EXIT_OK;
		}
	}
	files_close(m);
	watchman_fini(&m->probes);
	watchman_fini(&m->relay);
	free(m);
	return code;
}
