/* Runs a fuzz target over every file of the folders given: the corpus as an ordinary test. */
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "fuzz.h"

#define MAX_INPUT_BYTES (4u << 20)

/* The file's bytes go to the target in memory of exactly their size, so that a sanitizer sees any
 * read past them. */
static int replay_file(const char *path)
{
	FILE *file = fopen(path, "re");
	uint8_t *bytes, *exact;
	size_t n;

	if (file == NULL) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	bytes = malloc(MAX_INPUT_BYTES);
	if (bytes == NULL)
		abort();
	n = fread(bytes, 1, MAX_INPUT_BYTES, file);
	fclose(file);
	exact = malloc(n > 0 ? n : 1);
	if (exact == NULL)
		abort();
	memcpy(exact, bytes, n);
	free(bytes);
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	return 0;
}

static int replay_folder(const char *folder, unsigned *count)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	char path[4096];
	int failed = 0;

	if (dir == NULL) {
		fprintf(stderr, "%s: %s\n", folder, strerror(errno));
		return 1;
	}
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		fprintf(stderr, "%s\n", path); /* so that a crash names its input */
		failed |= replay_file(path);
		(*count)++;
	}
	closedir(dir);
	return failed;
}

int main(int argc, char **argv)
{
	unsigned count = 0;
	int failed = 0;

	for (int i = 1; i < argc; i++)
		failed |= replay_folder(argv[i], &count);
	if (count == 0) {
		fprintf(stderr, "no inputs\n");
		return 1;
	}
	printf("%u inputs\n", count);
	return failed;
}
