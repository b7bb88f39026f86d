#include "agent/monitor/admit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/run/rundir.h"
#include "core/base/file.h"

#define GROUP "group:"
#define FLOW "flow:"

/* ---- lists of names ---- */

static bool has(const char *claims, const char *name, size_t len)
{
	while (claims != NULL && *claims != '\0') {
		size_t n = strcspn(claims, "\n");

		if (n == len && memcmp(claims, name, n) == 0)
			return true;
		claims += n + (claims[n] == '\n');
	}
	return false;
}

static void add(struct buf *claims, const char *kind, const char *name)
{
	struct buf line;

	buf_init(&line, 256);
	buf_printf(&line, "%s%s", kind, name);
	buf_append_byte(claims, '\0');
	claims->len--;
	if (!has((const char *)claims->data, (const char *)line.data, line.len)) {
		buf_append(claims, line.data, line.len);
		buf_append_byte(claims, '\n');
	}
	buf_fini(&line);
}

char *admit_claims(const struct catalog *catalog, const struct plan *plan)
{
	struct buf claims;
	char *text;

	buf_init(&claims, ADMIT_MAX_CLAIMS_BYTES);
	if (plan->is_flow) {
		const struct catalog_flow *flow =
			catalog_find_flow(catalog, plan->name, strlen(plan->name));

		if (flow != NULL && flow->concurrency_group != NULL)
			add(&claims, FLOW, flow->concurrency_group);
	}
	for (size_t i = 0; i < plan->n_steps; i++) {
		const char *uses = plan->steps[i].uses;
		const struct catalog_command *command =
			catalog_find_command(catalog, uses, strlen(uses));

		if (command != NULL && command->group != NULL)
			add(&claims, GROUP, command->group->name);
	}
	buf_append_byte(&claims, '\0');
	text = xstrdup((const char *)claims.data);
	buf_fini(&claims);
	return text;
}

/* ---- who has what ---- */

static void limits_of(const struct catalog *catalog, const char *name, size_t len,
	unsigned *ret_max, unsigned *ret_queue)
{
	const struct catalog_group *group = NULL;
	char text[128];

	*ret_max = 1;
	*ret_queue = ADMIT_FLOW_QUEUE;
	if (len <= strlen(GROUP) || memcmp(name, GROUP, strlen(GROUP)) != 0)
		return;
	len -= strlen(GROUP);
	if (len < sizeof(text)) {
		memcpy(text, name + strlen(GROUP), len);
		text[len] = '\0';
		group = catalog_find_group(catalog, text);
	}
	/* a group that is no more keeps nobody waiting */
	*ret_max = group != NULL ? group->max_concurrent : UINT_MAX;
	*ret_queue = group != NULL ? group->queue : 0;
}

struct users {
	unsigned running, waiting;
};

/* before: of those that wait count only older ones; NULL: all. */
static struct users users_of(
	const struct active *active, const char *name, size_t len, const struct uuid *before)
{
	struct users users = {0};

	for (size_t i = 0; i < active->n; i++) {
		const struct active_run *run = &active->runs[i];

		if (!has(run->claims, name, len))
			continue;
		if (!run->held)
			users.running++;
		else if (before == NULL ||
			 memcmp(run->id.bytes, before->bytes, sizeof(before->bytes)) < 0)
			users.waiting++;
	}
	return users;
}

static const struct catalog_flow *flow_of(const struct catalog *catalog, const struct plan *plan)
{
	return plan->is_flow ? catalog_find_flow(catalog, plan->name, strlen(plan->name)) : NULL;
}

enum admit_verdict admit_judge(const struct catalog *catalog, const struct active *active,
	const struct plan *plan, const char *claims)
{
	const struct catalog_flow *flow = flow_of(catalog, plan);
	enum admit_verdict verdict = ADMIT_GO;
	size_t n;

	for (const char *at = claims; *at != '\0'; at += n + 1) {
		bool is_flow = strncmp(at, FLOW, strlen(FLOW)) == 0;
		unsigned max, queue;
		struct users users;

		n = strcspn(at, "\n");
		users = users_of(active, at, n, NULL);
		limits_of(catalog, at, n, &max, &queue);
		if (users.running < max && users.waiting == 0)
			continue;
		if (is_flow && flow != NULL && flow->on_conflict == CATALOG_CONFLICT_SKIP)
			return ADMIT_SKIP;
		/* those that wait are replaced as well */
		if (is_flow && flow != NULL && flow->on_conflict == CATALOG_CONFLICT_CANCEL_RUNNING)
			users.waiting = 0;
		if (users.waiting >= queue)
			return ADMIT_QUEUE_FULL;
		verdict = ADMIT_HOLD;
	}
	return verdict;
}

bool admit_is_replaced(
	const struct catalog *catalog, const struct plan *plan, const struct active_run *other)
{
	const struct catalog_flow *flow = flow_of(catalog, plan);
	char name[128];

	if (flow == NULL || flow->concurrency_group == NULL ||
		flow->on_conflict != CATALOG_CONFLICT_CANCEL_RUNNING)
		return false;
	snprintf(name, sizeof(name), FLOW "%s", flow->concurrency_group);
	return has(other->claims, name, strlen(name));
}

static bool may_go(
	const struct catalog *catalog, const struct active *active, const struct active_run *run)
{
	size_t n;

	for (const char *at = run->claims; *at != '\0'; at += n + 1) {
		unsigned max, queue;
		struct users users;

		n = strcspn(at, "\n");
		users = users_of(active, at, n, &run->id);
		limits_of(catalog, at, n, &max, &queue);
		if (users.running >= max || (users.waiting != 0 && max != UINT_MAX))
			return false;
	}
	return true;
}

struct active_run *admit_next(const struct catalog *catalog, struct active *active)
{
	struct active_run *oldest = NULL;

	for (size_t i = 0; i < active->n; i++) {
		struct active_run *run = &active->runs[i];

		if (run->held && !run->starting && may_go(catalog, active, run) &&
			(oldest == NULL ||
				memcmp(run->id.bytes, oldest->id.bytes, sizeof(run->id.bytes)) < 0))
			oldest = run;
	}
	return oldest;
}

/* ---- in RUN_DIR ---- */

static int put(int run_dir_fd, const char *name, const char *text)
{
	int fd = rundir_create(run_dir_fd, name, O_WRONLY | O_EXCL);
	int rc;

	if (fd < 0)
		return fd;
	rc = file_write_all(fd, text, strlen(text));
	close(fd);
	return rc;
}

int admit_write(int run_dir_fd, const char *claims, enum admit_verdict verdict)
{
	int rc = 0;

	if (claims[0] != '\0')
		rc = put(run_dir_fd, RUNDIR_CLAIMS, claims);
	if (rc == 0 && verdict == ADMIT_HOLD)
		rc = put(run_dir_fd, RUNDIR_CONTROL_HOLD, "agent\n\n");
	if (rc == 0 && verdict == ADMIT_SKIP)
		rc = put(run_dir_fd, RUNDIR_CONTROL_SKIP, "agent\n\n");
	if (rc == 0 && verdict == ADMIT_QUEUE_FULL)
		rc = put(run_dir_fd, RUNDIR_CONTROL_SKIP, "agent\nqueue_full\n");
	return rc;
}

int admit_go(int run_dir_fd)
{
	int rc = put(run_dir_fd, RUNDIR_CONTROL_GO, "agent\n\n");

	return rc == -EEXIST ? 0 : rc;
}

static bool exists(int run_dir_fd, const char *name)
{
	return faccessat(run_dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

char *admit_read(int run_dir_fd, bool *ret_held)
{
	struct err err = {0};
	struct buf text;
	char *claims;

	buf_init(&text, ADMIT_MAX_CLAIMS_BYTES + 1);
	if (exists(run_dir_fd, RUNDIR_CLAIMS) && !exists(run_dir_fd, RUNDIR_CONTROL_SKIP))
		(void)!file_read(run_dir_fd, RUNDIR_CLAIMS, &text, &err);
	buf_append_byte(&text, '\0');
	claims = xstrdup((const char *)text.data);
	buf_fini(&text);
	*ret_held =
		exists(run_dir_fd, RUNDIR_CONTROL_HOLD) && !exists(run_dir_fd, RUNDIR_CONTROL_GO);
	return claims;
}
