/*
 * Addresses, networks and origins as text. An address is 16 bytes; IPv4 is kept as an IPv6-mapped
 * address, so that one comparison serves both.
 */
#ifndef OPS_CORE_APP_CONFIG_ADDRESS_H
#define OPS_CORE_APP_CONFIG_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/mem.h"

#define ADDRESS_BYTES 16
#define ADDRESS_TEXT_BYTES 46 /* NUL included */

struct network {
	uint8_t addr[ADDRESS_BYTES];
	unsigned bits; /* of the 16 bytes */
};

/* A numeric IPv4 or IPv6 address; -EINVAL for anything else. */
MUSTCHECK int address_parse(const char *text, size_t len, uint8_t ret_addr[ADDRESS_BYTES]);
/* As text, IPv4 as such. */
void address_format(const uint8_t a[ADDRESS_BYTES], char ret_text[ADDRESS_TEXT_BYTES]);
bool address_is_loopback(const uint8_t a[ADDRESS_BYTES]);

/* "10.0.0.0/8", "::1". -EINVAL otherwise. */
MUSTCHECK int network_parse(const char *text, size_t len, struct network *ret_network);
bool network_contains(const struct network *net, const uint8_t addr[ADDRESS_BYTES]);

/* What keeps a text from being an origin as a browser sends it (lower case, no default port,
 * nothing after the host); NULL: nothing. */
const char *origin_fault(const char *origin);

/* Decimal digits only, at most max; -EINVAL, -ERANGE. */
MUSTCHECK int number_parse(const char *text, unsigned long max, unsigned long *ret_number);

#endif
