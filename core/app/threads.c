#include "core/app/threads.h"

#include <stdlib.h>

/* As libuv reads it: what is below zero is very large to it, and so its maximum. */
static unsigned pool_size(void)
{
	const char *text = getenv("UV_THREADPOOL_SIZE");
	unsigned n = text != NULL ? (unsigned)atoi(text) : THREADS_DEFAULT;

	return n == 0 ? 1 : MIN(n, THREADS_MAX);
}

/* A thread of the trial waits for the others to be made. */
static void on_trial(void *gate)
{
	uv_mutex_lock(gate);
	uv_mutex_unlock(gate);
}

/* Whether that many can be there at a time: makes them, and lets them end. */
static int try_threads(unsigned n)
{
	uv_thread_t *threads = xcalloc(n, sizeof(*threads));
	uv_mutex_t gate;
	unsigned made = 0;
	int rc = uv_mutex_init(&gate);

	if (rc == 0) {
		uv_mutex_lock(&gate);
		while (made < n && (rc = uv_thread_create(&threads[made], on_trial, &gate)) == 0)
			made++;
		uv_mutex_unlock(&gate);
		for (unsigned i = 0; i < made; i++)
			uv_thread_join(&threads[i]);
		uv_mutex_destroy(&gate);
	}
	free(threads);
	return rc;
}

/* In a thread: that it is there is all that was wanted. */
static void on_work(uv_work_t *work)
{
	(void)work;
}

static void on_work_done(uv_work_t *work, int status)
{
	(void)status;
	free(work);
}

int threads_start(uv_loop_t *loop, struct err *err)
{
	unsigned n = pool_size();
	int rc = try_threads(n);

	if (rc < 0)
		return err_set_errno(err, rc,
			"%u threads cannot be made (ulimit -u, TasksMax= of the unit, pids of the "
			"container)",
			n);
	if (uv_queue_work(loop, xcalloc(1, sizeof(uv_work_t)), on_work, on_work_done) < 0)
		abort(); /* only for a missing function */
	return 0;
}
