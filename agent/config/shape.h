/*
 * The second stage of reading YAML: a tree of doc.h against a libcyaml schema.
 *
 * libcyaml takes neither keys that users choose nor tells where a value stood. So the tree is first
 * compared with the schema (unknown and missing keys, wrong kinds: every one reported with its
 * place), then written again in a form that libcyaml can load, in which nothing is lost:
 *
 *	a scalar		{l: LINE, c: COLUMN, t: "text"}		struct raw_text
 *	a sequence		{"@": {l, c}, items: […]}		struct raw_…_list
 *	a mapping with fixed keys	{"@": {l, c}, key: …}		a struct with raw_pos first
 *	the short form of such a one	{"@": {l, c}, key: the scalar}	the same
 *	a mapping with user's keys	{"@": {l, c}, items: [{"@", key: …, …}]}
 *
 * Which of them is meant is read off the schema: see shape.c.
 */
#ifndef OPS_AGENT_CONFIG_SHAPE_H
#define OPS_AGENT_CONFIG_SHAPE_H

#include <cyaml/cyaml.h>

#include "core/yaml/doc.h"

#define SHAPE_POS_KEY "@"
#define SHAPE_ITEMS_KEY "items"
#define SHAPE_USER_KEY "key"
#define SHAPE_USER_VALUE "value"
/* On the field behind the place: a scalar in place of the mapping stands for this key alone. The
 * flag is one that libcyaml looks at when it saves, which nobody here does. */
#define SHAPE_FLAG_SHORT CYAML_FLAG_FLOW

struct raw_pos {
	uint32_t line, col;
};

struct raw_text {
	struct raw_pos at;
	char *text;
};

extern const cyaml_schema_field_t shape_pos_fields[];
extern const cyaml_schema_field_t shape_text_fields[];

/* What to say about a key that the mapping with these schema fields does not have, or NULL for the
 * ordinary message with the nearest key. */
typedef const char *(*shape_hint)(const cyaml_schema_field_t *fields, const char *key);

/* Checks the tree and loads it. The result is to be freed with shape_free() and the same schema;
 * NULL after errors, which have been added. */
void *shape_load(const char *file, const struct doc_node *root, const cyaml_schema_value_t *schema,
	shape_hint hint, struct config_errors *errors);
void shape_free(const cyaml_schema_value_t *schema, void *data);

#endif
