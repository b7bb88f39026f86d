#include "agent/monitor/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/crypto.h"
#include "core/base/file.h"
#include "core/base/hex.h"
#include "proto/record.h"

#define DIGEST_HEX_BYTES (2 * CRYPTO_SHA256_BYTES)
#define SUFFIX_BYTES (sizeof(",\"prev\":\"\"}") - 1 + DIGEST_HEX_BYTES)
#define WALK_BYTES (4 * RECORD_MAX_BYTES)

struct ledger {
	int fd;
	uint64_t position;
	uint64_t last_us;
	uint8_t prev[CRYPTO_SHA256_BYTES]; /* digest of the last record */
	bool dirty;
	struct buf text; /* of the event being written, behind room for its header */
	struct json json;
};

static bool chain_holds(const struct record *rec, const uint8_t prev[CRYPTO_SHA256_BYTES])
{
	char want[SUFFIX_BYTES + 1] = ",\"prev\":\"";
	size_t at = strlen(want);

	if (rec->length < SUFFIX_BYTES)
		return false;
	hex_encode(prev, CRYPTO_SHA256_BYTES, want + at);
	memcpy(want + at + DIGEST_HEX_BYTES, "\"}", 3);
	return memcmp(rec->payload + rec->length - SUFFIX_BYTES, want, SUFFIX_BYTES) == 0;
}

/* Takes the whole records in a window; returns the bytes they have, and sets damage. */
static size_t walk_window(struct ledger_walk *walk, const uint8_t *data, size_t n)
{
	size_t at = 0;

	while (at < n) {
		struct record rec;
		int size = record_decode(data + at, n - at, &rec);

		if (size == -EAGAIN)
			break;
		if (size < 0 || rec.kind != RECORD_EVENT) {
			walk->damage = "a damaged record";
			walk->torn = true;
			break;
		}
		if (!chain_holds(&rec, walk->head)) {
			walk->damage = "the chain is broken";
			break;
		}
		crypto_sha256(data + at, (size_t)size, walk->head);
		walk->events++;
		walk->last_us = rec.time_us;
		if (walk->fn != NULL)
			walk->fn(walk->arg, walk->offset + at, (const char *)rec.payload,
				rec.length, walk->head);
		at += (size_t)size;
	}
	return at;
}

static int walk_file(int fd, struct ledger_walk *walk)
{
	uint8_t *window = xcalloc(1, WALK_BYTES);
	int rc = 0;

	while (walk->damage == NULL) {
		ssize_t n = pread(fd, window, WALK_BYTES, (off_t)walk->offset);
		size_t taken;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			rc = -errno;
		if (n <= 0)
			break;
		taken = walk_window(walk, window, (size_t)n);
		walk->offset += taken;
		if (taken == 0 && walk->damage == NULL) {
			walk->damage = "it ends within a record";
			walk->torn = true;
		}
	}
	free(window);
	return rc;
}

/* Tells in the ledger itself that its tail was cut. */
static int note_cut(
	struct ledger *ledger, const struct ledger_walk *walk, uint64_t size, struct err *err)
{
	struct json *json = ledger_begin(ledger, "ledger.cut");

	json_kv_str(json, "reason", walk->damage);
	json_kv_uint(json, "bytes", size - walk->offset);
	return ledger_commit(ledger, err);
}

/* Only a torn tail is cut. A broken chain, or damage with more than one record's worth of bytes
 * behind it, is not what a power cut leaves: somebody must look at it. */
static int load_tail(struct ledger *ledger, struct err *err)
{
	struct ledger_walk walk = {0};
	struct stat st;
	int rc = walk_file(ledger->fd, &walk);

	if (rc == 0 && fstat(ledger->fd, &st) != 0)
		rc = -errno;
	if (rc != 0)
		return err_set_errno(err, rc, "cannot read the ledger");
	memcpy(ledger->prev, walk.head, sizeof(ledger->prev));
	ledger->position = walk.offset;
	ledger->last_us = walk.last_us;
	if (walk.damage == NULL)
		return 0;
	if (!walk.torn || (uint64_t)st.st_size - walk.offset > RECORD_MAX_BYTES)
		return err_set(err, -EBADMSG,
			"the ledger is damaged at byte %" PRIu64
			" (%s): move it away to go on with a new one",
			walk.offset, walk.damage);
	if (ftruncate(ledger->fd, (off_t)walk.offset) != 0)
		return err_set_errno(err, -errno, "cannot cut the ledger's torn tail");
	return note_cut(ledger, &walk, (uint64_t)st.st_size, err);
}

struct ledger *ledger_open(int state_dir_fd, gid_t gid, struct err *err)
{
	struct ledger *ledger = xcalloc(1, sizeof(*ledger));

	buf_init(&ledger->text, LEDGER_MAX_EVENT_BYTES);
	ledger->fd = openat(state_dir_fd, LEDGER_FILE,
		O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (ledger->fd < 0) {
		err_set_errno(err, -errno, "cannot open the ledger");
		goto fail;
	}
	if (gid != (gid_t)-1 && fchown(ledger->fd, (uid_t)-1, gid) != 0) {
		err_set_errno(err, -errno, "cannot give the ledger to its group");
		goto fail;
	}
	if (load_tail(ledger, err) != 0)
		goto fail;
	return ledger;
fail:
	ledger_close(ledger);
	return NULL;
}

void ledger_close(struct ledger *ledger)
{
	if (ledger == NULL)
		return;
	if (ledger->fd >= 0) {
		if (ledger->dirty)
			(void)fdatasync(ledger->fd);
		close(ledger->fd);
	}
	buf_fini(&ledger->text);
	free(ledger);
}

struct json *ledger_begin(struct ledger *ledger, const char *event)
{
	static const uint8_t room[RECORD_HEADER_BYTES];

	buf_reset(&ledger->text);
	buf_append(&ledger->text, room, sizeof(room));
	json_init(&ledger->json, &ledger->text);
	json_open_object(&ledger->json);
	json_kv_str(&ledger->json, "event", event);
	return &ledger->json;
}

int ledger_commit(struct ledger *ledger, struct err *err)
{
	char prev[DIGEST_HEX_BYTES + 1];
	struct record rec = {.kind = RECORD_EVENT, .step = RECORD_STEP_RUN};
	struct buf *text = &ledger->text;
	int rc;

	hex_encode(ledger->prev, sizeof(ledger->prev), prev);
	json_kv_str(&ledger->json, "prev", prev);
	json_close_object(&ledger->json);
	rc = buf_err(text);
	if (rc != 0)
		return err_set_errno(err, rc, "an event does not fit the ledger");
	rec.time_us = clock_wall_us();
	rec.payload = text->data + RECORD_HEADER_BYTES;
	rec.length = (uint32_t)(text->len - RECORD_HEADER_BYTES);
	record_encode_header(&rec, text->data);
	rc = file_write_all(ledger->fd, text->data, text->len);
	if (rc != 0) {
		/* what was written of it must not stay: the next record begins here */
		if (ftruncate(ledger->fd, (off_t)ledger->position) != 0)
			rc = -EIO;
		return err_set_errno(err, rc, "cannot write the ledger");
	}
	crypto_sha256(text->data, text->len, ledger->prev);
	ledger->position += text->len;
	ledger->last_us = rec.time_us;
	ledger->dirty = true;
	return 0;
}

uint64_t ledger_last_us(const struct ledger *ledger)
{
	return ledger->last_us;
}

uint64_t ledger_position(const struct ledger *ledger)
{
	return ledger->position;
}

bool ledger_is_dirty(const struct ledger *ledger)
{
	return ledger->dirty;
}

int ledger_sync(struct ledger *ledger)
{
	ledger->dirty = false;
	return fdatasync(ledger->fd) == 0 ? 0 : -errno;
}

int ledger_verify(int state_dir_fd, struct ledger_walk *walk, struct err *err)
{
	int fd = openat(state_dir_fd, LEDGER_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int rc;

	if (fd < 0)
		return err_set_errno(err, -errno, "cannot open the ledger");
	walk->damage = NULL;
	rc = walk_file(fd, walk);
	close(fd);
	if (rc != 0)
		return err_set_errno(err, rc, "cannot read the ledger");
	if (walk->damage != NULL)
		return err_set(
			err, -EBADMSG, "ledger, byte %" PRIu64 ": %s", walk->offset, walk->damage);
	return 0;
}
