/*
 * RUN_DIR/meta: the public part of a plan, from which run documents are composed while and after a
 * run: written once by the monitor, before the start is answered, never changed, read by worker,
 * monitor and opsctl's requests. Values of secret inputs are not in it ("***").
 *
 * Encoding: "OPSMETA1" (8 bytes), u32 crc32c of all that follows, then with the integers and `str`
 * of proto/wire.h:
 *
 *	16 bytes id, u64 number, u8 is_flow, str name, title, host, actor, trigger, config_digest,
 *	u64 created_us, u64 timeout_us, u64 max_output,
 *	u16 n_inputs × { str name, str value, u8 secret },
 *	u16 n_steps × { str id, uses, title, u8 phase, u16 n × u16 needs, u16 n × str outputs,
 *		u64 timeout_us, str user, str cwd, u8 is_approval, str prompt, u64 approve_us,
 *		u8 on_timeout }
 *
 * "OPSMETA1" in front, of runs that an older version made, means the same without what follows cwd.
 */
#ifndef OPS_AGENT_RUN_META_H
#define OPS_AGENT_RUN_META_H

#include <stddef.h>
#include <stdint.h>

#include "agent/run/plan.h"
#include "core/base/buf.h"
#include "core/base/err.h"

#define META_MAX_BYTES PLAN_MAX_BYTES
#define META_MASK "***"

/* Appends the encoding to buf (whose maximum should be META_MAX_BYTES). 0, -EMSGSIZE, -ENOMEM. */
MUSTCHECK int meta_encode(const struct plan *plan, struct buf *buf);

/* A plan that holds what the encoding holds, everything else zero or NULL: to be read, not to be
 * run; the caller frees it with meta_free(). NULL with err set (-EBADMSG) for other bytes. */
struct plan *meta_decode(const uint8_t *data, size_t n, struct err *err);
/* Reads RUN_DIR/meta of the folder run_dir_fd. NULL with err set. */
struct plan *meta_read(int run_dir_fd, struct err *err);
/* NULL is fine. */
void meta_free(struct plan *meta);

#endif
