/*
 * RUN_DIR, `STATE_DIR/runs/<uuid>/`: one folder a run, root:ops-agent 0750, files 0640.
 *
 *	meta      what never changes (run/meta.h); written and fsynced before the start is answered
 *	lock      held (F_OFD_SETLK) by the runner from before its first record until it exits
 *	journal   the records (proto/record.h)
 *	index     struct journal_index_entry per 256 KiB or so of journal; can be rebuilt
 *	state     run/state.h
 *	cgroup    path of the folder of its cgroups (run/cgroup.h), where there are any
 *	outputs   what steps wrote to $OPS_OUTPUT: wire encoded {u16 step, u16 attempt, str, str}*
 *	control/  files the monitor creates with O_EXCL: cancel, kill, approve.N; the runner reads
 *them at start and by inotify; content: UTF-8 "actor\nreason\n" released  empty file: the dashboard
 *holds it all; made by the monitor on run.release
 */
#ifndef OPS_AGENT_RUN_RUNDIR_H
#define OPS_AGENT_RUN_RUNDIR_H

#include "core/base/mem.h"

#define RUNDIR_META "meta"
#define RUNDIR_LOCK "lock"
#define RUNDIR_JOURNAL "journal"
#define RUNDIR_INDEX "index"
#define RUNDIR_STATE "state"
#define RUNDIR_OUTPUTS "outputs"
#define RUNDIR_CONTROL "control"
#define RUNDIR_CONTROL_CANCEL "control/cancel"
#define RUNDIR_CONTROL_KILL "control/kill"
#define RUNDIR_CONTROL_NEW "control/.new"  /* being written, then renamed */
#define RUNDIR_CGROUP "cgroup"		   /* path of the run's cgroup; absent: it has none */
#define RUNDIR_CONTROL_HOLD "control/hold" /* the runner waits for… */
#define RUNDIR_CONTROL_GO "control/go"
#define RUNDIR_CONTROL_SKIP "control/skip" /* the runner ends the run as skipped */
#define RUNDIR_CLAIMS "claims"		   /* what it occupies, a name a line (monitor/admit.h) */
#define RUNDIR_RELEASED "released"
#define RUNDIR_SCRATCH "run" /* $OPS_OUTPUT files of an unprivileged runner */

#define RUNDIR_DIR_MODE 0750
#define RUNDIR_FILE_MODE 0640
#define RUNDIR_MAX_CONTROL_BYTES 4096
#define RUNDIR_OUTPUT_BASE "/run/ops-runs" /* of root's runners: BASE/RUN/STEP/output */

/* Where $OPS_OUTPUT files are: $OPS_RUNS_DIR, as root RUNDIR_OUTPUT_BASE, else NULL: in the
 * RUN_DIR itself (RUNDIR_SCRATCH). */
const char *rundir_output_base(void);
/* Removes what a dead runner left there of this run. */
void rundir_remove_outputs(const char *run_id);

/* Opens name in the folder for writing (flags are added to O_CREAT | O_CLOEXEC | O_NOFOLLOW), with
 * mode RUNDIR_FILE_MODE and, as root, the folder's group. A descriptor or a negative errno. */
MUSTCHECK int rundir_create(int run_dir_fd, const char *name, int flags);

#endif
