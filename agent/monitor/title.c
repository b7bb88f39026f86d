#include "agent/monitor/title.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM "ops-agent"

/* The kernel's view of this very process: there is one, whoever is passed around. */
static char *room;

bool title_is_reserved(int argc, char *const *argv)
{
	return argc == 3 && strlen(argv[2]) == TITLE_BYTES && strspn(argv[2], " ") == TITLE_BYTES &&
	       argv[2] == argv[1] + strlen(argv[1]) + 1 && argv[1] == argv[0] + strlen(argv[0]) + 1;
}

void title_reserve(const char *verb)
{
	char program[] = PROGRAM, name[32], blank[TITLE_BYTES + 1];
	char *const argv[] = {program, name, blank, NULL};

	snprintf(name, sizeof(name), "%s", verb);
	memset(blank, ' ', TITLE_BYTES);
	blank[TITLE_BYTES] = '\0';
	(void)execv("/proc/self/exe", argv);
}

void title_init(int argc, char **argv)
{
	if (title_is_reserved(argc, argv))
		room = argv[0];
}

void title_set(const char *verb, const char *arg)
{
	size_t n = 0;
	const char *const words[] = {PROGRAM, verb, arg};

	if (room == NULL)
		return;
	memset(room, '\0', TITLE_BYTES);
	for (size_t i = 0; i < 3 && words[i] != NULL && n < TITLE_BYTES; i++)
		n += (size_t)snprintf(room + n, TITLE_BYTES - n, "%s", words[i]) + 1;
}
