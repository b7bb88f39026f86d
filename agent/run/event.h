/*
 * The JSON of event records. Each function appends one object to buf, whose maximum should be
 * RECORD_MAX_PAYLOAD; what does not fit is abridged and says so, an event is never lost. Members
 * that do not apply are null.
 *
 *	run.created	{event, id, number, host, kind, name, title, inputs{}, actor, trigger,
 *			 config_digest, created_us, timeout_us, max_output, steps:[{index, id, uses,
 *			 title, phase, needs:[ids], argv:[…], user, cwd}], abridged}
 *			argv holds references, "${steps.x.outputs.y}", where the value is not known
 *			yet, and is null in the record of a run whose runner never started
 *	step.started	{event, step_id, attempt, argv, user, cwd}
 *	step.finished	{event, step_id, attempt, status, reason, exit_code, signal, message,
 *			 outputs{}, outputs_omitted}
 *	run.cancel_requested {event, actor, reason, kill}	kill: the second one, which ends
 *			 `finally` as well
 *	step.retrying	{event, step_id, attempt, delay_us, reason}	attempt: the one that failed
 *	step.waiting	{event, step_id, prompt, timeout_us, on_timeout:"reject|approve"}
 *	step.approved	{event, step_id, approve, actor, comment}	approve: false when it was
 *			 refused
 *	step.timed_out, run.timed_out	{event, step_id, attempt, timeout_us} / {event, timeout_us}
 *	children.killed	{event, step_id, attempt, count, names[], left}	left: could not be ended
 *	output.truncated {event, step_id, attempt, bytes, reason:"max_output|disk_full"}
 *	run.disk_full, run.disk_ok	{event, message} / {event}
 *	run.finished	{event, status, reason, exit_code, signal, bytes, lines, records, truncated,
 *			 digest, message, cut_bytes}	always in this order; records: of those
 *			 before it; cut_bytes: of a torn tail that was cut off
 */
#ifndef OPS_AGENT_RUN_EVENT_H
#define OPS_AGENT_RUN_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/run/outputs.h"
#include "agent/run/plan.h"
#include "agent/run/state.h"
#include "core/base/buf.h"
#include "proto/record.h"

#define EVENT_MAX_NAMES 16 /* processes named in children.killed */

struct event_step {
	const char *step_id;
	uint16_t attempt;
};

struct event_step_finished {
	struct event_step step;
	enum step_status status;
	enum run_reason reason;
	int exit_code;		       /* -1: none */
	int signal;		       /* 0: none */
	const char *message;	       /* NULL: none */
	const struct outputs *outputs; /* NULL: none; only this step's and attempt's are written */
	uint16_t step_index;
};

struct event_killed {
	struct event_step step;
	unsigned count, left;
	const char *const *names;
	size_t n_names;
};

struct event_run_finished {
	enum run_status status;
	enum run_reason reason;
	int exit_code, signal;
	uint64_t bytes, lines, records;
	bool truncated;
	uint8_t digest[32];
	const char *message; /* NULL: none */
	uint64_t cut_bytes;
};

void event_run_created(struct buf *buf, const struct plan *plan);
/* argv may be NULL when it could not be resolved. */
void event_step_started(struct buf *buf, const struct event_step *step,
	const struct plan_step *plan, const char *const *argv, size_t n_argv);
void event_step_finished(struct buf *buf, const struct event_step_finished *ev);
void event_step_retrying(
	struct buf *buf, const struct event_step *step, uint64_t delay_us, enum run_reason reason);
void event_step_waiting(struct buf *buf, const char *step_id, const struct plan_approve *approve);
void event_step_approved(
	struct buf *buf, const char *step_id, bool approve, const char *actor, const char *comment);
void event_cancel_requested(struct buf *buf, const char *actor, const char *reason, bool kill);
void event_step_timed_out(struct buf *buf, const struct event_step *step, uint64_t timeout_us);
void event_run_timed_out(struct buf *buf, uint64_t timeout_us);
void event_children_killed(struct buf *buf, const struct event_killed *ev);
void event_output_truncated(
	struct buf *buf, const struct event_step *step, uint64_t bytes, const char *reason);
void event_disk_full(struct buf *buf, const char *message);
void event_disk_ok(struct buf *buf);
void event_run_finished(struct buf *buf, const struct event_run_finished *ev);

/* Whether this is a run.finished record: the journal's last. Compares bytes, parses no JSON. */
bool event_is_run_finished(const struct record *rec);
/* Reads back status, reason, exit_code, signal and digest from a record that
 * event_run_finished() wrote. 0, or -EBADMSG for any other bytes. */
MUSTCHECK int event_read_run_finished(const struct record *rec, struct event_run_finished *ret_ev);

#endif
