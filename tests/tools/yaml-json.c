/* A YAML file as the agent reads it, as JSON, for tests that hold it against a schema. Scalars that
 * look like numbers or booleans become these, as an editor would have it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/yaml/doc.h"
#include "core/yaml/scalar.h"

static void put(struct json *json, const struct doc_node *node)
{
	int64_t number;
	bool truth;

	if (node->kind == DOC_SEQUENCE) {
		json_open_array(json);
		for (size_t i = 0; i < node->n_items; i++)
			put(json, node->items[i]);
		json_close_array(json);
	} else if (node->kind == DOC_MAPPING) {
		json_open_object(json);
		for (size_t i = 0; i < node->n_items; i += 2) {
			json_key(json, node->items[i]->text);
			put(json, node->items[i + 1]);
		}
		json_close_object(json);
	} else if (scalar_int(node->text, strlen(node->text), &number) == 0) {
		json_int(json, number);
	} else if (scalar_bool(node->text, strlen(node->text), &truth) == 0) {
		json_bool(json, truth);
	} else {
		json_str(json, node->text);
	}
}

int main(int argc, char **argv)
{
	static struct config_errors errors;
	struct doc_node *root;
	struct json json;
	struct buf in, out;

	if (argc != 2)
		return 64;
	buf_init(&in, 1u << 20);
	buf_init(&out, 4u << 20);
	if (file_read(AT_FDCWD, argv[1], &in, NULL) != 0)
		return 66;
	root = doc_parse(argv[1], in.data, in.len, &errors);
	if (root == NULL) {
		fprintf(stderr, "%s\n", errors.lines[0]);
		return 65;
	}
	json_init(&json, &out);
	put(&json, root);
	fwrite(out.data, 1, out.len, stdout);
	doc_free(root);
	buf_fini(&in);
	buf_fini(&out);
	return 0;
}
