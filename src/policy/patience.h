/*
 * patience.h: how long a kept block stays: for the purge delay, or less where that
 * pays. Blocks of one size are wanted again soon, or after a long while: once the
 * soon is over, waiting on is in vain. What shorter times would have saved is added
 * up by size, and forgotten slowly. No clock and no other state, as in contest.h.
 */
#ifndef POLICY_PATIENCE_H
#define POLICY_PATIENCE_H

#include "policy/estimate.h"

/* Number 0 is the purge delay, as long as nothing is known; the others get shorter. */
#define PATIENCES 3

/* What has been kept for as long as it was to be is looked for so often. */
#define PATIENCE_STEP_MS 30

struct patience {
	/* Byte ms by which each but the first would have been cheaper. */
	int64_t gain[ESTIMATE_BINS][PATIENCES];
	uint32_t break_even_ms[2];     /* of small and huge pages: to idle costs a fault; or 0 */
	uint8_t number[ESTIMATE_BINS]; /* the best */
	bool shorter;                  /* of some size it is not 0 */
};

void patience_init(struct patience *p);

/* How long that is, where the purge delay is keep_ms. */
uint32_t patience_ms(unsigned number, uint32_t keep_ms);

/* A freed block was wanted again. */
void patience_observe(
	struct patience *p, const struct estimate_world *w, const struct estimate_event *e);

/* What things cost from now on. */
void patience_prices(struct patience *p, const struct estimate_prices *prices);

#endif
