/*
 * clock.h: the ticks by which idle memory ages, and the word on which the
 * helper thread sleeps while there is none. Who makes memory idle calls
 * clock_poke; the helper alone moves the clock, until somebody ends it.
 */
#ifndef POLICY_CLOCK_H
#define POLICY_CLOCK_H

#include "base/atomic.h"
#include "base/base.h"

enum clock_state {
	CLOCK_STOPPED, /* there is no helper thread */
	CLOCK_ASLEEP,  /* it waits to be poked */
	CLOCK_TICKING, /* it looks again by itself */
	CLOCK_ENDED,   /* it ends, and there will be no other */
};

struct clock {
	_Atomic(uint32_t) x_state; /* any: enum clock_state, the futex; sc [T1] */
	_Atomic(uint32_t) x_ticks; /* helper writes, any reads relaxed: ticks so far */
} __attribute__((aligned(CACHE_LINE_BYTES)));
extern struct clock clock_now;

/* The slow half of clock_poke: one FUTEX_WAKE. Preserves errno. */
void clock_wake(void);

/* any: the helper is to end; from here on there is none. Preserves errno. */
void clock_end(void);

/* any: memory has become idle, and has been counted (seq_cst) before this call. */
static inline void clock_poke(void)
{
	if (unlikely(load_sc(&clock_now.x_state) == CLOCK_ASLEEP)) /* [T1] */
		clock_wake();
}

static inline uint8_t clock_ticks(void)
{
	return (uint8_t)load_rlx(&clock_now.x_ticks);
}

#endif
