/* systemd's journal, as the probes open it. */
#ifndef OPS_AGENT_PROBES_JOURNAL_H
#define OPS_AGENT_PROBES_JOURNAL_H

#include <systemd/sd-journal.h>

#include "core/base/mem.h"
#include "proto/wire.h"

/* The machine's journal, or that in OPS_AGENT_JOURNAL_DIR. -ENOENT: there is none that this account
 * may read. The caller closes it with sd_journal_close(), also after an error. */
MUSTCHECK int journal_open(sd_journal **ret_journal);
/* Adds field=value to what is looked for. 0 or a negative errno. */
MUSTCHECK int journal_match(sd_journal *journal, const char *field, const char *value);
/* The value of the entry's field, or else of its second name (may be NULL); empty when it has
 * neither. Holds until the next field is read. */
struct wire_str journal_field(sd_journal *journal, const char *name, const char *second);

#endif
