/* What `status.yml` asks the probes to watch, as plain data: made by the loader (build_status.c),
 * read by agent/probes. */
#ifndef OPS_AGENT_CONFIG_STATUS_H
#define OPS_AGENT_CONFIG_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATUS_CONFIG_MAX_ITEMS 128 /* of each list */
#define STATUS_CONFIG_INTERVAL_US UINT64_C(5000000)

struct status_certificate {
	char *host; /* NULL: file */
	char *file;
	uint16_t port;
};

struct status_backup {
	char *name, *glob;
	uint64_t max_age_us; /* 0: any */
	uint64_t min_size;   /* 0: any */
};

struct status_url {
	char *url;
	unsigned expect; /* status code */
};

struct status_config {
	bool host;
	uint64_t interval_us;
	char *docker_socket; /* NULL: no Docker */
	char **units;
	size_t n_units;
	char **repositories;
	size_t n_repositories;
	struct status_certificate *certificates;
	size_t n_certificates;
	struct status_backup *backups;
	size_t n_backups;
	struct status_url *urls;
	size_t n_urls;
};

/* NULL is fine. */
void status_config_free(struct status_config *config);

#endif
