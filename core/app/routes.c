#include "core/app/routes.h"

#include "core/app/audit/audit.h"
#include "core/app/auth/access.h"
#include "core/app/auth/signin.h"
#include "core/app/gate.h"
#include "core/app/health.h"
#include "core/app/hooks/hooks.h"
#include "core/app/limits.h"
#include "core/app/live/live.h"
#include "core/app/logs/logs.h"
#include "core/app/logs/search.h"
#include "core/app/metrics.h"
#include "core/app/notify/notify.h"
#include "core/app/runs/approve.h"
#include "core/app/runs/runs.h"
#include "core/app/runs/schedule.h"
#include "core/app/runs/start.h"
#include "core/app/status/samples.h"
#include "core/app/status/status.h"

#define API "/api/v1"
#define JSON "application/json"

const struct route app_routes[] = {
	/* method, path, who, flags, largest body, its type, handler */
	{"GET", "/healthz", ROLE_PUBLIC, 0, 0, NULL, health_live},
	{"GET", "/readyz", ROLE_PUBLIC, 0, 0, NULL, health_ready},
	{"GET", "/metrics", ROLE_READ, 0, 0, NULL, metrics_get},
	{"GET", API "/openapi.json", ROLE_PUBLIC, 0, 0, NULL, health_openapi},

	{"POST", API "/login", ROLE_PUBLIC, 0, 4096, JSON, signin_login},
	{"GET", API "/session", ROLE_PUBLIC, 0, 0, NULL, signin_session},
	{"POST", API "/session/reauth", ROLE_SESSION, 0, 4096, JSON, signin_reauth},
	{"POST", API "/logout", ROLE_SESSION, 0, 4096, JSON, signin_logout},

	{"GET", API "/catalog", ROLE_READ, 0, 0, NULL, runs_catalog},
	{"GET", API "/runs", ROLE_READ, 0, 0, NULL, runs_list},
	{"POST", API "/runs", ROLE_START, 0, LIMIT_BODY_BYTES, JSON, start_run},
	{"GET", API "/runs/{id}", ROLE_READ, 0, 0, NULL, runs_get},
	{"POST", API "/runs/{id}/cancel", ROLE_RUN, 0, 4096, JSON, runs_cancel},
	{"POST", API "/runs/{id}/approve", ROLE_START, 0, 4096, JSON, approve_step},
	{"POST", API "/runs/{id}/rerun", ROLE_START, 0, LIMIT_BODY_BYTES, JSON, start_rerun},
	{"GET", API "/runs/{id}/log", ROLE_READ, ROUTE_STREAM, 0, NULL, logs_get},
	{"GET", API "/runs/{id}/log/search", ROLE_READ, ROUTE_STREAM, 0, NULL, search_get},
	{"GET", API "/runs/{id}/log/locate", ROLE_READ, 0, 0, NULL, logs_locate},

	{"GET", API "/schedule", ROLE_READ, 0, 0, NULL, schedule_get},
	{"POST", API "/schedule/pause", ROLE_ADMIN, 0, 4096, JSON, schedule_pause},
	{"POST", API "/maintenance", ROLE_ADMIN, 0, 4096, JSON, schedule_maintenance},
	{"POST", API "/runs/cancel", ROLE_ADMIN, 0, 4096, JSON, schedule_cancel_all},
	{"GET", API "/audit", ROLE_ADMIN, ROUTE_STREAM, 0, NULL, audit_list},
	{"GET", API "/hosts", ROLE_READ, 0, 0, NULL, health_hosts},
	{"GET", API "/status", ROLE_READ, 0, 0, NULL, status_get},
	{"GET", API "/status/history", ROLE_READ, 0, 0, NULL, samples_get},
	{"GET", API "/status/histories", ROLE_READ, 0, 0, NULL, samples_get_many},
	{"GET", API "/tokens", ROLE_ADMIN, 0, 0, NULL, access_tokens_list},
	{"POST", API "/tokens", ROLE_ADMIN, 0, 16384, JSON, access_tokens_create},
	{"DELETE", API "/tokens/{token}", ROLE_ADMIN, 0, 0, NULL, access_tokens_revoke},
	{"GET", API "/sessions", ROLE_ADMIN, 0, 0, NULL, access_sessions_list},
	{"DELETE", API "/sessions/{session}", ROLE_ADMIN, 0, 0, NULL, access_sessions_revoke},
	{"POST", API "/totp/verify", ROLE_ADMIN, 0, 4096, JSON, access_totp_verify},

	{"GET", API "/notify", ROLE_ADMIN, 0, 0, NULL, notify_get},
	{"POST", API "/notify/test", ROLE_ADMIN, 0, 4096, JSON, notify_test},
	{"POST", API "/hooks/{name}", ROLE_HOOK, 0, LIMIT_HOOK_BODY_BYTES, JSON, hooks_call},

	{"GET", API "/live", ROLE_READ, ROUTE_WEBSOCKET, 0, NULL, live_handle},
};

const size_t app_routes_count = ARRAY_LEN(app_routes);
