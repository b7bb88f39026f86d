/*
 * Whether a file is beyond the reach of everybody but root (or one trusted uid): itself, every
 * folder above it and every symbolic link on the way. Each step is looked at through its descriptor
 * and the next one opened from it, so nothing can be swapped in between.
 *
 * A folder passes when it is owned by root or trusted_uid and neither group- nor other-writable, or
 * is root-owned and sticky with the entry below it owned by root or trusted_uid.
 */
#ifndef OPS_AGENT_CONFIG_TRUST_H
#define OPS_AGENT_CONFIG_TRUST_H

#include <sys/types.h>

#include "core/base/err.h"

#define TRUST_MAX_LINKS 32
#define TRUST_MAX_INTERPRETERS 4

/* Opens the absolute path (open(2) flags; O_CLOEXEC is added) after having checked it. Returns the
 * descriptor, or a negative errno: -EPERM when somebody else could change it, with a text that says
 * who and how to repair it. ret_resolved, unless NULL, gets the path without links (free() it). */
MUSTCHECK int trust_open(
	const char *path, uid_t trusted_uid, int flags, char **ret_resolved, struct err *err);

/* A folder that has been checked and stays the same one whatever its name comes to mean. */
struct trust_folder {
	int fd;
	char *path; /* without links, for messages */
};

/* 0 with *ret_folder to be closed by the caller, or as trust_open(). */
MUSTCHECK int trust_folder_open(
	const char *path, uid_t trusted_uid, struct trust_folder *ret_folder, struct err *err);
/* A folder with fd -1 and no path is fine. */
void trust_folder_close(struct trust_folder *folder);
/* trust_open() of what is called name in that folder; the way through a link is checked too. */
MUSTCHECK int trust_open_below(const struct trust_folder *folder, const char *name,
	uid_t trusted_uid, int flags, char **ret_resolved, struct err *err);

/* Checks a program: a regular file, executable, trusted, and so the interpreter its first line
 * names; behind `#!/usr/bin/env NAME` that is the first NAME in the
 * search path of commands. 0 with *ret_resolved (unless NULL) set, or a negative errno. The runner
 * calls it again right before execve(2). */
MUSTCHECK int trust_check_program(
	const char *path, uid_t trusted_uid, char **ret_resolved, struct err *err);

/* Checks a folder in which programs are searched: nobody else may put a file there, so a sticky
 * folder for all does not pass. 0 or a negative errno. */
MUSTCHECK int trust_check_folder(const char *path, uid_t trusted_uid, struct err *err);

#endif
