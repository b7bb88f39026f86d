/*
 * Run documents: the JSON that clients see, composed on demand from meta, state and outputs of a
 * RUN_DIR. Reads small files, blocking.
 *
 *	{id, number, host, kind:"command|flow", name, title, status, reason, exit_code, signal,
 *	 inputs{}, actor, trigger, config_digest, created_us, started_us, finished_us, bytes, lines,
 *	 size, truncated,
 *	 steps:[{index, id, uses, title, phase:"main|on_failure|finally", needs:[index…], status,
 *	         reason, attempt, exit_code, signal, started_us, finished_us, offset, outputs{},
 *	         approve}]}
 *
 * What does not apply (yet) is null; attempt is 0 before a step has started.
 */
#ifndef OPS_AGENT_WORKER_DOCUMENT_H
#define OPS_AGENT_WORKER_DOCUMENT_H

#include "agent/run/outputs.h"
#include "agent/run/plan.h"
#include "agent/run/state.h"
#include "core/base/json.h"

#define DOCUMENT_MAX_BYTES (512u << 10)

/* Writes the document of a run from its parts. */
void document_write(struct json *json, const struct plan *meta, const struct run_state *state,
	const struct outputs *outputs);

/* Reads the parts of the RUN_DIR and writes the document; nothing is written on failure. */
MUSTCHECK int document_compose(int run_dir_fd, struct json *json, struct err *err);

#endif
