/*
 * Memory helpers and the few macros everybody needs.
 *
 * xcalloc() and friends are for constant-sized memory of our own: when even that fails the
 * process aborts. Memory whose size a peer chooses goes through buf.h or plain malloc(), is
 * bounded, and its failure propagates.
 */
#ifndef OPS_BASE_MEM_H
#define OPS_BASE_MEM_H

#include <stddef.h>
#include <sys/param.h> /* MIN, MAX: the same ones that <uv.h> brings */

#define MUSTCHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Zeroed memory for n elements of size bytes. Never returns NULL: aborts instead. */
void *xcalloc(size_t n, size_t size);
/* A copy of s, which may be NULL (then NULL is returned). Aborts when out of memory. */
char *xstrdup(const char *s);
/* A copy of the n bytes at s, with a NUL after them. Aborts when out of memory. */
char *xstrndup(const char *s, size_t n);
/* Formatted text on the heap. Aborts when out of memory. */
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Overwrites n bytes at p in a way the compiler may not drop. p may be NULL when n is 0. */
void mem_wipe(void *p, size_t n);

#endif
