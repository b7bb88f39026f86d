/*
 * cgroup v2, where there is one that this process may use: each attempt of a run gets its own, so
 * that what belongs to it is known whatever it does (sessions, adoption, environment), is ended at
 * once (cgroup.kill), and has limits where the controllers are there. Also the v2 tree that stands
 * beside v1 controllers, which knows no limits.
 *
 *	OWN/ops-run-UUID/step-N.A		forked: OWN is the agent's cgroup
 *	OWN/runner, OWN/step-N.A		OWN is a delegated unit, ops-run-UUID.service
 *
 * OPS_CGROUP=off leaves cgroups alone.
 */
#ifndef OPS_AGENT_RUN_CGROUP_H
#define OPS_AGENT_RUN_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/run/killtree.h"
#include "agent/run/plan.h"
#include "core/base/err.h"

#define CGROUP_PATH_BYTES 4096
#define CGROUP_NAME_BYTES 32

/* Where the attempts of one run have their cgroups. */
struct cgroup_tree {
	int fd; /* of the folder; -1: there is none */
	bool is_own_unit;
	char path[CGROUP_PATH_BYTES];
};

/* Makes the run's folder; in a unit of the run's own, moves this process to `runner`. 0; or -errno
 * (no v2, or it may not be used) with fd -1, which all functions below take for "nothing there". */
MUSTCHECK int cgroup_tree_open(struct cgroup_tree *tree, const char *run_id);
/* Removes the folder if nobody is left in it. */
void cgroup_tree_close(struct cgroup_tree *tree);

struct cgroup {
	int fd; /* of the folder; -1: none */
	char name[CGROUP_NAME_BYTES];
	/* Limits that it does not keep, since their controller is not there. */
	struct plan_limits unmet;
};

/* Makes one of that name. 0, or -errno with fd -1 and all limits unmet. */
MUSTCHECK int cgroup_add(struct cgroup_tree *tree, const char *name,
	const struct plan_limits *limits, struct cgroup *ret_cgroup);
/* Closes and removes it, if nobody is left in it. */
void cgroup_remove(struct cgroup_tree *tree, struct cgroup *cgroup);
/* A descriptor to which "0" is written by who wants to be in it. Or -errno. */
MUSTCHECK int cgroup_open_procs(const struct cgroup *cgroup);
/* 1: somebody is alive in it; 0; or -errno. */
MUSTCHECK int cgroup_is_populated(const struct cgroup *cgroup);
/* Adds who is in it to the report. */
void cgroup_report(const struct cgroup *cgroup, struct killtree_report *report);
/* SIGKILL to all that is in it, at once. 0; or -errno (before Linux 5.14 -ENOENT). */
MUSTCHECK int cgroup_kill(const struct cgroup *cgroup);
/* Whether the kernel killed in it for want of memory. */
bool cgroup_had_oom(const struct cgroup *cgroup);

/* For whoever finds a dead runner: ends all that is in the run's cgroups, and removes them. path is
 * what cgroup_tree had as such. 0, -ENOENT, or another negative errno. */
MUSTCHECK int cgroup_kill_run(const char *path, const char *run_id);

#endif
