/* Addresses: whether they answer what is expected, and how fast. One request, HTTP/1.1. Of the
 * answer only its first line is read, unless a text is expected in it. */
#include "agent/probes/url.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/probes/dial.h"
#include "agent/probes/probe.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/net/tlscheck.h"

#define MIN_LINE 12 /* "HTTP/1.1 200" */

int url_parse(const char *text, struct url *ret_url)
{
	struct url url = {.port = 80};
	const char *at = strncmp(text, "http://", 7) == 0 ? text + 7 : NULL;
	size_t n;

	if (strncmp(text, "https://", 8) == 0) {
		at = text + 8;
		url.tls = true;
		url.port = 443;
	}
	if (at == NULL)
		return -EINVAL;
	n = strcspn(at, "/?#");
	if (memchr(at, '@', n) != NULL)
		return -EINVAL;
	if (*at == '[') {
		const char *end = memchr(at, ']', n);

		if (end == NULL || end == at + 1 || (size_t)(end - at) >= sizeof(url.host))
			return -EINVAL;
		memcpy(url.host, at + 1, (size_t)(end - at) - 1);
		at = end + 1;
	} else {
		size_t len = strcspn(at, ":/?#");

		if (len == 0 || len >= sizeof(url.host))
			return -EINVAL;
		memcpy(url.host, at, len);
		at += len;
	}
	if (*at == ':') {
		char *end;
		unsigned long port = strtoul(at + 1, &end, 10);

		if (end == at + 1 || port == 0 || port > UINT16_MAX)
			return -EINVAL;
		url.port = (uint16_t)port;
		at = end;
	}
	if (*at != '\0' && *at != '/' && *at != '?' && *at != '#')
		return -EINVAL;
	n = strcspn(at, "#");
	if (n + 2 > sizeof(url.path))
		return -EINVAL;
	snprintf(url.path, sizeof(url.path), "%s%.*s", *at == '/' ? "" : "/", (int)n, at);
	*ret_url = url;
	return 0;
}

unsigned url_status(const char *head, size_t n)
{
	static const char version[] = "HTTP/1.";
	unsigned status = 0;

	if (n < 12 || memcmp(head, version, sizeof(version) - 1) != 0 || head[8] != ' ')
		return 0;
	for (size_t i = 9; i < 12; i++) {
		if (head[i] < '0' || head[i] > '9')
			return 0;
		status = status * 10 + (unsigned)(head[i] - '0');
	}
	return status >= 100 ? status : 0;
}

/* "transfer-encoding: chunked" among the n bytes of header lines. */
static bool is_chunked(const char *head, size_t n)
{
	static const char name[] = "\ntransfer-encoding:";

	for (size_t i = 0; i + sizeof(name) - 1 <= n; i++) {
		if (strncasecmp(head + i, name, sizeof(name) - 1) == 0) {
			const char *value = head + i + sizeof(name) - 1;
			size_t left = n - (size_t)(value - head);
			const char *end = memchr(value, '\n', left);

			return memmem(value, end != NULL ? (size_t)(end - value) : left, "chunked",
				       7) != NULL;
		}
	}
	return false;
}

/* Moves the chunks of a body together; returns how many bytes they are. What is no chunk ends it.
 */
static size_t join_chunks(char *body, size_t n)
{
	size_t in = 0, out = 0;

	for (;;) {
		const char *end = memchr(body + in, '\n', n - in);
		size_t size = 0, digits = 0;

		if (end == NULL)
			return out;
		for (; digits < 7 && isxdigit((unsigned char)body[in]); in++, digits++) {
			int c = tolower((unsigned char)body[in]);

			size = size * 16 + (size_t)(c <= '9' ? c - '0' : c - 'a' + 10);
		}
		if (digits == 0 || size == 0)
			return out;
		in = (size_t)(end - body) + 1;
		size = MIN(size, n - in);
		memmove(body + out, body + in, size);
		out += size;
		in += size;
		in += MIN((size_t)2, n - in); /* CR LF */
	}
}

bool url_body_holds(char *answer, size_t n, const char *text)
{
	char *body = memmem(answer, n, "\r\n\r\n", 4);
	size_t len;

	if (body == NULL)
		return false;
	len = (size_t)(body - answer);
	body += 4;
	n -= len + 4;
	if (is_chunked(answer, len))
		n = join_chunks(body, n);
	return memmem(body, n, text, strlen(text)) != NULL;
}

struct answer {
	unsigned status;
	bool holds_text;
};

static ssize_t receive(int fd, struct tlscheck *tls, char *to, size_t n)
{
	return tls != NULL ? tlscheck_read(tls, to, n) : recv(fd, to, n, 0);
}

/* Reads on behind the first n bytes, as far as is looked at, for the text. */
static bool find_text(int fd, struct tlscheck *tls, char *bytes, size_t n, const char *text)
{
	while (n < URL_MAX_ANSWER) {
		ssize_t got = receive(fd, tls, bytes + n, URL_MAX_ANSWER - n);

		if (got <= 0)
			break; /* its end, in whichever way */
		n += (size_t)got;
	}
	return url_body_holds(bytes, n, text);
}

static int exchange(int fd, struct tlscheck *tls, const struct url *url, const char *text,
	struct answer *ret_answer, struct err *err)
{
	bool v6 = strchr(url->host, ':') != NULL;
	char *ask = xasprintf("GET %s HTTP/1.1\r\nHost: %s%s%s:%u\r\n"
			      "User-Agent: ops-dashboard/" OPS_VERSION "\r\n"
			      "Accept: */*\r\nConnection: close\r\n\r\n",
		url->path, v6 ? "[" : "", url->host, v6 ? "]" : "", url->port);
	char *bytes = xcalloc(1, URL_MAX_ANSWER);
	size_t n = 0;
	int rc = tls != NULL ? tlscheck_write_all(tls, ask, strlen(ask))
			     : file_write_all(fd, ask, strlen(ask));

	free(ask);
	if (rc != 0)
		err_set_errno(err, rc, "the request cannot be sent");
	while (rc == 0 && n < MIN_LINE) {
		ssize_t got = receive(fd, tls, bytes + n, URL_MAX_ANSWER - n);

		if (got <= 0)
			rc = err_set(err, -EPROTO, "closed without an answer");
		else
			n += (size_t)got;
	}
	if (rc == 0) {
		ret_answer->status = url_status(bytes, n);
		if (ret_answer->status == 0)
			rc = err_set(err, -EPROTO, "the answer is no HTTP/1.1");
		else
			ret_answer->holds_text = text == NULL || find_text(fd, tls, bytes, n, text);
	}
	free(bytes);
	return rc;
}

static int ask(const struct url *url, const char *text, struct finding *f,
	struct answer *ret_answer, struct err *err)
{
	int fd = dial_tcp(url->host, url->port, err), rc = 0;
	struct tlscheck_certificate *certificate = NULL;
	struct tlscheck *tls = NULL;

	if (fd < 0)
		return fd;
	if (url->tls) {
		tls = tlscheck_connect(fd, url->host, dial_roots(), err);
		rc = tls != NULL ? 0 : -EPROTO;
	}
	if (tls != NULL) {
		certificate = tlscheck_certificate(tls);
		if (!certificate->verifies)
			finding_raise(f, LEVEL_BAD, "url_certificate",
				"its certificate does not verify: %s", certificate->why);
		free(certificate);
	}
	if (rc == 0)
		rc = exchange(fd, tls, url, text, ret_answer, err);
	tlscheck_free(tls);
	close(fd);
	return rc;
}

/* One lost answer is no news; two are. */
static int ask_twice(const struct url *url, const char *text, struct finding *f,
	struct answer *ret_answer, struct err *err)
{
	int rc = ask(url, text, f, ret_answer, err);

	if (rc == 0)
		return 0;
	sleep(1);
	return ask(url, text, f, ret_answer, err);
}

void url_run(const struct probe *probe, struct report *report)
{
	const struct status_url *subject = probe->subject;
	struct finding *f = report_begin(report, probe->id, probe->title);
	uint64_t began_us = clock_mono_us();
	struct answer answer = {0};
	struct err err = {0};
	struct url url;

	json_kv_uint(&f->json, "expected", subject->expect);
	if (url_parse(subject->url, &url) != 0) {
		finding_raise(f, LEVEL_UNKNOWN, "url_malformed", "is no http or https address");
	} else if (ask_twice(&url, subject->text, f, &answer, &err) != 0) {
		finding_raise(f, LEVEL_BAD, NULL, "%s", err.msg);
	} else {
		json_kv_uint(&f->json, "status", answer.status);
		json_kv_uint(&f->json, "time_ms", (clock_mono_us() - began_us) / 1000);
		if (answer.status != subject->expect)
			finding_raise(f, LEVEL_BAD, "url_status", "answers %u instead of %u",
				answer.status, subject->expect);
		if (!answer.holds_text)
			finding_raise(f, LEVEL_BAD, "url_text", "the answer does not hold '%.100s'",
				subject->text);
	}
	report_end(report);
}
