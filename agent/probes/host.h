/*
 * The host itself from /proc and /sys: processor, memory, swap, network, disk I/O, temperature,
 * system. Only kernel text is read, each file at most HOST_MAX_FILE bytes; nothing of it can hang,
 * so it is looked at in the probes' own process, which holds the counters of the look before.
 */
#ifndef OPS_AGENT_PROBES_HOST_H
#define OPS_AGENT_PROBES_HOST_H

#include <stdint.h>

#include "agent/probes/report.h"

#define HOST_MAX_FILE (256u << 10)
#define HOST_MAX_CPUS 256
#define HOST_MAX_DEVICES 32 /* network interfaces; disks likewise */
#define HOST_MAX_NAME 32

struct host_cpu {
	uint64_t busy, total; /* clock ticks */
};

struct host_device {
	char name[HOST_MAX_NAME];
	uint64_t in, out; /* bytes: received and sent, or read and written */
	uint64_t busy_ms; /* disks: with something to do */
};

struct host_devices {
	struct host_device list[HOST_MAX_DEVICES];
	size_t n;
};

struct host {
	const char *root;   /* "" outside of tests: what stands before /proc and /sys */
	uint64_t looked_us; /* monotonic; 0: never */
	struct host_cpu cpus[HOST_MAX_CPUS + 1]; /* the first is all of them */
	size_t n_cpus;				 /* beside it */
	struct host_devices net, disks;
};

/* Looks and adds what it found to the report. */
void host_look(struct host *host, uint64_t mono_us, struct report *report);

/* ---- host_parse.c: pure, over the kernel's text; what does not fit the form is left out ---- */

/* /proc/stat: fills cpus (HOST_MAX_CPUS + 1); returns how many beside the first. */
size_t host_parse_stat(const char *text, struct host_cpu *cpus, uint64_t *ret_boot_s);
/* A line "Name:  123 kB" of /proc/meminfo, in bytes; 0 when there is none. */
uint64_t host_parse_meminfo(const char *text, const char *name);
/* A line "name 123" of /proc/vmstat; 0 when there is none. */
uint64_t host_parse_vmstat(const char *text, const char *name);
/* avg10 of the line `some` or `full` of a pressure file in tenths of a percent; -1: none. */
int64_t host_parse_pressure(const char *text, const char *line);
void host_parse_net(const char *text, struct host_devices *devices);
void host_parse_disks(const char *text, struct host_devices *devices);

#endif
