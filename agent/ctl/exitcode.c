#include "agent/ctl/exitcode.h"

#include <errno.h>
#include <string.h>

#include "proto/msg.h"

int exitcode_of_run(const json_t *run)
{
	const char *status = json_string_value(json_object_get(run, "status"));
	json_int_t code = json_integer_value(json_object_get(run, "exit_code"));
	const json_t *signal = json_object_get(run, "signal");

	if (status == NULL)
		return EXIT_SOFTWARE_ERROR;
	if (strcmp(status, "succeeded") == 0 || strcmp(status, "skipped") == 0)
		return EXIT_OK;
	if (strcmp(status, "timed_out") == 0)
		return EXIT_RUN_TIMED_OUT;
	if (strcmp(status, "cancelled") == 0)
		return EXIT_INTERRUPTED;
	if (strcmp(status, "lost") == 0)
		return EXIT_RUN_LOST;
	if (json_is_integer(signal) && json_integer_value(signal) > 0)
		return EXIT_SIGNAL_BASE + (int)json_integer_value(signal);
	return code > 0 && code < 256 ? (int)code : 1;
}

int exitcode_of_status(uint16_t status)
{
	switch (status) {
	case MSG_OK:
		return EXIT_OK;
	case MSG_NOT_FOUND:
	case MSG_INVALID_INPUT:
	case MSG_BAD_OFFSET:
		return EXIT_BAD_INPUT;
	case MSG_UNAUTHORIZED:
	case MSG_FORBIDDEN:
	case MSG_CONFLICT:
	case MSG_LIMIT:
		return EXIT_REFUSED;
	case MSG_UNAVAILABLE:
		return EXIT_AGENT_AWAY;
	default:
		return EXIT_SOFTWARE_ERROR;
	}
}

int exitcode_of_error(int error)
{
	switch (error) {
	case -ENOTCONN:
	case -ETIMEDOUT:
		return EXIT_AGENT_AWAY;
	case -EINTR:
		return EXIT_INTERRUPTED;
	case -ENOENT: /* no secret file */
	case -EACCES:
		return EXIT_REFUSED;
	default:
		return EXIT_SOFTWARE_ERROR;
	}
}
