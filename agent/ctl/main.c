/*
 * opsctl: the agent's power over SSH. It speaks to the agent's socket directly, so it works with
 * the dashboard and the database down. Exit codes: exitcode.h.
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/ctl/client.h"
#include "agent/ctl/exitcode.h"
#include "agent/ctl/follow.h"
#include "agent/ctl/show.h"
#include "core/base/err.h"

#define DEFAULT_SOCKET "/run/ops-agent/agent.sock"
#define DEFAULT_SECRET "/etc/ops-agent/secret"
#define DEFAULT_LIMIT 25

static const char usage_text[] =
	"usage: opsctl [--json] COMMAND\n"
	"\n"
	"  list                        what may be run\n"
	"  run ID [NAME=VALUE...] [-f] start a command or flow; -f: follow its output to the end\n"
	"      [--dry-run]             only show what would be executed\n"
	"  logs RUN [-f]               the output of a run so far; -f: to its end\n"
	"  runs [--limit N]            the newest runs\n"
	"  show RUN                    one run with its steps\n"
	"  cancel RUN                  end a run; a second time: end its `finally` steps too\n"
	"  approve RUN STEP            answer an approval that a run waits for\n"
	"      [--reject] [--comment TEXT]\n"
	"  status                      whether the agent answers, and what runs\n"
	"  reload                      read the configuration again\n"
	"  --version\n"
	"\n"
	"RUN is a number (1482, #1482) or a UUID. OPS_AGENT_SOCKET and OPS_AGENT_SECRET_PATH say "
	"where\n"
	"the agent and its secret are.\n";

struct ctl {
	const char *socket_path, *secret_path;
	bool json, follow, dry_run, reject;
	const char *comment;
	unsigned limit;
	char actor[32];
	char **args; /* behind the command's name */
	int n_args;
	struct client *client;
};

static int usage_error(const char *what)
{
	if (what != NULL)
		fprintf(stderr, "opsctl: %s\n", what);
	fputs("opsctl: try 'opsctl --help'\n", stderr);
	return EXIT_USAGE_ERROR;
}

static int fail(const struct err *err)
{
	fprintf(stderr, "opsctl: %s\n", err->msg);
	return exitcode_of_error(err->code);
}

static void print_problems(const struct msg_response *reply)
{
	struct msg_problems problems;

	if (msg_problems_decode(reply->fields, reply->fields_len, &problems) != 0)
		return;
	for (uint16_t i = 0; i < problems.n; i++)
		fprintf(stderr, "  %.*s: %.*s\n", (int)problems.items[i].name.len,
			problems.items[i].name.data, (int)problems.items[i].value.len,
			problems.items[i].value.data);
}

static int refused(const struct msg_response *reply)
{
	fprintf(stderr, "opsctl: %.*s\n", (int)reply->message.len, reply->message.data);
	if (reply->status == MSG_INVALID_INPUT)
		print_problems(reply);
	return exitcode_of_status(reply->status);
}

/* Sends one request; EXIT_OK when its status is ok. */
static int call(
	struct ctl *ctl, uint16_t method, const void *fields, int n, struct msg_response *ret_reply)
{
	struct err err = {0};

	if (n < 0)
		return usage_error("the arguments are too long");
	if (ctl->client == NULL &&
		client_open(ctl->socket_path, ctl->secret_path, &ctl->client, &err) != 0)
		return fail(&err);
	if (client_call(ctl->client, method, fields, (size_t)n, ret_reply, &err) != 0)
		return fail(&err);
	return ret_reply->status == MSG_OK ? EXIT_OK : refused(ret_reply);
}

static int nonsense(void)
{
	fputs("opsctl: the agent's answer makes no sense; do opsctl and ops-agent belong "
	      "together?\n",
		stderr);
	return EXIT_SOFTWARE_ERROR;
}

static json_t *parse(struct wire_str json)
{
	return json_loadb(json.data, json.len, 0, NULL);
}

/* Prints a document as it came, or what show makes of it. */
static int print_document(const struct ctl *ctl, struct wire_str json, void (*show)(const json_t *))
{
	json_t *document;

	if (ctl->json) {
		printf("%.*s\n", (int)json.len, json.data);
		return EXIT_OK;
	}
	document = parse(json);
	if (document == NULL)
		return nonsense();
	show(document);
	json_decref(document);
	return EXIT_OK;
}

static const char *run_ref(const char *arg)
{
	return *arg == '#' ? arg + 1 : arg;
}

static int on_sigint_leave(const char *run)
{
	fprintf(stderr,
		"\nopsctl: run #%s goes on. 'opsctl logs %s -f' watches it, 'opsctl cancel %s' "
		"ends it.\n",
		run, run, run);
	return EXIT_INTERRUPTED;
}

static int follow(const struct ctl *ctl, const char *run, bool live)
{
	struct follow_opts opts = {
		.socket_path = ctl->socket_path,
		.secret_path = ctl->secret_path,
		.run = run,
		.live = live,
		.headlines = live && isatty(STDERR_FILENO),
	};
	struct err err = {0};
	int exit_code = EXIT_OK;
	int rc = follow_run(&opts, &exit_code, &err);

	if (rc == -EINTR)
		return on_sigint_leave(run);
	if (rc == -ENOENT) {
		fprintf(stderr, "opsctl: %s\n", err.msg);
		return EXIT_BAD_INPUT;
	}
	if (rc != 0)
		return fail(&err);
	return live ? exit_code : EXIT_OK;
}

static int do_list(struct ctl *ctl)
{
	struct msg_response reply;
	struct msg_document document;
	int rc = call(ctl, MSG_CATALOG, NULL, 0, &reply);

	if (rc != EXIT_OK)
		return rc;
	if (msg_document_decode(reply.fields, reply.fields_len, &document) != 0)
		return nonsense();
	return print_document(ctl, document.json, show_catalog);
}

static bool has_id(const json_t *list, const char *id)
{
	size_t i;
	json_t *entry;

	json_array_foreach(list, i, entry)
	{
		const char *entry_id = json_string_value(json_object_get(entry, "id"));

		if (entry_id != NULL && strcmp(entry_id, id) == 0)
			return true;
	}
	return false;
}

/* A flow when there is one of that name, else a command; the agent says what is wrong with neither.
 */
static int find_kind(struct ctl *ctl, const char *id, uint8_t *ret_kind)
{
	struct msg_response reply;
	struct msg_document document;
	json_t *catalog = NULL;
	int rc = call(ctl, MSG_CATALOG, NULL, 0, &reply);

	if (rc != EXIT_OK)
		return rc;
	if (msg_document_decode(reply.fields, reply.fields_len, &document) == 0)
		catalog = parse(document.json);
	if (catalog == NULL)
		return nonsense();
	*ret_kind =
		has_id(json_object_get(catalog, "flows"), id) ? MSG_KIND_FLOW : MSG_KIND_COMMAND;
	json_decref(catalog);
	return EXIT_OK;
}

static int fill_inputs(const struct ctl *ctl, struct msg_run_start *request)
{
	for (int i = 1; i < ctl->n_args; i++) {
		const char *equals = strchr(ctl->args[i], '=');

		if (equals == NULL || equals == ctl->args[i])
			return usage_error("inputs are given as NAME=VALUE");
		if (request->n_inputs == MSG_MAX_INPUTS)
			return usage_error("too many inputs");
		request->inputs[request->n_inputs++] = (struct msg_pair){
			.name = {ctl->args[i], (uint32_t)(equals - ctl->args[i])},
			.value = wire_str_of(equals + 1),
		};
	}
	return EXIT_OK;
}

/* Prints what was started and, with -f, follows it. */
static int started(struct ctl *ctl, const struct msg_run_start_reply *start)
{
	json_t *run = parse(start->json);
	char number[24];

	if (run == NULL)
		return nonsense();
	snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
		json_integer_value(json_object_get(run, "number")));
	if (ctl->json && !ctl->follow)
		printf("%.*s\n", (int)start->json.len, start->json.data);
	else if (!ctl->follow)
		printf("run #%s started; 'opsctl logs %s -f' watches it\n", number, number);
	json_decref(run);
	return ctl->follow ? follow(ctl, number, true) : EXIT_OK;
}

static int do_run(struct ctl *ctl)
{
	static uint8_t fields[MSG_MAX_START_BYTES];
	struct msg_run_start request = {.flags = ctl->dry_run ? MSG_START_DRY_RUN : 0};
	struct msg_run_start_reply start;
	struct msg_response reply;
	int rc = find_kind(ctl, ctl->args[0], &request.kind);

	if (rc == EXIT_OK)
		rc = fill_inputs(ctl, &request);
	if (rc != EXIT_OK)
		return rc;
	request.id = wire_str_of(ctl->args[0]);
	request.actor = wire_str_of(ctl->actor);
	request.trigger = wire_str_of("manual");
	rc = call(ctl, MSG_RUN_START, fields,
		msg_run_start_encode(&request, fields, sizeof(fields)), &reply);
	if (rc != EXIT_OK)
		return rc;
	if (msg_run_start_reply_decode(reply.fields, reply.fields_len, &start) != 0)
		return nonsense();
	if (ctl->dry_run)
		return print_document(ctl, start.json, show_plan);
	return started(ctl, &start);
}

static int do_logs(struct ctl *ctl)
{
	return follow(ctl, run_ref(ctl->args[0]), ctl->follow);
}

static void show_runs_of(const json_t *document)
{
	show_runs(json_object_get(document, "runs"));
}

static int list_runs(struct ctl *ctl, uint8_t filter)
{
	struct msg_run_list request = {.filter = filter, .limit = (uint16_t)ctl->limit};
	struct msg_run_list_reply list;
	struct msg_response reply;
	uint8_t fields[64];
	int rc = call(ctl, MSG_RUN_LIST, fields,
		msg_run_list_encode(&request, fields, sizeof(fields)), &reply);

	if (rc != EXIT_OK)
		return rc;
	if (msg_run_list_reply_decode(reply.fields, reply.fields_len, &list) != 0)
		return nonsense();
	return print_document(ctl, list.json, show_runs_of);
}

static int do_runs(struct ctl *ctl)
{
	return list_runs(ctl, MSG_LIST_ALL);
}

static int do_show(struct ctl *ctl)
{
	struct msg_run_ref request = {.run = wire_str_of(run_ref(ctl->args[0]))};
	struct msg_document document;
	struct msg_response reply;
	uint8_t fields[256];
	int rc = call(ctl, MSG_RUN_GET, fields,
		msg_run_ref_encode(&request, fields, sizeof(fields)), &reply);

	if (rc != EXIT_OK)
		return rc;
	if (msg_document_decode(reply.fields, reply.fields_len, &document) != 0)
		return nonsense();
	return print_document(ctl, document.json, show_run);
}

static int do_cancel(struct ctl *ctl)
{
	struct msg_run_cancel request = {
		.run = wire_str_of(run_ref(ctl->args[0])),
		.actor = wire_str_of(ctl->actor),
		.reason = wire_str_of("opsctl cancel"),
	};
	struct msg_response reply;
	uint8_t fields[512];
	int rc = call(ctl, MSG_RUN_CANCEL, fields,
		msg_run_cancel_encode(&request, fields, sizeof(fields)), &reply);

	if (rc == EXIT_OK && !ctl->json)
		printf("cancel requested\n");
	return rc;
}

static int do_approve(struct ctl *ctl)
{
	struct msg_run_approve request = {
		.run = wire_str_of(run_ref(ctl->args[0])),
		.step = wire_str_of(ctl->args[1]),
		.approve = !ctl->reject,
		.actor = wire_str_of(ctl->actor),
		.comment = wire_str_of(ctl->comment),
	};
	struct msg_response reply;
	uint8_t fields[2048];
	int rc = call(ctl, MSG_RUN_APPROVE, fields,
		msg_run_approve_encode(&request, fields, sizeof(fields)), &reply);

	if (rc == EXIT_OK && !ctl->json)
		puts(ctl->reject ? "refused" : "approved");
	return rc;
}

static int do_status(struct ctl *ctl)
{
	struct msg_hello request = {
		.version = MSG_PROTOCOL_VERSION, .client = wire_str_of("opsctl/" OPS_VERSION)};
	struct msg_hello_reply hello;
	struct msg_response reply;
	uint8_t fields[64];
	int rc = call(
		ctl, MSG_HELLO, fields, msg_hello_encode(&request, fields, sizeof(fields)), &reply);

	if (rc != EXIT_OK)
		return rc;
	if (msg_hello_reply_decode(reply.fields, reply.fields_len, &hello) != 0)
		return nonsense();
	if (!ctl->json) {
		printf("agent    %.*s on %.*s\n", (int)hello.agent_version.len,
			hello.agent_version.data, (int)hello.host.len, hello.host.data);
		printf("config   %.*s\n", (int)hello.config_digest.len, hello.config_digest.data);
		puts("active runs:");
	}
	return list_runs(ctl, MSG_LIST_ACTIVE);
}

static int do_reload(struct ctl *ctl)
{
	struct msg_reload request = {.actor = wire_str_of(ctl->actor)};
	struct msg_reload_reply done;
	struct msg_response reply;
	uint8_t fields[64];
	int rc = call(ctl, MSG_RELOAD, fields, msg_reload_encode(&request, fields, sizeof(fields)),
		&reply);

	if (rc != EXIT_OK)
		return rc;
	if (msg_reload_reply_decode(reply.fields, reply.fields_len, &done) != 0)
		return nonsense();
	printf(ctl->json ? "{\"config_digest\":\"%.*s\"}\n" : "loaded, digest %.*s\n",
		(int)done.config_digest.len, done.config_digest.data);
	return EXIT_OK;
}

static const struct command {
	const char *name;
	int (*run)(struct ctl *ctl);
	int min_args, max_args;
} commands[] = {
	{"list", do_list, 0, 0},
	{"run", do_run, 1, 1 + MSG_MAX_INPUTS},
	{"logs", do_logs, 1, 1},
	{"runs", do_runs, 0, 0},
	{"show", do_show, 1, 1},
	{"cancel", do_cancel, 1, 1},
	{"approve", do_approve, 2, 2},
	{"status", do_status, 0, 0},
	{"reload", do_reload, 0, 0},
};

static int dispatch(struct ctl *ctl, const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		const struct command *command = &commands[i];

		if (strcmp(command->name, name) != 0)
			continue;
		if (ctl->n_args < command->min_args)
			return usage_error("an argument is missing");
		if (ctl->n_args > command->max_args)
			return usage_error("too many arguments");
		return command->run(ctl);
	}
	fprintf(stderr, "opsctl: there is no command '%s'\n", name);
	return usage_error(NULL);
}

/* Only interrupts a wait; what to do then is decided where the wait was. */
static void on_sigint(int signo)
{
	(void)signo;
}

static int parse_limit(const char *text, unsigned *ret_limit)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || value < 1 || value > 200)
		return -EINVAL;
	*ret_limit = (unsigned)value;
	return 0;
}

static int parse_options(int argc, char **argv, struct ctl *ctl)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},
		{"follow", no_argument, NULL, 'f'},
		{"dry-run", no_argument, NULL, 'n'},
		{"limit", required_argument, NULL, 'l'},
		{"reject", no_argument, NULL, 'r'},
		{"comment", required_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "fh", options, NULL)) != -1) {
		switch (c) {
		case 'j':
			ctl->json = true;
			break;
		case 'f':
			ctl->follow = true;
			break;
		case 'n':
			ctl->dry_run = true;
			break;
		case 'l':
			if (parse_limit(optarg, &ctl->limit) != 0)
				return usage_error("--limit takes a number from 1 to 200");
			break;
		case 'r':
			ctl->reject = true;
			break;
		case 'c':
			ctl->comment = optarg;
			break;
		case 'h':
			fputs(usage_text, stdout);
			exit(EXIT_OK);
		case 'V':
			puts("opsctl " OPS_VERSION);
			exit(EXIT_OK);
		default:
			return usage_error(NULL);
		}
	}
	return EXIT_OK;
}

static const char *from_environment(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value != NULL && *value != '\0' ? value : otherwise;
}

int main(int argc, char **argv)
{
	struct sigaction interrupt = {.sa_handler = on_sigint};
	struct ctl ctl = {
		.socket_path = from_environment("OPS_AGENT_SOCKET", DEFAULT_SOCKET),
		.secret_path = from_environment("OPS_AGENT_SECRET_PATH", DEFAULT_SECRET),
		.limit = DEFAULT_LIMIT,
	};
	int rc = parse_options(argc, argv, &ctl);

	if (rc != EXIT_OK)
		return rc;
	if (optind == argc) {
		fputs(usage_text, stderr);
		return EXIT_USAGE_ERROR;
	}
	snprintf(ctl.actor, sizeof(ctl.actor), "opsctl:%u", (unsigned)getuid());
	ctl.args = argv + optind + 1;
	ctl.n_args = argc - optind - 1;
	sigaction(SIGINT, &interrupt, NULL); /* no SA_RESTART: it ends poll() */
	signal(SIGPIPE, SIG_IGN);
	rc = dispatch(&ctl, argv[optind]);
	client_close(ctl.client);
	if (fflush(stdout) != 0 && rc == EXIT_OK)
		rc = EXIT_SOFTWARE_ERROR;
	return rc;
}
