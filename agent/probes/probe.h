/*
 * A probe: something that is looked at every so often, by a function that runs in a process of its
 * own (check.h), so that it may block, hang or crash without anything else noticing.
 */
#ifndef OPS_AGENT_PROBES_PROBE_H
#define OPS_AGENT_PROBES_PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/config/status.h"
#include "agent/probes/report.h"
#include "core/base/buf.h"

#define PROBE_MAX (4 * STATUS_CONFIG_MAX_ITEMS + 8)
#define PROBE_MISSES 2 /* in a row: then its items are unknown */

struct probe;
typedef void (*probe_run_fn)(const struct probe *probe, struct report *report);

struct probe {
	/* what it is; texts belong to the configuration or are constants */
	const char *section;
	const char *id, *title; /* of the item that stands for it while there is no other */
	probe_run_fn run;
	const void *subject;	      /* entry of struct status_config */
	uint64_t verified_us;	      /* of a backup: when a restore last succeeded; 0: not known */
	uint64_t watched_us, idle_us; /* between two looks */
	uint64_t deadline_us;	      /* of one look */
	bool is_late;		      /* its first look is not waited for */
	bool asks_docker;	      /* may use the relay, and is looked at early by its events */

	/* how it is */
	uint64_t due_us;     /* monotonic: looks again then */
	uint64_t started_us; /* of the last look */
	uint64_t kill_us;    /* 0: none is running, or it was killed */
	pid_t pid;	     /* of the running look; 0: none, or it would not die yet */
	int fd;		     /* its report; -1: none, or read to its end */
	struct buf out;
	struct buf last; /* asks_docker: its last whole report, which the next look may read */
	bool finished;	 /* its report is whole: end of file was seen */
	bool again;	 /* something happened during the look: there is to be another one soon */
	bool has_answered;
	unsigned missed; /* looks in a row that told nothing */
};

/* ---- the looks ---- */

void disks_run(const struct probe *probe, struct report *report);
void updates_run(const struct probe *probe, struct report *report);
void updater_run(const struct probe *probe, struct report *report);
void logins_run(const struct probe *probe, struct report *report);
void certificate_run(const struct probe *probe, struct report *report);
void url_run(const struct probe *probe, struct report *report);
void repository_run(const struct probe *probe, struct report *report);
void backup_run(const struct probe *probe, struct report *report);
void units_run(const struct probe *probe, struct report *report);
void docker_run(const struct probe *probe, struct report *report);

#endif
