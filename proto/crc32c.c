#include "proto/crc32c.h"

#include <endian.h>
#include <stdbool.h>
#include <string.h>

/*
 * Slicing by eight: tables[k][i] is the checksum register after byte i and k zero bytes. A CRC is
 * linear, so an entry is the XOR of the entries of its bits; those 64 are what one non-zero bit
 * becomes after 8, 9, … 71 steps of the shift register.
 */
#define BIT(i, bit, value) (((i) & (bit)) != 0 ? (value) : 0u)
#define ENTRY(i, a, b, c, d, e, f, g, h)                                                           \
	(BIT(i, 1, a) ^ BIT(i, 2, b) ^ BIT(i, 4, c) ^ BIT(i, 8, d) ^ BIT(i, 16, e) ^               \
		BIT(i, 32, f) ^ BIT(i, 64, g) ^ BIT(i, 128, h))
#define ENTRIES_4(i, ...)                                                                          \
	ENTRY(i, __VA_ARGS__), ENTRY((i) + 1, __VA_ARGS__), ENTRY((i) + 2, __VA_ARGS__),           \
		ENTRY((i) + 3, __VA_ARGS__)
#define ENTRIES_16(i, ...)                                                                         \
	ENTRIES_4(i, __VA_ARGS__), ENTRIES_4((i) + 4, __VA_ARGS__),                                \
		ENTRIES_4((i) + 8, __VA_ARGS__), ENTRIES_4((i) + 12, __VA_ARGS__)
#define ENTRIES_64(i, ...)                                                                         \
	ENTRIES_16(i, __VA_ARGS__), ENTRIES_16((i) + 16, __VA_ARGS__),                             \
		ENTRIES_16((i) + 32, __VA_ARGS__), ENTRIES_16((i) + 48, __VA_ARGS__)
#define TABLE(...)                                                                                 \
	{                                                                                          \
		ENTRIES_64(0, __VA_ARGS__), ENTRIES_64(64, __VA_ARGS__),                           \
			ENTRIES_64(128, __VA_ARGS__), ENTRIES_64(192, __VA_ARGS__)                 \
	}

static const uint32_t tables[8][256] = {
	TABLE(0xf26b8303, 0xe13b70f7, 0xc79a971f, 0x8ad958cf, 0x105ec76f, 0x20bd8ede, 0x417b1dbc,
		0x82f63b78),
	TABLE(0x13a29877, 0x274530ee, 0x4e8a61dc, 0x9d14c3b8, 0x3fc5f181, 0x7f8be302, 0xff17c604,
		0xfbc3faf9),
	TABLE(0xa541927e, 0x4f6f520d, 0x9edea41a, 0x38513ec5, 0x70a27d8a, 0xe144fb14, 0xc76580d9,
		0x8b277743),
	TABLE(0xdd45aab8, 0xbf672381, 0x7b2231f3, 0xf64463e6, 0xe964b13d, 0xd725148b, 0xaba65fe7,
		0x52a0c93f),
	TABLE(0x38116fac, 0x7022df58, 0xe045beb0, 0xc5670b91, 0x8f2261d3, 0x1ba8b557, 0x37516aae,
		0x6ea2d55c),
	TABLE(0xef306b19, 0xdb8ca0c3, 0xb2f53777, 0x6006181f, 0xc00c303e, 0x85f4168d, 0x0e045beb,
		0x1c08b7d6),
	TABLE(0x68032cc8, 0xd0065990, 0xa5e0c5d1, 0x4e2dfd53, 0x9c5bfaa6, 0x3d5b83bd, 0x7ab7077a,
		0xf56e0ef4),
	TABLE(0x493c7d27, 0x9278fa4e, 0x211d826d, 0x423b04da, 0x847609b4, 0x0d006599, 0x1a00cb32,
		0x34019664),
};

static inline uint64_t load_u64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t n)
{
	const uint8_t *p = data;
	uint32_t reg = ~crc;

	for (; n >= 8; n -= 8, p += 8) {
		uint64_t v = le64toh(load_u64(p)) ^ reg;

		reg = tables[7][v & 255] ^ tables[6][(v >> 8) & 255] ^ tables[5][(v >> 16) & 255] ^
		      tables[4][(v >> 24) & 255] ^ tables[3][(v >> 32) & 255] ^
		      tables[2][(v >> 40) & 255] ^ tables[1][(v >> 48) & 255] ^ tables[0][v >> 56];
	}
	for (; n > 0; n--, p++)
		reg = (reg >> 8) ^ tables[0][(reg ^ *p) & 255];
	return ~reg;
}

#if defined(__x86_64__)

#include <immintrin.h>

#define TARGET_X86 __attribute__((target("sse4.2,pclmul")))

/*
 * The crc32 instruction has a latency of three cycles and a throughput of one, so three lanes run
 * side by side over three neighbouring blocks. At the end of a block the first lane has to be moved
 * over two blocks of zeros and the second over one. Moving over L bytes is a multiplication by
 * x^(8L) modulo the polynomial: a carry-less product (which, bits being reflected, comes out times
 * x) reduced by a crc32 step (times x^32), hence the constants x^(8L-33).
 */
struct lanes {
	size_t bytes;	 /* of one block */
	uint32_t over_1; /* x^(8 * bytes - 33) */
	uint32_t over_2; /* x^(16 * bytes - 33) */
};

static const struct lanes long_lanes = {2048, 0xa51b6135, 0x82f89c77};
static const struct lanes short_lanes = {256, 0xb9e02b86, 0xdd7e3b0c};

TARGET_X86 static inline uint32_t move(uint64_t reg, uint32_t constant)
{
	__m128i product = _mm_clmulepi64_si128(
		_mm_cvtsi64_si128((long long)reg), _mm_cvtsi32_si128((int)constant), 0);

	return (uint32_t)_mm_crc32_u64(0, (unsigned long long)_mm_cvtsi128_si64(product));
}

/* Takes three blocks at p into the register. */
TARGET_X86 static uint64_t take_lanes(uint64_t reg, const uint8_t *p, const struct lanes *lanes)
{
	const uint8_t *second = p + lanes->bytes, *third = second + lanes->bytes;
	uint64_t a = reg, b = 0, c = 0;

	for (size_t i = 0; i < lanes->bytes; i += 8) {
		a = _mm_crc32_u64(a, load_u64(p + i));
		b = _mm_crc32_u64(b, load_u64(second + i));
		c = _mm_crc32_u64(c, load_u64(third + i));
	}
	return move(a, lanes->over_2) ^ move(b, lanes->over_1) ^ c;
}

TARGET_X86 static uint32_t crc32c_x86(uint32_t crc, const uint8_t *p, size_t n)
{
	uint64_t reg = ~crc;

	for (; n >= 3 * long_lanes.bytes; n -= 3 * long_lanes.bytes, p += 3 * long_lanes.bytes)
		reg = take_lanes(reg, p, &long_lanes);
	for (; n >= 3 * short_lanes.bytes; n -= 3 * short_lanes.bytes, p += 3 * short_lanes.bytes)
		reg = take_lanes(reg, p, &short_lanes);
	for (; n >= 8; n -= 8, p += 8)
		reg = _mm_crc32_u64(reg, load_u64(p));
	for (; n > 0; n--, p++)
		reg = _mm_crc32_u8((uint32_t)reg, *p);
	return ~(uint32_t)reg;
}

static bool has_instructions(void)
{
	return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
}

uint32_t crc32c(uint32_t crc, const void *data, size_t n)
{
	return has_instructions() ? crc32c_x86(crc, data, n) : crc32c_portable(crc, data, n);
}

#else

uint32_t crc32c(uint32_t crc, const void *data, size_t n)
{
	return crc32c_portable(crc, data, n);
}

#endif
