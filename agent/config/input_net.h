/* The types `host` and `url`. Both take text that has passed what holds for every type (input.c)
 * and return 0, or -EINVAL with a text. */
#ifndef OPS_AGENT_CONFIG_INPUT_NET_H
#define OPS_AGENT_CONFIG_INPUT_NET_H

#include "agent/config/input.h"

/* A host name (RFC 1123) or an IPv4 or IPv6 address; no port. */
MUSTCHECK int input_host_check(const char *value, size_t n, struct err *err);
/* scheme://host[:port][/…], in printable ASCII, without user and password. */
MUSTCHECK int input_url_check(
	const struct input_spec *spec, const char *value, size_t n, struct err *err);

#endif
