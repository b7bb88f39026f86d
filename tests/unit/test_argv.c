/*
 * No input makes argv longer, starts an element with '-' where its type forbids it, or reaches a
 * shell: a million generated values, each taken through what a request goes through (the planner)
 * and what happens before execve (the runner's resolve_step). OPS_SEED and OPS_COUNT change which
 * and how many.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../argv/rules.h"
#include "agent/config/planner.h"
#include "core/base/mem.h"

#if defined(__SANITIZE_ADDRESS__)
#define COUNT 120000 /* ten times slower, and looking for something else */
#else
#define COUNT 1000000
#endif
#define MAX_VALUE 96

static const char commands[] =
	"version: 1\n"
	"commands:\n"
	"  c.string: { title: T, exec: [/bin/x, a, \"${inputs.v}\", \"--f=${inputs.v}\", -z],\n"
	"    inputs: { v: { type: string, required: true, max_length: 40 } } }\n"
	"  c.word: { title: T, exec: [/bin/x, \"${inputs.v}\"], inputs: { v: { type: string, "
	"pattern: "
	"'[a-z$;|&]+', required: true } } }\n"
	"  c.dash: { title: T, exec: [/bin/x, --, \"${inputs.v}\"], inputs: { v: { type: string, "
	"pattern: "
	"'-?[a-z]*', allow_dash: true, required: true } } }\n"
	"  c.slug: { title: T, exec: [/bin/x, \"${inputs.v}\"], inputs: { v: { type: slug, "
	"required: true } } }\n"
	"  c.int: { title: T, exec: [/bin/x, \"${inputs.v}\"], inputs: { v: { type: int, max: "
	"99999, "
	"required: true } } }\n"
	"  c.below: { title: T, exec: [/bin/x, \"-n\", \"${inputs.v}\"], inputs: { v: { type: int, "
	"min: -500, "
	"max: 500, required: true } } }\n"
	"  c.bool: { title: T, exec: [/bin/x, \"--yes=${inputs.v}\"], inputs: { v: { type: bool, "
	"required: true "
	"} } }\n"
	"  c.enum: { title: T, exec: [/bin/x, \"${inputs.v}\"], inputs: { v: { type: enum, values: "
	"[a, bb, 'c "
	"d'], required: true } } }\n"
	"  c.path: { title: T, exec: [/bin/x, \"${inputs.v}\"], inputs: { v: { type: path, under: "
	"/usr, "
	"required: true } } }\n"
	"  c.host: { title: T, exec: [/usr/bin/ssh, \"${inputs.v}\", uptime], inputs: { v: { type: "
	"host, "
	"required: true } } }\n"
	"  c.url: { title: T, exec: [/bin/x, \"${inputs.v}\"], inputs: { v: { type: url, schemes: "
	"[https, git], "
	"required: true } } }\n"
	"  c.duration: { title: T, exec: [/bin/x, \"--for=${inputs.v}\"], inputs: { v: { type: "
	"duration, max: "
	"1d, required: true } } }\n"
	"  make: { title: T, exec: [/bin/x], outputs: [v] }\n";

/* Every command again, fed by another step's output. */
static const char flow[] = "version: 1\nid: f\ntitle: F\nsteps:\n  - { id: make, uses: make }\n"
#define STEP(type)                                                                                 \
	"  - { id: " type ", uses: c." type ", with: { v: \"${steps.make.outputs.v}\" } }\n"
	STEP("string") STEP("word") STEP("dash") STEP("slug") STEP("int") STEP("below") STEP("bool")
		STEP("enum") STEP("path") STEP("host") STEP("url") STEP("duration");

#define TYPES 12

/* ---- values ---- */

static uint64_t seed;

static uint64_t rnd(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 11) % below;
}

static const char *const pieces[] = {"-", "--", "--f=", "-rf", ";", "|", "&", "$(id)", "`id`",
	"${inputs.v}", "'", "\"", "\\", "*", "~", " ", "\t", "\n", "\r", "\x1b[2J", "\x7f", "..",
	"../", "/", "//", "/./", "/etc/passwd", "/usr/bin", "/usr", "bin", "share", "lib/../bin",
	"/proc/self/fd/0", "a", "bb", "c d", "true", "false", "0", "-5", "7", "42", "99999",
	"100000", "-500", "007", "+1", "1e3", "30s", "5m", "1h30m", "1d", "5 m", "example.org",
	"localhost", "127.0.0.1", "::1", "[::1]", "a-b.c", "https://", "https://example.org/",
	"git://h:80/x", "git://", "file://", "user@", ":80", "?q=1", "#x", "%00", "\xc3\xa9",
	"\xe2\x80\xae", "\xe2\x80\x8b", "\xc0\xaf", "\xff", "\xf0\x9f\x98\x80", "\xed\xa0\x80",
	"ops-dashboard-updater", "sh", "-c", "/bin/sh", "=", ",", "@", "_", "."};

static size_t put(char *value, size_t n, const char *piece, size_t len)
{
	len = MIN(len, MAX_VALUE - n);
	memcpy(value + n, piece, len);
	return n + len;
}

/* Pieces in a row, sometimes with a byte changed, sometimes nothing but bytes. */
static size_t make_value(char value[MAX_VALUE])
{
	uint64_t kind = rnd(8);
	size_t n = 0;

	if (kind == 0) {
		n = rnd(12);
		for (size_t i = 0; i < n; i++)
			value[i] = (char)rnd(256);
		return n;
	}
	for (uint64_t i = kind < 4 ? 0 : rnd(3); i < 4; i++) {
		const char *piece = pieces[rnd(ARRAY_LEN(pieces))];

		n = put(value, n, piece, strlen(piece));
		if (kind < 4)
			break;
	}
	if (rnd(6) == 0 && n != 0)
		value[rnd(n)] = (char)rnd(256);
	return n;
}

/* ---- properties ---- */

static const char *const types[TYPES] = {"string", "word", "dash", "slug", "int", "below", "bool",
	"enum", "path", "host", "url", "duration"};

static struct catalog *load(void)
{
	struct catalog *catalog = NULL;
	struct config_errors errors;

	if (catalog_load_bytes(commands, strlen(commands), flow, strlen(flow), &catalog, &errors) !=
		0)
		fail_msg("%s", errors.lines[0]);
	return catalog;
}

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void complain(const char *wrong, const char *type, const char *value, size_t n)
{
	char hex[2 * MAX_VALUE + 1] = "";

	for (size_t i = 0; i < n; i++)
		snprintf(hex + 2 * i, 3, "%02x", (uint8_t)value[i]);
	fail_msg("%s: type %s, value (hex) %s", wrong, type, hex);
}

/* Each type takes some values and refuses some, or the test would prove nothing. */
static void assert_not_idle(const uint64_t *taken, uint64_t tried)
{
	for (size_t i = 0; i < TYPES; i++) {
		if (taken[i] < tried / TYPES / 400 || taken[i] > tried / TYPES / 10 * 9)
			fail_msg("type %s took %" PRIu64 " of about %" PRIu64 " values", types[i],
				taken[i], tried / TYPES);
	}
}

static const char *plan_and_check(
	const struct catalog *catalog, size_t type, const char *value, size_t n, bool *ret_taken)
{
	struct msg_pair input = {.name = wire_str_of("v"), .value = {value, (uint32_t)n}};
	struct planner_request request = {.kind = MSG_KIND_COMMAND,
		.id = wire_str_of(catalog->commands[type].id),
		.inputs = &input,
		.n_inputs = 1};
	static struct planner_problems problems;
	struct plan *plan = NULL;
	const char *wrong = NULL;

	*ret_taken = planner_build(catalog, &request, &plan, &problems, NULL) == 0;
	if (*ret_taken) {
		bool started;

		wrong = plan->n_steps != 1 ? "more than one step"
					   : argv_rules_broken(&catalog->commands[type], plan, 0,
						     NULL, &started);
		plan_free(plan);
	} else if (problems.n != 1 || strcmp(problems.items[0].name, "v") != 0) {
		wrong = "a refusal does not name its input";
	}
	return wrong;
}

static void a_million_values_of_requests(void **state)
{
	uint64_t count = from_environment("OPS_COUNT", COUNT), taken[TYPES] = {0};
	struct catalog *catalog = load();
	char value[MAX_VALUE];

	(void)state;
	seed = from_environment("OPS_SEED", 88172645463325252u);
	for (uint64_t i = 0; i < count; i++) {
		size_t type = i % TYPES, n = make_value(value);
		bool ok;
		const char *wrong = plan_and_check(catalog, type, value, n, &ok);

		if (wrong != NULL)
			complain(wrong, types[type], value, n);
		taken[type] += ok;
	}
	assert_not_idle(taken, count);
	catalog_free(catalog);
}

/* What a step wrote to $OPS_OUTPUT is as foreign as a request. */
static void a_quarter_million_outputs_of_steps(void **state)
{
	uint64_t count = from_environment("OPS_COUNT", COUNT) / 4, taken[TYPES] = {0};
	struct planner_request request = {.kind = MSG_KIND_FLOW, .id = wire_str_of("f")};
	static struct planner_problems problems;
	struct catalog *catalog = load();
	char value[MAX_VALUE + 1], name[] = "v";
	struct output output = {.attempt = 1, .name = name, .value = value};
	struct outputs outputs = {.items = &output, .n = 1};
	struct plan *plan = NULL;

	(void)state;
	seed = from_environment("OPS_SEED", 88172645463325252u);
	assert_int_equal(planner_build(catalog, &request, &plan, &problems, NULL), 0);
	for (uint64_t i = 0; i < count; i++) {
		size_t type = i % TYPES, n = make_value(value);
		const char *wrong;
		bool started;

		value[n] = '\0';
		wrong = argv_rules_broken(
			&catalog->commands[type], plan, (uint16_t)(1 + type), &outputs, &started);
		if (wrong != NULL)
			complain(wrong, types[type], value, n);
		taken[type] += started;
	}
	assert_not_idle(taken, count);
	plan_free(plan);
	catalog_free(catalog);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_million_values_of_requests),
		cmocka_unit_test(a_quarter_million_outputs_of_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
