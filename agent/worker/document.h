/*
 * Run documents: the JSON that clients see, composed on demand from meta, state and outputs of a
 * RUN_DIR. Reads small files, blocking.
 *
 *	{id, number, host, kind:"command|flow", name, title, status, reason, exit_code, signal,
 *	 inputs{}, actor, trigger, config_digest, created_us, started_us, finished_us, bytes, lines,
 *	 size, truncated, cancel:{actor, time_us, kill},
 *	 steps:[{index, id, uses, title, phase:"main|on_failure|finally", needs:[index…], status,
 *	         reason, attempt, exit_code, signal, started_us, finished_us, offset, outputs{},
 *	         approve}]}
 *
 * What does not apply (yet) is null; attempt is 0 before a step has started. cancel is who asked
 * the run to end and when, while it has not; kill: at once.
 */
#ifndef OPS_AGENT_WORKER_DOCUMENT_H
#define OPS_AGENT_WORKER_DOCUMENT_H

#include "agent/run/outputs.h"
#include "agent/run/plan.h"
#include "agent/run/state.h"
#include "core/base/json.h"

#define DOCUMENT_MAX_BYTES (512u << 10)
#define DOCUMENT_ACTOR_BYTES 132 /* IMSG_MAX_ACTOR and more */

/* Who asked a run to end; of the host, which shuts down, there is no time. */
struct document_cancel {
	bool asked, kill;
	uint64_t time_us; /* 0: not known */
	char actor[DOCUMENT_ACTOR_BYTES];
};

/* Writes the document of a run from its parts. */
void document_write(struct json *json, const struct plan *meta, const struct run_state *state,
	const struct outputs *outputs, const struct document_cancel *cancel);

/* Reads the parts of the RUN_DIR and writes the document; nothing is written on failure. */
MUSTCHECK int document_compose(int run_dir_fd, struct json *json, struct err *err);

#endif
