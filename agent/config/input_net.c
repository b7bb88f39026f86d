#include "agent/config/input_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/yaml/scalar.h"

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_address(const char *value, size_t n)
{
	uint8_t address[16];
	char text[64];

	if (n >= sizeof(text))
		return false;
	memcpy(text, value, n);
	text[n] = '\0';
	return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

/* RFC 1123 names; the last label may not be a number, or it would be half an address. */
static bool is_host_name(const char *value, size_t n)
{
	bool digits_only = true;
	size_t label = 0;

	if (n == 0 || n > 253)
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = value[i];

		if (c == '.') {
			if (label == 0 || value[i - 1] == '-')
				return false;
			label = 0;
			digits_only = true;
			continue;
		}
		if ((!is_alnum(c) && (c != '-' || label == 0)) || ++label > 63)
			return false;
		digits_only = digits_only && c >= '0' && c <= '9';
	}
	return label != 0 && value[n - 1] != '-' && !digits_only;
}

int input_host_check(const char *value, size_t n, struct err *err)
{
	if (is_address(value, n) || is_host_name(value, n))
		return 0;
	return err_set(err, -EINVAL, "must be a host name or an IP address, without a port");
}

static const char *const default_schemes[] = {"https", "http"};

static bool scheme_is_allowed(const struct input_spec *spec, const char *value, size_t n)
{
	size_t n_schemes = spec->n_schemes != 0 ? spec->n_schemes : ARRAY_LEN(default_schemes);

	for (size_t i = 0; i < n_schemes; i++) {
		const char *scheme = spec->n_schemes != 0 ? spec->schemes[i] : default_schemes[i];

		if (strlen(scheme) == n && memcmp(scheme, value, n) == 0)
			return true;
	}
	return false;
}

static int scheme_error(const struct input_spec *spec, struct err *err)
{
	char list[160] = "";
	size_t len = 0;

	if (spec->n_schemes == 0)
		return err_set(err, -EINVAL, "must begin with https:// or http://");
	for (size_t i = 0; i < spec->n_schemes && len < sizeof(list); i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s://",
			i > 0 ? " or " : "", spec->schemes[i]);
	return err_set(err, -EINVAL, "must begin with %s", list);
}

/* host, host:port or [v6]:port */
static bool authority_is_valid(const char *s, size_t n)
{
	const char *colon = memrchr(s, ':', n);
	size_t host = n;

	if (n > 2 && s[0] == '[') {
		const char *end = memchr(s, ']', n);

		if (end == NULL || memchr(s, ':', (size_t)(end - s)) == NULL ||
			!is_address(s + 1, (size_t)(end - s - 1)))
			return false;
		if (end + 1 == s + n)
			return true;
		if (end[1] != ':')
			return false;
		colon = end + 1;
	}
	if (colon != NULL) {
		int64_t port;

		host = (size_t)(colon - s);
		if (scalar_int(colon + 1, n - host - 1, &port) != 0 || port < 1 || port > 65535)
			return false;
	}
	return s[0] == '[' || is_host_name(s, host) ||
	       (is_address(s, host) && memchr(s, ':', host) == NULL);
}

int input_url_check(const struct input_spec *spec, const char *value, size_t n, struct err *err)
{
	const char *sep = memmem(value, n, "://", 3);
	const char *host;
	size_t host_len = 0;

	for (size_t i = 0; i < n; i++) {
		if (value[i] <= ' ' || value[i] >= 0x7f || strchr("<>\"{}|\\^`", value[i]) != NULL)
			return err_set(err, -EINVAL,
				"must be an address in printable ASCII; write others as %%XX");
	}
	if (sep == NULL || !scheme_is_allowed(spec, value, (size_t)(sep - value)))
		return scheme_error(spec, err);
	host = sep + 3;
	while (host + host_len < value + n && strchr("/?#", host[host_len]) == NULL)
		host_len++;
	if (memchr(host, '@', host_len) != NULL)
		return err_set(err, -EINVAL, "must not hold a user or a password");
	if (host_len == 0 || !authority_is_valid(host, host_len))
		return err_set(err, -EINVAL, "has no valid host name behind ://");
	return 0;
}
