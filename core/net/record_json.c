#include "core/net/record_json.h"

#include "core/base/json.h"

void record_json(const struct record *rec, uint64_t offset, struct buf *out)
{
	struct json json;

	json_init(&json, out);
	json_open_object(&json);
	json_kv_uint(&json, "offset", offset);
	json_kv_uint(&json, "time_us", rec->time_us);
	json_kv_uint(&json, "line", rec->line);
	if (rec->step == RECORD_STEP_RUN)
		json_kv_null(&json, "step");
	else
		json_kv_uint(&json, "step", rec->step);
	if (rec->kind == RECORD_EVENT) {
		json_kv_str(&json, "stream", "event");
		json_key(&json, "event");
		json_raw(&json, rec->payload, rec->length);
	} else {
		json_kv_str(&json, "stream", rec->kind == RECORD_STDOUT ? "stdout" : "stderr");
		json_key(&json, "text");
		json_strn(&json, rec->payload, rec->length);
	}
	if ((rec->flags & RECORD_FLAG_MASKED) != 0)
		json_kv_bool(&json, "masked", true);
	json_close_object(&json);
	buf_append_byte(out, '\n');
}
