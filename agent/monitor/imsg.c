#include "agent/monitor/imsg.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/utf8.h"

/* Which fields a type carries, in this order. */
enum {
	F_SEQ = 1 << 0, /* must not be zero */
	F_PEER = 1 << 1,
	F_RUN = 1 << 2,
	F_ANSWER = 1 << 3, /* created, status */
	F_MESSAGE = 1 << 4,
	F_CONFIG_DIGEST = 1 << 5,
	F_DIGEST = 1 << 6,
	F_ACTOR = 1 << 7,
	F_REASON = 1 << 8,
	F_FIELDS = 1 << 9,
	F_STEP = 1 << 10, /* step, approve */
};

static const unsigned fields_of[] = {
	[IMSG_START] = F_SEQ | F_PEER | F_CONFIG_DIGEST | F_FIELDS,
	[IMSG_CANCEL] = F_SEQ | F_PEER | F_RUN | F_ACTOR | F_REASON,
	[IMSG_RELEASE] = F_SEQ | F_RUN | F_DIGEST,
	[IMSG_RELOAD] = F_SEQ | F_PEER | F_ACTOR,
	[IMSG_BAD_SECRET] = F_PEER,
	[IMSG_BAD_PEER] = F_PEER,
	[IMSG_ANSWER] = F_SEQ | F_RUN | F_ANSWER | F_MESSAGE | F_CONFIG_DIGEST | F_FIELDS,
	[IMSG_CONFIG] = F_MESSAGE,
	[IMSG_SHUTDOWN] = 0,
	[IMSG_APPROVE] = F_SEQ | F_PEER | F_RUN | F_ACTOR | F_REASON | F_STEP,
	[IMSG_PAUSE] = F_SEQ | F_PEER | F_ACTOR | F_REASON | F_STEP,
	[IMSG_MAINTENANCE] = F_SEQ | F_PEER | F_ACTOR | F_REASON | F_STEP,
	[IMSG_CANCEL_ALL] = F_SEQ | F_PEER | F_ACTOR | F_REASON,
	[IMSG_ROTATE] = F_SEQ | F_PEER | F_FIELDS,
	[IMSG_STOP] = F_SEQ | F_PEER | F_RUN | F_ACTOR | F_REASON | F_STEP,
};

static bool type_is_known(uint8_t type)
{
	return type >= IMSG_START && type < ARRAY_LEN(fields_of);
}

int imsg_encode(const struct imsg *msg, void *out, size_t cap)
{
	struct wire_writer w;
	unsigned has;

	if (!type_is_known(msg->type))
		return -EINVAL;
	has = fields_of[msg->type];
	wire_writer_init(&w, out, MIN(cap, (size_t)IMSG_MAX_BYTES));
	wire_put_u8(&w, msg->type);
	wire_put_u32(&w, msg->seq);
	if (has & F_PEER) {
		wire_put_u32(&w, msg->peer.uid);
		wire_put_u32(&w, (uint32_t)msg->peer.pid);
	}
	if (has & F_RUN)
		wire_put_bytes(&w, msg->run.bytes, sizeof(msg->run.bytes));
	if (has & F_ANSWER) {
		wire_put_u8(&w, msg->created);
		wire_put_u16(&w, msg->status);
	}
	if (has & F_MESSAGE)
		wire_put_str(&w, msg->message);
	if (has & F_CONFIG_DIGEST)
		wire_put_str(&w, msg->config_digest);
	if (has & F_DIGEST)
		wire_put_str(&w, msg->digest);
	if (has & F_ACTOR)
		wire_put_str(&w, msg->actor);
	if (has & F_REASON)
		wire_put_str(&w, msg->reason);
	if (has & F_FIELDS)
		wire_put_str(&w, msg->fields);
	if (has & F_STEP) {
		wire_put_str(&w, msg->step);
		wire_put_u8(&w, msg->approve);
	}
	return wire_writer_finish(&w);
}

static void get_uuid(struct wire_reader *r, struct uuid *ret_uuid)
{
	for (size_t i = 0; i < sizeof(ret_uuid->bytes); i++)
		ret_uuid->bytes[i] = wire_get_u8(r);
}

static void get_answer(struct wire_reader *r, struct imsg *m)
{
	uint8_t created = wire_get_u8(r);

	if (created > 1)
		r->failed = true;
	m->created = created != 0;
	m->status = wire_get_u16(r);
}

static void get_step(struct wire_reader *r, struct imsg *m)
{
	uint8_t approve;

	m->step = wire_get_str(r);
	approve = wire_get_u8(r);
	if (approve > 1)
		r->failed = true;
	m->approve = approve != 0;
}

int imsg_decode(const uint8_t *data, size_t n, struct imsg *ret_msg)
{
	struct imsg m = {0};
	struct wire_reader r;
	unsigned has;

	wire_reader_init(&r, data, n);
	m.type = wire_get_u8(&r);
	m.seq = wire_get_u32(&r);
	if (n > IMSG_MAX_BYTES || !type_is_known(m.type))
		return -EBADMSG;
	has = fields_of[m.type];
	if ((m.seq != 0) != ((has & F_SEQ) != 0))
		return -EBADMSG;
	if (has & F_PEER) {
		m.peer.uid = wire_get_u32(&r);
		m.peer.pid = (int32_t)wire_get_u32(&r);
	}
	if (has & F_RUN)
		get_uuid(&r, &m.run);
	if (has & F_ANSWER)
		get_answer(&r, &m);
	if (has & F_MESSAGE)
		m.message = wire_get_str(&r);
	if (has & F_CONFIG_DIGEST)
		m.config_digest = wire_get_str(&r);
	if (has & F_DIGEST)
		m.digest = wire_get_str(&r);
	if (has & F_ACTOR)
		m.actor = wire_get_str(&r);
	if (has & F_REASON)
		m.reason = wire_get_str(&r);
	if (has & F_FIELDS)
		m.fields = wire_get_str(&r);
	if (has & F_STEP)
		get_step(&r, &m);
	if (wire_reader_finish(&r) != 0)
		return -EBADMSG;
	*ret_msg = m;
	return 0;
}

bool imsg_actor_is_valid(struct wire_str actor, uint32_t peer_uid)
{
	static const char *const kinds[] = {"user:", "token:", "schedule:", "hook:", "opsctl:"};
	char own[24];

	if (actor.len > IMSG_MAX_ACTOR || !utf8_is_valid(actor.data, actor.len))
		return false;
	for (uint32_t i = 0; i < actor.len; i++) {
		unsigned char c = (unsigned char)actor.data[i];

		if (c < 0x20 || c == 0x7f)
			return false;
	}
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		size_t len = strlen(kinds[i]);

		if (actor.len <= len || memcmp(actor.data, kinds[i], len) != 0)
			continue;
		if (i + 1 < ARRAY_LEN(kinds))
			return true;
		snprintf(own, sizeof(own), "opsctl:%u", peer_uid);
		return wire_str_eq(actor, own);
	}
	return false;
}
