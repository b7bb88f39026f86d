#include "core/web/handshake.h"

#include <string.h>
#include <strings.h>

#include "core/base/crypto.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool handshake_is_key(const char *key)
{
	/* 16 bytes: 22 digits, of which the last has four zero bits, and "==". */
	return strlen(key) == 24 && strspn(key, alphabet) == 22 && strcmp(key + 22, "==") == 0 &&
	       strchr("AQgw", key[21]) != NULL;
}

static void base64_20(const uint8_t in[21], char out[HANDSHAKE_ACCEPT_BYTES])
{
	for (size_t i = 0, o = 0; i < 21; i += 3) {
		uint32_t v = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | in[i + 2];

		for (int shift = 18; shift >= 0; shift -= 6)
			out[o++] = alphabet[v >> shift & 63];
	}
	/* 20 bytes: the 21st was padding. */
	out[27] = '=';
	out[28] = '\0';
}

void handshake_accept(const char *key, char accept[HANDSHAKE_ACCEPT_BYTES])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	char text[24 + sizeof(guid)];
	uint8_t digest[21] = {0};

	memcpy(text, key, 24);
	memcpy(text + 24, guid, sizeof(guid));
	crypto_sha1(text, sizeof(text) - 1, digest);
	base64_20(digest, accept);
}

bool handshake_list_has(const char *list, const char *word, bool exact)
{
	size_t len = strlen(word);

	for (const char *s = list; s != NULL && *s != '\0';) {
		size_t n;

		s += strspn(s, " \t,");
		n = strcspn(s, " \t,");
		if (n == len && (exact ? memcmp(s, word, n) : strncasecmp(s, word, n)) == 0)
			return true;
		s += n;
	}
	return false;
}
