#include "agent/run/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/run/procs.h"
#include "core/base/mem.h"

#define FILE_BYTES 65536
#define CPU_PERIOD_US 100000

/* ---- small files ---- */

static int write_text(int dir_fd, const char *name, const char *text)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;
	int rc = 0;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	if (n < 0)
		rc = -errno;
	close(fd);
	return rc;
}

/* The file's text on the heap, or NULL with errno set. */
static char *read_text(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char *text;
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return NULL;
	text = xcalloc(1, FILE_BYTES);
	while (len < FILE_BYTES - 1 && (n = read(fd, text + len, FILE_BYTES - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	return text;
}

/* The number behind a key at the start of a line; -1: it is not there. */
static long value_of(const char *text, const char *key)
{
	size_t n = strlen(key);

	while (text != NULL && *text != '\0') {
		if (strncmp(text, key, n) == 0 && text[n] == ' ')
			return strtol(text + n + 1, NULL, 10);
		text = strchr(text, '\n');
		text = text != NULL ? text + 1 : NULL;
	}
	return -1;
}

static int open_folder(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd >= 0 ? fd : -errno;
}

/* ---- where we are ---- */

/* The place where a cgroup2 file system is mounted as a whole. */
static bool find_mount(char out[CGROUP_PATH_BYTES])
{
	char *text = read_text(AT_FDCWD, "/proc/self/mountinfo"), *rest = text, *line;
	bool found = false;

	while (!found && rest != NULL && (line = strsep(&rest, "\n")) != NULL) {
		char root[256];

		/* id, parent, device, root, mount point */
		found = strstr(line, " - cgroup2 ") != NULL &&
			sscanf(line, "%*s %*s %*s %255s %4095s", root, out) == 2 &&
			strcmp(root, "/") == 0;
	}
	free(text);
	return found;
}

/* The folder of this process's own cgroup. */
static int find_own(char out[CGROUP_PATH_BYTES])
{
	char mount[CGROUP_PATH_BYTES];
	char *text, *own, *end;
	int n = -1;

	if (!find_mount(mount))
		return -ENOENT;
	text = read_text(AT_FDCWD, "/proc/self/cgroup");
	own = text != NULL && strncmp(text, "0::", 3) == 0 ? text : NULL;
	if (own == NULL && text != NULL && (own = strstr(text, "\n0::")) != NULL)
		own++;
	if (own != NULL) {
		end = strchr(own, '\n');
		if (end != NULL)
			*end = '\0';
		own += strlen("0::");
		n = snprintf(
			out, CGROUP_PATH_BYTES, "%s%s", mount, strcmp(own, "/") == 0 ? "" : own);
	}
	free(text);
	return n > 0 && n < CGROUP_PATH_BYTES - 128 ? 0 : -ENOENT;
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

/* ---- the run ---- */

/* All controllers that are there, one by one: what is refused is found out by who needs it. */
static void enable_controllers(int fd)
{
	static const char *const wanted[] = {"+memory", "+cpu", "+pids"};

	for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
		(void)!write_text(fd, "cgroup.subtree_control", wanted[i]);
}

/* A group with controllers for its children holds no process itself. */
static int move_to_runner(int fd)
{
	int runner_fd, rc;

	if (mkdirat(fd, "runner", 0755) != 0 && errno != EEXIST)
		return -errno;
	runner_fd = open_folder(fd, "runner");
	if (runner_fd < 0)
		return runner_fd;
	rc = write_text(runner_fd, "cgroup.procs", "0");
	close(runner_fd);
	return rc;
}

static int make_folder(struct cgroup_tree *tree, const char *run_id)
{
	size_t n = strlen(tree->path);

	snprintf(tree->path + n, sizeof(tree->path) - n, "/ops-run-%s", run_id);
	if (mkdir(tree->path, 0755) != 0 && errno != EEXIST)
		return -errno;
	return 0;
}

int cgroup_tree_open(struct cgroup_tree *tree, const char *run_id)
{
	const char *choice = getenv("OPS_CGROUP");
	char unit[128];
	int rc;

	*tree = (struct cgroup_tree){.fd = -1};
	if (choice != NULL && strcmp(choice, "off") == 0)
		return -ENOENT;
	rc = find_own(tree->path);
	if (rc != 0)
		return rc;
	snprintf(unit, sizeof(unit), "/ops-run-%s.service", run_id);
	tree->is_own_unit = ends_with(tree->path, unit);
	rc = tree->is_own_unit ? 0 : make_folder(tree, run_id);
	if (rc == 0) {
		tree->fd = open_folder(AT_FDCWD, tree->path);
		rc = MIN(tree->fd, 0);
	}
	if (rc == 0 && tree->is_own_unit)
		rc = move_to_runner(tree->fd);
	/* May processes be put there at all? A forked child finds out too late. */
	if (rc == 0 && faccessat(tree->fd, "cgroup.procs", W_OK, AT_EACCESS) != 0)
		rc = -errno;
	if (rc == 0)
		enable_controllers(tree->fd);
	else
		cgroup_tree_close(tree);
	return rc;
}

void cgroup_tree_close(struct cgroup_tree *tree)
{
	if (tree->fd >= 0)
		close(tree->fd);
	/* A unit's own folder is its manager's to remove. Otherwise busy: somebody was left. */
	if (!tree->is_own_unit && tree->path[0] != '\0')
		(void)rmdir(tree->path);
	*tree = (struct cgroup_tree){.fd = -1};
}

/* ---- one attempt ---- */

static void limit(int fd, struct cgroup *cgroup, const struct plan_limits *limits)
{
	char text[64];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)limits->memory);
	if (limits->memory != 0 && write_text(fd, "memory.max", text) == 0) {
		cgroup->unmet.memory = 0;
		/* All of it or nothing: half a step is of no use. */
		(void)!write_text(fd, "memory.oom.group", "1");
	}
	snprintf(text, sizeof(text), "%llu %d",
		(unsigned long long)limits->cpu_percent * CPU_PERIOD_US / 100, CPU_PERIOD_US);
	if (limits->cpu_percent != 0 && write_text(fd, "cpu.max", text) == 0)
		cgroup->unmet.cpu_percent = 0;
	snprintf(text, sizeof(text), "%u", limits->pids);
	if (limits->pids != 0 && write_text(fd, "pids.max", text) == 0)
		cgroup->unmet.pids = 0;
}

int cgroup_add(struct cgroup_tree *tree, const char *name, const struct plan_limits *limits,
	struct cgroup *ret_cgroup)
{
	*ret_cgroup = (struct cgroup){.fd = -1, .unmet = *limits};
	if (tree->fd < 0)
		return -ENOENT;
	snprintf(ret_cgroup->name, sizeof(ret_cgroup->name), "%s", name);
	if (mkdirat(tree->fd, name, 0755) != 0 && errno != EEXIST)
		return -errno;
	ret_cgroup->fd = open_folder(tree->fd, name);
	if (ret_cgroup->fd < 0) {
		int rc = ret_cgroup->fd;

		ret_cgroup->fd = -1;
		return rc;
	}
	limit(ret_cgroup->fd, ret_cgroup, limits);
	return 0;
}

void cgroup_remove(struct cgroup_tree *tree, struct cgroup *cgroup)
{
	if (cgroup->fd < 0)
		return;
	close(cgroup->fd);
	cgroup->fd = -1;
	(void)unlinkat(tree->fd, cgroup->name, AT_REMOVEDIR);
}

int cgroup_open_procs(const struct cgroup *cgroup)
{
	int fd = cgroup->fd < 0 ? -1 : openat(cgroup->fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);

	return fd >= 0 ? fd : cgroup->fd < 0 ? -ENOENT : -errno;
}

static int is_populated(int fd)
{
	char *text = read_text(fd, "cgroup.events");
	long value = text != NULL ? value_of(text, "populated") : -1;
	int rc = text == NULL ? -errno : value < 0 ? -EBADMSG : value != 0;

	free(text);
	return rc;
}

int cgroup_is_populated(const struct cgroup *cgroup)
{
	return cgroup->fd < 0 ? -ENOENT : is_populated(cgroup->fd);
}

static void report_name(struct killtree_report *report, const char *name)
{
	for (size_t i = 0; i < report->n_names; i++) {
		if (strcmp(report->names[i], name) == 0)
			return;
	}
	if (report->n_names < KILLTREE_MAX_NAMES)
		snprintf(report->names[report->n_names++], KILLTREE_NAME_BYTES, "%s", name);
}

void cgroup_report(const struct cgroup *cgroup, struct killtree_report *report)
{
	char *text = cgroup->fd < 0 ? NULL : read_text(cgroup->fd, "cgroup.procs");
	int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *rest = text, *line;

	while (rest != NULL && (line = strsep(&rest, "\n")) != NULL) {
		struct proc proc;

		if (line[0] == '\0')
			continue;
		report->count++;
		if (proc_fd >= 0 && proc_read(proc_fd, (pid_t)atoi(line), &proc))
			report_name(report, proc.name);
	}
	if (proc_fd >= 0)
		close(proc_fd);
	free(text);
}

int cgroup_kill(const struct cgroup *cgroup)
{
	return cgroup->fd < 0 ? -ENOENT : write_text(cgroup->fd, "cgroup.kill", "1");
}

bool cgroup_had_oom(const struct cgroup *cgroup)
{
	char *text = cgroup->fd < 0 ? NULL : read_text(cgroup->fd, "memory.events");
	bool had = text != NULL && value_of(text, "oom_kill") > 0;

	free(text);
	return had;
}

/* ---- what a dead runner left ---- */

static void remove_all(int fd)
{
	DIR *dir = fdopendir(fd);
	const struct dirent *entry;

	if (dir == NULL) {
		close(fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			(void)unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
	}
	closedir(dir);
}

int cgroup_kill_run(const char *path, const char *run_id)
{
	const char *name = strrchr(path, '/');
	struct statfs fs;
	int fd, rc;

	/* Never anything but a run's own. */
	if (name == NULL || strncmp(name, "/ops-run-", 9) != 0 || strstr(name, run_id) == NULL)
		return -EINVAL;
	fd = open_folder(AT_FDCWD, path);
	if (fd < 0)
		return fd;
	if (fstatfs(fd, &fs) != 0 || fs.f_type != CGROUP2_SUPER_MAGIC) {
		close(fd);
		return -EINVAL;
	}
	rc = write_text(fd, "cgroup.kill", "1");
	for (int i = 0; i < 200 && rc == 0 && is_populated(fd) == 1; i++)
		usleep(5000);
	remove_all(fd);
	if (!ends_with(path, ".service"))
		(void)rmdir(path);
	return rc;
}
