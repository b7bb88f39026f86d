#include "vectors.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/hex.h"

char *vectors_read_text(const char *path, size_t *ret_len)
{
	char full[4096];
	FILE *file;
	char *text;
	long size;

	snprintf(full, sizeof(full), "%s/%s", OPS_SOURCE_ROOT, path);
	file = fopen(full, "re");
	if (file == NULL)
		fail_msg("cannot open %s", full);
	fseek(file, 0, SEEK_END);
	size = ftell(file);
	rewind(file);
	text = calloc(1, (size_t)size + 1);
	if (fread(text, 1, (size_t)size, file) != (size_t)size)
		fail_msg("cannot read %s", full);
	fclose(file);
	*ret_len = (size_t)size;
	return text;
}

json_t *vectors_load(const char *name)
{
	char path[256];
	json_error_t error;
	size_t len;
	char *text;
	json_t *root;

	snprintf(path, sizeof(path), "tests/vectors/%s.json", name);
	text = vectors_read_text(path, &len);
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (root == NULL)
		fail_msg("%s:%d: %s", path, error.line, error.text);
	free(text);
	return root;
}

const char *vectors_str(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	if (value == NULL)
		fail_msg("no text '%s'", key);
	return value;
}

uint64_t vectors_uint(const json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	if (json_is_string(value))
		return strtoull(json_string_value(value), NULL, 10);
	if (!json_is_integer(value))
		fail_msg("no number '%s'", key);
	return (uint64_t)json_integer_value(value);
}

json_t *vectors_array(const json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	if (!json_is_array(value))
		fail_msg("no array '%s'", key);
	return value;
}

uint8_t *vectors_bytes(const json_t *object, const char *key, size_t *ret_len)
{
	const char *hex = vectors_str(object, key);
	size_t len = strlen(hex) / 2;
	uint8_t *bytes = malloc(len > 0 ? len : 1);

	if (hex_decode(hex, strlen(hex), bytes, len) != 0)
		fail_msg("'%s' is no hex", key);
	*ret_len = len;
	return bytes;
}

void vectors_assert_bytes(
	const json_t *object, const char *key, const void *bytes, size_t len, const char *what)
{
	size_t expected_len;
	uint8_t *expected = vectors_bytes(object, key, &expected_len);

	if (expected_len != len || (len > 0 && memcmp(expected, bytes, len) != 0)) {
		char *hex = malloc(2 * len + 1);

		hex_encode(bytes, len, hex);
		fail_msg("%s: got %s, expected %s", what, hex, vectors_str(object, key));
	}
	free(expected);
}
