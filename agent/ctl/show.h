/* What opsctl prints for people: tables and one run, from the agent's JSON documents. */
#ifndef OPS_AGENT_CTL_SHOW_H
#define OPS_AGENT_CTL_SHOW_H

#include <jansson.h>

void show_catalog(const json_t *catalog);
void show_runs(const json_t *runs); /* an array of run documents */
void show_run(const json_t *run);
/* The lines `name: what is wrong` of a refused start go to standard error elsewhere; this prints
 * the plan of a dry run. */
void show_plan(const json_t *plan);

#endif
