#include "core/net/sendq.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct block {
	struct list link; /* sendq.blocks */
	uint8_t *data;	  /* either behind this struct or a heap block of its own */
	size_t start, end, cap;
	bool own_data;
};

void sendq_init(struct sendq *q)
{
	list_init(&q->blocks);
	q->bytes = 0;
}

static void block_free(struct block *block)
{
	list_remove(&block->link);
	if (block->own_data)
		free(block->data);
	free(block);
}

void sendq_fini(struct sendq *q)
{
	list_foreach(pos, next, &q->blocks) block_free(container_of(pos, struct block, link));
	q->bytes = 0;
}

static struct block *block_new(struct sendq *q, size_t inline_bytes)
{
	struct block *block = malloc(sizeof(*block) + inline_bytes);

	if (block == NULL)
		return NULL;
	*block = (struct block){.data = (uint8_t *)(block + 1), .cap = inline_bytes};
	list_append(&q->blocks, &block->link);
	return block;
}

uint8_t *sendq_reserve(struct sendq *q, size_t n)
{
	struct block *tail = NULL;
	uint8_t *at;

	assert(n > 0);
	if (!list_empty(&q->blocks))
		tail = container_of(q->blocks.prev, struct block, link);
	if (tail == NULL || tail->cap - tail->end < n)
		tail = block_new(q, MAX(n, SENDQ_BLOCK_BYTES - sizeof(struct block)));
	if (tail == NULL)
		return NULL;
	at = tail->data + tail->end;
	tail->end += n;
	q->bytes += n;
	return at;
}

int sendq_push(struct sendq *q, uint8_t *data, size_t n)
{
	struct block *block;

	assert(n > 0);
	block = block_new(q, 0);
	if (block == NULL)
		return -ENOMEM;
	block->data = data;
	block->own_data = true;
	block->end = block->cap = n;
	q->bytes += n;
	return 0;
}

unsigned sendq_gather(const struct sendq *q, uv_buf_t *bufs, unsigned max_bufs, size_t max_bytes,
	size_t *ret_bytes)
{
	unsigned n = 0;
	size_t bytes = 0;

	list_foreach(pos, next, &q->blocks)
	{
		struct block *block = container_of(pos, struct block, link);

		if (n == max_bufs || bytes >= max_bytes)
			break;
		bufs[n].base = (char *)block->data + block->start;
		bufs[n].len = block->end - block->start;
		bytes += bufs[n].len;
		n++;
	}
	*ret_bytes = bytes;
	return n;
}

void sendq_consume(struct sendq *q, size_t n)
{
	assert(n <= q->bytes);
	q->bytes -= n;
	list_foreach(pos, next, &q->blocks)
	{
		struct block *block = container_of(pos, struct block, link);
		size_t take = MIN(n, block->end - block->start);

		block->start += take;
		n -= take;
		if (block->start < block->end)
			break;
		block_free(block);
		if (n == 0)
			break;
	}
}
