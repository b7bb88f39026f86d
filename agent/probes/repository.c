/*
 * Repositories, through git itself: branch, commit, changes, and how far it is from what was
 * fetched last. Nothing is fetched. A repository's own configuration can name programs: fsmonitor
 * and hooks are switched off, and git runs without rights (as the repository's owner when the agent
 * is root's).
 */
#include "agent/probes/repository.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/probes/command.h"
#include "agent/probes/probe.h"
#include "core/base/err.h"

#define MAX_OUTPUT (1u << 20)

static bool take(const char *line, size_t n, const char *key, char out[REPOSITORY_MAX_TEXT])
{
	size_t len = strlen(key);

	if (n < len || strncmp(line, key, len) != 0)
		return false;
	snprintf(out, REPOSITORY_MAX_TEXT, "%.*s", (int)MIN(n - len, (size_t)REPOSITORY_MAX_TEXT),
		line + len);
	return true;
}

int repository_parse(const char *text, struct repository *ret_repository)
{
	struct repository r = {0};
	char ab[REPOSITORY_MAX_TEXT];

	while (*text != '\0') {
		size_t n = strcspn(text, "\n");

		if (take(text, n, "# branch.oid ", r.commit) ||
			take(text, n, "# branch.head ", r.branch) ||
			take(text, n, "# branch.upstream ", r.upstream)) {
			/* taken */
		} else if (take(text, n, "# branch.ab ", ab)) {
			if (sscanf(ab, "+%9u -%9u", &r.ahead, &r.behind) != 2)
				return -EBADMSG;
		} else if (*text == '?') {
			r.untracked++;
		} else if (*text == '1' || *text == '2' || *text == 'u') {
			r.changed++;
		} else if (*text != '#' && *text != '!') {
			return -EBADMSG;
		}
		text += n + (text[n] == '\n');
	}
	if (r.branch[0] == '\0')
		return -EBADMSG;
	if (strcmp(r.commit, "(initial)") == 0)
		r.commit[0] = '\0';
	*ret_repository = r;
	return 0;
}

static int run_git(const char *path, struct buf *out, struct err *err)
{
	char *safe = xasprintf("safe.directory=%s", path);
	const char *const argv[] = {"git", "-C", path, "-c", "core.fsmonitor=false", "-c",
		"core.hooksPath=/dev/null", "-c", safe, "--no-optional-locks", "status",
		"--porcelain=v2", "--branch", NULL};
	const char *const env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/nonexistent",
		"LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_TERMINAL_PROMPT=0", NULL};
	struct command git = {.path = "/usr/bin/git", .argv = argv, .env = env};
	struct stat st;
	int rc;

	if (stat(path, &st) != 0) {
		free(safe);
		return err_set_errno(err, -errno, "cannot be looked at");
	}
	/* as the repository's owner where everything runs as root */
	if (geteuid() == 0) {
		git.uid = st.st_uid;
		git.gid = st.st_gid;
	}
	rc = command_run(&git, out, err);
	free(safe);
	return rc;
}

static void describe(struct finding *f, const struct repository *r)
{
	json_kv_str(&f->json, "branch", r->branch);
	json_key(&f->json, "commit");
	json_strn(&f->json, r->commit, strnlen(r->commit, 12));
	json_kv_str(&f->json, "upstream", r->upstream);
	json_kv_uint(&f->json, "changed", r->changed);
	json_kv_uint(&f->json, "untracked", r->untracked);
	json_kv_uint(&f->json, "ahead", r->ahead);
	json_kv_uint(&f->json, "behind", r->behind);
	if (r->changed == 1)
		finding_raise(f, LEVEL_WARN, "repository_changed", "%u changed file", r->changed);
	else if (r->changed != 0)
		finding_raise(f, LEVEL_WARN, "repository_changed", "%u changed files", r->changed);
	if (r->behind == 1)
		finding_raise(f, LEVEL_WARN, "repository_behind", "%u commit behind %s", r->behind,
			r->upstream);
	else if (r->behind != 0)
		finding_raise(f, LEVEL_WARN, "repository_behind", "%u commits behind %s", r->behind,
			r->upstream);
	if (r->ahead == 1)
		finding_raise(f, LEVEL_WARN, "repository_ahead", "%u commit not in %s", r->ahead,
			r->upstream);
	else if (r->ahead != 0)
		finding_raise(f, LEVEL_WARN, "repository_ahead", "%u commits not in %s", r->ahead,
			r->upstream);
}

void repository_run(const struct probe *probe, struct report *report)
{
	const char *path = probe->subject;
	struct finding *f = report_begin(report, probe->id, probe->title);
	struct repository found;
	struct err err = {0};
	struct buf out;
	char *text = NULL;

	buf_init(&out, MAX_OUTPUT);
	if (run_git(path, &out, &err) == 0)
		text = out.len != 0 ? buf_take_str(&out) : xstrdup("");
	if (text == NULL)
		finding_raise(f, LEVEL_UNKNOWN, NULL, "%s", err.msg);
	else if (repository_parse(text, &found) != 0)
		finding_raise(f, LEVEL_UNKNOWN, "git_unreadable", "git's answer makes no sense");
	else
		describe(f, &found);
	report_end(report);
	buf_fini(&out);
	free(text);
}
