#include "proto/msg.h"

#include <errno.h>

#include "proto/msg_fields.h"

/* A value outside of its bounds fails the message like missing bytes do. */
static void check_bounds(struct wire_reader *r, uint64_t value, uint64_t min, uint64_t max)
{
	if (value < min || value > max)
		r->failed = true;
}

#define ENCODE(type, name) wire_put_##type(&w, m->name);
#define ENCODE_BOUND(type, name, min, max) wire_put_##type(&w, m->name);
#define DECODE(type, name) m.name = wire_get_##type(&r);
#define DECODE_BOUND(type, name, min, max)                                                         \
	m.name = wire_get_##type(&r);                                                              \
	check_bounds(&r, m.name, min, max);

#define CODEC(x)                                                                                   \
	int msg_##x##_encode(const struct msg_##x *m, void *out, size_t cap)                       \
	{                                                                                          \
		struct wire_writer w;                                                              \
                                                                                                   \
		wire_writer_init(&w, out, cap);                                                    \
		FIELDS_##x(ENCODE, ENCODE_BOUND);                                                  \
		return wire_writer_finish(&w);                                                     \
	}                                                                                          \
	int msg_##x##_decode(const uint8_t *data, size_t n, struct msg_##x *ret_m)                 \
	{                                                                                          \
		struct wire_reader r;                                                              \
		struct msg_##x m;                                                                  \
                                                                                                   \
		wire_reader_init(&r, data, n);                                                     \
		FIELDS_##x(DECODE, DECODE_BOUND);                                                  \
		if (wire_reader_finish(&r) != 0)                                                   \
			return -EBADMSG;                                                           \
		*ret_m = m;                                                                        \
		return 0;                                                                          \
	}

MSG_EACH_PLAIN(CODEC)

/* What is left of the message, whatever it is. */
static const uint8_t *get_rest(struct wire_reader *r, size_t *ret_n)
{
	const uint8_t *at = r->at;

	*ret_n = (size_t)(r->end - r->at);
	r->at = r->end;
	return at;
}

int msg_request_encode(const struct msg_request *m, void *out, size_t cap)
{
	struct wire_writer w;

	wire_writer_init(&w, out, cap);
	wire_put_u16(&w, m->method);
	wire_put_str(&w, m->authorization);
	wire_put_bytes(&w, m->fields, m->fields_len);
	return wire_writer_finish(&w);
}

int msg_request_decode(const uint8_t *data, size_t n, struct msg_request *ret_m)
{
	struct wire_reader r;
	struct msg_request m;

	wire_reader_init(&r, data, n);
	m.method = wire_get_u16(&r);
	m.authorization = wire_get_str(&r);
	m.fields = get_rest(&r, &m.fields_len);
	if (wire_reader_finish(&r) != 0)
		return -EBADMSG;
	*ret_m = m;
	return 0;
}

static bool may_have_fields(uint16_t status)
{
	return status == MSG_OK || status == MSG_INVALID_INPUT;
}

int msg_response_encode(const struct msg_response *m, void *out, size_t cap)
{
	struct wire_writer w;

	wire_writer_init(&w, out, cap);
	wire_put_u16(&w, m->status);
	wire_put_str(&w, m->message);
	if (may_have_fields(m->status))
		wire_put_bytes(&w, m->fields, m->fields_len);
	return wire_writer_finish(&w);
}

int msg_response_decode(const uint8_t *data, size_t n, struct msg_response *ret_m)
{
	struct wire_reader r;
	struct msg_response m;

	wire_reader_init(&r, data, n);
	m.status = wire_get_u16(&r);
	m.message = wire_get_str(&r);
	m.fields = get_rest(&r, &m.fields_len);
	if (wire_reader_finish(&r) != 0 || (m.fields_len > 0 && !may_have_fields(m.status)))
		return -EBADMSG;
	*ret_m = m;
	return 0;
}

static void put_pairs(struct wire_writer *w, const struct msg_pair *pairs, uint16_t n, size_t max)
{
	if (n > max) {
		w->failed = true;
		return;
	}
	wire_put_u16(w, n);
	for (size_t i = 0; i < n; i++) {
		wire_put_str(w, pairs[i].name);
		wire_put_str(w, pairs[i].value);
	}
}

static uint16_t get_pairs(struct wire_reader *r, struct msg_pair *pairs, size_t max)
{
	uint16_t n = wire_get_u16(r);

	check_bounds(r, n, 0, max);
	for (size_t i = 0; i < n && !r->failed; i++) {
		pairs[i].name = wire_get_str(r);
		pairs[i].value = wire_get_str(r);
	}
	return n;
}

int msg_problems_encode(const struct msg_problems *m, void *out, size_t cap)
{
	struct wire_writer w;

	wire_writer_init(&w, out, cap);
	put_pairs(&w, m->items, m->n, MSG_MAX_PROBLEMS);
	return wire_writer_finish(&w);
}

int msg_problems_decode(const uint8_t *data, size_t n, struct msg_problems *ret_m)
{
	struct wire_reader r;
	struct msg_problems m = {0};

	wire_reader_init(&r, data, n);
	m.n = get_pairs(&r, m.items, MSG_MAX_PROBLEMS);
	if (wire_reader_finish(&r) != 0)
		return -EBADMSG;
	*ret_m = m;
	return 0;
}

int msg_run_start_encode(const struct msg_run_start *m, void *out, size_t cap)
{
	struct wire_writer w;

	wire_writer_init(&w, out, cap < MSG_MAX_START_BYTES ? cap : MSG_MAX_START_BYTES);
	wire_put_u8(&w, m->kind);
	wire_put_u8(&w, m->flags);
	wire_put_str(&w, m->id);
	wire_put_str(&w, m->actor);
	wire_put_str(&w, m->trigger);
	wire_put_str(&w, m->idempotency_key);
	put_pairs(&w, m->inputs, m->n_inputs, MSG_MAX_INPUTS);
	return wire_writer_finish(&w);
}

int msg_run_start_decode(const uint8_t *data, size_t n, struct msg_run_start *ret_m)
{
	struct wire_reader r;
	struct msg_run_start m = {0};

	if (n > MSG_MAX_START_BYTES)
		return -EBADMSG;
	wire_reader_init(&r, data, n);
	m.kind = wire_get_u8(&r);
	check_bounds(&r, m.kind, MSG_KIND_COMMAND, MSG_KIND_FLOW);
	m.flags = wire_get_u8(&r);
	check_bounds(&r, m.flags, 0, MSG_START_DRY_RUN);
	m.id = wire_get_str(&r);
	m.actor = wire_get_str(&r);
	m.trigger = wire_get_str(&r);
	m.idempotency_key = wire_get_str(&r);
	m.n_inputs = get_pairs(&r, m.inputs, MSG_MAX_INPUTS);
	if (wire_reader_finish(&r) != 0)
		return -EBADMSG;
	*ret_m = m;
	return 0;
}

int msg_chunk_encode(const struct msg_chunk *m, void *out, size_t cap)
{
	struct wire_writer w;

	wire_writer_init(&w, out, cap);
	wire_put_u64(&w, m->offset);
	wire_put_bytes(&w, m->records, m->records_len);
	return wire_writer_finish(&w);
}

int msg_chunk_decode(const uint8_t *data, size_t n, struct msg_chunk *ret_m)
{
	struct wire_reader r;
	struct msg_chunk m;

	wire_reader_init(&r, data, n);
	m.offset = wire_get_u64(&r);
	m.records = get_rest(&r, &m.records_len);
	if (wire_reader_finish(&r) != 0)
		return -EBADMSG;
	*ret_m = m;
	return 0;
}

const char *msg_method_name(uint16_t method)
{
	static const char *const names[] = {
		[MSG_HELLO] = "hello",
		[MSG_CATALOG] = "catalog",
		[MSG_RUN_START] = "run.start",
		[MSG_RUN_GET] = "run.get",
		[MSG_RUN_LIST] = "run.list",
		[MSG_RUN_TAIL] = "run.tail",
		[MSG_RUN_CANCEL] = "run.cancel",
		[MSG_RUN_APPROVE] = "run.approve",
		[MSG_RUN_LOCATE] = "run.locate",
		[MSG_RUN_RELEASE] = "run.release",
		[MSG_EVENTS] = "events",
		[MSG_STATUS] = "status",
		[MSG_STATUS_WATCH] = "status.watch",
		[MSG_SCHEDULE] = "schedule",
		[MSG_RELOAD] = "reload",
		[MSG_TAIL_OPEN] = "tail.open",
		[MSG_SCHEDULE_PAUSE] = "schedule.pause",
		[MSG_MAINTENANCE] = "maintenance",
		[MSG_RUN_CANCEL_ALL] = "run.cancel_all",
		[MSG_SECRET_ROTATE] = "secret.rotate",
		[MSG_RUN_STOP] = "run.stop",
	};

	return method < sizeof(names) / sizeof(names[0]) ? names[method] : NULL;
}

const char *msg_status_name(uint16_t status)
{
	static const char *const names[] = {
		[MSG_OK] = "ok",
		[MSG_MALFORMED] = "malformed",
		[MSG_UNAUTHORIZED] = "unauthorized",
		[MSG_FORBIDDEN] = "forbidden",
		[MSG_NOT_FOUND] = "not_found",
		[MSG_CONFLICT] = "conflict",
		[MSG_INVALID_INPUT] = "invalid_input",
		[MSG_LIMIT] = "limit",
		[MSG_UNAVAILABLE] = "unavailable",
		[MSG_INTERNAL] = "internal",
		[MSG_BAD_OFFSET] = "bad_offset",
		[MSG_UNSUPPORTED] = "unsupported",
	};

	return status < sizeof(names) / sizeof(names[0]) ? names[status] : "unknown";
}
