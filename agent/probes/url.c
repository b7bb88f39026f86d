/* Addresses: whether they answer what is expected, and how fast. One request, HTTP/1.1, and of the
 * answer only its first line is read. */
#include "agent/probes/url.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/probes/dial.h"
#include "agent/probes/probe.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/net/tlscheck.h"

#define MAX_LINE 512

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

		if (end == NULL || (size_t)(end - at) >= sizeof(url.host))
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

static int exchange(
	int fd, struct tlscheck *tls, const struct url *url, unsigned *ret_status, struct err *err)
{
	bool v6 = strchr(url->host, ':') != NULL;
	char *ask = xasprintf("GET %s HTTP/1.1\r\nHost: %s%s%s:%u\r\n"
			      "User-Agent: ops-dashboard/" OPS_VERSION "\r\n"
			      "Accept: */*\r\nConnection: close\r\n\r\n",
		url->path, v6 ? "[" : "", url->host, v6 ? "]" : "", url->port);
	char line[MAX_LINE];
	size_t n = 0;
	int rc = tls != NULL ? tlscheck_write_all(tls, ask, strlen(ask))
			     : file_write_all(fd, ask, strlen(ask));

	free(ask);
	if (rc != 0)
		return err_set_errno(err, rc, "the request cannot be sent");
	while (n < 12) {
		ssize_t got = tls != NULL ? tlscheck_read(tls, line + n, sizeof(line) - n)
					  : recv(fd, line + n, sizeof(line) - n, 0);

		if (got <= 0)
			return err_set(err, -EPROTO, "closed without an answer");
		n += (size_t)got;
	}
	*ret_status = url_status(line, n);
	return *ret_status != 0 ? 0 : err_set(err, -EPROTO, "the answer is no HTTP/1.1");
}

static int ask(const struct url *url, struct finding *f, unsigned *ret_status, struct err *err)
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
			finding_raise(f, LEVEL_BAD, "its certificate does not verify: %s",
				certificate->why);
		free(certificate);
	}
	if (rc == 0)
		rc = exchange(fd, tls, url, ret_status, err);
	tlscheck_free(tls);
	close(fd);
	return rc;
}

/* One lost answer is no news; two are. */
static int ask_twice(
	const struct url *url, struct finding *f, unsigned *ret_status, struct err *err)
{
	int rc = ask(url, f, ret_status, err);

	if (rc == 0)
		return 0;
	sleep(1);
	return ask(url, f, ret_status, err);
}

void url_run(const struct probe *probe, struct report *report)
{
	const struct status_url *subject = probe->subject;
	struct finding *f = report_begin(report, probe->id, probe->title);
	uint64_t began_us = clock_mono_us();
	struct err err = {0};
	unsigned status = 0;
	struct url url;

	json_kv_uint(&f->json, "expected", subject->expect);
	if (url_parse(subject->url, &url) != 0) {
		finding_raise(f, LEVEL_UNKNOWN, "is no http or https address");
	} else if (ask_twice(&url, f, &status, &err) != 0) {
		finding_raise(f, LEVEL_BAD, "%s", err.msg);
	} else {
		json_kv_uint(&f->json, "status", status);
		json_kv_uint(&f->json, "time_ms", (clock_mono_us() - began_us) / 1000);
		if (status != subject->expect)
			finding_raise(
				f, LEVEL_BAD, "answers %u instead of %u", status, subject->expect);
	}
	report_end(report);
}
