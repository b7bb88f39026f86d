/*
 * The plan: everything a runner needs to execute one run. Built by the monitor from its own copy of
 * the whitelist and the request (config/planner.h), handed to the runner as a sealed memfd on its
 * standard input in the encoding of plan_encode(), never written to disk (it may hold secrets).
 *
 * A command run is a plan of one step. Steps are in the order main, on_failure, finally, each in
 * the order of the file; `needs` are indices into this order, and always of steps before. An
 * approval has neither executable nor argv, user nor cwd.
 */
#ifndef OPS_AGENT_RUN_PLAN_H
#define OPS_AGENT_RUN_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/config/input.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/json.h"
#include "core/base/uuid.h"

#define PLAN_MAX_STEPS 64 /* fits the state block, run/state.h */
#define PLAN_MAX_ARGS 128 /* of one step */
#define PLAN_MAX_BYTES (1u << 20)
#define PLAN_MAX_OUTPUTS 32 /* names of one step */
#define PLAN_NO_STEP UINT16_MAX
#define PLAN_MAX_RETRIES 100
#define PLAN_MAX_CODES 256 /* exit codes of one list */

enum plan_phase {
	PLAN_MAIN,
	PLAN_ON_FAILURE,
	PLAN_FINALLY,
};

/* Where a text comes from when the step starts. The text is prefix + the value of the reference. */
enum plan_ref {
	PLAN_LITERAL,	  /* prefix alone */
	PLAN_INPUT,	  /* the step's input number `index` */
	PLAN_STEP_OUTPUT, /* output `name` of step `index` (only in inputs' values and env) */
	PLAN_STEP_STATUS, /* status of step `index` (likewise) */
	PLAN_RUN_ID,
};

struct plan_text {
	char *prefix; /* "--file=" or the whole literal; never NULL */
	enum plan_ref ref;
	uint16_t index;
	char *name; /* PLAN_STEP_OUTPUT; NULL otherwise */
};

/* One input of a step's command: its spec (the value is checked again when the step starts, since
 * it may come from an earlier step's output) and where the value comes from. */
struct plan_input {
	struct input_spec spec;
	struct plan_text value;
	bool present; /* false: optional and not given; arguments that use it are an error at load
		       */
};

struct plan_env {
	char *name;
	struct plan_text value;
	char *secret_path; /* the value is this file's content (root-only), masked; NULL: `value` */
};

struct plan_retry {
	uint16_t limit;	     /* attempts beyond the first; 0: none */
	uint64_t delay_us;   /* before the second attempt */
	uint16_t backoff;    /* each further delay is this many times the one before; at least 1 */
	uint8_t *exit_codes; /* only a failure with one of these is tried again; none: any is */
	size_t n_exit_codes;
};

/* A step that runs nothing and waits for a person. */
struct plan_approve {
	char *prompt;	     /* NULL: the step is no approval */
	uint64_t timeout_us; /* 0: waits for ever */
	bool on_timeout;     /* what silence means: true: yes */
};

/* What one attempt may use at most; 0: no limit. */
struct plan_limits {
	uint64_t memory;      /* bytes, of all its processes together */
	uint32_t cpu_percent; /* 100: one processor */
	uint32_t pids;
};

struct plan_step {
	char *id;    /* unique in the run: "dump", "finally.1" */
	char *uses;  /* command id; empty for an approval */
	char *title; /* of the command, for people */
	enum plan_phase phase;
	uint16_t *needs;
	size_t n_needs;
	bool continue_on_error;
	char *condition; /* of `if` (config/expr.h); NULL: success() */
	struct plan_retry retry;
	struct plan_approve approve;

	struct plan_input *inputs;
	size_t n_inputs;
	char *executable; /* absolute, symbolic links resolved at load */
	struct plan_text *argv;
	size_t n_argv;
	struct plan_env *env;
	size_t n_env;
	struct plan_text stdin_text; /* prefix NULL: standard input is /dev/null */

	char *user; /* account to run as */
	char *cwd;
	uint64_t timeout_us;	/* 0: none */
	uint64_t kill_after_us; /* between SIGTERM and SIGKILL */
	uint8_t *success_codes;
	size_t n_success_codes;
	char **outputs; /* names that may be set in $OPS_OUTPUT */
	size_t n_outputs;
	bool leave_children;
	bool new_privileges;
	struct plan_limits limits;
};

struct plan_run_input {
	char *name;
	char *value; /* as given; secrets as "***" */
	bool secret;
};

struct plan {
	struct uuid id;
	uint64_t number; /* the agent's persistent counter: #1482 */
	bool is_flow;
	char *name; /* command or flow id */
	char *title;
	char *host;
	char *actor;
	char *trigger;
	char *config_digest; /* hex */
	uint64_t created_us;
	uint64_t timeout_us;	     /* of the whole run; 0: none */
	uint64_t max_output;	     /* bytes of stdout and stderr together; 0: no limit */
	char *default_user_override; /* NULL, or the one account of an unprivileged agent */
	struct plan_run_input *inputs;
	size_t n_inputs;
	struct plan_step *steps;
	size_t n_steps;
};

/* Appends the encoding to buf (whose maximum should be PLAN_MAX_BYTES). 0 or -EMSGSIZE, -ENOMEM. */
MUSTCHECK int plan_encode(const struct plan *plan, struct buf *buf);
/* The plan in these bytes, or NULL with err set (-EBADMSG: not what plan_encode() writes). */
struct plan *plan_decode(const uint8_t *data, size_t n, struct err *err);
/* Frees all, wiping texts that may hold secrets. NULL is fine. */
void plan_free(struct plan *plan);

/* Appends what a text of this step is as far as it is known before the run, for people (dry run,
 * run.created): outputs and states of steps stand as "${steps.ID.outputs.NAME}", secrets as "***".
 */
void plan_text_show(const struct plan *plan, const struct plan_step *step,
	const struct plan_text *text, struct buf *out);
/* The member "approve" of a step's document: {prompt, timeout_us, on_timeout}, or null. */
void plan_approve_write_json(const struct plan_approve *approve, struct json *json);
/* Frees what the text's pointers hold, wiping it first. */
void plan_text_fini(struct plan_text *text);

#endif
