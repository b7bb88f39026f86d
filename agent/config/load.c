/* Reads the files of one folder, each through a descriptor that has been checked, takes the digest
 * over exactly the bytes that are then parsed, and builds the catalogue. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/config/build.h"
#include "agent/config/catalog_json.h"
#include "agent/config/trust.h"
#include "core/base/buf.h"
#include "core/base/crypto.h"
#include "core/base/hex.h"
#include "core/base/mem.h"
#include "core/yaml/doc.h"

#define MAX_FILES (CATALOG_MAX_FLOWS + 2)
#define MAX_READINGS 20 /* of a folder that does not come to rest */

struct source {
	char *name; /* "commands.yml", "flows/backup.yml": for messages and the digest */
	struct buf bytes;
	uint64_t modified_us; /* unix time */
};

/* files[0] is commands.yml, then the flows by name, then status.yml if there is one. */
struct sources {
	struct source files[MAX_FILES];
	size_t n;
	size_t n_flows;
	bool has_status;
};

static void sources_free(struct sources *sources)
{
	for (size_t i = 0; sources != NULL && i < sources->n; i++) {
		free(sources->files[i].name);
		buf_fini(&sources->files[i].bytes);
	}
	free(sources);
}

/* ---- reading ---- */

static int read_all(int fd, struct source *source, struct err *err)
{
	struct buf *buf = &source->bytes;
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "is not a file");
	source->modified_us = (uint64_t)MAX(st.st_mtim.tv_sec, 0) * 1000000;
	for (;;) {
		uint8_t *to = buf_reserve(buf, 4096);
		ssize_t n = to != NULL ? read(fd, to, 4096) : 0;

		if (to == NULL)
			return err_set(err, -EMSGSIZE, "is larger than %u KiB",
				CATALOG_MAX_FILE_BYTES >> 10);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set_errno(err, -errno, "cannot be read");
		if (n == 0)
			break;
		buf->len += (size_t)n;
	}
	if (buf->len > CATALOG_MAX_FILE_BYTES)
		return err_set(
			err, -EMSGSIZE, "is larger than %u KiB", CATALOG_MAX_FILE_BYTES >> 10);
	return 0;
}

/* Where a file is looked for, and what goes in front of its name in messages. */
struct place {
	struct trust_folder folder;
	const char *prefix; /* "", "flows/" */
	uid_t uid;
};

/* Adds the file to sources. Returns -ENOENT without an error line when it is not there. */
static int add_source(struct sources *sources, const struct place *place, const char *name,
	struct config_errors *errors)
{
	struct source *source = &sources->files[sources->n];
	struct err err = {0};
	int fd = trust_open_below(
		&place->folder, name, place->uid, O_RDONLY | O_NONBLOCK, NULL, &err);
	int rc = fd < 0 ? fd : 0;

	if (rc == -ENOENT)
		return rc;
	source->name = xasprintf("%s%s", place->prefix, name);
	buf_init(&source->bytes, CATALOG_MAX_FILE_BYTES + 4096);
	sources->n++;
	if (rc == 0) {
		rc = read_all(fd, source, &err);
		close(fd);
	}
	if (rc != 0)
		config_errors_add(errors, source->name, (struct config_pos){0}, "%s", err.msg);
	return rc;
}

static bool has_suffix(const char *name, const char *suffix)
{
	size_t n = strlen(name), m = strlen(suffix);

	return n > m && strcmp(name + n - m, suffix) == 0;
}

static int is_flow_file(const struct dirent *entry)
{
	return entry->d_name[0] != '.' &&
	       (has_suffix(entry->d_name, ".yml") || has_suffix(entry->d_name, ".yaml"));
}

/* A file of this name would look as if it counted. */
static void refuse_yaml(const struct place *place, const char *name, const char *right,
	struct config_errors *errors)
{
	if (faccessat(place->folder.fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		config_errors_add(errors, name, (struct config_pos){0},
			"is not read; rename it to %s, or move it away", right);
}

static void add_flow(struct sources *sources, const struct place *place, const char *entry,
	struct config_errors *errors)
{
	char *name = xasprintf("%s%s", place->prefix, entry);
	struct config_pos whole = {0};
	int rc = 0;

	if (!has_suffix(name, ".yml"))
		config_errors_add(errors, name, whole,
			"flows are read from *.yml; rename it, or move it away");
	else if (sources->n_flows == CATALOG_MAX_FLOWS)
		config_errors_add(errors, name, whole, "at most %d flows", CATALOG_MAX_FLOWS);
	else if ((rc = add_source(sources, place, entry, errors)) == 0)
		sources->n_flows++;
	if (rc == -ENOENT)
		config_errors_add(errors, name, whole, "is a link to a file that is not there");
	free(name);
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void add_flows(
	struct sources *sources, const struct place *above, struct config_errors *errors)
{
	struct place flows = {.prefix = "flows/", .uid = above->uid};
	struct dirent **entries = NULL;
	struct err err = {0};
	int n = 0;

	flows.folder.fd = trust_open_below(&above->folder, "flows", above->uid,
		O_RDONLY | O_DIRECTORY, &flows.folder.path, &err);
	if (flows.folder.fd == -ENOENT)
		return;
	if (flows.folder.fd < 0)
		config_errors_add(errors, "flows", (struct config_pos){0}, "%s", err.msg);
	else
		n = scandirat(flows.folder.fd, ".", &entries, is_flow_file, by_bytes);
	if (n < 0)
		config_errors_add(errors, "flows", (struct config_pos){0}, "cannot be read");
	for (int i = 0; i < n; i++) {
		add_flow(sources, &flows, entries[i]->d_name, errors);
		free(entries[i]);
	}
	free(entries);
	trust_folder_close(&flows.folder);
}

static void read_sources(
	struct sources *sources, const char *dir, uid_t uid, struct config_errors *errors)
{
	struct place place = {.prefix = "", .uid = uid};
	struct err err = {0};

	if (trust_folder_open(dir, uid, &place.folder, &err) != 0) {
		size_t n = strlen(dir);
		bool twice = strncmp(err.msg, dir, n) == 0 && strncmp(err.msg + n, ": ", 2) == 0;

		config_errors_add(errors, dir, (struct config_pos){0}, "%s",
			twice ? err.msg + n + 2 : err.msg);
		return;
	}
	if (add_source(sources, &place, "commands.yml", errors) == -ENOENT)
		config_errors_add(errors, "commands.yml", (struct config_pos){0},
			"is not there; without it nothing may run");
	add_flows(sources, &place, errors);
	sources->has_status = add_source(sources, &place, "status.yml", errors) == 0;
	refuse_yaml(&place, "commands.yaml", "commands.yml", errors);
	refuse_yaml(&place, "status.yaml", "status.yml", errors);
	trust_folder_close(&place.folder);
}

static void take_digest(const struct sources *sources, char text[CATALOG_DIGEST_TEXT_BYTES])
{
	uint8_t digest[CRYPTO_SHA256_BYTES];
	struct crypto_sha256 ctx;

	crypto_sha256_init(&ctx);
	for (size_t i = 0; i < sources->n; i++) {
		const struct source *source = &sources->files[i];
		char size[32];
		int n = snprintf(size, sizeof(size), "%zu", source->bytes.len);

		/* name NUL size NUL bytes: no two sets of files give the same text */
		crypto_sha256_update(&ctx, source->name, strlen(source->name) + 1);
		crypto_sha256_update(&ctx, size, (size_t)n + 1);
		crypto_sha256_update(&ctx, source->bytes.data, source->bytes.len);
	}
	crypto_sha256_final(&ctx, digest);
	hex_encode(digest, sizeof(digest), text);
}

/* ---- building ---- */

static void *load_raw(
	struct build *b, const struct source *source, const cyaml_schema_value_t *schema)
{
	struct doc_node *root = doc_parse(source->name,
		source->bytes.data != NULL ? source->bytes.data : (const uint8_t *)"",
		source->bytes.len, b->errors);
	void *raw = NULL;

	b->file = source->name;
	if (root != NULL)
		raw = shape_load(source->name, root, schema, raw_hint, b->errors);
	doc_free(root);
	return raw;
}

static void build_status_file(struct build *b, const struct source *source)
{
	void *raw = load_raw(b, source, &raw_status_schema);

	if (raw != NULL)
		build_status(b, raw);
	shape_free(&raw_status_schema, raw);
	b->catalog->has_status = true;
	b->catalog->status_text = xcalloc(1, source->bytes.len + 1);
	b->catalog->status_text_len = source->bytes.len;
	b->catalog->status_modified_us = source->modified_us;
	if (source->bytes.len != 0)
		memcpy(b->catalog->status_text, source->bytes.data, source->bytes.len);
}

/* Flows are built even when commands.yml has errors, unless there are no commands to refer to. */
static void build_all(struct build *b, const struct sources *sources)
{
	void *raw = load_raw(b, &sources->files[0], &raw_commands_schema);

	if (raw != NULL)
		build_commands(b, raw);
	shape_free(&raw_commands_schema, raw);
	if (b->catalog->n_commands == 0)
		return;
	b->catalog->flows = xcalloc(sources->n_flows, sizeof(*b->catalog->flows));
	for (size_t i = 0; i < sources->n_flows; i++) {
		raw = load_raw(b, &sources->files[1 + i], &raw_flow_schema);
		if (raw != NULL)
			build_flow(b, raw, &b->catalog->flows[b->catalog->n_flows++]);
		shape_free(&raw_flow_schema, raw);
	}
	if (sources->has_status)
		build_status_file(b, &sources->files[sources->n - 1]);
}

/* The document must fit one frame: better known at load than at the first look. */
static void check_document(struct catalog *catalog, struct config_errors *errors)
{
	struct json json;
	struct buf buf;

	buf_init(&buf, CATALOG_MAX_JSON_BYTES);
	json_init(&json, &buf);
	catalog_write_json(catalog, NULL, NULL, &json);
	if (buf_err(&buf) != 0)
		config_errors_add(errors, "commands.yml", (struct config_pos){0},
			"all commands and flows together are larger than 1 MiB when listed");
	buf_fini(&buf);
}

static int load_sources(const struct sources *sources, const struct catalog_opts *opts,
	struct catalog **ret_catalog, struct config_errors *errors)
{
	struct catalog *catalog = xcalloc(1, sizeof(*catalog));
	struct build b = {.errors = errors, .opts = opts, .catalog = catalog};

	if (opts != NULL)
		catalog->override_user = xstrdup(opts->override_user);
	take_digest(sources, catalog->digest);
	build_all(&b, sources);
	if (errors->total == 0)
		check_document(catalog, errors);
	if (errors->total != 0) {
		catalog_free(catalog);
		return -EINVAL;
	}
	*ret_catalog = catalog;
	return 0;
}

/* Reads until two readings agree: a set that is replaced meanwhile, file by file or as a folder, is
 * never half of one and half of the other. */
static struct sources *read_settled(const char *dir, uid_t uid, struct config_errors *errors)
{
	char digest[2][CATALOG_DIGEST_TEXT_BYTES] = {"", "-"};
	struct sources *sources = NULL;

	for (int i = 0; strcmp(digest[0], digest[1]) != 0; i++) {
		sources_free(sources);
		sources = xcalloc(1, sizeof(*sources));
		config_errors_init(errors);
		read_sources(sources, dir, uid, errors);
		take_digest(sources, digest[i % 2]);
		if (i == MAX_READINGS) {
			config_errors_init(errors);
			config_errors_add(errors, dir, (struct config_pos){0},
				"changes while it is read; try again");
			break;
		}
	}
	return sources;
}

/* trust_open() wants an absolute path; a relative one is a person's at `check DIR`. */
static char *absolute(const char *dir)
{
	char *cwd = dir[0] != '/' ? getcwd(NULL, 0) : NULL;
	char *path = dir[0] != '/' ? xasprintf("%s/%s", cwd != NULL ? cwd : "", dir) : xstrdup(dir);

	free(cwd);
	return path;
}

int catalog_load(const char *dir, const struct catalog_opts *opts, struct catalog **ret_catalog,
	struct config_errors *errors)
{
	char *path = absolute(dir);
	struct sources *sources = read_settled(path, opts->trusted_uid, errors);
	int rc = -EINVAL;

	if (errors->total == 0)
		rc = load_sources(sources, opts, ret_catalog, errors);
	free(path);
	sources_free(sources);
	return rc;
}

static void add_bytes(struct sources *sources, const char *name, const void *data, size_t n)
{
	struct source *source = &sources->files[sources->n++];

	source->name = xstrdup(name);
	buf_init(&source->bytes, CATALOG_MAX_FILE_BYTES);
	buf_append(&source->bytes, data, n);
}

int catalog_load_bytes(const void *commands, size_t commands_len, const void *flow, size_t flow_len,
	struct catalog **ret_catalog, struct config_errors *errors)
{
	struct sources *sources = xcalloc(1, sizeof(*sources));
	int rc = -EINVAL;

	config_errors_init(errors);
	add_bytes(sources, "commands.yml", commands, commands_len);
	if (flow != NULL) {
		add_bytes(sources, "flows/flow.yml", flow, flow_len);
		sources->n_flows = 1;
	}
	if (commands_len > CATALOG_MAX_FILE_BYTES ||
		(flow != NULL && flow_len > CATALOG_MAX_FILE_BYTES))
		config_errors_add(errors, "commands.yml", (struct config_pos){0},
			"is larger than %u KiB", CATALOG_MAX_FILE_BYTES >> 10);
	else
		rc = load_sources(sources, NULL, ret_catalog, errors);
	sources_free(sources);
	return rc;
}

int status_config_load(
	const void *text, size_t n, struct status_config **ret_config, struct config_errors *errors)
{
	struct sources *sources = xcalloc(1, sizeof(*sources));
	struct catalog *catalog = xcalloc(1, sizeof(*catalog));
	struct build b = {.errors = errors, .catalog = catalog, .knows_references = true};

	config_errors_init(errors);
	add_bytes(sources, "status.yml", text, n);
	build_status_file(&b, &sources->files[0]);
	if (errors->total == 0) {
		*ret_config = catalog->status;
		catalog->status = NULL;
	}
	sources_free(sources);
	catalog_free(catalog);
	return errors->total == 0 ? 0 : -EINVAL;
}
