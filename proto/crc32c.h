/* CRC-32C (Castagnoli, RFC 3720 appendix B.4): reflected, initial value and final XOR 0xffffffff.
 * Uses SSE 4.2 and carry-less multiplication when the processor has them. */
#ifndef OPS_PROTO_CRC32C_H
#define OPS_PROTO_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of the bytes whose checksum is crc (0 for none) followed by these n bytes. */
uint32_t crc32c(uint32_t crc, const void *data, size_t n);
/* The same, by table, on any processor. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t n);

#endif
