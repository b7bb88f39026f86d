#include "agent/config/zone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

bool zone_name_is_valid(const char *name)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/";
	size_t len = strlen(name);

	return len != 0 && len <= ZONE_MAX_NAME && strspn(name, letters) == len && name[0] != '/' &&
	       name[len - 1] != '/' && strstr(name, "//") == NULL;
}

bool zone_exists(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", name);
	return access(path, R_OK) == 0;
}

int zone_offset(const char *name, int64_t unix_s)
{
	const char *now = getenv("TZ");
	time_t t = (time_t)unix_s;
	char value[ZONE_MAX_NAME + 2];
	struct tm tm;

	/* the colon: a file's name, whatever it looks like */
	snprintf(value, sizeof(value), ":%s", name);
	if (now == NULL || strcmp(now, value) != 0) {
		setenv("TZ", value, 1);
		tzset();
	}
	return localtime_r(&t, &tm) != NULL ? (int)tm.tm_gmtoff : 0;
}
