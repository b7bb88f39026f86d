#include "core/app/metrics.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "core/app/http.h"
#include "core/app/server.h"
#include "core/base/clock.h"

#define MAX_TEXT (64u << 10)
#define NAME "ops_dashboard_"

/* Upper bounds of the histogram, in microseconds, and as they are written. */
static const struct {
	uint64_t us;
	const char *text;
} bounds[METRICS_BUCKETS] = {{100, "0.0001"}, {250, "0.00025"}, {1000, "0.001"}, {2500, "0.0025"},
	{5000, "0.005"}, {10000, "0.01"}, {25000, "0.025"}, {50000, "0.05"}, {100000, "0.1"},
	{250000, "0.25"}, {1000000, "1"}, {10000000, "10"}};

void metrics_count(struct metrics *m, const struct web_finished *finished)
{
	const struct route *route = finished->route;
	size_t i = 0;

	m->requests[finished->status < METRICS_STATUSES ? finished->status : 0]++;
	m->body_bytes += finished->bytes;
	if (route != NULL && strcmp(route->pattern, "/api/v1/login") == 0) {
		m->logins += finished->status == 200;
		m->failed_logins += finished->status == 401 || finished->status == 429;
	}
	if (route != NULL && (route->flags & (ROUTE_STREAM | ROUTE_WEBSOCKET)) != 0)
		return;
	while (i < METRICS_BUCKETS && finished->duration_us > bounds[i].us)
		i++;
	m->buckets[i]++;
	m->duration_us += finished->duration_us;
}

static void put_head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put(
	struct buf *out, const char *name, const char *type, uint64_t value, const char *help)
{
	put_head(out, name, type, help);
	buf_printf(out, "%s %" PRIu64 "\n", name, value);
}

static void put_seconds(
	struct buf *out, const char *name, const char *type, uint64_t us, const char *help)
{
	put_head(out, name, type, help);
	buf_printf(out, "%s %" PRIu64 ".%06" PRIu64 "\n", name, us / CLOCK_SECOND_US,
		us % CLOCK_SECOND_US);
}

static uint64_t count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	uint64_t n = 0;

	if (dir == NULL)
		return 0;
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n > 3 ? n - 3 : 0; /* without ".", ".." and its own */
}

static void put_process(struct buf *out, const struct server *server)
{
	struct rlimit files = {0};
	struct rusage used = {0};
	uint64_t cpu_us;
	size_t rss = 0;

	getrusage(RUSAGE_SELF, &used);
	cpu_us = (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * CLOCK_SECOND_US +
		 (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
	uv_resident_set_memory(&rss);
	getrlimit(RLIMIT_NOFILE, &files);
	put_seconds(out, "process_cpu_seconds_total", "counter", cpu_us,
		"Processor time used, user and system.");
	put(out, "process_resident_memory_bytes", "gauge", rss, "Resident memory.");
	put(out, "process_open_fds", "gauge", count_descriptors(), "Open file descriptors.");
	put(out, "process_max_fds", "gauge", files.rlim_cur, "The most that may be open.");
	put_seconds(out, "process_start_time_seconds", "gauge", server->started_us,
		"Unix time of the start.");
}

static void put_http(struct buf *out, const struct server *server)
{
	const struct metrics *m = &server->metrics;
	struct web_counts counts;
	uint64_t sum = 0;

	web_server_get_counts(server->web, &counts);
	put(out, NAME "http_connections", "gauge", counts.connections, "Open connections.");
	put(out, NAME "http_websockets", "gauge", counts.websockets, "Of these, WebSockets.");
	put(out, NAME "http_connections_accepted_total", "counter", counts.accepted,
		"Connections that were served.");
	put(out, NAME "http_connections_refused_total", "counter", counts.refused,
		"Connections over the maximum, or without a descriptor left.");
	put(out, NAME "http_malformed_total", "counter", counts.malformed,
		"Messages and frames that broke the protocol.");
	put(out, NAME "http_response_body_bytes_total", "counter", m->body_bytes,
		"Bytes of answers.");
	put_head(out, NAME "http_requests_total", "counter",
		"Requests that have ended, by status; 0: the client left first.");
	for (unsigned status = 0; status < METRICS_STATUSES; status++) {
		if (m->requests[status] > 0)
			buf_printf(out, NAME "http_requests_total{code=\"%u\"} %" PRIu64 "\n",
				status, m->requests[status]);
	}
	put_head(out, NAME "http_request_duration_seconds", "histogram",
		"From the head of a request to its answer, without streams.");
	for (size_t i = 0; i <= METRICS_BUCKETS; i++) {
		sum += m->buckets[i];
		buf_printf(out,
			NAME "http_request_duration_seconds_bucket{le=\"%s\"} %" PRIu64 "\n",
			i < METRICS_BUCKETS ? bounds[i].text : "+Inf", sum);
	}
	buf_printf(out, NAME "http_request_duration_seconds_sum %" PRIu64 ".%06" PRIu64 "\n",
		m->duration_us / CLOCK_SECOND_US, m->duration_us % CLOCK_SECOND_US);
	buf_printf(out, NAME "http_request_duration_seconds_count %" PRIu64 "\n", sum);
	put(out, NAME "logins_total", "counter", m->logins, "Sign-ins.");
	put(out, NAME "failed_logins_total", "counter", m->failed_logins,
		"Sign-ins that were refused.");
	put(out, NAME "live_sockets", "gauge", live_socket_count(server->live),
		"Open live connections.");
	put(out, NAME "log_searches", "gauge", server->n_searches, "Searches going on.");
}

/* ---- of each host ---- */

/* What is told of a host. */
struct host_values {
	struct link_info agent;
	struct archiver_status archiver;
	struct samples_counts samples;
};

static uint64_t is_up(const struct host_values *v)
{
	return v->agent.state == LINK_CONNECTED;
}

static uint64_t reconnects(const struct host_values *v)
{
	return v->agent.reconnects;
}

static uint64_t behind_bytes(const struct host_values *v)
{
	return v->archiver.behind_bytes;
}

static uint64_t behind_runs(const struct host_values *v)
{
	return v->archiver.behind_runs;
}

static uint64_t damaged_runs(const struct host_values *v)
{
	return v->archiver.damaged_runs;
}

static uint64_t samples_written(const struct host_values *v)
{
	return v->samples.written;
}

static uint64_t samples_dropped(const struct host_values *v)
{
	return v->samples.dropped;
}

static uint64_t samples_held(const struct host_values *v)
{
	return v->samples.held;
}

static const struct host_metric {
	const char *name, *type, *help;
	uint64_t (*value)(const struct host_values *values);
} host_metrics[] = {
	{NAME "agent_up", "gauge", "Whether the agent is connected.", is_up},
	{NAME "agent_reconnects_total", "counter", "Connections to the agent after the first.",
		reconnects},
	{NAME "archiver_behind_bytes", "gauge", "Bytes of journals that are not archived yet.",
		behind_bytes},
	{NAME "archiver_behind_runs", "gauge", "Runs that are not archived yet.", behind_runs},
	{NAME "archiver_damaged_runs", "gauge", "Runs whose journal does not match its digest.",
		damaged_runs},
	{NAME "samples_written_total", "counter",
		"Moments of the machine's values that are in the database.", samples_written},
	{NAME "samples_dropped_total", "counter",
		"Moments that were dropped while the database was away.", samples_dropped},
	{NAME "samples_waiting", "gauge",
		"Moments of the machine's values that are not in the database yet.", samples_held},
};

/* A host's name holds nothing that would have to be escaped, but an agent may call itself
 * anything. */
static void put_label(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\' || *text == '"')
			buf_append_byte(out, '\\');
		buf_append_byte(out, *text == '\n' ? (uint8_t)' ' : (uint8_t)*text);
	}
}

static void put_hosts(struct buf *out, const struct server *server)
{
	struct host_values values[LIMIT_HOSTS];
	size_t n = hosts_count(server->hosts);

	for (size_t i = 0; i < n; i++) {
		const struct host *host = hosts_at(server->hosts, i);

		link_get_info(host->link, &values[i].agent);
		archiver_get_status(host->archiver, &values[i].archiver);
		values[i].samples = samples_counts(host->samples);
	}
	for (size_t k = 0; k < ARRAY_LEN(host_metrics); k++) {
		const struct host_metric *metric = &host_metrics[k];

		put_head(out, metric->name, metric->type, metric->help);
		for (size_t i = 0; i < n; i++) {
			buf_printf(out, "%s{host=\"", metric->name);
			put_label(out, host_name(hosts_at(server->hosts, i)));
			buf_printf(out, "\"} %" PRIu64 "\n", metric->value(&values[i]));
		}
	}
}

static void put_parts(struct buf *out, const struct server *server)
{
	struct pool_info database;

	pool_get_info(server->pool, &database);
	put(out, NAME "database_up", "gauge", database.state == POOL_READY,
		"Whether PostgreSQL can be used.");
	put_hosts(out, server);
}

void metrics_get(struct request *req)
{
	const struct server *server = server_of(req);
	struct buf out;

	buf_init(&out, MAX_TEXT);
	put_head(&out, NAME "build_info", "gauge", "The version that runs.");
	buf_printf(&out, NAME "build_info{version=\"" OPS_VERSION "\"} 1\n");
	put_process(&out, server);
	put_http(&out, server);
	put_parts(&out, server);
	notify_put_metrics(server->notify, &out);
	if (buf_err(&out) < 0)
		response_problem(req, 500, "internal", "The answer could not be put together.");
	else
		response_send(
			req, 200, "text/plain; version=0.0.4; charset=utf-8", out.data, out.len);
	buf_fini(&out);
}
