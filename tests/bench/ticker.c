/* ticker LINES: every 10 ms a line that is the CLOCK_MONOTONIC time of its write(2) in nanoseconds.
 * What web_meter latency watches. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STEP_NS 10000000L

int main(int argc, char **argv)
{
	unsigned long lines = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;

	for (unsigned long i = 0; i < lines; i++) {
		struct timespec step = {.tv_nsec = STEP_NS}, now;
		char text[32];

		nanosleep(&step, NULL);
		clock_gettime(CLOCK_MONOTONIC, &now);
		snprintf(text, sizeof(text), "%" PRIu64 "\n",
			(uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
		if (write(STDOUT_FILENO, text, strlen(text)) < 0)
			return 1;
	}
	return lines == 0 ? 64 : 0;
}
