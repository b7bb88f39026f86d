/* The few lines in which a mail server is asked for TLS (RFC 3207, RFC 9051), on a connected,
 * blocking socket. */
#ifndef OPS_AGENT_PROBES_STARTTLS_H
#define OPS_AGENT_PROBES_STARTTLS_H

#include "agent/config/status.h"
#include "core/base/err.h"

#define STARTTLS_MAX_LINE 1024 /* of an answer */
#define STARTTLS_MAX_LINES 100

/* 0: the handshake may begin. Nothing beyond the server's last line was read. */
MUSTCHECK int starttls_ask(int fd, enum status_starttls protocol, struct err *err);

#endif
