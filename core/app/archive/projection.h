/*
 * What a run's journal says, record after record: its steps, how it ended, and the digest over its
 * headers. Pure: the rows of ops.run_steps and the end of a row of ops.runs follow from it, so they
 * can be made again from the journal alone.
 */
#ifndef OPS_CORE_APP_ARCHIVE_PROJECTION_H
#define OPS_CORE_APP_ARCHIVE_PROJECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/crypto.h"
#include "core/base/mem.h"

#define PROJECTION_MAX_STEPS 256
#define PROJECTION_MAX_NAME 32 /* of a status or a reason */
#define PROJECTION_NONE INT64_MIN

struct projection_step {
	char *id, *uses, *title, *phase; /* NULL: not said */
	char status[PROJECTION_MAX_NAME];
	char reason[PROJECTION_MAX_NAME]; /* "": none */
	int64_t attempt, exit_code, signal, started_us, finished_us,
		offset; /* or PROJECTION_NONE */
	bool changed;	/* since projection_take_changed() */
};

struct projection {
	uint64_t offset;  /* of the next record */
	uint64_t records; /* before it */
	struct crypto_sha256 headers;
	struct projection_step *steps; /* PROJECTION_MAX_STEPS, made when the first is named */
	size_t n_steps;

	bool finished; /* the last record was run.finished; then: */
	bool digest_matches;
	uint8_t digest[CRYPTO_SHA256_BYTES]; /* as computed here */
	char status[PROJECTION_MAX_NAME], reason[PROJECTION_MAX_NAME];
	int64_t exit_code, signal, started_us, finished_us;
	uint64_t bytes, lines;
	bool truncated;
};

void projection_init(struct projection *p);
void projection_fini(struct projection *p);

/*
 * Takes the record that begins at data (p->offset in the journal) and ends within n bytes, after
 * verifying its checksum. Returns its size; -EAGAIN when it does not end within n; -EBADMSG when it
 * is damaged or follows run.finished. An event that cannot be understood counts as bytes only.
 */
MUSTCHECK int projection_feed(struct projection *p, const uint8_t *data, size_t n);

/* Appends a JSON array of the steps that changed, with the columns of ops.run_steps as keys, and
 * regards them as unchanged. False (and nothing appended) when there are none. */
bool projection_take_changed(struct projection *p, struct buf *json);

#endif
