/*
 * promote.h: big blocks in huge pages, by size. A huge page costs one fault rather
 * than 512, and a fifth to half of the time, but is resident as a whole: it pays for blocks
 * that are written to all over, and for others it is what they blow up by. So it is
 * looked at: where a block lay in small pages, and had nothing resident when it was
 * claimed, how many of these are resident when it is freed. While nothing is
 * known of a size, thp.h decides. Verdicts are kept in the policy file; one that was
 * loaded stands until its size was looked at as often as for the first. Every field
 * is relaxed, and right enough when an update is lost.
 */
#ifndef POLICY_PROMOTE_H
#define POLICY_PROMOTE_H

#include "base/atomic.h"
#include "policy/world.h"

enum promote_verdict { PROMOTE_UNKNOWN, PROMOTE_HUGE, PROMOTE_SMALL };

/* Shares of resident pages are parts of so much. */
#define PROMOTE_ALL 1024

struct promotion {
	_Atomic(uint32_t) x_looks[ESTIMATE_BINS];   /* any: relaxed; ever */
	_Atomic(uint32_t) x_touched[ESTIMATE_BINS]; /* any: relaxed; average of what was resident */
	_Atomic(uint8_t) x_verdict[ESTIMATE_BINS];  /* any: relaxed; enum promote_verdict */
	_Atomic(bool) x_judged;                     /* any: relaxed; there has been a verdict */
	_Atomic(uint32_t) x_claims, x_frees;        /* any: relaxed; whose turn it is */
};
extern struct promotion promotion_now;

/* At start-up: the verdicts of an earlier run. */
void promote_load(struct promotion *p, const uint8_t verdicts[ESTIMATE_BINS]);

/* For a block that is claimed: now and then small ones if it is fresh, to see what still holds. */
enum promote_verdict promote_claimed(struct promotion *p, uint64_t bytes);

/* Have blocks of that size huge pages, as somebody learns who may find otherwise? */
static inline bool promote_is_huge(const struct promotion *p, uint64_t bytes)
{
	return unlikely(load_rlx(&p->x_judged)) && load_rlx(&options.x_policy) == POLICY_LEARN &&
	       load_rlx(&p->x_verdict[estimate_bin(bytes)]) == PROMOTE_HUGE;
}

/* Is one that is freed to be looked at? `canary`: it could have huge pages if its size has. */
bool promote_is_due(struct promotion *p, uint64_t bytes, bool canary);

/* So much of it was resident, of PROMOTE_ALL. What page faults cost decides with it. */
void promote_observe(struct promotion *p, struct world *w, uint64_t bytes, uint32_t touched);

#endif
