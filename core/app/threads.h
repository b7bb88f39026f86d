/*
 * libuv's threads, on which passwords are hashed, files written and logs searched. libuv makes them
 * with the first work and aborts the process when it cannot, so they are made at the start, where
 * that is an error with a text and not the end of everything in the middle of the night.
 */
#ifndef OPS_CORE_APP_THREADS_H
#define OPS_CORE_APP_THREADS_H

#include <uv.h>

#include "core/base/err.h"
#include "core/base/mem.h"

#define THREADS_DEFAULT 4 /* libuv's, when UV_THREADPOOL_SIZE says nothing else … */
#define THREADS_MAX 1024  /* … and the most that it makes then */

/* Blocks for as long as it takes to make them. 0, or a negative errno with a text. */
MUSTCHECK int threads_start(uv_loop_t *loop, struct err *err);

#endif
