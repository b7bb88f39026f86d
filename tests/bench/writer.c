/* writer MIB BLOCK: writes MIB MiB to standard output in write(2) calls of BLOCK bytes, lines of 64
 * bytes: the command whose output the benchmarks carry. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_BLOCK (1u << 20)
#define LINE 64

int main(int argc, char **argv)
{
	static char block[MAX_BLOCK];
	unsigned long long left;
	size_t size;

	if (argc != 3) {
		fputs("usage: writer MIB BLOCK\n", stderr);
		return 64;
	}
	left = strtoull(argv[1], NULL, 10) << 20;
	size = strtoul(argv[2], NULL, 10);
	if (size == 0 || size > MAX_BLOCK)
		return 64;
	for (size_t i = 0; i < size; i++)
		block[i] = i % LINE == LINE - 1 || i == size - 1 ? '\n' : (char)('a' + i % 26);
	while (left != 0) {
		size_t want = left < size ? (size_t)left : size;
		ssize_t n = write(STDOUT_FILENO, block, want);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return 1;
		left -= (unsigned long long)n;
	}
	return 0;
}
