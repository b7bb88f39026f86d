/* Time, in microseconds. Deadlines and ages use the monotonic clock, records the wall clock. */
#ifndef OPS_BASE_CLOCK_H
#define OPS_BASE_CLOCK_H

#include <stdint.h>

#define CLOCK_SECOND_US UINT64_C(1000000)

/* Unix time in microseconds. */
uint64_t clock_wall_us(void);
/* CLOCK_BOOTTIME in microseconds: never goes back, counts suspend. */
uint64_t clock_mono_us(void);

#endif
