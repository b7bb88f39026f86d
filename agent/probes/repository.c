/*
 * Repositories, through git itself: branch, commit, changes, and how far it is from what was
 * fetched last. Nothing is fetched. A repository's own configuration can name programs: fsmonitor
 * and hooks are switched off, and git runs without rights (as the repository's owner when the agent
 * is root's).
 */
#include "agent/probes/repository.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* In the child. */
static _Noreturn void become_git(const char *path, const struct stat *st, int out, int errors)
{
	char *safe = xasprintf("safe.directory=%s", path);
	const char *const argv[] = {"git", "-C", path, "-c", "core.fsmonitor=false", "-c",
		"core.hooksPath=/dev/null", "-c", safe, "--no-optional-locks", "status",
		"--porcelain=v2", "--branch", NULL};
	const char *const env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/nonexistent",
		"LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_TERMINAL_PROMPT=0", NULL};

	if (geteuid() == 0 && st->st_uid != 0 &&
		(setgroups(0, NULL) != 0 || setresgid(st->st_gid, st->st_gid, st->st_gid) != 0 ||
			setresuid(st->st_uid, st->st_uid, st->st_uid) != 0))
		_exit(126);
	(void)dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
	(void)dup2(out, STDOUT_FILENO);
	(void)dup2(errors, STDERR_FILENO);
	close_range(3, ~0u, 0);
	execve("/usr/bin/git", (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
	_exit(127);
}

/* What git wrote to standard error, its last line, as the reason. */
static int complain(int errors, int status, struct err *err)
{
	char text[200];
	ssize_t n = pread(errors, text, sizeof(text) - 1, 0);

	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return err_set(err, -ENOENT, "git is not installed");
	text[MAX(n, 0)] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return err_set(err, -EIO, "git: %s", text[0] != '\0' ? text : "failed");
}

static int run_git(const char *path, struct buf *out, struct err *err)
{
	int errors = memfd_create("git", MFD_CLOEXEC), fds[2], status = 0;
	uint8_t piece[16384];
	struct stat st;
	ssize_t n;
	pid_t pid;

	if (stat(path, &st) != 0)
		return err_set_errno(err, -errno, "cannot be looked at");
	if (errors < 0 || pipe2(fds, O_CLOEXEC) != 0 || (pid = fork()) < 0)
		return err_set_errno(err, -errno, "git cannot be started");
	if (pid == 0)
		become_git(path, &st, fds[1], errors);
	close(fds[1]);
	while ((n = read(fds[0], piece, sizeof(piece))) > 0)
		buf_append(
			out, piece, (size_t)n); /* past its maximum it is only counted as wrong */
	close(fds[0]);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		int rc = complain(errors, status, err);

		close(errors);
		return rc;
	}
	close(errors);
	return buf_err(out) == 0 ? 0 : err_set(err, -EMSGSIZE, "too many files have changed");
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
	if (r->changed != 0)
		finding_raise(f, LEVEL_WARN, "%u changed %s", r->changed,
			r->changed == 1 ? "file" : "files");
	if (r->behind != 0)
		finding_raise(f, LEVEL_WARN, "%u %s behind %s", r->behind,
			r->behind == 1 ? "commit" : "commits", r->upstream);
	if (r->ahead != 0)
		finding_raise(f, LEVEL_WARN, "%u %s not in %s", r->ahead,
			r->ahead == 1 ? "commit" : "commits", r->upstream);
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
		finding_raise(f, LEVEL_UNKNOWN, "%s", err.msg);
	else if (repository_parse(text, &found) != 0)
		finding_raise(f, LEVEL_UNKNOWN, "git's answer makes no sense");
	else
		describe(f, &found);
	report_end(report);
	buf_fini(&out);
	free(text);
}
