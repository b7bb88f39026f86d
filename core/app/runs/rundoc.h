/*
 * A run's JSON document (DESIGN of the protocol: what the agent says about a run), taken apart for
 * PostgreSQL. Pure. What is missing or of another type is empty or zero; only a document without a
 * valid id is refused.
 */
#ifndef OPS_CORE_APP_RUNS_RUNDOC_H
#define OPS_CORE_APP_RUNS_RUNDOC_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/mem.h"
#include "core/base/uuid.h"
#include "proto/wire.h"

#define RUNDOC_NONE INT64_MIN /* a number that is null */

/* Texts live in the jansson object that it was read from; "" when absent, NULL where said. */
struct rundoc {
	struct uuid id;
	const char *host, *kind, *name, *title, *status, *actor, *trigger, *config_digest;
	const char *reason;							/* NULL: none */
	int64_t number, exit_code, signal, created_us, started_us, finished_us; /* or RUNDOC_NONE */
	uint64_t bytes, lines, size;
	uint64_t durable; /* the journal is safe up to here: all of it when the run has ended */
	bool truncated, final;
};

/* 0, or -EINVAL when doc is no object with a UUID. */
MUSTCHECK int rundoc_read(const json_t *doc, struct rundoc *ret_doc);

bool rundoc_status_is_final(const char *status);

/* A copy of JSON text that PostgreSQL's jsonb takes: the escape of U+0000, which it refuses,
 * becomes that of U+FFFD. Returns the length; out has room for json.len bytes. */
size_t rundoc_for_jsonb(struct wire_str json, char *out);

#endif
