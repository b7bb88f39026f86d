#include "core/web/asset.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/web/negotiate.h"
#include "core/web/response_impl.h"

#define PAGE_PATH "/index.html"
#define MAX_ETAG 128

/* One encoding of one file, with the header lines that go with it. */
struct variant {
	const struct asset_bytes *bytes;
	char etag[MAX_ETAG]; /* with quotes */
	char *lines;
	size_t lines_len;
};

struct file {
	const struct asset *asset;
	unsigned available; /* 1 << enum encoding */
	struct variant variants[3];
};

struct assets {
	size_t count;
	struct file *files; /* by path */
	const struct file *page;
};

static int compare_files(const void *a, const void *b)
{
	const struct file *x = a, *y = b;

	return strcmp(x->asset->path, y->asset->path);
}

static const struct file *find(const struct assets *assets, const char *path)
{
	const struct asset key_asset = {.path = path};
	const struct file key = {.asset = &key_asset};

	return bsearch(&key, assets->files, assets->count, sizeof(key), compare_files);
}

static void prepare(struct file *file, enum encoding encoding, const struct asset_bytes *bytes)
{
	static const char *const names[] = {NULL, "gzip", "br"};
	static const char *const suffixes[] = {"", "-gz", "-br"};
	const struct asset *asset = file->asset;
	struct variant *v = &file->variants[encoding];
	size_t len = strlen(asset->etag);

	if (bytes->data == NULL)
		return;
	assert(len > 0 && len + 6 < MAX_ETAG && strchr(asset->etag, '"') == NULL);
	file->available |= 1u << encoding;
	v->bytes = bytes;
	v->etag[0] = '"';
	memcpy(v->etag + 1, asset->etag, len);
	memcpy(v->etag + 1 + len, suffixes[encoding], strlen(suffixes[encoding]));
	v->etag[1 + len + strlen(suffixes[encoding])] = '"';
	v->lines = xasprintf("ETag: %s\r\nCache-Control: %s\r\nVary: Accept-Encoding\r\n%s%s%s",
		v->etag, asset->immutable ? "public, max-age=31536000, immutable" : "no-cache",
		names[encoding] != NULL ? "Content-Encoding: " : "",
		names[encoding] != NULL ? names[encoding] : "",
		names[encoding] != NULL ? "\r\n" : "");
	v->lines_len = strlen(v->lines);
}

struct assets *assets_new(const struct asset *table, size_t count)
{
	struct assets *assets = xcalloc(1, sizeof(*assets));

	assets->count = count;
	assets->files = xcalloc(count + 1, sizeof(*assets->files));
	for (size_t i = 0; i < count; i++) {
		struct file *file = &assets->files[i];

		file->asset = &table[i];
		assert(table[i].raw.data != NULL || table[i].gz.data != NULL);
		prepare(file, ENCODING_IDENTITY, &table[i].raw);
		prepare(file, ENCODING_GZIP, &table[i].gz);
		prepare(file, ENCODING_BR, &table[i].br);
	}
	qsort(assets->files, count, sizeof(*assets->files), compare_files);
	for (size_t i = 1; i < count; i++)
		assert(compare_files(&assets->files[i - 1], &assets->files[i]) != 0);
	assets->page = find(assets, PAGE_PATH);
	assert(assets->page != NULL);
	return assets;
}

void assets_free(struct assets *assets)
{
	if (assets == NULL)
		return;
	for (size_t i = 0; i < assets->count; i++) {
		for (size_t j = 0; j < ARRAY_LEN(assets->files[i].variants); j++)
			free(assets->files[i].variants[j].lines);
	}
	free(assets->files);
	free(assets);
}

/* Whether a path that is no file may be a page of the application. */
static bool is_page_path(const char *path)
{
	return strncmp(path, "/api/", 5) != 0 && strcmp(path, "/api") != 0 &&
	       strncmp(path, "/assets/", 8) != 0 && strchr(strrchr(path, '/'), '.') == NULL;
}

static const struct file *resolve(const struct assets *assets, const struct request *req)
{
	const char *path = request_path(req);
	const struct file *file;

	if (strcmp(path, "/") == 0)
		return assets->page;
	file = find(assets, path);
	if (file == NULL && is_page_path(path) &&
		negotiate_accepts_html(request_header(req, "accept")))
		file = assets->page;
	return file;
}

void assets_handle(struct assets *assets, struct request *req)
{
	const struct file *file = resolve(assets, req);
	const char *accept = request_header(req, "accept-encoding");
	const struct variant *v;
	enum encoding encoding;

	if (file == NULL) {
		response_problem(req, 404, "not_found", "There is nothing at this address.");
		return;
	}
	encoding = negotiate_encoding(accept, file->available);
	/* Who names no encoding takes any (RFC 9110, 12.5.3). */
	if (encoding == ENCODING_IDENTITY && file->asset->raw.data == NULL && accept == NULL)
		encoding = ENCODING_GZIP;
	if ((file->available & (1u << encoding)) == 0) {
		response_problem(req, 406, "compressed_only",
			"This file is kept compressed only: send Accept-Encoding: gzip or br.");
		return;
	}
	v = &file->variants[encoding];
	response_set_lines(
		req, v->lines, v->lines_len, negotiate_is_type(file->asset->mime, "text/html"));
	if (negotiate_etag_matches(request_header(req, "if-none-match"), v->etag))
		response_empty(req, 304);
	else
		response_send_static(req, 200, file->asset->mime, v->bytes->data, v->bytes->len);
}
