/*
 * Walks through all runs that the agent lists and compares them with the database: runs that are
 * not wholly there are reported, of the others the agent is told (again) that it may release them,
 * by which it checks the digest. So a database that was restored from an older backup is filled
 * again while the agent has the journals.
 */
#ifndef OPS_CORE_APP_ARCHIVE_ARCHIVE_SCAN_H
#define OPS_CORE_APP_ARCHIVE_ARCHIVE_SCAN_H

#include "core/agentlink/link.h"
#include "core/app/archive/archive_job.h"
#include "core/app/runs/rundoc.h"
#include "core/db/pool.h"

#define ARCHIVE_SCAN_PAGE 50 /* runs asked for at a time */

struct archive_scan;

struct archive_scan_callbacks {
	/* This run is not archived, or not wholly. doc is valid during the call. */
	void (*on_run)(const struct rundoc *doc, void *arg);
	/* It is over and freed behind this call. "": all were seen; else why it stopped. */
	void (*on_done)(const char *problem, void *arg);
};

/* No callback comes from within this call. others must outlive the scan; NULL: there are none. */
struct archive_scan *archive_scan_start(struct link *link, struct pool *pool,
	const struct archive_others *others, const struct archive_scan_callbacks *callbacks,
	void *arg);
/* Stops and frees it; no callback comes any more. NULL is fine. */
void archive_scan_cancel(struct archive_scan *scan);

#endif
