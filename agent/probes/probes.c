/*
 * Owns the items, the probes and the looks that are running; one poll(2) loop over the worker's
 * socket, the signalfd and the looks' pipes.
 *
 * Happy path: take the errand, become ops-probe unless systemd has seen to that, start a process
 * per look that is due, read its report and its exit, keep the items, tell the worker what changed.
 *
 * Failure modes: a look that hangs is killed at its deadline, one that crashes is seen by its exit;
 * after PROBE_MISSES of them in a row its items are unknown, with the reason. One that cannot even
 * be killed (it waits in the kernel) holds its own place only. A worker that does not read costs
 * flags. The parent, or whoever has the other end of the life line, is gone: so is this process.
 */
#include "agent/probes/probes.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/config/catalog.h"
#include "agent/config/errand.h"
#include "agent/probes/check.h"
#include "agent/probes/dockerwatch.h"
#include "agent/probes/engine.h"
#include "agent/probes/host.h"
#include "agent/probes/items.h"
#include "agent/probes/schedule.h"
#include "agent/probes/tails.h"
#include "agent/relay/rights.h"
#include "core/base/clock.h"
#include "core/base/log.h"

#define PAIR_FD STDIN_FILENO
#define FIXED_FDS 4 /* to wait for, beside the looks' */
#define FREE_FD 16  /* from here on: descriptors on their way to their places */

struct probes {
	struct status_config *config;
	struct items items;
	struct tails tails;
	struct probe *list;
	size_t n;
	unsigned n_running;
	struct host *host;
	struct probe host_probe; /* stands for it; never forked */
	struct probe *docker;	 /* of the list; NULL: none */
	struct dockerwatch dockerwatch;
	int signal_fd, status_fd;
	int life_fd;	   /* of a service: its end of file is the monitor's end; -1: forked */
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

static void take_look(struct probes *p, struct probe *probe, int status)
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
				take_look(p, &p->list[i], status);
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

/* Something is known to be another way now. */
static void look_now(struct probe *probe)
{
	if (probe->pid == 0)
		probe->due_us = 0;
	else
		probe->again = true; /* the look that goes on does not know */
}

/* What was done about them is over: whether it helped is worth a look. */
static void look_at_mended(struct probes *p, const struct note *note)
{
	for (size_t i = 0; i < p->n; i++) {
		if (items_have_action(&p->items, &p->list[i], note->id))
			look_now(&p->list[i]);
	}
}

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
		look_now(probe);
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
		else if (note.kind == NOTE_ENDED)
			look_at_mended(p, &note);
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
	fds[3] = (struct pollfd){.fd = p->life_fd, .events = POLLIN};
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
	if (fds[3].revents != 0)
		*ret_over = true;
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

/* Where each descriptor of the errand belongs: the pair at PAIR_FD, the relay's end where looks and
 * tails expect it. The life line is kept where there is no parent to die with. */
static void place(struct probes *p, const struct errand *errand, bool has_parent)
{
	int worker_fd = fcntl(errand->worker_fd, F_DUPFD_CLOEXEC, FREE_FD);
	int relay_fd = fcntl(errand->relay_fd, F_DUPFD_CLOEXEC, FREE_FD);
	int status_fd = fcntl(errand->status_fd, F_DUPFD_CLOEXEC, FREE_FD);

	p->life_fd = has_parent ? -1 : fcntl(PAIR_FD, F_DUPFD_CLOEXEC, FREE_FD);
	close_range(STDERR_FILENO + 1, FREE_FD - 1, 0);
	if (dup2(worker_fd, PAIR_FD) < 0 || dup3(relay_fd, ENGINE_RELAY_FD, O_CLOEXEC) < 0 ||
		status_fd < 0)
		abort(); /* not enough descriptors to begin with */
	close(worker_fd);
	close(relay_fd);
	p->status_fd = status_fd;
}

/* From its beginning, wherever others who have the descriptor have read to. */
static int read_status(int fd, struct buf *text)
{
	for (;;) {
		uint8_t *to = buf_reserve(text, 4096);
		ssize_t n = to != NULL ? pread(fd, to, 4096, (off_t)text->len) : -1;

		if (n <= 0)
			return to == NULL ? -EMSGSIZE : n < 0 ? -errno : 0;
		text->len += (size_t)n;
	}
}

/* A backup that is asked for since a moment ago need not be there yet. */
static void note_age(struct status_config *config, int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return;
	for (size_t i = 0; i < config->n_backups; i++)
		config->backups[i].known_us = (uint64_t)MAX(st.st_mtim.tv_sec, 0) * 1000000;
}

static int load(struct probes *p, struct err *err)
{
	struct config_errors *errors = xcalloc(1, sizeof(*errors));
	struct buf text;
	int rc;

	config_errors_init(errors);
	buf_init(&text, CATALOG_MAX_FILE_BYTES + 4096);
	rc = read_status(p->status_fd, &text);
	if (rc != 0) {
		err_set_errno(err, rc, "cannot read status.yml");
	} else {
		rc = status_config_load(text.data, text.len, &p->config, errors);
		if (rc != 0)
			err_set(err, rc, "%s", errors->n != 0 ? errors->lines[0] : "status.yml");
		else
			note_age(p->config, p->status_fd);
	}
	close(p->status_fd);
	buf_fini(&text);
	free(errors);
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

static void finish(struct probes *p)
{
	for (size_t i = 0; i < p->n; i++) {
		if (p->list[i].pid != 0)
			check_kill(&p->list[i]);
		buf_fini(&p->list[i].out);
		buf_fini(&p->list[i].last);
	}
	items_fini(&p->items);
	free(p->list);
	free(p->host);
}

/* One byte to the monitor, which sees neither process nor exit code of a service. */
static void say(int fd, char byte)
{
	(void)!send(fd, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Everything up to the loop. 0: it may begin; 1: nobody is there any more; or a negative errno. */
static int begin(struct probes *p, const char *parent_pid, struct err *err)
{
	struct errand errand;
	int rc;

	close_range(STDERR_FILENO + 1, ~0u, 0);
	rc = errand_receive(PAIR_FD, &errand, err);
	if (rc == -EPIPE)
		return 1;
	if (rc == 0) {
		if (parent_pid == NULL)
			say(PAIR_FD, ERRAND_HERE);
		place(p, &errand, parent_pid != NULL);
		rc = load(p, err);
	}
	if (rc == 0)
		rc = rights_drop("OPS_AGENT_PROBE_USER", PROBES_USER, NULL, err);
	/* after the change of account, which would undo it */
	(void)prctl(PR_SET_PDEATHSIG, parent_pid != NULL ? SIGKILL : 0, 0, 0, 0);
	if (parent_pid != NULL && getppid() != (pid_t)strtol(parent_pid, NULL, 10))
		return 1;
	if (rc == 0 && (rc = open_signals(p)) != 0)
		err_set_errno(err, rc, "cannot read signals");
	return rc;
}

int probes_main(const char *parent_pid)
{
	struct probes *p = xcalloc(1, sizeof(*p));
	struct err err = {0};
	int rc;

	prctl(PR_SET_NAME, "ops-probes");
	p->life_fd = -1;
	rc = begin(p, parent_pid, &err);
	if (rc == 0) {
		prepare(p);
		log_info(
			LOG_EV("probes.ready"), LOG_INT("uid", geteuid()), LOG_INT("probes", p->n));
		loop(p);
		finish(p);
	} else if (rc < 0) {
		log_error(LOG_EV("probes.not_started"), LOG_STR("error", err.msg));
		/* trying again at once would not help */
		if (parent_pid == NULL)
			say(p->life_fd >= 0 ? p->life_fd : PAIR_FD, ERRAND_REFUSED);
	}
	status_config_free(p->config);
	free(p);
	return rc < 0 ? PROBES_EXIT_CONFIG : 0;
}
