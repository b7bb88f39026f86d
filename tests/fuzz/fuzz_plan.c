/* The input as an encoded plan: what decodes encodes to the same bytes, and can be shown. */
#include <stdlib.h>
#include <string.h>

#include "agent/run/plan.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct plan *plan = plan_decode(data, size, NULL);
	struct buf buf;

	if (plan == NULL)
		return 0;
	buf_init(&buf, PLAN_MAX_BYTES);
	FUZZ_CHECK(plan_encode(plan, &buf) == 0);
	FUZZ_CHECK(buf.len == size && memcmp(buf.data, data, size) == 0);
	buf_fini(&buf);
	buf_init(&buf, 4 * PLAN_MAX_BYTES);
	for (size_t i = 0; i < plan->n_steps; i++) {
		for (size_t j = 0; j < plan->steps[i].n_argv; j++)
			plan_text_show(plan, &plan->steps[i], &plan->steps[i].argv[j], &buf);
	}
	buf_fini(&buf);
	plan_free(plan);
	return 0;
}
