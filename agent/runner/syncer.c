#include "agent/runner/syncer.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int sync_now(struct syncer *syncer)
{
	if (fdatasync(syncer->fd) != 0)
		return -errno;
	if (!syncer->dir_done && fsync(syncer->dir_fd) != 0)
		return -errno;
	syncer->dir_done = true;
	return 0;
}

static void *thread_main(void *arg)
{
	struct syncer *syncer = arg;

	pthread_mutex_lock(&syncer->lock);
	for (;;) {
		uint64_t offset;
		int rc;

		while (!syncer->stop && syncer->wanted <= syncer->done)
			pthread_cond_wait(&syncer->work, &syncer->lock);
		if (syncer->stop || syncer->error != 0)
			break;
		offset = syncer->wanted;
		pthread_mutex_unlock(&syncer->lock);
		rc = sync_now(syncer);
		pthread_mutex_lock(&syncer->lock);
		if (rc == 0)
			syncer->done = offset;
		else
			syncer->error = rc;
		/* Cannot fail but for a counter that nobody reads, and then it is readable. */
		(void)eventfd_write(syncer->wake_fd, 1);
	}
	pthread_mutex_unlock(&syncer->lock);
	return NULL;
}

int syncer_init(struct syncer *syncer, int journal_fd, int dir_fd)
{
	*syncer = (struct syncer){.fd = journal_fd, .dir_fd = dir_fd};
	syncer->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (syncer->wake_fd < 0)
		return -errno;
	pthread_mutex_init(&syncer->lock, NULL);
	pthread_cond_init(&syncer->work, NULL);
	return 0;
}

void syncer_request(struct syncer *syncer, uint64_t offset)
{
	pthread_mutex_lock(&syncer->lock);
	if (offset > syncer->wanted)
		syncer->wanted = offset;
	if (!syncer->started)
		syncer->started = pthread_create(&syncer->thread, NULL, thread_main, syncer) == 0;
	if (syncer->started) {
		pthread_cond_signal(&syncer->work);
	} else if (syncer->error == 0) {
		syncer->error = sync_now(syncer);
		if (syncer->error == 0)
			syncer->done = syncer->wanted;
		(void)eventfd_write(syncer->wake_fd, 1);
	}
	pthread_mutex_unlock(&syncer->lock);
}

int syncer_result(struct syncer *syncer, uint64_t *ret_offset)
{
	eventfd_t ignored;
	int rc;

	(void)eventfd_read(syncer->wake_fd, &ignored);
	pthread_mutex_lock(&syncer->lock);
	*ret_offset = syncer->done;
	rc = syncer->error;
	pthread_mutex_unlock(&syncer->lock);
	return rc;
}

void syncer_fini(struct syncer *syncer)
{
	if (syncer->started) {
		pthread_mutex_lock(&syncer->lock);
		syncer->stop = true;
		pthread_cond_signal(&syncer->work);
		pthread_mutex_unlock(&syncer->lock);
		pthread_join(syncer->thread, NULL);
	}
	if (syncer->wake_fd >= 0)
		close(syncer->wake_fd);
	syncer->wake_fd = -1;
	syncer->started = false;
}
