/* Readers of values in the YAML of NOTIFY_FILE. Each adds what is wrong to the errors, with its
 * place, and returns a value to go on with. Internal to notify_conf.c. */
#ifndef OPS_CORE_APP_NOTIFY_NOTIFY_READ_H
#define OPS_CORE_APP_NOTIFY_NOTIFY_READ_H

#include "core/app/config/agents_conf.h"
#include "core/app/notify/notify_conf.h"
#include "core/base/mem.h"
#include "core/yaml/doc.h"

struct notify_reader {
	const char *file;
	const struct agents_conf *agents; /* which hosts there are; NULL: not known */
	struct config_errors *errors;
};

void notify_read_error(const struct notify_reader *r, const struct doc_node *node, const char *fmt,
	...) PRINTF_LIKE(3, 4);

/* Whether it is a mapping, with all its keys among keys (ended by NULL). */
bool notify_read_map(
	const struct notify_reader *r, const struct doc_node *node, const char *const keys[]);
/* The value of a key; NULL: absent. */
const struct doc_node *notify_read_get(const struct doc_node *map, const char *key);
/* The value of a key that has to be there; NULL with an error otherwise. */
const struct doc_node *notify_read_need(
	const struct notify_reader *r, const struct doc_node *map, const char *key);

/* A scalar that is not empty, at most max bytes; NULL with an error when it is something else, NULL
 * without when node is. Belongs to the tree. */
const char *notify_read_text(
	const struct notify_reader *r, const struct doc_node *node, size_t max);
/* Copies of a scalar, or of each of a sequence of them. */
void notify_read_list(
	const struct notify_reader *r, const struct doc_node *node, struct notify_list *ret_list);
/* Patterns of hosts, each of which is the pattern of one that is there, as far as that is known. */
void notify_read_hosts(
	const struct notify_reader *r, const struct doc_node *node, struct notify_list *ret_list);
/* A duration between min and max, or fallback when node is NULL. */
uint64_t notify_read_duration(const struct notify_reader *r, const struct doc_node *node,
	uint64_t min_us, uint64_t max_us, uint64_t fallback_us);
/* One of the names (ended by NULL): its index, or fallback. */
unsigned notify_read_choice(const struct notify_reader *r, const struct doc_node *node,
	const char *const names[], unsigned fallback);
/* A name of the user's: letters, digits, . _ - , NOTIFY_MAX_NAME bytes at most. */
bool notify_read_name(const struct notify_reader *r, const struct doc_node *node);
/* The content of the file that node names, white space at its end taken off; min bytes at least.
 * Readable by others than owner and group: an error. NULL: none (or an error). */
char *notify_read_secret(const struct notify_reader *r, const struct doc_node *node, size_t min);
/* An absolute path of a file that can be read. */
char *notify_read_path(const struct notify_reader *r, const struct doc_node *node);

#endif
