/* Looking up one cookie in the value of a Cookie header. Pure. */
#ifndef OPS_CORE_WEB_COOKIE_H
#define OPS_CORE_WEB_COOKIE_H

#include <stddef.h>

struct cookie_hit {
	const char *value; /* within the header's value, not NUL-terminated */
	size_t len;	   /* without surrounding double quotes */
	size_t count;	   /* how often the name stood there, added to what was there before */
};

/* Adds to *hit what this header holds under that exact name. Looks at WEB_MAX_COOKIES pairs at
 * most; further ones count as a doubled name, for nobody sends so many. */
void cookie_find(const char *header, const char *name, struct cookie_hit *hit);

#endif
