#include "agent/config/catalog.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/mem.h"

static void inputs_free(struct input_spec *inputs, size_t n)
{
	for (size_t i = 0; i < n && inputs != NULL; i++)
		input_spec_fini(&inputs[i]);
	free(inputs);
}

static void command_fini(struct catalog_command *command)
{
	free(command->id);
	free(command->title);
	free(command->description);
	free(command->icon);
	free(command->executable);
	for (size_t i = 0; i < command->n_argv; i++)
		plan_text_fini(&command->argv[i]);
	free(command->argv);
	for (size_t i = 0; i < command->n_env; i++) {
		free(command->env[i].name);
		plan_text_fini(&command->env[i].value);
		free(command->env[i].secret_path);
	}
	free(command->env);
	plan_text_fini(&command->stdin_text);
	inputs_free(command->inputs, command->n_inputs);
	for (size_t i = 0; i < command->n_outputs; i++)
		free(command->outputs[i]);
	free(command->outputs);
	free(command->success_codes);
	free(command->user);
	free(command->cwd);
}

static void flow_fini(struct catalog_flow *flow)
{
	free(flow->id);
	free(flow->title);
	free(flow->description);
	free(flow->icon);
	for (size_t i = 0; i < flow->n_steps; i++) {
		struct catalog_step *step = &flow->steps[i];

		for (size_t j = 0; step->values != NULL && j < step->command->n_inputs; j++)
			plan_text_fini(&step->values[j]);
		free(step->values);
		free(step->id);
		free(step->needs);
		free(step->condition);
		free(step->retry.exit_codes);
		free(step->approve.prompt);
	}
	free(flow->steps);
	inputs_free(flow->inputs, flow->n_inputs);
	free(flow->concurrency_group);
	for (size_t i = 0; i < flow->n_schedules; i++) {
		free(flow->schedules[i].text);
		free(flow->schedules[i].timezone);
	}
	free(flow->schedules);
}

void catalog_free(struct catalog *catalog)
{
	if (catalog == NULL)
		return;
	/* flows first: their steps point at commands */
	for (size_t i = 0; i < catalog->n_flows; i++)
		flow_fini(&catalog->flows[i]);
	free(catalog->flows);
	for (size_t i = 0; i < catalog->n_commands; i++)
		command_fini(&catalog->commands[i]);
	free(catalog->commands);
	status_config_free(catalog->status);
	free(catalog->status_text);
	for (size_t i = 0; i < catalog->n_groups; i++)
		free(catalog->groups[i].name);
	free(catalog->groups);
	free(catalog->override_user);
	free(catalog);
}

static bool is_id(const char *id, const char *wanted, size_t n)
{
	return id != NULL && strlen(id) == n && memcmp(id, wanted, n) == 0;
}

const struct catalog_command *catalog_find_command(
	const struct catalog *catalog, const char *id, size_t id_len)
{
	for (size_t i = 0; i < catalog->n_commands; i++) {
		if (is_id(catalog->commands[i].id, id, id_len))
			return &catalog->commands[i];
	}
	return NULL;
}

const struct catalog_flow *catalog_find_flow(
	const struct catalog *catalog, const char *id, size_t id_len)
{
	for (size_t i = 0; i < catalog->n_flows; i++) {
		if (is_id(catalog->flows[i].id, id, id_len))
			return &catalog->flows[i];
	}
	return NULL;
}

void catalog_show_text(
	const struct catalog_command *command, const struct plan_text *text, struct buf *out)
{
	buf_append_str(out, text->prefix);
	if (text->ref == PLAN_INPUT)
		buf_printf(out, "${inputs.%s}", command->inputs[text->index].name);
	else if (text->ref == PLAN_RUN_ID)
		buf_append_str(out, "${run.id}");
}

/* An ordinary user's agent: everything runs as that user. */
static int own_account(struct catalog_opts *opts, char ret_name[64], struct err *err)
{
	const struct passwd *pw = getpwuid(geteuid());

	if (pw == NULL || strlen(pw->pw_name) >= 64)
		return err_set(err, -ENOENT, "the uid %u has no account", geteuid());
	memcpy(ret_name, pw->pw_name, strlen(pw->pw_name) + 1);
	opts->override_user = ret_name;
	return 0;
}

int catalog_opts_from_env(struct catalog_opts *ret_opts, char ret_name[64], struct err *err)
{
	const char *worker = getenv("OPS_AGENT_USER");
	const char *run = getenv("OPS_AGENT_RUN_USER");
	const char *probes = getenv("OPS_AGENT_PROBE_USER");
	const char *relay = getenv("OPS_AGENT_DOCKER_USER");
	struct catalog_opts opts = {
		.trusted_uid = geteuid(),
		.run_user = run != NULL && run[0] != '\0' ? run : CATALOG_DEFAULT_RUN_USER,
		.reserved_users = {"ops-agent", "ops-probe", "ops-docker"},
	};
	int rc = 0;

	if (probes != NULL && probes[0] != '\0')
		opts.reserved_users[1] = probes;
	if (relay != NULL && relay[0] != '\0')
		opts.reserved_users[2] = relay;
	if (geteuid() != 0)
		rc = own_account(&opts, ret_name, err);
	else if (worker != NULL && strcmp(worker, opts.run_user) == 0)
		opts.override_user = opts.run_user;
	else if (worker != NULL && worker[0] != '\0')
		opts.reserved_users[0] = worker;
	if (rc == 0)
		*ret_opts = opts;
	return rc;
}

const struct catalog_group *catalog_find_group(const struct catalog *catalog, const char *name)
{
	for (size_t i = 0; i < catalog->n_groups; i++) {
		if (strcmp(catalog->groups[i].name, name) == 0)
			return &catalog->groups[i];
	}
	return NULL;
}
