/*
 * Typed inputs: what a value may be, and the one validator that every entry path uses (socket,
 * schedule, rerun, and a step's output that becomes the next step's input). Pure: no allocation
 * beyond PCRE2's, no files but for `path`.
 *
 * Types (DESIGN of the whitelist, agent/README.md):
 *	string slug int bool enum path host url duration secret
 * Refused unless a type allows it: NUL, newline, other control bytes, invalid UTF-8, a leading '-',
 * the empty value.
 */
#ifndef OPS_AGENT_CONFIG_INPUT_H
#define OPS_AGENT_CONFIG_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

#define INPUT_MAX_VALUE_BYTES 16384 /* of any one value, whatever max_length says */
#define INPUT_DEFAULT_LENGTH 1024   /* characters, when max_length says nothing */
#define INPUT_MAX_VALUES 64	    /* of an enum */
#define INPUT_MAX_PATTERN_BYTES 512
/* The program that replaces the dashboard itself is started by its own timer and nothing else: no
 * value and no text of a command may name its path or its unit. */
#define INPUT_UPDATER_NAME "ops-dashboard-updater"
#define INPUT_MAX_SECRET_BYTES 4096
#define INPUT_MIN_SECRET_BYTES 8 /* shorter ones could not be masked without eating the output */

enum input_type {
	INPUT_STRING,
	INPUT_SLUG,
	INPUT_INT,
	INPUT_BOOL,
	INPUT_ENUM,
	INPUT_PATH,
	INPUT_HOST,
	INPUT_URL,
	INPUT_DURATION,
	INPUT_SECRET,
};

struct input_spec {
	char *name;
	enum input_type type;
	bool required;
	char *default_value; /* NULL: none */
	char *title;	     /* NULL: the page shows the name */
	char *description;   /* NULL: none */
	bool has_min, has_max;
	int64_t min, max;    /* int: value; duration: microseconds */
	uint32_t max_length; /* characters; 1024 unless configured */
	char *pattern;	     /* PCRE2, matched against the whole value; NULL: none */
	char **values;	     /* enum */
	size_t n_values;
	char *under;	/* path: the folder it must stay in, symbolic links resolved */
	char **schemes; /* url */
	size_t n_schemes;
	bool allow_dash; /* string, with a pattern: a leading '-' may pass */
};

/* The YAML name of a type, and back. NULL / -EINVAL for what is none. */
const char *input_type_name(enum input_type type);
MUSTCHECK int input_type_parse(const char *name, enum input_type *ret_type);

/* What to check and to pass on for a value as it was typed: a relative `path` is taken as below its
 * folder and gets it in front; everything else is copied. To be freed by the caller. */
MUSTCHECK char *input_complete(const struct input_spec *spec, const char *value, size_t n);

/* Checks the n bytes at value; a path must be absolute. A path that this process may not look at
 * passes: whoever executes it checks again with more rights, by input_check_final(). 0, or
 * -EINVAL with a text for the person who typed it (it does not repeat the input's name, and never
 * the value of a secret). */
MUSTCHECK int input_check(
	const struct input_spec *spec, const char *value, size_t n, struct err *err);

/* The same right before the command starts: a path that cannot be looked at is refused. */
MUSTCHECK int input_check_final(
	const struct input_spec *spec, const char *value, size_t n, struct err *err);

/* The same without a look at the file system: for what is written in the whitelist, where a path
 * may name what will only exist later. */
MUSTCHECK int input_check_text(
	const struct input_spec *spec, const char *value, size_t n, struct err *err);

/* Whether a pattern compiles, and why not. */
MUSTCHECK int input_pattern_check(const char *pattern, struct err *err);

/* Frees what the spec's pointers hold, not the spec. */
void input_spec_fini(struct input_spec *spec);

#endif
