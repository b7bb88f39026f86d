/* http and https addresses taken apart, and the first line of an answer. Pure. */
#ifndef OPS_AGENT_PROBES_URL_H
#define OPS_AGENT_PROBES_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/mem.h"

#define URL_MAX_HOST 256
#define URL_MAX_PATH 1024
#define URL_MAX_ANSWER (256u << 10) /* that is searched for a text */

struct url {
	bool tls;
	char host[URL_MAX_HOST];
	uint16_t port;
	char path[URL_MAX_PATH]; /* with its query; "/" when there is none */
};

/* 0, or -EINVAL: no http or https address, or one with a user. */
MUSTCHECK int url_parse(const char *text, struct url *ret_url);
/* The status of "HTTP/1.1 200 OK\r\n…"; 0 when it is none. */
unsigned url_status(const char *head, size_t n);
/* Whether the answer's body, of which n bytes of answer hold the beginning, contains the text.
 * Chunks are put together for it, in place. */
bool url_body_holds(char *answer, size_t n, const char *text);

#endif
