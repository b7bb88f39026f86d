/* ops-agent: serves clients, executes one run, or checks the configuration (agent/README.md). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/check.h"
#include "agent/monitor/confine.h"
#include "agent/monitor/monitor.h"
#include "agent/monitor/seal.h"
#include "agent/monitor/settings.h"
#include "agent/monitor/title.h"
#include "agent/probes/probes.h"
#include "agent/relay/relay.h"
#include "agent/runner/runner.h"
#include "agent/worker/worker.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/yaml/suggest.h"

#define EXIT_USAGE 64

static const char usage_text[] =
	"usage: ops-agent [COMMAND]\n"
	"\n"
	"  serve                        answer clients and run what they start; also without a "
	"COMMAND\n"
	"  check [DIR]                  print every argument vector the files allow, or every "
	"mistake\n"
	"  explain ID [NAME=VALUE...]   print what one start would execute, or what is wrong with "
	"it\n"
	"  verify [HEAD]                check the ledger, every journal and every seal, and that "
	"the "
	"ledger\n"
	"                               went through HEAD, which an earlier verify printed\n"
	"  runner DIR                   execute the plan on standard input; started by serve\n"
	"  --version, --help\n"
	"\n"
	"DIR is OPS_AGENT_CONFIG_DIR, or /etc/ops-agent. See ops-agent(8), commands.yml(5), "
	"flows(5).\n";

static int usage(const char *what)
{
	fprintf(stderr, "ops-agent: %s; try 'ops-agent --help'\n", what);
	return EXIT_USAGE;
}

static int unknown(const char *verb)
{
	static const char *const verbs[] = {"serve", "check", "explain", "verify", "runner"};
	char what[160], text[SUGGEST_TEXT_BYTES];
	struct suggest near;

	suggest_init(&near, verb, strlen(verb));
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (strcmp(verbs[i], verb) == 0)
			return usage("too few or too many arguments");
		suggest_offer(&near, verbs[i]);
	}
	snprintf(what, sizeof(what), "there is no command '%.60s'%s", verb,
		suggest_text(&near, text));
	return usage(what);
}

static const char *config_dir(void)
{
	const char *dir = getenv("OPS_AGENT_CONFIG_DIR");

	return dir != NULL && dir[0] != '\0' ? dir : SETTINGS_CONFIG_DIR;
}

static int catalog_opts(struct catalog_opts *ret_opts, char ret_name[64])
{
	struct err err = {0};

	if (catalog_opts_from_env(ret_opts, ret_name, &err) == 0)
		return 0;
	fprintf(stderr, "ops-agent: %s\n", err.msg);
	return CHECK_EXIT_CONFIG;
}

static int check(int argc, char **argv)
{
	struct catalog_opts opts;
	char name[64];
	char *dir;
	int rc;

	if (argc > 3)
		return usage("check takes one folder");
	rc = catalog_opts(&opts, name);
	if (rc != 0)
		return rc;
	dir = settings_absolute(argc == 3 ? argv[2] : config_dir());
	rc = check_run(dir, &opts, stdout, stderr);
	free(dir);
	return rc;
}

static int explain(int argc, char **argv)
{
	struct catalog_opts opts;
	char name[64];
	char *dir;
	int rc;

	if (argc < 3)
		return usage("explain needs the id of a command or flow");
	rc = catalog_opts(&opts, name);
	if (rc != 0)
		return rc;
	dir = settings_absolute(config_dir());
	rc = check_explain(dir, &opts, argv[2], argv + 3, (size_t)(argc - 3), stdout, stderr);
	free(dir);
	return rc;
}

static int setup_log(void)
{
	const char *level_text = getenv("LOG_LEVEL"), *format_text = getenv("LOG_FORMAT");
	enum log_level level = LOG_LEVEL_INFO;
	enum log_format format = LOG_FORMAT_TEXT;

	if (level_text != NULL && log_parse_level(level_text, &level) != 0) {
		fputs("ops-agent: LOG_LEVEL is one of debug info warn error\n", stderr);
		return -1;
	}
	if (format_text != NULL && log_parse_format(format_text, &format) != 0) {
		fputs("ops-agent: LOG_FORMAT is text or json\n", stderr);
		return -1;
	}
	log_setup(level, format);
	return 0;
}

/* Forked processes get names of their own, for which there must be room behind the arguments. */
static int serve(int argc, char **argv)
{
	if (!title_is_reserved(argc, argv))
		title_reserve("serve");
	title_init(argc, argv);
	return monitor_main(
		&(struct monitor_programs){.worker = worker_main, .runner = runner_main});
}

/* As a service they have not what the monitor has given up already. */
static int probes(const char *parent_pid)
{
	struct err err = {0};

	if (parent_pid == NULL && confine_enter(NULL, 0, &err) != 0) {
		log_error(LOG_EV("probes.not_started"), LOG_STR("error", err.msg));
		return PROBES_EXIT_CONFIG;
	}
	return probes_main(parent_pid);
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "serve";

	if (wants_help(argc, argv)) {
		fputs(usage_text, stdout);
		return 0;
	}
	if (setup_log() != 0)
		return MONITOR_EXIT_CONFIG;
	if (strcmp(verb, "serve") == 0 && (argc <= 2 || title_is_reserved(argc, argv)))
		return serve(argc, argv);
	if (strcmp(verb, "check") == 0)
		return check(argc, argv);
	if (strcmp(verb, "explain") == 0)
		return explain(argc, argv);
	if (strcmp(verb, "verify") == 0 && argc <= 3)
		return monitor_verify(argc == 3 ? argv[2] : NULL);
	if (strcmp(verb, "runner") == 0 && argc == 3)
		return runner_main(argv[2], -1);
	if (strcmp(verb, "seal") == 0 && argc == 3)
		return seal_main(argv[2]);
	if (strcmp(verb, "probes") == 0 && argc <= 3)
		return probes(argc == 3 ? argv[2] : NULL);
	if (strcmp(verb, "docker-relay") == 0 && argc == 4)
		return relay_main(argv[2], argv[3]);
	if (strcmp(verb, "--version") == 0 && argc == 2) {
		puts("ops-agent " OPS_VERSION);
		return 0;
	}
	return unknown(verb);
}
