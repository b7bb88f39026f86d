/* Reading tests/vectors/ in tests. Whatever is wrong with the files fails the test. */
#ifndef OPS_TESTS_VECTORS_H
#define OPS_TESTS_VECTORS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* A file below the source root, read whole, with a NUL behind it; free() it. */
char *vectors_read_text(const char *path, size_t *ret_len);
/* tests/vectors/NAME.json; json_decref() it. */
json_t *vectors_load(const char *name);
/* A member that must be there. */
const char *vectors_str(const json_t *object, const char *key);
uint64_t vectors_uint(const json_t *object, const char *key); /* a number or a decimal string */
json_t *vectors_array(const json_t *object, const char *key);
/* The bytes of a member in hex, in memory of exactly that size (so that a sanitizer sees reads
 * past it); free() it. */
uint8_t *vectors_bytes(const json_t *object, const char *key, size_t *ret_len);
/* Fails, naming the vector, unless the bytes are those of the member in hex. */
void vectors_assert_bytes(
	const json_t *object, const char *key, const void *bytes, size_t len, const char *what);

#endif
