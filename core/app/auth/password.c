/*
 * Owns: the jobs waiting and the jobs on the thread pool, each with its copy of the password.
 *
 * Happy path: password_check() -> waiting -> on_work() in a thread (crypt_r with memory of its own)
 * -> on_work_done() in the loop: wiped, called back, freed, the next one starts.
 *
 * Closing: waiting jobs are freed; running ones cannot be stopped (uv_cancel may fail), so the pool
 * lives until the last has come back, which frees it.
 */
#include "core/app/auth/password.h"

#include <crypt.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/limits.h"
#include "core/base/crypto.h"
#include "core/base/list.h"

struct job {
	struct list link; /* password_pool.waiting */
	uv_work_t work;
	struct password_pool *pool;
	char *hash; /* of the pool when it was started */
	char password[LIMIT_PASSWORD_BYTES + 1];
	enum password_result result;
	void (*on_checked)(enum password_result result, void *arg);
	void *arg;
};

struct password_pool {
	uv_loop_t *loop;
	char *hash;
	struct list waiting; /* job.link */
	size_t n_waiting, n_running;
	bool closing;
};

struct password_pool *password_pool_new(uv_loop_t *loop, const char *hash)
{
	struct password_pool *pool = xcalloc(1, sizeof(*pool));

	pool->loop = loop;
	pool->hash = xstrdup(hash);
	list_init(&pool->waiting);
	return pool;
}

static void free_hash(char *hash)
{
	if (hash != NULL)
		mem_wipe(hash, strlen(hash));
	free(hash);
}

static void job_free(struct job *job)
{
	mem_wipe(job->password, sizeof(job->password));
	free_hash(job->hash);
	free(job);
}

static void pool_free(struct password_pool *pool)
{
	free_hash(pool->hash);
	free(pool);
}

/* In a thread: touches nothing but the job. */
static void on_work(uv_work_t *work)
{
	struct job *job = container_of(work, struct job, work);
	struct crypt_data *data = xcalloc(1, sizeof(*data));
	const char *hash = job->hash, *got = crypt_r(job->password, hash, data);

	/* A hash that could not be made is NULL, or begins with a star. */
	if (got == NULL || got[0] == '*')
		job->result = PASSWORD_UNCHECKED;
	else if (strlen(got) == strlen(hash) && crypto_equal(got, hash, strlen(hash)))
		job->result = PASSWORD_RIGHT;
	else
		job->result = PASSWORD_WRONG;
	mem_wipe(data, sizeof(*data));
	free(data);
}

static void pool_start_next(struct password_pool *pool);

/* A hash is computed, or was cancelled before it began. */
static void on_work_done(uv_work_t *work, int status)
{
	struct job *job = container_of(work, struct job, work);
	struct password_pool *pool = job->pool;
	void (*on_checked)(enum password_result result, void *arg) = job->on_checked;
	enum password_result result = status == 0 ? job->result : PASSWORD_UNCHECKED;
	void *arg = job->arg;

	/* Checked against a hash that is no longer the one: as wrong as any other password. */
	if (result == PASSWORD_RIGHT && strcmp(job->hash, pool->hash) != 0)
		result = PASSWORD_WRONG;
	pool->n_running--;
	job_free(job);
	if (pool->closing) {
		if (pool->n_running == 0)
			pool_free(pool);
		return;
	}
	pool_start_next(pool);
	on_checked(result, arg);
}

static void pool_start_next(struct password_pool *pool)
{
	while (pool->n_running < LIMIT_HASHES_AT_ONCE && !list_empty(&pool->waiting)) {
		struct job *job = container_of(pool->waiting.next, struct job, link);

		list_remove(&job->link);
		pool->n_waiting--;
		pool->n_running++;
		job->hash = xstrdup(pool->hash);
		if (uv_queue_work(pool->loop, &job->work, on_work, on_work_done) < 0)
			abort(); /* only for a missing function */
	}
}

int password_check(struct password_pool *pool, const char *password,
	void (*on_checked)(enum password_result result, void *arg), void *arg)
{
	struct job *job;

	if (strlen(password) > LIMIT_PASSWORD_BYTES)
		return -EMSGSIZE;
	if (pool->n_waiting == LIMIT_HASHES_WAITING)
		return -EBUSY;
	job = xcalloc(1, sizeof(*job));
	job->pool = pool;
	job->on_checked = on_checked;
	job->arg = arg;
	memcpy(job->password, password, strlen(password) + 1);
	list_append(&pool->waiting, &job->link);
	pool->n_waiting++;
	pool_start_next(pool);
	return 0;
}

void password_pool_set_hash(struct password_pool *pool, const char *hash)
{
	free_hash(pool->hash);
	pool->hash = xstrdup(hash);
}

void password_pool_close(struct password_pool *pool)
{
	if (pool == NULL)
		return;
	pool->closing = true;
	while (!list_empty(&pool->waiting)) {
		struct job *job = container_of(pool->waiting.next, struct job, link);

		list_remove(&job->link);
		job_free(job);
	}
	if (pool->n_running == 0)
		pool_free(pool);
}

char *password_hash(const char *password, struct err *err)
{
	struct crypt_data *data = xcalloc(1, sizeof(*data));
	char salt[CRYPT_GENSALT_OUTPUT_SIZE], random[32], *hash = NULL;
	const char *got;

	crypto_random(random, sizeof(random));
	if (crypt_gensalt_rn("$y$", 0, random, sizeof(random), salt, sizeof(salt)) == NULL) {
		err_set_errno(err, -errno, "yescrypt is not available");
	} else {
		got = crypt_r(password, salt, data);
		if (got == NULL || got[0] == '*')
			err_set_errno(err, -errno, "hashing failed");
		else
			hash = xstrdup(got);
	}
	mem_wipe(data, sizeof(*data));
	free(data);
	return hash;
}
