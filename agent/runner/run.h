/*
 * What the parts of the runner share: one struct run, made by runner.c and passed down. Nothing
 * outside this folder includes it.
 */
#ifndef OPS_AGENT_RUNNER_RUN_H
#define OPS_AGENT_RUNNER_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/run/cgroup.h"
#include "agent/run/journal.h"
#include "agent/run/killtree.h"
#include "agent/run/outputs.h"
#include "agent/run/plan.h"
#include "agent/run/state.h"
#include "agent/runner/account.h"
#include "agent/runner/control.h"
#include "agent/runner/graph.h"
#include "agent/runner/opsout.h"
#include "agent/runner/secrets.h"
#include "agent/runner/syncer.h"
#include "core/base/buf.h"

#define RUN_MAX_ATTEMPTS 16 /* steps that run at once */
#define RUN_MAX_MESSAGE 256

#define RUN_STATE_EVERY_US UINT64_C(100000)    /* sizes in the state block */
#define RUN_SYNC_EVERY_US UINT64_C(1000000)    /* fdatasync while output comes */
#define RUN_DISK_RETRY_US UINT64_C(1000000)    /* looking for room on a full disk */
#define RUN_LINGER_US UINT64_C(250000)	       /* for what a command leaves to end by itself */
#define RUN_SWEEP_EVERY_US UINT64_C(20000)     /* between two rounds of killing */
#define RUN_LOOK_EVERY_US UINT64_C(50000)      /* between two looks at who is left of a step */
#define RUN_RETRY_MAX_US UINT64_C(86400000000) /* however often a delay was multiplied */
#define RUN_KILL_MAX_US UINT64_C(5000000)      /* after which the unkillable are reported as left */
#define RUN_NEVER UINT64_MAX

/*
 * Gathering. A record below RUN_SMALL_RECORD costs a token; RUN_TOKENS of them come back at one per
 * RUN_TOKEN_US. Without a token the pipes rest until the next one, so that a torrent of tiny writes
 * becomes some thousand records a second, while a line now and then, and any burst of fewer than
 * RUN_TOKENS, is passed on at once.
 */
#define RUN_SMALL_RECORD 16384
#define RUN_TOKENS 64
#define RUN_TOKEN_US UINT64_C(200)

enum attempt_state {
	ATTEMPT_NONE,	   /* the slot is free */
	ATTEMPT_RUNNING,   /* the leader lives, nobody asked for its end */
	ATTEMPT_LINGERING, /* the leader is gone, what it left has a moment to end */
	ATTEMPT_ENDING,	   /* SIGTERM was sent; SIGKILL follows at kill_at */
	ATTEMPT_KILLING,   /* stop and kill, round by round */
	ATTEMPT_DRAINING,  /* nobody is left: what the pipes hold, then the end */
	ATTEMPT_DONE,	   /* both pipes closed; attempt_finish() comes next */
};

enum stop_cause {
	STOP_NONE,
	STOP_CANCEL, /* control/cancel */
	STOP_HOST,   /* SIGTERM */
	STOP_STEP_TIMEOUT,
	STOP_RUN_TIMEOUT,
	STOP_BROKEN, /* the journal cannot be written */
};

struct stream {
	int fd; /* -1: closed */
	enum record_kind kind;
	uint8_t *buf;		 /* RECORD_MAX_BYTES: room for a header, then payload */
	size_t held;		 /* payload bytes read and not yet accepted by the journal */
	size_t drain;		 /* while draining: bytes still to be read */
	bool masked;		 /* something in what is held was */
	struct mask_stream mask; /* mask.mask NULL: there is nothing to mask */
};

struct attempt {
	enum attempt_state state;
	uint16_t step, number;
	pid_t pid;
	bool exited;
	bool was_killed;    /* a first round of killing is over */
	uint64_t exited_at; /* monotonic, when the exit was seen */
	int wait_status;
	int report_fd;
	struct stream streams[2]; /* stdout, stderr */
	struct opsout opsout;
	struct cgroup cgroup;
	enum stop_cause cause; /* why it was stopped */
	uint64_t timeout_at;   /* monotonic; RUN_NEVER */
	uint64_t wake_at;      /* of the present state */
	uint64_t look_at;      /* not to look before at who is left */
	uint64_t give_up_at;   /* while KILLING */
	uint64_t dropped;      /* output beyond max_output */
	uint64_t dropped_full; /* output given up because the disk was full */
	struct killtree_report term_report, kill_report;
};

struct run {
	struct plan *plan;
	const char *run_dir;
	int dir_fd, lock_fd, state_fd, outputs_fd, signal_fd;
	char id[UUID_TEXT_BYTES];
	char *scratch_base; /* of $OPS_OUTPUT */

	struct run_state state;
	bool state_dirty;    /* a status changed: write at once */
	uint64_t state_at;   /* monotonic, of the last write */
	uint64_t state_size; /* journal size that the block tells */

	struct journal journal;
	struct syncer syncer;
	uint64_t sync_at;     /* of the last request */
	uint64_t sync_wanted; /* offset of the last request */
	bool sync_due;	      /* a step ended: do not wait for sync_at */
	uint64_t durable;
	int broken; /* errno for which the journal was given up, 0: none */

	struct control control;
	struct secrets secrets;
	struct cgroup_tree cgroups;
	struct outputs outputs;
	struct graph_orders orders;
	enum stop_cause stop_cause; /* of the whole run */
	bool killed;		    /* a second cancel came */
	bool skipped;		    /* it was made only to say that it does not run */
	enum run_reason skip_reason;
	int sigterms;
	uint64_t timeout_at;
	uint64_t paused_at; /* monotonic, since when the timeout stands still; 0: it does not */

	/* Of steps that wait: when the next attempt starts, or the approval expires. */
	uint64_t step_wake_at[PLAN_MAX_STEPS];

	uint64_t disk_retry_at; /* while state.disk_full */
	double tokens;
	uint64_t tokens_at;

	bool has_children;  /* as of the last look */
	bool has_left_some; /* a step with leave_children has ended */
	struct attempt attempts[RUN_MAX_ATTEMPTS];
	uint64_t now; /* monotonic, of this turn of the loop */
};

/* ---- record.c: events, state, durability ---- */

/* Appends the event in json (an initialised buffer, which is freed). A failure breaks the run. */
void run_event(struct run *run, uint16_t step, struct buf *json);
/* The journal cannot be written any more: everything is ended as fast as possible. */
void run_break(struct run *run, int rc);
/* Asks for fdatasync when it is time. */
void run_sync(struct run *run);
/* The syncer has finished one. */
void run_on_synced(struct run *run);
/* Writes the state block when it is due. */
void run_write_state(struct run *run, bool at_once);
/* When the next of these is due. */
uint64_t run_record_wake_at(const struct run *run);

/* ---- output.c: from the pipes into the journal ---- */

/* mask NULL: none. 0 or -ENOMEM. */
int stream_init(struct stream *stream, int fd, enum record_kind kind, struct mask *mask);
void stream_fini(struct stream *stream);
/* Whether to poll the stream now. */
bool stream_wants(const struct run *run, const struct stream *stream);
/* Reads what there is, within the turn's fair share, and appends it. */
void stream_read(struct run *run, struct attempt *attempt, struct stream *stream);
/* From now on no more than what the pipe holds at this moment is read. */
void stream_start_drain(struct stream *stream);
/* Whether it is closed and all that was read from it is in the journal (or given up). */
bool stream_is_settled(struct run *run, struct attempt *attempt, struct stream *stream);
/* The journal has no room: says so, and stops reading until output_retry() finds some. */
void output_wait_for_room(struct run *run);
/* The disk was full: tries again. */
void output_retry(struct run *run);
/* When the pipes may be read again: now, the next token, or never (the disk is full). */
uint64_t output_wake_at(const struct run *run);
/* Refills the tokens. */
void output_tick(struct run *run);

/* ---- attempt.c: the life of one execution of one step ---- */

/* Starts the step in a free slot; a step that cannot be started is finished at once. */
void attempt_start(struct run *run, uint16_t step);
/* Asks for its end: SIGTERM, kill_after, SIGKILL. */
void attempt_stop(struct run *run, struct attempt *attempt, enum stop_cause cause);
/* SIGKILL now. */
void attempt_kill(struct run *run, struct attempt *attempt, enum stop_cause cause);
/* Its leader was reaped. */
void attempt_on_exit(struct attempt *attempt, int wait_status);
/* Moves on by what has happened and what time it is; finishes it when it is done. */
void attempt_step(struct run *run, struct attempt *attempt);
/* When attempt_step() is to be called even if nothing happens. */
uint64_t attempt_wake_at(const struct attempt *attempt);

/* ---- idle.c: steps that wait, for a person or for their next attempt ---- */

/* Begins an approval. */
void idle_start_approval(struct run *run, uint16_t step);
/* Takes the answers to approvals that have come in; closed as in control_take(). */
void idle_take_answers(struct run *run, bool closed);
/* Ends what waits in vain: expired approvals, and every step that a stop or a kill concerns. */
void idle_step(struct run *run);
/* A step whose next attempt is due, or PLAN_NO_STEP. */
uint16_t idle_due_retry(const struct run *run);
/* Tells state.status running from waiting, and lets the run's timeout stand still while waiting. */
void idle_update_run(struct run *run);
/* When idle_step() or idle_due_retry() have something to do; with no free slot retries do not
 * count. */
uint64_t idle_wake_at(const struct run *run, bool free_slot);

/* ---- settle.c: how a step ended ---- */

/* Takes the outputs, writes the last events of the step, frees the slot. */
void attempt_finish(struct run *run, struct attempt *attempt);
/* Ends an attempt that could not be started. Like attempt_finish() it may lead to another one. */
void run_settle_unstarted(struct run *run, uint16_t step, const char *message);
/* Ends a step that has no attempt: skipped, answered, or stopped while it waited. */
void run_settle_step(struct run *run, uint16_t step, enum step_status status,
	enum run_reason reason, int exit_code, const char *message);

#endif
