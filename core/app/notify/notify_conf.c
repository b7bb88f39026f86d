/*
 * NOTIFY_FILE: the mapping's keys in the order of the document, each checked as it is read, all
 * errors told. Over 500 lines: targets, rules and hooks share the checks of names, files and lists.
 */
#include "core/app/notify/notify_conf.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/app/config/agents_conf.h"
#include "core/app/notify/notify_read.h"
#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/yaml/scalar.h"
#include "core/yaml/suggest.h"

#define MAX_URL 1024
#define MINUTE_US (60 * CLOCK_SECOND_US)
#define HOUR_US (60 * MINUTE_US)
#define DEFAULT_QUIET_US MINUTE_US
#define DEFAULT_GRACE_US (2 * MINUTE_US)
#define DEFAULT_LOOK_US MINUTE_US
#define DEFAULT_RATE 30 /* calls of a hook in a minute */

static const char *const on_names[] = {"run.failed", "run.recovered", "approval.waiting",
	"agent.lost", "agent.back", "status.bad", "status.warn", "status.unknown", "status.ok",
	"test", NULL};
static const char *const kind_names[] = {"ntfy", "webhook", "mail", NULL};
static const char *const language_names[] = {"en", "nl", NULL};
static const char *const priority_names[] = {"min", "low", "default", "high", "urgent", NULL};
static const char *const tls_names[] = {"required", "none", NULL};

const char *notify_on_name(enum notify_on on)
{
	return on_names[on];
}

const char *notify_kind_name(enum notify_kind kind)
{
	return kind_names[kind];
}

bool notify_list_matches(const struct notify_list *list, const char *text)
{
	for (size_t i = 0; i < list->n; i++) {
		if (fnmatch(list->items[i], text, 0) == 0)
			return true;
	}
	return list->n == 0;
}

const struct notify_target *notify_conf_target(const struct notify_conf *conf, const char *name)
{
	for (size_t i = 0; conf != NULL && i < conf->n_targets; i++) {
		if (strcmp(conf->targets[i].name, name) == 0)
			return &conf->targets[i];
	}
	return NULL;
}

const struct notify_hook *notify_conf_hook(const struct notify_conf *conf, const char *name)
{
	for (size_t i = 0; conf != NULL && i < conf->n_hooks; i++) {
		if (strcmp(conf->hooks[i].name, name) == 0)
			return &conf->hooks[i];
	}
	return NULL;
}

/* ---- targets ---- */

/* schemes: "http:// https://" or so, separated by spaces. */
static char *read_url(
	const struct notify_reader *r, const struct doc_node *node, const char *schemes)
{
	const char *url = notify_read_text(r, node, MAX_URL);

	for (const char *at = schemes; url != NULL && *at != '\0';) {
		size_t n = strcspn(at, " ");

		if (strncmp(url, at, n) == 0 && url[n] != '\0' && url[n] != '/') {
			if (strpbrk(url, " \"<>\\") != NULL)
				break;
			if (memchr(url + n, '@', strcspn(url + n, "/?#")) == NULL)
				return xstrdup(url);
			notify_read_error(r, node,
				"must hold no user and password; they go "
				"into keys of their own");
			return NULL;
		}
		at += n;
		at += *at == ' ';
	}
	if (url != NULL)
		notify_read_error(
			r, node, "'%.80s' is no address that begins with %s", url, schemes);
	return NULL;
}

static void read_ntfy(
	const struct notify_reader *r, const struct doc_node *node, struct notify_target *target)
{
	const struct doc_node *topic = notify_read_need(r, node, "topic");
	const char *text = notify_read_text(r, topic, 64);

	target->url = read_url(r, notify_read_need(r, node, "url"), "https:// http://");
	for (const char *p = text; p != NULL && *p != '\0'; p++) {
		if (!isalnum((unsigned char)*p) && *p != '_' && *p != '-') {
			notify_read_error(r, topic, "a topic holds letters, digits, _ and - only");
			break;
		}
	}
	target->topic = xstrdup(text);
	target->secret = notify_read_secret(r, notify_read_get(node, "token_file"), 1);
	target->priority =
		1 + notify_read_choice(r, notify_read_get(node, "priority"), priority_names, 2);
}

static void read_webhook(
	const struct notify_reader *r, const struct doc_node *node, struct notify_target *target)
{
	target->url = read_url(r, notify_read_need(r, node, "url"), "https:// http://");
	target->secret =
		notify_read_secret(r, notify_read_need(r, node, "secret_file"), NOTIFY_MIN_KEY);
}

/* Enough to keep everything but one address out of the headers and the SMTP dialogue. */
static bool check_address(
	const struct notify_reader *r, const struct doc_node *node, const char *text)
{
	const char *at = strchr(text, '@');
	bool ok = at != NULL && at > text && at[1] != '\0' && strchr(at + 1, '@') == NULL;

	for (const char *p = text; *p != '\0'; p++)
		ok = ok && *p > ' ' && *p <= '~' && strchr("<>()[],;:\\\"", *p) == NULL;
	if (!ok)
		notify_read_error(
			r, node, "'%.80s' is no mail address, as in ops@example.org", text);
	return ok;
}

static void read_mail(
	const struct notify_reader *r, const struct doc_node *node, struct notify_target *target)
{
	const struct doc_node *from = notify_read_need(r, node, "from");
	const struct doc_node *to = notify_read_need(r, node, "to");
	const struct doc_node *user = notify_read_get(node, "user");
	const struct doc_node *password = notify_read_get(node, "password_file");
	const char *text = notify_read_text(r, from, 254);

	target->url = read_url(r, notify_read_need(r, node, "smtp"), "smtps:// smtp://");
	if (text != NULL && check_address(r, from, text))
		target->from = xstrdup(text);
	notify_read_list(r, to, &target->to);
	for (size_t i = 0; i < target->to.n; i++)
		check_address(r, to->kind == DOC_SEQUENCE ? to->items[i] : to, target->to.items[i]);
	if (target->to.n > 16)
		notify_read_error(r, to, "holds more than 16 addresses");
	target->user = xstrdup(notify_read_text(r, user, 256));
	target->secret = notify_read_secret(r, password, 1);
	if ((user == NULL) != (password == NULL))
		notify_read_error(r, node, "user and password_file go together: give both or none");
	target->plain = notify_read_choice(r, notify_read_get(node, "tls"), tls_names, 0) == 1;
	if (target->plain && password != NULL)
		notify_read_error(r, notify_read_get(node, "tls"),
			"without TLS the password would cross the network readable: leave one of "
			"them out");
	if (target->plain && target->url != NULL && strncmp(target->url, "smtps:", 6) == 0)
		notify_read_error(r, notify_read_get(node, "tls"), "smtps:// is TLS");
}

static void read_target(const struct notify_reader *r, const struct doc_node *name,
	const struct doc_node *node, struct notify_conf *conf)
{
	static const char *const keys[][12] = {
		{"type", "url", "topic", "token_file", "priority", "ca_file", NULL},
		{"type", "url", "secret_file", "ca_file", NULL},
		{"type", "smtp", "from", "to", "user", "password_file", "tls", "ca_file", NULL},
	};
	struct notify_target *target = &conf->targets[conf->n_targets];
	const struct doc_node *type;
	unsigned kind;

	if (!notify_read_name(r, name))
		return;
	if (node->kind != DOC_MAPPING) {
		notify_read_error(
			r, node, "a target is a mapping with a type: ntfy, webhook, mail");
		return;
	}
	type = notify_read_need(r, node, "type");
	kind = notify_read_choice(r, type, kind_names, ARRAY_LEN(keys));
	if (kind == ARRAY_LEN(keys))
		return;
	conf->n_targets++;
	target->name = xstrdup(name->text);
	target->kind = (enum notify_kind)kind;
	if (!notify_read_map(r, node, keys[kind]))
		return;
	target->ca_file = notify_read_path(r, notify_read_get(node, "ca_file"));
	if (kind == NOTIFY_NTFY)
		read_ntfy(r, node, target);
	else if (kind == NOTIFY_WEBHOOK)
		read_webhook(r, node, target);
	else
		read_mail(r, node, target);
}

/* ---- rules ---- */

static void read_on(
	const struct notify_reader *r, const struct doc_node *node, struct notify_rule *rule)
{
	const char *names[NOTIFY_N_ON + 1] = {NULL};

	for (size_t i = 0; i < NOTIFY_N_ON; i++)
		names[i] = on_names[i];
	for (size_t i = 0; node != NULL && i < MAX(node->n_items, 1); i++) {
		const struct doc_node *item = node->kind == DOC_SEQUENCE
						      ? (node->n_items > 0 ? node->items[i] : NULL)
						      : node;
		unsigned on;

		if (item == NULL || node->kind == DOC_MAPPING) {
			notify_read_error(
				r, node, "must name what it is about, as in [run.failed]");
			return;
		}
		on = notify_read_choice(r, item, names, NOTIFY_N_ON);
		if (on < NOTIFY_N_ON)
			rule->on |= 1u << on;
	}
}

static void read_rule_targets(const struct notify_reader *r, const struct doc_node *node,
	const struct notify_conf *conf, struct notify_rule *rule)
{
	struct notify_list names = {0};

	notify_read_list(r, node, &names);
	for (size_t i = 0; i < names.n; i++) {
		const struct doc_node *at = node->kind == DOC_SEQUENCE ? node->items[i] : node;
		const struct notify_target *target = notify_conf_target(conf, names.items[i]);
		char text[SUGGEST_TEXT_BYTES];
		struct suggest s;

		if (target != NULL && rule->n_targets < NOTIFY_MAX_TARGETS) {
			rule->targets[rule->n_targets++] = (size_t)(target - conf->targets);
		} else {
			suggest_init(&s, names.items[i], strlen(names.items[i]));
			for (size_t k = 0; k < conf->n_targets; k++)
				suggest_offer(&s, conf->targets[k].name);
			notify_read_error(r, at, "there is no target '%.40s'%s", names.items[i],
				suggest_text(&s, text));
		}
		free(names.items[i]);
	}
}

static void read_rule(
	const struct notify_reader *r, const struct doc_node *node, struct notify_conf *conf)
{
	static const char *const keys[] = {
		"on", "hosts", "runs", "sections", "items", "targets", "quiet", NULL};
	struct notify_rule *rule = &conf->rules[conf->n_rules++];

	if (!notify_read_map(r, node, keys))
		return;
	read_on(r, notify_read_need(r, node, "on"), rule);
	notify_read_hosts(r, notify_read_get(node, "hosts"), &rule->hosts);
	notify_read_list(r, notify_read_get(node, "runs"), &rule->runs);
	notify_read_list(r, notify_read_get(node, "sections"), &rule->sections);
	notify_read_list(r, notify_read_get(node, "items"), &rule->items);
	read_rule_targets(r, notify_read_need(r, node, "targets"), conf, rule);
	rule->quiet_us = notify_read_duration(
		r, notify_read_get(node, "quiet"), 0, NOTIFY_MAX_QUIET_US, DEFAULT_QUIET_US);
}

/* ---- hooks ---- */

/* RFC 6901: empty, or tokens that each begin with a slash; ~ only as ~0 and ~1. */
static bool pointer_is_valid(const char *text)
{
	if (text[0] != '/' && text[0] != '\0')
		return false;
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '~' && p[1] != '0' && p[1] != '1')
			return false;
	}
	return true;
}

static void read_input(const struct notify_reader *r, const struct doc_node *name,
	const struct doc_node *node, struct notify_hook *hook)
{
	static const char *const keys[] = {"pointer", "value", "default", NULL};
	struct notify_input *input = &hook->inputs[hook->n_inputs++];
	const struct doc_node *pointer, *value, *fallback;

	input->name = xstrdup(name->text);
	if (node->kind == DOC_SCALAR) {
		input->value = xstrdup(node->text);
		return;
	}
	if (!notify_read_map(r, node, keys))
		return;
	pointer = notify_read_get(node, "pointer");
	value = notify_read_get(node, "value");
	fallback = notify_read_get(node, "default");
	if ((pointer == NULL) == (value == NULL))
		notify_read_error(r, node, "needs either pointer or value");
	if (value != NULL && fallback != NULL)
		notify_read_error(r, fallback, "default goes with pointer only");
	for (int i = 0; i < 2; i++) {
		const struct doc_node *text = i == 0 ? value : fallback;

		if (text != NULL && text->kind != DOC_SCALAR)
			notify_read_error(r, text, "must be a text");
		else if (text != NULL && input->value == NULL)
			input->value = xstrdup(text->text);
	}
	input->pointer = xstrdup(notify_read_text(r, pointer, 512));
	if (input->pointer != NULL && !pointer_is_valid(input->pointer))
		notify_read_error(r, pointer,
			"'%.60s' is no JSON pointer (RFC 6901), as in /repository/full_name",
			input->pointer);
}

/* `10 per 1m` */
static void read_rate(
	const struct notify_reader *r, const struct doc_node *node, struct notify_hook *hook)
{
	static const char *const keys[] = {"limit", "per", NULL};
	const struct doc_node *limit;
	const char *text;
	int64_t n = 0;

	hook->rate_limit = DEFAULT_RATE;
	hook->rate_us = MINUTE_US;
	if (node == NULL || !notify_read_map(r, node, keys))
		return;
	limit = notify_read_need(r, node, "limit");
	text = notify_read_text(r, limit, 16);
	if (text != NULL && (scalar_int(text, strlen(text), &n) < 0 || n < 1 || n > 10000))
		notify_read_error(r, limit, "'%s' is not a number from 1 to 10000", text);
	hook->rate_limit = (unsigned)MAX(n, 1);
	hook->rate_us = notify_read_duration(
		r, notify_read_need(r, node, "per"), CLOCK_SECOND_US, 24 * HOUR_US, MINUTE_US);
}

static char *read_host(const struct notify_reader *r, const struct doc_node *node)
{
	const char *text = notify_read_text(r, node, 64);

	if (text == NULL || agents_is_host_name(text))
		return xstrdup(text);
	notify_read_error(r, node, "'%s' is no name of a host", text);
	return NULL;
}

static void read_hook(const struct notify_reader *r, const struct doc_node *name,
	const struct doc_node *node, struct notify_conf *conf)
{
	static const char *const keys[] = {
		"secret_file", "flow", "host", "events", "refs", "inputs", "rate", NULL};
	struct notify_hook *hook = &conf->hooks[conf->n_hooks];
	const struct doc_node *inputs;

	if (!notify_read_name(r, name))
		return;
	conf->n_hooks++;
	hook->name = xstrdup(name->text);
	if (!notify_read_map(r, node, keys))
		return;
	hook->secret =
		notify_read_secret(r, notify_read_need(r, node, "secret_file"), NOTIFY_MIN_KEY);
	hook->flow = xstrdup(notify_read_text(r, notify_read_need(r, node, "flow"), 128));
	hook->host = read_host(r, notify_read_get(node, "host"));
	notify_read_list(r, notify_read_get(node, "events"), &hook->events);
	notify_read_list(r, notify_read_get(node, "refs"), &hook->refs);
	read_rate(r, notify_read_get(node, "rate"), hook);
	inputs = notify_read_get(node, "inputs");
	if (inputs == NULL)
		return;
	if (inputs->kind != DOC_MAPPING || inputs->n_items > 2 * NOTIFY_MAX_LIST) {
		notify_read_error(
			r, inputs, "must be a mapping of at most %d inputs", NOTIFY_MAX_LIST);
		return;
	}
	for (size_t i = 0; i < inputs->n_items; i += 2)
		read_input(r, inputs->items[i], inputs->items[i + 1], hook);
}

/* ---- the file ---- */

static void read_named(const struct notify_reader *r, const struct doc_node *node, size_t max,
	struct notify_conf *conf,
	void (*read)(const struct notify_reader *, const struct doc_node *, const struct doc_node *,
		struct notify_conf *))
{
	if (node == NULL)
		return;
	if (node->kind != DOC_MAPPING || node->n_items > 2 * max) {
		notify_read_error(r, node, "must be a mapping of at most %zu names", max);
		return;
	}
	for (size_t i = 0; i < node->n_items; i += 2)
		read(r, node->items[i], node->items[i + 1], conf);
}

static void read_conf(
	const struct notify_reader *r, const struct doc_node *root, struct notify_conf *conf)
{
	static const char *const keys[] = {"version", "language", "agent_grace", "look_every",
		"targets", "rules", "hooks", NULL};
	const struct doc_node *version, *rules;

	if (!notify_read_map(r, root, keys))
		return;
	version = notify_read_need(r, root, "version");
	if (version != NULL && (version->kind != DOC_SCALAR || strcmp(version->text, "1") != 0))
		notify_read_error(r, version, "must be 1, the version of this format");
	conf->language = (enum notify_language)notify_read_choice(
		r, notify_read_get(root, "language"), language_names, NOTIFY_EN);
	conf->agent_grace_us = notify_read_duration(
		r, notify_read_get(root, "agent_grace"), 0, 24 * HOUR_US, DEFAULT_GRACE_US);
	conf->look_every_us = notify_read_duration(
		r, notify_read_get(root, "look_every"), CLOCK_SECOND_US, HOUR_US, DEFAULT_LOOK_US);
	read_named(r, notify_read_get(root, "targets"), NOTIFY_MAX_TARGETS, conf, read_target);
	rules = notify_read_get(root, "rules");
	if (rules != NULL && (rules->kind != DOC_SEQUENCE || rules->n_items > NOTIFY_MAX_RULES))
		notify_read_error(r, rules, "must be a list of at most %d rules", NOTIFY_MAX_RULES);
	else if (rules != NULL && conf->n_targets == 0)
		notify_read_error(r, rules, "there are rules, but no targets");
	else
		for (size_t i = 0; rules != NULL && i < rules->n_items; i++)
			read_rule(r, rules->items[i], conf);
	read_named(r, notify_read_get(root, "hooks"), NOTIFY_MAX_HOOKS, conf, read_hook);
}

struct notify_conf *notify_conf_parse(const char *path, const void *data, size_t n,
	const struct agents_conf *agents, struct config_errors *errors)
{
	struct notify_reader r = {.file = path, .agents = agents, .errors = errors};
	struct doc_node *root = doc_parse(path, data, n, errors);
	struct notify_conf *conf;

	if (root == NULL)
		return NULL;
	conf = xcalloc(1, sizeof(*conf));
	read_conf(&r, root, conf);
	doc_free(root);
	if (errors->total == 0)
		return conf;
	notify_conf_free(conf);
	return NULL;
}

struct notify_conf *notify_conf_load(
	const char *path, const struct agents_conf *agents, struct config_errors *errors)
{
	struct notify_conf *conf = NULL;
	struct config_pos whole = {0};
	struct err err = {0};
	struct stat st;
	struct buf buf;

	buf_init(&buf, NOTIFY_MAX_FILE);
	if (path[0] != '/') {
		config_errors_add(errors, path, whole, "must be an absolute path");
	} else if (file_read(AT_FDCWD, path, &buf, &err) < 0) {
		config_errors_add(errors, path, whole, "%s", err.msg);
	} else if (stat(path, &st) == 0 && (st.st_mode & S_IWOTH) != 0) {
		config_errors_add(errors, path, whole, "may be written by everybody: chmod o-w");
	} else {
		conf = notify_conf_parse(path, buf.data != NULL ? buf.data : (const uint8_t *)"",
			buf.len, agents, errors);
	}
	buf_fini(&buf);
	return conf;
}

static void free_list(struct notify_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->items[i]);
}

static void free_secret(char *s)
{
	if (s != NULL)
		mem_wipe(s, strlen(s));
	free(s);
}

void notify_conf_free(struct notify_conf *conf)
{
	if (conf == NULL)
		return;
	for (size_t i = 0; i < NOTIFY_MAX_TARGETS; i++) {
		struct notify_target *target = &conf->targets[i];

		free(target->name);
		free(target->url);
		free_secret(target->secret);
		free(target->ca_file);
		free(target->topic);
		free(target->from);
		free(target->user);
		free_list(&target->to);
	}
	for (size_t i = 0; i < NOTIFY_MAX_RULES; i++) {
		free_list(&conf->rules[i].hosts);
		free_list(&conf->rules[i].runs);
		free_list(&conf->rules[i].sections);
		free_list(&conf->rules[i].items);
	}
	for (size_t i = 0; i < NOTIFY_MAX_HOOKS; i++) {
		struct notify_hook *hook = &conf->hooks[i];

		free(hook->name);
		free_secret(hook->secret);
		free(hook->flow);
		free(hook->host);
		free_list(&hook->events);
		free_list(&hook->refs);
		for (size_t k = 0; k < hook->n_inputs; k++) {
			free(hook->inputs[k].name);
			free(hook->inputs[k].pointer);
			free(hook->inputs[k].value);
		}
	}
	free(conf);
}
