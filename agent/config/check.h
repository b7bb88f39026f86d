/* `ops-agent check [DIR]` and `ops-agent explain ID [name=value…]`: what a person runs before a
 * reload. They return the process's exit code. */
#ifndef OPS_AGENT_CONFIG_CHECK_H
#define OPS_AGENT_CONFIG_CHECK_H

#include <stdio.h>

#include "agent/config/catalog.h"

#define CHECK_EXIT_OK 0
#define CHECK_EXIT_USAGE 64
#define CHECK_EXIT_BAD_INPUT 65
#define CHECK_EXIT_CONFIG 78

/* Prints every argv shape that can ever be executed, the digest of these shapes (which titles,
 * times and comments do not change) and that of the files to out, or every error to err_out
 * (CHECK_EXIT_CONFIG). */
int check_run(const char *dir, const struct catalog_opts *opts, FILE *out, FILE *err_out);
/* Prints what would be executed with these inputs (argv, user, folder, names of the environment,
 * timeout), or what is wrong with which of them (CHECK_EXIT_BAD_INPUT). id is looked up among flows
 * first, then commands; args are n "name=value" texts. */
int check_explain(const char *dir, const struct catalog_opts *opts, const char *id,
	char *const *args, size_t n_args, FILE *out, FILE *err_out);

#endif
