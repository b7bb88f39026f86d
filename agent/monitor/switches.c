#include "agent/monitor/switches.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/file.h"

static char *clean(struct wire_str text)
{
	char *copy = xcalloc(1, (size_t)text.len + 1);

	for (uint32_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];

		copy[i] = (char)(c < 0x20 || c == 0x7f ? ' ' : c);
	}
	return copy;
}

static void entry_fini(struct switch_entry *entry)
{
	free(entry->flow);
	free(entry->actor);
	free(entry->reason);
	*entry = (struct switch_entry){0};
}

void switches_fini(struct switches *switches)
{
	entry_fini(&switches->why);
	for (size_t i = 0; i < switches->n; i++)
		entry_fini(&switches->paused[i]);
	free(switches->paused);
	*switches = (struct switches){0};
}

const struct switch_entry *switches_find(const struct switches *switches, const char *flow)
{
	for (size_t i = 0; i < switches->n; i++) {
		if (strcmp(switches->paused[i].flow, flow) == 0)
			return &switches->paused[i];
	}
	return NULL;
}

void switches_set_maintenance(
	struct switches *switches, bool on, struct wire_str actor, struct wire_str reason)
{
	entry_fini(&switches->why);
	switches->maintenance = on;
	if (on)
		switches->why =
			(struct switch_entry){.actor = clean(actor), .reason = clean(reason)};
}

int switches_set_paused(struct switches *switches, const char *flow, bool paused,
	struct wire_str actor, struct wire_str reason)
{
	for (size_t i = 0; i < switches->n; i++) {
		if (strcmp(switches->paused[i].flow, flow) != 0)
			continue;
		entry_fini(&switches->paused[i]);
		switches->paused[i] = switches->paused[--switches->n];
		break;
	}
	if (!paused)
		return 0;
	if (switches->n == SWITCHES_MAX)
		return -ENOBUFS;
	if (switches->paused == NULL)
		switches->paused = xcalloc(SWITCHES_MAX, sizeof(switches->paused[0]));
	switches->paused[switches->n++] = (struct switch_entry){
		.flow = xstrdup(flow), .actor = clean(actor), .reason = clean(reason)};
	return 0;
}

/* The next field of a line; *at is behind it, NULL at the line's end. */
static struct wire_str field(const char **at)
{
	size_t n = *at != NULL ? strcspn(*at, "\t\n") : 0;
	struct wire_str text = {*at, (uint32_t)n};

	if (*at != NULL)
		*at = (*at)[n] == '\t' ? *at + n + 1 : NULL;
	return text;
}

static int take_line(struct switches *switches, const char *line)
{
	struct wire_str kind = field(&line), flow, actor, reason;
	char *name;
	int rc;

	if (wire_str_eq(kind, "maintenance")) {
		actor = field(&line);
		reason = field(&line);
		switches_set_maintenance(switches, true, actor, reason);
		return 0;
	}
	if (!wire_str_eq(kind, "pause"))
		return -EBADMSG;
	flow = field(&line);
	actor = field(&line);
	reason = field(&line);
	name = clean(flow);
	rc = switches_set_paused(switches, name, true, actor, reason);
	free(name);
	return rc;
}

int switches_read(int state_dir_fd, struct switches *ret_switches, struct err *err)
{
	struct switches switches = {0};
	struct buf text;
	int rc = 0;

	buf_init(&text, SWITCHES_MAX_BYTES);
	if (faccessat(state_dir_fd, SWITCHES_FILE, F_OK, 0) == 0)
		rc = file_read(state_dir_fd, SWITCHES_FILE, &text, err);
	buf_append_byte(&text, '\0');
	for (const char *at = (const char *)text.data; rc == 0 && *at != '\0';) {
		if (take_line(&switches, at) != 0)
			rc = err_set(err, -EBADMSG, "the file '%s' is damaged", SWITCHES_FILE);
		at += strcspn(at, "\n");
		at += *at == '\n';
	}
	buf_fini(&text);
	if (rc != 0) {
		switches_fini(&switches);
		return rc;
	}
	*ret_switches = switches;
	return 0;
}

int switches_write(int state_dir_fd, const struct switches *switches, struct err *err)
{
	struct buf text;
	int rc;

	buf_init(&text, SWITCHES_MAX_BYTES);
	if (switches->maintenance)
		buf_printf(
			&text, "maintenance\t%s\t%s\n", switches->why.actor, switches->why.reason);
	for (size_t i = 0; i < switches->n; i++)
		buf_printf(&text, "pause\t%s\t%s\t%s\n", switches->paused[i].flow,
			switches->paused[i].actor, switches->paused[i].reason);
	rc = buf_err(&text);
	if (rc != 0)
		err_set_errno(err, rc, "cannot remember what is switched off");
	else
		rc = file_replace(state_dir_fd, SWITCHES_FILE, text.data, text.len, 0640, err);
	buf_fini(&text);
	return rc;
}
