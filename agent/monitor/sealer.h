/*
 * Sealing, as the monitor sees it: starts the process of monitor/seal.h some time after runs have
 * ended, writes what it reports into the ledger, and marks the runs. What was not sealed when the
 * agent ended is found by the first look of the next one.
 *
 * A mark is made after the ledger is on disk, so a run with a mark whose seal the ledger lacks
 * tells that events were cut away.
 */
#ifndef OPS_AGENT_MONITOR_SEALER_H
#define OPS_AGENT_MONITOR_SEALER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SEALER_PAUSE_US 2000000			 /* from a run's end to the look that finds it */
#define SEALER_RETRY_US (UINT64_C(60) * 1000000) /* after a look that failed; doubles… */
#define SEALER_RETRY_MAX_US (UINT64_C(3600) * 1000000) /* …up to this */
#define SEALER_BATCH 64				       /* reports taken in one turn of the loop */

struct monitor;

struct sealer {
	pid_t pid;		   /* 0: none runs */
	int fd;			   /* its reports; -1: none */
	uint64_t due_us, retry_us; /* monotonic; due_us 0: nothing to look for */
};

void sealer_init(struct sealer *sealer);
/* Runs have ended, or are there since before the start. */
void sealer_want(struct sealer *sealer, uint64_t now_us);
/* Starts the process when that is due. Returns when to be called again; 0: not by time. */
uint64_t sealer_step(struct monitor *m, uint64_t now_us);
/* sealer.fd is readable. */
void sealer_serve(struct monitor *m);
/* A child has exited; whether it was this one. */
bool sealer_exited(struct monitor *m, pid_t pid, int status);
void sealer_stop(struct sealer *sealer);

#endif
