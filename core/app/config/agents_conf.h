/*
 * Which agents there are: AGENTS_FILE, or the one of OPS_AGENT_SOCKET. Each has a name of its own,
 * which must be what the agent says of itself.
 */
#ifndef OPS_CORE_APP_CONFIG_AGENTS_CONF_H
#define OPS_CORE_APP_CONFIG_AGENTS_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "core/app/limits.h"
#include "core/base/mem.h"
#include "core/yaml/errors.h"

#define AGENTS_MAX_HOST (LIMIT_HOST_BYTES - 1)
#define AGENTS_MIN_SECRET 16
#define AGENTS_MAX_SOCKET 107 /* bytes of a path that connect(2) takes */

struct agent_conf {
	char *host;  /* NULL: whatever the agent says (there is one only) */
	char *title; /* NULL: the name will do */
	char *socket;
	char *secret;
};

struct agents_conf {
	struct agent_conf items[LIMIT_HOSTS]; /* the first is the primary one */
	size_t n;
};

/* [A-Za-z0-9][A-Za-z0-9._-]{0,63} */
bool agents_is_host_name(const char *text);

void agent_conf_copy(struct agent_conf *to, const struct agent_conf *from);
void agent_conf_fini(struct agent_conf *conf); /* frees and wipes */

/* Reads the file and what its secret_file keys name; blocking. -EINVAL with errors added. conf is
 * to be finished either way. */
MUSTCHECK int agents_conf_load(
	const char *path, struct agents_conf *conf, struct config_errors *errors);
/* The same from memory; file is the name for messages. */
MUSTCHECK int agents_conf_parse(const char *file, const void *data, size_t n,
	struct agents_conf *conf, struct config_errors *errors);
void agents_conf_fini(struct agents_conf *conf);

#endif
