/*
 * Owns the items, the probes and the looks that are running; one poll(2) loop over the worker's
 * socket, the signalfd and the looks' pipes.
 *
 * Happy path: load status.yml, become ops-probe, start a process per look that is due, read its
 * report and its exit, keep the items, tell the worker what changed.
 *
 * Failure modes: a look that hangs is killed at its deadline, one that crashes is seen by its exit;
 * after PROBE_MISSES of them in a row its items are unknown, with the reason. One that cannot even
 * be killed (it waits in the kernel) holds its own place only. A worker that does not read costs
 * flags. The parent is gone: so is this process.
 */
#include "agent/probes/probes.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/config/catalog.h"
#include "agent/probes/check.h"
#include "agent/probes/dockerwatch.h"
#include "agent/probes/host.h"
#include "agent/probes/items.h"
#include "agent/probes/schedule.h"
#include "agent/probes/tails.h"
#include "agent/relay/rights.h"
#include "core/base/clock.h"
#include "core/base/log.h"

#define PAIR_FD STDIN_FILENO
#define FIXED_FDS 3 /* to wait for, beside the looks' */

struct probes {
	struct catalog *catalog;
	const struct status_config *config;
	struct items items;
	struct tails tails;
	struct probe *list;
	size_t n;
	unsigned n_running;
	struct host *host;
	struct probe host_probe; /* stands for it; never forked */
	struct probe *docker;	 /* of the list; NULL: none */
	struct dockerwatch dockerwatch;
	int signal_fd;
	uint64_t watch_us; /* how often somebody wants to know; 0: nobody watches */
	bool full;	   /* the socket takes no more for now */
};

/* ---- looks ---- */

static void missed(struct probes *p, struct probe *probe, const char *why)
{
	probe->missed++;
	log_debug(LOG_EV("probe.missed"), LOG_STR("section", probe->section),
		LOG_STR("id", probe->id), LOG_STR("why", why));
	if (probe->missed >= PROBE_MISSES || !probe->has_answered)
		items_unknown(&p->items, probe, why, clock_wall_us());
}

/* Something has happened that the probe looks at. */
static void look_soon(struct probes *p, struct probe *probe)
{
	probe->again = probe->pid != 0;
	if (!probe->again)
		probe->due_us = MIN(probe->due_us, schedule_early(probe, p->watch_us));
}

static void finish(struct probes *p, struct probe *probe, int status)
{
	struct err err = {0};
	int rc = check_finish(probe, status, &err);

	p->n_running--;
	if (rc == 0) {
		rc = items_take(&p->items, probe, probe->out.data, probe->out.len, clock_wall_us());
		if (rc != 0)
			err_set(&err, rc, "the probe's report makes no sense");
	}
	if (rc == 0 && probe->asks_docker) {
		buf_fini(&probe->last);
		probe->last = probe->out;
		buf_init(&probe->out, 0);
	}
	buf_fini(&probe->out);
	if (rc != 0) {
		missed(p, probe, err.msg);
	} else {
		probe->missed = 0;
		probe->has_answered = true;
	}
	probe->due_us = schedule_next(probe, p->watch_us, probe->started_us);
	if (probe->again)
		look_soon(p, probe);
}

static void reap(struct probes *p)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (tails_reaped(&p->tails, pid))
			continue;
		for (size_t i = 0; i < p->n; i++) {
			if (p->list[i].pid == pid) {
				finish(p, &p->list[i], status);
				break;
			}
		}
	}
}

static void look_at_host(struct probes *p, uint64_t now)
{
	struct report report;

	report_init(&report);
	host_look(p->host, now, &report);
	if (items_take(&p->items, &p->host_probe, report.bytes.data, report.bytes.len,
		    clock_wall_us()) != 0)
		abort(); /* our own words */
	report_fini(&report);
	p->host_probe.due_us = schedule_next(&p->host_probe, p->watch_us, now);
}

/* Does what is due; returns when something will be. */
static uint64_t run_due(struct probes *p, uint64_t now)
{
	uint64_t next = UINT64_MAX;

	if (p->host != NULL) {
		if (now >= p->host_probe.due_us)
			look_at_host(p, now);
		next = p->host_probe.due_us;
	}
	if (p->docker != NULL)
		next = MIN(next, dockerwatch_run(&p->dockerwatch, now));
	for (size_t i = 0; i < p->n; i++) {
		struct probe *probe = &p->list[i];

		if (probe->pid != 0) {
			if (probe->kill_us != 0 && now >= probe->kill_us)
				check_kill(probe);
			next = MIN(next, probe->kill_us != 0 ? probe->kill_us : UINT64_MAX);
			continue;
		}
		if (now >= probe->due_us && p->n_running < SCHEDULE_MAX_RUNNING) {
			if (check_start(probe, now) == 0) {
				p->n_running++;
				next = MIN(next, probe->kill_us);
				continue;
			}
			missed(p, probe, "no process could be started for it");
			probe->due_us = now + UINT64_C(5000000);
		}
		if (now < probe->due_us)
			next = MIN(next, probe->due_us);
	}
	return next;
}

/* What is due earlier now that somebody wants to know is due now. */
static void set_watched(struct probes *p, uint64_t watch_us)
{
	p->watch_us = watch_us;
	for (size_t i = 0; i < p->n; i++) {
		if (p->list[i].pid == 0 && p->list[i].started_us != 0)
			p->list[i].due_us =
				schedule_next(&p->list[i], watch_us, p->list[i].started_us);
	}
	if (p->host != NULL)
		p->host_probe.due_us = schedule_next(&p->host_probe, watch_us, p->host->looked_us);
}

/* ---- the worker ---- */

/* A restore has succeeded: the backups that it proves are looked at again. */
static void set_verified(struct probes *p, const struct note *note)
{
	for (size_t i = 0; i < p->n; i++) {
		struct probe *probe = &p->list[i];
		const struct status_backup *backup = probe->subject;

		if (probe->run != backup_run || backup->verified_by == NULL ||
			!wire_str_eq(note->id, backup->verified_by))
			continue;
		probe->verified_us = note->time_us;
		if (probe->pid == 0)
			probe->due_us = 0;
		else
			probe->again = true; /* the look that goes on does not know */
	}
}

/* False: nobody will ever be at the other end again. */
static bool hear(struct probes *p)
{
	static uint8_t bytes[NOTE_MAX_BYTES];
	struct tailnote tail;
	struct note note;
	ssize_t n;

	while ((n = recv(PAIR_FD, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
		if (tailnote_is(bytes, (size_t)n)) {
			if (tailnote_decode(bytes, (size_t)n, &tail) == 0 &&
				tail.kind == TAILNOTE_OPEN)
				tails_open(&p->tails, PAIR_FD, &tail);
			continue;
		}
		if (note_decode(bytes, (size_t)n, &note) != 0)
			continue;
		if (note.kind == NOTE_WATCH)
			set_watched(p, UINT64_C(1000) * note.interval_ms);
		else if (note.kind == NOTE_VERIFIED)
			set_verified(p, &note);
		else if (note.kind == NOTE_AGAIN)
			items_tell_again(&p->items);
	}
	return n < 0;
}

static void wait_and_serve(struct probes *p, uint64_t until, uint64_t now, bool *ret_over)
{
	struct pollfd fds[FIXED_FDS + SCHEDULE_MAX_RUNNING];
	struct probe *of[FIXED_FDS + SCHEDULE_MAX_RUNNING];
	struct signalfd_siginfo info;
	size_t n = FIXED_FDS;
	int timeout_ms = -1;

	fds[0] =
		(struct pollfd){.fd = PAIR_FD, .events = (short)(POLLIN | (p->full ? POLLOUT : 0))};
	fds[1] = (struct pollfd){.fd = p->signal_fd, .events = POLLIN};
	fds[2] = (struct pollfd){.fd = p->dockerwatch.fd, .events = POLLIN};
	for (size_t i = 0; i < p->n && n < ARRAY_LEN(fds); i++) {
		if (p->list[i].fd >= 0) {
			of[n] = &p->list[i];
			fds[n++] = (struct pollfd){.fd = p->list[i].fd, .events = POLLIN};
		}
	}
	if (until != UINT64_MAX)
		timeout_ms =
			until > now ? (int)MIN((until - now) / 1000 + 1, (uint64_t)3600000) : 0;
	if (poll(fds, (nfds_t)n, timeout_ms) <= 0)
		return;
	for (size_t i = FIXED_FDS; i < n; i++) {
		if (fds[i].revents != 0)
			check_read(of[i]);
	}
	if (fds[2].revents != 0 && dockerwatch_read(&p->dockerwatch))
		look_soon(p, p->docker);
	if (fds[0].revents & (POLLIN | POLLHUP | POLLERR))
		*ret_over = !hear(p);
	while (read(p->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			reap(p);
		else
			*ret_over = true;
	}
}

/* Whether some have told nothing yet, neither what they found nor why not. */
static bool is_settling(const struct probes *p)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct probe *probe = &p->list[i];

		if (!probe->has_answered && probe->missed == 0 && !probe->is_late)
			return true;
	}
	return false;
}

static void loop(struct probes *p)
{
	bool over = false;

	while (!over) {
		uint64_t now = clock_mono_us();
		uint64_t until = run_due(p, now);

		p->items.settling = is_settling(p);
		p->full = items_send(&p->items, PAIR_FD);
		wait_and_serve(p, until, now, &over);
	}
}

/* ---- start ---- */

static int load(struct probes *p, struct err *err)
{
	const char *dir = getenv("OPS_AGENT_CONFIG_DIR");
	struct config_errors *errors = xcalloc(1, sizeof(*errors));
	struct catalog_opts opts;
	char account[64];
	int rc = catalog_opts_from_env(&opts, account, err);

	config_errors_init(errors);
	if (rc == 0) {
		rc = catalog_load(dir != NULL ? dir : "/etc/ops-agent", &opts, &p->catalog, errors);
		if (rc != 0)
			err_set(err, rc, "%s", errors->n != 0 ? errors->lines[0] : "unknown");
	}
	free(errors);
	if (rc == 0 && p->catalog->status == NULL)
		rc = err_set(err, -ENOENT, "there is no status.yml");
	if (rc == 0)
		p->config = p->catalog->status;
	return rc;
}

static int open_signals(struct probes *p)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	p->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return p->signal_fd >= 0 ? 0 : -errno;
}

static void prepare(struct probes *p)
{
	uint64_t interval = p->config->interval_us;

	items_init(&p->items, p->config);
	p->tails = (struct tails){.config = p->config, .items = &p->items};
	p->list = xcalloc(PROBE_MAX, sizeof(*p->list));
	p->n = schedule_make(p->config, p->list);
	dockerwatch_init(&p->dockerwatch);
	for (size_t i = 0; i < p->n; i++) {
		if (p->list[i].asks_docker)
			p->docker = &p->list[i];
	}
	p->host_probe = (struct probe){
		.section = "host",
		.id = "host",
		.title = "Host",
		.watched_us = interval,
		.idle_us = MAX(interval, SCHEDULE_IDLE_US),
		.fd = -1,
	};
	if (p->config->host)
		p->host = xcalloc(1, sizeof(*p->host));
}

int probes_main(const char *parent_pid)
{
	struct probes *p = xcalloc(1, sizeof(*p));
	struct err err = {0};
	int rc;

	prctl(PR_SET_NAME, "ops-probes");
	rc = load(p, &err);
	if (rc == 0)
		rc = rights_drop("OPS_AGENT_PROBE_USER", PROBES_USER, NULL, &err);
	/* after the change of account, which would undo it */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != (pid_t)strtol(parent_pid, NULL, 10))
		return 0;
	if (rc == 0 && (rc = open_signals(p)) != 0)
		err_set_errno(&err, rc, "cannot read signals");
	if (rc != 0) {
		log_error(LOG_EV("probes.not_started"), LOG_STR("error", err.msg));
		catalog_free(p->catalog);
		free(p);
		return PROBES_EXIT_CONFIG;
	}
	prepare(p);
	log_info(LOG_EV("probes.ready"), LOG_INT("uid", geteuid()), LOG_INT("probes", p->n));
	loop(p);
	for (size_t i = 0; i < p->n; i++) {
		if (p->list[i].pid != 0)
			check_kill(&p->list[i]);
		buf_fini(&p->list[i].out);
		buf_fini(&p->list[i].last);
	}
	items_fini(&p->items);
	free(p->list);
	free(p->host);
	catalog_free(p->catalog);
	free(p);
	return 0;
}
