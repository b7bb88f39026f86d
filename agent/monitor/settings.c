#include "agent/monitor/settings.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *settings_absolute(const char *path)
{
	char *cwd, *absolute;

	if (path[0] == '/')
		return xstrdup(path);
	cwd = getcwd(NULL, 0);
	absolute = xasprintf("%s/%s", cwd != NULL ? cwd : "", path);
	free(cwd);
	return absolute;
}

static const char *env_or(const char *name, const char *fallback)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0' ? value : fallback;
}

static int find_worker(struct settings *settings, struct err *err)
{
	uid_t uid = geteuid();
	const char *name = env_or("OPS_AGENT_USER", SETTINGS_USER);
	const struct passwd *pw;

	errno = 0;
	pw = uid == 0 ? getpwnam(name) : getpwuid(uid);
	if (pw == NULL && uid == 0)
		return err_set(err, -ENOENT,
			"there is no account '%s' for the agent's worker: create it, or name "
			"another "
			"one in OPS_AGENT_USER",
			name);
	settings->worker_uid = pw != NULL ? pw->pw_uid : uid;
	settings->worker_gid = pw != NULL && uid == 0 ? pw->pw_gid : getegid();
	settings->drop_privileges = uid == 0 && settings->worker_uid != 0;
	if (pw == NULL)
		return 0;
	if (strlen(pw->pw_name) >= sizeof(settings->worker_user))
		return err_set(err, -EINVAL, "OPS_AGENT_USER: the account's name is too long");
	memcpy(settings->worker_user, pw->pw_name, strlen(pw->pw_name) + 1);
	return 0;
}

static int parse_uid(const char *text, size_t len, uid_t *ret_uid)
{
	uint64_t uid = 0;

	if (len == 0 || len > 10)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		uid = uid * 10 + (uint64_t)(text[i] - '0');
	}
	if (uid >= UINT32_MAX)
		return -EINVAL;
	*ret_uid = (uid_t)uid;
	return 0;
}

static int parse_peers(struct settings *settings, const char *text, struct err *err)
{
	while (*text != '\0') {
		size_t len = strcspn(text, ",");

		if (settings->n_peers == SETTINGS_MAX_PEERS)
			return err_set(err, -EINVAL, "OPS_AGENT_PEERS: more than %d uids",
				SETTINGS_MAX_PEERS);
		if (parse_uid(text, len, &settings->peers[settings->n_peers]) != 0)
			return err_set(err, -EINVAL,
				"OPS_AGENT_PEERS: '%.*s' is no uid; it is a list like 10001,1000",
				(int)MIN(len, (size_t)32), text);
		settings->n_peers++;
		text += len;
		if (*text == ',')
			text++;
	}
	return 0;
}

static int parse_launch(struct settings *settings, const char *text, struct err *err)
{
	static const char *const names[] = {
		[SETTINGS_LAUNCH_AUTO] = "auto",
		[SETTINGS_LAUNCH_SYSTEMD] = "systemd",
		[SETTINGS_LAUNCH_FORK] = "fork",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(names[i], text) == 0) {
			settings->launch = (enum settings_launch)i;
			return 0;
		}
	}
	return err_set(err, -EINVAL, "OPS_LAUNCH is one of auto systemd fork, not '%.32s'", text);
}

int settings_load(struct settings *ret_settings, struct err *err)
{
	struct settings s = {0};
	int rc;

	rc = find_worker(&s, err);
	if (rc == 0)
		rc = parse_peers(&s, env_or("OPS_AGENT_PEERS", ""), err);
	if (rc == 0)
		rc = parse_launch(&s, env_or("OPS_LAUNCH", "auto"), err);
	if (rc != 0)
		return rc;
	s.config_dir = settings_absolute(env_or("OPS_AGENT_CONFIG_DIR", SETTINGS_CONFIG_DIR));
	s.state_dir = settings_absolute(env_or("OPS_AGENT_STATE_DIR", SETTINGS_STATE_DIR));
	s.socket_path = settings_absolute(env_or("OPS_AGENT_SOCKET", SETTINGS_SOCKET));
	s.secret_path = settings_absolute(env_or("OPS_AGENT_SECRET_PATH", SETTINGS_SECRET_PATH));
	if (env_or("OPS_AGENT_PROBES_SOCKET", NULL) != NULL)
		s.probes_path = settings_absolute(env_or("OPS_AGENT_PROBES_SOCKET", NULL));
	*ret_settings = s;
	return 0;
}

void settings_fini(struct settings *settings)
{
	free(settings->config_dir);
	free(settings->state_dir);
	free(settings->socket_path);
	free(settings->secret_path);
	free(settings->probes_path);
	*settings = (struct settings){0};
}

bool settings_peer_is_allowed(const struct settings *settings, uid_t uid)
{
	if (uid == 0 || uid == settings->worker_uid || uid == geteuid())
		return true;
	for (size_t i = 0; i < settings->n_peers; i++) {
		if (settings->peers[i] == uid)
			return true;
	}
	return false;
}
