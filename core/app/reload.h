/*
 * SIGHUP: the configuration is read again (ENV_FILE and every NAME_FILE; the environment of a
 * process does not change) and what can change while runs are watched is changed.
 */
#ifndef OPS_CORE_APP_RELOAD_H
#define OPS_CORE_APP_RELOAD_H

#include "core/app/config/config.h"
#include "core/app/server.h"

/* Reads envp and, when all of it is right, takes it over into cfg, which is server->cfg: secrets,
 * sign-in, origin, proxies, log, agents. A change of the sign-in ends every session, one of an
 * agent's secret makes its connection anew; agents that are new or gone are opened and closed. What
 * needs a restart keeps its value and is named in the log; a configuration that is wrong is named
 * there too and changes nothing. Blocking file reads. */
void server_reload(struct server *server, struct config *cfg, char *const envp[]);

#endif
