/*
 * clock.c: see clock.h.
 */
#include "policy/clock.h"

#include "base/os.h"

struct clock clock_now;

void clock_wake(void)
{
	uint32_t asleep = CLOCK_ASLEEP;
	if (cas_rlx(&clock_now.x_state, &asleep, CLOCK_TICKING))
		os_wake(&clock_now.x_state);
}

void clock_end(void)
{
	/* Nothing follows from it: the helper sees it at its next look, at the latest. */
	store_rlx(&clock_now.x_state, CLOCK_ENDED);
	os_wake(&clock_now.x_state);
}
