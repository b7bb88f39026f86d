#include "core/web/security.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Scheme, host and perhaps a port, and nothing behind them. */
static bool is_origin(const char *origin, bool *ret_https)
{
	static const char host_chars[] = "abcdefghijklmnopqrstuvwxyz0123456789.-_:[]";
	const char *host;

	if (strncmp(origin, "https://", 8) == 0) {
		*ret_https = true;
		host = origin + 8;
	} else if (strncmp(origin, "http://", 7) == 0) {
		*ret_https = false;
		host = origin + 7;
	} else {
		return false;
	}
	return *host != '\0' && host[strspn(host, host_chars)] == '\0';
}

int security_init(struct security *security, const char *origin, struct err *err)
{
	bool https;

	if (origin == NULL || !is_origin(origin, &https))
		return err_set(err, -EINVAL,
			"'%s' is no origin: expected http(s)://host[:port] in lower case, nothing "
			"behind it",
			origin != NULL ? origin : "");
	security->common = xasprintf("X-Content-Type-Options: nosniff\r\n"
				     "Referrer-Policy: no-referrer\r\n"
				     "X-Frame-Options: DENY\r\n"
				     "Cross-Origin-Opener-Policy: same-origin\r\n"
				     "Cross-Origin-Resource-Policy: same-origin\r\n"
				     "%s",
		https ? "Strict-Transport-Security: max-age=31536000\r\n" : "");
	security->common_len = strlen(security->common);
	/* The origin's scheme with "ws" for "http": ws://host or wss://host. */
	security->page_csp = xasprintf(
		"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
		"font-src 'self'; connect-src 'self' ws%s; worker-src 'self'; manifest-src 'self'; "
		"base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
		"require-trusted-types-for 'script'; trusted-types ops-worker",
		origin + strlen("http"));
	/* A worker takes the policy of its own script, not the page's: without connect-src the log
	 * worker could fetch nothing. */
	security->other_csp = "default-src 'none'; connect-src 'self'; frame-ancestors 'none'";
	return 0;
}

void security_fini(struct security *security)
{
	free(security->common);
	free(security->page_csp);
	memset(security, 0, sizeof(*security));
}
