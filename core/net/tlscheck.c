#include "core/net/tlscheck.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#include <psa/crypto.h>
#endif

struct tlscheck {
	int fd;
	mbedtls_entropy_context entropy;
	mbedtls_ctr_drbg_context random;
	mbedtls_ssl_config config;
	mbedtls_ssl_context ssl;
	mbedtls_x509_crt roots;
};

static int fail(struct err *err, int rc, const char *what)
{
	char text[128];

	mbedtls_strerror(rc, text, sizeof(text));
	return err_set(err, -EPROTO, "%s: %s", what, text);
}

/* ---- the socket ---- */

static int on_send(void *arg, const unsigned char *data, size_t n)
{
	const struct tlscheck *tls = arg;
	ssize_t done = send(tls->fd, data, n, MSG_NOSIGNAL);

	return done >= 0 ? (int)done : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

static int on_recv(void *arg, unsigned char *data, size_t n)
{
	const struct tlscheck *tls = arg;
	ssize_t done = recv(tls->fd, data, n, 0);

	return done >= 0 ? (int)done : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

/* ---- certificates ---- */

static int64_t seconds(const mbedtls_x509_time *t)
{
	struct tm tm = {
		.tm_year = t->year - 1900,
		.tm_mon = t->mon - 1,
		.tm_mday = t->day,
		.tm_hour = t->hour,
		.tm_min = t->min,
		.tm_sec = t->sec,
	};

	return (int64_t)timegm(&tm);
}

static void copy_names(const mbedtls_x509_crt *crt, struct tlscheck_certificate *out)
{
	for (const mbedtls_x509_sequence *san = &crt->subject_alt_names;
		san != NULL && out->n_names < TLSCHECK_MAX_NAMES; san = san->next) {
		/* the context-specific tag 2: dNSName */
		if ((san->buf.tag & 0x1f) != 2 || san->buf.len == 0 ||
			memchr(san->buf.p, 0, san->buf.len) != NULL)
			continue;
		snprintf(out->names[out->n_names++], TLSCHECK_MAX_NAME, "%.*s",
			(int)MIN(san->buf.len, (size_t)TLSCHECK_MAX_NAME),
			(const char *)san->buf.p);
	}
}

static struct tlscheck_certificate *describe(const mbedtls_x509_crt *crt)
{
	struct tlscheck_certificate *out = xcalloc(1, sizeof(*out));

	if (mbedtls_x509_dn_gets(out->subject, sizeof(out->subject), &crt->subject) < 0)
		snprintf(out->subject, sizeof(out->subject), "(too long)");
	if (mbedtls_x509_dn_gets(out->issuer, sizeof(out->issuer), &crt->issuer) < 0)
		snprintf(out->issuer, sizeof(out->issuer), "(too long)");
	copy_names(crt, out);
	out->not_before_s = seconds(&crt->valid_from);
	out->not_after_s = seconds(&crt->valid_to);
	return out;
}

struct tlscheck_certificate *tlscheck_certificate(const struct tlscheck *tls)
{
	const mbedtls_x509_crt *crt = mbedtls_ssl_get_peer_cert(&tls->ssl);
	uint32_t flags = mbedtls_ssl_get_verify_result(&tls->ssl);
	struct tlscheck_certificate *out;

	if (crt == NULL)
		return xcalloc(1, sizeof(*out));
	out = describe(crt);
	out->verifies = flags == 0;
	out->wrong_name = (flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) != 0;
	out->expired = (flags & MBEDTLS_X509_BADCERT_EXPIRED) != 0;
	out->future = (flags & MBEDTLS_X509_BADCERT_FUTURE) != 0;
	out->untrusted = (flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0;
	if (flags != 0) {
		(void)mbedtls_x509_crt_verify_info(out->why, sizeof(out->why), "", flags);
		out->why[strcspn(out->why, "\n")] = '\0';
	}
	return out;
}

struct tlscheck_certificate *tlscheck_parse_certificate(
	const uint8_t *text, size_t n, struct err *err)
{
	struct tlscheck_certificate *out = NULL;
	mbedtls_x509_crt crt;
	int rc;

	mbedtls_x509_crt_init(&crt);
	/* PEM counts its NUL */
	rc = mbedtls_x509_crt_parse(&crt, text, n + 1);
	if (rc < 0)
		rc = mbedtls_x509_crt_parse(&crt, text, n);
	if (crt.version != 0)
		out = describe(&crt);
	else
		(void)fail(err, rc, "no certificate");
	mbedtls_x509_crt_free(&crt);
	return out;
}

/* ---- connections ---- */

static int prepare(struct tlscheck *tls, const char *name, const char *ca_path, struct err *err)
{
	int rc = mbedtls_ctr_drbg_seed(&tls->random, mbedtls_entropy_func, &tls->entropy, NULL, 0);

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
	if (rc == 0 && psa_crypto_init() != PSA_SUCCESS)
		return err_set(err, -EIO, "TLS cannot be set up");
#endif
	if (rc == 0)
		rc = mbedtls_ssl_config_defaults(&tls->config, MBEDTLS_SSL_IS_CLIENT,
			MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
	if (rc != 0)
		return fail(err, rc, "TLS cannot be set up");
	/* a positive number counts roots it could not read: the others hold */
	rc = mbedtls_x509_crt_parse_file(&tls->roots, ca_path);
	if (rc < 0)
		return fail(err, rc, "the trusted roots cannot be read");
	mbedtls_ssl_conf_authmode(&tls->config, MBEDTLS_SSL_VERIFY_OPTIONAL);
	mbedtls_ssl_conf_ca_chain(&tls->config, &tls->roots, NULL);
	mbedtls_ssl_conf_rng(&tls->config, mbedtls_ctr_drbg_random, &tls->random);
	rc = mbedtls_ssl_setup(&tls->ssl, &tls->config);
	if (rc == 0)
		rc = mbedtls_ssl_set_hostname(&tls->ssl, name);
	if (rc != 0)
		return fail(err, rc, "TLS cannot be set up");
	mbedtls_ssl_set_bio(&tls->ssl, tls, on_send, on_recv, NULL);
	return 0;
}

struct tlscheck *tlscheck_connect(int fd, const char *name, const char *ca_path, struct err *err)
{
	struct tlscheck *tls = xcalloc(1, sizeof(*tls));
	int rc;

	tls->fd = fd;
	mbedtls_entropy_init(&tls->entropy);
	mbedtls_ctr_drbg_init(&tls->random);
	mbedtls_ssl_config_init(&tls->config);
	mbedtls_ssl_init(&tls->ssl);
	mbedtls_x509_crt_init(&tls->roots);
	if (prepare(tls, name, ca_path, err) != 0)
		goto fail;
	while ((rc = mbedtls_ssl_handshake(&tls->ssl)) != 0) {
		if (rc == MBEDTLS_ERR_SSL_WANT_READ || rc == MBEDTLS_ERR_SSL_WANT_WRITE)
			continue;
		(void)fail(err, rc, "the TLS handshake failed");
		goto fail;
	}
	return tls;
fail:
	tlscheck_free(tls);
	return NULL;
}

int tlscheck_read(struct tlscheck *tls, void *data, size_t n)
{
	int rc;

	do
		rc = mbedtls_ssl_read(&tls->ssl, data, n);
	while (rc == MBEDTLS_ERR_SSL_WANT_READ || rc == MBEDTLS_ERR_SSL_WANT_WRITE);
	if (rc == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY || rc == MBEDTLS_ERR_SSL_CONN_EOF)
		return 0;
	return rc >= 0 ? rc : -EPROTO;
}

int tlscheck_write_all(struct tlscheck *tls, const void *data, size_t n)
{
	const uint8_t *at = data;

	while (n > 0) {
		int rc = mbedtls_ssl_write(&tls->ssl, at, n);

		if (rc == MBEDTLS_ERR_SSL_WANT_READ || rc == MBEDTLS_ERR_SSL_WANT_WRITE)
			continue;
		if (rc <= 0)
			return -EPROTO;
		at += rc;
		n -= (size_t)rc;
	}
	return 0;
}

void tlscheck_free(struct tlscheck *tls)
{
	if (tls == NULL)
		return;
	mbedtls_ssl_free(&tls->ssl);
	mbedtls_ssl_config_free(&tls->config);
	mbedtls_ctr_drbg_free(&tls->random);
	mbedtls_entropy_free(&tls->entropy);
	mbedtls_x509_crt_free(&tls->roots);
	free(tls);
}
