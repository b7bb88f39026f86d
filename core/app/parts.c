#include "core/app/parts.h"

#include "core/app/limits.h"
#include "core/app/server.h"

void parts_write_agent(struct json *json, const struct host *host, bool detailed)
{
	struct link_info info;

	link_get_info(host->link, &info);
	json_key(json, "agent");
	json_open_object(json);
	json_kv_str(json, "state", link_state_name(info.state));
	json_kv_uint(json, "since_us", info.since_us);
	json_kv_str(json, "reason", detailed ? info.reason : "");
	if (!detailed) {
		json_close_object(json);
		return;
	}
	json_kv_str(json, "host", info.host);
	json_kv_str(json, "id", info.agent_id);
	json_kv_str(json, "version", info.agent_version);
	json_kv_str(json, "config_digest", info.config_digest);
	json_kv_uint(json, "started_us", info.agent_started_us);
	json_close_object(json);
}

void parts_write_host(struct json *json, const struct host *host)
{
	struct link_info info;

	link_get_info(host->link, &info);
	json_kv_str(json, "host", host_name(host));
	json_kv_str(json, "title", host_title(host));
	json_kv_bool(json, "primary", hosts_is_primary(host));
	json_kv_str(json, "state", link_state_name(info.state));
	json_kv_uint(json, "since_us", info.since_us);
	json_kv_str(json, "reason", info.reason);
	json_kv_str(json, "agent_id", info.agent_id);
	json_kv_str(json, "agent_version", info.agent_version);
	json_kv_str(json, "config_digest", info.config_digest);
	json_kv_uint(json, "started_us", info.agent_started_us);
}

static void put_agents(struct json *json, const struct hosts *hosts)
{
	json_key(json, "agents");
	json_open_array(json);
	for (size_t i = 0; i < hosts_count(hosts); i++) {
		json_open_object(json);
		parts_write_host(json, hosts_at(hosts, i));
		json_close_object(json);
	}
	json_close_array(json);
}

static void put_database(struct json *json, const struct server *server, bool detailed)
{
	struct pool_info info;

	pool_get_info(server->pool, &info);
	json_key(json, "database");
	json_open_object(json);
	json_kv_str(json, "state", pool_state_name(info.state));
	json_kv_uint(json, "since_us", info.since_us);
	json_kv_str(json, "reason", detailed ? info.reason : "");
	if (detailed)
		json_kv_str(json, "where", info.where);
	json_kv_bool(json, "read_only", info.read_only);
	json_close_object(json);
}

static void put_archiver(struct json *json, const struct server *server, bool detailed)
{
	struct archiver_status status;

	hosts_archiver_status(server->hosts, &status);
	json_key(json, "archiver");
	json_open_object(json);
	json_kv_str(json, "state", archiver_state_name(status.state));
	json_kv_uint(json, "since_us", status.since_us);
	/* That a run which goes on is a little ahead of its archive is no news for anybody. */
	json_kv_bool(json, "catching_up",
		status.state == ARCHIVER_WAITING_FOR_DATABASE ||
			status.behind_bytes > LIMIT_CATCHING_UP_BYTES);
	json_kv_uint(json, "behind_runs", status.behind_runs);
	json_kv_uint(json, "behind_bytes", status.behind_bytes);
	json_kv_uint(json, "damaged_runs", status.damaged_runs);
	json_kv_str(json, "problem", detailed ? status.problem : "");
	json_close_object(json);
}

void parts_write(struct json *json, const struct server *server, bool detailed)
{
	const struct host *primary = hosts_primary(server->hosts);

	if (primary != NULL)
		parts_write_agent(json, primary, detailed);
	if (detailed)
		put_agents(json, server->hosts);
	put_database(json, server, detailed);
	put_archiver(json, server, detailed);
}
