/*
 * What a target is: bytes in, no crash, no sanitizer report, and every FUZZ_CHECK() holds. Built
 * with libFuzzer (meson option fuzz) it searches for inputs; in ordinary builds replay.c runs it
 * over the committed corpus.
 */
#ifndef OPS_TESTS_FUZZ_H
#define OPS_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition)                                                                      \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__,           \
				#condition);                                                       \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

#endif
