#include "agent/runner/mask.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/input.h"

static_assert(
	MASK_MIN_SECRET == INPUT_MIN_SECRET_BYTES && MASK_MAX_SECRET == INPUT_MAX_SECRET_BYTES,
	"what an input takes is what can be masked");

#define NONE 0u /* as child or sibling: the root is nobody's */

struct node {
	uint32_t fail;		 /* the longest proper suffix that is a node, too */
	uint32_t child, sibling; /* first child; next child of the same parent */
	uint32_t depth;
	uint32_t match; /* bytes of the longest pattern that ends here */
	uint32_t hold;	/* bytes of the longest suffix that some pattern goes on from */
	uint8_t byte;
};

struct mask {
	unsigned refs;
	struct node *nodes; /* 0 is the root */
	size_t n, cap;
	size_t longest;
	bool failed; /* too many nodes, or no memory */
	uint32_t first[256];
};

/* ---- building ---- */

static uint32_t find_child(const struct mask *mask, size_t parent, uint8_t byte)
{
	uint32_t at = mask->nodes[parent].child;

	if (parent == 0)
		return mask->first[byte];
	while (at != NONE && mask->nodes[at].byte != byte)
		at = mask->nodes[at].sibling;
	return at;
}

static bool grow(struct mask *mask)
{
	size_t cap = MAX((size_t)256, 2 * mask->cap);
	struct node *nodes;

	if (mask->n < mask->cap)
		return true;
	/* Not realloc(3): what it leaves behind would hold parts of secrets. */
	nodes = mask->n < MASK_MAX_NODES ? calloc(cap, sizeof(*nodes)) : NULL;
	if (nodes == NULL)
		return false;
	if (mask->n != 0)
		memcpy(nodes, mask->nodes, mask->n * sizeof(*nodes));
	if (mask->nodes != NULL)
		mem_wipe(mask->nodes, mask->n * sizeof(*nodes));
	free(mask->nodes);
	mask->nodes = nodes;
	mask->cap = cap;
	return true;
}

static void add_pattern(struct mask *mask, const uint8_t *pattern, size_t n)
{
	size_t at = 0;

	for (size_t i = 0; i < n && !mask->failed; i++) {
		uint32_t next = find_child(mask, at, pattern[i]);

		if (next == NONE) {
			if (!grow(mask)) {
				mask->failed = true;
				return;
			}
			next = (uint32_t)mask->n++;
			mask->nodes[next] = (struct node){.byte = pattern[i],
				.depth = (uint32_t)i + 1,
				.sibling = mask->nodes[at].child};
			mask->nodes[at].child = next;
			if (at == 0)
				mask->first[pattern[i]] = next;
		}
		at = next;
	}
	if (mask->failed)
		return;
	mask->nodes[at].match = (uint32_t)n;
	mask->longest = MAX(mask->longest, n);
}

static bool is_unreserved(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

/* RFC 3986, and with plus what forms make of spaces. */
static void add_url(
	struct mask *mask, const uint8_t *secret, size_t n, const char *digits, bool plus)
{
	uint8_t *text = xcalloc(n, 3);
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		if (is_unreserved(secret[i])) {
			text[len++] = secret[i];
		} else if (plus && secret[i] == ' ') {
			text[len++] = '+';
		} else {
			text[len++] = '%';
			text[len++] = (uint8_t)digits[secret[i] >> 4];
			text[len++] = (uint8_t)digits[secret[i] & 15];
		}
	}
	add_pattern(mask, text, len);
	mem_wipe(text, len);
	free(text);
}

/* Bit number i of the secret when `shift` bits stand before it. */
static unsigned bit_at(const uint8_t *secret, size_t shift, size_t i)
{
	size_t at = i - shift;

	return (unsigned)(secret[at / 8] >> (7 - at % 8)) & 1u;
}

/* What base64 makes of the secret behind `before` other bytes: the characters all of whose bits are
 * the secret's. */
static void add_base64(
	struct mask *mask, const uint8_t *secret, size_t n, size_t before, const char *last_two)
{
	static const char common[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	size_t shift = 8 * before, first = (shift + 5) / 6, end = (shift + 8 * n) / 6;
	uint8_t *text = xcalloc(end, 1);

	for (size_t i = first; i < end; i++) {
		unsigned value = 0;

		for (size_t k = 0; k < 6; k++)
			value = value << 1 | bit_at(secret, shift, 6 * i + k);
		text[i - first] = (uint8_t)(value < 62 ? common[value] : last_two[value - 62]);
	}
	add_pattern(mask, text, end - first);
	mem_wipe(text, end);
	free(text);
}

static void add_secret(struct mask *mask, const uint8_t *secret, size_t n)
{
	add_pattern(mask, secret, n);
	for (int plus = 0; plus < 2; plus++) {
		add_url(mask, secret, n, "0123456789ABCDEF", plus != 0);
		add_url(mask, secret, n, "0123456789abcdef", plus != 0);
	}
	for (size_t before = 0; before < 3; before++) {
		add_base64(mask, secret, n, before, "+/");
		add_base64(mask, secret, n, before, "-_");
	}
}

static uint32_t step(const struct mask *mask, size_t state, uint8_t byte)
{
	while (state != 0) {
		uint32_t next = find_child(mask, state, byte);

		if (next != NONE)
			return next;
		state = mask->nodes[state].fail;
	}
	return mask->first[byte];
}

/* Level by level, so that what a node falls back to is complete before the node is. */
static bool link_nodes(struct mask *mask)
{
	uint32_t *queue = calloc(mask->n, sizeof(*queue));
	size_t head = 0, tail = 0;

	if (queue == NULL)
		return false;
	queue[tail++] = 0;
	while (head < tail) {
		uint32_t parent = queue[head++];

		for (uint32_t at = mask->nodes[parent].child; at != NONE;
			at = mask->nodes[at].sibling) {
			struct node *node = &mask->nodes[at];
			const struct node *fail;

			node->fail =
				parent == 0 ? 0 : step(mask, mask->nodes[parent].fail, node->byte);
			fail = &mask->nodes[node->fail];
			node->match = MAX(node->match, fail->match);
			node->hold = node->child != NONE ? node->depth : fail->hold;
			queue[tail++] = at;
		}
	}
	free(queue);
	return true;
}

struct mask *mask_new(const char *const *secrets, size_t n)
{
	struct mask *mask = calloc(1, sizeof(*mask));

	if (mask == NULL)
		return NULL;
	mask->refs = 1;
	if (grow(mask))
		mask->n = 1;
	else
		mask->failed = true;
	for (size_t i = 0; i < n && !mask->failed; i++) {
		size_t len = strlen(secrets[i]);

		assert(len >= MASK_MIN_SECRET && len <= MASK_MAX_SECRET);
		add_secret(mask, (const uint8_t *)secrets[i], len);
	}
	if (!mask->failed && link_nodes(mask))
		return mask;
	mask_unref(mask);
	return NULL;
}

struct mask *mask_ref(struct mask *mask)
{
	mask->refs++;
	return mask;
}

void mask_unref(struct mask *mask)
{
	if (mask == NULL || --mask->refs != 0)
		return;
	if (mask->nodes != NULL)
		mem_wipe(mask->nodes, mask->n * sizeof(*mask->nodes));
	free(mask->nodes);
	free(mask);
}

size_t mask_longest(const struct mask *mask)
{
	return mask->longest;
}

/* ---- a stream ---- */

int mask_stream_init(struct mask_stream *stream, struct mask *mask, size_t room)
{
	*stream = (struct mask_stream){.room = room};
	stream->bytes = malloc(mask->longest + room);
	stream->covered = calloc(mask->longest + room, 1);
	if (stream->bytes == NULL || stream->covered == NULL) {
		mask_stream_fini(stream);
		return -ENOMEM;
	}
	stream->mask = mask_ref(mask);
	return 0;
}

void mask_stream_fini(struct mask_stream *stream)
{
	if (stream->bytes != NULL && stream->mask != NULL)
		mem_wipe(stream->bytes, stream->mask->longest + stream->room);
	free(stream->bytes);
	free(stream->covered);
	mask_unref(stream->mask);
	*stream = (struct mask_stream){0};
}

uint8_t *mask_room(const struct mask_stream *stream)
{
	return stream->bytes + stream->held;
}

/* Marks bytes start .. end as covered. What the last run has is not marked again, so that a secret
 * that overlaps itself costs no more than any other. */
static void cover(struct mask_stream *stream, size_t start, size_t end)
{
	size_t from = start;

	if (stream->run_start < stream->run_end && start <= stream->run_end) {
		if (start < stream->run_start)
			memset(stream->covered + start, 1, stream->run_start - start);
		from = stream->run_end;
		start = MIN(start, stream->run_start);
	}
	if (from < end)
		memset(stream->covered + from, 1, end - from);
	stream->run_start = start;
	stream->run_end = end;
}

/* Lets the first n bytes leave. */
static size_t leave(struct mask_stream *stream, size_t n, uint8_t *out, bool *ret_masked)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		if (!stream->covered[i]) {
			out[len++] = stream->bytes[i];
			stream->in_run = false;
			continue;
		}
		*ret_masked = true;
		/* The output is no longer than the input: a run has MASK_MIN_SECRET bytes, but not
		 * all of them need to leave now. */
		if (!stream->in_run) {
			memcpy(out + len, MASK_TEXT, strlen(MASK_TEXT));
			len += strlen(MASK_TEXT);
		}
		stream->in_run = true;
	}
	return len;
}

static void forget(struct mask_stream *stream, size_t n, size_t total)
{
	memmove(stream->bytes, stream->bytes + n, total - n);
	memmove(stream->covered, stream->covered + n, total - n);
	memset(stream->covered + total - n, 0, n);
	stream->held = total - n;
	stream->run_start = stream->run_start > n ? stream->run_start - n : 0;
	stream->run_end = stream->run_end > n ? stream->run_end - n : 0;
}

size_t mask_take(struct mask_stream *stream, size_t n, uint8_t *out, bool *ret_masked)
{
	const struct mask *mask = stream->mask;
	size_t total = stream->held + n, gone, len;

	assert(n <= stream->room);
	for (size_t i = stream->held; i < total; i++) {
		stream->state = step(mask, stream->state, stream->bytes[i]);
		if (mask->nodes[stream->state].match != 0)
			cover(stream, i + 1 - mask->nodes[stream->state].match, i + 1);
	}
	gone = total - mask->nodes[stream->state].hold;
	len = leave(stream, gone, out, ret_masked);
	forget(stream, gone, total);
	return len;
}

size_t mask_flush(struct mask_stream *stream, uint8_t *out, bool *ret_masked)
{
	size_t len = leave(stream, stream->held, out, ret_masked);

	forget(stream, stream->held, stream->held);
	stream->state = 0;
	stream->in_run = false;
	return len;
}

/* Masks n bytes to out, which has room for as many. */
static size_t mask_whole(struct mask *mask, const void *bytes, size_t n, uint8_t *out)
{
	struct mask_stream stream;
	bool masked = false;
	size_t len;

	if (mask_stream_init(&stream, mask, n) != 0)
		abort(); /* of the bytes' size, which are there already */
	memcpy(mask_room(&stream), bytes, n);
	len = mask_take(&stream, n, out, &masked);
	len += mask_flush(&stream, out + len, &masked);
	mask_stream_fini(&stream);
	return len;
}

void mask_buf(struct mask *mask, struct buf *buf)
{
	if (mask != NULL && buf->len != 0)
		buf->len = mask_whole(mask, buf->data, buf->len, buf->data);
}

char *mask_text(struct mask *mask, const char *text)
{
	size_t n = strlen(text);
	char *out;

	if (mask == NULL || n == 0)
		return xstrdup(text);
	out = xcalloc(n + 1, 1);
	out[mask_whole(mask, text, n, (uint8_t *)out)] = '\0';
	return out;
}
