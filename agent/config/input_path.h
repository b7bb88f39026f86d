/* The `path` type: an existing file or folder that is still below its folder when every symbolic
 * link on the way has been followed. */
#ifndef OPS_AGENT_CONFIG_INPUT_PATH_H
#define OPS_AGENT_CONFIG_INPUT_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/err.h"

/* Whether the value reads like a path below under (absolute, without trailing slash unless it is
 * "/"). 0, or -EINVAL with a text. */
MUSTCHECK int input_path_check_text(
	const char *under, const char *value, size_t n, struct err *err);
/* Whether such a value names something that is there and below under. Where this process may not
 * look it passes, unless final. */
MUSTCHECK int input_path_check_file(
	const char *under, const char *value, size_t n, bool final, struct err *err);

#endif
