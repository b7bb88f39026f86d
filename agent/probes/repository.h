/* What `git status --porcelain=v2 --branch` says, read. Pure. */
#ifndef OPS_AGENT_PROBES_REPOSITORY_H
#define OPS_AGENT_PROBES_REPOSITORY_H

#include <stdbool.h>

#include "core/base/mem.h"

#define REPOSITORY_MAX_TEXT 256

struct repository {
	char commit[REPOSITORY_MAX_TEXT];   /* "" before the first */
	char branch[REPOSITORY_MAX_TEXT];   /* "(detached)" when there is none */
	char upstream[REPOSITORY_MAX_TEXT]; /* "" when there is none */
	unsigned ahead, behind;
	unsigned changed, untracked; /* files */
};

/* 0, or -EBADMSG: the text is not git's. */
MUSTCHECK int repository_parse(const char *text, struct repository *ret_repository);

#endif
