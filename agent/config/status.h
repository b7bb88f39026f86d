/* What `status.yml` asks the probes to watch, as plain data: made by the loader (build_status.c),
 * read by agent/probes. */
#ifndef OPS_AGENT_CONFIG_STATUS_H
#define OPS_AGENT_CONFIG_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/yaml/errors.h"

#define STATUS_CONFIG_MAX_ITEMS 128 /* of each list */
#define STATUS_CONFIG_INTERVAL_US UINT64_C(5000000)

/* `action` everywhere: the id of a command or flow that one would run about it; NULL: none. */

struct status_unit {
	char *unit; /* caddy.service */
	char *name; /* NULL: shown by its unit's */
	char *action;
};

struct status_repository {
	char *path, *action;
};

enum status_starttls {
	STATUS_STARTTLS_NONE, /* TLS from the first byte */
	STATUS_STARTTLS_SMTP,
	STATUS_STARTTLS_IMAP,
};

struct status_certificate {
	char *host; /* NULL: file */
	char *file, *action;
	uint16_t port;
	enum status_starttls starttls;
};

struct status_backup {
	char *name, *glob, *action;
	uint64_t max_age_us; /* 0: any */
	uint64_t min_size;   /* 0: any */
	char *verified_by;   /* command or flow whose success proves it can be restored; NULL */
	uint64_t known_us; /* set by the probes: named here since then, at the least; 0: unknown */
};

struct status_url {
	char *url, *action;
	char *text;	 /* that the answer must hold; NULL: any */
	unsigned expect; /* status code */
};

enum status_section {
	STATUS_HOST,
	STATUS_DOCKER,
	STATUS_UNITS,
	STATUS_CERTIFICATES,
	STATUS_URLS,
	STATUS_REPOSITORIES,
	STATUS_BACKUPS,
	STATUS_SECTIONS,
};

struct status_config {
	bool host;
	uint64_t interval_us;
	char *docker_socket; /* NULL: no Docker */
	bool has_units;	     /* `units` is there, if only as an empty list: failed ones are shown */
	struct status_unit *units;
	size_t n_units;
	struct status_repository *repositories;
	size_t n_repositories;
	struct status_certificate *certificates;
	size_t n_certificates;
	struct status_backup *backups;
	size_t n_backups;
	struct status_url *urls;
	size_t n_urls;
	char *actions[STATUS_SECTIONS]; /* of whole sections; by enum status_section */
};

/* "urls" for STATUS_URLS: the section's name in the document. */
const char *status_section_name(enum status_section section);
/* What to do about an item of the document: its own action, else its section's, else NULL. */
const char *status_config_action(
	const struct status_config *config, const char *section, const char *id);
/* Whether a run of that command or flow is what one would do about some item. */
bool status_config_has_action(const struct status_config *config, const char *runnable);
/* The id of a certificate's item: the file, or host:port. */
char *status_certificate_id(const struct status_certificate *certificate);

/* From the text of a status.yml that catalog_load() has accepted; what it names of the catalogue is
 * not looked up again. 0 with *ret_config set (to be freed by the caller), or -EINVAL with errors
 * filled. */
MUSTCHECK int status_config_load(const void *text, size_t n, struct status_config **ret_config,
	struct config_errors *errors);
/* NULL is fine. */
void status_config_free(struct status_config *config);

#endif
