#include "agent/run/state.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/run/rundir.h"
#include "core/base/clock.h"
#include "core/base/hex.h"
#include "proto/crc32c.h"
#include "proto/wire.h"

/* u32 magic, u32 crc32c of the rest of the block, then the fields in the struct's order. */
#define STATE_MAGIC 0x3154534fu /* "OST1" */
#define STATE_HEAD_BYTES 8
#define STATE_READ_TRIES 20

#define FLAG_DISK_FULL 0x01
#define FLAG_TRUNCATED 0x02
#define FLAG_CANCEL_REQUESTED 0x04

static void put_step(struct wire_writer *w, const struct step_state *step)
{
	wire_put_u8(w, step->status);
	wire_put_u8(w, step->reason);
	wire_put_u16(w, step->attempt);
	wire_put_u16(w, (uint16_t)step->exit_code);
	wire_put_u16(w, step->signal);
	wire_put_u64(w, step->started_us);
	wire_put_u64(w, step->finished_us);
	wire_put_u64(w, step->offset);
	wire_put_u32(w, (uint32_t)step->pid);
}

void state_encode(const struct run_state *state, uint8_t out[STATE_BYTES])
{
	struct wire_writer w;

	assert(state->n_steps <= PLAN_MAX_STEPS);
	memset(out, 0, STATE_BYTES);
	wire_writer_init(&w, out + STATE_HEAD_BYTES, STATE_BYTES - STATE_HEAD_BYTES);
	wire_put_u64(&w, state->seq);
	wire_put_u8(&w, state->status);
	wire_put_u8(&w, state->reason);
	wire_put_u16(&w, (uint16_t)state->exit_code);
	wire_put_u16(&w, state->signal);
	wire_put_u8(&w, (uint8_t)((state->disk_full ? FLAG_DISK_FULL : 0) |
				  (state->truncated ? FLAG_TRUNCATED : 0) |
				  (state->cancel_requested ? FLAG_CANCEL_REQUESTED : 0)));
	wire_put_u32(&w, (uint32_t)state->runner_pid);
	wire_put_u64(&w, state->runner_start_ticks);
	wire_put_bytes(&w, state->boot_id, sizeof(state->boot_id));
	wire_put_u64(&w, state->written_boot_us);
	wire_put_u64(&w, state->started_us);
	wire_put_u64(&w, state->finished_us);
	wire_put_u64(&w, state->bytes);
	wire_put_u64(&w, state->lines);
	wire_put_u64(&w, state->records);
	wire_put_u64(&w, state->size);
	wire_put_u64(&w, state->durable_offset);
	wire_put_bytes(&w, state->digest, sizeof(state->digest));
	wire_put_u16(&w, state->n_steps);
	for (size_t i = 0; i < state->n_steps; i++)
		put_step(&w, &state->steps[i]);
	assert(wire_writer_finish(&w) > 0);
	wire_writer_init(&w, out, STATE_HEAD_BYTES);
	wire_put_u32(&w, STATE_MAGIC);
	wire_put_u32(&w, crc32c(0, out + STATE_HEAD_BYTES, STATE_BYTES - STATE_HEAD_BYTES));
}

static void get_bytes(struct wire_reader *r, uint8_t *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = wire_get_u8(r);
}

static void get_step(struct wire_reader *r, struct step_state *step)
{
	step->status = wire_get_u8(r);
	step->reason = wire_get_u8(r);
	step->attempt = wire_get_u16(r);
	step->exit_code = (int16_t)wire_get_u16(r);
	step->signal = wire_get_u16(r);
	step->started_us = wire_get_u64(r);
	step->finished_us = wire_get_u64(r);
	step->offset = wire_get_u64(r);
	step->pid = (int32_t)wire_get_u32(r);
}

static void get_fields(struct wire_reader *r, struct run_state *state)
{
	uint8_t flags;

	state->seq = wire_get_u64(r);
	state->status = wire_get_u8(r);
	state->reason = wire_get_u8(r);
	state->exit_code = (int16_t)wire_get_u16(r);
	state->signal = wire_get_u16(r);
	flags = wire_get_u8(r);
	state->disk_full = (flags & FLAG_DISK_FULL) != 0;
	state->truncated = (flags & FLAG_TRUNCATED) != 0;
	state->cancel_requested = (flags & FLAG_CANCEL_REQUESTED) != 0;
	state->runner_pid = (int32_t)wire_get_u32(r);
	state->runner_start_ticks = wire_get_u64(r);
	get_bytes(r, state->boot_id, sizeof(state->boot_id));
	state->written_boot_us = wire_get_u64(r);
	state->started_us = wire_get_u64(r);
	state->finished_us = wire_get_u64(r);
	state->bytes = wire_get_u64(r);
	state->lines = wire_get_u64(r);
	state->records = wire_get_u64(r);
	state->size = wire_get_u64(r);
	state->durable_offset = wire_get_u64(r);
	get_bytes(r, state->digest, sizeof(state->digest));
	state->n_steps = wire_get_u16(r);
}

int state_decode(const uint8_t block[STATE_BYTES], struct run_state *ret_state)
{
	struct run_state state = {0};
	struct wire_reader r;

	wire_reader_init(&r, block, STATE_BYTES);
	if (wire_get_u32(&r) != STATE_MAGIC ||
		wire_get_u32(&r) !=
			crc32c(0, block + STATE_HEAD_BYTES, STATE_BYTES - STATE_HEAD_BYTES))
		return -EBADMSG;
	get_fields(&r, &state);
	if (state.n_steps > PLAN_MAX_STEPS || state.status > RUN_SKIPPED ||
		state.reason > REASON_QUEUE_FULL)
		return -EBADMSG;
	for (size_t i = 0; i < state.n_steps; i++) {
		get_step(&r, &state.steps[i]);
		if (state.steps[i].status > STEP_LOST || state.steps[i].reason > REASON_QUEUE_FULL)
			return -EBADMSG;
	}
	*ret_state = state;
	return 0;
}

void state_init(struct run_state *state, const struct plan *plan)
{
	*state = (struct run_state){.status = RUN_QUEUED, .exit_code = -1};
	assert(plan->n_steps <= PLAN_MAX_STEPS);
	state_boot_id(state->boot_id);
	state->n_steps = (uint16_t)plan->n_steps;
	for (size_t i = 0; i < plan->n_steps; i++)
		state->steps[i] = (struct step_state){
			.status = STEP_PENDING, .exit_code = -1, .offset = UINT64_MAX};
}

int state_open(int run_dir_fd)
{
	int fd = rundir_create(run_dir_fd, RUNDIR_STATE, O_RDWR);

	/* Room is made now, so that a full disk cannot keep the status from being written. A file
	 * system without fallocate answers EOPNOTSUPP: then the first write has to do. */
	if (fd >= 0 && fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, STATE_BYTES) != 0 &&
		errno != EOPNOTSUPP) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	return fd;
}

int state_write(int state_fd, struct run_state *state)
{
	uint8_t block[STATE_BYTES];
	ssize_t n;

	state->seq++;
	state->written_boot_us = clock_mono_us();
	state_encode(state, block);
	do
		n = pwrite(state_fd, block, sizeof(block), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n == STATE_BYTES ? 0 : -ENOSPC;
}

int state_read(int run_dir_fd, struct run_state *ret_state)
{
	uint8_t block[STATE_BYTES];
	int fd = openat(run_dir_fd, RUNDIR_STATE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
	int rc = -EBADMSG;

	if (fd < 0)
		return -errno;
	for (int i = 0; i < STATE_READ_TRIES && rc == -EBADMSG; i++) {
		ssize_t n = pread(fd, block, sizeof(block), 0);

		if (n < 0)
			rc = -errno;
		else if (n == STATE_BYTES)
			rc = state_decode(block, ret_state);
	}
	close(fd);
	return rc;
}

void state_boot_id(uint8_t ret_id[16])
{
	char text[UUID_TEXT_BYTES] = {0};
	struct uuid id;
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	memset(ret_id, 0, 16);
	if (fd < 0)
		return;
	if (read(fd, text, UUID_TEXT_BYTES - 1) == UUID_TEXT_BYTES - 1 &&
		uuid_parse(text, UUID_TEXT_BYTES - 1, &id) == 0)
		memcpy(ret_id, id.bytes, 16);
	close(fd);
}

static const char *const run_statuses[] = {
	[RUN_QUEUED] = "queued",
	[RUN_RUNNING] = "running",
	[RUN_WAITING] = "waiting",
	[RUN_SUCCEEDED] = "succeeded",
	[RUN_FAILED] = "failed",
	[RUN_CANCELLED] = "cancelled",
	[RUN_TIMED_OUT] = "timed_out",
	[RUN_LOST] = "lost",
	[RUN_SKIPPED] = "skipped",
};

static const char *const step_statuses[] = {
	[STEP_PENDING] = "pending",
	[STEP_RUNNING] = "running",
	[STEP_WAITING] = "waiting",
	[STEP_RETRYING] = "retrying",
	[STEP_SUCCEEDED] = "succeeded",
	[STEP_FAILED] = "failed",
	[STEP_SKIPPED] = "skipped",
	[STEP_CANCELLED] = "cancelled",
	[STEP_TIMED_OUT] = "timed_out",
	[STEP_LOST] = "lost",
};

static const char *const reasons[] = {
	[REASON_NONE] = NULL,
	[REASON_EXIT] = "exit",
	[REASON_SIGNAL] = "signal",
	[REASON_SPAWN_FAILED] = "spawn_failed",
	[REASON_OOM] = "oom",
	[REASON_REJECTED] = "rejected",
	[REASON_TIMEOUT] = "timeout",
	[REASON_CANCELLED] = "cancelled",
	[REASON_RUNNER_DIED] = "runner_died",
	[REASON_HOST_RESTARTED] = "host_restarted",
	[REASON_QUEUE_FULL] = "queue_full",
};

const char *run_status_name(enum run_status status)
{
	assert((size_t)status < ARRAY_LEN(run_statuses));
	return run_statuses[status];
}

const char *step_status_name(enum step_status status)
{
	assert((size_t)status < ARRAY_LEN(step_statuses));
	return step_statuses[status];
}

const char *run_reason_name(enum run_reason reason)
{
	assert((size_t)reason < ARRAY_LEN(reasons));
	return reasons[reason];
}

bool run_status_is_final(enum run_status status)
{
	return status > RUN_WAITING;
}

bool step_status_is_final(enum step_status status)
{
	return status > STEP_RETRYING;
}

static bool same(const char *text, const char *name, size_t len)
{
	return text != NULL && strlen(text) == len && memcmp(text, name, len) == 0;
}

int run_status_parse(const char *name, size_t len, enum run_status *ret_status)
{
	for (size_t i = 0; i < ARRAY_LEN(run_statuses); i++) {
		if (same(run_statuses[i], name, len)) {
			*ret_status = (enum run_status)i;
			return 0;
		}
	}
	return -EINVAL;
}

int run_reason_parse(const char *name, size_t len, enum run_reason *ret_reason)
{
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		if (same(reasons[i], name, len)) {
			*ret_reason = (enum run_reason)i;
			return 0;
		}
	}
	return -EINVAL;
}
