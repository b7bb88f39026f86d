#include "agent/monitor/rotate.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "agent/monitor/secret.h"
#include "agent/monitor/state.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "proto/msg.h"

#define OPSCTL "opsctl:"

static void forget(struct monitor *m)
{
	m->old_secret_by_us = 0;
	if (unlinkat(m->state_fd, SECRET_OLD_FILE, 0) != 0 && errno != ENOENT)
		log_error(LOG_EV("secret.old_stays"), LOG_STR("error", strerror(errno)));
}

void rotate_resume(struct monitor *m)
{
	struct secret_old old;
	int rc = secret_old_read(m->settings.state_dir, &old);
	uint64_t left = rc == 0 ? secret_old_left_us(&old, clock_wall_us()) : 0;

	if (rc == 0)
		secret_wipe(&old.secret);
	if (rc == -EBADMSG)
		log_error(LOG_EV("secret.old_damaged"));
	if (left != 0)
		m->old_secret_by_us = clock_mono_us() + left;
	else if (rc != -ENOENT)
		forget(m);
}

uint64_t rotate_step(struct monitor *m, uint64_t now_us)
{
	if (m->old_secret_by_us != 0 && now_us >= m->old_secret_by_us)
		forget(m);
	return m->old_secret_by_us;
}

/* Answers and returns false when this may not be. */
static bool may_rotate(struct monitor *m, const struct imsg *msg, struct msg_secret_rotate *ret_ask)
{
	size_t n = strlen(OPSCTL);

	if (msg_secret_rotate_decode((const uint8_t *)msg->fields.data, msg->fields.len, ret_ask) !=
			0 ||
		!imsg_actor_is_valid(ret_ask->actor, msg->peer.uid)) {
		requests_answer(m, msg->seq, MSG_FORBIDDEN, "an actor that cannot be");
	} else if (ret_ask->actor.len < n || memcmp(ret_ask->actor.data, OPSCTL, n) != 0 ||
		   (msg->peer.uid != 0 && msg->peer.uid != geteuid())) {
		requests_answer(m, msg->seq, MSG_FORBIDDEN,
			"only root, or the user the agent runs as, may change the secret, and only "
			"with opsctl");
	} else if (ret_ask->grace_s > SECRET_MAX_GRACE_S) {
		requests_answer(m, msg->seq, MSG_LIMIT, "the old secret stays for 7 days at most");
	} else if (m->old_secret_by_us != 0 && ret_ask->grace_s != 0) {
		requests_answer(m, msg->seq, MSG_CONFLICT,
			"the secret before this one is still good: wait until it is not, or take "
			"both away at once with --now");
	} else {
		return true;
	}
	return false;
}

/* Both files. The old secret's first: whoever has read the new one then finds both in force. */
static int write_files(struct monitor *m, struct secret_old *old, struct err *err)
{
	gid_t gid = m->settings.drop_privileges ? m->settings.worker_gid : (gid_t)-1;
	struct secret new;
	int rc = secret_old_write(m->state_fd, old, gid, err);

	if (rc != 0)
		return rc;
	secret_make(&new);
	rc = secret_replace(m->settings.secret_path, &new, err);
	secret_wipe(&new);
	if (rc != 0)
		forget(m);
	return rc;
}

static void note(struct monitor *m, const struct msg_secret_rotate *ask, uint64_t until_us)
{
	struct json *json = ledger_begin(m->ledger, "secret.rotated");
	struct err err = {0};

	json_key(json, "actor");
	json_strn(json, ask->actor.data, ask->actor.len);
	json_kv_uint(json, "old_valid_until_us", until_us);
	(void)!requests_commit(m, &err);
	log_warn(LOG_EV("secret.rotated"), LOG_INT("grace_s", ask->grace_s));
}

void rotate_handle(struct monitor *m, const struct imsg *msg)
{
	uint64_t now = clock_wall_us();
	struct msg_secret_rotate_reply done;
	struct imsg reply = {.type = IMSG_ANSWER, .seq = msg->seq};
	struct secret_old old = {.from_us = now};
	struct msg_secret_rotate ask;
	struct err err = {0};
	uint8_t bytes[8];
	int rc = 0, n;

	if (!may_rotate(m, msg, &ask))
		return;
	done.old_valid_until_us = old.until_us = now + ask.grace_s * UINT64_C(1000000);
	if (ask.grace_s != 0)
		rc = secret_load(m->settings.secret_path, &old.secret, &err);
	if (rc == 0)
		rc = write_files(m, &old, &err);
	secret_wipe(&old.secret);
	if (rc != 0) {
		log_error(LOG_EV("secret.not_rotated"), LOG_STR("error", err.msg));
		requests_answer(m, msg->seq, MSG_UNAVAILABLE, err.msg);
		return;
	}
	/* without grace the file stays a moment as well: it tells the worker to read the new one */
	m->old_secret_by_us = clock_mono_us() + MAX(ask.grace_s, 1u) * UINT64_C(1000000);
	note(m, &ask, done.old_valid_until_us);
	n = msg_secret_rotate_reply_encode(&done, bytes, sizeof(bytes));
	reply.fields = (struct wire_str){(const char *)bytes, n > 0 ? (uint32_t)n : 0};
	child_send(&m->child, &reply);
}
