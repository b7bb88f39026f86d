#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/catalog_json.h"
#include "agent/config/planner.h"
#include "core/base/mem.h"

static const char commands[] =
	"version: 1\n"
	"commands:\n"
	"  pg.dump:\n"
	"    title: Dump\n"
	"    exec: [/bin/dump, \"--db=${inputs.db}\", --, \"${inputs.label}\", \"${run.id}\"]\n"
	"    env: { DB: \"${inputs.db}\", RUN: fixed }\n"
	"    inputs:\n"
	"      db: { type: enum, values: [app, ops], required: true }\n"
	"      label: { type: slug, max_length: 32, default: manual }\n"
	"    outputs: [path]\n"
	"    timeout: 90s\n"
	"  show:\n"
	"    title: Show\n"
	"    exec: [/bin/show, \"${inputs.text}\", \"--n=${inputs.n}\", \"${inputs.opt}\", "
	"\"${inputs.file}\", \"${inputs.host}\", \"${inputs.yes}\"]\n"
	"    inputs:\n"
	"      text: { type: string, max_length: 64, required: true }\n"
	"      n: { type: int, min: -2, max: 9, default: 1 }\n"
	"      opt: { type: string, pattern: '(-[a-z])?', allow_dash: true, default: -v }\n"
	"      file: { type: path, under: /, default: etc/passwd }\n"
	"      host: { type: host, default: localhost }\n"
	"      yes: { type: bool, default: false }\n"
	"  narrow:\n"
	"    title: Narrow\n"
	"    exec: [/bin/narrow, \"${inputs.word}\"]\n"
	"    inputs: { word: { type: slug, max_length: 4, required: true } }\n";
static const char flow[] =
	"version: 1\n"
	"id: backup\n"
	"title: Backup\n"
	"timeout: 1h\n"
	"inputs:\n"
	"  db: { type: enum, values: [app], default: app }\n"
	"  word: { type: string, default: abcd }\n"
	"steps:\n"
	"  - { id: dump, uses: pg.dump, with: { db: \"${inputs.db}\" } }\n"
	"  - { id: two, uses: narrow, with: { word: \"${inputs.word}\" } }\n"
	"  - { id: three, uses: show, with: { text: \"${steps.dump.outputs.path}\", n: 7 } }\n"
	"finally: [{ uses: narrow, with: { word: \"${steps.dump.status}\" } }]\n";

static int set_up(void **state)
{
	struct catalog *catalog = NULL;
	struct config_errors errors;

	if (catalog_load_bytes(commands, strlen(commands), flow, strlen(flow), &catalog, &errors) !=
		0) {
		fprintf(stderr, "%s\n", errors.lines[0]);
		return -1;
	}
	*state = catalog;
	return 0;
}

static int tear_down(void **state)
{
	catalog_free(*state);
	return 0;
}

struct outcome {
	int rc;
	struct plan *plan;
	struct planner_problems problems;
	struct err err;
};

static struct outcome *build(const struct catalog *catalog, uint8_t kind, const char *id,
	const struct msg_pair *inputs, size_t n)
{
	struct outcome *o = xcalloc(1, sizeof(*o));
	struct planner_request request = {.kind = kind,
		.id = wire_str_of(id),
		.inputs = inputs,
		.n_inputs = n,
		.host = "thoth",
		.actor = wire_str_of("user:admin"),
		.trigger = wire_str_of("manual"),
		.number = 7};

	o->rc = planner_build(catalog, &request, &o->plan, &o->problems, &o->err);
	return o;
}

static void release(struct outcome *o)
{
	plan_free(o->plan);
	free(o);
}

static struct msg_pair pair(const char *name, const char *value)
{
	return (struct msg_pair){wire_str_of(name), wire_str_of(value)};
}

static char *shown(const struct plan *plan, size_t step, size_t arg)
{
	struct buf buf;

	buf_init(&buf, 65536);
	plan_text_show(plan, &plan->steps[step], &plan->steps[step].argv[arg], &buf);
	return buf_take_str(&buf);
}

static void assert_arg(const struct plan *plan, size_t step, size_t arg, const char *expected)
{
	char *text = shown(plan, step, arg);

	assert_string_equal(text, expected);
	free(text);
}

static void a_command_becomes_one_step(void **state)
{
	struct msg_pair inputs[] = {pair("db", "ops")};
	struct outcome *o = build(*state, MSG_KIND_COMMAND, "pg.dump", inputs, 1);

	assert_int_equal(o->rc, 0);
	assert_false(o->plan->is_flow);
	assert_int_equal(o->plan->n_steps, 1);
	assert_string_equal(o->plan->steps[0].id, "pg.dump");
	assert_int_equal(o->plan->steps[0].n_argv, 5);
	assert_arg(o->plan, 0, 0, "/bin/dump");
	assert_arg(o->plan, 0, 1, "--db=ops");
	assert_arg(o->plan, 0, 2, "--");
	assert_arg(o->plan, 0, 3, "manual");
	assert_arg(o->plan, 0, 4, "${run.id}");
	assert_true(o->plan->steps[0].timeout_us == UINT64_C(90000000));
	assert_int_equal(o->plan->n_inputs, 2); /* the default is shown as well */
	assert_string_equal(o->plan->inputs[1].value, "manual");
	assert_string_equal(o->plan->actor, "user:admin");
	release(o);
}

static void a_flow_passes_values_on_and_leaves_outputs_open(void **state)
{
	struct outcome *o = build(*state, MSG_KIND_FLOW, "backup", NULL, 0);

	assert_int_equal(o->rc, 0);
	assert_true(o->plan->is_flow);
	assert_int_equal(o->plan->n_steps, 4);
	assert_arg(o->plan, 0, 1, "--db=app");
	assert_arg(o->plan, 1, 1, "abcd");
	assert_arg(o->plan, 2, 1, "${steps.dump.outputs.path}");
	assert_arg(o->plan, 2, 2, "--n=7");
	assert_arg(o->plan, 2, 4, "/etc/passwd");
	assert_arg(o->plan, 3, 1, "${steps.dump.status}");
	assert_string_equal(o->plan->steps[3].id, "finally.1");
	assert_int_equal(o->plan->steps[2].needs[0], 1);
	release(o);
}

static void plans_survive_their_encoding(void **state)
{
	struct outcome *o = build(*state, MSG_KIND_FLOW, "backup", NULL, 0);
	struct plan *again;
	struct buf buf;

	buf_init(&buf, PLAN_MAX_BYTES);
	assert_int_equal(plan_encode(o->plan, &buf), 0);
	again = plan_decode(buf.data, buf.len, &o->err);
	assert_non_null(again);
	plan_free(again);
	buf_fini(&buf);
	release(o);
}

static void every_wrong_input_is_named(void **state)
{
	struct msg_pair inputs[] = {pair("db", "prod"), pair("lable", "x"), pair("label", "a b"),
		pair("db", "app"), {{"db\0", 3}, {"app", 3}}};
	struct outcome *o = build(*state, MSG_KIND_COMMAND, "pg.dump", inputs, 5);

	assert_int_equal(o->rc, -EINVAL);
	assert_null(o->plan);
	assert_int_equal(o->problems.n, 5);
	assert_string_equal(o->problems.items[0].name, "lable");
	assert_string_equal(
		o->problems.items[0].message, "there is no such input (did you mean label?)");
	assert_string_equal(o->problems.items[1].name, "db");
	assert_string_equal(o->problems.items[1].message, "is given twice");
	assert_string_equal(
		o->problems.items[2].message, "there is no such input (did you mean db?)");
	assert_string_equal(o->problems.items[3].message, "must be one of app, ops");
	assert_string_equal(o->problems.items[4].name, "label");
	release(o);
}

static void required_inputs_and_nuls_are_noticed(void **state)
{
	struct msg_pair nul[] = {{{"db", 2}, {"app\0x", 5}}};
	struct outcome *o = build(*state, MSG_KIND_COMMAND, "pg.dump", NULL, 0);

	assert_string_equal(o->problems.items[0].name, "db");
	assert_string_equal(o->problems.items[0].message, "is required");
	release(o);
	o = build(*state, MSG_KIND_COMMAND, "pg.dump", nul, 1);
	assert_int_equal(o->rc, -EINVAL);
	assert_string_equal(
		o->problems.items[0].message, "must not hold control characters (U+0000)");
	release(o);
}

static void a_flow_input_must_suit_the_step_it_goes_to(void **state)
{
	struct msg_pair inputs[] = {pair("word", "too-long")};
	struct outcome *o = build(*state, MSG_KIND_FLOW, "backup", inputs, 1);

	assert_int_equal(o->rc, -EINVAL);
	assert_int_equal(o->problems.n, 1);
	assert_string_equal(o->problems.items[0].name, "word");
	assert_string_equal(o->problems.items[0].message,
		"may have at most 4 characters; this one has 8 (step two)");
	release(o);
}

static void unknown_names_are_not_found_but_guessed(void **state)
{
	struct outcome *o = build(*state, MSG_KIND_COMMAND, "pg.dmup", NULL, 0);

	assert_int_equal(o->rc, -ENOENT);
	assert_string_equal(o->err.msg, "no command named 'pg.dmup' (did you mean pg.dump?)");
	release(o);
	o = build(*state, MSG_KIND_FLOW, "pg.dump", NULL, 0);
	assert_int_equal(o->rc, -ENOENT);
	assert_string_equal(o->err.msg, "no flow named 'pg.dump'");
	release(o);
	o = build(*state, 9, "pg.dump", NULL, 0);
	assert_int_equal(o->rc, -ENOENT);
	release(o);
}

/* A small generator, so that a failure can be repeated. */
static uint32_t next_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33);
}

static size_t random_value(uint64_t *seed, char *out, size_t max)
{
	static const char *const spice[] = {"-", "--", ";", "$(id)", "`", "'", "\"", "\n", "\r",
		"\t", " ", "*", "~", "..", "/", "//", "${run.id}", "${inputs.db}", "\\", "|", "&",
		"\xc2\x85", "\xe2\x80\xae", "\xff", "\xc0\x80", "%s", "=", "@", "etc", "a", "1",
		"ż"};
	size_t parts = next_random(seed) % 5;
	size_t n = 0;

	for (size_t i = 0; i < parts; i++) {
		const char *piece = spice[next_random(seed) % ARRAY_LEN(spice)];

		if (next_random(seed) % 16 == 0) {
			out[n++] = (char)next_random(seed);
		} else if (n + strlen(piece) < max) {
			memcpy(out + n, piece, strlen(piece));
			n += strlen(piece);
		}
	}
	return n;
}

/* P5: whatever is sent, argv has as many elements as the whitelist says, every one is its prefix
 * and the value that was sent, and none begins with '-' where the whitelist does not let it. */
static void no_input_changes_the_shape_of_argv(void **state)
{
	static const char *const names[] = {"text", "n", "opt", "file", "host", "yes"};
	const struct catalog *catalog = *state;
	uint64_t seed = 20261123;
	unsigned passed = 0;

	for (unsigned round = 0; round < 100000; round++) {
		char value[128];
		size_t n = random_value(&seed, value, sizeof(value) - 16);
		size_t which = next_random(&seed) % ARRAY_LEN(names);
		struct msg_pair inputs[] = {
			{wire_str_of("text"), wire_str_of("ok")},
			{wire_str_of(names[which]), {value, (uint32_t)n}},
		};
		struct outcome *o = build(catalog, MSG_KIND_COMMAND, "show",
			which == 0 ? inputs + 1 : inputs, which == 0 ? 1 : 2);

		if (o->rc == 0) {
			char *arg = shown(o->plan, 0, 1 + which);
			const char *body = which == 1 ? arg + 4 : arg;

			passed++;
			assert_int_equal(o->plan->steps[0].n_argv, 7);
			assert_arg(o->plan, 0, 0, "/bin/show");
			if (which == 1)
				assert_memory_equal(arg, "--n=", 4);
			if (which == 3) { /* a path is made absolute */
				assert_int_equal(body[0], '/');
				body += n != 0 && value[0] == '/' ? 0 : 1;
			}
			assert_int_equal(strlen(body), n);
			assert_memory_equal(body, value, n);
			if (which != 1 && which != 2)
				assert_true(arg[0] != '-');
			assert_null(memchr(arg, '\n', strlen(arg)));
			free(arg);
		} else {
			assert_int_equal(o->rc, -EINVAL);
			assert_true(o->problems.n >= 1);
		}
		release(o);
	}
	assert_true(passed > 1000);
}

static void the_dry_run_says_what_would_run(void **state)
{
	struct outcome *o = build(*state, MSG_KIND_FLOW, "backup", NULL, 0);
	struct json json;
	struct buf buf;
	char *text;

	buf_init(&buf, 65536);
	json_init(&json, &buf);
	planner_write_json(o->plan, &json);
	text = buf_take_str(&buf);
	assert_non_null(strstr(text,
		"{\"plan\":[{\"step\":\"dump\",\"argv\":[\"/bin/dump\",\"--db=app\",\"--\","
		"\"manual\",\"${run.id}\"],\"user\":\"ops-run\",\"cwd\":\"/\",\"timeout_us\":"
		"90000000},{\"step\":\"two\",\"argv\":[\"/bin/narrow\",\"abcd\"]"));
	free(text);
	release(o);
}

static void the_catalogue_document_has_typed_defaults(void **state)
{
	struct json json;
	struct buf buf;
	char *text;

	buf_init(&buf, CATALOG_MAX_JSON_BYTES);
	json_init(&json, &buf);
	catalog_write_json(*state, NULL, NULL, &json);
	text = buf_take_str(&buf);
	assert_non_null(text);
	assert_non_null(strstr(text,
		"{\"name\":\"n\",\"type\":\"int\",\"title\":null,\"description\":null,"
		"\"required\":false,\"default\":1,\"min\":-2,\"max\":9,\"max_length\":null"));
	assert_non_null(strstr(text, "\"required\":false,\"default\":false,\"min\":null"));
	assert_non_null(strstr(text, "\"values\":[\"app\",\"ops\"]"));
	assert_non_null(strstr(text,
		"\"argv_shape\":[\"/bin/dump\",\"--db=${inputs.db}\",\"--\",\"${inputs.label}\","
		"\"${run.id}\"],\"outputs\":[\"path\"]"));
	assert_non_null(strstr(text,
		"{\"index\":3,\"id\":\"finally.1\",\"uses\":\"narrow\",\"title\":\"Narrow\","
		"\"phase\":\"finally\",\"needs\":[],\"approve\":null}"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_command_becomes_one_step),
		cmocka_unit_test(a_flow_passes_values_on_and_leaves_outputs_open),
		cmocka_unit_test(plans_survive_their_encoding),
		cmocka_unit_test(every_wrong_input_is_named),
		cmocka_unit_test(required_inputs_and_nuls_are_noticed),
		cmocka_unit_test(a_flow_input_must_suit_the_step_it_goes_to),
		cmocka_unit_test(unknown_names_are_not_found_but_guessed),
		cmocka_unit_test(no_input_changes_the_shape_of_argv),
		cmocka_unit_test(the_dry_run_says_what_would_run),
		cmocka_unit_test(the_catalogue_document_has_typed_defaults),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
