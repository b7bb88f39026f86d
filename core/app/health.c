#include "core/app/health.h"

#include <stddef.h>

#include "core/app/http.h"
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
	struct pool_info pool;
	struct link_info link;
	struct json json;
	struct buf buf;

	link_get_info(server->link, &link);
	pool_get_info(server->pool, &pool);
	archiver_get_status(server->archiver, &archiver);
	buf_init(&buf, 1024);
	json_init(&json, &buf);
	json_open_object(&json);
	json_kv_str(&json, "status", server->stopping ? "stopping" : "ready");
	json_kv_str(&json, "agent", link_state_name(link.state));
	json_kv_str(&json, "database", pool_state_name(pool.state));
	json_kv_str(&json, "archiver", archiver_state_name(archiver.state));
	json_close_object(&json);
	response_json(req, server->stopping ? 503 : 200, &buf);
	buf_fini(&buf);
}

void health_openapi(struct request *req)
{
	response_send_static(req, 200, "application/json", openapi_json, openapi_json_len);
}
