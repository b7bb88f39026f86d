#include "agent/probes/schedule.h"

#include <stdlib.h>

#include "core/base/clock.h"

#define S UINT64_C(1000000)
#define RETRY_US (5 * S)      /* after a look that told nothing */
#define EARLY_US (S / 4)      /* between looks for what happens, while somebody watches closely */
#define EARLY_IDLE_US (5 * S) /* and while nobody does, or slowly */

static struct probe *add(struct probe *probes, size_t *n, const char *section, const char *id,
	const char *title, probe_run_fn run)
{
	struct probe *probe = &probes[(*n)++];

	*probe = (struct probe){.section = section, .id = id, .title = title, .run = run, .fd = -1};
	return probe;
}

static void set_times(
	struct probe *probe, uint64_t watched_us, uint64_t idle_us, uint64_t deadline_us)
{
	probe->watched_us = watched_us;
	probe->idle_us = MAX(idle_us, watched_us);
	probe->deadline_us = deadline_us;
}

/* Titles are kept for as long as the process lives: probes are never freed. */
static void add_certificate(
	struct probe *probes, size_t *n, const struct status_certificate *certificate)
{
	const char *id = status_certificate_id(certificate);
	struct probe *probe = add(probes, n, "certificates", id, id, certificate_run);

	if (certificate->host != NULL && certificate->port == 443)
		probe->title = certificate->host;
	probe->subject = certificate;
	set_times(probe, 600 * S, 3600 * S, 10 * S);
}

/* apt thinks for seconds: not at every start, and seldom. */
static void add_updates(struct probe *probes, size_t *n)
{
	struct probe *probe = add(probes, n, "host", "updates", "Updates", updates_run);

	set_times(probe, 1800 * S, 6 * 3600 * S, 60 * S);
	probe->due_us = clock_mono_us() + SCHEDULE_LATE_US;
	probe->is_late = true;
}

size_t schedule_make(const struct status_config *config, struct probe *probes)
{
	uint64_t interval = config->interval_us;
	size_t n = 0;

	if (config->host) {
		set_times(add(probes, &n, "host", "disks", "Disks", disks_run),
			MAX(interval, 10 * S), SCHEDULE_IDLE_US, 5 * S);
		add_updates(probes, &n);
		set_times(add(probes, &n, "updater", "dashboard", "Last update", updater_run),
			MAX(interval, 60 * S), 300 * S, 5 * S);
		set_times(add(probes, &n, "host", "logins", "Failed sign-ins", logins_run), 300 * S,
			3600 * S, 20 * S);
	}
	if (config->docker_socket != NULL) {
		struct probe *probe = add(probes, &n, "docker", "docker", "Docker", docker_run);

		probe->asks_docker = true;
		set_times(probe, MAX(interval, 5 * S), SCHEDULE_IDLE_US, 15 * S);
	}
	if (config->has_units) {
		struct probe *probe = add(probes, &n, "units", "units", "Units", units_run);

		probe->subject = config;
		set_times(probe, interval, SCHEDULE_IDLE_US, 10 * S);
	}
	for (size_t i = 0; i < config->n_certificates; i++)
		add_certificate(probes, &n, &config->certificates[i]);
	for (size_t i = 0; i < config->n_urls; i++) {
		struct probe *probe =
			add(probes, &n, "urls", config->urls[i].url, config->urls[i].url, url_run);

		probe->subject = &config->urls[i];
		set_times(probe, MAX(interval, 30 * S), 300 * S, 10 * S);
	}
	for (size_t i = 0; i < config->n_repositories; i++) {
		const char *path = config->repositories[i].path;
		struct probe *probe = add(probes, &n, "repositories", path, path, repository_run);

		probe->subject = path;
		set_times(probe, MAX(interval, 60 * S), 900 * S, 20 * S);
	}
	for (size_t i = 0; i < config->n_backups; i++) {
		struct probe *probe = add(probes, &n, "backups", config->backups[i].name,
			config->backups[i].name, backup_run);

		probe->subject = &config->backups[i];
		set_times(probe, MAX(interval, 60 * S), 900 * S, 20 * S);
	}
	return n;
}

uint64_t schedule_next(const struct probe *probe, uint64_t watch_us, uint64_t then_us)
{
	uint64_t wait = probe->idle_us;

	/* more often than the watcher wants to know is of no use */
	if (watch_us != 0)
		wait = MIN(wait, MAX(probe->watched_us, watch_us));
	if (probe->missed != 0)
		wait = MIN(wait, RETRY_US * probe->missed);
	return then_us + wait;
}

uint64_t schedule_early(const struct probe *probe, uint64_t watch_us)
{
	uint64_t wait = EARLY_IDLE_US;

	if (watch_us != 0)
		wait = MIN(wait, MAX(EARLY_US, watch_us / 4));
	return probe->started_us + wait;
}
