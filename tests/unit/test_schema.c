/* The JSON Schemas, by which editors complete the configuration, know the keys that the loader
 * knows, all of them and no others, and ask for those that it asks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/raw.h"
#include "agent/config/shape.h"
#include "core/base/mem.h"

static json_t *load(const char *name)
{
	char *path = xasprintf("%s/agent/config/schema/%s.schema.json", OPS_SOURCE_ROOT, name);
	json_error_t error;
	json_t *schema = json_load_file(path, JSON_REJECT_DUPLICATES, &error);

	if (schema == NULL)
		fail_msg("%s:%d: %s", path, error.line, error.text);
	free(path);
	return schema;
}

static const json_t *resolve(const json_t *root, const json_t *node)
{
	const char *ref = json_string_value(json_object_get(node, "$ref"));
	static const char prefix[] = "#/definitions/";

	if (ref == NULL)
		return node;
	assert_int_equal(strncmp(ref, prefix, strlen(prefix)), 0);
	node = json_object_get(json_object_get(root, "definitions"), ref + strlen(prefix));
	if (node == NULL)
		fail_msg("%s leads nowhere", ref);
	return node;
}

/* Of a mapping with a short form: the text, and the mapping itself. */
static const json_t *long_form(
	const json_t *node, const cyaml_schema_field_t *fields, const char *where)
{
	const json_t *forms = json_object_get(node, "anyOf");

	if (json_array_size(forms) != 2)
		fail_msg("%s: must be anyOf a string and an object", where);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(forms, 0), "type")), "string");
	assert_true((fields[1].value.flags & CYAML_FLAG_OPTIONAL) == 0);
	return json_array_get(forms, 1);
}

static bool is_own(const char *key)
{
	return strcmp(key, SHAPE_POS_KEY) == 0 || strcmp(key, SHAPE_USER_KEY) == 0;
}

static const cyaml_schema_field_t *find(const cyaml_schema_field_t *fields, const char *key)
{
	for (const cyaml_schema_field_t *f = fields; f->key != NULL; f++) {
		if (!is_own(f->key) && strcmp(f->key, key) == 0)
			return f;
	}
	return NULL;
}

static bool is_required(const json_t *node, const char *key)
{
	size_t i;
	json_t *name;

	json_array_foreach(json_object_get(node, "required"), i, name)
	{
		if (strcmp(json_string_value(name), key) == 0)
			return true;
	}
	return false;
}

static void compare(const json_t *root, const json_t *node, const cyaml_schema_field_t *fields,
	const char *where);

static void compare_mapping(const json_t *root, const json_t *node,
	const cyaml_schema_field_t *fields, const char *where)
{
	const json_t *properties = json_object_get(node, "properties");
	const char *key;
	json_t *value;

	if (!json_is_false(json_object_get(node, "additionalProperties")))
		fail_msg("%s: additionalProperties is not false", where);
	json_object_foreach((json_t *)(uintptr_t)properties, key, value)
	{
		if (find(fields, key) == NULL)
			fail_msg("%s: the loader does not know '%s'", where, key);
		if (json_object_get(resolve(root, value), "description") == NULL)
			fail_msg("%s: '%s' has no description", where, key);
	}
	for (const cyaml_schema_field_t *f = fields; f->key != NULL; f++) {
		bool needed = (f->value.flags & CYAML_FLAG_OPTIONAL) == 0;
		char below[256];

		if (is_own(f->key))
			continue;
		value = json_object_get(properties, f->key);
		if (value == NULL)
			fail_msg("%s: the schema lacks '%s'; add it to agent/config/schema", where,
				f->key);
		if (is_required(node, f->key) != needed)
			fail_msg("%s: '%s' is%s required by the loader", where, f->key,
				needed ? "" : " not");
		snprintf(below, sizeof(below), "%.200s.%.40s", where, f->key);
		compare(root, value, f->value.mapping.fields, below);
	}
}

/* The three forms of shape.h: a scalar, a list or mapping with user's keys, a mapping. */
static void compare(const json_t *root, const json_t *node, const cyaml_schema_field_t *fields,
	const char *where)
{
	const cyaml_schema_field_t *entry;

	node = resolve(root, node);
	if (fields == shape_text_fields) {
		if (json_object_get(node, "properties") != NULL ||
			json_object_get(node, "items") != NULL)
			fail_msg("%s: must be a single value", where);
		return;
	}
	if (strcmp(fields[1].key, SHAPE_ITEMS_KEY) != 0) {
		if (fields[1].value.flags & SHAPE_FLAG_SHORT)
			node = long_form(node, fields, where);
		compare_mapping(root, node, fields, where);
		return;
	}
	entry = fields[1].value.sequence.entry->mapping.fields;
	if (entry == shape_text_fields || strcmp(entry[1].key, SHAPE_USER_KEY) != 0) {
		assert_string_equal(json_string_value(json_object_get(node, "type")), "array");
		compare(root, json_object_get(node, "items"), entry, where);
	} else if (strcmp(entry[2].key, SHAPE_USER_VALUE) == 0) {
		assert_non_null(json_object_get(node, "additionalProperties"));
		compare(root, json_object_get(node, "additionalProperties"),
			entry[2].value.mapping.fields, where);
	} else {
		compare_mapping(root, resolve(root, json_object_get(node, "additionalProperties")),
			entry, where);
	}
}

static void check(const char *name, const cyaml_schema_value_t *schema)
{
	json_t *root = load(name);

	compare(root, root, schema->mapping.fields, name);
	json_decref(root);
}

static void commands_have_the_same_keys(void **state)
{
	(void)state;
	check("commands", &raw_commands_schema);
}

static void flows_have_the_same_keys(void **state)
{
	(void)state;
	check("flow", &raw_flow_schema);
}

static void status_has_the_same_keys(void **state)
{
	(void)state;
	check("status", &raw_status_schema);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_have_the_same_keys),
		cmocka_unit_test(flows_have_the_same_keys),
		cmocka_unit_test(status_has_the_same_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
