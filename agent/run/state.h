/*
 * RUN_DIR/state: one block of 4 KiB, preallocated, rewritten in place by the runner after every
 * change of status, and read by worker and monitor. Since a reader may meet a half-written block it
 * carries a sequence number and a checksum: state_decode() refuses and the reader tries again.
 * What never changes in a run stands in RUN_DIR/meta (run/meta.h).
 */
#ifndef OPS_AGENT_RUN_STATE_H
#define OPS_AGENT_RUN_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/run/plan.h"

#define STATE_BYTES 4096

/* The names a person and the JSON documents see are those of run_status_name() and so on. */
enum run_status {
	RUN_QUEUED,
	RUN_RUNNING,
	RUN_WAITING,
	RUN_SUCCEEDED,
	RUN_FAILED,
	RUN_CANCELLED,
	RUN_TIMED_OUT,
	RUN_LOST,
	RUN_SKIPPED,
};

enum step_status {
	STEP_PENDING,
	STEP_RUNNING,
	STEP_WAITING,
	STEP_RETRYING,
	STEP_SUCCEEDED,
	STEP_FAILED,
	STEP_SKIPPED,
	STEP_CANCELLED,
	STEP_TIMED_OUT,
	STEP_LOST,
};

enum run_reason {
	REASON_NONE,
	REASON_EXIT,
	REASON_SIGNAL,
	REASON_SPAWN_FAILED,
	REASON_OOM,
	REASON_REJECTED,
	REASON_TIMEOUT,
	REASON_CANCELLED,
	REASON_RUNNER_DIED,
	REASON_HOST_RESTARTED,
	REASON_QUEUE_FULL,
};

struct step_state {
	uint8_t status;			  /* enum step_status */
	uint8_t reason;			  /* enum run_reason */
	uint16_t attempt;		  /* 1 is the first; 0: not started */
	int16_t exit_code;		  /* -1: none */
	uint16_t signal;		  /* 0: none */
	uint64_t started_us, finished_us; /* unix time; 0: not yet */
	uint64_t offset;		  /* of step.started in the journal; UINT64_MAX: not yet */
	int32_t pid;			  /* leader of the running attempt's session; 0: none */
};

struct run_state {
	uint64_t seq;	/* grows with every write */
	uint8_t status; /* enum run_status */
	uint8_t reason;
	int16_t exit_code; /* -1: none */
	uint16_t signal;
	bool disk_full; /* waiting for room on the journal's disk */
	bool truncated; /* output beyond max_output was dropped */
	bool cancel_requested;
	int32_t runner_pid;
	uint64_t runner_start_ticks; /* field 22 of /proc/PID/stat, so that a reused pid is not
					believed */
	uint8_t boot_id[16];	     /* of the boot that runner_pid and the steps' pids belong to */
	uint64_t written_boot_us;    /* clock_mono_us() of the last write: set by state_write() */
	uint64_t started_us, finished_us;
	uint64_t bytes; /* of stdout and stderr payloads */
	uint64_t lines;
	uint64_t records;
	uint64_t size;		 /* of the journal */
	uint64_t durable_offset; /* everything before it was fdatasynced */
	uint8_t digest[32];	 /* of run.finished; zero before */
	uint16_t n_steps;
	struct step_state steps[PLAN_MAX_STEPS];
};

void state_encode(const struct run_state *state, uint8_t out[STATE_BYTES]);
/* 0, or -EBADMSG (a block being rewritten, or damaged). */
MUSTCHECK int state_decode(const uint8_t block[STATE_BYTES], struct run_state *ret_state);

/* The state of a run that has not started: queued, its steps pending. For whoever makes RUN_DIR. */
void state_init(struct run_state *state, const struct plan *plan);
/* Opens RUN_DIR/state for writing, making it (preallocated) where there is none. A descriptor or a
 * negative errno. */
MUSTCHECK int state_open(int run_dir_fd);
/* Rewrites the block, with the next seq. 0 or a negative errno. */
MUSTCHECK int state_write(int state_fd, struct run_state *state);
/* Reads RUN_DIR/state, again a few times when it meets a half-written block. 0, -ENOENT, -EBADMSG
 * or another negative errno. */
MUSTCHECK int state_read(int run_dir_fd, struct run_state *ret_state);
/* /proc/sys/kernel/random/boot_id; zeroes when it cannot be read. */
void state_boot_id(uint8_t ret_id[16]);

const char *run_status_name(enum run_status status);
const char *step_status_name(enum step_status status);
const char *run_reason_name(enum run_reason reason); /* NULL for REASON_NONE */
bool run_status_is_final(enum run_status status);
bool step_status_is_final(enum step_status status);
/* The status of that name; -EINVAL for what is none. */
MUSTCHECK int run_status_parse(const char *name, size_t len, enum run_status *ret_status);
MUSTCHECK int run_reason_parse(const char *name, size_t len, enum run_reason *ret_reason);

#endif
