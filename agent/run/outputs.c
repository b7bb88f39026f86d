#include "agent/run/outputs.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "agent/run/rundir.h"
#include "core/base/file.h"
#include "core/base/utf8.h"
#include "proto/wire.h"

/* Every attempt of every step may write a whole file. */
#define OUTPUTS_MAX_STORED_BYTES (16u << 20)

void outputs_init(struct outputs *outputs)
{
	*outputs = (struct outputs){0};
}

void outputs_fini(struct outputs *outputs)
{
	for (size_t i = 0; i < outputs->n; i++) {
		free(outputs->items[i].name);
		free(outputs->items[i].value);
	}
	free(outputs->items);
	outputs_init(outputs);
}

/* Sets a value: a later one of the same step, attempt and name takes the place of the earlier. */
static void set(struct outputs *outputs, const struct output *from)
{
	struct output *grown;

	for (size_t i = 0; i < outputs->n; i++) {
		struct output *item = &outputs->items[i];

		if (item->step == from->step && item->attempt == from->attempt &&
			strcmp(item->name, from->name) == 0) {
			free(item->name);
			free(item->value);
			*item = *from;
			return;
		}
	}
	grown = realloc(outputs->items, (outputs->n + 1) * sizeof(*grown));
	if (grown == NULL)
		abort();
	outputs->items = grown;
	outputs->items[outputs->n++] = *from;
}

static bool is_declared(const struct plan_step *step, const char *name, size_t n)
{
	for (size_t i = 0; i < step->n_outputs; i++) {
		if (strlen(step->outputs[i]) == n && memcmp(step->outputs[i], name, n) == 0)
			return true;
	}
	return false;
}

/* What is wrong with the value of an output, or NULL. */
static const char *value_problem(const char *value, size_t n)
{
	if (n > OUTPUTS_MAX_VALUE_BYTES)
		return "is longer than 16 KiB";
	if (!utf8_is_valid(value, n))
		return "is not valid UTF-8";
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)value[i];

		if (c < 0x20 || c == 0x7f)
			return "has control characters";
	}
	return NULL;
}

/* A name that may be shown: short, printable ASCII. */
static bool is_name(const char *name, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (name[i] <= ' ' || name[i] > '~')
			return false;
	}
	return n > 0 && n <= 64;
}

static int parse_line(const struct plan_step *step, const char *line, size_t n,
	struct outputs *outputs, struct output *item, struct err *err)
{
	const char *equals = memchr(line, '=', n);
	size_t name_len = equals != NULL ? (size_t)(equals - line) : 0;
	const char *problem;

	if (equals == NULL || !is_name(line, name_len))
		return err_set(err, -EINVAL, "is not name=value");
	if (!is_declared(step, line, name_len))
		return err_set(err, -EINVAL, "sets '%.*s', which the command does not declare",
			(int)name_len, line);
	problem = value_problem(equals + 1, n - name_len - 1);
	if (problem != NULL)
		return err_set(
			err, -EINVAL, "the value of '%.*s' %s", (int)name_len, line, problem);
	item->name = xstrndup(line, name_len);
	item->value = xstrndup(equals + 1, n - name_len - 1);
	set(outputs, item);
	return 0;
}

int outputs_parse(const struct plan_step *step, uint16_t step_index, uint16_t attempt,
	const uint8_t *data, size_t n, struct outputs *outputs, struct err *err)
{
	struct output item = {.step = step_index, .attempt = attempt};
	const char *at = (const char *)data;
	const char *end = n != 0 ? at + n : at;
	unsigned line_no = 0;
	int first = 0;

	if (n > OUTPUTS_MAX_FILE_BYTES)
		return err_set(err, -EMSGSIZE,
			"$OPS_OUTPUT is larger than 64 KiB; nothing of it was taken");
	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *stop = newline != NULL ? newline : end;
		struct err problem = {0};

		line_no++;
		if (stop > at &&
			parse_line(step, at, (size_t)(stop - at), outputs, &item, &problem) != 0 &&
			first == 0)
			first = err_set(
				err, -EINVAL, "$OPS_OUTPUT line %u: %s", line_no, problem.msg);
		at = newline != NULL ? newline + 1 : end;
	}
	return first;
}

const char *outputs_get(const struct outputs *outputs, uint16_t step, const char *name)
{
	const struct output *best = NULL;

	for (size_t i = 0; i < outputs->n; i++) {
		const struct output *item = &outputs->items[i];

		if (item->step == step && strcmp(item->name, name) == 0 &&
			(best == NULL || item->attempt >= best->attempt))
			best = item;
	}
	return best != NULL ? best->value : NULL;
}

int outputs_encode(const struct outputs *outputs, size_t first, struct buf *buf)
{
	for (size_t i = first; i < outputs->n; i++) {
		buf_append_le(buf, outputs->items[i].step, 2);
		buf_append_le(buf, outputs->items[i].attempt, 2);
		buf_append_counted(buf, outputs->items[i].name);
		buf_append_counted(buf, outputs->items[i].value);
	}
	return buf_err(buf);
}

int outputs_decode(const uint8_t *data, size_t n, struct outputs *outputs)
{
	struct wire_reader r;

	wire_reader_init(&r, data, n);
	while (r.at < r.end) {
		struct output item = {.step = wire_get_u16(&r), .attempt = wire_get_u16(&r)};
		struct wire_str name = wire_get_str(&r);
		struct wire_str value = wire_get_str(&r);

		if (r.failed)
			break;
		if (!is_name(name.data, name.len) || value_problem(value.data, value.len) != NULL)
			return -EBADMSG;
		item.name = xstrndup(name.data, name.len);
		item.value = xstrndup(value.data, value.len);
		set(outputs, &item);
	}
	return 0;
}

int outputs_read(int run_dir_fd, struct outputs *outputs, struct err *err)
{
	struct buf buf;
	int rc;

	buf_init(&buf, OUTPUTS_MAX_STORED_BYTES);
	rc = file_read(run_dir_fd, RUNDIR_OUTPUTS, &buf, err);
	if (rc == 0 && outputs_decode(buf.data, buf.len, outputs) != 0)
		rc = err_set(err, -EBADMSG, "%s is damaged", RUNDIR_OUTPUTS);
	buf_fini(&buf);
	return rc == -ENOENT ? 0 : rc;
}
