#include "agent/config/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/check_rules.h"
#include "agent/config/planner.h"
#include "core/base/clock.h"
#include "core/base/crypto.h"
#include "core/base/hex.h"
#include "core/base/mem.h"
#include "core/yaml/scalar.h"

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

static void print_bound(FILE *out, const char *name, enum input_type type, int64_t bound)
{
	char text[SCALAR_DURATION_TEXT_BYTES];

	if (type == INPUT_DURATION)
		scalar_duration_format((uint64_t)bound, text);
	else
		snprintf(text, sizeof(text), "%" PRId64, bound);
	fprintf(out, ", %s %s", name, text);
}

/* Which values an input can have. */
static void print_type(FILE *out, const struct input_spec *spec)
{
	fprintf(out, "    input %s: %s", spec->name, input_type_name(spec->type));
	for (size_t i = 0; i < spec->n_values; i++)
		fprintf(out, "%s%s", i == 0 ? " of " : ", ", spec->values[i]);
	for (size_t i = 0; i < spec->n_schemes; i++)
		fprintf(out, "%s%s", i == 0 ? ", schemes " : " ", spec->schemes[i]);
	if (spec->has_min)
		print_bound(out, "min", spec->type, spec->min);
	if (spec->has_max)
		print_bound(out, "max", spec->type, spec->max);
	if (spec->max_length != INPUT_DEFAULT_LENGTH)
		fprintf(out, ", at most %u characters", spec->max_length);
	if (spec->pattern != NULL)
		fprintf(out, ", pattern %s", spec->pattern);
	if (spec->allow_dash)
		fputs(", may begin with '-'", out);
	if (spec->under != NULL)
		fprintf(out, ", under %s", spec->under);
}

static void print_inputs(FILE *out, const struct input_spec *inputs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		print_type(out, &inputs[i]);
		if (inputs[i].default_value != NULL)
			fprintf(out, ", default %s\n", inputs[i].default_value);
		else
			fputs(", required\n", out);
	}
}

static void print_shown(
	FILE *out, const struct catalog_command *command, const struct plan_text *text)
{
	struct buf shown;

	buf_init(&shown, PLAN_MAX_BYTES);
	catalog_show_text(command, text, &shown);
	print_text(out, &shown);
	buf_fini(&shown);
}

/* What the command sets beside its arguments. */
static void print_surroundings(FILE *out, const struct catalog_command *command)
{
	for (size_t i = 0; i < command->n_env; i++) {
		const struct catalog_env *env = &command->env[i];

		fprintf(out, "    environment %s", env->name);
		if (env->secret_path != NULL)
			fprintf(out, " is secret, from %s", env->secret_path);
		else
			print_shown(out, command, &env->value);
		fputc('\n', out);
	}
	if (command->stdin_text.prefix != NULL) {
		fputs("    standard input", out);
		print_shown(out, command, &command->stdin_text);
		fputc('\n', out);
	}
}

static void print_cgroup(FILE *out, const struct plan_limits *limits)
{
	if (limits->memory != 0)
		fprintf(out, "    at most %" PRIu64 " bytes of memory\n", limits->memory);
	if (limits->cpu_percent != 0)
		fprintf(out, "    at most %u%% of a processor\n", limits->cpu_percent);
	if (limits->pids != 0)
		fprintf(out, "    at most %u processes and threads\n", limits->pids);
}

/* All that decides which argument vectors can be executed; the digest of shapes is over this. */
static void print_shape(FILE *out, const struct catalog_command *command)
{
	fputs("   ", out);
	for (size_t i = 0; i < command->n_argv; i++)
		print_shown(out, command, &command->argv[i]);
	fputc('\n', out);
	if (strcmp(command->executable, command->argv[0].prefix) != 0)
		fprintf(out, "    which is %s\n", command->executable);
	for (size_t i = 0; i < command->n_inputs; i++) {
		print_type(out, &command->inputs[i]);
		fputc('\n', out);
	}
	print_surroundings(out, command);
	fprintf(out, "    user %s, folder %s\n", command->user, command->cwd);
}

static void print_command(FILE *out, const struct catalog_command *command)
{
	fprintf(out, "%s: %s\n   ", command->id, command->title);
	for (size_t i = 0; i < command->n_argv; i++)
		print_shown(out, command, &command->argv[i]);
	fputc('\n', out);
	if (strcmp(command->executable, command->argv[0].prefix) != 0)
		fprintf(out, "    which is %s\n", command->executable);
	print_inputs(out, command->inputs, command->n_inputs);
	print_surroundings(out, command);
	print_limits(out, command->user, command->cwd, command->timeout_us, command->kill_after_us);
	if (command->confirm || command->danger == CATALOG_DANGER_HIGH)
		fprintf(out, "    the page asks first%s\n",
			command->danger == CATALOG_DANGER_HIGH ? ", and for the password" : "");
	print_cgroup(out, &command->limits);
	check_print_pace(out, command);
	if (command->leave_children)
		fputs("    what it leaves running is not ended\n", out);
	if (command->new_privileges)
		fputs("    set-uid programs work in it\n", out);
	fputc('\n', out);
}

/* One `name=value` of a step's `with`. */
static void print_with(
	FILE *out, const struct catalog_flow *flow, const struct catalog_step *step, size_t input)
{
	const struct plan_text *value = &step->values[input];
	struct buf text;

	if (value->prefix == NULL)
		return;
	buf_init(&text, PLAN_MAX_BYTES);
	buf_printf(&text, "%s=%s", step->command->inputs[input].name, value->prefix);
	if (value->ref == PLAN_INPUT)
		buf_printf(&text, "${inputs.%s}", flow->inputs[value->index].name);
	else if (value->ref == PLAN_STEP_OUTPUT)
		buf_printf(
			&text, "${steps.%s.outputs.%s}", flow->steps[value->index].id, value->name);
	else if (value->ref == PLAN_STEP_STATUS)
		buf_printf(&text, "${steps.%s.status}", flow->steps[value->index].id);
	else if (value->ref == PLAN_RUN_ID)
		buf_append_str(&text, "${run.id}");
	print_text(out, &text);
	buf_fini(&text);
}

/* When the step starts, and how often it is tried. */
static void print_graph(FILE *out, const struct catalog_flow *flow, const struct catalog_step *step)
{
	char delay[SCALAR_DURATION_TEXT_BYTES];

	for (size_t i = 0; i < step->n_needs; i++)
		fprintf(out, "%s%s", i == 0 ? ", after " : " and ", flow->steps[step->needs[i]].id);
	if (step->condition != NULL)
		fprintf(out, ", if %s", step->condition);
	if (step->retry.limit != 0) {
		scalar_duration_format(step->retry.delay_us, delay);
		fprintf(out, ", tried again %u times after %s", step->retry.limit, delay);
	}
	if (step->continue_on_error)
		fputs(", may fail", out);
	fputc('\n', out);
	if (step->approve.prompt != NULL)
		fprintf(out, "        %s\n", step->approve.prompt);
}

static void print_flow(FILE *out, const struct catalog_flow *flow)
{
	fprintf(out, "%s (flow): %s\n", flow->id, flow->title);
	print_inputs(out, flow->inputs, flow->n_inputs);
	check_print_flow_rules(out, flow, (int64_t)(clock_wall_us() / 1000000));
	for (size_t i = 0; i < flow->n_steps; i++) {
		const struct catalog_step *step = &flow->steps[i];

		fprintf(out, "    step %s: %s", step->id,
			step->command != NULL ? step->command->id : "waits for an approval");
		for (size_t j = 0; step->command != NULL && j < step->command->n_inputs; j++)
			print_with(out, flow, step, j);
		print_graph(out, flow, step);
	}
	fputc('\n', out);
}

/* Over the shapes alone: titles, times and comments do not change it. */
static void digest_shapes(const struct catalog *catalog, char text[CATALOG_DIGEST_TEXT_BYTES])
{
	uint8_t digest[CRYPTO_SHA256_BYTES];
	struct crypto_sha256 ctx;
	char *shapes = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&shapes, &n);

	if (out == NULL)
		abort();
	for (size_t i = 0; i < catalog->n_commands; i++) {
		fprintf(out, "%s\n", catalog->commands[i].id);
		print_shape(out, &catalog->commands[i]);
	}
	if (fclose(out) != 0)
		abort();
	crypto_sha256_init(&ctx);
	crypto_sha256_update(&ctx, shapes, n);
	crypto_sha256_final(&ctx, digest);
	hex_encode(digest, sizeof(digest), text);
	free(shapes);
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
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
	fprintf(err_out, "%zu error%s in %s; nothing of it is loaded\n", errors.total,
		plural(errors.total), dir);
	return CHECK_EXIT_CONFIG;
}

int check_run(const char *dir, const struct catalog_opts *opts, FILE *out, FILE *err_out)
{
	char shapes[CATALOG_DIGEST_TEXT_BYTES];
	struct catalog *catalog = NULL;
	int rc = load(dir, opts, &catalog, err_out);

	if (rc != 0)
		return rc;
	for (size_t i = 0; i < catalog->n_commands; i++)
		print_command(out, &catalog->commands[i]);
	for (size_t i = 0; i < catalog->n_flows; i++)
		print_flow(out, &catalog->flows[i]);
	digest_shapes(catalog, shapes);
	check_print_summary(out, catalog);
	fprintf(out, "%zu command%s, %zu flow%s%s in %s\n", catalog->n_commands,
		plural(catalog->n_commands), catalog->n_flows, plural(catalog->n_flows),
		catalog->has_status ? ", status.yml" : "", dir);
	fprintf(out, "argv    %s  all that can be executed\n", shapes);
	fprintf(out, "config  %s  the files, as in hello, catalogue and every run\n",
		catalog->digest);
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
		fprintf(out, "%s%s%s", i == 0 ? "    environment " : ", ", step->env[i].name,
			step->env[i].secret_path != NULL ? " (secret)" : "");
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
		fprintf(err_out, "%s; `ops-agent check` lists all there are\n", err.msg);
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
