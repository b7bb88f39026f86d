/* What the environment tells the agent (agent/README.md has the table), read once at start. */
#ifndef OPS_AGENT_MONITOR_SETTINGS_H
#define OPS_AGENT_MONITOR_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "core/base/err.h"

#define SETTINGS_MAX_PEERS 16
#define SETTINGS_MAX_ACCOUNT 64
#define SETTINGS_CONFIG_DIR "/etc/ops-agent"
#define SETTINGS_STATE_DIR "/var/lib/ops-agent"
#define SETTINGS_SOCKET "/run/ops-agent/agent.sock"
#define SETTINGS_SECRET_PATH "/etc/ops-agent/secret"
#define SETTINGS_USER "ops-agent"

/* How runners are started (monitor/launch.h). */
enum settings_launch {
	SETTINGS_LAUNCH_AUTO,
	SETTINGS_LAUNCH_SYSTEMD,
	SETTINGS_LAUNCH_FORK,
};

struct settings {
	char *config_dir, *state_dir, *socket_path, *secret_path; /* absolute */
	char *probes_path; /* where systemd starts the probes; NULL: they are forked */
	char worker_user[SETTINGS_MAX_ACCOUNT]; /* the worker's account */
	uid_t worker_uid;
	gid_t worker_gid;
	bool drop_privileges; /* root, and the worker's account is another one */
	enum settings_launch launch;
	/* uids beside root and the worker's own that may connect */
	uid_t peers[SETTINGS_MAX_PEERS];
	size_t n_peers;
};

/* Reads the environment. -EINVAL or -ENOENT with a text that names the variable. */
MUSTCHECK int settings_load(struct settings *ret_settings, struct err *err);
void settings_fini(struct settings *settings);

/* Whether a process of this uid may speak to the worker. */
bool settings_peer_is_allowed(const struct settings *settings, uid_t uid);

/* "Relative to the current folder" made absolute; the caller frees it. */
char *settings_absolute(const char *path);

#endif
