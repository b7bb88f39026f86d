/*
 * The headers that every answer carries, made once from PUBLIC_ORIGIN: nosniff, no referrer, no
 * framing, same-origin opener and resource policies, HSTS where the origin is https; and the
 * Content-Security-Policy, one for the page and one that allows nothing for all else.
 */
#ifndef OPS_CORE_WEB_SECURITY_H
#define OPS_CORE_WEB_SECURITY_H

#include <stddef.h>

#include "core/base/err.h"
#include "core/base/mem.h"

struct security {
	char *common; /* complete header lines, each with its CRLF */
	size_t common_len;
	char *page_csp;	       /* the value for HTML of ours */
	const char *other_csp; /* the value for all else */
};

/* origin: "http://127.0.0.1:3001" or "https://ops.example.org", no path, lower case scheme and
 * host. -EINVAL with a text when it is none. */
MUSTCHECK int security_init(struct security *security, const char *origin, struct err *err);
void security_fini(struct security *security);

#endif
