/*
 * LD_PRELOAD for tests of what the calendar does: the wall clock of the process is SHIFT_CLOCK_S
 * seconds ahead (or behind), and timers set to a time of it come when it gets there.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>

static time_t shift(void)
{
	const char *text = getenv("SHIFT_CLOCK_S");

	return text != NULL ? (time_t)strtoll(text, NULL, 10) : 0;
}

static void *next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	static int (*real)(clockid_t, struct timespec *);
	void *found = real == NULL ? next("clock_gettime") : NULL;
	int rc;

	if (found != NULL)
		memcpy(&real, &found, sizeof(real));
	rc = real(id, ts);
	if (rc == 0 && id == CLOCK_REALTIME)
		ts->tv_sec += shift();
	return rc;
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
	return real(fd, flags, &value, old);
}
