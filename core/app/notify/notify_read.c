#include "core/app/notify/notify_read.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/yaml/scalar.h"
#include "core/yaml/suggest.h"

#define HOST_PATTERN_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-*?[]!"

void notify_read_error(
	const struct notify_reader *r, const struct doc_node *node, const char *fmt, ...)
{
	struct config_pos whole = {0};
	char text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	config_errors_add(r->errors, r->file, node != NULL ? node->pos : whole, "%s", text);
}

static const char *nearest(
	const char *name, const char *const names[], char text[SUGGEST_TEXT_BYTES])
{
	struct suggest s;

	suggest_init(&s, name, strlen(name));
	for (; *names != NULL; names++)
		suggest_offer(&s, *names);
	return suggest_text(&s, text);
}

static bool is_among(const char *name, const char *const names[])
{
	for (; *names != NULL; names++) {
		if (strcmp(*names, name) == 0)
			return true;
	}
	return false;
}

bool notify_read_map(
	const struct notify_reader *r, const struct doc_node *node, const char *const keys[])
{
	char text[SUGGEST_TEXT_BYTES];
	bool ok = true;

	if (node == NULL || node->kind != DOC_MAPPING) {
		notify_read_error(r, node, "must be a mapping (key: value)");
		return false;
	}
	for (size_t i = 0; i < node->n_items; i += 2) {
		const struct doc_node *key = node->items[i];

		if (is_among(key->text, keys))
			continue;
		notify_read_error(r, key, "the key '%.60s' is not known here%s", key->text,
			nearest(key->text, keys, text));
		ok = false;
	}
	return ok;
}

const struct doc_node *notify_read_get(const struct doc_node *map, const char *key)
{
	for (size_t i = 0; map->kind == DOC_MAPPING && i < map->n_items; i += 2) {
		if (strcmp(map->items[i]->text, key) == 0)
			return map->items[i + 1];
	}
	return NULL;
}

const struct doc_node *notify_read_need(
	const struct notify_reader *r, const struct doc_node *map, const char *key)
{
	const struct doc_node *node = notify_read_get(map, key);

	if (node == NULL)
		notify_read_error(r, map, "the key '%s' is missing", key);
	return node;
}

const char *notify_read_text(const struct notify_reader *r, const struct doc_node *node, size_t max)
{
	if (node == NULL)
		return NULL;
	if (node->kind != DOC_SCALAR || node->is_null || node->text[0] == '\0')
		notify_read_error(r, node, "must be a text that is not empty");
	else if (strlen(node->text) > max)
		notify_read_error(r, node, "is longer than %zu bytes", max);
	else if (strpbrk(node->text, "\n\t") != NULL)
		notify_read_error(r, node, "must stand on one line");
	else
		return node->text;
	return NULL;
}

void notify_read_list(
	const struct notify_reader *r, const struct doc_node *node, struct notify_list *ret_list)
{
	const char *text;

	if (node == NULL)
		return;
	if (node->kind != DOC_SEQUENCE) {
		text = notify_read_text(r, node, 256);
		if (text != NULL)
			ret_list->items[ret_list->n++] = xstrdup(text);
		return;
	}
	if (node->n_items == 0)
		notify_read_error(r, node, "is empty; leave the key out to mean all");
	if (node->n_items > NOTIFY_MAX_LIST) {
		notify_read_error(r, node, "holds more than %d entries", NOTIFY_MAX_LIST);
		return;
	}
	for (size_t i = 0; i < node->n_items; i++) {
		text = notify_read_text(r, node->items[i], 256);
		if (text != NULL)
			ret_list->items[ret_list->n++] = xstrdup(text);
	}
}

/* Of one agent alone the name is its own to say. */
static bool hosts_are_known(const struct notify_reader *r)
{
	return r->agents != NULL && r->agents->n > 0 && r->agents->items[0].host != NULL;
}

static bool some_host_matches(const struct notify_reader *r, const char *pattern, struct suggest *s)
{
	for (size_t i = 0; i < r->agents->n; i++) {
		if (fnmatch(pattern, r->agents->items[i].host, 0) == 0)
			return true;
		suggest_offer(s, r->agents->items[i].host);
	}
	return false;
}

void notify_read_hosts(
	const struct notify_reader *r, const struct doc_node *node, struct notify_list *ret_list)
{
	notify_read_list(r, node, ret_list);
	for (size_t i = 0; i < ret_list->n; i++) {
		const struct doc_node *at = node->kind == DOC_SEQUENCE ? node->items[i] : node;
		const char *pattern = ret_list->items[i];
		char text[SUGGEST_TEXT_BYTES];
		struct suggest s;

		suggest_init(&s, pattern, strlen(pattern));
		if (strlen(pattern) > AGENTS_MAX_HOST ||
			pattern[strspn(pattern, HOST_PATTERN_CHARS)] != '\0')
			notify_read_error(r, at,
				"'%.80s' is no name of a host, nor a pattern of one", pattern);
		else if (hosts_are_known(r) && !some_host_matches(r, pattern, &s))
			notify_read_error(r, at, "AGENTS_FILE names no host '%.64s'%s", pattern,
				suggest_text(&s, text));
	}
}

uint64_t notify_read_duration(const struct notify_reader *r, const struct doc_node *node,
	uint64_t min_us, uint64_t max_us, uint64_t fallback_us)
{
	char low[SCALAR_DURATION_TEXT_BYTES], high[SCALAR_DURATION_TEXT_BYTES];
	const char *text = notify_read_text(r, node, 32);
	uint64_t us;

	if (text == NULL)
		return fallback_us;
	if (scalar_duration(text, strlen(text), &us) == 0 && us >= min_us && us <= max_us)
		return us;
	scalar_duration_format(min_us, low);
	scalar_duration_format(max_us, high);
	notify_read_error(
		r, node, "'%s' is not a duration from %s to %s, as in 30s or 5m", text, low, high);
	return fallback_us;
}

unsigned notify_read_choice(const struct notify_reader *r, const struct doc_node *node,
	const char *const names[], unsigned fallback)
{
	const char *text = notify_read_text(r, node, 64);
	char near[SUGGEST_TEXT_BYTES], all[128] = "";

	if (text == NULL)
		return fallback;
	for (unsigned i = 0; names[i] != NULL; i++) {
		if (strcmp(names[i], text) == 0)
			return i;
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i > 0 ? ", " : "",
			names[i]);
	}
	notify_read_error(r, node, "'%s' is none of %s%s", text, all, nearest(text, names, near));
	return fallback;
}

bool notify_read_name(const struct notify_reader *r, const struct doc_node *node)
{
	const char *text = notify_read_text(r, node, NOTIFY_MAX_NAME);

	for (const char *p = text; p != NULL && *p != '\0'; p++) {
		if (isalnum((unsigned char)*p) || (p > text && strchr("._-", *p) != NULL))
			continue;
		notify_read_error(r, node,
			"the name '%s' may hold letters, digits and . _ - only, and begins with "
			"one of the first two",
			text);
		return false;
	}
	return text != NULL;
}

static int open_for(const struct notify_reader *r, const struct doc_node *node, struct stat *st)
{
	const char *path = notify_read_text(r, node, 1024);
	int fd;

	if (path == NULL)
		return -1;
	if (path[0] != '/') {
		notify_read_error(r, node, "must be an absolute path");
		return -1;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, st) < 0) {
		notify_read_error(r, node, "cannot read %.120s: %s", path, strerror(errno));
	} else if (!S_ISREG(st->st_mode)) {
		notify_read_error(r, node, "%.120s is not a regular file", path);
	} else {
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

/* White space at the end is an editor's, not the secret's. */
static char *take_secret(
	const struct notify_reader *r, const struct doc_node *node, int fd, size_t min)
{
	char text[NOTIFY_MAX_SECRET + 1], *secret = NULL;
	ssize_t n = read(fd, text, sizeof(text));
	size_t len = n > 0 ? (size_t)n : 0;

	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	if (n < 0)
		notify_read_error(r, node, "cannot read %.120s: %s", node->text, strerror(errno));
	else if (len > NOTIFY_MAX_SECRET)
		notify_read_error(
			r, node, "%.120s holds more than %d bytes", node->text, NOTIFY_MAX_SECRET);
	else if (len < min)
		notify_read_error(r, node,
			"%.120s holds a secret of %zu bytes; at least %zu are "
			"needed (openssl rand -hex 32)",
			node->text, len, min);
	else if (memchr(text, '\0', len) != NULL || memchr(text, '\n', len) != NULL)
		notify_read_error(r, node, "%.120s must hold one line of text", node->text);
	else
		secret = xstrndup(text, len);
	mem_wipe(text, sizeof(text));
	return secret;
}

char *notify_read_secret(const struct notify_reader *r, const struct doc_node *node, size_t min)
{
	char *secret = NULL;
	struct stat st;
	int fd = node != NULL ? open_for(r, node, &st) : -1;

	if (fd < 0)
		return NULL;
	if ((st.st_mode & (S_IRWXO | S_IWGRP)) != 0)
		notify_read_error(r, node,
			"%.120s may be used by others (mode %03o): chmod 0600, or 0640 for a group",
			node->text, st.st_mode & 0777u);
	else
		secret = take_secret(r, node, fd, min);
	close(fd);
	return secret;
}

char *notify_read_path(const struct notify_reader *r, const struct doc_node *node)
{
	struct stat st;
	int fd = node != NULL ? open_for(r, node, &st) : -1;

	if (fd < 0)
		return NULL;
	close(fd);
	return xstrdup(node->text);
}
