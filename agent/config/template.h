/* `${…}` in commands.yml and flows: one reference that is a whole text, or follows `--flag=`. */
#ifndef OPS_AGENT_CONFIG_TEMPLATE_H
#define OPS_AGENT_CONFIG_TEMPLATE_H

#include <stdbool.h>

#include "agent/run/plan.h"
#include "core/base/err.h"

#define TEMPLATE_MAX_NAME 64

struct template
{
	size_t prefix_len; /* bytes of the text in front of the reference; all of it for a literal
			    */
	enum plan_ref ref; /* never PLAN_LITERAL with a "${" in the text */
	char step[TEMPLATE_MAX_NAME]; /* PLAN_STEP_* */
	char name[TEMPLATE_MAX_NAME]; /* PLAN_INPUT, PLAN_STEP_OUTPUT */
};

/* Reads a text; after_flag: whether `--flag=${…}` is allowed too. 0, or -EINVAL with a text. */
MUSTCHECK int template_parse(
	const char *text, bool after_flag, struct template *ret_template, struct err *err);

#endif
