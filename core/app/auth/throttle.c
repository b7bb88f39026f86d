#include "core/app/auth/throttle.h"

#include <stdlib.h>
#include <string.h>

#include "core/app/limits.h"
#include "core/base/clock.h"

struct entry {
	uint8_t addr[ADDRESS_BYTES];
	unsigned failures; /* 0: free */
	uint64_t last_us;
};

struct throttle {
	struct entry account;
	struct entry addresses[LIMIT_LOGIN_ADDRESSES];
};

struct throttle *throttle_new(void)
{
	return xcalloc(1, sizeof(struct throttle));
}

void throttle_free(struct throttle *throttle)
{
	free(throttle);
}

/* An IPv6 site has 2^64 addresses: it counts as one. */
static void key_of(const uint8_t addr[ADDRESS_BYTES], uint8_t key[ADDRESS_BYTES])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	memcpy(key, addr, ADDRESS_BYTES);
	if (memcmp(addr, mapped, sizeof(mapped)) != 0)
		memset(key + 8, 0, 8);
}

static const struct entry *find(const struct throttle *t, const uint8_t addr[ADDRESS_BYTES])
{
	uint8_t key[ADDRESS_BYTES];

	key_of(addr, key);
	for (size_t i = 0; i < LIMIT_LOGIN_ADDRESSES; i++) {
		const struct entry *e = &t->addresses[i];

		if (e->failures != 0 && memcmp(e->addr, key, sizeof(key)) == 0)
			return e;
	}
	return NULL;
}

static struct entry *find_mutable(struct throttle *t, const uint8_t addr[ADDRESS_BYTES])
{
	const struct entry *e = find(t, addr);

	return e != NULL ? &t->addresses[e - t->addresses] : NULL;
}

static bool is_forgotten(const struct entry *e, uint64_t now_us)
{
	return now_us - e->last_us > LIMIT_LOGIN_FORGET_S * CLOCK_SECOND_US;
}

static unsigned entry_wait_s(const struct entry *e, uint64_t now_us)
{
	uint64_t delay_s = LIMIT_LOGIN_DELAY_S, passed_us;

	if (e == NULL || e->failures <= THROTTLE_FREE_FAILURES || is_forgotten(e, now_us))
		return 0;
	if (e->failures - THROTTLE_FREE_FAILURES <= 5)
		delay_s = MIN(delay_s, 1u << (e->failures - THROTTLE_FREE_FAILURES - 1));
	passed_us = now_us - e->last_us;
	if (passed_us >= delay_s * CLOCK_SECOND_US)
		return 0;
	return (unsigned)((delay_s * CLOCK_SECOND_US - passed_us + CLOCK_SECOND_US - 1) /
			  CLOCK_SECOND_US);
}

unsigned throttle_wait_s(const struct throttle *throttle, const uint8_t addr[ADDRESS_BYTES],
	bool known_device, uint64_t now_us)
{
	unsigned by_address = entry_wait_s(find(throttle, addr), now_us);
	unsigned by_account = known_device ? 0 : entry_wait_s(&throttle->account, now_us);

	return MAX(by_address, by_account);
}

static void entry_charge(struct entry *e, uint64_t now_us)
{
	if (is_forgotten(e, now_us))
		e->failures = 0;
	if (e->failures < 1000)
		e->failures++;
	e->last_us = now_us;
}

void throttle_charge(struct throttle *throttle, const uint8_t addr[ADDRESS_BYTES],
	bool known_device, uint64_t now_us)
{
	struct entry *e = find_mutable(throttle, addr);

	if (!known_device)
		entry_charge(&throttle->account, now_us);
	if (e == NULL) {
		e = &throttle->addresses[0];
		for (size_t i = 1; i < LIMIT_LOGIN_ADDRESSES && e->failures != 0; i++) {
			struct entry *other = &throttle->addresses[i];

			if (other->failures == 0 || other->last_us < e->last_us)
				e = other;
		}
		e->failures = 0;
		key_of(addr, e->addr);
	}
	entry_charge(e, now_us);
}

void throttle_absolve(
	struct throttle *throttle, const uint8_t addr[ADDRESS_BYTES], bool known_device)
{
	struct entry *e = find_mutable(throttle, addr);

	if (e != NULL)
		e->failures = 0;
	if (!known_device)
		throttle->account.failures = 0;
}

void throttle_refund(
	struct throttle *throttle, const uint8_t addr[ADDRESS_BYTES], bool known_device)
{
	struct entry *e = find_mutable(throttle, addr);

	if (e != NULL)
		e->failures--;
	if (!known_device && throttle->account.failures > 0)
		throttle->account.failures--;
}
