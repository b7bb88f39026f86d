#include "agent/probes/command.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_NOT_FOUND 127

/* In the child. */
static _Noreturn void become(const struct command *command, int out, int errors)
{
	if (command->uid != 0 &&
		(setgroups(0, NULL) != 0 || setresgid(command->gid, command->gid, command->gid) ||
			setresuid(command->uid, command->uid, command->uid) != 0))
		_exit(126);
	(void)dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
	(void)dup2(out, STDOUT_FILENO);
	(void)dup2(errors, STDERR_FILENO);
	close_range(3, ~0u, 0);
	execve(command->path, (char *const *)(uintptr_t)command->argv,
		(char *const *)(uintptr_t)command->env);
	_exit(EXIT_NOT_FOUND);
}

/* The first line of what it wrote to standard error, as the reason. */
static int complain(const struct command *command, int errors, int status, struct err *err)
{
	char text[200];
	ssize_t n = pread(errors, text, sizeof(text) - 1, 0);

	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NOT_FOUND)
		return err_set(err, -ENOENT, "%s is not installed", command->argv[0]);
	text[MAX(n, 0)] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return err_set(err, -EIO, "%s: %s", command->argv[0], text[0] != '\0' ? text : "failed");
}

int command_run(const struct command *command, struct buf *out, struct err *err)
{
	int errors = memfd_create("errors", MFD_CLOEXEC), fds[2], status = 0, rc = 0;
	uint8_t piece[16384];
	ssize_t n;
	pid_t pid;

	if (errors < 0 || pipe2(fds, O_CLOEXEC) != 0 || (pid = fork()) < 0)
		return err_set_errno(err, -errno, "%s cannot be started", command->argv[0]);
	if (pid == 0)
		become(command, fds[1], errors);
	close(fds[1]);
	while ((n = read(fds[0], piece, sizeof(piece))) > 0)
		buf_append(
			out, piece, (size_t)n); /* past its maximum it is only counted as wrong */
	close(fds[0]);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		rc = complain(command, errors, status, err);
	else if (buf_err(out) != 0)
		rc = err_set(err, -EMSGSIZE, "%s writes too much", command->argv[0]);
	close(errors);
	return rc;
}
