#include "agent/probes/dockerlog.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "agent/probes/engine.h"

#define STDERR_STREAM 2
#define LAST_STREAM 3 /* what the engine itself has to say of the stream */

void dockerlog_init(struct dockerlog *log, dockerlog_fn on_output, void *arg)
{
	*log = (struct dockerlog){.on_output = on_output, .arg = arg};
}

static void emit(struct dockerlog *log, const uint8_t *data, size_t n)
{
	enum record_kind kind = log->head[0] >= STDERR_STREAM ? RECORD_STDERR : RECORD_STDOUT;

	if (n != 0)
		log->on_output(log->arg, kind, log->time_us, data, n);
}

static void begin_next(struct dockerlog *log)
{
	log->where = DOCKERLOG_IN_HEAD;
	log->head_len = log->stamp_len = 0;
	log->time_us = 0;
}

static size_t take_head(struct dockerlog *log, const uint8_t *data, size_t n)
{
	size_t used = MIN(n, DOCKERLOG_HEAD - log->head_len);

	memcpy(log->head + log->head_len, data, used);
	log->head_len += used;
	if (log->head_len == DOCKERLOG_HEAD) {
		log->left = (uint32_t)log->head[4] << 24 | (uint32_t)log->head[5] << 16 |
			    (uint32_t)log->head[6] << 8 | log->head[7];
		log->where = DOCKERLOG_IN_STAMP;
	}
	return used;
}

/* The time is over: at its space, or it was none and is text like all else. */
static void end_stamp(struct dockerlog *log, bool has_space)
{
	char text[DOCKERLOG_MAX_STAMP + 1];

	memcpy(text, log->stamp, log->stamp_len);
	text[log->stamp_len] = '\0';
	log->time_us = has_space ? engine_time_us(text) : 0;
	log->where = DOCKERLOG_IN_TEXT;
	if (log->time_us == 0)
		emit(log, log->stamp, log->stamp_len);
}

static size_t take_stamp(struct dockerlog *log, const uint8_t *data, size_t n)
{
	size_t used = 0;

	while (used < n && log->left > 0 && log->where == DOCKERLOG_IN_STAMP) {
		uint8_t byte = data[used++];

		log->stamp[log->stamp_len++] = byte;
		log->left--;
		if (byte == ' ')
			end_stamp(log, true);
		else if (log->stamp_len == DOCKERLOG_MAX_STAMP)
			end_stamp(log, false);
	}
	if (log->left == 0 && log->where == DOCKERLOG_IN_STAMP)
		end_stamp(log, false);
	return used;
}

static size_t take_text(struct dockerlog *log, const uint8_t *data, size_t n)
{
	size_t used = MIN(n, (size_t)log->left);

	emit(log, data, used);
	log->left -= (uint32_t)used;
	return used;
}

int dockerlog_feed(struct dockerlog *log, const uint8_t *data, size_t n)
{
	while (n > 0 || (log->where != DOCKERLOG_IN_HEAD && log->left == 0)) {
		size_t used;

		if (log->where == DOCKERLOG_IN_HEAD)
			used = take_head(log, data, n);
		else if (log->where == DOCKERLOG_IN_STAMP)
			used = take_stamp(log, data, n);
		else
			used = take_text(log, data, n);
		if (log->head[0] > LAST_STREAM ||
			(log->head_len == DOCKERLOG_HEAD &&
				(log->head[1] | log->head[2] | log->head[3]) != 0))
			return -EBADMSG;
		if (log->where == DOCKERLOG_IN_TEXT && log->left == 0)
			begin_next(log);
		data += used;
		n -= used;
	}
	return 0;
}
