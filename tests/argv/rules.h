/*
 * What has to hold for every argument vector that is ever executed, said a second time and in
 * another way than the agent says it: the property test and the fuzzer compare the two.
 */
#ifndef OPS_TESTS_ARGV_RULES_H
#define OPS_TESTS_ARGV_RULES_H

#include <stddef.h>
#include <stdint.h>

#include "agent/config/catalog.h"
#include "agent/run/outputs.h"
#include "agent/run/plan.h"

/* Resolves the step as its runner would and compares the result with the command it came from: as
 * many arguments, literal ones byte for byte, each value whole and of its type, no shell. NULL when
 * all holds; otherwise what does not. *ret_started is false when the runner would refuse to start
 * the step, which is fine. */
const char *argv_rules_broken(const struct catalog_command *command, const struct plan *plan,
	uint16_t step, const struct outputs *outputs, bool *ret_started);

#endif
