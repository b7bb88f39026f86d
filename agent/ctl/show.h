/* What opsctl prints for people: tables and one run, from the agent's JSON documents. Text of
 * others loses its control characters; colours only on a terminal. */
#ifndef OPS_AGENT_CTL_SHOW_H
#define OPS_AGENT_CTL_SHOW_H

#include <jansson.h>

void show_catalog(const json_t *catalog);
/* The flow or command of that name, borrowed, or NULL. */
const json_t *show_find_entry(const json_t *catalog, const char *id);
/* One entry, which is there: inputs, and what it executes. */
void show_entry(const json_t *catalog, const char *id);
/* One a line: ids, or, with an id that is there, its inputs as `name=`. */
void show_names(const json_t *catalog, const char *id);
void show_runs(const json_t *runs); /* an array of run documents */
void show_numbers(const json_t *runs);
void show_run(const json_t *run);
/* {agent, config_error, runs} */
void show_status(const json_t *status);
/* The lines `name: what is wrong` of a refused start go to standard error elsewhere; this prints
 * the plan of a dry run. */
void show_plan(const json_t *plan);
/* As one line of JSON. */
void show_json(const json_t *document);

#endif
