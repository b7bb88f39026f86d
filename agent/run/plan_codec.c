/*
 * The plan's encoding: a magic, then every member in the order of the struct, with the integers and
 * `str` of proto/wire.h, a u8 before what may be absent and a u16 count before each array. The
 * decoder runs in a privileged process: it takes nothing for granted, checks every count against
 * its maximum before it allocates, and every index against what it points into.
 */
#include "agent/run/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/expr.h"
#include "core/base/mem.h"
#include "proto/wire.h"

#define PLAN_MAGIC UINT64_C(0x324e414c5053504f) /* "OPSPLAN2" */
#define PLAN_MAX_INPUTS 64
#define PLAN_MAX_ENV 64

/* ---- writing ---- */

static void put_opt(struct buf *buf, const char *s)
{
	buf_append_le(buf, s != NULL, 1);
	if (s != NULL)
		buf_append_counted(buf, s);
}

static void put_strs(struct buf *buf, char *const *list, size_t n)
{
	buf_append_le(buf, n, 2);
	for (size_t i = 0; i < n; i++)
		buf_append_counted(buf, list[i]);
}

static void put_text(struct buf *buf, const struct plan_text *text)
{
	put_opt(buf, text->prefix);
	buf_append_le(buf, text->ref, 1);
	buf_append_le(buf, text->index, 2);
	put_opt(buf, text->name);
}

static void put_spec(struct buf *buf, const struct input_spec *spec)
{
	buf_append_counted(buf, spec->name);
	buf_append_le(buf, spec->type, 1);
	buf_append_le(buf, spec->required, 1);
	put_opt(buf, spec->default_value);
	put_opt(buf, spec->title);
	put_opt(buf, spec->description);
	buf_append_le(buf, spec->has_min, 1);
	buf_append_le(buf, spec->has_max, 1);
	buf_append_le(buf, (uint64_t)spec->min, 8);
	buf_append_le(buf, (uint64_t)spec->max, 8);
	buf_append_le(buf, spec->max_length, 4);
	put_opt(buf, spec->pattern);
	put_strs(buf, spec->values, spec->n_values);
	put_opt(buf, spec->under);
	put_strs(buf, spec->schemes, spec->n_schemes);
	buf_append_le(buf, spec->allow_dash, 1);
}

static void put_codes(struct buf *buf, const uint8_t *codes, size_t n)
{
	buf_append_le(buf, n, 2);
	buf_append(buf, codes, n);
}

static void put_graph_extras(struct buf *buf, const struct plan_step *step)
{
	buf_append_le(buf, step->retry.limit, 2);
	buf_append_le(buf, step->retry.delay_us, 8);
	buf_append_le(buf, step->retry.backoff, 2);
	put_codes(buf, step->retry.exit_codes, step->retry.n_exit_codes);
	put_opt(buf, step->approve.prompt);
	buf_append_le(buf, step->approve.timeout_us, 8);
	buf_append_le(buf, step->approve.on_timeout, 1);
}

static void put_step(struct buf *buf, const struct plan_step *step)
{
	buf_append_counted(buf, step->id);
	buf_append_counted(buf, step->uses);
	buf_append_counted(buf, step->title);
	buf_append_le(buf, step->phase, 1);
	buf_append_le(buf, step->n_needs, 2);
	for (size_t i = 0; i < step->n_needs; i++)
		buf_append_le(buf, step->needs[i], 2);
	buf_append_le(buf, step->continue_on_error, 1);
	put_opt(buf, step->condition);
	put_graph_extras(buf, step);
	buf_append_le(buf, step->n_inputs, 2);
	for (size_t i = 0; i < step->n_inputs; i++) {
		put_spec(buf, &step->inputs[i].spec);
		put_text(buf, &step->inputs[i].value);
		buf_append_le(buf, step->inputs[i].present, 1);
	}
	buf_append_counted(buf, step->executable);
	buf_append_le(buf, step->n_argv, 2);
	for (size_t i = 0; i < step->n_argv; i++)
		put_text(buf, &step->argv[i]);
	buf_append_le(buf, step->n_env, 2);
	for (size_t i = 0; i < step->n_env; i++) {
		buf_append_counted(buf, step->env[i].name);
		put_text(buf, &step->env[i].value);
		put_opt(buf, step->env[i].secret_path);
	}
	put_text(buf, &step->stdin_text);
	buf_append_counted(buf, step->user);
	buf_append_counted(buf, step->cwd);
	buf_append_le(buf, step->timeout_us, 8);
	buf_append_le(buf, step->kill_after_us, 8);
	put_codes(buf, step->success_codes, step->n_success_codes);
	put_strs(buf, step->outputs, step->n_outputs);
	buf_append_le(buf, step->leave_children, 1);
	buf_append_le(buf, step->new_privileges, 1);
	buf_append_le(buf, step->limits.memory, 8);
	buf_append_le(buf, step->limits.cpu_percent, 4);
	buf_append_le(buf, step->limits.pids, 4);
}

int plan_encode(const struct plan *plan, struct buf *buf)
{
	buf_append_le(buf, PLAN_MAGIC, 8);
	buf_append(buf, plan->id.bytes, sizeof(plan->id.bytes));
	buf_append_le(buf, plan->number, 8);
	buf_append_le(buf, plan->is_flow, 1);
	buf_append_counted(buf, plan->name);
	buf_append_counted(buf, plan->title);
	buf_append_counted(buf, plan->host);
	buf_append_counted(buf, plan->actor);
	buf_append_counted(buf, plan->trigger);
	buf_append_counted(buf, plan->config_digest);
	buf_append_le(buf, plan->created_us, 8);
	buf_append_le(buf, plan->timeout_us, 8);
	buf_append_le(buf, plan->max_output, 8);
	put_opt(buf, plan->default_user_override);
	buf_append_le(buf, plan->n_inputs, 2);
	for (size_t i = 0; i < plan->n_inputs; i++) {
		buf_append_counted(buf, plan->inputs[i].name);
		buf_append_counted(buf, plan->inputs[i].value);
		buf_append_le(buf, plan->inputs[i].secret, 1);
	}
	buf_append_le(buf, plan->n_steps, 2);
	for (size_t i = 0; i < plan->n_steps; i++)
		put_step(buf, &plan->steps[i]);
	return buf_err(buf);
}

/* ---- reading: after the first failure every getter returns something harmless ---- */

static void fail(struct wire_reader *r)
{
	r->failed = true;
}

static size_t get_count(struct wire_reader *r, size_t max)
{
	size_t n = wire_get_u16(r);

	if (r->failed || n > max) {
		fail(r);
		return 0;
	}
	return n;
}

static bool get_bool(struct wire_reader *r)
{
	uint8_t v = wire_get_u8(r);

	if (v > 1)
		fail(r);
	return v == 1;
}

static unsigned get_enum(struct wire_reader *r, unsigned last)
{
	unsigned v = wire_get_u8(r);

	if (v > last)
		fail(r);
	return r->failed ? 0 : v;
}

static char *get_str(struct wire_reader *r)
{
	struct wire_str s = wire_get_str(r);

	if (s.len != 0 && memchr(s.data, '\0', s.len) != NULL) {
		fail(r);
		s.len = 0;
	}
	return xstrndup(s.len != 0 ? s.data : "", s.len);
}

static char *get_opt(struct wire_reader *r)
{
	return get_bool(r) ? get_str(r) : NULL;
}

static char **get_strs(struct wire_reader *r, size_t max, size_t *ret_n)
{
	size_t n = get_count(r, max);
	char **list = n != 0 ? xcalloc(n, sizeof(*list)) : NULL;

	for (size_t i = 0; i < n; i++)
		list[i] = get_str(r);
	*ret_n = n;
	return list;
}

static void get_text(struct wire_reader *r, struct plan_text *text)
{
	text->prefix = get_opt(r);
	text->ref = (enum plan_ref)get_enum(r, PLAN_RUN_ID);
	text->index = wire_get_u16(r);
	text->name = get_opt(r);
	if ((text->name != NULL) != (text->ref == PLAN_STEP_OUTPUT))
		fail(r);
}

static void get_spec(struct wire_reader *r, struct input_spec *spec)
{
	spec->name = get_str(r);
	spec->type = (enum input_type)get_enum(r, INPUT_SECRET);
	spec->required = get_bool(r);
	spec->default_value = get_opt(r);
	spec->title = get_opt(r);
	spec->description = get_opt(r);
	spec->has_min = get_bool(r);
	spec->has_max = get_bool(r);
	spec->min = (int64_t)wire_get_u64(r);
	spec->max = (int64_t)wire_get_u64(r);
	spec->max_length = wire_get_u32(r);
	spec->pattern = get_opt(r);
	spec->values = get_strs(r, INPUT_MAX_VALUES, &spec->n_values);
	spec->under = get_opt(r);
	spec->schemes = get_strs(r, INPUT_MAX_VALUES, &spec->n_schemes);
	spec->allow_dash = get_bool(r);
	if (spec->type == INPUT_PATH && (spec->under == NULL || spec->under[0] != '/'))
		fail(r);
}

static void get_inputs(struct wire_reader *r, struct plan_step *step)
{
	size_t n = get_count(r, PLAN_MAX_INPUTS);

	step->inputs = xcalloc(n, sizeof(*step->inputs));
	step->n_inputs = n;
	for (size_t i = 0; i < n; i++) {
		get_spec(r, &step->inputs[i].spec);
		get_text(r, &step->inputs[i].value);
		step->inputs[i].present = get_bool(r);
	}
}

static void get_argv(struct wire_reader *r, struct plan_step *step)
{
	size_t n = get_count(r, PLAN_MAX_ARGS);

	step->argv = xcalloc(n, sizeof(*step->argv));
	step->n_argv = n;
	for (size_t i = 0; i < n; i++)
		get_text(r, &step->argv[i]);
}

static void get_env(struct wire_reader *r, struct plan_step *step)
{
	size_t n = get_count(r, PLAN_MAX_ENV);

	step->env = xcalloc(n, sizeof(*step->env));
	step->n_env = n;
	for (size_t i = 0; i < n; i++) {
		step->env[i].name = get_str(r);
		get_text(r, &step->env[i].value);
		step->env[i].secret_path = get_opt(r);
	}
}

static uint8_t *get_codes(struct wire_reader *r, size_t *ret_n)
{
	size_t n = get_count(r, PLAN_MAX_CODES);
	uint8_t *codes = xcalloc(n, 1);

	for (size_t i = 0; i < n; i++)
		codes[i] = wire_get_u8(r);
	*ret_n = n;
	return codes;
}

static void get_graph_extras(struct wire_reader *r, struct plan_step *step)
{
	step->retry.limit = wire_get_u16(r);
	step->retry.delay_us = wire_get_u64(r);
	step->retry.backoff = wire_get_u16(r);
	step->retry.exit_codes = get_codes(r, &step->retry.n_exit_codes);
	if (step->retry.limit > PLAN_MAX_RETRIES)
		fail(r);
	step->approve.prompt = get_opt(r);
	step->approve.timeout_us = wire_get_u64(r);
	step->approve.on_timeout = get_bool(r);
}

static void get_step(struct wire_reader *r, struct plan_step *step)
{
	size_t n;

	step->id = get_str(r);
	step->uses = get_str(r);
	step->title = get_str(r);
	step->phase = (enum plan_phase)get_enum(r, PLAN_FINALLY);
	n = get_count(r, PLAN_MAX_STEPS);
	step->needs = xcalloc(n, sizeof(*step->needs));
	step->n_needs = n;
	for (size_t i = 0; i < n; i++)
		step->needs[i] = wire_get_u16(r);
	step->continue_on_error = get_bool(r);
	step->condition = get_opt(r);
	get_graph_extras(r, step);
	get_inputs(r, step);
	step->executable = get_str(r);
	get_argv(r, step);
	get_env(r, step);
	get_text(r, &step->stdin_text);
	step->user = get_str(r);
	step->cwd = get_str(r);
	step->timeout_us = wire_get_u64(r);
	step->kill_after_us = wire_get_u64(r);
	step->success_codes = get_codes(r, &step->n_success_codes);
	step->outputs = get_strs(r, PLAN_MAX_OUTPUTS, &step->n_outputs);
	step->leave_children = get_bool(r);
	step->new_privileges = get_bool(r);
	step->limits.memory = wire_get_u64(r);
	step->limits.cpu_percent = wire_get_u32(r);
	step->limits.pids = wire_get_u32(r);
}

static void get_plan(struct wire_reader *r, struct plan *plan)
{
	if (wire_get_u64(r) != PLAN_MAGIC)
		fail(r);
	for (size_t i = 0; i < sizeof(plan->id.bytes); i++)
		plan->id.bytes[i] = wire_get_u8(r);
	plan->number = wire_get_u64(r);
	plan->is_flow = get_bool(r);
	plan->name = get_str(r);
	plan->title = get_str(r);
	plan->host = get_str(r);
	plan->actor = get_str(r);
	plan->trigger = get_str(r);
	plan->config_digest = get_str(r);
	plan->created_us = wire_get_u64(r);
	plan->timeout_us = wire_get_u64(r);
	plan->max_output = wire_get_u64(r);
	plan->default_user_override = get_opt(r);
	plan->n_inputs = get_count(r, PLAN_MAX_INPUTS);
	plan->inputs = xcalloc(plan->n_inputs, sizeof(*plan->inputs));
	for (size_t i = 0; i < plan->n_inputs; i++) {
		plan->inputs[i].name = get_str(r);
		plan->inputs[i].value = get_str(r);
		plan->inputs[i].secret = get_bool(r);
	}
	plan->n_steps = get_count(r, PLAN_MAX_STEPS);
	plan->steps = xcalloc(plan->n_steps, sizeof(*plan->steps));
	for (size_t i = 0; i < plan->n_steps && !r->failed; i++)
		get_step(r, &plan->steps[i]);
}

/* ---- what the bytes cannot say wrongly without being refused ---- */

static bool has_output(const struct plan_step *step, const char *name)
{
	for (size_t i = 0; i < step->n_outputs; i++) {
		if (strcmp(step->outputs[i], name) == 0)
			return true;
	}
	return false;
}

/* A text inside step number `at`: inputs may be referred to in argv, env and stdin, other steps in
 * inputs and env; a step only after it. */
static bool text_is_sound(const struct plan *plan, size_t at, const struct plan_text *text,
	bool inputs_ok, bool steps_ok)
{
	if (text->prefix == NULL)
		return false;
	switch (text->ref) {
	case PLAN_LITERAL:
	case PLAN_RUN_ID:
		return true;
	case PLAN_INPUT:
		return inputs_ok && text->index < plan->steps[at].n_inputs;
	case PLAN_STEP_OUTPUT:
		return steps_ok && text->index < at &&
		       has_output(&plan->steps[text->index], text->name);
	case PLAN_STEP_STATUS:
		return steps_ok && text->index < at;
	}
	return false;
}

/* A command has a program to run, an approval has none. */
static bool has_its_kind(const struct plan_step *step)
{
	if (step->approve.prompt != NULL)
		return step->phase == PLAN_MAIN && step->executable[0] == '\0' &&
		       step->n_argv == 0 && step->n_inputs == 0 && step->n_env == 0 &&
		       step->retry.limit == 0;
	return step->executable[0] == '/' && step->n_argv != 0 && step->user[0] != '\0' &&
	       step->cwd[0] == '/';
}

static bool step_is_sound(const struct plan *plan, size_t at)
{
	const struct plan_step *step = &plan->steps[at];

	if (step->id[0] == '\0' || !has_its_kind(step))
		return false;
	if (step->condition != NULL && expr_check(step->condition, NULL) != 0)
		return false;
	if (at > 0 && step->phase < plan->steps[at - 1].phase)
		return false;
	for (size_t i = 0; i < at; i++) {
		if (strcmp(plan->steps[i].id, step->id) == 0)
			return false;
	}
	for (size_t i = 0; i < step->n_needs; i++) {
		if (step->needs[i] >= at)
			return false;
	}
	for (size_t i = 0; i < step->n_inputs; i++) {
		if (!text_is_sound(plan, at, &step->inputs[i].value, false, true))
			return false;
	}
	for (size_t i = 0; i < step->n_argv; i++) {
		if (!text_is_sound(plan, at, &step->argv[i], true, false))
			return false;
	}
	for (size_t i = 0; i < step->n_env; i++) {
		if (step->env[i].name[0] == '\0' || strchr(step->env[i].name, '=') != NULL ||
			!text_is_sound(plan, at, &step->env[i].value, true, true))
			return false;
	}
	return step->stdin_text.prefix == NULL
		       ? step->stdin_text.ref == PLAN_LITERAL
		       : text_is_sound(plan, at, &step->stdin_text, true, false);
}

static bool plan_is_sound(const struct plan *plan)
{
	if (plan->n_steps == 0 || plan->name[0] == '\0')
		return false;
	for (size_t i = 0; i < plan->n_steps; i++) {
		if (!step_is_sound(plan, i))
			return false;
	}
	return true;
}

struct plan *plan_decode(const uint8_t *data, size_t n, struct err *err)
{
	struct plan *plan = xcalloc(1, sizeof(*plan));
	struct wire_reader r;

	wire_reader_init(&r, data, n);
	if (n > PLAN_MAX_BYTES)
		fail(&r);
	get_plan(&r, plan);
	if (wire_reader_finish(&r) == 0 && plan_is_sound(plan))
		return plan;
	plan_free(plan);
	err_set(err, -EBADMSG, "the %zu bytes are not a plan of this version", n);
	return NULL;
}
