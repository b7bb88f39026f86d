/* Connecting to what is checked, blocking: the look's deadline is the only clock. */
#ifndef OPS_AGENT_PROBES_DIAL_H
#define OPS_AGENT_PROBES_DIAL_H

#include <stdint.h>

#include "core/base/err.h"

#define DIAL_ROOTS "/etc/ssl/certs/ca-certificates.crt"

/* A connected stream socket, or a negative errno with a text. Tries every address of the name. */
MUSTCHECK int dial_tcp(const char *host, uint16_t port, struct err *err);
/* PEM file of trusted roots: SSL_CERT_FILE, else Debian's. */
const char *dial_roots(void);

#endif
