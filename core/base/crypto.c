#include "core/base/crypto.h"

#include <assert.h>
#include <errno.h>
#include <mbedtls/md.h>
#include <mbedtls/sha1.h>
#include <mbedtls/sha256.h>
#include <mbedtls/version.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/base/mem.h"

#if MBEDTLS_VERSION_MAJOR < 3
#define mbedtls_sha1 mbedtls_sha1_ret
#define mbedtls_sha256_starts mbedtls_sha256_starts_ret
#define mbedtls_sha256_update mbedtls_sha256_update_ret
#define mbedtls_sha256_finish mbedtls_sha256_finish_ret
#endif

#define HMAC_BLOCK_BYTES 64

_Static_assert(sizeof(mbedtls_sha256_context) <= sizeof(struct crypto_sha256),
	"struct crypto_sha256 must hold mbedTLS's context");

static void must_succeed(int rc)
{
	if (rc != 0)
		abort();
}

static mbedtls_sha256_context *inner(struct crypto_sha256 *ctx)
{
	return (mbedtls_sha256_context *)(void *)ctx;
}

void crypto_sha256_init(struct crypto_sha256 *ctx)
{
	memset(ctx, 0, sizeof(*ctx));
	mbedtls_sha256_init(inner(ctx));
	must_succeed(mbedtls_sha256_starts(inner(ctx), 0));
}

void crypto_sha256_update(struct crypto_sha256 *ctx, const void *data, size_t n)
{
	if (n != 0)
		must_succeed(mbedtls_sha256_update(inner(ctx), data, n));
}

void crypto_sha256_final(struct crypto_sha256 *ctx, uint8_t out[CRYPTO_SHA256_BYTES])
{
	must_succeed(mbedtls_sha256_finish(inner(ctx), out));
	mbedtls_sha256_free(inner(ctx));
	mem_wipe(ctx, sizeof(*ctx));
}

void crypto_sha256(const void *data, size_t n, uint8_t out[CRYPTO_SHA256_BYTES])
{
	struct crypto_sha256 ctx;

	crypto_sha256_init(&ctx);
	crypto_sha256_update(&ctx, data, n);
	crypto_sha256_final(&ctx, out);
}

void crypto_sha1(const void *data, size_t n, uint8_t out[20])
{
	must_succeed(mbedtls_sha1(data, n, out));
}

struct hmac {
	struct crypto_sha256 in;
	uint8_t outer_key[HMAC_BLOCK_BYTES];
};

static void hmac_init(struct hmac *h, const void *key, size_t key_len)
{
	uint8_t block[HMAC_BLOCK_BYTES] = {0};

	if (key_len > sizeof(block))
		crypto_sha256(key, key_len, block);
	else if (key_len != 0)
		memcpy(block, key, key_len);
	for (size_t i = 0; i < sizeof(block); i++) {
		h->outer_key[i] = block[i] ^ 0x5c;
		block[i] ^= 0x36;
	}
	crypto_sha256_init(&h->in);
	crypto_sha256_update(&h->in, block, sizeof(block));
	mem_wipe(block, sizeof(block));
}

static void hmac_final(struct hmac *h, uint8_t out[CRYPTO_SHA256_BYTES])
{
	struct crypto_sha256 outer;

	crypto_sha256_final(&h->in, out);
	crypto_sha256_init(&outer);
	crypto_sha256_update(&outer, h->outer_key, sizeof(h->outer_key));
	crypto_sha256_update(&outer, out, CRYPTO_SHA256_BYTES);
	crypto_sha256_final(&outer, out);
	mem_wipe(h, sizeof(*h));
}

void crypto_hmac_sha256(const void *key, size_t key_len, const void *data, size_t n,
	uint8_t out[CRYPTO_SHA256_BYTES])
{
	struct hmac h;

	hmac_init(&h, key, key_len);
	crypto_sha256_update(&h.in, data, n);
	hmac_final(&h, out);
}

void crypto_hmac_sha1(
	const void *key, size_t key_len, const void *data, size_t n, uint8_t out[CRYPTO_SHA1_BYTES])
{
	const mbedtls_md_info_t *sha1 = mbedtls_md_info_from_type(MBEDTLS_MD_SHA1);

	must_succeed(sha1 == NULL);
	must_succeed(mbedtls_md_hmac(sha1, key, key_len, data, n, out));
}

void crypto_hkdf_sha256(const void *salt, size_t salt_len, const void *ikm, size_t ikm_len,
	const void *info, size_t info_len, uint8_t *out, size_t out_len)
{
	uint8_t prk[CRYPTO_SHA256_BYTES], block[CRYPTO_SHA256_BYTES];
	size_t done = 0;

	assert(out_len <= 255 * sizeof(block));
	crypto_hmac_sha256(salt, salt_len, ikm, ikm_len, prk);
	for (uint8_t i = 1; done < out_len; i++) {
		size_t n = MIN(out_len - done, sizeof(block));
		struct hmac h;

		hmac_init(&h, prk, sizeof(prk));
		if (i > 1)
			crypto_sha256_update(&h.in, block, sizeof(block));
		crypto_sha256_update(&h.in, info, info_len);
		crypto_sha256_update(&h.in, &i, 1);
		hmac_final(&h, block);
		memcpy(out + done, block, n);
		done += n;
	}
	mem_wipe(prk, sizeof(prk));
	mem_wipe(block, sizeof(block));
}

void crypto_random(void *out, size_t n)
{
	uint8_t *to = out;

	while (n != 0) {
		ssize_t got = getrandom(to, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort();
		to += got;
		n -= (size_t)got;
	}
}

bool crypto_equal(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;
	uint64_t diff = 0;

	while (n > 0) {
		size_t len = MIN(n, sizeof(uint64_t));
		uint64_t v = 0, w = 0;

		memcpy(&v, x, len);
		memcpy(&w, y, len);
		diff |= v ^ w;
		__asm__("" : "+r"(diff)); /* nothing may follow from it before the end */
		x += len;
		y += len;
		n -= len;
	}
	return diff == 0;
}

bool crypto_secret_equal(
	const void *given, size_t given_len, const void *expected, size_t expected_len)
{
	uint8_t key[CRYPTO_SHA256_BYTES], a[CRYPTO_SHA256_BYTES], b[CRYPTO_SHA256_BYTES];

	crypto_random(key, sizeof(key));
	crypto_hmac_sha256(key, sizeof(key), given, given_len, a);
	crypto_hmac_sha256(key, sizeof(key), expected, expected_len, b);
	return crypto_equal(a, b, sizeof(a));
}
