/*
 * plan-run RUN_DIR [OPS_AGENT] < DESCRIPTION
 *
 * Does for a test what the monitor does for a user: makes RUN_DIR with meta and control/, puts a
 * plan into a sealed memfd and becomes the runner, either by executing `OPS_AGENT runner RUN_DIR`
 * or, for lack of one, by calling runner_main(). The process keeps its pid, so the test can kill
 * it.
 *
 * DESCRIPTION is lines `key=value`, %XX decoded. Before the first `step`: id, name, flow,
 * timeout_ms, max_output, input=NAME=VALUE, override_user. `step=ID` begins a step: phase,
 * needs=0,1, arg, arg_input=N:PREFIX, arg_run_id, env=NAME=VALUE, env_input=NAME=N,
 * env_status=NAME=STEP, secret=NAME=PATH, input=NAME:TYPE:LITERAL,
 * input_output=NAME:TYPE:STEP:OUTPUT, stdin, user, cwd, exec, timeout_ms, kill_after_ms, ok=0,3,
 * output=NAME, continue, leave, new_privileges, if, memory=BYTES, cpu=PERCENT, pids,
 * retry=LIMIT, delay_ms, backoff,
 * retry_codes=1,2, approve=PROMPT, approve_ms, approve_yes.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/run/meta.h"
#include "agent/run/plan.h"
#include "agent/run/rundir.h"
#include "agent/run/state.h"
#include "agent/runner/runner.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/mem.h"

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "plan-run: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void must(bool ok, const char *what)
{
	if (!ok)
		die(what);
}

static void decode(char *text)
{
	char *to = text;

	for (const char *at = text; *at != '\0'; at++) {
		unsigned byte;

		if (*at == '%' && sscanf(at + 1, "%2x", &byte) == 1) {
			*to++ = (char)byte;
			at += 2;
		} else {
			*to++ = *at;
		}
	}
	*to = '\0';
}

/* Splits at the first c; what follows it, which has to be there. */
static char *split(char *text, char c)
{
	char *at = strchr(text, c);

	must(at != NULL, text);
	*at = '\0';
	return at + 1;
}

static void *grow(void *list, size_t n, size_t size)
{
	char *grown = realloc(list, (n + 1) * size);

	must(grown != NULL, "memory");
	memset(grown + n * size, 0, size);
	return grown;
}

static struct plan_text *add_arg(struct plan_step *step)
{
	step->argv = grow(step->argv, step->n_argv, sizeof(*step->argv));
	return &step->argv[step->n_argv++];
}

static struct plan_env *add_env(struct plan_step *step, const char *name)
{
	step->env = grow(step->env, step->n_env, sizeof(*step->env));
	step->env[step->n_env].name = xstrdup(name);
	step->env[step->n_env].value.prefix = xstrdup("");
	return &step->env[step->n_env++];
}

static struct plan_input *add_input(struct plan_step *step, char *text, char **ret_rest)
{
	char *type = split(text, ':');
	struct plan_input *input;

	*ret_rest = split(type, ':');
	step->inputs = grow(step->inputs, step->n_inputs, sizeof(*step->inputs));
	input = &step->inputs[step->n_inputs++];
	input->spec.name = xstrdup(text);
	must(input_type_parse(type, &input->spec.type) == 0, type);
	input->spec.max_length = 1024;
	input->present = true;
	return input;
}

static void numbers(
	char *text, void (*add)(struct plan_step *, unsigned long), struct plan_step *step)
{
	for (char *at = strtok(text, ","); at != NULL; at = strtok(NULL, ","))
		add(step, strtoul(at, NULL, 10));
}

static void add_need(struct plan_step *step, unsigned long n)
{
	step->needs = grow(step->needs, step->n_needs, sizeof(*step->needs));
	step->needs[step->n_needs++] = (uint16_t)n;
}

static void add_code(struct plan_step *step, unsigned long n)
{
	step->success_codes = grow(step->success_codes, step->n_success_codes, 1);
	step->success_codes[step->n_success_codes++] = (uint8_t)n;
}

static void add_retry_code(struct plan_step *step, unsigned long n)
{
	struct plan_retry *retry = &step->retry;

	retry->exit_codes = grow(retry->exit_codes, retry->n_exit_codes, 1);
	retry->exit_codes[retry->n_exit_codes++] = (uint8_t)n;
}

static bool step_key_text(struct plan_step *step, const char *key, char *value)
{
	char *rest = NULL;

	if (strcmp(key, "arg") == 0) {
		add_arg(step)->prefix = xstrdup(value);
	} else if (strcmp(key, "arg_input") == 0) {
		struct plan_text *arg = add_arg(step);

		arg->prefix = xstrdup(split(value, ':'));
		arg->ref = PLAN_INPUT;
		arg->index = (uint16_t)atoi(value);
	} else if (strcmp(key, "arg_run_id") == 0) {
		struct plan_text *arg = add_arg(step);

		arg->prefix = xstrdup(value);
		arg->ref = PLAN_RUN_ID;
	} else if (strcmp(key, "env") == 0) {
		rest = split(value, '=');
		free(add_env(step, value)->value.prefix);
		step->env[step->n_env - 1].value.prefix = xstrdup(rest);
	} else if (strcmp(key, "secret") == 0) {
		rest = split(value, '=');
		add_env(step, value)->secret_path = xstrdup(rest);
	} else if (strcmp(key, "env_input") == 0 || strcmp(key, "env_status") == 0) {
		rest = split(value, '=');
		add_env(step, value)->value.ref = key[4] == 'i' ? PLAN_INPUT : PLAN_STEP_STATUS;
		step->env[step->n_env - 1].value.index = (uint16_t)atoi(rest);
	} else if (strcmp(key, "input") == 0) {
		struct plan_input *input = add_input(step, value, &rest);

		input->value.prefix = xstrdup(rest);
	} else if (strcmp(key, "input_output") == 0) {
		struct plan_input *input = add_input(step, value, &rest);

		input->value.prefix = xstrdup("");
		input->value.ref = PLAN_STEP_OUTPUT;
		input->value.name = xstrdup(split(rest, ':'));
		input->value.index = (uint16_t)atoi(rest);
	} else {
		return false;
	}
	return true;
}

static void replace(char **to, const char *value)
{
	free(*to);
	*to = xstrdup(value);
}

/* Keys of a step's place in the flow. */
static bool step_key_graph(struct plan_step *step, const char *key, char *value)
{
	if (strcmp(key, "if") == 0)
		replace(&step->condition, value);
	else if (strcmp(key, "retry") == 0)
		step->retry.limit = (uint16_t)atoi(value);
	else if (strcmp(key, "delay_ms") == 0)
		step->retry.delay_us = strtoull(value, NULL, 10) * 1000;
	else if (strcmp(key, "backoff") == 0)
		step->retry.backoff = (uint16_t)atoi(value);
	else if (strcmp(key, "retry_codes") == 0)
		numbers(value, add_retry_code, step);
	else if (strcmp(key, "memory") == 0)
		step->limits.memory = strtoull(value, NULL, 10);
	else if (strcmp(key, "cpu") == 0)
		step->limits.cpu_percent = (uint32_t)atoi(value);
	else if (strcmp(key, "pids") == 0)
		step->limits.pids = (uint32_t)atoi(value);
	else if (strcmp(key, "approve") == 0)
		replace(&step->approve.prompt, value);
	else if (strcmp(key, "approve_ms") == 0)
		step->approve.timeout_us = strtoull(value, NULL, 10) * 1000;
	else if (strcmp(key, "approve_yes") == 0)
		step->approve.on_timeout = true;
	else
		return false;
	return true;
}

static void step_key(struct plan_step *step, const char *key, char *value)
{
	if (step_key_text(step, key, value) || step_key_graph(step, key, value))
		return;
	if (strcmp(key, "phase") == 0) {
		step->phase = value[0] == 'm'	? PLAN_MAIN
			      : value[0] == 'o' ? PLAN_ON_FAILURE
						: PLAN_FINALLY;
	} else if (strcmp(key, "needs") == 0) {
		numbers(value, add_need, step);
	} else if (strcmp(key, "ok") == 0) {
		numbers(value, add_code, step);
	} else if (strcmp(key, "stdin") == 0) {
		replace(&step->stdin_text.prefix, value);
	} else if (strcmp(key, "user") == 0) {
		replace(&step->user, value);
	} else if (strcmp(key, "cwd") == 0) {
		replace(&step->cwd, value);
	} else if (strcmp(key, "exec") == 0) {
		replace(&step->executable, value);
	} else if (strcmp(key, "timeout_ms") == 0) {
		step->timeout_us = strtoull(value, NULL, 10) * 1000;
	} else if (strcmp(key, "kill_after_ms") == 0) {
		step->kill_after_us = strtoull(value, NULL, 10) * 1000;
	} else if (strcmp(key, "output") == 0) {
		step->outputs = grow(step->outputs, step->n_outputs, sizeof(*step->outputs));
		step->outputs[step->n_outputs++] = xstrdup(value);
	} else if (strcmp(key, "continue") == 0) {
		step->continue_on_error = true;
	} else if (strcmp(key, "leave") == 0) {
		step->leave_children = true;
	} else if (strcmp(key, "new_privileges") == 0) {
		step->new_privileges = true;
	} else {
		must(false, key);
	}
}

static void run_key(struct plan *plan, const char *key, char *value)
{
	if (strcmp(key, "id") == 0) {
		must(uuid_parse(value, strlen(value), &plan->id) == 0, value);
	} else if (strcmp(key, "name") == 0) {
		replace(&plan->name, value);
	} else if (strcmp(key, "flow") == 0) {
		plan->is_flow = true;
	} else if (strcmp(key, "timeout_ms") == 0) {
		plan->timeout_us = strtoull(value, NULL, 10) * 1000;
	} else if (strcmp(key, "max_output") == 0) {
		plan->max_output = strtoull(value, NULL, 10);
	} else if (strcmp(key, "override_user") == 0) {
		replace(&plan->default_user_override, value);
	} else if (strcmp(key, "input") == 0) {
		char *rest = split(value, '=');

		plan->inputs = grow(plan->inputs, plan->n_inputs, sizeof(*plan->inputs));
		plan->inputs[plan->n_inputs].name = xstrdup(value);
		plan->inputs[plan->n_inputs++].value = xstrdup(rest);
	} else {
		must(false, key);
	}
}

static struct plan_step *add_step(struct plan *plan, const char *id)
{
	struct passwd *pw = getpwuid(geteuid());
	struct plan_step *step;

	must(pw != NULL, "own account");
	plan->steps = grow(plan->steps, plan->n_steps, sizeof(*plan->steps));
	step = &plan->steps[plan->n_steps++];
	step->id = xstrdup(id);
	step->uses = xstrdup("test.command");
	step->title = xstrdup("A test");
	step->user = xstrdup(pw->pw_name);
	step->cwd = xstrdup("/");
	step->kill_after_us = CLOCK_SECOND_US;
	return step;
}

static struct plan *read_description(void)
{
	struct plan *plan = xcalloc(1, sizeof(*plan));
	struct plan_step *step = NULL;
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	uuid_v7(&plan->id);
	plan->number = 7;
	plan->name = xstrdup("test");
	plan->title = xstrdup("Test");
	plan->host = xstrdup("testhost");
	plan->actor = xstrdup("user:admin");
	plan->trigger = xstrdup("manual");
	plan->config_digest = xstrdup("00");
	plan->created_us = clock_wall_us();
	while ((n = getline(&line, &cap, stdin)) > 0) {
		char *value;

		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		value = split(line, '=');
		decode(value);
		if (strcmp(line, "step") == 0)
			step = add_step(plan, value);
		else if (step == NULL)
			run_key(plan, line, value);
		else
			step_key(step, line, value);
	}
	free(line);
	return plan;
}

static void resolve_executables(struct plan *plan)
{
	for (size_t i = 0; i < plan->n_steps; i++) {
		struct plan_step *step = &plan->steps[i];

		if (step->executable != NULL)
			continue;
		if (step->approve.prompt != NULL) {
			step->executable = xstrdup("");
			continue;
		}
		step->executable = realpath(step->argv[0].prefix, NULL);
		if (step->executable == NULL)
			step->executable = xstrdup(step->argv[0].prefix);
	}
}

static void make_run_dir(const char *dir, const struct plan *plan)
{
	struct run_state state;
	struct err err = {0};
	struct buf buf;
	int dir_fd, state_fd;

	must(mkdir(dir, RUNDIR_DIR_MODE) == 0 || errno == EEXIST, dir);
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(dir_fd >= 0, dir);
	must(mkdirat(dir_fd, RUNDIR_CONTROL, RUNDIR_DIR_MODE) == 0 || errno == EEXIST, "control");
	buf_init(&buf, META_MAX_BYTES);
	must(meta_encode(plan, &buf) == 0, "meta");
	must(file_replace(dir_fd, RUNDIR_META, buf.data, buf.len, RUNDIR_FILE_MODE, &err) == 0,
		err.msg);
	buf_fini(&buf);
	state_init(&state, plan);
	state_fd = state_open(dir_fd);
	must(state_fd >= 0 && state_write(state_fd, &state) == 0, "state");
	close(state_fd);
	close(dir_fd);
}

static void plan_to_stdin(const struct plan *plan)
{
	int fd = memfd_create("plan", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct buf buf;

	must(fd >= 0, "memfd");
	buf_init(&buf, PLAN_MAX_BYTES);
	must(plan_encode(plan, &buf) == 0, "the plan is too large");
	must(file_write_all(fd, buf.data, buf.len) == 0, "memfd");
	must(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0,
		"seals");
	must(dup2(fd, STDIN_FILENO) == 0, "stdin");
	close(fd);
	buf_fini(&buf);
}

int main(int argc, char **argv)
{
	struct plan *plan;

	if (argc < 2) {
		fprintf(stderr, "usage: plan-run RUN_DIR [OPS_AGENT] < DESCRIPTION\n");
		return 64;
	}
	plan = read_description();
	resolve_executables(plan);
	make_run_dir(argv[1], plan);
	plan_to_stdin(plan);
	plan_free(plan);
	if (argc > 2) {
		execl(argv[2], "ops-agent", "runner", argv[1], (char *)NULL);
		die(argv[2]);
	}
	return runner_main(argv[1], -1);
}
