#include "agent/probes/host.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "core/base/file.h"

#define CPU_WARN_TENTHS 950
#define CPU_RISE 6 /* looks in a row: a busy second is no news */
#define MEMORY_WARN_TENTHS 900
#define MEMORY_BAD_TENTHS 960
#define SWAP_WARN_TENTHS 800
#define STALL_WARN_TENTHS 100 /* of the last ten seconds, everything waited for memory */
#define HOT_WARN 85	      /* degrees Celsius */
#define HOT_BAD 95
#define FALL 3
#define MAX_SENSORS 16

/* A kernel file as text; "" when it is not there. To be freed. */
static char *slurp(const struct host *host, const char *path)
{
	char *full = xasprintf("%s%s", host->root != NULL ? host->root : "", path);
	struct err err = {0};
	struct buf text;
	char *result = NULL;

	buf_init(&text, HOST_MAX_FILE);
	/* a file that is too long is cut at its maximum by being refused: none of these are */
	if (file_read(AT_FDCWD, full, &text, &err) == 0)
		result = buf_take_str(&text);
	buf_fini(&text);
	free(full);
	return result != NULL ? result : xstrdup("");
}

static int64_t share_tenths(uint64_t part, uint64_t whole)
{
	return whole != 0 ? (int64_t)(part * 1000 / whole) : 0;
}

static void add_pressure(struct finding *f, const char *key, const char *text, const char *line)
{
	int64_t tenths = host_parse_pressure(text, line);

	if (tenths >= 0)
		finding_tenths(f, key, tenths);
}

/* ---- processor ---- */

static int64_t cpu_used(const struct host_cpu *before, const struct host_cpu *now)
{
	if (now->total <= before->total || now->busy < before->busy)
		return 0;
	return share_tenths(now->busy - before->busy, now->total - before->total);
}

static void look_cpu(struct host *host, const char *stat, struct report *report)
{
	static const char *const keys[] = {"load1", "load5", "load15"};
	struct host_cpu *now = xcalloc(HOST_MAX_CPUS + 1, sizeof(*now));
	char *load = slurp(host, "/proc/loadavg"), *pressure = slurp(host, "/proc/pressure/cpu");
	struct finding *f;
	uint64_t boot_s;
	size_t n = host_parse_stat(stat, now, &boot_s);
	unsigned whole[3] = {0}, hundredths[3] = {0};
	int64_t used = cpu_used(&host->cpus[0], &now[0]);

	f = report_begin(report, "cpu", "CPU");
	f->rise = CPU_RISE;
	f->fall = FALL;
	/* the first look has nothing to compare with */
	if (host->looked_us != 0) {
		finding_tenths(f, "used_pct", used);
		json_key(&f->json, "cores_pct");
		json_open_array(&f->json);
		for (size_t i = 1; i <= MIN(n, host->n_cpus); i++)
			json_int(&f->json, cpu_used(&host->cpus[i], &now[i]) / 10);
		json_close_array(&f->json);
		if (used >= CPU_WARN_TENTHS)
			finding_raise(f, LEVEL_WARN, "cpu_busy", "%d %% in use for a while",
				(int)(used / 10));
	}
	json_kv_uint(&f->json, "cores", n);
	(void)sscanf(load, "%u.%2u %u.%2u %u.%2u", &whole[0], &hundredths[0], &whole[1],
		&hundredths[1], &whole[2], &hundredths[2]);
	for (size_t i = 0; i < 3; i++) {
		char text[32];
		int len = snprintf(text, sizeof(text), "%u.%02u", whole[i], hundredths[i]);

		json_key(&f->json, keys[i]);
		json_raw(&f->json, text, (size_t)len);
	}
	add_pressure(f, "waiting_pct", pressure, "some");
	report_end(report);
	memcpy(host->cpus, now, (n + 1) * sizeof(*now));
	host->n_cpus = n;
	free(now);
	free(load);
	free(pressure);
}

/* ---- memory ---- */

static void look_memory(struct host *host, struct report *report)
{
	char *text = slurp(host, "/proc/meminfo"), *pressure = slurp(host, "/proc/pressure/memory");
	char *vmstat = slurp(host, "/proc/vmstat");
	uint64_t total = host_parse_meminfo(text, "MemTotal");
	uint64_t available = MIN(host_parse_meminfo(text, "MemAvailable"), total);
	uint64_t swap = host_parse_meminfo(text, "SwapTotal");
	uint64_t swap_used = swap - MIN(host_parse_meminfo(text, "SwapFree"), swap);
	int64_t used = share_tenths(total - available, total);
	int64_t stall = host_parse_pressure(pressure, "full");
	struct finding *f = report_begin(report, "memory", "Memory");

	f->rise = f->fall = FALL;
	finding_tenths(f, "used_pct", used);
	json_kv_uint(&f->json, "total", total);
	json_kv_uint(&f->json, "used", total - available);
	json_kv_uint(&f->json, "available", available);
	json_kv_uint(&f->json, "oom_kills", host_parse_vmstat(vmstat, "oom_kill"));
	add_pressure(f, "waiting_pct", pressure, "some");
	if (used >= MEMORY_WARN_TENTHS)
		finding_raise(f, used >= MEMORY_BAD_TENTHS ? LEVEL_BAD : LEVEL_WARN, "memory_used",
			"%d %% in use", (int)(used / 10));
	if (stall >= STALL_WARN_TENTHS)
		finding_raise(f, LEVEL_WARN, "memory_stall",
			"everything waits for memory %d %% of the time", (int)(stall / 10));
	report_end(report);
	if (swap != 0) {
		used = share_tenths(swap_used, swap);
		f = report_begin(report, "swap", "Swap");
		f->rise = f->fall = FALL;
		finding_tenths(f, "used_pct", used);
		json_kv_uint(&f->json, "total", swap);
		json_kv_uint(&f->json, "used", swap_used);
		if (used >= SWAP_WARN_TENTHS)
			finding_raise(f, LEVEL_WARN, "swap_used", "%d %% in use", (int)(used / 10));
		report_end(report);
	}
	free(text);
	free(pressure);
	free(vmstat);
}

/* ---- network and disks ---- */

static const struct host_device *before(const struct host_devices *devices, const char *name)
{
	for (size_t i = 0; i < devices->n; i++) {
		if (strcmp(devices->list[i].name, name) == 0)
			return &devices->list[i];
	}
	return NULL;
}

static uint64_t rate(uint64_t then, uint64_t now, uint64_t us)
{
	/* a counter that went back began anew */
	return now >= then ? (uint64_t)((double)(now - then) * 1e6 / (double)us) : 0;
}

struct rates {
	uint64_t in, out, busy_pct; /* sums; busy_pct: of the busiest */
};

static struct rates write_rates(struct finding *f, const struct host_devices *then,
	const struct host_devices *now, uint64_t us, bool disks)
{
	struct rates sum = {0};

	json_key(&f->json, disks ? "devices" : "interfaces");
	json_open_array(&f->json);
	for (size_t i = 0; i < now->n; i++) {
		const struct host_device *device = &now->list[i], *old = before(then, device->name);
		uint64_t in, out, busy;

		if (old == NULL)
			continue;
		in = rate(old->in, device->in, us);
		out = rate(old->out, device->out, us);
		busy = MIN(rate(old->busy_ms, device->busy_ms, us) / 10, UINT64_C(100));
		json_open_object(&f->json);
		json_kv_str(&f->json, "name", device->name);
		json_kv_uint(&f->json, disks ? "read_bps" : "rx_bps", in);
		json_kv_uint(&f->json, disks ? "write_bps" : "tx_bps", out);
		if (disks)
			json_kv_uint(&f->json, "busy_pct", busy);
		json_close_object(&f->json);
		sum.in += in;
		sum.out += out;
		sum.busy_pct = MAX(sum.busy_pct, busy);
	}
	json_close_array(&f->json);
	return sum;
}

static void look_devices(struct host *host, uint64_t mono_us, bool disks, struct report *report)
{
	char *text = slurp(host, disks ? "/proc/diskstats" : "/proc/net/dev");
	struct host_devices *then = disks ? &host->disks : &host->net;
	struct host_devices *now = xcalloc(1, sizeof(*now));
	struct finding *f;
	struct rates sum;

	if (disks)
		host_parse_disks(text, now);
	else
		host_parse_net(text, now);
	if (now->n != 0) {
		f = report_begin(report, disks ? "io" : "network", disks ? "Disk I/O" : "Network");
		if (host->looked_us != 0 && mono_us > host->looked_us) {
			sum = write_rates(f, then, now, mono_us - host->looked_us, disks);
			json_kv_uint(&f->json, disks ? "read_bps" : "rx_bps", sum.in);
			json_kv_uint(&f->json, disks ? "write_bps" : "tx_bps", sum.out);
			if (disks)
				json_kv_uint(&f->json, "busy_pct", sum.busy_pct);
		}
		report_end(report);
	}
	*then = *now;
	free(now);
	free(text);
}

/* ---- temperature and system ---- */

static void look_temperature(struct host *host, struct report *report)
{
	int64_t hottest = INT64_MIN;
	char sensor[64] = "";
	struct finding *f;

	for (int i = 0; i < MAX_SENSORS; i++) {
		char path[64];
		char *text;

		snprintf(path, sizeof(path), "/sys/class/thermal/thermal_zone%d/temp", i);
		text = slurp(host, path);
		if (text[0] != '\0' && strtoll(text, NULL, 10) / 100 > hottest) {
			char *type;

			hottest = strtoll(text, NULL, 10) / 100;
			snprintf(path, sizeof(path), "/sys/class/thermal/thermal_zone%d/type", i);
			type = slurp(host, path);
			snprintf(sensor, sizeof(sensor), "%.*s", (int)strcspn(type, "\n"), type);
			free(type);
		}
		free(text);
	}
	if (hottest == INT64_MIN)
		return;
	f = report_begin(report, "temperature", "Temperature");
	f->rise = f->fall = FALL;
	finding_tenths(f, "celsius", hottest);
	json_kv_str(&f->json, "sensor", sensor);
	if (hottest >= HOT_WARN * 10)
		finding_raise(f, hottest >= HOT_BAD * 10 ? LEVEL_BAD : LEVEL_WARN, "too_hot",
			"%d °C", (int)(hottest / 10));
	report_end(report);
}

static void look_system(struct host *host, const char *stat, struct report *report)
{
	struct finding *f = report_begin(report, "system", "System");
	char *release = slurp(host, "/etc/os-release");
	char *uptime = slurp(host, "/proc/uptime");
	const char *name = strstr(release, "PRETTY_NAME=\"");
	char *flag = xasprintf("%s/run/reboot-required", host->root != NULL ? host->root : "");
	struct host_cpu *cpus = xcalloc(HOST_MAX_CPUS + 1, sizeof(*cpus));
	bool reboot = access(flag, F_OK) == 0;
	struct utsname kernel;
	uint64_t boot_s;

	(void)host_parse_stat(stat, cpus, &boot_s);
	json_kv_uint(&f->json, "uptime_s", strtoull(uptime, NULL, 10));
	json_kv_uint(&f->json, "booted_us", boot_s * UINT64_C(1000000));
	if (uname(&kernel) == 0)
		json_kv_str(&f->json, "kernel", kernel.release);
	if (name != NULL) {
		name += sizeof("PRETTY_NAME=\"") - 1;
		json_key(&f->json, "os");
		json_strn(&f->json, name, strcspn(name, "\"\n"));
	}
	json_kv_bool(&f->json, "reboot_required", reboot);
	if (reboot)
		finding_raise(
			f, LEVEL_WARN, "restart_needed", "a restart is needed to finish updates");
	report_end(report);
	free(release);
	free(uptime);
	free(flag);
	free(cpus);
}

void host_look(struct host *host, uint64_t mono_us, struct report *report)
{
	char *stat = slurp(host, "/proc/stat");

	look_cpu(host, stat, report);
	look_memory(host, report);
	look_devices(host, mono_us, false, report);
	look_devices(host, mono_us, true, report);
	look_temperature(host, report);
	look_system(host, stat, report);
	host->looked_us = mono_us;
	free(stat);
}
