#include "core/app/config/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

int number_parse(const char *text, unsigned long max, unsigned long *ret)
{
	unsigned long v = 0;

	if (*text == '\0' || strlen(text) > 9)
		return -EINVAL;
	for (; *text != '\0'; text++) {
		if (!isdigit((unsigned char)*text))
			return -EINVAL;
		v = v * 10 + (unsigned long)(*text - '0');
	}
	if (v > max)
		return -ERANGE;
	*ret = v;
	return 0;
}

int address_parse(const char *text, size_t len, uint8_t ret_addr[ADDRESS_BYTES])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	char copy[INET6_ADDRSTRLEN];
	struct in_addr v4;

	if (len >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (inet_pton(AF_INET, copy, &v4) == 1) {
		memcpy(ret_addr, mapped, sizeof(mapped));
		memcpy(ret_addr + 12, &v4, 4);
		return 0;
	}
	return inet_pton(AF_INET6, copy, ret_addr) == 1 ? 0 : -EINVAL;
}

void address_format(const uint8_t a[ADDRESS_BYTES], char ret_text[ADDRESS_TEXT_BYTES])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	bool v4 = memcmp(a, mapped, sizeof(mapped)) == 0;

	ret_text[0] = '\0';
	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? a + 12 : a, ret_text, ADDRESS_TEXT_BYTES);
}

bool address_is_loopback(const uint8_t a[ADDRESS_BYTES])
{
	static const uint8_t v6[16] = {[15] = 1};
	static const uint8_t v4[13] = {[10] = 0xff, [11] = 0xff, [12] = 127};

	return memcmp(a, v6, 16) == 0 || memcmp(a, v4, 13) == 0;
}

const char *origin_fault(const char *origin)
{
	bool https = strncmp(origin, "https://", 8) == 0;
	const char *host, *port, *end;
	unsigned long number;

	if (!https && strncmp(origin, "http://", 7) != 0)
		return "must begin with https:// or http://";
	host = origin + (https ? 8 : 7);
	end = host[0] == '[' ? strchr(host, ']') : NULL;
	if (host[0] == '[' && end == NULL)
		return "the bracket of the address is not closed";
	port = strchr(end != NULL ? end : host, ':');
	if (port == host || *host == '\0')
		return "names no host";
	for (const char *p = host; *p != '\0' && p != port; p++) {
		if (isupper((unsigned char)*p))
			return "must be in lower case";
		if (!isalnum((unsigned char)*p) && strchr(end != NULL ? ".-[]:" : ".-", *p) == NULL)
			return "must end after the host and port: no path, no trailing slash";
	}
	if (port == NULL)
		return NULL;
	if (number_parse(port + 1, 65535, &number) < 0 || number == 0 || port[1] == '0')
		return "has an invalid port, or something behind it";
	if (number == (https ? 443 : 80))
		return "names the default port, which browsers leave out: leave it out too";
	return NULL;
}

int network_parse(const char *text, size_t len, struct network *ret_network)
{
	const char *slash = memchr(text, '/', len);
	size_t addr_len = slash != NULL ? (size_t)(slash - text) : len;
	bool v4 = memchr(text, ':', len) == NULL;
	unsigned long bits = v4 ? 32 : 128;
	char number[8] = "";
	int rc;

	if (slash != NULL && len - addr_len - 1 < sizeof(number))
		memcpy(number, slash + 1, len - addr_len - 1);
	if (slash != NULL && number_parse(number, bits, &bits) < 0)
		return -EINVAL;
	rc = address_parse(text, addr_len, ret_network->addr);
	ret_network->bits = (unsigned)bits + (v4 ? 96 : 0);
	return rc;
}

bool network_contains(const struct network *net, const uint8_t addr[ADDRESS_BYTES])
{
	size_t whole = net->bits / 8, rest = net->bits % 8;
	uint8_t mask = (uint8_t)(0xff00u >> rest);

	if (memcmp(net->addr, addr, whole) != 0)
		return false;
	return rest == 0 || ((net->addr[whole] ^ addr[whole]) & mask) == 0;
}
