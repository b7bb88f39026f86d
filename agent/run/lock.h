/*
 * RUN_DIR/lock: an open file description lock (F_OFD_SETLK) over the whole file, held by the runner
 * from before its first record until it is gone. It dies with the last descriptor, so a free lock
 * beside a state that is not final means that the runner died.
 */
#ifndef OPS_AGENT_RUN_LOCK_H
#define OPS_AGENT_RUN_LOCK_H

#include "core/base/mem.h"

/* Takes the lock, making the file where there is none. Returns the close-on-exec descriptor that
 * holds it until closed, -EAGAIN when somebody else holds it, or another negative errno. */
MUSTCHECK int lock_take(int run_dir_fd);
/* The lock as a descriptor that whoever started us left open: returns a close-on-exec duplicate of
 * it that holds the lock, which so was held all the time; -ENOENT: fd is another file. */
MUSTCHECK int lock_inherit(int run_dir_fd, int fd);
/* Looks without taking: 1 held, 0 free (also when there is no lock file yet), or a negative errno.
 * Needs no more than the right to read the file. */
MUSTCHECK int lock_test(int run_dir_fd);

#endif
