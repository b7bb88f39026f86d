#include "agent/worker/secrets.h"

#include <stdlib.h>
#include <string.h>

#include "agent/worker/conn.h"
#include "core/base/clock.h"

void secrets_drop_old(struct worker *worker)
{
	const struct secrets *secrets = &worker->secrets;

	if (secrets->old.len != 0)
		return;
	list_foreach(pos, tmp, &worker->conns)
	{
		struct conn *conn = container_of(pos, struct conn, link);

		if (conn->authorized && conn->secret_generation != secrets->generation)
			conn_goaway(conn, MSG_GOAWAY_UNAUTHORIZED, "the secret has been changed");
	}
}

/* The old secret has been good long enough. */
static void on_grace_over(uv_timer_t *timer)
{
	struct secrets *secrets = container_of(timer, struct secrets, timer);

	secret_wipe(&secrets->old);
	secrets_drop_old(container_of(secrets, struct worker, secrets));
}

/* Which files they are: each rotation makes new ones. */
static void look_at_files(const struct worker *worker, ino_t *ret_ino, ino_t *ret_old_ino)
{
	const struct settings *settings = worker->opts->settings;
	char *old = xasprintf("%s/" SECRET_OLD_FILE, settings->state_dir);
	struct stat st;

	*ret_old_ino = stat(old, &st) == 0 ? st.st_ino : 0;
	*ret_ino = stat(settings->secret_path, &st) == 0 ? st.st_ino : 0;
	free(old);
}

static void load_old(struct worker *worker)
{
	struct secrets *secrets = &worker->secrets;
	struct secret_old old = {0};
	uint64_t left = 0;

	if (secret_old_read(worker->opts->settings->state_dir, &old) == 0)
		left = secret_old_left_us(&old, clock_wall_us());
	secret_wipe(&secrets->old);
	uv_timer_stop(&secrets->timer);
	if (left != 0 && old.secret.len != 0) {
		secrets->old = old.secret;
		uv_timer_start(&secrets->timer, on_grace_over, left / 1000 + 1, 0);
	}
	secret_wipe(&old.secret);
}

static bool is_same(const struct secret *a, const struct secret *b)
{
	return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

int secrets_load(struct worker *worker, struct err *err)
{
	struct secrets *secrets = &worker->secrets;
	struct secret current;
	int rc;

	if (!secrets->has_timer)
		uv_timer_init(&worker->loop, &secrets->timer);
	secrets->has_timer = true;
	look_at_files(worker, &secrets->ino, &secrets->old_ino);
	load_old(worker); /* first, as it is written first */
	rc = secret_load(worker->opts->settings->secret_path, &current, err);
	if (rc != 0)
		return rc;
	if (!is_same(&current, &secrets->current)) {
		secrets->current = current;
		secrets->generation++;
	}
	secret_wipe(&current);
	return 0;
}

void secrets_close(struct secrets *secrets)
{
	if (secrets->has_timer)
		uv_close((uv_handle_t *)&secrets->timer, NULL);
	secrets->has_timer = false;
	secret_wipe(&secrets->current);
	secret_wipe(&secrets->old);
}

static bool compare(
	const struct secrets *secrets, struct wire_str authorization, uint32_t *ret_generation)
{
	bool is_current = secret_matches(&secrets->current, authorization);
	bool is_old = secret_matches(&secrets->old, authorization);

	if (is_current || is_old)
		*ret_generation = is_current ? secrets->generation : secrets->generation - 1;
	return is_current || is_old;
}

bool secrets_match(struct worker *worker, struct wire_str authorization, uint32_t *ret_generation)
{
	struct secrets *secrets = &worker->secrets;
	struct err err = {0};
	ino_t ino, old_ino;

	if (compare(secrets, authorization, ret_generation))
		return true;
	/* the monitor may have put a new one into the file and not have said so yet */
	look_at_files(worker, &ino, &old_ino);
	if (old_ino == 0 || (ino == secrets->ino && old_ino == secrets->old_ino))
		return false;
	return secrets_load(worker, &err) == 0 && compare(secrets, authorization, ret_generation);
}
