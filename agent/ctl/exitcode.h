/* opsctl's exit codes; scripts depend on them. */
#ifndef OPS_AGENT_CTL_EXITCODE_H
#define OPS_AGENT_CTL_EXITCODE_H

#include <jansson.h>
#include <stdint.h>

enum {
	EXIT_OK = 0,
	EXIT_USAGE_ERROR = 64,
	EXIT_BAD_INPUT = 65,
	EXIT_SOFTWARE_ERROR = 70,
	EXIT_AGENT_AWAY = 69,
	EXIT_RUN_LOST = 75,
	EXIT_REFUSED = 77,
	EXIT_RUN_TIMED_OUT = 124,
	EXIT_INTERRUPTED = 130, /* also: the run was cancelled */
	EXIT_SIGNAL_BASE = 128,
};

/* For how a run ended: a run document or a run.finished event. The failed command's own code, or
 * 128 + its signal. 1 when it failed without either. */
int exitcode_of_run(const json_t *run);
/* For an answer of the agent that is not ok (enum msg_status). */
int exitcode_of_status(uint16_t status);
/* For a failure of the connection or of reading the secret (negative errno). */
int exitcode_of_error(int error);

#endif
