/*
 * /metrics: what the daemon counts, in Prometheus' text format 0.0.4. Names follow its conventions:
 * base units, _total for counters, `process_` for what every exporter says of its process.
 */
#ifndef OPS_CORE_APP_METRICS_H
#define OPS_CORE_APP_METRICS_H

#include <stdint.h>

#include "core/web/request.h"
#include "core/web/server.h"

#define METRICS_BUCKETS 12 /* of the histogram of durations, without +Inf */
#define METRICS_STATUSES 600

/* Counted as requests end. Zero at first. */
struct metrics {
	uint64_t requests[METRICS_STATUSES]; /* by status; 0: the peer left before an answer */
	uint64_t buckets[METRICS_BUCKETS + 1];
	uint64_t duration_us, body_bytes;
	uint64_t logins, failed_logins;
};

/* A request has ended. Streams and WebSockets are not in the histogram: they last as long as
 * somebody looks. */
void metrics_count(struct metrics *metrics, const struct web_finished *finished);

void metrics_get(struct request *req);

#endif
