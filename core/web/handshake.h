/* The opening handshake of a WebSocket (RFC 6455, 4.2), the server's side. Pure. */
#ifndef OPS_CORE_WEB_HANDSHAKE_H
#define OPS_CORE_WEB_HANDSHAKE_H

#include <stdbool.h>

#include "core/web/request.h"

#define HANDSHAKE_ACCEPT_BYTES 29 /* 28 characters and a NUL */

/* Whether the key is the base64 of 16 bytes. */
bool handshake_is_key(const char *key);
/* Sec-WebSocket-Accept for a key. */
void handshake_accept(const char *key, char accept[HANDSHAKE_ACCEPT_BYTES]);
/* Whether a comma-separated list holds a word, in any case or exactly. */
bool handshake_list_has(const char *list, const char *word, bool exact);

#endif
