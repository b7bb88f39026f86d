#include "agent/probes/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int journal_open(sd_journal **ret_journal)
{
	const char *dir = getenv("OPS_AGENT_JOURNAL_DIR");
	uint64_t bytes = 0;
	int rc;

	*ret_journal = NULL;
	if (dir != NULL && dir[0] != '\0')
		rc = sd_journal_open_directory(ret_journal, dir, 0);
	else
		rc = sd_journal_open(ret_journal, SD_JOURNAL_LOCAL_ONLY);
	/* files that may not be read are left out in silence */
	if (rc >= 0)
		rc = sd_journal_get_usage(*ret_journal, &bytes);
	return rc >= 0 && bytes == 0 ? -ENOENT : MIN(rc, 0);
}

int journal_match(sd_journal *journal, const char *field, const char *value)
{
	char *text = xasprintf("%s=%s", field, value);
	int rc = sd_journal_add_match(journal, text, 0);

	free(text);
	return MIN(rc, 0);
}

struct wire_str journal_field(sd_journal *journal, const char *name, const char *second)
{
	size_t n, skip = strlen(name) + 1;
	const void *data;

	if (sd_journal_get_data(journal, name, &data, &n) == 0 && n > skip)
		return (struct wire_str){(const char *)data + skip, (uint32_t)(n - skip)};
	return second != NULL ? journal_field(journal, second, NULL) : (struct wire_str){"", 0};
}
