#include "core/app/config/agents_conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/app/notify/notify_read.h"
#include "core/base/buf.h"
#include "core/base/file.h"

#define MAX_FILE (64u << 10)
#define MAX_TITLE 80
#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

bool agents_is_host_name(const char *text)
{
	size_t n = strlen(text);

	return n <= AGENTS_MAX_HOST && strspn(text, ALNUM) > 0 && strspn(text, ALNUM "._-") == n;
}

static char *read_host(
	const struct notify_reader *r, const struct doc_node *node, const struct agents_conf *conf)
{
	const char *text = notify_read_text(r, node, AGENTS_MAX_HOST);

	if (text == NULL)
		return NULL;
	if (!agents_is_host_name(text)) {
		notify_read_error(r, node,
			"'%s' may hold letters, digits and . _ - only, and begins with one of the "
			"first two",
			text);
		return NULL;
	}
	for (size_t i = 0; i < conf->n; i++) {
		if (strcmp(conf->items[i].host, text) == 0) {
			notify_read_error(r, node, "the host '%s' is there already", text);
			return NULL;
		}
	}
	return xstrdup(text);
}

static char *read_socket(
	const struct notify_reader *r, const struct doc_node *node, const struct agents_conf *conf)
{
	const char *text = notify_read_text(r, node, AGENTS_MAX_SOCKET);

	if (text == NULL)
		return NULL;
	if (text[0] != '/') {
		notify_read_error(r, node, "must be an absolute path");
		return NULL;
	}
	for (size_t i = 0; i < conf->n; i++) {
		if (strcmp(conf->items[i].socket, text) == 0) {
			notify_read_error(
				r, node, "is the socket of '%s' already", conf->items[i].host);
			return NULL;
		}
	}
	return xstrdup(text);
}

static void read_agent(
	const struct notify_reader *r, const struct doc_node *node, struct agents_conf *conf)
{
	static const char *const keys[] = {"host", "title", "socket", "secret_file", NULL};
	struct agent_conf item = {0};

	if (!notify_read_map(r, node, keys))
		return;
	item.host = read_host(r, notify_read_need(r, node, "host"), conf);
	item.title = xstrdup(notify_read_text(r, notify_read_get(node, "title"), MAX_TITLE));
	item.socket = read_socket(r, notify_read_need(r, node, "socket"), conf);
	item.secret =
		notify_read_secret(r, notify_read_need(r, node, "secret_file"), AGENTS_MIN_SECRET);
	if (item.host != NULL && item.socket != NULL && item.secret != NULL)
		conf->items[conf->n++] = item;
	else
		agent_conf_fini(&item);
}

static void read_agents(
	const struct notify_reader *r, const struct doc_node *node, struct agents_conf *conf)
{
	if (node == NULL)
		return;
	if (node->kind != DOC_SEQUENCE || node->n_items == 0)
		notify_read_error(r, node, "must be a list of at least one agent");
	else if (node->n_items > LIMIT_HOSTS)
		notify_read_error(r, node, "holds more than %d agents", LIMIT_HOSTS);
	else
		for (size_t i = 0; i < node->n_items; i++)
			read_agent(r, node->items[i], conf);
}

int agents_conf_parse(const char *file, const void *data, size_t n, struct agents_conf *conf,
	struct config_errors *errors)
{
	static const char *const keys[] = {"version", "agents", NULL};
	const struct notify_reader r = {.file = file, .errors = errors};
	const struct doc_node *version;
	struct doc_node *root;

	memset(conf, 0, sizeof(*conf));
	root = doc_parse(file, data, n, errors);
	if (root != NULL && notify_read_map(&r, root, keys)) {
		version = notify_read_need(&r, root, "version");
		if (version != NULL &&
			(version->kind != DOC_SCALAR || strcmp(version->text, "1") != 0))
			notify_read_error(&r, version, "must be 1");
		read_agents(&r, notify_read_need(&r, root, "agents"), conf);
	}
	doc_free(root);
	return errors->total == 0 ? 0 : -EINVAL;
}

int agents_conf_load(const char *path, struct agents_conf *conf, struct config_errors *errors)
{
	struct config_pos whole = {0};
	struct err err = {0};
	struct stat st;
	struct buf buf;
	int rc = -EINVAL;

	memset(conf, 0, sizeof(*conf));
	buf_init(&buf, MAX_FILE);
	if (path[0] != '/')
		config_errors_add(errors, path, whole, "must be an absolute path");
	else if (file_read(AT_FDCWD, path, &buf, &err) < 0)
		config_errors_add(errors, path, whole, "%s", err.msg);
	else if (stat(path, &st) == 0 && (st.st_mode & S_IWOTH) != 0)
		config_errors_add(errors, path, whole, "may be written by everybody: chmod o-w");
	else
		rc = agents_conf_parse(path, buf.data != NULL ? buf.data : (const uint8_t *)"",
			buf.len, conf, errors);
	buf_fini(&buf);
	return rc;
}

void agent_conf_copy(struct agent_conf *to, const struct agent_conf *from)
{
	*to = (struct agent_conf){
		.host = xstrdup(from->host),
		.title = xstrdup(from->title),
		.socket = xstrdup(from->socket),
		.secret = xstrdup(from->secret),
	};
}

void agent_conf_fini(struct agent_conf *conf)
{
	if (conf->secret != NULL)
		mem_wipe(conf->secret, strlen(conf->secret));
	free(conf->host);
	free(conf->title);
	free(conf->socket);
	free(conf->secret);
	memset(conf, 0, sizeof(*conf));
}

void agents_conf_fini(struct agents_conf *conf)
{
	for (size_t i = 0; i < ARRAY_LEN(conf->items); i++)
		agent_conf_fini(&conf->items[i]);
	conf->n = 0;
}
