/*
 * A TLS client over a connected, blocking socket, and a look at the certificate that the peer
 * shows: for short-lived processes that check what others serve. The handshake goes through whether
 * or not the certificate is good: the result says so, and the caller decides. The only place of
 * mbedTLS beside base/crypto.c.
 */
#ifndef OPS_NET_TLSCHECK_H
#define OPS_NET_TLSCHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

#define TLSCHECK_MAX_NAMES 64 /* of a certificate; more are left out */
#define TLSCHECK_MAX_NAME 256 /* longer ones are cut */
#define TLSCHECK_MAX_FILE (256u << 10)

struct tlscheck_certificate {
	char subject[TLSCHECK_MAX_NAME], issuer[TLSCHECK_MAX_NAME];
	char names[TLSCHECK_MAX_NAMES][TLSCHECK_MAX_NAME]; /* DNS names it is for */
	size_t n_names;
	int64_t not_before_s, not_after_s; /* unix time */
	bool verifies;
	bool wrong_name, expired, future, untrusted; /* why it does not */
	char why[256];				     /* in mbedTLS's words; "" when it verifies */
};

struct tlscheck;

/* Shakes hands on fd, which stays the caller's and is blocking. name: for SNI and verification;
 * ca_path: a PEM file of trusted roots. NULL with err when there is no TLS to be had. */
struct tlscheck *tlscheck_connect(int fd, const char *name, const char *ca_path, struct err *err);
/* What the peer showed. The caller frees it with free(). */
struct tlscheck_certificate *tlscheck_certificate(const struct tlscheck *tls);
/* Bytes, 0 at the end, or a negative errno. */
MUSTCHECK int tlscheck_read(struct tlscheck *tls, void *data, size_t n);
MUSTCHECK int tlscheck_write_all(struct tlscheck *tls, const void *data, size_t n);
void tlscheck_free(struct tlscheck *tls); /* NULL is fine */

/* The first certificate of a PEM or DER text (with a NUL behind its n bytes), which is not
 * verified. NULL with err; free(). */
struct tlscheck_certificate *tlscheck_parse_certificate(
	const uint8_t *text, size_t n, struct err *err);

#endif
