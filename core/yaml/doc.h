/*
 * The first stage of reading YAML: bytes to a tree of nodes, each with its place in the file. It
 * accepts a plain subset: one document, mappings with scalar keys, sequences, scalars. Refused are
 * control bytes, byte order marks, invalid UTF-8, directives, anchors, aliases, tags, merge keys,
 * duplicate keys, a second document, an empty one, and nesting or counts beyond the limits below.
 */
#ifndef OPS_CORE_YAML_DOC_H
#define OPS_CORE_YAML_DOC_H

#include <stdbool.h>
#include <stddef.h>

#include "core/yaml/errors.h"

#define DOC_MAX_DEPTH 12
#define DOC_MAX_ENTRIES 1024 /* of one mapping or sequence */
#define DOC_MAX_NODES 65536

enum doc_kind {
	DOC_SCALAR,
	DOC_SEQUENCE,
	DOC_MAPPING,
};

struct doc_node {
	enum doc_kind kind;
	struct config_pos pos;
	char *text;   /* scalar: NUL-terminated, holds no NUL itself */
	bool is_null; /* scalar: unquoted and empty, ~ or null */
	/* sequence: its items; mapping: key, value, key, value … */
	struct doc_node **items;
	size_t n_items;
};

/* Reads n bytes. NULL after an error, which has been added; file is the name for messages. */
struct doc_node *doc_parse(
	const char *file, const void *data, size_t n, struct config_errors *errors);
/* NULL is fine. */
void doc_free(struct doc_node *node);

#endif
