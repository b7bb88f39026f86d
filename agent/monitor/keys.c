#include "agent/monitor/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/crypto.h"
#include "core/base/file.h"
#include "proto/crc32c.h"
#include "proto/wire.h"

#define ENTRY_BYTES 92
#define FILE_MAX_BYTES ((size_t)2 * KEYS_MAX * ENTRY_BYTES)

struct entry {
	uint64_t time_us;
	struct key key;
	struct uuid run;
};

struct keys {
	int dir_fd, fd;
	uint64_t size;	 /* of the file */
	bool dirty;	 /* something was added and not synced */
	size_t first, n; /* a ring, oldest first */
	struct entry ring[KEYS_MAX];
};

void key_of(const struct msg_run_start *start, struct key *ret_key)
{
	struct crypto_sha256 sha;

	crypto_sha256_init(&sha);
	crypto_sha256_update(&sha, start->actor.data, start->actor.len);
	crypto_sha256_update(&sha, "", 1); /* no actor holds a NUL */
	crypto_sha256_update(&sha, start->idempotency_key.data, start->idempotency_key.len);
	crypto_sha256_final(&sha, ret_key->name);
	crypto_sha256_init(&sha);
	crypto_sha256_update(&sha, &start->kind, sizeof(start->kind));
	crypto_sha256_update(&sha, &start->id.len, sizeof(start->id.len));
	crypto_sha256_update(&sha, start->id.data, start->id.len);
	for (unsigned i = 0; i < start->n_inputs; i++) {
		const struct msg_pair *pair = &start->inputs[i];

		crypto_sha256_update(&sha, &pair->name.len, sizeof(pair->name.len));
		crypto_sha256_update(&sha, pair->name.data, pair->name.len);
		crypto_sha256_update(&sha, &pair->value.len, sizeof(pair->value.len));
		crypto_sha256_update(&sha, pair->value.data, pair->value.len);
	}
	crypto_sha256_final(&sha, ret_key->request);
}

static void encode(const struct entry *entry, uint8_t out[ENTRY_BYTES])
{
	struct wire_writer w;

	wire_writer_init(&w, out, ENTRY_BYTES);
	wire_put_u64(&w, entry->time_us);
	wire_put_bytes(&w, entry->key.name, sizeof(entry->key.name));
	wire_put_bytes(&w, entry->key.request, sizeof(entry->key.request));
	wire_put_bytes(&w, entry->run.bytes, sizeof(entry->run.bytes));
	wire_put_u32(&w, crc32c(0, out, ENTRY_BYTES - 4));
}

static bool decode(const uint8_t data[ENTRY_BYTES], struct entry *ret_entry)
{
	struct wire_reader r;

	wire_reader_init(&r, data, ENTRY_BYTES);
	ret_entry->time_us = wire_get_u64(&r);
	memcpy(&ret_entry->key, data + 8, sizeof(ret_entry->key));
	memcpy(ret_entry->run.bytes, data + 72, sizeof(ret_entry->run.bytes));
	wire_reader_init(&r, data + ENTRY_BYTES - 4, 4);
	return wire_get_u32(&r) == crc32c(0, data, ENTRY_BYTES - 4);
}

static bool is_old(const struct entry *entry, uint64_t now_us)
{
	return now_us > entry->time_us && now_us - entry->time_us > KEYS_KEEP_US;
}

static void forget_old(struct keys *keys, uint64_t now_us)
{
	while (keys->n != 0 && is_old(&keys->ring[keys->first], now_us)) {
		keys->first = (keys->first + 1) % KEYS_MAX;
		keys->n--;
	}
}

static int remember(struct keys *keys, const struct entry *entry)
{
	if (keys->n == KEYS_MAX)
		return -ENOBUFS;
	keys->ring[(keys->first + keys->n++) % KEYS_MAX] = *entry;
	return 0;
}

/* Entries that a power cut damaged are skipped: they were never answered for. */
static void load(struct keys *keys, const struct buf *bytes, uint64_t now_us)
{
	for (size_t at = 0; at + ENTRY_BYTES <= bytes->len; at += ENTRY_BYTES) {
		struct entry entry;

		if (!decode(bytes->data + at, &entry) || is_old(&entry, now_us))
			continue;
		if (keys->n == KEYS_MAX) {
			keys->first = (keys->first + 1) % KEYS_MAX;
			keys->n--;
		}
		(void)!remember(keys, &entry);
	}
}

/* Writes the file anew with what is kept, and goes on with that one. */
static int rewrite(struct keys *keys, struct err *err)
{
	uint8_t *bytes = xcalloc(keys->n + 1, ENTRY_BYTES);
	int rc, fd;

	for (size_t i = 0; i < keys->n; i++)
		encode(&keys->ring[(keys->first + i) % KEYS_MAX], bytes + i * ENTRY_BYTES);
	rc = file_replace(keys->dir_fd, KEYS_FILE, bytes, keys->n * ENTRY_BYTES, 0600, err);
	free(bytes);
	if (rc != 0)
		return rc;
	fd = openat(keys->dir_fd, KEYS_FILE, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_set_errno(err, -errno, "cannot open the file of idempotency keys");
	if (keys->fd >= 0)
		close(keys->fd);
	keys->fd = fd;
	keys->size = keys->n * ENTRY_BYTES;
	return 0;
}

struct keys *keys_open(int state_dir_fd, uint64_t now_us, struct err *err)
{
	struct keys *keys = xcalloc(1, sizeof(*keys));
	struct buf bytes;
	int rc = 0;

	keys->dir_fd = state_dir_fd;
	keys->fd = -1;
	buf_init(&bytes, FILE_MAX_BYTES);
	if (faccessat(state_dir_fd, KEYS_FILE, F_OK, 0) == 0)
		rc = file_read(state_dir_fd, KEYS_FILE, &bytes, err);
	if (rc == 0) {
		load(keys, &bytes, now_us);
		rc = rewrite(keys, err);
	}
	buf_fini(&bytes);
	if (rc == 0)
		return keys;
	keys_close(keys);
	return NULL;
}

void keys_close(struct keys *keys)
{
	if (keys == NULL)
		return;
	if (keys->fd >= 0)
		close(keys->fd);
	free(keys);
}

int keys_find(const struct keys *keys, const struct key *key, uint64_t now_us, struct uuid *ret_run)
{
	for (size_t i = keys->n; i-- > 0;) {
		const struct entry *entry = &keys->ring[(keys->first + i) % KEYS_MAX];

		if (is_old(entry, now_us))
			break;
		if (memcmp(entry->key.name, key->name, sizeof(key->name)) != 0)
			continue;
		if (memcmp(entry->key.request, key->request, sizeof(key->request)) != 0)
			return -EEXIST;
		*ret_run = entry->run;
		return 0;
	}
	return -ENOENT;
}

int keys_add(struct keys *keys, const struct key *key, uint64_t now_us, const struct uuid *run)
{
	struct entry entry = {.time_us = now_us, .key = *key, .run = *run};
	uint8_t bytes[ENTRY_BYTES];
	int rc = 0;

	forget_old(keys, now_us);
	if (keys->n == KEYS_MAX)
		return -ENOBUFS;
	if (keys->size + ENTRY_BYTES > FILE_MAX_BYTES)
		rc = rewrite(keys, NULL);
	if (rc != 0)
		return rc;
	encode(&entry, bytes);
	rc = file_write_all(keys->fd, bytes, sizeof(bytes));
	if (rc != 0) {
		(void)!ftruncate(keys->fd, (off_t)keys->size);
		return rc;
	}
	keys->size += ENTRY_BYTES;
	keys->dirty = true;
	return remember(keys, &entry);
}

int keys_sync(struct keys *keys)
{
	if (keys->dirty && fdatasync(keys->fd) != 0)
		return -errno;
	keys->dirty = false;
	return 0;
}
