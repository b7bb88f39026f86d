/* What the Engine API's documents say of a container. Fields of a wrong type are as good as absent.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/probes/container.h"
#include "agent/probes/engine.h"

static const char image_prefix[] = "sha256:";

static json_t *load(const uint8_t *json, size_t n, size_t flags, struct err *err)
{
	json_error_t error;
	json_t *root = json_loadb((const char *)json, n, flags, &error);

	if (root == NULL)
		err_set(err, -EBADMSG, "the Docker engine's answer is no JSON: line %d: %s",
			error.line, error.text);
	return root;
}

static void copy(char *out, size_t cap, const json_t *value)
{
	const char *text = json_string_value(value);

	snprintf(out, cap, "%s", text != NULL ? text : "");
}

static uint64_t count(const json_t *value)
{
	double number = json_number_value(value);

	return number > 0 && number < 9e18 ? (uint64_t)number : 0;
}

static uint64_t time_us(const json_t *value)
{
	const char *text = json_string_value(value);

	return text != NULL ? engine_time_us(text) : 0;
}

static bool is_hex_id(const char *id, size_t n)
{
	return n >= RELAY_MIN_ID && n <= RELAY_MAX_ID && strspn(id, "0123456789abcdef") == n;
}

/* "sha256:0123…" or "0123…"; "" when it is neither. */
static void copy_id(char out[RELAY_MAX_ID + 1], const json_t *value)
{
	const char *text = json_string_value(value);

	out[0] = '\0';
	if (text != NULL && strncmp(text, image_prefix, sizeof(image_prefix) - 1) == 0)
		text += sizeof(image_prefix) - 1;
	if (text != NULL && is_hex_id(text, strlen(text)))
		snprintf(out, RELAY_MAX_ID + 1, "%s", text);
}

/* Its own name begins with the only slash; others are those of links to it. */
static void read_name(struct container *c, const json_t *names)
{
	const json_t *name;
	size_t i;

	json_array_foreach(names, i, name)
	{
		const char *text = json_string_value(name);

		if (text == NULL || text[0] != '/' || text[1] == '\0' || strchr(text + 1, '/'))
			continue;
		snprintf(c->name, sizeof(c->name), "%s", text + 1);
		return;
	}
	snprintf(c->name, sizeof(c->name), "%.*s", CONTAINER_SHORT_ID, c->id);
}

/* 127.0.0.1:3001->3001/tcp, 80/tcp */
static void read_ports(struct container *c, const json_t *ports)
{
	const json_t *port;
	size_t i, len = 0;

	json_array_foreach(ports, i, port)
	{
		const char *ip = json_string_value(json_object_get(port, "IP"));
		const char *type = json_string_value(json_object_get(port, "Type"));
		uint64_t outside = count(json_object_get(port, "PublicPort"));
		uint64_t inside = count(json_object_get(port, "PrivatePort"));
		bool is_v6 = ip != NULL && strchr(ip, ':') != NULL;
		char text[160], where[128] = "";
		int n;

		if (outside != 0)
			snprintf(where, sizeof(where), "%s%.64s%s:%llu->", is_v6 ? "[" : "",
				ip != NULL ? ip : "", is_v6 ? "]" : "",
				(unsigned long long)outside);
		n = snprintf(text, sizeof(text), "%s%s%llu/%.8s", len != 0 ? ", " : "", where,
			(unsigned long long)inside, type != NULL ? type : "tcp");
		if (n < 0 || len + (size_t)n >= sizeof(c->ports))
			return; /* the rest has no room */
		memcpy(c->ports + len, text, (size_t)n + 1);
		len += (size_t)n;
	}
}

static int read_entry(const json_t *entry, struct container *ret_container)
{
	const json_t *labels = json_object_get(entry, "Labels");
	struct container c = {0};

	copy_id(c.id, json_object_get(entry, "Id"));
	if (c.id[0] == '\0')
		return -EBADMSG;
	read_name(&c, json_object_get(entry, "Names"));
	copy(c.image, sizeof(c.image), json_object_get(entry, "Image"));
	copy_id(c.image_id, json_object_get(entry, "ImageID"));
	copy(c.state, sizeof(c.state), json_object_get(entry, "State"));
	copy(c.project, sizeof(c.project), json_object_get(labels, "com.docker.compose.project"));
	copy(c.service, sizeof(c.service), json_object_get(labels, "com.docker.compose.service"));
	read_ports(&c, json_object_get(entry, "Ports"));
	c.created_us = count(json_object_get(entry, "Created")) * 1000000;
	*ret_container = c;
	return 0;
}

int container_read_list(const uint8_t *json, size_t n, struct container *ret_list, size_t max,
	size_t *ret_total, struct err *err)
{
	json_t *root = load(json, n, 0, err);
	const json_t *entry;
	size_t i;
	int rc = 0;

	if (root == NULL)
		return -EBADMSG;
	if (!json_is_array(root))
		rc = -EBADMSG;
	json_array_foreach(root, i, entry)
	{
		if (i < max && rc == 0)
			rc = read_entry(entry, &ret_list[i]);
	}
	if (rc == 0)
		*ret_total = json_array_size(root);
	else
		err_set(err, rc, "the Docker engine's list of containers makes no sense");
	json_decref(root);
	return rc;
}

static void read_state(const json_t *state, struct container *c)
{
	const json_t *health = json_object_get(state, "Health");

	copy(c->state, sizeof(c->state), json_object_get(state, "Status"));
	copy(c->health, sizeof(c->health), json_object_get(health, "Status"));
	if (strcmp(c->health, "none") == 0)
		c->health[0] = '\0';
	c->failing_streak = count(json_object_get(health, "FailingStreak"));
	c->oom = json_is_true(json_object_get(state, "OOMKilled"));
	c->exit_code = json_integer_value(json_object_get(state, "ExitCode"));
	c->started_us = time_us(json_object_get(state, "StartedAt"));
	c->finished_us = time_us(json_object_get(state, "FinishedAt"));
}

int container_read_details(
	const uint8_t *json, size_t n, struct container *container, struct err *err)
{
	json_t *root = load(json, n, 0, err);
	const json_t *state = json_object_get(root, "State");
	const json_t *host = json_object_get(root, "HostConfig");
	const json_t *policy = json_object_get(host, "RestartPolicy");

	if (root == NULL)
		return -EBADMSG;
	if (!json_is_string(json_object_get(state, "Status"))) {
		json_decref(root);
		return err_set(err, -EBADMSG, "what the Docker engine says of it makes no sense");
	}
	read_state(state, container);
	copy(container->policy, sizeof(container->policy), json_object_get(policy, "Name"));
	if (strcmp(container->policy, "no") == 0)
		container->policy[0] = '\0';
	container->restarts = count(json_object_get(root, "RestartCount"));
	container->memory_limit = count(json_object_get(host, "Memory"));
	container->tty = json_is_true(json_object_get(json_object_get(root, "Config"), "Tty"));
	container->detailed = true;
	json_decref(root);
	return 0;
}

void container_read_stats(const uint8_t *json, size_t n, struct container *container)
{
	/* counters may be larger than what jansson has for whole numbers */
	json_t *root = load(json, n, JSON_DECODE_INT_AS_REAL, NULL);
	const json_t *memory = json_object_get(root, "memory_stats");
	const json_t *details = json_object_get(memory, "stats");
	const json_t *cpu = json_object_get(json_object_get(root, "cpu_stats"), "cpu_usage");
	uint64_t at_us = time_us(json_object_get(root, "read"));
	uint64_t used = count(json_object_get(memory, "usage")), cache;

	/* one that does not run, or whose cgroup the engine cannot read, was read in the year 1 */
	if (at_us != 0 && json_is_number(json_object_get(memory, "usage"))) {
		/* as `docker stats` has it: without what could be dropped at once; cgroup v2, v1 */
		cache = count(json_object_get(details, "inactive_file"));
		if (json_object_get(details, "total_inactive_file") != NULL)
			cache = count(json_object_get(details, "total_inactive_file"));
		container->memory = used > cache ? used - cache : used;
		container->cpu_us = count(json_object_get(cpu, "total_usage")) / 1000;
		container->cpu_at_us = at_us;
		container->measured = true;
	}
	json_decref(root);
}

void container_read_image(const uint8_t *json, size_t n, struct container *container)
{
	json_t *root = load(json, n, 0, NULL);
	const json_t *digests = json_object_get(root, "RepoDigests");
	const char *digest = json_string_value(json_array_get(digests, 0));
	const char *at = digest != NULL ? strchr(digest, '@') : NULL;

	if (at != NULL)
		snprintf(container->digest, sizeof(container->digest), "%s", at + 1);
	else if (root != NULL && container->image_id[0] != '\0')
		snprintf(container->digest, sizeof(container->digest), "%s%s", image_prefix,
			container->image_id);
	json_decref(root);
}

int container_read_before(const uint8_t *values, size_t n, struct container_before *ret_before)
{
	json_t *root = load(values, n, 0, NULL);
	struct container_before before = {0};

	copy(before.id, sizeof(before.id), json_object_get(root, "container_id"));
	copy(before.digest, sizeof(before.digest), json_object_get(root, "digest"));
	before.cpu_us = count(json_object_get(root, "cpu_us"));
	before.cpu_at_us = count(json_object_get(root, "cpu_at_us"));
	json_decref(root);
	if (before.id[0] == '\0')
		return -EBADMSG;
	*ret_before = before;
	return 0;
}
