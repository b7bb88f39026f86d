/*
 * How long somebody who failed to sign in has to wait: 1, 2, 4 … LIMIT_LOGIN_DELAY_S seconds after
 * the third failure in a row, counted by address and for the account. A bounded table; no timers.
 *
 * An attempt is charged before it is decided, so that many at once do not slip through; success
 * takes the charge back.
 */
#ifndef OPS_CORE_APP_AUTH_THROTTLE_H
#define OPS_CORE_APP_AUTH_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/app/config/address.h"
#include "core/base/mem.h"

#define THROTTLE_FREE_FAILURES 2 /* nobody waits for having mistyped twice */

struct throttle;

struct throttle *throttle_new(void);
void throttle_free(struct throttle *throttle);

/* Seconds to wait before trying, 0: go ahead. known_device: the account's delay does not apply. */
unsigned throttle_wait_s(const struct throttle *throttle, const uint8_t addr[ADDRESS_BYTES],
	bool known_device, uint64_t now_us);
/* An attempt begins. */
void throttle_charge(struct throttle *throttle, const uint8_t addr[ADDRESS_BYTES],
	bool known_device, uint64_t now_us);
/* It was a good one: the address starts afresh; the account too, unless the device was known (then
 * its failures were not counted for the account either). */
void throttle_absolve(
	struct throttle *throttle, const uint8_t addr[ADDRESS_BYTES], bool known_device);
/* It was not tried at all (the server was busy): takes one charge back. */
void throttle_refund(
	struct throttle *throttle, const uint8_t addr[ADDRESS_BYTES], bool known_device);

#endif
