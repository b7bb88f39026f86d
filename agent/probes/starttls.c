#include "agent/probes/starttls.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "core/base/file.h"

/* One line without its end. Byte by byte: what follows the last one is not ours. */
static int read_line(int fd, char line[STARTTLS_MAX_LINE], struct err *err)
{
	size_t n = 0;

	for (;;) {
		ssize_t got = recv(fd, line + n, 1, 0);

		if (got < 0)
			return err_set_errno(err, -errno, "the server does not answer");
		if (got == 0)
			return err_set(err, -EPROTO, "the server closed before TLS");
		if (line[n] == '\n')
			break;
		if (++n == STARTTLS_MAX_LINE)
			return err_set(err, -EMSGSIZE, "the server's line is too long");
	}
	while (n > 0 && line[n - 1] == '\r')
		n--;
	line[n] = '\0';
	return 0;
}

static int refused(const char *line, struct err *err)
{
	return err_set(err, -EPROTO, "the server says '%.120s'", line);
}

/* An answer of SMTP: "250-…" lines, then "250 …". */
static int expect_smtp(int fd, const char *code, struct err *err)
{
	char line[STARTTLS_MAX_LINE];

	for (int i = 0; i < STARTTLS_MAX_LINES; i++) {
		int rc = read_line(fd, line, err);

		if (rc != 0)
			return rc;
		if (strncmp(line, code, 3) != 0)
			return refused(line, err);
		if (line[3] != '-')
			return 0;
	}
	return err_set(err, -EMSGSIZE, "the server's answer is too long");
}

/* Untagged lines, then one that begins with the tag; it must be good. */
static int expect_imap(int fd, const char *tag, struct err *err)
{
	char line[STARTTLS_MAX_LINE];

	for (int i = 0; i < STARTTLS_MAX_LINES; i++) {
		int rc = read_line(fd, line, err);

		if (rc != 0)
			return rc;
		if (strncmp(line, tag, strlen(tag)) != 0)
			continue;
		return strncasecmp(line + strlen(tag), "OK", 2) == 0 ? 0 : refused(line, err);
	}
	return err_set(err, -EMSGSIZE, "the server's answer is too long");
}

static int say(int fd, const char *text, struct err *err)
{
	int rc = file_write_all(fd, text, strlen(text));

	return rc != 0 ? err_set_errno(err, rc, "the server does not listen") : 0;
}

static int ask_smtp(int fd, struct err *err)
{
	int rc = expect_smtp(fd, "220", err);

	if (rc == 0)
		rc = say(fd, "EHLO ops-dashboard.invalid\r\n", err);
	if (rc == 0)
		rc = expect_smtp(fd, "250", err);
	if (rc == 0)
		rc = say(fd, "STARTTLS\r\n", err);
	return rc != 0 ? rc : expect_smtp(fd, "220", err);
}

static int ask_imap(int fd, struct err *err)
{
	int rc = expect_imap(fd, "* ", err);

	if (rc == 0)
		rc = say(fd, "a STARTTLS\r\n", err);
	return rc != 0 ? rc : expect_imap(fd, "a ", err);
}

int starttls_ask(int fd, enum status_starttls protocol, struct err *err)
{
	switch (protocol) {
	case STATUS_STARTTLS_SMTP:
		return ask_smtp(fd, err);
	case STATUS_STARTTLS_IMAP:
		return ask_imap(fd, err);
	default:
		return 0;
	}
}
