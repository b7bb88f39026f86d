/* The input as commands.yml, and behind a line "#flow" as a flow. What loads must list, and each
 * flow and command without required inputs must plan, encode and decode. */
#include <stdlib.h>
#include <string.h>

#include "agent/config/catalog.h"
#include "agent/config/catalog_json.h"
#include "agent/config/planner.h"
#include "fuzz.h"

static void plan_one(const struct catalog *catalog, uint8_t kind, const char *id)
{
	struct planner_request request = {.kind = kind, .id = wire_str_of(id)};
	struct planner_problems problems;
	struct plan *plan = NULL;
	struct plan *again;
	struct buf buf;

	if (planner_build(catalog, &request, &plan, &problems, NULL) != 0)
		return;
	buf_init(&buf, PLAN_MAX_BYTES);
	FUZZ_CHECK(plan_encode(plan, &buf) == 0);
	again = plan_decode(buf.data, buf.len, NULL);
	FUZZ_CHECK(again != NULL);
	plan_free(again);
	plan_free(plan);
	buf_fini(&buf);
}

static void use(const struct catalog *catalog)
{
	struct json json;
	struct buf buf;

	FUZZ_CHECK(catalog->n_commands > 0);
	buf_init(&buf, CATALOG_MAX_JSON_BYTES);
	json_init(&json, &buf);
	catalog_write_json(catalog, NULL, NULL, &json);
	FUZZ_CHECK(buf_err(&buf) == 0);
	buf_fini(&buf);
	for (size_t i = 0; i < catalog->n_commands; i++)
		plan_one(catalog, MSG_KIND_COMMAND, catalog->commands[i].id);
	for (size_t i = 0; i < catalog->n_flows; i++)
		plan_one(catalog, MSG_KIND_FLOW, catalog->flows[i].id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *flow = size != 0 ? memmem(data, size, "#flow\n", 6) : NULL;
	size_t n = flow != NULL ? (size_t)(flow - data) : size;
	struct catalog *catalog = NULL;
	struct config_errors errors;
	int rc = catalog_load_bytes(data, n, flow, size - n, &catalog, &errors);

	FUZZ_CHECK((rc == 0) == (catalog != NULL));
	FUZZ_CHECK((rc == 0) == (errors.total == 0));
	if (catalog != NULL)
		use(catalog);
	catalog_free(catalog);
	return 0;
}
