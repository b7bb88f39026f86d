#include "agent/probes/tailout.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/json.h"

static void put(struct tailout *out, struct record *rec)
{
	if (rec->time_us == 0)
		rec->time_us = clock_wall_us();
	rec->line = out->line;
	record_encode_header(rec, out->bytes);
	memcpy(out->bytes + RECORD_HEADER_BYTES, rec->payload, rec->length);
	if (file_write_all(out->fd, out->bytes, RECORD_HEADER_BYTES + (size_t)rec->length) != 0)
		_exit(0); /* nobody reads any more */
	if (rec->kind != RECORD_EVENT)
		out->line += record_count_newlines(rec->payload, rec->length);
}

void tailout_write(
	struct tailout *out, enum record_kind kind, uint64_t time_us, const uint8_t *data, size_t n)
{
	while (n != 0) {
		struct record rec = {.time_us = time_us,
			.length = (uint32_t)MIN(n, (size_t)RECORD_MAX_PAYLOAD),
			.kind = (uint8_t)kind,
			.payload = data};

		put(out, &rec);
		data += rec.length;
		n -= rec.length;
	}
}

void tailout_end(struct tailout *out, const char *fmt, ...)
{
	struct record rec = {.step = RECORD_STEP_RUN, .kind = RECORD_EVENT};
	char message[512];
	struct json json;
	struct buf buf;
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	buf_init(&buf, 8192);
	json_init(&json, &buf);
	json_open_object(&json);
	json_kv_str(&json, "event", "tail.ended");
	json_kv_str(&json, "message", message);
	json_close_object(&json);
	rec.payload = buf.data;
	rec.length = (uint32_t)buf.len;
	if (buf_err(&buf) == 0)
		put(out, &rec);
	buf_fini(&buf);
}
