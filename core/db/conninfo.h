/*
 * DATABASE_URL, parsed: a libpq URI (postgresql://user@host/db?…) or keyword=value text. Several
 * hosts (`host=a,b`, target_session_attrs) and Unix socket folders are fine. `service=` is refused:
 * it could hide a host name, whose lookup inside libpq would block.
 */
#ifndef OPS_CORE_DB_CONNINFO_H
#define OPS_CORE_DB_CONNINFO_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/err.h"
#include "core/base/mem.h"

#define CONNINFO_MAX_HOSTS 8
#define CONNINFO_MAX_ADDRESSES 16 /* of all hosts together */
#define CONNINFO_MAX_OPTIONS 48

struct conninfo_host {
	char *name;	   /* as written; NULL: libpq's default socket folder */
	char *port;	   /* NULL: the default */
	char *address;	   /* given by hostaddr=, or NULL */
	bool needs_lookup; /* neither a socket folder nor an address */
};

struct conninfo_option {
	char *keyword, *value;
};

struct conninfo {
	struct conninfo_host hosts[CONNINFO_MAX_HOSTS];
	size_t n_hosts;					      /* >= 1 */
	struct conninfo_option options[CONNINFO_MAX_OPTIONS]; /* all but host, hostaddr, port */
	size_t n_options;
	char *where; /* "ops at db.example:5432", for people: no password */
};

/* NULL with err set when the text is no connection string. Never prints the password. */
struct conninfo *conninfo_parse(const char *text, struct err *err);
void conninfo_free(struct conninfo *info);

/* One address that a host's name resolved to. */
struct conninfo_address {
	size_t host;   /* index into hosts */
	char text[64]; /* numeric; "": the host as it is (a socket folder) */
};

/*
 * The keyword and value arrays for PQconnectStartParams(), each ended by NULL, with these addresses
 * as hostaddr, in this order, and our defaults (keepalives, tcp_user_timeout, client_encoding,
 * gssencmode, application_name) for what the text does not say.
 */
struct conninfo_params {
	const char *keywords[CONNINFO_MAX_OPTIONS + 16];
	const char *values[CONNINFO_MAX_OPTIONS + 16];
	char *host, *hostaddr, *port; /* owned */
};
void conninfo_params_init(struct conninfo_params *params, const struct conninfo *info,
	const struct conninfo_address *addresses, size_t n_addresses);
void conninfo_params_fini(struct conninfo_params *params);

#endif
