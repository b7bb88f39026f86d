/*
 * The hosts of this dashboard, in the order of AGENTS_FILE, and what is one thing over all of them:
 * finding one by name, whose run it is, their catalogues as one.
 *
 * A host may go while something waits for it (a reload): who comes back after a callback asks for
 * it by name again.
 */
#ifndef OPS_CORE_APP_HOSTS_HOSTS_H
#define OPS_CORE_APP_HOSTS_HOSTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/app/archive/archiver.h"
#include "core/app/config/agents_conf.h"
#include "core/app/hosts/homes.h"
#include "core/app/hosts/host.h"
#include "core/base/uuid.h"

struct hosts;
struct server;

/* Opens one host for each of server->cfg->agents. */
struct hosts *hosts_new(struct server *server);
/* Closes all of them; from now on there is none. on_closed comes once, later. */
void hosts_close(struct hosts *hosts, void (*on_closed)(void *arg), void *arg);
void hosts_free(struct hosts *hosts);
/* server->cfg->agents is another one: new hosts are opened, gone ones closed, those that are in
 * both stay as they are. */
void hosts_reload(struct hosts *hosts);

size_t hosts_count(const struct hosts *hosts);
struct host *hosts_at(const struct hosts *hosts, size_t i);
/* The first; NULL: the daemon is closing. */
struct host *hosts_primary(const struct hosts *hosts);
bool hosts_is_primary(const struct host *host);
/* The host of that name; "" or NULL: the primary one. NULL: there is none. */
struct host *hosts_find(const struct hosts *hosts, const char *name);
/* "web1, db1" for a person; cut at the end of out. */
void hosts_names(const struct hosts *hosts, char *out, size_t size);
bool hosts_are_connected(const struct hosts *hosts); /* all of them */
/* Deadline of a request that goes to each of several, this one among them; 0: the usual one, where
 * there is only one. Its answer is to be noted: who hangs is not waited for again and again. */
unsigned hosts_call_ms(const struct host *host);
void hosts_note_answer(struct hosts *hosts, const char *name, const struct link_reply *reply);

/* ---- runs ---- */

/* This host's agent says that it has the run. False: so did another one, or PostgreSQL has it as
 * another's (logged once); or this host is being closed. */
bool hosts_note_run(struct hosts *hosts, struct host *host, const char *run);
/* PostgreSQL has it as this host's, which is the last word. */
void hosts_settle_run(struct hosts *hosts, struct host *host, const struct uuid *run);
/* PostgreSQL does not say, and of all agents only this host's has it: believed for
 * LIMIT_HOSTS_ALONE_MS. */
void hosts_trust_run(struct hosts *hosts, struct host *host, const struct uuid *run);
/* What was heard of the run; HOME_UNKNOWN where there is one host. */
struct home hosts_home(const struct hosts *hosts, const struct uuid *run);
/* Whether a run's document that this host's agent sent may be true: neither the run nor the host
 * that it names is another's. Notes the run. */
bool hosts_believe_run(struct hosts *hosts, struct host *host, const json_t *run);
/* Whether that is the name of another host than this. */
bool hosts_is_anothers(const struct host *host, const char *name);
/* The names of all others as the text of a PostgreSQL array. Valid until the next call. */
const char *hosts_others_array(const struct host *host);
/* Whose it is, as PostgreSQL says or as all agents do. NULL: not known here. Where there is one
 * host, it is that. */
struct host *hosts_of_run(const struct hosts *hosts, const char *run);

/* ---- the catalogue ---- */

/* All catalogues as one document, or NULL: none is known. Valid until the loop runs again. */
const char *hosts_catalog(struct hosts *hosts, size_t *ret_len);
/* That of one host, in the same form. New text, or NULL. */
char *hosts_catalog_of(const struct hosts *hosts, const struct host *host);
/* A hub has another catalogue than before. */
void hosts_on_catalog(struct hosts *hosts);
/* Asks those again whose catalogue is not known. */
void hosts_want_catalogs(struct hosts *hosts);

/* ---- all of them together ---- */

/* Sums; state is that of who has the most to do. */
void hosts_archiver_status(const struct hosts *hosts, struct archiver_status *ret_status);

#endif
