#include "core/net/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mbedtls/error.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#if defined(MBEDTLS_SSL_PROTO_TLS1_3)
#include <psa/crypto.h>
#endif

#include "core/base/crypto.h"
#include "core/base/file.h"

struct tls_identity {
	unsigned refs;
	mbedtls_x509_crt cert;
	mbedtls_pk_context key;
	mbedtls_ssl_config config;
};

struct tls {
	struct tls_identity *identity;
	mbedtls_ssl_context ssl;
	const uint8_t *in; /* given by tls_put() and not used */
	size_t in_len;
	struct buf out;
	bool is_open;
};

/* The kernel's generator, wherever the library wants chance. */
static int on_random(void *arg, unsigned char *out, size_t n)
{
	(void)arg;
	crypto_random(out, n);
	return 0;
}

static int set_library_error(struct err *err, const char *what, int code)
{
	char text[128];

	mbedtls_strerror(code, text, sizeof(text));
	return err_set(err, -EINVAL, "%s: %s", what, text);
}

/* The file as text with the NUL that the library wants to be counted. */
static int read_pem(const char *path, struct buf *buf, struct err *err)
{
	int r;

	buf_init(buf, TLS_MAX_FILE);
	r = file_read(AT_FDCWD, path, buf, err);
	buf_append_byte(buf, '\0');
	if (r == 0 && buf_err(buf) < 0)
		r = err_set(err, -EMSGSIZE, "%s: too large", path);
	return r;
}

static int load_cert(struct tls_identity *identity, const char *path, struct err *err)
{
	struct buf pem;
	int r = read_pem(path, &pem, err);

	if (r == 0) {
		r = mbedtls_x509_crt_parse(&identity->cert, pem.data, pem.len);
		/* A positive number is that of certificates in the chain that make no sense. */
		if (r > 0)
			r = err_set(
				err, -EINVAL, "%s: %d of its certificates are malformed", path, r);
		else if (r < 0)
			r = set_library_error(err, path, r);
	}
	buf_fini(&pem);
	return r;
}

static int load_key(struct tls_identity *identity, const char *path, struct err *err)
{
	struct buf pem;
	int r = read_pem(path, &pem, err);

	if (r == 0) {
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
		r = mbedtls_pk_parse_key(
			&identity->key, pem.data, pem.len, NULL, 0, on_random, NULL);
#else
		r = mbedtls_pk_parse_key(&identity->key, pem.data, pem.len, NULL, 0);
#endif
		if (r != 0)
			r = set_library_error(err, path, r);
	}
	if (r == 0) {
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
		r = mbedtls_pk_check_pair(&identity->cert.pk, &identity->key, on_random, NULL);
#else
		r = mbedtls_pk_check_pair(&identity->cert.pk, &identity->key);
#endif
		if (r != 0)
			r = err_set(err, -EINVAL, "%s is not the key of the certificate", path);
	}
	mem_wipe(pem.data, pem.len);
	buf_fini(&pem);
	return r;
}

static int configure(mbedtls_ssl_config *config, int endpoint)
{
	static const char *protocols[] = {"http/1.1", NULL};
	int r = mbedtls_ssl_config_defaults(
		config, endpoint, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);

	if (r != 0)
		return r;
#if defined(MBEDTLS_SSL_PROTO_TLS1_3)
	if (psa_crypto_init() != PSA_SUCCESS)
		return MBEDTLS_ERR_SSL_INTERNAL_ERROR;
#endif
	mbedtls_ssl_conf_rng(config, on_random, NULL);
#if MBEDTLS_VERSION_NUMBER >= 0x03020000
	mbedtls_ssl_conf_min_tls_version(config, MBEDTLS_SSL_VERSION_TLS1_2);
#else
	mbedtls_ssl_conf_min_version(
		config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
#endif
	return mbedtls_ssl_conf_alpn_protocols(config, protocols);
}

struct tls_identity *tls_identity_load(const char *cert, const char *key, struct err *err)
{
	struct tls_identity *identity = xcalloc(1, sizeof(*identity));
	int r;

	identity->refs = 1;
	mbedtls_x509_crt_init(&identity->cert);
	mbedtls_pk_init(&identity->key);
	mbedtls_ssl_config_init(&identity->config);
	if (load_cert(identity, cert, err) != 0 || load_key(identity, key, err) != 0)
		goto fail;
	r = configure(&identity->config, MBEDTLS_SSL_IS_SERVER);
	if (r == 0)
		r = mbedtls_ssl_conf_own_cert(&identity->config, &identity->cert, &identity->key);
	if (r == 0)
		return identity;
	set_library_error(err, "TLS", r);
fail:
	tls_identity_release(identity);
	return NULL;
}

void tls_identity_release(struct tls_identity *identity)
{
	if (identity == NULL || --identity->refs > 0)
		return;
	mbedtls_ssl_config_free(&identity->config);
	mbedtls_pk_free(&identity->key);
	mbedtls_x509_crt_free(&identity->cert);
	free(identity);
}

/* The library wants bytes of the peer. */
static int on_recv(void *arg, unsigned char *out, size_t n)
{
	struct tls *tls = arg;
	size_t take = MIN(n, tls->in_len);

	if (take == 0)
		return MBEDTLS_ERR_SSL_WANT_READ;
	memcpy(out, tls->in, take);
	tls->in += take;
	tls->in_len -= take;
	return (int)take;
}

/* The library has bytes for the peer. */
static int on_send(void *arg, const unsigned char *data, size_t n)
{
	struct tls *tls = arg;

	buf_append(&tls->out, data, n);
	return buf_err(&tls->out) == 0 ? (int)n : MBEDTLS_ERR_SSL_ALLOC_FAILED;
}

struct tls *tls_new(struct tls_identity *identity)
{
	struct tls *tls = calloc(1, sizeof(*tls));

	if (tls == NULL)
		return NULL;
	mbedtls_ssl_init(&tls->ssl);
	buf_init(&tls->out, TLS_MAX_QUEUED);
	if (mbedtls_ssl_setup(&tls->ssl, &identity->config) != 0) {
		mbedtls_ssl_free(&tls->ssl);
		free(tls);
		return NULL;
	}
	mbedtls_ssl_set_bio(&tls->ssl, tls, on_send, on_recv, NULL);
	tls->identity = identity;
	identity->refs++;
	return tls;
}

void tls_free(struct tls *tls)
{
	if (tls == NULL)
		return;
	mbedtls_ssl_free(&tls->ssl);
	buf_fini(&tls->out);
	tls_identity_release(tls->identity);
	free(tls);
}

void tls_put(struct tls *tls, const void *data, size_t n)
{
	tls->in = data;
	tls->in_len = n;
}

long tls_read(struct tls *tls, void *out, size_t cap)
{
	int r = 0;

	if (!tls->is_open) {
		r = mbedtls_ssl_handshake(&tls->ssl);
		tls->is_open = r == 0;
	}
	if (r == 0)
		r = mbedtls_ssl_read(&tls->ssl, out, cap);
	if (r > 0)
		return r;
	if (r == MBEDTLS_ERR_SSL_WANT_READ || r == MBEDTLS_ERR_SSL_WANT_WRITE)
		return 0;
	return r == 0 || r == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY ? -ENOTCONN : -EPROTO;
}

bool tls_is_open(const struct tls *tls)
{
	return tls->is_open;
}

int tls_write(struct tls *tls, const void *data, size_t n)
{
	const uint8_t *at = data;

	while (n > 0) {
		int r = mbedtls_ssl_write(&tls->ssl, at, n);

		if (r <= 0)
			return r == MBEDTLS_ERR_SSL_ALLOC_FAILED ? -ENOMEM : -EPROTO;
		at += r;
		n -= (size_t)r;
	}
	return 0;
}

void tls_finish(struct tls *tls)
{
	if (tls->is_open)
		(void)mbedtls_ssl_close_notify(&tls->ssl);
}

uint8_t *tls_take_output(struct tls *tls, size_t *ret_len)
{
	uint8_t *block = tls->out.data;

	if (tls->out.len == 0)
		return NULL;
	*ret_len = tls->out.len;
	buf_init(&tls->out, TLS_MAX_QUEUED);
	return block;
}

/* --- asking --- */

static int on_socket_recv(void *arg, unsigned char *out, size_t n)
{
	ssize_t r = read(*(int *)arg, out, n);

	return r >= 0 ? (int)r : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

static int on_socket_send(void *arg, const unsigned char *data, size_t n)
{
	ssize_t r = write(*(int *)arg, data, n);

	return r >= 0 ? (int)r : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

/* Something came that is no answer yet. */
static bool is_interim(int r)
{
#if defined(MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
	if (r == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
		return true;
#endif
	return r == MBEDTLS_ERR_SSL_WANT_READ;
}

long tls_ask(int fd, const char *question, char *answer, size_t cap)
{
	mbedtls_ssl_config config;
	mbedtls_ssl_context ssl;
	size_t len = strlen(question);
	int r;

	mbedtls_ssl_config_init(&config);
	mbedtls_ssl_init(&ssl);
	r = configure(&config, MBEDTLS_SSL_IS_CLIENT);
	mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_NONE);
	if (r == 0)
		r = mbedtls_ssl_setup(&ssl, &config);
	mbedtls_ssl_set_bio(&ssl, &fd, on_socket_send, on_socket_recv, NULL);
	if (r == 0)
		r = mbedtls_ssl_handshake(&ssl);
	if (r == 0)
		r = mbedtls_ssl_write(&ssl, (const uint8_t *)question, len) == (int)len ? 0 : -1;
	if (r == 0) {
		do
			r = mbedtls_ssl_read(&ssl, (uint8_t *)answer, cap);
		while (is_interim(r));
	}
	mbedtls_ssl_free(&ssl);
	mbedtls_ssl_config_free(&config);
	return r > 0 ? r : -EPROTO;
}
