/* The command line of opsctl: what there is, what was typed, and help. */
#ifndef OPS_AGENT_CTL_CLI_H
#define OPS_AGENT_CTL_CLI_H

#include <stdbool.h>

#define CLI_DEFAULT_LIMIT 25
#define CLI_MAX_LIMIT 200
#define CLI_DEFAULT_GRACE_S 3600
#define CLI_MAX_GRACE_S (7u * 86400u)

enum cli_verb {
	CLI_LIST,
	CLI_RUN,
	CLI_LOGS,
	CLI_RUNS,
	CLI_SHOW,
	CLI_CANCEL,
	CLI_APPROVE,
	CLI_STATUS,
	CLI_RELOAD,
	CLI_ROTATE_SECRET,
};

struct cli {
	enum cli_verb verb;
	char **args; /* behind the verb; how many there may be has been checked */
	int n_args;
	bool json, follow, dry_run, reject, names, active, now;
	unsigned grace_s;
	const char *comment; /* NULL: none was given */
	unsigned limit;
};

/* Reads the command line (its options may stand anywhere; argv is reordered). True: go on. False:
 * all is said, help on standard output or what is wrong on standard error, and *ret_exit is the
 * process's exit code. */
bool cli_parse(int argc, char **argv, struct cli *ret_cli, int *ret_exit);

#endif
