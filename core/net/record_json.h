/*
 * A record as one line of JSON, for programs: what `GET /runs/{id}/log?format=ndjson` and
 * `opsctl logs --json` print. {"offset":…,"time_us":…,"line":…,"step":null|N,"stream":"stdout"|
 * "stderr"|"event", then "text":… (invalid UTF-8 repaired) or "event":{…}, "masked":true if it is}
 * and a newline.
 */
#ifndef OPS_CORE_NET_RECORD_JSON_H
#define OPS_CORE_NET_RECORD_JSON_H

#include <stdint.h>

#include "core/base/buf.h"
#include "proto/record.h"

/* Appends the line of the record that begins at offset. A full out notes it, see buf_err(). */
void record_json(const struct record *rec, uint64_t offset, struct buf *out);

#endif
