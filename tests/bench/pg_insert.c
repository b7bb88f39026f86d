/*
 * pg_insert URL FILE COPY_FILE: what the archiver is measured against. The bytes of FILE go into
 * bench.load in rows of 64 KiB, pipelined, 16 rows a transaction, on one blocking connection; the
 * same rows are written to COPY_FILE as PostgreSQL's binary COPY format first, for psql's \copy.
 * Prints the seconds that the inserts took.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ROW_BYTES (64u << 10)
#define ROWS_PER_SYNC 16
#define OID_INT8 20
#define OID_BYTEA 17

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
	fprintf(stderr, "pg_insert: %s\n", what);
	exit(1);
}

static void write_copy_file(const char *path, const uint8_t *data, size_t n)
{
	static const char signature[] = "PGCOPY\n\377\r\n";
	const uint32_t zero = 0, eight = htonl(8);
	const uint16_t two = htons(2), end = 0xffff;
	FILE *f = fopen(path, "w");

	if (f == NULL)
		die("the COPY file cannot be made");
	fwrite(signature, 1, sizeof(signature), f);
	fwrite(&zero, 1, 4, f);
	fwrite(&zero, 1, 4, f);
	for (size_t at = 0; at < n; at += ROW_BYTES) {
		const size_t len = n - at < ROW_BYTES ? n - at : ROW_BYTES;
		const uint64_t offset = htobe64(at);
		const uint32_t size = htonl((uint32_t)len);

		fwrite(&two, 1, 2, f);
		fwrite(&eight, 1, 4, f);
		fwrite(&offset, 1, 8, f);
		fwrite(&size, 1, 4, f);
		fwrite(data + at, 1, len, f);
	}
	fwrite(&end, 1, 2, f);
	if (fclose(f) != 0)
		die("the COPY file cannot be written");
}

static void send_row(PGconn *conn, const uint8_t *data, size_t at, size_t len)
{
	const uint64_t offset = htobe64(at);
	const char *values[] = {(const char *)&offset, (const char *)data + at};
	const int lengths[] = {8, (int)len}, formats[] = {1, 1};
	const Oid types[] = {OID_INT8, OID_BYTEA};

	if (PQsendQueryParams(conn, "INSERT INTO bench.load VALUES ($1, $2)", 2, types, values,
		    lengths, formats, 1) == 0)
		die(PQerrorMessage(conn));
}

/* All results up to the sync; blocking. */
static void take_results(PGconn *conn)
{
	bool synced = false;
	while (!synced) {
		PGresult *res = PQgetResult(conn);
		if (res == NULL)
			continue;
		ExecStatusType status = PQresultStatus(res);
		if (status == PGRES_PIPELINE_SYNC)
			synced = true;
		else if (status != PGRES_COMMAND_OK)
			die(PQresultErrorMessage(res));
		PQclear(res);
	}
}

int main(int argc, char **argv)
{
	struct stat st;
	if (argc != 4)
		die("usage: pg_insert URL FILE COPY_FILE");
	int fd = open(argv[2], O_RDONLY);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size == 0)
		die("the file cannot be read");
	size_t n = (size_t)st.st_size;
	const uint8_t *data = mmap(NULL, n, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (data == MAP_FAILED)
		die("mmap");
	write_copy_file(argv[3], data, n);
	PGconn *conn = PQconnectdb(argv[1]);
	if (PQstatus(conn) != CONNECTION_OK || PQenterPipelineMode(conn) == 0)
		die(PQerrorMessage(conn));
	double start = now_s();
	unsigned rows = 0;
	for (size_t at = 0; at < n; at += ROW_BYTES) {
		send_row(conn, data, at, n - at < ROW_BYTES ? n - at : ROW_BYTES);
		if (++rows % ROWS_PER_SYNC == 0 || n - at <= ROW_BYTES) {
			if (PQpipelineSync(conn) == 0)
				die(PQerrorMessage(conn));
			take_results(conn);
		}
	}
	printf("{\"seconds\":%.4f}\n", now_s() - start);
	PQfinish(conn);
	return 0;
}
