#include "agent/monitor/title.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM "ops-agent"

/* The kernel's view of this very process: there is one, whoever is passed around. */
static char *room;
static size_t room_bytes;

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
	if (!title_is_reserved(argc, argv))
		return;
	room = argv[0];
	room_bytes = (size_t)(argv[2] + TITLE_BYTES + 1 - argv[0]);
}

/* Where the last byte of the arguments is no NUL, Linux shows what stands before the first one
 * (get_mm_proctitle() in fs/proc/base.c), and not a row of empty arguments behind it. */
void title_set(const char *verb, const char *arg)
{
	if (room == NULL)
		return;
	memset(room, '\0', room_bytes);
	(void)snprintf(room, TITLE_BYTES, "%s %s%s%s", PROGRAM, verb, arg != NULL ? " " : "",
		arg != NULL ? arg : "");
	room[room_bytes - 1] = '.';
}
