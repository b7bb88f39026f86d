/* YAML to argv: the input as commands.yml, behind a line "#flow" a flow, behind a line "#values"
 * the values of a request, one name=value a line. What plans must keep the rules for argv. */
#include <stdlib.h>
#include <string.h>

#include "../argv/rules.h"
#include "agent/config/planner.h"
#include "fuzz.h"

#define MAX_VALUES 16

struct values {
	struct msg_pair pairs[MAX_VALUES];
	size_t n;
};

static void read_values(const uint8_t *data, size_t size, struct values *values)
{
	while (size != 0 && values->n < MAX_VALUES) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t n = end != NULL ? (size_t)(end - data) : size;
		const uint8_t *equals = memchr(data, '=', n);
		struct msg_pair *pair = &values->pairs[values->n];

		if (equals != NULL) {
			pair->name =
				(struct wire_str){(const char *)data, (uint32_t)(equals - data)};
			pair->value = (struct wire_str){
				(const char *)equals + 1, (uint32_t)(data + n - equals - 1)};
			values->n++;
		}
		size -= end != NULL ? n + 1 : n;
		data += end != NULL ? n + 1 : n;
	}
}

/* The values whose names these inputs have: a name too many would end it before it begins. */
static size_t choose(const struct values *values, const struct input_spec *inputs, size_t n,
	struct msg_pair chosen[MAX_VALUES])
{
	size_t found = 0;

	for (size_t i = 0; i < values->n; i++) {
		for (size_t j = 0; j < n; j++) {
			if (wire_str_eq(values->pairs[i].name, inputs[j].name))
				chosen[found++] = values->pairs[i];
		}
	}
	return found;
}

static void plan_one(const struct catalog *catalog, struct planner_request *request,
	const struct values *values, const struct input_spec *inputs, size_t n)
{
	static const struct outputs none;
	static struct planner_problems problems;
	struct msg_pair chosen[MAX_VALUES];
	struct plan *plan = NULL;

	request->inputs = chosen;
	request->n_inputs = choose(values, inputs, n, chosen);
	if (planner_build(catalog, request, &plan, &problems, NULL) != 0)
		return;
	for (size_t i = 0; i < plan->n_steps; i++) {
		const char *uses = plan->steps[i].uses;
		const struct catalog_command *command =
			catalog_find_command(catalog, uses, strlen(uses));
		const char *wrong = NULL;
		bool started;

		if (uses[0] == '\0')
			continue; /* an approval executes nothing */
		FUZZ_CHECK(command != NULL);
		wrong = argv_rules_broken(command, plan, (uint16_t)i, &none, &started);
		if (wrong != NULL)
			fprintf(stderr, "%s\n", wrong);
		FUZZ_CHECK(wrong == NULL);
	}
	plan_free(plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *given = data != NULL ? memmem(data, size, "#values\n", 8) : NULL;
	size_t yaml = given != NULL ? (size_t)(given - data) : size;
	const uint8_t *flow = yaml != 0 ? memmem(data, yaml, "#flow\n", 6) : NULL;
	size_t n = flow != NULL ? (size_t)(flow - data) : yaml;
	struct values values = {.n = 0};
	struct catalog *catalog = NULL;
	static struct config_errors errors;

	if (given != NULL)
		read_values(given + 8, size - yaml - 8, &values);
	if (catalog_load_bytes(data, n, flow, yaml - n, &catalog, &errors) != 0)
		return 0;
	for (size_t i = 0; i < catalog->n_commands; i++) {
		const struct catalog_command *c = &catalog->commands[i];
		struct planner_request request = {
			.kind = MSG_KIND_COMMAND, .id = wire_str_of(c->id)};

		plan_one(catalog, &request, &values, c->inputs, c->n_inputs);
	}
	for (size_t i = 0; i < catalog->n_flows; i++) {
		const struct catalog_flow *f = &catalog->flows[i];
		struct planner_request request = {.kind = MSG_KIND_FLOW, .id = wire_str_of(f->id)};

		plan_one(catalog, &request, &values, f->inputs, f->n_inputs);
	}
	catalog_free(catalog);
	return 0;
}
