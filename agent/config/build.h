/* From the raw files to the catalogue: meaning, ranges, references, accounts, executables. Internal
 * to agent/config. Errors are added to the list; what a function returns is then incomplete, but
 * safe to free, and building goes on so that a person sees all that is wrong at once. */
#ifndef OPS_AGENT_CONFIG_BUILD_H
#define OPS_AGENT_CONFIG_BUILD_H

#include "agent/config/catalog.h"
#include "agent/config/raw.h"

#define BUILD_MAX_TITLE 120
#define BUILD_MAX_DESCRIPTION 1000
#define BUILD_MAX_ID 64
#define BUILD_MAX_NAME 48

struct build_defaults {
	uint64_t timeout_us, kill_after_us, max_output;
	const char *user;		/* of commands without one */
	const struct raw_text *user_at; /* where it was said; NULL: not in the file */
	bool user_is_bad;		/* and has been complained about */
};

struct build {
	const char *file; /* being built, for messages */
	struct config_errors *errors;
	const struct catalog_opts *opts; /* NULL: look at neither executables nor accounts */
	struct catalog *catalog;
	bool knows_references; /* the commands and flows that are named have been looked up before
				*/
	struct build_defaults defaults;
};

/* ---- build_scalar.c: each checks one scalar; text NULL gives the fallback ---- */

void build_error(struct build *b, const struct raw_text *at, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
void build_error_at(struct build *b, const struct raw_pos *at, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

bool build_bool(struct build *b, const struct raw_text *text, const char *name, bool fallback);
int64_t build_int(struct build *b, const struct raw_text *text, const char *name, int64_t min,
	int64_t max, int64_t fallback);
uint64_t build_duration(
	struct build *b, const struct raw_text *text, const char *name, uint64_t fallback_us);
uint64_t build_size(
	struct build *b, const struct raw_text *text, const char *name, uint64_t fallback);
/* A share such as 200%, in percent; text NULL: 0. */
uint32_t build_percent(struct build *b, const struct raw_text *text, const char *name);
/* One of the n names; returns its index. */
size_t build_choice(struct build *b, const struct raw_text *text, const char *name,
	const char *const *names, size_t n, size_t fallback);
/* A copy of a text of 1..max_bytes without control characters (newlines and tabs when multiline),
 * or NULL. */
char *build_text(struct build *b, const struct raw_text *text, const char *name, size_t max_bytes,
	bool multiline);
/* An absolute path without "." and ".." and trailing slashes, or NULL. */
char *build_path(struct build *b, const struct raw_text *text, const char *name);
/* a-z, 0-9, '_' and '-', beginning with a letter or digit; dotted: also '.' between such parts. */
bool build_name_is_valid(struct build *b, const struct raw_text *text, const char *what,
	bool dotted, size_t max_bytes);
void build_version(struct build *b, const struct raw_text *version);

/* ---- build_input.c ---- */

void build_inputs(struct build *b, const struct raw_inputs *raw, struct input_spec **ret_inputs,
	size_t *ret_n);
/* Index of the named input, or SIZE_MAX after an error at `at`. */
size_t build_find_input(struct build *b, const struct raw_text *at, const char *name,
	const struct input_spec *inputs, size_t n);

/* ---- build_command.c, build_exec.c ---- */

void build_commands(struct build *b, const struct raw_commands *raw);
/* The name of an environment variable that a command may set. */
bool build_env_name_is_valid(struct build *b, const struct raw_text *text);
/* The worker has root's view of who may own what, without root's right to look everywhere. What it
 * cannot see it leaves to the monitor, which executes. With opts only. */
bool build_is_onlooker(const struct build *b);
/* Sets executable and argv, env and stdin of a command whose inputs are built. */
void build_exec(struct build *b, const struct raw_command *raw, struct catalog_command *command);

/* ---- build_shell.c ---- */

/* Whether this is the name of a shell, by itself or at the end of a path. */
bool build_is_shell(const char *path);
/* Refuses what would give an input to a shell or an interpreter. argv and inputs are built. */
void build_check_shells(
	struct build *b, const struct raw_texts *raw, const struct catalog_command *command);

/* ---- build_flow.c, build_steps.c ---- */

void build_flow(struct build *b, const struct raw_flow *raw, struct catalog_flow *flow);
void build_steps(struct build *b, const struct raw_flow *raw, struct catalog_flow *flow);

/* ---- build_status.c ---- */

void build_status(struct build *b, const struct raw_status *raw);

#endif
