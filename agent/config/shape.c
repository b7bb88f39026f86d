#include "agent/config/shape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/yaml/suggest.h"

/* The rewritten text of a file of 256 KiB; a scalar grows by its place and its quotes. */
#define SHAPE_MAX_BYTES (16u << 20)

struct shape {
	const char *file;
	struct config_errors *errors;
	shape_hint hint;
	struct buf out;
	bool failed;
};

const cyaml_schema_field_t shape_pos_fields[] = {
	CYAML_FIELD_UINT("l", CYAML_FLAG_DEFAULT, struct raw_pos, line),
	CYAML_FIELD_UINT("c", CYAML_FLAG_DEFAULT, struct raw_pos, col),
	CYAML_FIELD_END,
};

const cyaml_schema_field_t shape_text_fields[] = {
	CYAML_FIELD_UINT("l", CYAML_FLAG_DEFAULT, struct raw_text, at.line),
	CYAML_FIELD_UINT("c", CYAML_FLAG_DEFAULT, struct raw_text, at.col),
	CYAML_FIELD_STRING_PTR("t", CYAML_FLAG_POINTER, struct raw_text, text, 0, CYAML_UNLIMITED),
	CYAML_FIELD_END,
};

/* ---- what a piece of schema stands for ---- */

static bool is_text(const cyaml_schema_field_t *fields)
{
	return fields == shape_text_fields;
}

static bool is_own_key(const cyaml_schema_field_t *field)
{
	return strcmp(field->key, SHAPE_POS_KEY) == 0 || strcmp(field->key, SHAPE_USER_KEY) == 0;
}

/* The entry's fields when this stands for a sequence or a mapping with user's keys, else NULL. */
static const cyaml_schema_field_t *list_entry(const cyaml_schema_field_t *fields)
{
	if (is_text(fields) || fields[1].key == NULL || strcmp(fields[1].key, SHAPE_ITEMS_KEY) != 0)
		return NULL;
	return fields[1].value.sequence.entry->mapping.fields;
}

static bool is_user_keyed(const cyaml_schema_field_t *entry)
{
	return !is_text(entry) && strcmp(entry[1].key, SHAPE_USER_KEY) == 0;
}

/* {key, value: text}: the user's mapping goes from names to scalars. */
static bool is_pair(const cyaml_schema_field_t *entry)
{
	return entry[2].key != NULL && strcmp(entry[2].key, SHAPE_USER_VALUE) == 0;
}

/* ---- writing ---- */

static void put_text(struct shape *s, const char *text)
{
	buf_append_byte(&s->out, '"');
	for (const char *c = text; *c != '\0'; c++) {
		if (*c == '"' || *c == '\\')
			buf_append_byte(&s->out, '\\');
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			buf_printf(&s->out, "\\x%02x", (unsigned char)*c);
		else
			buf_append_byte(&s->out, (uint8_t)*c);
	}
	buf_append_byte(&s->out, '"');
}

static void put_scalar(struct shape *s, const struct doc_node *node)
{
	buf_printf(&s->out, "{l: %u, c: %u, t: ", node->pos.line, node->pos.col);
	put_text(s, node->text);
	buf_append_str(&s->out, "}");
}

static void put_open(struct shape *s, struct config_pos pos)
{
	buf_printf(&s->out, "{\"" SHAPE_POS_KEY "\": {l: %u, c: %u}", pos.line, pos.col);
}

/* ---- comparing, and writing along ---- */

static void complain(struct shape *s, struct config_pos pos, const char *what, const char *name)
{
	s->failed = true;
	config_errors_add(s->errors, s->file, pos, "'%.60s' %s", name, what);
}

static void unknown_key(
	struct shape *s, const cyaml_schema_field_t *fields, const struct doc_node *key)
{
	const char *hint = s->hint != NULL ? s->hint(fields, key->text) : NULL;
	char text[SUGGEST_TEXT_BYTES];
	struct suggest near;

	s->failed = true;
	if (hint != NULL) {
		config_errors_add(s->errors, s->file, key->pos, "%s", hint);
		return;
	}
	suggest_init(&near, key->text, strlen(key->text));
	for (const cyaml_schema_field_t *f = fields; f->key != NULL; f++) {
		if (!is_own_key(f))
			suggest_offer(&near, f->key);
	}
	config_errors_add(s->errors, s->file, key->pos, "unknown key '%.60s'%s", key->text,
		suggest_text(&near, text));
}

static const cyaml_schema_field_t *find_field(const cyaml_schema_field_t *fields, const char *key)
{
	for (const cyaml_schema_field_t *f = fields; f->key != NULL; f++) {
		if (!is_own_key(f) && strcmp(f->key, key) == 0)
			return f;
	}
	return NULL;
}

static bool has_key(const struct doc_node *map, const char *key)
{
	for (size_t i = 0; i < map->n_items; i += 2) {
		if (strcmp(map->items[i]->text, key) == 0)
			return true;
	}
	return false;
}

static void put_value(struct shape *s, const cyaml_schema_field_t *fields,
	const struct doc_node *node, const char *name);

/* The keys and values of a mapping with fixed keys, each with a comma in front. */
static void put_members(struct shape *s, const cyaml_schema_field_t *fields,
	const struct doc_node *map, const char *name)
{
	for (size_t i = 0; i < map->n_items; i += 2) {
		const struct doc_node *key = map->items[i];
		const cyaml_schema_field_t *field = find_field(fields, key->text);

		if (field == NULL) {
			unknown_key(s, fields, key);
			continue;
		}
		buf_printf(&s->out, ",\n%s: ", field->key);
		put_value(s, field->value.mapping.fields, map->items[i + 1], key->text);
	}
	for (const cyaml_schema_field_t *f = fields; f->key != NULL; f++) {
		if (!is_own_key(f) && (f->value.flags & CYAML_FLAG_OPTIONAL) == 0 &&
			!has_key(map, f->key)) {
			s->failed = true;
			config_errors_add(s->errors, s->file, map->pos,
				"'%.60s' needs the key '%s'", name, f->key);
		}
	}
}

static void put_user_keyed(
	struct shape *s, const cyaml_schema_field_t *entry, const struct doc_node *map)
{
	for (size_t i = 0; i < map->n_items; i += 2) {
		const struct doc_node *key = map->items[i];
		const struct doc_node *value = map->items[i + 1];

		buf_append_str(&s->out, i > 0 ? ",\n" : "\n");
		put_open(s, value->pos);
		buf_append_str(&s->out, ", " SHAPE_USER_KEY ": ");
		put_scalar(s, key);
		if (is_pair(entry)) {
			buf_append_str(&s->out, ", " SHAPE_USER_VALUE ": ");
			put_value(s, entry[2].value.mapping.fields, value, key->text);
		} else if (value->kind != DOC_MAPPING) {
			complain(s, value->pos, "must be a mapping", key->text);
		} else {
			put_members(s, entry, value, key->text);
		}
		buf_append_str(&s->out, "}");
	}
}

static void put_list(struct shape *s, const cyaml_schema_field_t *entry,
	const struct doc_node *node, const char *name)
{
	enum doc_kind kind = is_user_keyed(entry) ? DOC_MAPPING : DOC_SEQUENCE;

	if (node->kind != kind) {
		complain(s, node->pos,
			kind == DOC_MAPPING ? "must be a mapping" : "must be a list, [a, b]", name);
		return;
	}
	put_open(s, node->pos);
	buf_append_str(&s->out, ", " SHAPE_ITEMS_KEY ": [");
	if (kind == DOC_MAPPING) {
		put_user_keyed(s, entry, node);
	} else {
		for (size_t i = 0; i < node->n_items; i++) {
			buf_append_str(&s->out, i > 0 ? ",\n" : "\n");
			put_value(s, entry, node->items[i], name);
		}
	}
	buf_append_str(&s->out, "]}");
}

static bool has_short_form(const cyaml_schema_field_t *fields)
{
	return (fields[1].value.flags & SHAPE_FLAG_SHORT) != 0;
}

static void put_value(struct shape *s, const cyaml_schema_field_t *fields,
	const struct doc_node *node, const char *name)
{
	const cyaml_schema_field_t *entry = list_entry(fields);

	if (node->kind == DOC_SCALAR && node->is_null) {
		complain(s, node->pos, "has no value", name);
	} else if (entry != NULL) {
		put_list(s, entry, node, name);
	} else if (is_text(fields)) {
		if (node->kind != DOC_SCALAR)
			complain(s, node->pos, "must be a single value", name);
		else
			put_scalar(s, node);
	} else if (node->kind == DOC_SCALAR && has_short_form(fields)) {
		put_open(s, node->pos);
		buf_printf(&s->out, ", %s: ", fields[1].key);
		put_scalar(s, node);
		buf_append_str(&s->out, "}");
	} else if (node->kind != DOC_MAPPING) {
		complain(s, node->pos, "must be a mapping", name);
	} else {
		put_open(s, node->pos);
		put_members(s, fields, node, name);
		buf_append_str(&s->out, "}");
	}
}

/* ---- loading ---- */

/* libcyaml explains itself in lines to a logger; the first one names the cause. */
static void on_cyaml_log(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
	__attribute__((format(printf, 3, 0)));

static void on_cyaml_log(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
	char *text = ctx;

	if (level >= CYAML_LOG_ERROR && text[0] == '\0')
		vsnprintf(text, 128, fmt, args);
}

static cyaml_config_t cyaml_settings(char cause[128])
{
	return (cyaml_config_t){.log_fn = on_cyaml_log,
		.log_ctx = cause,
		.log_level = CYAML_LOG_ERROR,
		.mem_fn = cyaml_mem,
		.flags = CYAML_CFG_NO_ALIAS};
}

void *shape_load(const char *file, const struct doc_node *root, const cyaml_schema_value_t *schema,
	shape_hint hint, struct config_errors *errors)
{
	struct shape s = {.file = file, .errors = errors, .hint = hint};
	char cause[128] = "";
	cyaml_config_t settings = cyaml_settings(cause);
	void *data = NULL;
	cyaml_err_t rc;

	buf_init(&s.out, SHAPE_MAX_BYTES);
	put_value(&s, schema->mapping.fields, root, file);
	if (s.failed)
		goto done;
	if (buf_err(&s.out) != 0) {
		config_errors_add(errors, file, root->pos, "is too large");
		goto done;
	}
	rc = cyaml_load_data(s.out.data, s.out.len, &settings, schema, &data, NULL);
	if (rc != CYAML_OK || data == NULL) {
		config_errors_add(errors, file, root->pos, "cannot be loaded: %s (%s)",
			cyaml_strerror(rc), cause);
		data = NULL;
	}
done:
	buf_fini(&s.out);
	return data;
}

void shape_free(const cyaml_schema_value_t *schema, void *data)
{
	char cause[128] = "";
	cyaml_config_t settings = cyaml_settings(cause);

	if (data != NULL)
		cyaml_free(&settings, schema, data, 0);
}
