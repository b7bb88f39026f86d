#include "core/app/routes.h"

#include "core/app/approve.h"
#include "core/app/gate.h"
#include "core/app/health.h"
#include "core/app/limits.h"
#include "core/app/live.h"
#include "core/app/logs.h"
#include "core/app/metrics.h"
#include "core/app/runs.h"
#include "core/app/search.h"
#include "core/app/signin.h"
#include "core/app/start.h"

#define API "/api/v1"
#define JSON "application/json"

const struct route app_routes[] = {
	/* method, path, who, flags, largest body, its type, handler */
	{"GET", "/healthz", ROLE_PUBLIC, 0, 0, NULL, health_live},
	{"GET", "/readyz", ROLE_PUBLIC, 0, 0, NULL, health_ready},
	{"GET", "/metrics", ROLE_SESSION, 0, 0, NULL, metrics_get},
	{"GET", API "/openapi.json", ROLE_PUBLIC, 0, 0, NULL, health_openapi},

	{"POST", API "/login", ROLE_PUBLIC, 0, 4096, JSON, signin_login},
	{"GET", API "/session", ROLE_PUBLIC, 0, 0, NULL, signin_session},
	{"POST", API "/session/reauth", ROLE_SESSION, 0, 4096, JSON, signin_reauth},
	{"POST", API "/logout", ROLE_SESSION, 0, 4096, JSON, signin_logout},

	{"GET", API "/catalog", ROLE_SESSION, 0, 0, NULL, runs_catalog},
	{"GET", API "/runs", ROLE_SESSION, 0, 0, NULL, runs_list},
	{"POST", API "/runs", ROLE_SESSION, 0, LIMIT_BODY_BYTES, JSON, start_run},
	{"GET", API "/runs/{id}", ROLE_SESSION, 0, 0, NULL, runs_get},
	{"POST", API "/runs/{id}/cancel", ROLE_SESSION, 0, 4096, JSON, runs_cancel},
	{"POST", API "/runs/{id}/approve", ROLE_SESSION, 0, 4096, JSON, approve_step},
	{"POST", API "/runs/{id}/rerun", ROLE_SESSION, 0, LIMIT_BODY_BYTES, JSON, start_rerun},
	{"GET", API "/runs/{id}/log", ROLE_SESSION, ROUTE_STREAM, 0, NULL, logs_get},
	{"GET", API "/runs/{id}/log/search", ROLE_SESSION, ROUTE_STREAM, 0, NULL, search_get},
	{"GET", API "/runs/{id}/log/locate", ROLE_SESSION, 0, 0, NULL, logs_locate},

	{"GET", API "/live", ROLE_SESSION, ROUTE_WEBSOCKET, 0, NULL, live_handle},
};

const size_t app_routes_count = ARRAY_LEN(app_routes);
