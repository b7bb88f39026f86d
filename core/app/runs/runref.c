#include "core/app/runs/runref.h"

#include <string.h>

#include "core/base/uuid.h"

bool runref_is_valid(const char *text)
{
	struct uuid uuid;
	size_t n = strlen(text);

	if (uuid_parse(text, n, &uuid) == 0)
		return true;
	return n > 0 && n <= 19 && strspn(text, "0123456789") == n;
}
