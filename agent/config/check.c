#include "agent/config/check.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "agent/config/planner.h"
#include "agent/config/scalar.h"
#include "core/base/mem.h"

/* One argument as a person reads it: quoted when it holds what a shell would not leave alone. This
 * is for eyes (and for copying); nothing of ours ever parses it. */
static void print_arg(FILE *out, const char *arg, size_t n)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_-+=./,:@%";

	if (n != 0 && strspn(arg, plain) == n) {
		fprintf(out, " %s", arg);
		return;
	}
	fputs(" '", out);
	for (size_t i = 0; i < n; i++) {
		if (arg[i] == '\'')
			fputs("'\\''", out);
		else
			fputc(arg[i], out);
	}
	fputc('\'', out);
}

static void print_text(FILE *out, struct buf *text)
{
	buf_append_byte(text, '\0');
	if (buf_err(text) == 0)
		print_arg(out, (const char *)text->data, text->len - 1);
	buf_reset(text);
}

static void print_limits(
	FILE *out, const char *user, const char *cwd, uint64_t timeout_us, uint64_t kill_after_us)
{
	char timeout[SCALAR_DURATION_TEXT_BYTES], kill_after[SCALAR_DURATION_TEXT_BYTES];

	scalar_duration_format(timeout_us, timeout);
	scalar_duration_format(kill_after_us, kill_after);
	fprintf(out, "    user %s, folder %s, timeout %s, kill after %s\n", user, cwd,
		timeout_us != 0 ? timeout : "none", kill_after);
}

static void print_input(FILE *out, const struct input_spec *spec)
{
	fprintf(out, "    input %s: %s", spec->name, input_type_name(spec->type));
	for (size_t i = 0; i < spec->n_values; i++)
		fprintf(out, "%s%s", i == 0 ? " of " : ", ", spec->values[i]);
	if (spec->has_min)
		fprintf(out, ", min %" PRId64, spec->min);
	if (spec->has_max)
		fprintf(out, ", max %" PRId64, spec->max);
	if (spec->pattern != NULL)
		fprintf(out, ", pattern %s", spec->pattern);
	if (spec->under != NULL)
		fprintf(out, ", under %s", spec->under);
	if (spec->default_value != NULL)
		fprintf(out, ", default %s\n", spec->default_value);
	else
		fputs(", required\n", out);
}

static void print_command(FILE *out, const struct catalog_command *command)
{
	struct buf text;

	buf_init(&text, PLAN_MAX_BYTES);
	fprintf(out, "%s\n   ", command->id);
	for (size_t i = 0; i < command->n_argv; i++) {
		catalog_show_text(command, &command->argv[i], &text);
		print_text(out, &text);
	}
	fputc('\n', out);
	if (strcmp(command->executable, command->argv[0].prefix) != 0)
		fprintf(out, "    which is %s\n", command->executable);
	for (size_t i = 0; i < command->n_inputs; i++)
		print_input(out, &command->inputs[i]);
	print_limits(out, command->user, command->cwd, command->timeout_us, command->kill_after_us);
	buf_fini(&text);
}

static void print_flow(FILE *out, const struct catalog_flow *flow)
{
	fprintf(out, "%s (flow)\n", flow->id);
	for (size_t i = 0; i < flow->n_inputs; i++)
		print_input(out, &flow->inputs[i]);
	for (size_t i = 0; i < flow->n_steps; i++) {
		const struct catalog_step *step = &flow->steps[i];

		fprintf(out, "    step %s: %s\n", step->id,
			step->command != NULL ? step->command->id : "waits for an approval");
	}
}

static int load(const char *dir, const struct catalog_opts *opts, struct catalog **ret_catalog,
	FILE *err_out)
{
	struct config_errors errors;

	if (catalog_load(dir, opts, ret_catalog, &errors) == 0)
		return 0;
	for (size_t i = 0; i < errors.n; i++)
		fprintf(err_out, "%s\n", errors.lines[i]);
	if (errors.total > errors.n)
		fprintf(err_out, "… and %zu more\n", errors.total - errors.n);
	return CHECK_EXIT_CONFIG;
}

int check_run(const char *dir, const struct catalog_opts *opts, FILE *out, FILE *err_out)
{
	struct catalog *catalog = NULL;
	int rc = load(dir, opts, &catalog, err_out);

	if (rc != 0)
		return rc;
	for (size_t i = 0; i < catalog->n_commands; i++)
		print_command(out, &catalog->commands[i]);
	for (size_t i = 0; i < catalog->n_flows; i++)
		print_flow(out, &catalog->flows[i]);
	fprintf(out, "%zu commands, %zu flows%s, digest %s\n", catalog->n_commands,
		catalog->n_flows, catalog->has_status ? ", status.yml" : "", catalog->digest);
	catalog_free(catalog);
	return CHECK_EXIT_OK;
}

static void print_step(FILE *out, const struct plan *plan, const struct plan_step *step)
{
	struct buf text;

	if (step->approve.prompt != NULL) {
		fprintf(out, "%s: waits for an approval\n", step->id);
		return;
	}
	buf_init(&text, PLAN_MAX_BYTES);
	fprintf(out, "%s: %s\n   ", step->id, step->title);
	for (size_t i = 0; i < step->n_argv; i++) {
		plan_text_show(plan, step, &step->argv[i], &text);
		print_text(out, &text);
	}
	fputc('\n', out);
	for (size_t i = 0; i < step->n_env; i++)
		fprintf(out, "%s%s", i == 0 ? "    environment " : ", ", step->env[i].name);
	if (step->n_env != 0)
		fputc('\n', out);
	print_limits(out, step->user, step->cwd, step->timeout_us, step->kill_after_us);
	buf_fini(&text);
}

static int explain(
	const struct catalog *catalog, struct planner_request *request, FILE *out, FILE *err_out)
{
	struct planner_problems problems;
	struct plan *plan = NULL;
	struct err err = {0};
	int rc = planner_build(catalog, request, &plan, &problems, &err);

	for (size_t i = 0; i < problems.n; i++)
		fprintf(err_out, "%s: %s\n", problems.items[i].name, problems.items[i].message);
	if (rc != 0 && problems.n == 0)
		fprintf(err_out, "%s\n", err.msg);
	for (size_t i = 0; plan != NULL && i < plan->n_steps; i++)
		print_step(out, plan, &plan->steps[i]);
	plan_free(plan);
	return rc == 0 ? CHECK_EXIT_OK : CHECK_EXIT_BAD_INPUT;
}

int check_explain(const char *dir, const struct catalog_opts *opts, const char *id,
	char *const *args, size_t n_args, FILE *out, FILE *err_out)
{
	struct msg_pair inputs[MSG_MAX_INPUTS];
	struct planner_request request = {
		.kind = MSG_KIND_FLOW, .id = wire_str_of(id), .inputs = inputs, .n_inputs = n_args};
	struct catalog *catalog = NULL;
	int rc;

	if (n_args > ARRAY_LEN(inputs)) {
		fprintf(err_out, "at most %d inputs\n", MSG_MAX_INPUTS);
		return CHECK_EXIT_USAGE;
	}
	for (size_t i = 0; i < n_args; i++) {
		const char *equals = strchr(args[i], '=');

		if (equals == NULL || equals == args[i]) {
			fprintf(err_out, "'%s' is not name=value\n", args[i]);
			return CHECK_EXIT_USAGE;
		}
		inputs[i].name = (struct wire_str){args[i], (uint32_t)(equals - args[i])};
		inputs[i].value = wire_str_of(equals + 1);
	}
	rc = load(dir, opts, &catalog, err_out);
	if (rc != 0)
		return rc;
	if (catalog_find_flow(catalog, id, strlen(id)) == NULL)
		request.kind = MSG_KIND_COMMAND;
	rc = explain(catalog, &request, out, err_out);
	catalog_free(catalog);
	return rc;
}
