/*
 * What the probes' process is given to begin with: the text of status.yml, which only root and the
 * worker's group can read, and its ends of two socket pairs. One SOCK_SEQPACKET message of
 * ERRAND_BYTES with three descriptors, the first and only one from the monitor, on the process's
 * standard input. That socket is its life line afterwards: its end of file says to each that the
 * other is gone.
 *
 * The process may be a service that systemd starts from the installed program, so the message
 * begins with a version: after an upgrade the two may be of different builds.
 */
#ifndef OPS_AGENT_CONFIG_ERRAND_H
#define OPS_AGENT_CONFIG_ERRAND_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/err.h"

#define ERRAND_BYTES 8
/* One byte back, each at most once: */
#define ERRAND_HERE 'H'	   /* a service has its errand; which process that is says the kernel */
#define ERRAND_REFUSED 'C' /* account or configuration are not in order */
#define ERRAND_WAIT_MS 10000

/* Descriptors; -1: none. */
struct errand {
	int status_fd; /* sealed memfd: status.yml, with the file's time of modification */
	int worker_fd; /* SOCK_SEQPACKET, to the worker (agent/probes/note.h) */
	int relay_fd;  /* SOCK_SEQPACKET, to the Docker relay (agent/relay/ask.h) */
};

/* A sealed memfd with these bytes, read from its beginning, and modified_us (unix time) as its
 * time; or a negative errno. */
MUSTCHECK int errand_seal(const void *data, size_t n, uint64_t modified_us);
/* Sends it, without waiting; the descriptors stay the caller's. 0 or a negative errno. */
MUSTCHECK int errand_send(int fd, const struct errand *errand);
/* The next byte that came back, without waiting, with the process that the kernel says has sent it
 * (0: it does not, SO_PASSCRED was not set then). 0, -EPIPE at the end of file, or a negative
 * errno. */
MUSTCHECK int errand_hear(int fd, char *ret_byte, pid_t *ret_pid);
/* Waits ERRAND_WAIT_MS at most. 0: the caller has to close the three. Otherwise a negative errno
 * with a text: -EPIPE: nobody sends any more; -EBADMSG: it is none, or of another version. */
MUSTCHECK int errand_receive(int fd, struct errand *ret_errand, struct err *err);

#endif
