/*
 * A file of `secrets:`: looked at when the configuration is loaded, so that a mistake is told where
 * it was made, and read when a step starts.
 */
#ifndef OPS_AGENT_CONFIG_SECRET_FILE_H
#define OPS_AGENT_CONFIG_SECRET_FILE_H

#include <sys/types.h>

#include "core/base/err.h"

#define SECRET_FILE_MIN 8 /* bytes, without white space at the end: less cannot be masked */
#define SECRET_FILE_MAX 4096

/* The text without white space at its end, to be given to secret_file_free(). NULL with err set,
 * which begins with the path: -EPERM when it is not root's (or trusted_uid's) alone, -EINVAL for a
 * text that cannot be one, or as open(2) and read(2) give it. */
char *secret_file_read(const char *path, uid_t trusted_uid, struct err *err);
/* Wipes it. NULL is fine. */
void secret_file_free(char *text);

#endif
