/*
 * The whitelist in memory: what `commands.yml`, `flows/` and `status.yml` of one folder allow.
 * Loaded all or nothing, immutable afterwards: a reload makes a new one and drops the old one.
 * Worker and monitor each load their own copy; equal digests mean equal catalogues.
 *
 * Everything in it has been checked: names and references resolve, defaults and literal values pass
 * their input's type, executables are absolute, resolved and owned by who may own them.
 */
#ifndef OPS_AGENT_CONFIG_CATALOG_H
#define OPS_AGENT_CONFIG_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/config/cron.h"
#include "agent/config/input.h"
#include "agent/config/status.h"
#include "agent/run/plan.h"
#include "core/yaml/errors.h"

#define CATALOG_MAX_FILE_BYTES (256u << 10)
#define CATALOG_MAX_COMMANDS 512
#define CATALOG_MAX_FLOWS 256
#define CATALOG_MAX_INPUTS 64 /* of one command or flow; MSG_MAX_INPUTS */
#define CATALOG_MAX_ENV 64
#define CATALOG_MAX_GROUPS 64
#define CATALOG_MAX_SCHEDULES 16 /* of one flow */
#define CATALOG_MAX_RATE 1000
#define CATALOG_MAX_RATE_PER_US (UINT64_C(24) * 3600 * 1000000)
#define CATALOG_MAX_JSON_BYTES ((1u << 20) - 4096) /* the document fits one frame */
#define CATALOG_DIGEST_TEXT_BYTES 65

/* Used where commands.yml says nothing. */
#define CATALOG_DEFAULT_TIMEOUT_US UINT64_C(3600000000)
#define CATALOG_DEFAULT_KILL_AFTER_US UINT64_C(10000000)
#define CATALOG_DEFAULT_MAX_OUTPUT (UINT64_C(256) << 20)
#define CATALOG_DEFAULT_RUN_USER "ops-run"

enum catalog_danger {
	CATALOG_DANGER_LOW,
	CATALOG_DANGER_HIGH,
};

/* At most so many runs at a time that use a command of the group; more wait, up to `queue`. */
struct catalog_group {
	char *name;
	unsigned max_concurrent, queue;
};

/* What becomes of a flow's start while another run of its concurrency group goes on. */
enum catalog_conflict {
	CATALOG_CONFLICT_SKIP,
	CATALOG_CONFLICT_QUEUE,
	CATALOG_CONFLICT_CANCEL_RUNNING,
};

struct catalog_schedule {
	struct cron cron;
	char *text;	/* as written */
	char *timezone; /* "UTC" where none is given */
	uint64_t catch_up_us;
};

struct catalog_env {
	char *name;
	struct plan_text value; /* PLAN_INPUT's index counts the command's inputs */
	char *secret_path;	/* NULL: `value`; else what this file holds when the step starts */
};

struct catalog_command {
	char *id;
	char *title;
	char *description; /* NULL: none; so is icon */
	char *icon;
	char *executable;	/* symbolic links resolved */
	struct plan_text *argv; /* argv[0] as configured */
	size_t n_argv;
	struct catalog_env *env;
	size_t n_env;
	struct plan_text stdin_text; /* prefix NULL: /dev/null */
	struct input_spec *inputs;
	size_t n_inputs;
	char **outputs;
	size_t n_outputs;
	uint8_t *success_codes; /* never empty */
	size_t n_success_codes;
	char *user; /* resolved: own, defaults', run_user, or the override */
	char *cwd;
	uint64_t timeout_us; /* 0: none */
	uint64_t kill_after_us;
	uint64_t max_output; /* bytes; 0: no limit */
	enum catalog_danger danger;
	const struct catalog_group *group; /* NULL: none */
	unsigned rate_limit;		   /* starts in rate_per_us; 0: no limit */
	uint64_t rate_per_us;
	bool confirm;
	bool leave_children;
	bool new_privileges;
	struct plan_limits limits;
};

struct catalog_step {
	char *id;			       /* "dump", "finally.1" */
	const struct catalog_command *command; /* NULL: an approval */
	enum plan_phase phase;
	uint16_t *needs; /* indices into the flow's steps */
	size_t n_needs;
	bool continue_on_error;
	char *condition; /* NULL: success() */
	struct plan_retry retry;
	struct plan_approve approve; /* prompt NULL: it runs a command */
	/* One per input of the command. prefix NULL: the command's default. PLAN_INPUT's index
	 * counts the flow's inputs, that of PLAN_STEP_* the flow's steps. */
	struct plan_text *values;
};

struct catalog_flow {
	char *id;
	char *title;
	char *description; /* NULL: none; so is icon */
	char *icon;
	struct input_spec *inputs;
	size_t n_inputs;
	struct catalog_step *steps; /* main, then on_failure, then finally */
	size_t n_steps;
	uint64_t timeout_us;	    /* 0: none */
	uint64_t max_output;	    /* the largest of its commands; 0: no limit */
	enum catalog_danger danger; /* the highest of its commands */
	bool confirm;
	char *concurrency_group; /* NULL: none */
	enum catalog_conflict on_conflict;
	struct catalog_schedule *schedules;
	size_t n_schedules;
};

struct catalog {
	char digest[CATALOG_DIGEST_TEXT_BYTES]; /* hex SHA-256 over names and bytes of all files
						   read */
	struct catalog_command *commands;	/* in the order of the file; never empty */
	size_t n_commands;
	struct catalog_group *groups;
	size_t n_groups;
	struct catalog_flow *flows; /* by file name */
	size_t n_flows;
	bool has_status;	      /* there is a status.yml, and it is valid */
	struct status_config *status; /* NULL: there is no status.yml */
	char *status_text;	      /* and its bytes, for status_config_load(); NULL likewise */
	size_t status_text_len;
	uint64_t status_modified_us; /* of the file; unix time */
	char *override_user;	     /* opts.override_user */
};

struct catalog_opts {
	/* Config files, folders above them and executables must belong to root or to this uid (the
	 * agent's own; 0 when it is root). */
	uid_t trusted_uid;
	/* Account of commands without `user:` when defaults have none either; NULL: ops-run. */
	const char *run_user;
	/* Not NULL: every command runs as this account whatever `user:` says, and accounts named in
	 * the files need not exist (an agent of an ordinary user, or of a developer). */
	const char *override_user;
	/* Accounts no command may run as (worker, probes, Docker relay); NULL entries are skipped.
	 */
	const char *reserved_users[3];
};

/* Fills opts for this process from OPS_AGENT_USER and OPS_AGENT_RUN_USER: started by an ordinary
 * user, everything runs as that user; as root with both naming the same account, everything runs as
 * that account (development); otherwise `user:` counts. ret_name is where the own account's name
 * is kept for as long as opts is used. */
MUSTCHECK int catalog_opts_from_env(
	struct catalog_opts *ret_opts, char ret_name[64], struct err *err);

/* Loads dir. 0 with *ret_catalog set (to be freed by the caller), or -EINVAL with errors filled and
 * *ret_catalog untouched. Blocks on file reads. */
MUSTCHECK int catalog_load(const char *dir, const struct catalog_opts *opts,
	struct catalog **ret_catalog, struct config_errors *errors);
/* The same from memory, for tests and the fuzzer: only commands.yml and at most one flow (NULL:
 * none), without looking at executables and accounts. */
MUSTCHECK int catalog_load_bytes(const void *commands, size_t commands_len, const void *flow,
	size_t flow_len, struct catalog **ret_catalog, struct config_errors *errors);
/* NULL is fine. */
void catalog_free(struct catalog *catalog);

/* By id, compared byte for byte; NULL when there is none. */
const struct catalog_command *catalog_find_command(
	const struct catalog *catalog, const char *id, size_t id_len);
const struct catalog_flow *catalog_find_flow(
	const struct catalog *catalog, const char *id, size_t id_len);
/* By name; NULL when there is none. */
const struct catalog_group *catalog_find_group(const struct catalog *catalog, const char *name);
/* Appends a text of the command as it was written: "--db=${inputs.db}". */
void catalog_show_text(
	const struct catalog_command *command, const struct plan_text *text, struct buf *out);

#endif
