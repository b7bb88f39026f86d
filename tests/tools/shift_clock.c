/*
 * LD_PRELOAD for tests of what the calendar does: the wall clock of the process is SHIFT_CLOCK_S
 * seconds ahead (or behind), and timers set to a time of it come when it gets there. With
 * SHIFT_CLOCK_RATE all clocks run so many times as fast, and the loop's waits are as much shorter:
 * a day of samples in minutes. Or, so that it can be set while the process runs, it is as many
 * seconds ahead as the eight bytes (int64_t) of SHIFT_CLOCK_FILE say; timers that want to know of
 * it (TFD_TIMER_CANCEL_ON_SET) are told within CHECK_NS.
 */
/* What is defined here would be the header's inline function. */
#undef _FORTIFY_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define CHECK_NS 100000000

static const volatile int64_t *file_shift; /* NULL: there is no such file */
static int told_fd = -1;		   /* the timer that is to be told */
static int64_t told_shift;		   /* when it was set */

__attribute__((constructor)) static void map_file(void)
{
	const char *path = getenv("SHIFT_CLOCK_FILE");
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *map;

	if (fd < 0)
		return;
	map = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (map != MAP_FAILED)
		file_shift = map;
}

#define NS 1000000000LL

static long long number(const char *name, long long fallback)
{
	const char *text = getenv(name);

	return text != NULL ? strtoll(text, NULL, 10) : fallback;
}

static time_t shift(void)
{
	if (file_shift != NULL)
		return (time_t)*file_shift;
	return (time_t)number("SHIFT_CLOCK_S", 0);
}

static long long rate(void)
{
	static long long value;

	if (value == 0)
		value = number("SHIFT_CLOCK_RATE", 1) > 0 ? number("SHIFT_CLOCK_RATE", 1) : 1;
	return value;
}

static void *next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

/* Since the process first asked a clock, it runs at the rate. */
static void hurry(clockid_t id, struct timespec *ts)
{
	static long long first[16];
	long long now = ts->tv_sec * NS + ts->tv_nsec;

	if (rate() == 1 || id < 0 || id >= 16 || id == CLOCK_PROCESS_CPUTIME_ID ||
		id == CLOCK_THREAD_CPUTIME_ID)
		return;
	if (first[id] == 0)
		first[id] = now;
	now = first[id] + (now - first[id]) * rate();
	ts->tv_sec = (time_t)(now / NS);
	ts->tv_nsec = (long)(now % NS);
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	static int (*real)(clockid_t, struct timespec *);
	void *found = real == NULL ? next("clock_gettime") : NULL;
	int rc;

	if (found != NULL)
		memcpy(&real, &found, sizeof(real));
	rc = real(id, ts);
	if (rc == 0)
		hurry(id, ts);
	if (rc == 0 && id == CLOCK_REALTIME)
		ts->tv_sec += shift();
	return rc;
}

static int sooner(int timeout_ms)
{
	long long ms = timeout_ms / rate();

	return timeout_ms > 0 && ms == 0 ? 1 : (int)(timeout_ms > 0 ? ms : timeout_ms);
}

int epoll_pwait(
	int fd, struct epoll_event *events, int max, int timeout_ms, const sigset_t *signals)
{
	static int (*real)(int, struct epoll_event *, int, int, const sigset_t *);
	void *found = real == NULL ? next("epoll_pwait") : NULL;

	if (found != NULL)
		memcpy(&real, &found, sizeof(real));
	return real(fd, events, max, sooner(timeout_ms), signals);
}

int epoll_wait(int fd, struct epoll_event *events, int max, int timeout_ms)
{
	return epoll_pwait(fd, events, max, timeout_ms, NULL);
}

/* Only timers of the wall clock are set to an absolute time here. */
int timerfd_settime(int fd, int flags, const struct itimerspec *new_value, struct itimerspec *old)
{
	static int (*real)(int, int, const struct itimerspec *, struct itimerspec *);
	void *found = real == NULL ? next("timerfd_settime") : NULL;
	struct itimerspec value = *new_value;

	if (found != NULL)
		memcpy(&real, &found, sizeof(real));
	if ((flags & TFD_TIMER_ABSTIME) && value.it_value.tv_sec != 0)
		value.it_value.tv_sec -= shift();
	if (file_shift != NULL && (flags & TFD_TIMER_CANCEL_ON_SET)) {
		struct timespec soon;

		told_fd = fd;
		told_shift = *file_shift;
		clock_gettime(CLOCK_REALTIME, &soon);
		soon.tv_sec -= shift();
		soon.tv_nsec += CHECK_NS;
		if (soon.tv_nsec >= 1000000000) {
			soon.tv_sec++;
			soon.tv_nsec -= 1000000000;
		}
		if (value.it_value.tv_sec == 0 || value.it_value.tv_sec > soon.tv_sec)
			value.it_value = soon;
		flags = TFD_TIMER_ABSTIME;
	}
	return real(fd, flags, &value, old);
}

ssize_t read(int fd, void *buf, size_t n)
{
	static ssize_t (*real)(int, void *, size_t);
	void *found = real == NULL ? next("read") : NULL;
	ssize_t got;

	if (found != NULL)
		memcpy(&real, &found, sizeof(real));
	got = real(fd, buf, n);
	if (got > 0 && file_shift != NULL && fd == told_fd && *file_shift != told_shift) {
		errno = ECANCELED;
		return -1;
	}
	return got;
}
