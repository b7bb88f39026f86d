/* Containers, as real answers of a Docker engine (tests/vectors/docker) describe them. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/probes/container.h"
#include "core/base/file.h"

#define NOW UINT64_C(1795698700000000)
#define S UINT64_C(1000000)

static struct container list[16];

static struct buf recorded(const char *name)
{
	char path[512];
	struct buf buf;

	snprintf(path, sizeof(path), "%s/tests/vectors/docker/%s", OPS_SOURCE_ROOT, name);
	buf_init(&buf, 1u << 20);
	assert_int_equal(file_read(AT_FDCWD, path, &buf, NULL), 0);
	return buf;
}

static size_t read_recorded_list(void)
{
	struct buf json = recorded("list.json");
	struct err err = {0};
	size_t total = 0;

	assert_int_equal(
		container_read_list(json.data, json.len, list, ARRAY_LEN(list), &total, &err), 0);
	buf_fini(&json);
	return total;
}

static struct container *named(const char *name)
{
	size_t i = 0;

	while (i < ARRAY_LEN(list) - 1 && strcmp(list[i].name, name) != 0)
		i++;
	assert_string_equal(list[i].name, name);
	return &list[i];
}

static int read_list_text(const char *json, size_t max, size_t *ret_total, struct err *err)
{
	memset(list, 0, sizeof(list));
	return container_read_list((const uint8_t *)json, strlen(json), list, max, ret_total, err);
}

/* The finding of one container. The caller frees its values. */
static struct finding found_of(
	const struct container *c, const struct container_before *before, const char *why)
{
	struct report report;
	struct finding found;
	size_t at = 0;

	report_init(&report);
	container_report(c, before, why, NOW, &report);
	assert_int_equal(report_next(report.bytes.data, report.bytes.len, &at, &found), 1);
	assert_int_equal(at, report.bytes.len);
	buf_append_byte(&found.values, '\0');
	report_fini(&report);
	return found;
}

static void reads_the_list(void **state)
{
	const struct container *web;

	(void)state;
	assert_int_equal(read_recorded_list(), 7);
	web = named("web");
	assert_string_equal(
		web->id, "847b9571b0773a31bf8913c565c772f541c1ed51daef1bfa44f058d5002b8252");
	assert_string_equal(web->image, "ops-box:1");
	assert_string_equal(
		web->image_id, "ebe7a6e9ee7faa4185da1b044dca2038a5d38c919a3076977ac7f8750c745322");
	assert_string_equal(web->project, "shop");
	assert_string_equal(web->service, "web");
	assert_string_equal(web->state, "running");
	assert_string_equal(named("held")->state, "paused");
	assert_string_equal(named("fresh")->state, "created");
}

static void reads_one_in_full(void **state)
{
	struct buf json = recorded("details.json"), stats = recorded("stats.json");
	struct buf image = recorded("image.json");
	struct container_before before = {
		.id = "847b9571b077", .cpu_us = 6250000, .cpu_at_us = UINT64_C(1795698600500000)};
	struct container *web;
	struct finding found;

	(void)state;
	read_recorded_list();
	web = named("web");
	assert_int_equal(container_read_details(json.data, json.len, web, NULL), 0);
	container_read_stats(stats.data, stats.len, web);
	container_read_image(image.data, image.len, web);
	assert_string_equal(web->health, "healthy");
	assert_string_equal(web->policy, "unless-stopped");
	assert_false(web->tty);
	assert_true(web->started_us == UINT64_C(1795698237376967));
	assert_true(web->finished_us == 0);
	assert_true(web->memory_limit == 67108864);
	assert_true(web->memory == 6537216 - 1024000);
	assert_true(web->cpu_us == 7250000);
	found = found_of(web, &before, NULL);
	assert_int_equal(found.level, LEVEL_OK);
	/* one second of a processor in two */
	assert_string_equal((char *)found.values.data,
		"{\"container_id\":\"847b9571b077\",\"state\":\"running\",\"health\":\"healthy\","
		"\"image\":\"ops-box:1\","
		"\"digest\":\"sha256:"
		"ebe7a6e9ee7faa4185da1b044dca2038a5d38c919a3076977ac7f8750c745322\","
		"\"project\":\"shop\",\"service\":\"web\",\"restarts\":0,"
		"\"since_us\":1795698237376967,\"memory_limit_bytes\":67108864,"
		"\"cpu_us\":7250000,\"cpu_at_us\":1795698602500000,\"cpu_percent\":50.0,"
		"\"memory_bytes\":5513216}");
	buf_fini(&found.values);
	buf_fini(&json);
	buf_fini(&stats);
	buf_fini(&image);
}

static void finds_again_what_it_said_before(void **state)
{
	static const char values[] =
		"{\"container_id\":\"847b9571b077\",\"digest\":\"sha256:1\",\"cpu_us\":7,"
		"\"cpu_at_us\":9}";
	struct container_before before;

	(void)state;
	assert_int_equal(
		container_read_before((const uint8_t *)values, sizeof(values) - 1, &before), 0);
	assert_string_equal(before.id, "847b9571b077");
	assert_string_equal(before.digest, "sha256:1");
	assert_true(before.cpu_us == 7 && before.cpu_at_us == 9);
	assert_int_equal(container_read_before((const uint8_t *)"{}", 2, &before), -EBADMSG);
	assert_int_equal(container_read_before((const uint8_t *)"[", 1, &before), -EBADMSG);
}

static void has_no_use_for_what_was_not_measured(void **state)
{
	struct buf json = recorded("stats-unread.json");
	struct container c = {.name = "a", .state = "running", .detailed = true};
	struct finding found;

	(void)state;
	container_read_stats(json.data, json.len, &c);
	assert_false(c.measured);
	found = found_of(&c, NULL, NULL);
	assert_null(strstr((char *)found.values.data, "cpu"));
	assert_null(strstr((char *)found.values.data, "memory"));
	buf_fini(&found.values);
	buf_fini(&json);
}

static void takes_the_registrys_digest_before_the_images_id(void **state)
{
	static const char pulled[] =
		"{\"RepoDigests\":[\"caddy@sha256:feed\",\"mirror/caddy@sha256:f00d\"]}";
	struct container c = {.image_id = "0123456789ab"};

	(void)state;
	container_read_image((const uint8_t *)pulled, sizeof(pulled) - 1, &c);
	assert_string_equal(c.digest, "sha256:feed");
	container_read_image((const uint8_t *)"{}", 2, &c);
	assert_string_equal(c.digest, "sha256:0123456789ab");
}

static void writes_ports_as_people_do(void **state)
{
	struct err err = {0};
	size_t total;

	(void)state;
	assert_int_equal(
		read_list_text(
			"[{\"Id\":\"0123456789ab\",\"Names\":[\"/db/alias\",\"/web\"],\"Ports\":["
			"{\"IP\":\"127.0.0.1\",\"PrivatePort\":3001,\"PublicPort\":3001,\"Type\":"
			"\"tcp\"},"
			"{\"IP\":\"::\",\"PrivatePort\":53,\"PublicPort\":5353,\"Type\":\"udp\"},"
			"{\"PrivatePort\":80,\"Type\":\"tcp\"}]}]",
			4, &total, &err),
		0);
	assert_string_equal(list[0].name, "web");
	assert_string_equal(list[0].ports, "127.0.0.1:3001->3001/tcp, [::]:5353->53/udp, 80/tcp");
}

static void says_what_to_think_of_it(void **state)
{
	static const struct {
		struct container c;
		enum level level;
		const char *message;
	} cases[] = {
		{{.state = "running"}, LEVEL_OK, ""},
		{{.state = "running", .health = "healthy"}, LEVEL_OK, ""},
		{{.state = "running", .health = "starting"}, LEVEL_OK, ""},
		{{.state = "running", .health = "unhealthy", .failing_streak = 4}, LEVEL_BAD,
			"unhealthy: its health check failed 4 times in a row"},
		{{.state = "running", .restarts = 3, .started_us = NOW - 20 * S}, LEVEL_WARN,
			"restarted by Docker 20 s ago, 3 times since it was created"},
		{{.state = "running", .restarts = 3, .started_us = NOW - 3600 * S}, LEVEL_OK, ""},
		{{.state = "restarting", .restarts = 9, .exit_code = 1}, LEVEL_BAD,
			"ends again and again: exit code 1, restarted 9 times"},
		{{.state = "exited"}, LEVEL_OK, ""},
		{{.state = "exited", .policy = "always"}, LEVEL_WARN,
			"stopped, though its restart policy is always"},
		{{.state = "exited", .policy = "on-failure"}, LEVEL_OK, ""},
		{{.state = "exited", .policy = "on-failure", .exit_code = 2}, LEVEL_BAD,
			"ended with exit code 2"},
		{{.state = "exited", .policy = "unless-stopped", .exit_code = 137}, LEVEL_BAD,
			"ended with exit code 137"},
		{{.state = "exited", .exit_code = 1}, LEVEL_WARN, "ended with exit code 1"},
		{{.state = "exited", .exit_code = 137, .oom = true}, LEVEL_BAD,
			"ended: it needed more memory than it may have"},
		{{.state = "created"}, LEVEL_OK, ""},
		{{.state = "created", .policy = "always"}, LEVEL_WARN, "created, but not started"},
		{{.state = "paused"}, LEVEL_WARN, "paused"},
		{{.state = "removing"}, LEVEL_OK, ""},
		{{.state = "dead"}, LEVEL_BAD, "dead: Docker could not remove it"},
		{{.state = "dancing"}, LEVEL_UNKNOWN, "its state is 'dancing'"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct container c = cases[i].c;
		struct finding found;

		strcpy(c.name, "a");
		found = found_of(&c, NULL, NULL);
		assert_string_equal(found.message, cases[i].message);
		assert_int_equal(found.level, cases[i].level);
		buf_fini(&found.values);
		found = found_of(&c, NULL, "the engine hangs");
		assert_int_equal(found.level, LEVEL_UNKNOWN);
		assert_string_equal(found.message, "the engine hangs");
		buf_fini(&found.values);
	}
}

static void keeps_names_with_odd_bytes_harmless(void **state)
{
	struct err err = {0};
	struct finding found;
	size_t total;

	(void)state;
	assert_int_equal(read_list_text("[{\"Id\":\"0123456789ab\",\"Names\":[\"/\\\"<b>\\u001b[31m"
					"\\n\\u202e\"],\"State\":\"running\\\"\"}]",
				 4, &total, &err),
		0);
	found = found_of(&list[0], NULL, NULL);
	assert_string_equal(found.id, "\"<b>\x1b[31m\n\xe2\x80\xae");
	assert_non_null(strstr((char *)found.values.data, "\"state\":\"running\\\"\""));
	buf_fini(&found.values);
	/* none at all: its id */
	assert_int_equal(read_list_text("[{\"Id\":\"0123456789abcdef\",\"Names\":[1,\"/\"]}]", 4,
				 &total, &err),
		0);
	assert_string_equal(list[0].name, "0123456789ab");
}

static void takes_no_more_than_there_is_room_for(void **state)
{
	struct err err = {0};
	size_t total = 0;

	(void)state;
	assert_int_equal(read_list_text("[{\"Id\":\"0123456789ab\"},{\"Id\":\"0123456789ac\"},"
					"{\"Id\":\"0123456789ad\"}]",
				 2, &total, &err),
		0);
	assert_int_equal(total, 3);
	assert_string_equal(list[1].id, "0123456789ac");
	assert_string_equal(list[2].id, "");
}

static void refuses_what_makes_no_sense(void **state)
{
	static const char *const lists[] = {"", "{}", "null", "[1]", "[{}]", "[{\"Id\":7}]",
		"[{\"Id\":\"../../../etc\"}]", "[{\"Id\":\"0123456789AB\"}]", "[", "[{]",
		"[{\"Id\":\"0123456789ab\"}] x", "[\"\xff\"]"};
	static const char *const details[] = {
		"", "[]", "{}", "{\"State\":{}}", "{\"State\":{\"Status\":1}}"};
	struct container c = {0};
	struct err err;
	size_t total;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		err.msg[0] = '\0';
		assert_int_equal(read_list_text(lists[i], 4, &total, &err), -EBADMSG);
		assert_string_not_equal(err.msg, "");
	}
	for (size_t i = 0; i < ARRAY_LEN(details); i++) {
		err.msg[0] = '\0';
		assert_int_equal(container_read_details(
					 (const uint8_t *)details[i], strlen(details[i]), &c, &err),
			-EBADMSG);
		assert_string_not_equal(err.msg, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_list),
		cmocka_unit_test(reads_one_in_full),
		cmocka_unit_test(finds_again_what_it_said_before),
		cmocka_unit_test(has_no_use_for_what_was_not_measured),
		cmocka_unit_test(takes_the_registrys_digest_before_the_images_id),
		cmocka_unit_test(writes_ports_as_people_do),
		cmocka_unit_test(says_what_to_think_of_it),
		cmocka_unit_test(keeps_names_with_odd_bytes_harmless),
		cmocka_unit_test(takes_no_more_than_there_is_room_for),
		cmocka_unit_test(refuses_what_makes_no_sense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
