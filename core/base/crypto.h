/*
 * Hashes, HMAC, HKDF, random bytes and constant-time comparison. The only place that knows mbedTLS
 * (2.28 on Debian 12, 3.6 on Debian 13). Failures of these primitives on fixed-size input are
 * broken invariants: they abort.
 */
#ifndef OPS_BASE_CRYPTO_H
#define OPS_BASE_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRYPTO_SHA256_BYTES 32
#define CRYPTO_SHA1_BYTES 20

/* A running SHA-256 (FIPS 180-4). May be copied as a struct to look at a digest half way. */
struct crypto_sha256 {
	uint64_t state[16]; /* opaque; large enough for mbedTLS 2.28 and 3.6 */
};

void crypto_sha256_init(struct crypto_sha256 *ctx);
void crypto_sha256_update(struct crypto_sha256 *ctx, const void *data, size_t n);
/* Writes the digest and wipes ctx. */
void crypto_sha256_final(struct crypto_sha256 *ctx, uint8_t out[CRYPTO_SHA256_BYTES]);
void crypto_sha256(const void *data, size_t n, uint8_t out[CRYPTO_SHA256_BYTES]);

/* SHA-1: only for the WebSocket handshake, which is no secret. */
void crypto_sha1(const void *data, size_t n, uint8_t out[20]);

/* HMAC-SHA-256 (RFC 2104). */
void crypto_hmac_sha256(const void *key, size_t key_len, const void *data, size_t n,
	uint8_t out[CRYPTO_SHA256_BYTES]);
/* HMAC-SHA-1: for the one-time codes of RFC 6238 only, where it is what every app speaks. */
void crypto_hmac_sha1(const void *key, size_t key_len, const void *data, size_t n,
	uint8_t out[CRYPTO_SHA1_BYTES]);
/* HKDF-SHA-256 (RFC 5869), out_len <= 255 * 32. */
void crypto_hkdf_sha256(const void *salt, size_t salt_len, const void *ikm, size_t ikm_len,
	const void *info, size_t info_len, uint8_t *out, size_t out_len);

/* n bytes from getrandom(2); aborts when the kernel cannot. */
void crypto_random(void *out, size_t n);

/* Compares n bytes in time that depends on n only. */
bool crypto_equal(const void *a, const void *b, size_t n);
/* Compares two secrets of any lengths: both are keyed-hashed with a fresh random key first, so
 * neither content nor length of the expected one leaks through time. */
bool crypto_secret_equal(
	const void *given, size_t given_len, const void *expected, size_t expected_len);

#endif
