#include "agent/monitor/seal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/monitor/active.h"
#include "agent/run/rundir.h"
#include "core/base/file.h"

#define PIECE_BYTES (256u << 10)
#define EXIT_USAGE 64
/* linux/ioprio.h: the class that gets the disk when nobody else wants it */
#define IO_WHO_PROCESS 1
#define IO_CLASS_IDLE (3 << 13)

int seal_journal(int run_dir_fd, struct seal *ret_seal)
{
	int fd = openat(run_dir_fd, RUNDIR_JOURNAL, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
	struct seal seal = {0};
	struct crypto_sha256 sha;
	uint8_t *piece;
	ssize_t n;

	if (fd < 0)
		return -errno;
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	piece = xcalloc(1, PIECE_BYTES);
	crypto_sha256_init(&sha);
	while ((n = read(fd, piece, PIECE_BYTES)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		crypto_sha256_update(&sha, piece, (size_t)n);
		seal.size += (uint64_t)n;
	}
	n = n < 0 ? -errno : 0;
	crypto_sha256_final(&sha, seal.sha256);
	free(piece);
	close(fd);
	if (n == 0)
		*ret_seal = seal;
	return (int)n;
}

static void step_back(void)
{
	struct sched_param param = {0};

	/* each is a courtesy: where one is refused the others do */
	(void)setpriority(PRIO_PROCESS, 0, 19);
	(void)sched_setscheduler(0, SCHED_IDLE, &param);
	(void)syscall(SYS_ioprio_set, IO_WHO_PROCESS, 0, IO_CLASS_IDLE);
}

/* What another try may mend: the machine is short of something. */
static bool may_pass(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -EAGAIN;
}

/* 0, or a negative errno that ends the look. */
static int look_at(int runs_fd, const char *name, const struct uuid *id)
{
	int dir_fd = openat(runs_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct seal_report report = {.run = *id};
	int rc = 0;

	if (dir_fd < 0)
		return may_pass(-errno) ? -errno : 0; /* it was pruned meanwhile, say */
	if (faccessat(dir_fd, ACTIVE_SETTLED, F_OK, AT_SYMLINK_NOFOLLOW) == 0 &&
		faccessat(dir_fd, SEAL_FILE, F_OK, AT_SYMLINK_NOFOLLOW) != 0) {
		rc = report.error = seal_journal(dir_fd, &report.seal);
		if (!may_pass(rc))
			rc = file_write_all(STDOUT_FILENO, &report, sizeof(report));
	}
	close(dir_fd);
	return rc;
}

int seal_main(const char *parent_pid)
{
	/* opened anew: the position in the folder is shared with the monitor's descriptor */
	int fd = openat(STDIN_FILENO, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;
	struct uuid id;
	int rc = 0;

	if (dir == NULL || isatty(STDOUT_FILENO)) {
		fputs("ops-agent: 'seal' is started by 'serve'\n", stderr);
		return EXIT_USAGE;
	}
	prctl(PR_SET_NAME, "ops-seal");
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != (pid_t)strtol(parent_pid, NULL, 10)) {
		closedir(dir);
		return 0;
	}
	step_back();
	while (rc == 0 && (entry = readdir(dir)) != NULL) {
		if (uuid_parse(entry->d_name, strlen(entry->d_name), &id) == 0)
			rc = look_at(STDIN_FILENO, entry->d_name, &id);
	}
	closedir(dir);
	return rc == 0 ? 0 : 1;
}
