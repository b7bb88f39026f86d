/* Starting a run and watching one. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/ctl/ctl.h"
#include "agent/ctl/exitcode.h"
#include "agent/ctl/follow.h"
#include "agent/ctl/show.h"

static int leave(const char *run)
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
		.headlines = live && isatty(STDERR_FILENO) == 1,
		.json = ctl->cli.json,
	};
	struct err err = {0};
	int exit_code = EXIT_OK;
	int rc = follow_run(&opts, &exit_code, &err);

	if (rc == -EINTR)
		return leave(run);
	if (rc == -EPIPE)
		return EXIT_SOFTWARE_ERROR; /* nobody reads; nobody is told */
	if (rc != 0)
		return ctl_fail(
			ctl, rc == -ENOENT ? EXIT_BAD_INPUT : exitcode_of_error(err.code), err.msg);
	return live ? exit_code : EXIT_OK;
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
	json_t *catalog;
	int rc = ctl_catalog(ctl, NULL, &catalog);

	if (rc != EXIT_OK)
		return rc;
	*ret_kind =
		has_id(json_object_get(catalog, "flows"), id) ? MSG_KIND_FLOW : MSG_KIND_COMMAND;
	json_decref(catalog);
	return EXIT_OK;
}

static int fill_inputs(const struct ctl *ctl, struct msg_run_start *request)
{
	for (int i = 1; i < ctl->cli.n_args; i++) {
		const char *arg = ctl->cli.args[i];
		const char *equals = strchr(arg, '=');

		if (equals == NULL || equals == arg) {
			char text[160];

			snprintf(text, sizeof(text), "inputs are given as NAME=VALUE, not '%.80s'",
				arg);
			return ctl_fail(ctl, EXIT_USAGE_ERROR, text);
		}
		request->inputs[request->n_inputs++] = (struct msg_pair){
			.name = {arg, (uint32_t)(equals - arg)},
			.value = wire_str_of(equals + 1),
		};
	}
	return EXIT_OK;
}

/* Prints what was started and, with -f, follows it. */
static int started(struct ctl *ctl, const struct msg_run_start_reply *start)
{
	json_t *run = ctl_parse(start->json);
	char number[24];

	if (run == NULL)
		return ctl_nonsense(ctl);
	snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
		json_integer_value(json_object_get(run, "number")));
	if (ctl->cli.json) {
		printf("%.*s\n", (int)start->json.len, start->json.data);
		fflush(stdout); /* what follows is written without stdio */
	} else if (!ctl->cli.follow) {
		printf("run #%s started; 'opsctl logs %s -f' watches it\n", number, number);
	}
	json_decref(run);
	return ctl->cli.follow ? follow(ctl, number, true) : EXIT_OK;
}

int ctl_run(struct ctl *ctl)
{
	static uint8_t fields[MSG_MAX_START_BYTES];
	struct msg_run_start request = {.flags = ctl->cli.dry_run ? MSG_START_DRY_RUN : 0};
	struct msg_run_start_reply start;
	struct msg_response reply;
	int rc = fill_inputs(ctl, &request);

	if (rc == EXIT_OK)
		rc = find_kind(ctl, ctl->cli.args[0], &request.kind);
	if (rc != EXIT_OK)
		return rc;
	request.id = wire_str_of(ctl->cli.args[0]);
	request.actor = wire_str_of(ctl->actor);
	request.trigger = wire_str_of("manual");
	rc = ctl_call(ctl, MSG_RUN_START, fields,
		msg_run_start_encode(&request, fields, sizeof(fields)), &reply);
	if (rc != EXIT_OK)
		return rc;
	if (msg_run_start_reply_decode(reply.fields, reply.fields_len, &start) != 0)
		return ctl_nonsense(ctl);
	if (ctl->cli.dry_run)
		return ctl_print(ctl, start.json, show_plan);
	return started(ctl, &start);
}

int ctl_logs(struct ctl *ctl)
{
	return follow(ctl, ctl_run_ref(ctl->cli.args[0]), ctl->cli.follow);
}
