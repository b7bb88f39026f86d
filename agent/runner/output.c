/*
 * The hot path: pipe → buffer → journal. Each stream has one buffer with room for a record's header
 * in front; read(2) puts up to 64 KiB behind it, and header and payload leave in one write(2).
 *
 * Happy path: read until the buffer is full or the pipe is empty, append, and again, up to the
 * stream's share of this turn. Gathering (run.h) keeps tiny writes from becoming tiny records.
 *
 * Disk full: the journal refuses, the bytes stay `held` in the buffer, state.disk_full is set, and
 * no stream is read until output_retry() brought the held bytes in; the pipes fill, the commands
 * block. A second cancel gives up what is held and what still comes; it is counted.
 *
 * With secrets in the run, read(2) goes to the masker's buffer, and what leaves it into the
 * stream's; what it still holds at the end of the file, or of the step, leaves then.
 *
 * Beyond max_output bytes are read and counted, but not kept; the command never blocks on that.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/run/event.h"
#include "agent/runner/run.h"

#define SHARE_RECORDS 16 /* of one stream in one turn */

int stream_init(struct stream *stream, int fd, enum record_kind kind, struct mask *mask)
{
	*stream = (struct stream){.fd = fd, .kind = kind};
	stream->buf = malloc(RECORD_MAX_BYTES);
	if (stream->buf == NULL)
		return -ENOMEM;
	/* Masking adds what it held back before to what it takes, so it takes less. */
	return mask == NULL ? 0
			    : mask_stream_init(
				      &stream->mask, mask, RECORD_MAX_PAYLOAD - mask_longest(mask));
}

void stream_fini(struct stream *stream)
{
	if (stream->fd >= 0)
		close(stream->fd);
	stream->fd = -1;
	free(stream->buf);
	stream->buf = NULL;
	stream->held = 0;
	mask_stream_fini(&stream->mask);
}

/* No more will be read: what the masker holds back is no secret's beginning. */
static void stream_release(struct stream *stream)
{
	if (stream->fd < 0 && stream->held == 0 && stream->mask.held != 0)
		stream->held = mask_flush(
			&stream->mask, stream->buf + RECORD_HEADER_BYTES, &stream->masked);
}

static void stream_close(struct stream *stream)
{
	close(stream->fd);
	stream->fd = -1;
	stream_release(stream);
}

void stream_start_drain(struct stream *stream)
{
	int n = 0;

	stream->drain = 0;
	if (stream->fd < 0)
		return;
	if (ioctl(stream->fd, FIONREAD, &n) == 0 && n > 0)
		stream->drain = (size_t)n;
	else
		stream_close(stream);
}

/* Output that is not to be kept any more: the journal broke, or a full disk and a second cancel. */
static bool is_given_up(const struct run *run)
{
	return run->broken != 0 || (run->state.disk_full && run->killed);
}

bool stream_wants(const struct run *run, const struct stream *stream)
{
	if (stream->fd < 0)
		return false;
	if (is_given_up(run))
		return true;
	return !run->state.disk_full && run->tokens >= 1;
}

uint64_t output_wake_at(const struct run *run)
{
	if (run->broken != 0)
		return RUN_NEVER; /* nothing is kept, nothing is waited for */
	if (run->state.disk_full)
		return run->disk_retry_at;
	if (run->tokens < 1)
		return run->tokens_at + RUN_TOKEN_US;
	return RUN_NEVER;
}

void output_tick(struct run *run)
{
	double grown = (double)(run->now - run->tokens_at) / (double)RUN_TOKEN_US;

	run->tokens = MIN((double)RUN_TOKENS, run->tokens + grown);
	run->tokens_at = run->now;
}

void output_wait_for_room(struct run *run)
{
	struct buf json;

	if (run->state.disk_full)
		return; /* disk_retry_at stands */
	run->disk_retry_at = run->now + RUN_DISK_RETRY_US;
	run->state.disk_full = true;
	run->state_dirty = true;
	buf_init(&json, RECORD_MAX_PAYLOAD);
	event_disk_full(&json, "no room for the journal; the output waits");
	run_event(run, RECORD_STEP_RUN, &json);
}

/* How much of n payload bytes max_output still takes. */
static size_t within_limit(const struct run *run, size_t n)
{
	uint64_t limit = run->plan->max_output;
	uint64_t used = run->journal.totals.bytes;

	if (limit == 0)
		return n;
	return used >= limit ? 0 : (size_t)MIN((uint64_t)n, limit - used);
}

static void drop(struct run *run, uint64_t *counter, size_t n)
{
	*counter += n;
	if (!run->state.truncated) {
		run->state.truncated = true;
		run->state_dirty = true;
	}
}

/* Brings what the buffer holds into the journal. Whether the buffer is free again. */
static bool stream_pass_on(struct run *run, struct attempt *attempt, struct stream *stream)
{
	size_t n = within_limit(run, stream->held);
	int rc;

	if (is_given_up(run)) {
		drop(run, &attempt->dropped_full, stream->held);
		stream->held = 0;
		return true;
	}
	if (n != 0) {
		struct journal_output output = {.step = attempt->step,
			.kind = stream->kind,
			.flags = stream->masked ? RECORD_FLAG_MASKED : 0};

		rc = journal_append_output(&run->journal, &output, stream->buf, n);
		if (rc == -ENOSPC) {
			output_wait_for_room(run);
			return false;
		}
		if (rc != 0) {
			run_break(run, rc);
			return false;
		}
		if (n < RUN_SMALL_RECORD)
			run->tokens -= 1;
	}
	if (n < stream->held)
		drop(run, &attempt->dropped, stream->held - n);
	stream->held = 0;
	stream->masked = false;
	return true;
}

/*
 * One read(2), all that the pipe has and the buffer takes. True when there may be more. Asking a
 * pipe again that has just been emptied would only fight with the writer over its lock: what comes
 * next is told by the next poll, and gathered.
 */
static bool stream_fill(struct stream *stream, bool draining)
{
	bool masks = stream->mask.mask != NULL;
	size_t room = masks ? stream->mask.room : RECORD_MAX_PAYLOAD - stream->held;
	uint8_t *to =
		masks ? mask_room(&stream->mask) : stream->buf + RECORD_HEADER_BYTES + stream->held;
	ssize_t n = 0;

	if (draining)
		room = MIN(room, stream->drain);
	if (room != 0) {
		do
			n = read(stream->fd, to, room);
		while (n < 0 && errno == EINTR);
	}
	if (n < 0 && errno == EAGAIN && !draining)
		return false;
	if (n <= 0) {
		/* The end of the file; or, draining, of what there was to read. */
		stream_close(stream);
		return false;
	}
	if (masks)
		stream->held = mask_take(&stream->mask, (size_t)n,
			stream->buf + RECORD_HEADER_BYTES, &stream->masked);
	else
		stream->held += (size_t)n;
	if (draining)
		stream->drain -= (size_t)n;
	return draining || (size_t)n == room;
}

void stream_read(struct run *run, struct attempt *attempt, struct stream *stream)
{
	bool draining = attempt->state == ATTEMPT_DRAINING;

	for (int i = 0; i < SHARE_RECORDS && stream_wants(run, stream); i++) {
		bool more;

		/* What a full disk had left here, and is given up now. */
		if (stream->held != 0 && !stream_pass_on(run, attempt, stream))
			return;
		more = stream_fill(stream, draining);
		if (stream->held != 0 && !stream_pass_on(run, attempt, stream))
			return;
		if (!more)
			return;
	}
}

bool stream_is_settled(struct run *run, struct attempt *attempt, struct stream *stream)
{
	if (stream->held != 0 && (is_given_up(run) || !run->state.disk_full))
		(void)stream_pass_on(run, attempt, stream);
	if (stream->fd < 0 && stream->held == 0 && stream->mask.held != 0) {
		stream_release(stream);
		(void)stream_pass_on(run, attempt, stream);
	}
	return stream->fd < 0 && stream->held == 0;
}

void output_retry(struct run *run)
{
	struct buf json;
	int rc = journal_flush(&run->journal);

	run->disk_retry_at = run->now + RUN_DISK_RETRY_US;
	if (rc != 0 && rc != -ENOSPC && rc != -EDQUOT) {
		run_break(run, rc);
		return;
	}
	if (rc != 0)
		return;
	for (size_t i = 0; i < RUN_MAX_ATTEMPTS; i++) {
		struct attempt *attempt = &run->attempts[i];

		for (size_t k = 0; k < 2 && attempt->state != ATTEMPT_NONE; k++) {
			struct stream *stream = &attempt->streams[k];

			if (stream->held != 0 && !stream_pass_on(run, attempt, stream))
				return;
		}
	}
	run->state.disk_full = false;
	run->state_dirty = true;
	buf_init(&json, RECORD_MAX_PAYLOAD);
	event_disk_ok(&json);
	run_event(run, RECORD_STEP_RUN, &json);
}
