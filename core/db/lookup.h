/*
 * Turns the hosts of a conninfo into addresses, with uv_getaddrinfo(): libpq's own lookup blocks.
 */
#ifndef OPS_CORE_DB_LOOKUP_H
#define OPS_CORE_DB_LOOKUP_H

#include <uv.h>

#include "core/base/err.h"
#include "core/db/conninfo.h"

struct lookup;

/* err->code 0: the addresses, in the order of the hosts; hosts that have no address are left out.
 * Otherwise (none has one, or -ECANCELED) n is 0. */
typedef void (*lookup_done_fn)(
	const struct err *err, const struct conninfo_address *addresses, size_t n, void *arg);

/* cb comes exactly once, later. info must stay valid until then. The lookup is freed after cb. */
struct lookup *lookup_start(
	uv_loop_t *loop, const struct conninfo *info, lookup_done_fn cb, void *arg);
/* Makes cb come soon, with -ECANCELED: as soon as the system's resolver lets go. */
void lookup_cancel(struct lookup *lookup);

#endif
