/*
 * Owns one connection to the system bus, opened when a run is started and kept.
 *
 * Happy path: units_ready() finds the connection alive, units_start() sends StartTransientUnit and
 * waits for the answer, which comes as soon as systemd has queued the start; nobody waits for the
 * process itself.
 *
 * Failure modes: the bus has closed the connection (dbus was restarted): units_ready() notices and
 * opens another; if it goes between the two, the start is sent once more, and "there is such a
 * unit" then means that it had arrived. No answer in time: the run exists and is the lock holder's,
 * whoever that turns out to be (monitor/active.h); for UNITS_REST_US nothing more is tried.
 */
#include "agent/monitor/units.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include <linux/magic.h>

#include "core/base/clock.h"

#define SYSTEMD "org.freedesktop.systemd1"
#define UNIT_EXISTS SYSTEMD ".UnitExists"
/* Of a unit's limits beyond its step's: the runner is in it as well. */
#define RUNNER_MEMORY (UINT64_C(32) << 20)
#define RUNNER_TASKS 4

struct units {
	sd_bus *bus;	  /* NULL: none */
	uint64_t rest_us; /* monotonic: nothing is tried before */
};

struct units *units_new(void)
{
	return xcalloc(1, sizeof(struct units));
}

static void hang_up(struct units *units)
{
	units->bus = sd_bus_close_unref(units->bus);
}

void units_free(struct units *units)
{
	if (units == NULL)
		return;
	hang_up(units);
	free(units);
}

void units_name(const struct uuid *run, char out[UNITS_NAME_BYTES])
{
	char text[UUID_TEXT_BYTES];

	uuid_format(run, text);
	snprintf(out, UNITS_NAME_BYTES, "ops-run-%s.service", text);
}

uint64_t units_stop_us(const struct plan *plan)
{
	uint64_t longest = 0, after = 0;

	for (size_t i = 0; i < plan->n_steps; i++) {
		const struct plan_step *step = &plan->steps[i];

		longest = MAX(longest, step->kill_after_us);
		if (step->phase != PLAN_FINALLY)
			continue;
		after += MIN(step->timeout_us != 0 ? step->timeout_us : UNITS_STOP_MAX_US,
				 UNITS_STOP_MAX_US) +
			 step->kill_after_us;
	}
	return longest + MIN(after, UNITS_STOP_MAX_US) + UNITS_STOP_MARGIN_US;
}

/* ---- the connection ---- */

/* Answers what the bus asks, until the connection is usable. sd_bus_call() would wait for that,
 * too, but as long as it takes. */
static int make_ready(sd_bus *bus, uint64_t deadline_us)
{
	for (;;) {
		uint64_t now = clock_mono_us();
		int rc = sd_bus_process(bus, NULL);

		if (rc < 0)
			return rc;
		if (rc > 0)
			continue;
		rc = sd_bus_is_ready(bus);
		if (rc != 0)
			return MIN(rc, 0);
		if (now >= deadline_us)
			return -ETIMEDOUT;
		rc = sd_bus_wait(bus, deadline_us - now);
		if (rc < 0 && rc != -EINTR)
			return rc;
	}
}

static int dial(struct units *units)
{
	int rc = sd_bus_open_system(&units->bus);

	if (rc >= 0)
		rc = make_ready(units->bus, clock_mono_us() + UNITS_CALL_US);
	if (rc < 0)
		hang_up(units);
	return MIN(rc, 0);
}

static void rest(struct units *units)
{
	units->rest_us = clock_mono_us() + UNITS_REST_US;
}

int units_ready(struct units *units, struct err *err)
{
	int rc = 0;

	if (clock_mono_us() < units->rest_us)
		return err_set(err, -EBUSY, "systemd did not answer just now; try again");
	/* a connection that was closed meanwhile says so only when it is looked at */
	if (units->bus != NULL && make_ready(units->bus, 0) != 0)
		hang_up(units);
	if (units->bus == NULL)
		rc = dial(units);
	if (rc == -ETIMEDOUT)
		rest(units);
	return rc == 0 ? 0
		       : err_set_errno(err, rc,
				 "nothing can be started: systemd cannot be asked on the system "
				 "bus "
				 "(is dbus.service up?)");
}

/* ---- the message ---- */

/* Where a step cannot have limits of its own (v1: only systemd may set them there), those of a run
 * of one step are the unit's. */
static bool steps_have_limits(void)
{
	struct statfs fs;

	return statfs("/sys/fs/cgroup", &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

static int append_limits(sd_bus_message *m, const struct plan *plan)
{
	const struct plan_limits *limits = &plan->steps[0].limits;
	int rc = 0;

	if (plan->n_steps != 1 || steps_have_limits())
		return 0;
	if (limits->memory != 0)
		rc = sd_bus_message_append(
			m, "(sv)", "MemoryMax", "t", limits->memory + RUNNER_MEMORY);
	if (rc >= 0 && limits->cpu_percent != 0)
		rc = sd_bus_message_append(m, "(sv)", "CPUQuotaPerSecUSec", "t",
			(uint64_t)limits->cpu_percent * 10000);
	if (rc >= 0 && limits->pids != 0)
		rc = sd_bus_message_append(
			m, "(sv)", "TasksMax", "t", (uint64_t)limits->pids + RUNNER_TASKS);
	return rc;
}

/* Of the plan's steps one may leave children behind that are meant to stay. */
static bool leaves_children(const struct plan *plan)
{
	for (size_t i = 0; i < plan->n_steps; i++) {
		if (plan->steps[i].leave_children)
			return true;
	}
	return false;
}

/* What the unit is, and how it ends. `mixed`: a shutdown's SIGTERM is for the runner alone, which
 * knows what to do with it; what a dead runner leaves is killed at once. */
static int append_nature(sd_bus_message *m, const struct plan *plan)
{
	char description[256];

	snprintf(description, sizeof(description), "Ops Dashboard's run %llu: %.200s",
		(unsigned long long)plan->number, plan->name);
	return sd_bus_message_append(m, "(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)", "Description", "s",
		description, "Slice", "s", UNITS_SLICE, "Type", "s", "exec", "Delegate", "b", 1,
		"KillMode", "s", leaves_children(plan) ? "process" : "mixed", "OOMPolicy", "s",
		"continue", "CollectMode", "s", "inactive-or-failed", "TimeoutStopUSec", "t",
		units_stop_us(plan));
}

static int append_streams(sd_bus_message *m, const struct unit_start *start)
{
	/* `null` for output, or systemd would let standard error follow it into the lock */
	return sd_bus_message_append(m, "(sv)(sv)(sv)(sv)(sv)", "StandardInputFileDescriptor", "h",
		start->plan_fd, "StandardOutputFileDescriptor", "h", start->lock_fd,
		"StandardOutput", "s", "null", "StandardError", "s", "journal", "SyslogIdentifier",
		"s", "ops-runner");
}

static int append_env(sd_bus_message *m, char **env)
{
	int rc = sd_bus_message_open_container(m, 'r', "sv");

	if (rc >= 0)
		rc = sd_bus_message_append(m, "s", "Environment");
	if (rc >= 0)
		rc = sd_bus_message_open_container(m, 'v', "as");
	if (rc >= 0)
		rc = sd_bus_message_append_strv(m, env);
	if (rc >= 0)
		rc = sd_bus_message_close_container(m);
	return rc >= 0 ? sd_bus_message_close_container(m) : rc;
}

static int append_command(sd_bus_message *m, const struct unit_start *start)
{
	return sd_bus_message_append(m, "(sv)", "ExecStart", "a(sasb)", 1, start->program, 3,
		"ops-agent", "runner", start->run_dir, 0);
}

static int make_message(struct units *units, const struct plan *plan,
	const struct unit_start *start, sd_bus_message **ret_message)
{
	char name[UNITS_NAME_BYTES];
	sd_bus_message *m = NULL;
	int rc = sd_bus_message_new_method_call(units->bus, &m, SYSTEMD,
		"/org/freedesktop/systemd1", SYSTEMD ".Manager", "StartTransientUnit");

	units_name(&plan->id, name);
	if (rc >= 0)
		rc = sd_bus_message_append(m, "ss", name, "fail");
	if (rc >= 0)
		rc = sd_bus_message_open_container(m, 'a', "(sv)");
	if (rc >= 0)
		rc = append_nature(m, plan);
	if (rc >= 0)
		rc = append_limits(m, plan);
	if (rc >= 0)
		rc = append_streams(m, start);
	if (rc >= 0)
		rc = append_env(m, start->env);
	if (rc >= 0)
		rc = append_command(m, start);
	if (rc >= 0)
		rc = sd_bus_message_close_container(m);
	if (rc >= 0)
		rc = sd_bus_message_append(m, "a(sa(sv))", 0);
	if (rc < 0) {
		sd_bus_message_unref(m);
		return rc;
	}
	*ret_message = m;
	return 0;
}

/* ---- starting ---- */

static bool is_hung_up(int rc)
{
	return rc == -ECONNRESET || rc == -ENOTCONN || rc == -EPIPE;
}

static int call(struct units *units, const struct plan *plan, const struct unit_start *start,
	bool again, struct err *err)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *m = NULL;
	int rc = make_message(units, plan, start, &m);

	if (rc >= 0)
		rc = sd_bus_call(units->bus, m, UNITS_CALL_US, &error, NULL);
	sd_bus_message_unref(m);
	if (rc < 0 && again && sd_bus_error_has_name(&error, UNIT_EXISTS))
		rc = 0;
	if (rc < 0)
		err_set(err, rc, "systemd did not take the run: %s",
			error.message != NULL ? error.message : strerror(-rc));
	sd_bus_error_free(&error);
	return MIN(rc, 0);
}

int units_start(struct units *units, const struct plan *plan, const struct unit_start *start,
	struct err *err)
{
	int rc = units->bus != NULL ? call(units, plan, start, false, err) : -ENOTCONN;

	if (is_hung_up(rc)) {
		hang_up(units);
		rc = units_ready(units, err);
		if (rc == 0)
			rc = call(units, plan, start, true, err);
	}
	if (rc == -ETIMEDOUT)
		rest(units);
	return rc;
}
