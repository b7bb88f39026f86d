/* File systems: space and inodes of each that is mounted from a disk. statvfs(2) may hang (a
 * network disk whose server is gone), which is why this runs in a process of its own. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "agent/probes/probe.h"
#include "core/base/file.h"

#define MAX_MOUNTS 48
#define MAX_MOUNTINFO (512u << 10)
#define WARN_TENTHS 850
#define BAD_TENTHS 950

struct mount {
	unsigned major, minor;
	char where[256], type[32], source[128];
	/* The file system's own word, not the mount's: in the agent's sandbox every mount is
	 * read-only. */
	bool read_only;
};

/* mountinfo writes spaces and such as \040. */
static void unescape(char *text)
{
	char *out = text;

	for (const char *at = text; *at != '\0'; at++) {
		if (at[0] == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] != '\0' &&
			at[3] != '\0') {
			*out++ = (char)((at[1] - '0') * 64 + (at[2] - '0') * 8 + (at[3] - '0'));
			at += 3;
		} else {
			*out++ = *at;
		}
	}
	*out = '\0';
}

static bool is_storage(const struct mount *mount)
{
	static const char *const types[] = {"zfs", "nfs", "nfs4", "cifs", "fuse.sshfs", "virtiofs"};

	if (strcmp(mount->type, "squashfs") == 0 || strcmp(mount->type, "iso9660") == 0)
		return false; /* full by nature */
	if (strcmp(mount->where, "/") == 0 || strncmp(mount->source, "/dev/", 5) == 0)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (strcmp(mount->type, types[i]) == 0)
			return true;
	}
	return false;
}

static bool parse(const char *line, struct mount *ret_mount)
{
	char rest[512], options[8];
	const char *dash;

	if (sscanf(line, "%*u %*u %u:%u %*s %255s %511[^\n]", &ret_mount->major, &ret_mount->minor,
		    ret_mount->where, rest) != 4)
		return false;
	dash = strstr(rest, " - ");
	if (dash == NULL || sscanf(dash, " - %31s %127s %7[^,]", ret_mount->type, ret_mount->source,
				    options) != 3)
		return false;
	ret_mount->read_only = strcmp(options, "ro") == 0;
	unescape(ret_mount->where);
	return is_storage(ret_mount);
}

static void look(const struct mount *mount, struct report *report)
{
	struct statvfs fs;
	char id[300], title[300];
	uint64_t total, available, used;
	int64_t full, inodes;
	struct finding *f;

	if (statvfs(mount->where, &fs) != 0 || fs.f_blocks == 0)
		return;
	total = (uint64_t)fs.f_blocks * fs.f_frsize;
	available = (uint64_t)fs.f_bavail * fs.f_frsize;
	used = total - (uint64_t)fs.f_bfree * fs.f_frsize;
	/* as df has it: what root keeps for itself is not there to be used */
	full = used + available != 0 ? (int64_t)(used * 1000 / (used + available)) : 0;
	inodes = fs.f_files != 0 ? (int64_t)((fs.f_files - fs.f_ffree) * 1000 / fs.f_files) : 0;
	snprintf(id, sizeof(id), "disk:%s", mount->where);
	snprintf(title, sizeof(title), "%s", mount->where);
	f = report_begin(report, id, title);
	f->fall = 2;
	finding_tenths(f, "used_pct", full);
	finding_tenths(f, "inodes_pct", inodes);
	json_kv_uint(&f->json, "total", total);
	json_kv_uint(&f->json, "used", used);
	json_kv_uint(&f->json, "available", available);
	json_kv_str(&f->json, "mount", mount->where);
	json_kv_str(&f->json, "type", mount->type);
	json_kv_str(&f->json, "device", mount->source);
	json_kv_bool(&f->json, "read_only", mount->read_only);
	if (full >= WARN_TENTHS)
		finding_raise(f, full >= BAD_TENTHS ? LEVEL_BAD : LEVEL_WARN, "disk_full",
			"%d %% full", (int)(full / 10));
	if (inodes >= WARN_TENTHS)
		finding_raise(f, inodes >= BAD_TENTHS ? LEVEL_BAD : LEVEL_WARN, "inodes_used",
			"%d %% of the inodes are used", (int)(inodes / 10));
	report_end(report);
}

void disks_run(const struct probe *probe, struct report *report)
{
	struct mount *mounts = xcalloc(MAX_MOUNTS, sizeof(*mounts));
	struct err err = {0};
	struct buf bytes;
	size_t n = 0;
	char *text;

	(void)probe;
	buf_init(&bytes, MAX_MOUNTINFO);
	text = file_read(AT_FDCWD, "/proc/self/mountinfo", &bytes, &err) == 0 ? buf_take_str(&bytes)
									      : NULL;
	for (char *line = text; line != NULL && *line != '\0' && n < MAX_MOUNTS;) {
		char *end = strchr(line, '\n');
		bool twice = false;

		if (end != NULL)
			*end = '\0';
		if (parse(line, &mounts[n])) {
			/* a bind mount of what is listed already */
			for (size_t i = 0; i < n; i++)
				twice = twice || (mounts[i].major == mounts[n].major &&
							 mounts[i].minor == mounts[n].minor);
			if (!twice)
				look(&mounts[n++], report);
		}
		line = end != NULL ? end + 1 : NULL;
	}
	buf_fini(&bytes);
	free(text);
	free(mounts);
}
