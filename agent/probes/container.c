/* What to think of a container: the table in README.md, in code. */
#include "agent/probes/container.h"

#include <stdio.h>
#include <string.h>

static bool is(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static void judge_running(const struct container *c, uint64_t wall_us, struct finding *finding)
{
	unsigned long long ago_us = wall_us > c->started_us ? wall_us - c->started_us : 0;

	if (is(c->health, "unhealthy"))
		finding_raise(finding, LEVEL_BAD, "container_unhealthy",
			"unhealthy: its health check failed %llu times in a row",
			(unsigned long long)c->failing_streak);
	if (c->restarts > 0 && c->started_us != 0 && ago_us < CONTAINER_RESTARTED_US)
		finding_raise(finding, LEVEL_WARN, "container_restarted",
			"restarted by Docker %llu s ago, %llu times since it was created",
			ago_us / 1000000, (unsigned long long)c->restarts);
}

static void judge_exited(const struct container *c, struct finding *finding)
{
	bool wanted = c->policy[0] != '\0';

	if (c->oom)
		finding_raise(finding, LEVEL_BAD, "container_oom",
			"ended: it needed more memory than it may have");
	else if (c->exit_code != 0)
		finding_raise(finding, wanted ? LEVEL_BAD : LEVEL_WARN, "container_exited",
			"ended with exit code %lld", (long long)c->exit_code);
	else if (wanted && !is(c->policy, "on-failure"))
		finding_raise(finding, LEVEL_WARN, "container_stopped",
			"stopped, though its restart policy is %s", c->policy);
}

static void judge(const struct container *c, uint64_t wall_us, struct finding *finding)
{
	if (is(c->state, "running"))
		judge_running(c, wall_us, finding);
	else if (is(c->state, "restarting"))
		finding_raise(finding, LEVEL_BAD, "container_looping",
			"ends again and again: exit code %lld, restarted %llu times",
			(long long)c->exit_code, (unsigned long long)c->restarts);
	else if (is(c->state, "exited"))
		judge_exited(c, finding);
	else if (is(c->state, "paused"))
		finding_raise(finding, LEVEL_WARN, "container_paused", "paused");
	else if (is(c->state, "dead"))
		finding_raise(
			finding, LEVEL_BAD, "container_dead", "dead: Docker could not remove it");
	else if (is(c->state, "created") && c->policy[0] != '\0')
		finding_raise(finding, LEVEL_WARN, "container_created", "created, but not started");
	else if (!is(c->state, "created") && !is(c->state, "removing"))
		finding_raise(
			finding, LEVEL_UNKNOWN, "container_state", "its state is '%s'", c->state);
}

static void put_text(struct json *json, const char *key, const char *text)
{
	if (text[0] != '\0')
		json_kv_str(json, key, text);
}

/* Of one processor, since the finding before. */
static void put_cpu(
	const struct container *c, const struct container_before *before, struct finding *finding)
{
	uint64_t used, passed;

	json_kv_uint(&finding->json, "cpu_us", c->cpu_us);
	json_kv_uint(&finding->json, "cpu_at_us", c->cpu_at_us);
	if (before == NULL || before->cpu_at_us == 0 || c->cpu_at_us <= before->cpu_at_us ||
		c->cpu_us < before->cpu_us)
		return; /* the first look, or it was started anew */
	used = c->cpu_us - before->cpu_us;
	passed = c->cpu_at_us - before->cpu_at_us;
	if (used < UINT64_MAX / 1000)
		finding_tenths(finding, "cpu_percent", (int64_t)(used * 1000 / passed));
}

static void put_details(const struct container *c, struct finding *finding)
{
	bool lives = is(c->state, "running") || is(c->state, "paused");
	uint64_t since = lives ? c->started_us : c->finished_us;
	struct json *json = &finding->json;

	json_kv_uint(json, "restarts", c->restarts);
	if (since == 0)
		since = c->created_us;
	if (since != 0)
		json_kv_uint(json, "since_us", since);
	if (!lives && !is(c->state, "created"))
		json_kv_int(json, "exit_code", c->exit_code);
	if (c->memory_limit != 0)
		json_kv_uint(json, "memory_limit_bytes", c->memory_limit);
}

void container_report(const struct container *container, const struct container_before *before,
	const char *why, uint64_t wall_us, struct report *report)
{
	struct finding *finding = report_begin(report, container->name, container->name);
	char short_id[CONTAINER_SHORT_ID + 1];

	snprintf(short_id, sizeof(short_id), "%.*s", CONTAINER_SHORT_ID, container->id);
	put_text(&finding->json, "container_id", short_id);
	put_text(&finding->json, "state", container->state);
	put_text(&finding->json, "health", container->health);
	put_text(&finding->json, "image", container->image);
	put_text(&finding->json, "digest", container->digest);
	put_text(&finding->json, "project", container->project);
	put_text(&finding->json, "service", container->service);
	put_text(&finding->json, "ports", container->ports);
	if (container->detailed)
		put_details(container, finding);
	if (container->measured) {
		put_cpu(container, before, finding);
		json_kv_uint(&finding->json, "memory_bytes", container->memory);
	}
	if (why != NULL)
		finding_raise(finding, LEVEL_UNKNOWN, NULL, "%s", why);
	else
		judge(container, wall_us, finding);
	report_end(report);
}
