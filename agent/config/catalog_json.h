/*
 * The catalogue document:
 *
 *	{"config_digest":…,
 *	 "commands":[{id,title,description,group,icon,inputs,confirm,danger,timeout_us,kill_after_us,
 *	              user,argv_shape:[…],outputs:[…]}],
 *	 "flows":[{id,title,description,icon,inputs,confirm,danger,timeout_us,schedule,
 *	           steps:[{index,id,uses,title,phase,needs:[index…],approve}]}]}
 *
 * inputs: [{name,type,title,description,required,default,min,max,max_length,pattern,values,under,
 * schemes}]; what an input does not have is null. default is a number for `int`, a boolean for
 * `bool`, else a string; a secret has none. danger is "low" or "high". argv_shape is the argv with
 * references as written, "--db=${inputs.db}". schedule is null for a flow that has none.
 */
#ifndef OPS_AGENT_CONFIG_CATALOG_JSON_H
#define OPS_AGENT_CONFIG_CATALOG_JSON_H

#include "agent/config/catalog.h"
#include "core/base/json.h"

/* Writes the rules of a flow that has a schedule: [{cron,timezone,catch_up_us,next_us,paused}]. */
typedef void (*catalog_rules_fn)(const struct catalog_flow *flow, struct json *json, void *arg);

/* rules may be NULL: then schedule is null throughout. */
void catalog_write_json(
	const struct catalog *catalog, catalog_rules_fn rules, void *arg, struct json *json);

#endif
