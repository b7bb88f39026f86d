/*
 * NOTIFY_FILE: who is told what, and who may start what from outside. YAML, read strictly: every
 * mistake is told as file:line:col, unknown keys with what was probably meant. Secrets are never in
 * the file itself but in files that it names, and never leave this struct but for what they are
 * for.
 */
#ifndef OPS_CORE_APP_NOTIFY_NOTIFY_CONF_H
#define OPS_CORE_APP_NOTIFY_NOTIFY_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/yaml/errors.h"

#define NOTIFY_MAX_FILE (256u << 10)
#define NOTIFY_MAX_SECRET 4096
#define NOTIFY_MIN_KEY 16 /* bytes of a secret that signs */
#define NOTIFY_MAX_TARGETS 16
#define NOTIFY_MAX_RULES 32
#define NOTIFY_MAX_HOOKS 32
#define NOTIFY_MAX_LIST 32 /* patterns, recipients, inputs … of one */
#define NOTIFY_MAX_NAME 40
#define NOTIFY_MAX_QUIET_US (UINT64_C(24) * 3600 * 1000000)

enum notify_on {
	NOTIFY_RUN_FAILED,
	NOTIFY_RUN_RECOVERED,
	NOTIFY_APPROVAL_WAITING,
	NOTIFY_AGENT_LOST,
	NOTIFY_AGENT_BACK,
	NOTIFY_STATUS_BAD,
	NOTIFY_STATUS_WARN,
	NOTIFY_STATUS_UNKNOWN,
	NOTIFY_STATUS_OK,
	NOTIFY_TEST, /* not of a rule */
};
#define NOTIFY_N_ON 9

enum notify_kind {
	NOTIFY_NTFY,
	NOTIFY_WEBHOOK,
	NOTIFY_MAIL
};
enum notify_language {
	NOTIFY_EN,
	NOTIFY_NL
};

struct notify_list {
	size_t n;
	char *items[NOTIFY_MAX_LIST];
};

struct notify_target {
	char *name;
	enum notify_kind kind;
	char *url;	   /* ntfy, webhook; of a mail that of the SMTP server */
	char *secret;	   /* ntfy: token, webhook: key, mail: password; NULL: none */
	char *ca_file;	   /* NULL: the system's */
	char *topic;	   /* ntfy */
	unsigned priority; /* ntfy: 1..5 */
	char *from, *user; /* mail; user may be NULL */
	struct notify_list to;
	bool plain; /* mail: without TLS */
};

struct notify_rule {
	uint32_t on; /* bits: 1 << enum notify_on */
	/* Patterns as fnmatch(3) knows them; empty: all. */
	struct notify_list hosts, runs, sections, items;
	size_t n_targets;
	size_t targets[NOTIFY_MAX_TARGETS]; /* indices */
	uint64_t quiet_us;
};

struct notify_input {
	char *name;
	char *pointer; /* RFC 6901; NULL: value is fixed */
	char *value; /* fixed, or what is taken when the pointer finds nothing; NULL: must be there
		      */
};

struct notify_hook {
	char *name, *secret, *flow;
	char *host;			 /* NULL: the only one that has the flow */
	struct notify_list events, refs; /* patterns; empty: all */
	size_t n_inputs;
	struct notify_input inputs[NOTIFY_MAX_LIST];
	unsigned rate_limit; /* calls in rate_us */
	uint64_t rate_us;
};

struct notify_conf {
	enum notify_language language;
	uint64_t agent_grace_us, look_every_us;
	size_t n_targets, n_rules, n_hooks;
	struct notify_target targets[NOTIFY_MAX_TARGETS];
	struct notify_rule rules[NOTIFY_MAX_RULES];
	struct notify_hook hooks[NOTIFY_MAX_HOOKS];
};

struct agents_conf;

/* Reads the file and the secrets it names; blocking. NULL when errors has lines. agents: whose
 * names rules may speak of; NULL, or one without a name: any. */
struct notify_conf *notify_conf_load(
	const char *path, const struct agents_conf *agents, struct config_errors *errors);
/* Of these bytes, as if they stood in that file. For tests. */
struct notify_conf *notify_conf_parse(const char *path, const void *data, size_t n,
	const struct agents_conf *agents, struct config_errors *errors);
/* Wipes the secrets. NULL is fine. */
void notify_conf_free(struct notify_conf *conf);

/* Whether text matches one of the patterns, or there are none. */
bool notify_list_matches(const struct notify_list *list, const char *text);
/* The target or hook of that name, or NULL. */
const struct notify_target *notify_conf_target(const struct notify_conf *conf, const char *name);
const struct notify_hook *notify_conf_hook(const struct notify_conf *conf, const char *name);

const char *notify_on_name(enum notify_on on);	     /* run.failed … test */
const char *notify_kind_name(enum notify_kind kind); /* ntfy webhook mail */

#endif
