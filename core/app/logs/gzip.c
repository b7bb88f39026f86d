#include "core/app/logs/gzip.h"

#include <stdlib.h>
#include <zlib.h>

#define OUT_BYTES (16u << 10)
#define GZIP_FORMAT 16 /* added to the window's bits: zlib.h */

struct gzip {
	z_stream stream;
};

struct gzip *gzip_new(void)
{
	struct gzip *gzip = calloc(1, sizeof(*gzip));

	if (gzip == NULL)
		return NULL;
	if (deflateInit2(&gzip->stream, Z_BEST_SPEED, Z_DEFLATED, MAX_WBITS + GZIP_FORMAT,
		    MAX_MEM_LEVEL - 1, Z_DEFAULT_STRATEGY) != Z_OK) {
		free(gzip);
		return NULL;
	}
	return gzip;
}

void gzip_free(struct gzip *gzip)
{
	if (gzip == NULL)
		return;
	deflateEnd(&gzip->stream);
	free(gzip);
}

static void run(struct gzip *gzip, int flush, struct buf *out)
{
	z_stream *stream = &gzip->stream;

	do {
		uint8_t *room = buf_reserve(out, OUT_BYTES);

		if (room == NULL)
			return;
		stream->next_out = room;
		stream->avail_out = OUT_BYTES;
		/* Z_BUF_ERROR says that there was nothing to do. */
		(void)deflate(stream, flush);
		out->len += OUT_BYTES - stream->avail_out;
	} while (stream->avail_out == 0);
}

void gzip_write(struct gzip *gzip, const void *data, size_t n, struct buf *out)
{
	gzip->stream.next_in = (Bytef *)(uintptr_t)data;
	gzip->stream.avail_in = (unsigned)n;
	run(gzip, Z_NO_FLUSH, out);
}

void gzip_end(struct gzip *gzip, struct buf *out)
{
	gzip->stream.next_in = NULL;
	gzip->stream.avail_in = 0;
	run(gzip, Z_FINISH, out);
}
