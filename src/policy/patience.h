/*
 * patience.h: how long a kept block stays: for the purge delay, or less where that
 * pays. Blocks of one size are wanted again soon, or after a long while: once the
 * soon is over, waiting on is in vain. What shorter times would have saved is added
 * up by size, for the whole process, and forgotten slowly; which is the best is kept
 * in the policy file. Every field is relaxed, and right enough when an update is lost.
 */
#ifndef POLICY_PATIENCE_H
#define POLICY_PATIENCE_H

#include "base/atomic.h"
#include "policy/estimate.h"

/* Number 0 is the purge delay, as long as nothing is known; the others get shorter. */
#define PATIENCES 3

/* What has been kept for as long as it was to be is looked for so often. */
#define PATIENCE_STEP_MS 30

/* Of smaller blocks nothing is learned: they lie in spans, which are not looked at between ticks. */
#define PATIENCE_BYTES_MIN (2 * MIB)

struct patience {
	/* any: relaxed; byte ms by which each but the first would have been cheaper */
	_Atomic(int64_t) x_gain[ESTIMATE_BINS][PATIENCES];
	_Atomic(uint32_t) x_break_even_ms[2]; /* any: relaxed; idling so long costs a fault; or 0 */
	_Atomic(uint8_t) x_number[ESTIMATE_BINS]; /* any: relaxed; the best */
	_Atomic(bool) x_shorter;                  /* any: relaxed; of some size it is not 0 */
};

/* How long that is, where the purge delay is keep_ms. */
uint32_t patience_ms(unsigned number, uint32_t keep_ms);

static inline unsigned patience_of(const struct patience *p, unsigned bin)
{
	return load_rlx(&p->x_number[bin]);
}

/* A freed block was wanted again. */
void patience_observe(
	struct patience *p, const struct estimate_world *w, const struct estimate_event *e);

/* At start-up: the numbers of an earlier run, of which this purge delay may allow fewer. */
void patience_load(struct patience *p, const uint8_t numbers[ESTIMATE_BINS], uint32_t keep_ms);

/* What things cost from now on. */
void patience_prices(struct patience *p, const struct estimate_prices *prices);

#endif
