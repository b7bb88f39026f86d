#include "agent/probes/host.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The text behind the line's end, or its own end. */
static const char *next_line(const char *line)
{
	const char *end = strchr(line, '\n');

	return end != NULL ? end + 1 : line + strlen(line);
}

static void parse_cpu(const char *line, struct host_cpu *cpu)
{
	uint64_t v[8] = {0};
	int n = sscanf(line,
		"%*s %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
		" %" SCNu64 " %" SCNu64,
		&v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7]);

	*cpu = (struct host_cpu){0};
	if (n < 4)
		return;
	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		cpu->total += v[i];
	cpu->busy = cpu->total - v[3] - v[4]; /* idle, waiting for I/O */
}

size_t host_parse_stat(const char *text, struct host_cpu *cpus, uint64_t *ret_boot_s)
{
	size_t n = 0;

	cpus[0] = (struct host_cpu){0};
	*ret_boot_s = 0;
	for (; *text != '\0'; text = next_line(text)) {
		if (strncmp(text, "cpu ", 4) == 0)
			parse_cpu(text, &cpus[0]);
		else if (strncmp(text, "cpu", 3) == 0 && n < HOST_MAX_CPUS)
			parse_cpu(text, &cpus[++n]);
		else if (strncmp(text, "btime ", 6) == 0)
			*ret_boot_s = strtoull(text + 6, NULL, 10);
	}
	return n;
}

uint64_t host_parse_meminfo(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (; *text != '\0'; text = next_line(text)) {
		if (strncmp(text, name, len) == 0 && text[len] == ':')
			return strtoull(text + len + 1, NULL, 10) * 1024;
	}
	return 0;
}

uint64_t host_parse_vmstat(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (; *text != '\0'; text = next_line(text)) {
		if (strncmp(text, name, len) == 0 && text[len] == ' ')
			return strtoull(text + len + 1, NULL, 10);
	}
	return 0;
}

int64_t host_parse_pressure(const char *text, const char *line)
{
	unsigned whole, hundredths;
	size_t len = strlen(line);

	for (; *text != '\0'; text = next_line(text)) {
		if (strncmp(text, line, len) == 0 &&
			sscanf(text + len, " avg10=%u.%2u", &whole, &hundredths) == 2)
			return (int64_t)whole * 10 + hundredths / 10;
	}
	return -1;
}

static struct host_device *add(struct host_devices *devices, const char *name, size_t len)
{
	struct host_device *device;

	if (devices->n == HOST_MAX_DEVICES || len == 0 || len >= HOST_MAX_NAME)
		return NULL;
	device = &devices->list[devices->n++];
	*device = (struct host_device){0};
	memcpy(device->name, name, len);
	device->name[len] = '\0';
	return device;
}

/* Interfaces that carry what others carry already would be counted twice. */
static bool is_virtual(const char *name, size_t len)
{
	static const char *const prefixes[] = {
		"lo", "veth", "docker", "br-", "virbr", "ifb", "tap"};

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		size_t n = strlen(prefixes[i]);

		if (len >= n && strncmp(name, prefixes[i], n) == 0)
			return true;
	}
	return false;
}

void host_parse_net(const char *text, struct host_devices *devices)
{
	devices->n = 0;
	for (; *text != '\0'; text = next_line(text)) {
		const char *name = text + strspn(text, " ");
		const char *colon = name + strcspn(name, ":\n");
		struct host_device *device;
		uint64_t in, out;

		if (*colon != ':' || is_virtual(name, (size_t)(colon - name)) ||
			sscanf(colon + 1, " %" SCNu64 " %*u %*u %*u %*u %*u %*u %*u %" SCNu64, &in,
				&out) != 2)
			continue;
		device = add(devices, name, (size_t)(colon - name));
		if (device != NULL) {
			device->in = in;
			device->out = out;
		}
	}
}

/* Whole disks: not partitions, loop and RAM devices, nor what is made of other disks. */
static bool is_disk(const char *name)
{
	size_t len = strlen(name);

	if (strncmp(name, "nvme", 4) == 0 || strncmp(name, "mmcblk", 6) == 0)
		return strchr(name, 'p') == NULL;
	return (strncmp(name, "sd", 2) == 0 || strncmp(name, "vd", 2) == 0 ||
		       strncmp(name, "xvd", 3) == 0 || strncmp(name, "hd", 2) == 0) &&
	       (name[len - 1] < '0' || name[len - 1] > '9');
}

void host_parse_disks(const char *text, struct host_devices *devices)
{
	devices->n = 0;
	for (; *text != '\0'; text = next_line(text)) {
		char name[HOST_MAX_NAME];
		uint64_t in, out, busy_ms;
		struct host_device *device;

		if (sscanf(text,
			    " %*u %*u %31s %*u %*u %" SCNu64 " %*u %*u %*u %" SCNu64
			    " %*u %*u %" SCNu64,
			    name, &in, &out, &busy_ms) != 4 ||
			!is_disk(name))
			continue;
		device = add(devices, name, strlen(name));
		if (device != NULL) {
			device->in = in * 512;
			device->out = out * 512;
			device->busy_ms = busy_ms;
		}
	}
}
