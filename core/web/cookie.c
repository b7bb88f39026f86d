#include "core/web/cookie.h"

#include <string.h>

#include "core/web/limits.h"

void cookie_find(const char *header, const char *name, struct cookie_hit *hit)
{
	size_t name_len = strlen(name), pairs = 0;

	for (const char *s = header; *s != '\0';) {
		const char *end;
		size_t len;

		s += strspn(s, " \t;");
		len = strcspn(s, ";");
		end = s + len;
		if (len == 0)
			break;
		if (++pairs > WEB_MAX_COOKIES) {
			hit->count += 2;
			return;
		}
		if (len > name_len && s[name_len] == '=' && memcmp(s, name, name_len) == 0) {
			const char *value = s + name_len + 1;

			len = (size_t)(end - value);
			while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
				len--;
			if (len >= 2 && value[0] == '"' && value[len - 1] == '"') {
				value++;
				len -= 2;
			}
			hit->value = value;
			hit->len = len;
			hit->count++;
		}
		s = end;
	}
}
