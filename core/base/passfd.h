/* Descriptors that go with a message over a Unix socket (unix(7), SCM_RIGHTS). */
#ifndef OPS_BASE_PASSFD_H
#define OPS_BASE_PASSFD_H

#include <stddef.h>

#include "core/base/mem.h"

#define PASSFD_MAX 4 /* with one message */

/* Sends these n bytes as one message with n_fds descriptors (0: none), which stay the caller's,
 * without waiting and without SIGPIPE. 0 or a negative errno: nothing was sent then. For sockets
 * that keep messages apart (SOCK_SEQPACKET), n > 0. */
MUSTCHECK int passfd_send(int socket, const void *data, size_t n, const int *fds, size_t n_fds);

#endif
