/*
 * Whose run it is. Where there is one host it is that one's. Otherwise: what ops.runs says, or said
 * lately (hosts.h). Where it says nothing an agent is believed about a run that it alone has; one
 * that two say they have is nobody's. Numbers are per host, so one may name several runs.
 */
#ifndef OPS_CORE_APP_HOSTS_RUNFIND_H
#define OPS_CORE_APP_HOSTS_RUNFIND_H

#include "core/app/hosts/host.h"
#include "core/app/hosts/hosts.h"
#include "core/web/request.h"

/* For a person: -EEXIST, the code contested_run. */
#define RUNFIND_CONTESTED                                                                          \
	"Several agents say that this run is theirs, and the database does not say whose it is."

struct runfind;
struct server;

struct runfind_reply {
	/* 0; -ENOENT: no such run; -ENOTUNIQ: several; -EEXIST: RUNFIND_CONTESTED; -EAGAIN: not all
	 * could be asked, and it was not found; -ECANCELED: the daemon closes */
	int err;
	struct host *host;   /* NULL with err 0: of a host that is not here, the database has it */
	const char *run;     /* what to ask for: as given, or its UUID */
	const char *choices; /* -ENOTUNIQ: [{"host":…,"id":…},…] */
};

typedef void (*runfind_fn)(const struct runfind_reply *reply, void *arg);

/* run: a UUID or number; host: whose number, "" for any. cb comes once: before it returns, when
 * that is known (NULL is returned then), else later. All of the reply is valid during the call. */
struct runfind *runfind_start(
	struct server *server, const char *run, const char *host, runfind_fn cb, void *arg);
/* cb will not come any more. NULL is fine. */
void runfind_forget(struct runfind *find);

/* Finds the run of the path's {id}, as the parameter `host` may say, notes both with the request
 * (host_of(), caller_run()), and calls go; host NULL: see above. Or answers: 400, 404, 409, 503. */
void runfind_request(struct request *req, void (*go)(struct request *req, struct host *host));
/* Asks the host that was found for the run's document (MSG_RUN_GET); cb gets the request, later. */
void runfind_ask(struct request *req, struct host *host, link_reply_fn cb);

#endif
