#include "agent/ctl/term.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/base/clock.h"

#define QUIET_US (300 * UINT64_C(1000)) /* after output, before the line comes back */

static bool is_terminal(FILE *out)
{
	const char *term = getenv("TERM");

	return isatty(fileno(out)) == 1 && (term == NULL || strcmp(term, "dumb") != 0);
}

bool term_has_colours(FILE *out)
{
	const char *no = getenv("NO_COLOR");

	return is_terminal(out) && (no == NULL || no[0] == '\0');
}

static void start(FILE *out, const char *colour)
{
	if (term_has_colours(out))
		fputs(colour, out);
}

void term_status_colour(FILE *out, const char *status)
{
	if (strcmp(status, "succeeded") == 0)
		start(out, "\033[32m");
	else if (strcmp(status, "running") == 0 || strcmp(status, "waiting") == 0 ||
		 strcmp(status, "queued") == 0 || strcmp(status, "retrying") == 0)
		start(out, "\033[36m");
	else if (strcmp(status, "skipped") == 0 || strcmp(status, "pending") == 0)
		start(out, "\033[2m");
	else
		start(out, "\033[31m");
}

void term_dim(FILE *out)
{
	start(out, "\033[2m");
}

void term_plain(FILE *out)
{
	start(out, "\033[0m");
}

void term_put(FILE *out, const char *text)
{
	for (const char *c = text; *c != '\0'; c++) {
		unsigned char byte = (unsigned char)*c, next = (unsigned char)c[1];
		bool c1 = byte == 0xc2 && next >= 0x80 && next < 0xa0;

		fputc(byte < 0x20 || byte == 0x7f || c1 ? '?' : byte, out);
		c += c1;
	}
}

/* ---- progress ---- */

void progress_init(struct progress *p, bool wanted)
{
	*p = (struct progress){.on = wanted && is_terminal(stderr), .began_us = clock_mono_us()};
}

void progress_set(struct progress *p, const char *what)
{
	snprintf(p->what, sizeof(p->what), "%s", what);
}

void progress_hide(struct progress *p)
{
	if (p->on && p->drawn)
		fputs("\r\033[2K", stderr);
	p->drawn = false;
}

void progress_wrote(struct progress *p, size_t n, char last, bool to_terminal)
{
	p->bytes += n;
	p->last_us = clock_mono_us();
	if (to_terminal)
		p->line_open = last != '\n';
}

static void format_bytes(uint64_t bytes, char out[32])
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
	double value = (double)bytes;
	int unit = -1;

	while (value >= 1024 && unit < 3) {
		value /= 1024;
		unit++;
	}
	if (unit < 0)
		snprintf(out, 32, "%" PRIu64 " bytes", bytes);
	else
		snprintf(out, 32, "%.1f %s", value, units[unit]);
}

void progress_tick(struct progress *p)
{
	struct winsize size = {.ws_col = 80};
	uint64_t now = clock_mono_us(), seconds = (now - p->began_us) / CLOCK_SECOND_US;
	char bytes[32], line[192];
	int n;

	if (!p->on || p->line_open || now - p->last_us < QUIET_US)
		return;
	(void)ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
	format_bytes(p->bytes, bytes);
	n = snprintf(line, sizeof(line), "%s  %" PRIu64 ":%02" PRIu64 "  %s",
		p->what[0] != '\0' ? p->what : "starting", seconds / 60, seconds % 60, bytes);
	if (n > 0 && size.ws_col > 4 && n > size.ws_col - 1)
		line[size.ws_col - 1] = '\0';
	fputs("\r\033[2K", stderr);
	term_dim(stderr);
	term_put(stderr, line);
	term_plain(stderr);
	fflush(stderr);
	p->drawn = true;
}
