#include "core/net/recvbuf.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* A mapping rather than malloc(): what is given back is given back to the kernel. */
static int remap(struct recvbuf *buf, size_t cap)
{
	size_t have = buf->end - buf->start;
	uint8_t *data = mmap(NULL, cap, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (data == MAP_FAILED)
		return -ENOMEM;
	if (have > 0)
		memcpy(data, buf->data + buf->start, have);
	recvbuf_release(buf);
	*buf = (struct recvbuf){.data = data, .cap = cap, .end = have};
	return 0;
}

int recvbuf_make_room(struct recvbuf *buf, size_t need)
{
	size_t have = buf->end - buf->start;
	bool cramped = buf->cap - buf->end < RECVBUF_MIN_READ && have < RECVBUF_MIN_READ;

	assert(need > have);
	if (buf->data == NULL || need > buf->cap)
		return remap(buf, MAX(need, (size_t)RECVBUF_BYTES));
	if (buf->start + need > buf->cap || cramped) {
		memmove(buf->data, buf->data + buf->start, have);
		buf->start = 0;
		buf->end = have;
	}
	return 0;
}

void recvbuf_consume(struct recvbuf *buf, size_t n)
{
	assert(n <= buf->end - buf->start);
	buf->start += n;
	if (buf->start == buf->end)
		buf->start = buf->end = 0;
}

void recvbuf_release(struct recvbuf *buf)
{
	if (buf->data != NULL)
		munmap(buf->data, buf->cap);
	*buf = (struct recvbuf){0};
}
