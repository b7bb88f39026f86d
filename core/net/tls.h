/*
 * TLS for servers (1.2 and, where the library has it, 1.3), as a filter without sockets: ciphertext
 * of the peer goes in, plaintext comes out, and the other way round; nothing here waits. Together
 * with core/base/crypto.h the only place that knows mbedTLS (2.28 on Debian 12, 3.6 on Debian 13).
 *
 * An open struct tls costs about 40 KiB: the library's record buffers.
 */
#ifndef OPS_CORE_NET_TLS_H
#define OPS_CORE_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/mem.h"

#define TLS_MAX_QUEUED (16u << 20) /* ciphertext that was not taken */
#define TLS_MAX_FILE (256u << 10)  /* of a certificate chain or a key */

struct tls_identity;
struct tls;

/* A certificate with its chain and its key, read from PEM files. NULL with a text when they cannot
 * be read or do not belong together. Blocking. */
struct tls_identity *tls_identity_load(const char *cert, const char *key, struct err *err);
/* Connections that use it keep it until they end. NULL is fine. */
void tls_identity_release(struct tls_identity *identity);

/* The server's side of a new connection; NULL when out of memory. */
struct tls *tls_new(struct tls_identity *identity);
void tls_free(struct tls *tls); /* NULL is fine */

/* Gives n bytes from the peer, which must stay until tls_read() has said that there is no more. */
void tls_put(struct tls *tls, const void *data, size_t n);
/* The next plaintext, up to cap bytes: their number; 0: no more until the next tls_put();
 * -ENOTCONN: the peer has closed; -EPROTO: it broke the protocol (what is left to send tells it
 * so). */
MUSTCHECK long tls_read(struct tls *tls, void *out, size_t cap);
/* Whether the handshake is over: before that nothing can be written. */
bool tls_is_open(const struct tls *tls);
/* Encrypts n bytes. 0, -EPROTO or -ENOMEM: then the connection must end. */
MUSTCHECK int tls_write(struct tls *tls, const void *data, size_t n);
/* Says that nothing more will come. */
void tls_finish(struct tls *tls);

/* What is to be sent to the peer, in a heap block of *ret_len bytes that is the caller's now; NULL
 * when there is nothing. */
uint8_t *tls_take_output(struct tls *tls, size_t *ret_len);

/* One question to a server on a connected, blocking socket, whose certificate is not looked at: for
 * a daemon that asks itself. Returns the bytes of the answer that came, or -EPROTO. */
MUSTCHECK long tls_ask(int fd, const char *question, char *answer, size_t cap);

#endif
