#include "core/app/health.h"

#include <stddef.h>

#include "core/app/http.h"
#include "core/app/parts.h"
#include "core/app/server.h"
#include "core/base/json.h"

/* core/app/api/openapi.json, made a part of the program by embed.sh. */
extern const unsigned char openapi_json[];
extern const size_t openapi_json_len;

void health_live(struct request *req)
{
	static const char body[] = "{\"status\":\"ok\"}";

	response_send_static(req, 200, "application/json", body, sizeof(body) - 1);
}

void health_ready(struct request *req)
{
	const struct server *server = server_of(req);
	struct archiver_status archiver;
	const char *status = "ready";
	struct json json;
	struct buf buf;

	hosts_archiver_status(server->hosts, &archiver);
	if (server->stopping)
		status = "unready";
	else if (!hosts_are_connected(server->hosts) ||
		 archiver.state == ARCHIVER_WAITING_FOR_DATABASE)
		status = "degraded";
	buf_init(&buf, 65536);
	json_init(&json, &buf);
	json_open_object(&json);
	json_kv_str(&json, "status", status);
	json_kv_str(&json, "version", OPS_VERSION);
	parts_write(&json, server, caller_actor(req)[0] != '\0');
	json_close_object(&json);
	response_json(req, server->stopping ? 503 : 200, &buf);
	buf_fini(&buf);
}

void health_hosts(struct request *req)
{
	const struct server *server = server_of(req);
	const struct hosts *hosts = server->hosts;
	struct json json;
	struct buf buf;

	buf_init(&buf, 65536);
	json_init(&json, &buf);
	json_open_object(&json);
	json_key(&json, "hosts");
	json_open_array(&json);
	for (size_t i = 0; i < hosts_count(hosts); i++) {
		const struct host *host = hosts_at(hosts, i);

		json_open_object(&json);
		json_kv_str(&json, "name", host_name(host));
		parts_write_host(&json, host);
		parts_write_agent(&json, host, true);
		json_close_object(&json);
	}
	json_close_array(&json);
	json_close_object(&json);
	response_json(req, 200, &buf);
	buf_fini(&buf);
}

void health_openapi(struct request *req)
{
	response_send_static(req, 200, "application/json", openapi_json, openapi_json_len);
}
