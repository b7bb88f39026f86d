#include "core/db/conninfo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"

#define CONNINFO_MAX_TEXT 4096

/* For what the text does not say. gssencmode: looking for Kerberos tickets would block. */
static const struct {
	const char *keyword, *value;
} defaults[] = {
	{"application_name", "ops-dashboard"},
	{"client_encoding", "UTF8"},
	{"gssencmode", "disable"},
	{"keepalives", "1"},
	{"keepalives_idle", "10"},
	{"keepalives_interval", "5"},
	{"keepalives_count", "3"},
	{"tcp_user_timeout", "10000"},
};

static bool is_address(const char *text)
{
	uint8_t bytes[16];
	char plain[64];
	/* An IPv6 address may carry a zone, which inet_pton() does not know. */
	size_t n = strcspn(text, "%");
	if (n >= sizeof(plain))
		return false;
	memcpy(plain, text, n);
	plain[n] = '\0';
	return inet_pton(AF_INET, plain, bytes) == 1 || inet_pton(AF_INET6, plain, bytes) == 1;
}

/* The item number i of a comma-separated list on the heap; NULL when it is empty or absent. */
static char *list_item(const char *list, size_t i)
{
	const char *at = list;
	for (size_t n = 0; at != NULL; n++) {
		size_t len = strcspn(at, ",");
		if (n == i)
			return len > 0 ? xstrndup(at, len) : NULL;
		at = at[len] == ',' ? at + len + 1 : NULL;
	}
	return NULL;
}

static size_t list_length(const char *list)
{
	if (list == NULL || list[0] == '\0')
		return 0;
	size_t n = 1;
	for (const char *at = list; *at != '\0'; at++)
		n += *at == ',';
	return n;
}

static const char *option_value(const PQconninfoOption *options, const char *keyword)
{
	for (const PQconninfoOption *o = options; o->keyword != NULL; o++)
		if (strcmp(o->keyword, keyword) == 0)
			return o->val != NULL && o->val[0] != '\0' ? o->val : NULL;
	return NULL;
}

static int parse_hosts(struct conninfo *info, const PQconninfoOption *options, struct err *err)
{
	const char *host = option_value(options, "host");
	const char *hostaddr = option_value(options, "hostaddr");
	const char *port = option_value(options, "port");
	size_t n_hosts = list_length(host), n_addresses = list_length(hostaddr);
	size_t n_ports = list_length(port);
	size_t n = MAX(MAX(n_hosts, n_addresses), (size_t)1);

	if (n_hosts > 0 && n_addresses > 0 && n_hosts != n_addresses) {
		return err_set(err, -EINVAL, "it names %zu hosts but %zu addresses (hostaddr)",
			n_hosts, n_addresses);
	}
	if (n_ports > 1 && n_ports != n)
		return err_set(err, -EINVAL, "it names %zu hosts but %zu ports", n, n_ports);
	if (n > CONNINFO_MAX_HOSTS) {
		return err_set(err, -EINVAL, "it names %zu hosts; at most %d are possible", n,
			CONNINFO_MAX_HOSTS);
	}
	for (size_t i = 0; i < n; i++) {
		struct conninfo_host *h = &info->hosts[info->n_hosts++];
		h->name = list_item(host, i);
		h->address = list_item(hostaddr, i);
		h->port = list_item(port, n_ports == 1 ? 0 : i);
		h->needs_lookup = h->address == NULL && h->name != NULL && h->name[0] != '/' &&
				  h->name[0] != '@' && !is_address(h->name);
		if (h->name != NULL && strlen(h->name) > 253 && h->needs_lookup)
			return err_set(err, -EINVAL, "a host name is longer than 253 characters");
	}
	return 0;
}

static int parse_options(struct conninfo *info, const PQconninfoOption *options, struct err *err)
{
	for (const PQconninfoOption *o = options; o->keyword != NULL; o++) {
		if (o->val == NULL || strcmp(o->keyword, "host") == 0 ||
			strcmp(o->keyword, "hostaddr") == 0 || strcmp(o->keyword, "port") == 0)
			continue;
		if (strcmp(o->keyword, "service") == 0) {
			return err_set(err, -EINVAL,
				"'service' is not supported: write host=, dbname= and user= "
				"instead");
		}
		if (strcmp(o->keyword, "replication") == 0)
			return err_set(err, -EINVAL, "'replication' makes no sense here");
		if (info->n_options == CONNINFO_MAX_OPTIONS)
			return err_set(err, -EINVAL, "too many options");
		struct conninfo_option *to = &info->options[info->n_options++];
		to->keyword = xstrdup(o->keyword);
		to->value = xstrdup(o->val);
	}
	return 0;
}

/* "ops at /run/postgresql, db:5433" */
static char *describe(const struct conninfo *info, const PQconninfoOption *options)
{
	const char *dbname = option_value(options, "dbname");
	struct buf buf;
	buf_init(&buf, CONNINFO_MAX_TEXT * 2);
	buf_append_str(&buf, dbname != NULL ? dbname : "the default database");
	buf_append_str(&buf, " at ");
	for (size_t i = 0; i < info->n_hosts; i++) {
		const struct conninfo_host *h = &info->hosts[i];
		const char *name = h->name != NULL ? h->name : h->address;
		buf_printf(
			&buf, "%s%s", i > 0 ? ", " : "", name != NULL ? name : "the local socket");
		if (h->port != NULL)
			buf_printf(&buf, ":%s", h->port);
	}
	char *text = buf_take_str(&buf);
	buf_fini(&buf);
	return text != NULL ? text : xstrdup("PostgreSQL");
}

/* Without a host in the text libpq would take PGHOST, and look the name up itself. */
static void hosts_from_environment(PQconninfoOption *options)
{
	if (option_value(options, "host") != NULL || option_value(options, "hostaddr") != NULL)
		return;
	for (PQconninfoOption *o = options; o->keyword != NULL; o++) {
		bool host = strcmp(o->keyword, "host") == 0;
		bool address = strcmp(o->keyword, "hostaddr") == 0;
		const char *value = host ? getenv("PGHOST") : address ? getenv("PGHOSTADDR") : NULL;
		if (value != NULL && value[0] != '\0' && o->val == NULL)
			o->val = strdup(value);
	}
}

struct conninfo *conninfo_parse(const char *text, struct err *err)
{
	char *problem = NULL;
	if (strlen(text) > CONNINFO_MAX_TEXT) {
		err_set(err, -EINVAL, "it is longer than %d characters", CONNINFO_MAX_TEXT);
		return NULL;
	}
	/* Anything that is neither a URI nor keyword=value would be shown in libpq's message, and
	 * may hold a password. */
	if (strstr(text, "://") == NULL && strchr(text, '=') == NULL) {
		err_set(err, -EINVAL,
			"it is neither postgresql://user@host/database nor keyword=value text");
		return NULL;
	}
	PQconninfoOption *options = PQconninfoParse(text, &problem);
	if (options == NULL) {
		PQfreemem(problem);
		err_set(err, -EINVAL,
			"it is not a PostgreSQL connection string such as "
			"postgresql://user:password@host:5432/database "
			"(special characters in the password are written as %%XX)");
		return NULL;
	}
	hosts_from_environment(options);
	struct conninfo *info = xcalloc(1, sizeof(*info));
	int rc = parse_hosts(info, options, err);
	if (rc == 0)
		rc = parse_options(info, options, err);
	if (rc == 0) {
		info->where = describe(info, options);
	} else {
		conninfo_free(info);
		info = NULL;
	}
	PQconninfoFree(options);
	return info;
}

void conninfo_free(struct conninfo *info)
{
	if (info == NULL)
		return;
	for (size_t i = 0; i < info->n_hosts; i++) {
		free(info->hosts[i].name);
		free(info->hosts[i].port);
		free(info->hosts[i].address);
	}
	for (size_t i = 0; i < info->n_options; i++) {
		mem_wipe(info->options[i].value, strlen(info->options[i].value));
		free(info->options[i].keyword);
		free(info->options[i].value);
	}
	free(info->where);
	free(info);
}

static void params_add(
	struct conninfo_params *params, size_t *n, const char *keyword, const char *value)
{
	params->keywords[*n] = keyword;
	params->values[*n] = value;
	(*n)++;
}

static bool has_option(const struct conninfo *info, const char *keyword)
{
	for (size_t i = 0; i < info->n_options; i++)
		if (strcmp(info->options[i].keyword, keyword) == 0)
			return true;
	return false;
}

static void list_add(struct buf *list, size_t i, const char *item)
{
	buf_printf(list, "%s%s", i > 0 ? "," : "", item != NULL ? item : "");
}

void conninfo_params_init(struct conninfo_params *params, const struct conninfo *info,
	const struct conninfo_address *addresses, size_t n_addresses)
{
	struct buf host, hostaddr, port;
	size_t n = 0;

	memset(params, 0, sizeof(*params));
	buf_init(&host, CONNINFO_MAX_TEXT * 4);
	buf_init(&hostaddr, CONNINFO_MAX_TEXT);
	buf_init(&port, CONNINFO_MAX_TEXT);
	for (size_t i = 0; i < n_addresses; i++) {
		const struct conninfo_host *h = &info->hosts[addresses[i].host];
		list_add(&host, i, h->name);
		list_add(&hostaddr, i, addresses[i].text);
		list_add(&port, i, h->port);
	}
	params->host = buf_take_str(&host);
	params->hostaddr = buf_take_str(&hostaddr);
	params->port = buf_take_str(&port);
	params_add(params, &n, "host", params->host);
	params_add(params, &n, "hostaddr", params->hostaddr);
	params_add(params, &n, "port", params->port);
	for (size_t i = 0; i < info->n_options; i++)
		params_add(params, &n, info->options[i].keyword, info->options[i].value);
	for (size_t i = 0; i < ARRAY_LEN(defaults); i++)
		if (!has_option(info, defaults[i].keyword))
			params_add(params, &n, defaults[i].keyword, defaults[i].value);
	params->keywords[n] = NULL;
	params->values[n] = NULL;
	buf_fini(&host);
	buf_fini(&hostaddr);
	buf_fini(&port);
}

void conninfo_params_fini(struct conninfo_params *params)
{
	free(params->host);
	free(params->hostaddr);
	free(params->port);
	memset(params, 0, sizeof(*params));
}
