#include "agent/run/meta.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "agent/run/rundir.h"
#include "core/base/file.h"
#include "proto/crc32c.h"
#include "proto/wire.h"

#define META_MAGIC "OPSMETA2"
#define META_OLD_MAGIC "OPSMETA1" /* before approvals */
#define META_MAGIC_BYTES 8
#define META_HEAD_BYTES 12
#define META_MAX_INPUTS 64

/* ---- writing ---- */

static void put_step(struct buf *buf, const struct plan_step *step)
{
	buf_append_counted(buf, step->id);
	buf_append_counted(buf, step->uses);
	buf_append_counted(buf, step->title);
	buf_append_le(buf, step->phase, 1);
	buf_append_le(buf, step->n_needs, 2);
	for (size_t i = 0; i < step->n_needs; i++)
		buf_append_le(buf, step->needs[i], 2);
	buf_append_le(buf, step->n_outputs, 2);
	for (size_t i = 0; i < step->n_outputs; i++)
		buf_append_counted(buf, step->outputs[i]);
	buf_append_le(buf, step->timeout_us, 8);
	buf_append_counted(buf, step->user);
	buf_append_counted(buf, step->cwd);
	buf_append_le(buf, step->approve.prompt != NULL, 1);
	buf_append_counted(buf, step->approve.prompt);
	buf_append_le(buf, step->approve.timeout_us, 8);
	buf_append_le(buf, step->approve.on_timeout, 1);
}

static void put_plan(struct buf *buf, const struct plan *plan)
{
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
	buf_append_le(buf, plan->n_inputs, 2);
	for (size_t i = 0; i < plan->n_inputs; i++) {
		buf_append_counted(buf, plan->inputs[i].name);
		buf_append_counted(buf, plan->inputs[i].secret ? META_MASK : plan->inputs[i].value);
		buf_append_le(buf, plan->inputs[i].secret, 1);
	}
	buf_append_le(buf, plan->n_steps, 2);
	for (size_t i = 0; i < plan->n_steps; i++)
		put_step(buf, &plan->steps[i]);
}

int meta_encode(const struct plan *plan, struct buf *buf)
{
	size_t start = buf->len;
	uint32_t crc;

	buf_append(buf, META_MAGIC, META_MAGIC_BYTES);
	buf_append_le(buf, 0, 4);
	put_plan(buf, plan);
	if (buf_err(buf) != 0)
		return buf_err(buf);
	crc = crc32c(0, buf->data + start + META_HEAD_BYTES, buf->len - start - META_HEAD_BYTES);
	for (size_t i = 0; i < 4; i++)
		buf->data[start + META_MAGIC_BYTES + i] = (uint8_t)(crc >> (8 * i));
	return 0;
}

/* ---- reading ---- */

static char *get_text(struct wire_reader *r)
{
	struct wire_str s = wire_get_str(r);

	/* A NUL inside would make the text shorter than it says. */
	if (memchr(s.data != NULL ? s.data : "", '\0', s.len) != NULL)
		r->failed = true;
	return xstrndup(s.data, s.len);
}

/* A count, refused above max before anything is allocated for it. */
static size_t get_count(struct wire_reader *r, size_t max)
{
	size_t n = wire_get_u16(r);

	if (n > max)
		r->failed = true;
	return r->failed ? 0 : n;
}

static void get_approve(struct wire_reader *r, struct plan_approve *approve)
{
	bool is_approval = wire_get_u8(r) != 0;

	approve->prompt = get_text(r);
	if (!is_approval) {
		free(approve->prompt);
		approve->prompt = NULL;
	}
	approve->timeout_us = wire_get_u64(r);
	approve->on_timeout = wire_get_u8(r) != 0;
}

static void get_step(struct wire_reader *r, struct plan_step *step, size_t n_steps, bool is_old)
{
	step->id = get_text(r);
	step->uses = get_text(r);
	step->title = get_text(r);
	step->phase = (enum plan_phase)wire_get_u8(r);
	if (step->phase > PLAN_FINALLY)
		r->failed = true;
	step->n_needs = get_count(r, PLAN_MAX_STEPS);
	step->needs = xcalloc(step->n_needs, sizeof(*step->needs));
	for (size_t i = 0; i < step->n_needs; i++) {
		step->needs[i] = wire_get_u16(r);
		if (step->needs[i] >= n_steps)
			r->failed = true;
	}
	step->n_outputs = get_count(r, PLAN_MAX_OUTPUTS);
	step->outputs = xcalloc(step->n_outputs, sizeof(*step->outputs));
	for (size_t i = 0; i < step->n_outputs; i++)
		step->outputs[i] = get_text(r);
	step->timeout_us = wire_get_u64(r);
	step->user = get_text(r);
	step->cwd = get_text(r);
	if (!is_old)
		get_approve(r, &step->approve);
}

static void get_plan(struct wire_reader *r, struct plan *plan, bool is_old)
{
	for (size_t i = 0; i < sizeof(plan->id.bytes); i++)
		plan->id.bytes[i] = wire_get_u8(r);
	plan->number = wire_get_u64(r);
	plan->is_flow = wire_get_u8(r) != 0;
	plan->name = get_text(r);
	plan->title = get_text(r);
	plan->host = get_text(r);
	plan->actor = get_text(r);
	plan->trigger = get_text(r);
	plan->config_digest = get_text(r);
	plan->created_us = wire_get_u64(r);
	plan->timeout_us = wire_get_u64(r);
	plan->max_output = wire_get_u64(r);
	plan->n_inputs = get_count(r, META_MAX_INPUTS);
	plan->inputs = xcalloc(plan->n_inputs, sizeof(*plan->inputs));
	for (size_t i = 0; i < plan->n_inputs; i++) {
		plan->inputs[i].name = get_text(r);
		plan->inputs[i].value = get_text(r);
		plan->inputs[i].secret = wire_get_u8(r) != 0;
	}
	plan->n_steps = get_count(r, PLAN_MAX_STEPS);
	plan->steps = xcalloc(plan->n_steps, sizeof(*plan->steps));
	for (size_t i = 0; i < plan->n_steps; i++)
		get_step(r, &plan->steps[i], plan->n_steps, is_old);
}

struct plan *meta_decode(const uint8_t *data, size_t n, struct err *err)
{
	struct wire_reader r;
	struct plan *plan;
	bool is_old = n >= META_HEAD_BYTES && memcmp(data, META_OLD_MAGIC, META_MAGIC_BYTES) == 0;

	wire_reader_init(&r, data, n);
	if (n < META_HEAD_BYTES || (!is_old && memcmp(data, META_MAGIC, META_MAGIC_BYTES) != 0)) {
		err_set(err, -EBADMSG, "not a run's meta file");
		return NULL;
	}
	(void)wire_get_u64(&r);
	if (wire_get_u32(&r) != crc32c(0, data + META_HEAD_BYTES, n - META_HEAD_BYTES)) {
		err_set(err, -EBADMSG, "damaged: the checksum of meta does not match");
		return NULL;
	}
	plan = xcalloc(1, sizeof(*plan));
	get_plan(&r, plan, is_old);
	if (wire_reader_finish(&r) != 0) {
		err_set(err, -EBADMSG, "malformed meta file");
		meta_free(plan);
		return NULL;
	}
	return plan;
}

struct plan *meta_read(int run_dir_fd, struct err *err)
{
	struct plan *plan = NULL;
	struct buf buf;

	buf_init(&buf, META_MAX_BYTES);
	if (file_read(run_dir_fd, RUNDIR_META, &buf, err) == 0)
		plan = meta_decode(buf.data, buf.len, err);
	buf_fini(&buf);
	return plan;
}

void meta_free(struct plan *meta)
{
	plan_free(meta);
}
