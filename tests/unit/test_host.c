#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "agent/probes/host.h"

static void reads_processor_ticks(void **state)
{
	static struct host_cpu cpus[HOST_MAX_CPUS + 1];
	uint64_t boot_s;

	(void)state;
	assert_int_equal(host_parse_stat("cpu  10 1 5 100 4 0 2 0 0 0\n"
					 "cpu0 6 1 3 50 2 0 1 0 0 0\n"
					 "cpu1 4 0 2 50 2 0 1 0 0 0\n"
					 "intr 123\nbtime 1700000000\n",
				 cpus, &boot_s),
		2);
	assert_int_equal(cpus[0].total, 122);
	assert_int_equal(cpus[0].busy, 18);
	assert_int_equal(cpus[2].busy, 7);
	assert_int_equal(boot_s, 1700000000);
	assert_int_equal(host_parse_stat("cpu\ncpu0\n", cpus, &boot_s), 2);
	assert_int_equal(cpus[1].total, 0);
}

static void keeps_to_its_tables(void **state)
{
	static struct host_cpu cpus[HOST_MAX_CPUS + 1];
	static struct host_devices devices;
	static char text[64 * 400];
	uint64_t boot_s;
	size_t at = 0;

	(void)state;
	for (int i = 0; i < 400; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "cpu%d 1 1 1 1\n", i);
	assert_int_equal(host_parse_stat(text, cpus, &boot_s), HOST_MAX_CPUS);
	at = 0;
	for (int i = 0; i < 400; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at,
			" eth%d: 1 0 0 0 0 0 0 0 2 0 0 0 0 0 0 0\n", i);
	host_parse_net(text, &devices);
	assert_int_equal(devices.n, HOST_MAX_DEVICES);
}

static void reads_memory_and_counters(void **state)
{
	const char *text = "MemTotal:       1000 kB\nMemAvailable:    250 kB\n";

	(void)state;
	assert_int_equal(host_parse_meminfo(text, "MemTotal"), 1024000);
	assert_int_equal(host_parse_meminfo(text, "Mem"), 0);
	assert_int_equal(host_parse_vmstat("oom_kill_x 9\noom_kill 3\n", "oom_kill"), 3);
	assert_int_equal(
		host_parse_pressure("some avg10=12.34 avg60=0.00\nfull avg10=0.09\n", "some"), 123);
	assert_int_equal(host_parse_pressure("some avg10=12.34\nfull avg10=0.09\n", "full"), 0);
	assert_int_equal(host_parse_pressure("", "full"), -1);
}

static void counts_each_byte_on_one_interface(void **state)
{
	static struct host_devices devices;

	(void)state;
	host_parse_net("Inter-|   Receive\n face |bytes\n"
		       "    lo: 9 0 0 0 0 0 0 0 9 0 0 0 0 0 0 0\n"
		       "  eth0: 70 1 2 3 4 5 6 7 80 0 0 0 0 0 0 0\n"
		       "veth12: 9 0 0 0 0 0 0 0 9 0 0 0 0 0 0 0\n"
		       "broken: 1 2\n",
		&devices);
	assert_int_equal(devices.n, 1);
	assert_string_equal(devices.list[0].name, "eth0");
	assert_int_equal(devices.list[0].in, 70);
	assert_int_equal(devices.list[0].out, 80);
}

static void counts_each_byte_on_one_disk(void **state)
{
	static struct host_devices devices;

	(void)state;
	host_parse_disks("   8 0 sda 1 2 10 4 5 6 20 8 0 99 11\n"
			 "   8 1 sda1 1 2 10 4 5 6 20 8 0 99 11\n"
			 " 259 0 nvme0n1 1 2 1 4 5 6 2 8 0 98 11\n"
			 " 259 1 nvme0n1p1 1 2 1 4 5 6 2 8 0 98 11\n"
			 "   7 0 loop0 1 2 10 4 5 6 20 8 0 99 11\n",
		&devices);
	assert_int_equal(devices.n, 2);
	assert_string_equal(devices.list[0].name, "sda");
	assert_int_equal(devices.list[0].in, 5120);
	assert_int_equal(devices.list[0].out, 10240);
	assert_int_equal(devices.list[0].busy_ms, 99);
	assert_string_equal(devices.list[1].name, "nvme0n1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_processor_ticks),
		cmocka_unit_test(keeps_to_its_tables),
		cmocka_unit_test(reads_memory_and_counters),
		cmocka_unit_test(counts_each_byte_on_one_interface),
		cmocka_unit_test(counts_each_byte_on_one_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
