#include "core/yaml/doc.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "core/yaml/glyph.h"

struct doc_parser {
	yaml_parser_t yaml;
	yaml_event_t event; /* the one being looked at */
	bool has_event;
	const char *file;
	struct config_errors *errors;
	unsigned depth;
	size_t n_nodes;
};

static struct config_pos pos_of(yaml_mark_t mark)
{
	return (struct config_pos){(uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
}

/* ---- bytes ---- */

static bool is_bad_byte(uint8_t c)
{
	return (c < 0x20 && c != '\t' && c != '\n') || c == 0x7f;
}

/* What an editor does not show, or shows in another order than it acts. */
static bool check_glyph(const char *file, struct config_pos pos, const uint8_t *p, size_t len,
	struct config_errors *errors)
{
	uint32_t c = glyph_decode(p, len);

	if (!glyph_is_hidden(c) || glyph_is_joiner(c))
		return true;
	config_errors_add(errors, file, pos, "holds an invisible character (U+%04X)", c);
	return false;
}

static bool check_bytes(const char *file, const uint8_t *p, size_t n, struct config_errors *errors)
{
	struct config_pos pos = {1, 1};

	if (n >= 2 && ((p[0] == 0xff && p[1] == 0xfe) || (p[0] == 0xfe && p[1] == 0xff))) {
		config_errors_add(errors, file, pos, "is UTF-16; save it as UTF-8");
		return false;
	}
	if (n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) {
		config_errors_add(
			errors, file, pos, "begins with a byte order mark; save it without");
		return false;
	}
	for (size_t at = 0; at < n;) {
		size_t len = utf8_sequence(p + at, n - at);

		if (len == 0) {
			config_errors_add(errors, file, pos, "is not valid UTF-8");
			return false;
		}
		if (p[at] == '\r') {
			config_errors_add(
				errors, file, pos, "holds a carriage return; use Unix line ends");
			return false;
		}
		if (is_bad_byte(p[at])) {
			config_errors_add(
				errors, file, pos, "holds the control byte 0x%02x", p[at]);
			return false;
		}
		if (!check_glyph(file, pos, p + at, len, errors))
			return false;
		if (p[at] == '\n')
			pos = (struct config_pos){pos.line + 1, 1};
		else
			pos.col++;
		at += len;
	}
	return true;
}

/* ---- events ---- */

static bool fail_at(struct doc_parser *p, struct config_pos pos, const char *what)
{
	config_errors_add(p->errors, p->file, pos, "%s", what);
	return false;
}

/* Moves on to the next event. */
static bool next(struct doc_parser *p)
{
	if (p->has_event)
		yaml_event_delete(&p->event);
	p->has_event = yaml_parser_parse(&p->yaml, &p->event) != 0;
	if (p->has_event)
		return true;
	if (p->yaml.problem == NULL)
		return fail_at(p, (struct config_pos){0}, "cannot be read as YAML");
	config_errors_add(p->errors, p->file, pos_of(p->yaml.problem_mark), "%s%s%s",
		p->yaml.problem, p->yaml.context != NULL ? ", " : "",
		p->yaml.context != NULL ? p->yaml.context : "");
	return false;
}

static struct config_pos here(const struct doc_parser *p)
{
	return pos_of(p->event.start_mark);
}

static bool check_properties(
	struct doc_parser *p, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor != NULL)
		return fail_at(p, here(p), "anchors are not allowed");
	if (tag != NULL)
		return fail_at(p, here(p), "tags are not allowed");
	return true;
}

static bool is_null_text(const char *s)
{
	return s[0] == '\0' || strcmp(s, "~") == 0 || strcasecmp(s, "null") == 0;
}

static struct doc_node *parse_node(struct doc_parser *p);

static struct doc_node *new_node(struct doc_parser *p, enum doc_kind kind)
{
	struct doc_node *node;

	if (++p->n_nodes > DOC_MAX_NODES) {
		fail_at(p, here(p), "holds too many values");
		return NULL;
	}
	node = xcalloc(1, sizeof(*node));
	node->kind = kind;
	node->pos = here(p);
	return node;
}

/* An escape in double quotes may stand for what the file itself must not hold. */
static bool check_text(struct doc_parser *p, const uint8_t *text, size_t n)
{
	for (size_t at = 0; at < n;) {
		size_t len = utf8_sequence(text + at, n - at);

		if (text[at] == '\0')
			return fail_at(p, here(p), "holds a NUL character");
		if (len == 0)
			return fail_at(p, here(p), "is not valid UTF-8");
		if (is_bad_byte(text[at])) {
			config_errors_add(p->errors, p->file, here(p),
				"holds the control byte 0x%02x", text[at]);
			return false;
		}
		if (!check_glyph(p->file, here(p), text + at, len, p->errors))
			return false;
		at += len;
	}
	return true;
}

static struct doc_node *parse_scalar(struct doc_parser *p)
{
	struct doc_node *node;

	if (!check_properties(p, p->event.data.scalar.anchor, p->event.data.scalar.tag))
		return NULL;
	if (!check_text(p, p->event.data.scalar.value, p->event.data.scalar.length))
		return NULL;
	node = new_node(p, DOC_SCALAR);
	if (node == NULL)
		return NULL;
	node->text =
		xstrndup((const char *)p->event.data.scalar.value, p->event.data.scalar.length);
	node->is_null =
		p->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE && is_null_text(node->text);
	return node;
}

static void add_item(struct doc_node *node, struct doc_node *item)
{
	/* doubles at each power of two, which needs no member for the capacity */
	if ((node->n_items & (node->n_items - 1)) == 0) {
		size_t cap = node->n_items == 0 ? 1 : node->n_items * 2;
		struct doc_node **items = reallocarray(node->items, cap, sizeof(struct doc_node *));

		if (items == NULL)
			abort();
		node->items = items;
	}
	node->items[node->n_items++] = item;
}

static bool check_key(struct doc_parser *p, const struct doc_node *map, const struct doc_node *key)
{
	if (key->kind != DOC_SCALAR)
		return fail_at(p, key->pos, "a key must be a plain word");
	if (strcmp(key->text, "<<") == 0)
		return fail_at(p, key->pos, "merge keys are not allowed");
	for (size_t i = 0; i < map->n_items; i += 2) {
		if (strcmp(map->items[i]->text, key->text) != 0)
			continue;
		config_errors_add(p->errors, p->file, key->pos,
			"'%.60s' is given twice; first in line %u", key->text,
			map->items[i]->pos.line);
		return false;
	}
	return true;
}

static bool parse_items(struct doc_parser *p, struct doc_node *node, yaml_event_type_t end)
{
	size_t max = node->kind == DOC_MAPPING ? 2 * DOC_MAX_ENTRIES : DOC_MAX_ENTRIES;

	for (;;) {
		struct doc_node *item;

		if (!next(p))
			return false;
		if (p->event.type == end)
			return true;
		if (node->n_items == max)
			return fail_at(p, here(p), "too many entries; at most 1024");
		item = parse_node(p);
		if (item == NULL)
			return false;
		if (node->kind == DOC_MAPPING && node->n_items % 2 == 0 &&
			!check_key(p, node, item)) {
			doc_free(item);
			return false;
		}
		add_item(node, item);
	}
}

static struct doc_node *parse_collection(struct doc_parser *p, enum doc_kind kind)
{
	yaml_event_type_t end =
		kind == DOC_MAPPING ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
	struct doc_node *node;
	bool ok = kind == DOC_MAPPING ? check_properties(p, p->event.data.mapping_start.anchor,
						p->event.data.mapping_start.tag)
				      : check_properties(p, p->event.data.sequence_start.anchor,
						p->event.data.sequence_start.tag);

	if (!ok)
		return NULL;
	if (p->depth == DOC_MAX_DEPTH) {
		fail_at(p, here(p), "nested too deeply");
		return NULL;
	}
	node = new_node(p, kind);
	if (node == NULL)
		return NULL;
	p->depth++;
	ok = parse_items(p, node, end);
	p->depth--;
	if (ok)
		return node;
	doc_free(node);
	return NULL;
}

/* The value that begins with the current event; afterwards its last event is the current one. */
static struct doc_node *parse_node(struct doc_parser *p)
{
	switch (p->event.type) {
	case YAML_SCALAR_EVENT:
		return parse_scalar(p);
	case YAML_SEQUENCE_START_EVENT:
		return parse_collection(p, DOC_SEQUENCE);
	case YAML_MAPPING_START_EVENT:
		return parse_collection(p, DOC_MAPPING);
	case YAML_ALIAS_EVENT:
		fail_at(p, here(p), "aliases are not allowed");
		return NULL;
	default:
		fail_at(p, here(p), "a value is missing");
		return NULL;
	}
}

static struct doc_node *parse_document(struct doc_parser *p)
{
	struct doc_node *root;

	if (!next(p) || !next(p)) /* the start of the stream, then of the document */
		return NULL;
	if (p->event.type != YAML_DOCUMENT_START_EVENT) {
		fail_at(p, (struct config_pos){1, 1}, "is empty");
		return NULL;
	}
	if (p->event.data.document_start.version_directive != NULL ||
		p->event.data.document_start.tag_directives.start !=
			p->event.data.document_start.tag_directives.end) {
		fail_at(p, here(p), "directives (%YAML, %TAG) are not allowed");
		return NULL;
	}
	if (!next(p))
		return NULL;
	root = parse_node(p);
	if (root == NULL)
		return NULL;
	if (root->kind == DOC_SCALAR && root->is_null) {
		fail_at(p, root->pos, "is empty");
	} else if (next(p) && next(p)) { /* the end of the document, then of the stream */
		if (p->event.type == YAML_STREAM_END_EVENT)
			return root;
		fail_at(p, here(p), "a second document; a file holds one");
	}
	doc_free(root);
	return NULL;
}

struct doc_node *doc_parse(
	const char *file, const void *data, size_t n, struct config_errors *errors)
{
	struct doc_parser p = {.file = file, .errors = errors};
	struct doc_node *root;

	if (!check_bytes(file, data, n, errors))
		return NULL;
	if (yaml_parser_initialize(&p.yaml) == 0)
		abort();
	yaml_parser_set_encoding(&p.yaml, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&p.yaml, data, n);
	root = parse_document(&p);
	if (p.has_event)
		yaml_event_delete(&p.event);
	yaml_parser_delete(&p.yaml);
	return root;
}

void doc_free(struct doc_node *node)
{
	if (node == NULL)
		return;
	for (size_t i = 0; i < node->n_items; i++)
		doc_free(node->items[i]);
	free(node->items);
	free(node->text);
	free(node);
}
