#include "agent/run/hostname.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

int hostname_read(char *ret_name, size_t size, struct err *err)
{
	const char *given = getenv("OPS_AGENT_HOST");
	size_t n = given != NULL ? strlen(given) : 0;

	if (n > 0) {
		if (n > HOSTNAME_MAX_GIVEN || n >= size || strspn(given, ALNUM) == 0 ||
			strspn(given, ALNUM "._-") != n)
			return err_set(err, -EINVAL,
				"OPS_AGENT_HOST must be 1 to %d letters, digits and . _ - of which "
				"the first is a letter or digit",
				HOSTNAME_MAX_GIVEN);
		memcpy(ret_name, given, n + 1);
		return 0;
	}
	ret_name[size - 1] = '\0';
	if (gethostname(ret_name, size - 1) != 0)
		snprintf(ret_name, size, "localhost");
	return 0;
}
