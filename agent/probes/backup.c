/* Backups: the newest file that matches, its age and its size. */
#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "agent/probes/probe.h"
#include "core/base/clock.h"

#define MAX_FILES 20000
#define COMPARED 10		       /* the newest so many give the usual size */
#define GRACE_US UINT64_C(86400000000) /* for the first one, where any age is good */

struct file {
	const char *path;
	int64_t time_s;
	uint64_t size;
};

static int newest_first(const void *a, const void *b)
{
	const struct file *x = a, *y = b;

	return (x->time_s < y->time_s) - (x->time_s > y->time_s);
}

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Of the files behind the first; 0 when there are none. */
static uint64_t usual_size(const struct file *files, size_t n)
{
	uint64_t sizes[COMPARED];
	size_t count = 0;

	for (size_t i = 1; i < n && count < COMPARED; i++)
		sizes[count++] = files[i].size;
	if (count == 0)
		return 0;
	qsort(sizes, count, sizeof(sizes[0]), by_size);
	return sizes[count / 2];
}

/* A folder that cannot be read is no empty folder. */
static int on_glob_error(const char *path, int code)
{
	(void)path;
	return code == EACCES || code == EIO || code == ELOOP;
}

static size_t look(const glob_t *found, struct file *files)
{
	size_t n = 0;

	for (size_t i = 0; i < found->gl_pathc && n < MAX_FILES; i++) {
		struct stat st;

		if (stat(found->gl_pathv[i], &st) != 0 || !S_ISREG(st.st_mode))
			continue;
		files[n++] = (struct file){.path = found->gl_pathv[i],
			.time_s = st.st_mtim.tv_sec,
			.size = (uint64_t)st.st_size};
	}
	qsort(files, n, sizeof(*files), newest_first);
	return n;
}

static void judge_age(struct finding *f, uint64_t age_s)
{
	if (age_s < 172800)
		finding_raise(f, LEVEL_BAD, "backup_old_hours", "is %u hours old",
			(unsigned)(age_s / 3600));
	else
		finding_raise(f, LEVEL_BAD, "backup_old_days", "is %u days old",
			(unsigned)(age_s / 86400));
}

static void judge(struct finding *f, const struct status_backup *subject, const struct file *files,
	size_t n, int64_t now_s)
{
	uint64_t usual = usual_size(files, n);
	uint64_t age_s = (uint64_t)MAX(now_s - files[0].time_s, 0);

	json_kv_str(&f->json, "path", files[0].path);
	json_kv_uint(&f->json, "count", n);
	json_kv_uint(&f->json, "size", files[0].size);
	json_kv_uint(&f->json, "taken_us", (uint64_t)MAX(files[0].time_s, 0) * 1000000);
	json_kv_uint(&f->json, "age_s", age_s);
	if (usual != 0)
		json_kv_uint(&f->json, "median_size", usual);
	if (subject->max_age_us != 0 && age_s > subject->max_age_us / 1000000)
		judge_age(f, age_s);
	if (files[0].size < subject->min_size)
		finding_raise(f, LEVEL_BAD, "backup_too_small",
			"has %llu bytes; at least %llu are expected",
			(unsigned long long)files[0].size, (unsigned long long)subject->min_size);
	if (files[0].size < usual / 2)
		finding_raise(
			f, LEVEL_WARN, "backup_shrunk", "is less than half as large as usual");
}

/* None at all. Where it is asked for only since a while that may pass between two, the first one
 * may still come: on a new host, or for a new entry. */
static void judge_none(struct finding *f, const struct status_backup *subject, uint64_t now_us)
{
	uint64_t grace_us = subject->max_age_us != 0 ? subject->max_age_us : GRACE_US;

	if (subject->known_us != 0 && now_us < subject->known_us + grace_us)
		finding_raise(f, LEVEL_WARN, "backup_none_yet",
			"no backup yet: no file matches its pattern");
	else
		finding_raise(f, LEVEL_BAD, "backup_none", "no file matches its pattern");
}

void backup_run(const struct probe *probe, struct report *report)
{
	const struct status_backup *subject = probe->subject;
	struct finding *f = report_begin(report, probe->id, probe->title);
	struct file *files = xcalloc(MAX_FILES, sizeof(*files));
	glob_t found = {0};
	int rc = glob(subject->glob, GLOB_NOSORT, on_glob_error, &found);
	size_t n = rc == 0 ? look(&found, files) : 0;

	json_kv_str(&f->json, "glob", subject->glob);
	if (subject->verified_by != NULL) {
		json_kv_str(&f->json, "verified_by", subject->verified_by);
		if (probe->verified_us != 0)
			json_kv_uint(&f->json, "verified_us", probe->verified_us);
	}
	if (rc == GLOB_ABORTED)
		finding_raise(f, LEVEL_UNKNOWN, "backup_unreadable",
			"the folder cannot be read by the probes");
	else if (rc == GLOB_NOSPACE)
		finding_raise(f, LEVEL_UNKNOWN, "backup_too_many", "too many files match");
	else if (n == 0)
		judge_none(f, subject, clock_wall_us());
	else
		judge(f, subject, files, n, (int64_t)time(NULL));
	report_end(report);
	globfree(&found);
	free(files);
}
