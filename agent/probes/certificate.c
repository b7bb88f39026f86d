/* Certificates: what a server shows in a handshake, or what is in a file. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/probes/dial.h"
#include "agent/probes/probe.h"
#include "agent/probes/starttls.h"
#include "core/base/file.h"
#include "core/net/tlscheck.h"

#define DAY_S 86400
#define WARN_DAYS 21
#define BAD_DAYS 7

static void judge_time(struct finding *f, const struct tlscheck_certificate *c, int64_t now_s)
{
	int64_t left_s = c->not_after_s - now_s;
	int64_t days = left_s / DAY_S;

	json_kv_int(&f->json, "days_left", days);
	if (left_s < 0 && days == 0)
		finding_raise(f, LEVEL_BAD, "certificate_expired_today", "expired today");
	else if (left_s < 0)
		finding_raise(
			f, LEVEL_BAD, "certificate_expired", "expired %d days ago", (int)-days);
	else if (days < WARN_DAYS)
		finding_raise(f, days < BAD_DAYS ? LEVEL_BAD : LEVEL_WARN, "certificate_expires",
			"expires in %d days", (int)days);
	if (c->not_before_s > now_s)
		finding_raise(f, LEVEL_BAD, "certificate_future", "is not valid yet");
}

static void judge_chain(struct finding *f, const struct tlscheck_certificate *c, const char *host)
{
	json_kv_bool(&f->json, "verifies", c->verifies);
	if (c->wrong_name)
		finding_raise(f, LEVEL_BAD, "certificate_name", "is not for the name %s", host);
	if (c->untrusted)
		finding_raise(f, LEVEL_BAD, "certificate_untrusted",
			"no trusted root vouches for it: its chain is incomplete, or it is "
			"self-signed");
	if (!c->verifies && !c->expired && !c->future)
		finding_raise(
			f, LEVEL_BAD, "certificate_unverified", "does not verify: %s", c->why);
}

static void write_values(struct finding *f, const struct tlscheck_certificate *c)
{
	json_kv_str(&f->json, "subject", c->subject);
	json_kv_str(&f->json, "issuer", c->issuer);
	json_key(&f->json, "names");
	json_open_array(&f->json);
	for (size_t i = 0; i < c->n_names; i++)
		json_str(&f->json, c->names[i]);
	json_close_array(&f->json);
	json_kv_uint(&f->json, "not_before_us", (uint64_t)MAX(c->not_before_s, 0) * 1000000);
	json_kv_uint(&f->json, "not_after_us", (uint64_t)MAX(c->not_after_s, 0) * 1000000);
}

static struct tlscheck_certificate *of_host(
	const struct status_certificate *subject, struct err *err)
{
	struct tlscheck_certificate *found = NULL;
	int fd = dial_tcp(subject->host, subject->port, err);
	struct tlscheck *tls;

	if (fd < 0)
		return NULL;
	tls = starttls_ask(fd, subject->starttls, err) == 0
		      ? tlscheck_connect(fd, subject->host, dial_roots(), err)
		      : NULL;
	if (tls != NULL)
		found = tlscheck_certificate(tls);
	tlscheck_free(tls);
	close(fd);
	return found;
}

static struct tlscheck_certificate *of_file(const char *path, struct err *err)
{
	struct tlscheck_certificate *found = NULL;
	struct buf bytes;
	char *text;
	size_t n;

	buf_init(&bytes, TLSCHECK_MAX_FILE);
	if (file_read(AT_FDCWD, path, &bytes, err) != 0)
		return NULL;
	n = bytes.len;
	text = buf_take_str(&bytes);
	if (text != NULL)
		found = tlscheck_parse_certificate((const uint8_t *)text, n, err);
	free(text);
	return found;
}

void certificate_run(const struct probe *probe, struct report *report)
{
	const struct status_certificate *subject = probe->subject;
	struct finding *f = report_begin(report, probe->id, probe->title);
	struct err err = {0};
	struct tlscheck_certificate *found =
		subject->host != NULL ? of_host(subject, &err) : of_file(subject->file, &err);

	if (found == NULL) {
		finding_raise(f, LEVEL_UNKNOWN, NULL, "%s", err.msg);
	} else {
		write_values(f, found);
		judge_time(f, found, (int64_t)time(NULL));
		if (subject->host != NULL)
			judge_chain(f, found, subject->host);
	}
	report_end(report);
	free(found);
}
