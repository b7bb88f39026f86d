/*
 * Outputs of steps. A command appends `name=value` lines to the file $OPS_OUTPUT; the runner parses
 * them, keeps what the command declares, and appends it to RUN_DIR/outputs:
 * { u16 step, u16 attempt, str name, str value }*.
 */
#ifndef OPS_AGENT_RUN_OUTPUTS_H
#define OPS_AGENT_RUN_OUTPUTS_H

#include <stddef.h>
#include <stdint.h>

#include "agent/run/plan.h"
#include "core/base/buf.h"
#include "core/base/err.h"

#define OUTPUTS_MAX_FILE_BYTES (64u << 10)
#define OUTPUTS_MAX_VALUE_BYTES 16384 /* INPUT_MAX_VALUE_BYTES: it may become an input */

struct output {
	uint16_t step, attempt;
	char *name;
	char *value;
};

struct outputs {
	struct output *items;
	size_t n;
};

void outputs_init(struct outputs *outputs);
void outputs_fini(struct outputs *outputs);

/*
 * Adds what the n bytes of a step's $OPS_OUTPUT set: only names that the step declares, values of
 * valid UTF-8 without control bytes; of a name that is set twice the last one counts. Blank lines
 * are skipped. 0; or -EINVAL with err naming the first line that was not taken (the other lines
 * were), or -EMSGSIZE (file too large; nothing was).
 */
MUSTCHECK int outputs_parse(const struct plan_step *step, uint16_t step_index, uint16_t attempt,
	const uint8_t *data, size_t n, struct outputs *outputs, struct err *err);

/* The value of the step's latest attempt that set name; NULL: none did. */
const char *outputs_get(const struct outputs *outputs, uint16_t step, const char *name);

/* The file's encoding of items first .. n. Error as buf_err(). */
MUSTCHECK int outputs_encode(const struct outputs *outputs, size_t first, struct buf *buf);
/* Adds what the file holds; what follows the last whole item (a write cut short) is ignored. 0 or
 * -EBADMSG. */
MUSTCHECK int outputs_decode(const uint8_t *data, size_t n, struct outputs *outputs);
/* Adds what RUN_DIR/outputs holds; no such file is fine. 0 or a negative errno. */
MUSTCHECK int outputs_read(int run_dir_fd, struct outputs *outputs, struct err *err);

#endif
