/*
 * promote.c: see promote.h.
 */
#include "policy/promote.h"

#include "base/options.h"

/*
 * Looks at places in blocks of a size before anything is said of it; but one is enough where
 * there were so many at other sizes, and all sizes are alike. Later, one block of many is looked
 * at: a prime number, so that the turn of each comes where sizes are taken by turns.
 */
#define LOOKS_FIRST 4
#define LOOK_EVERY 17

/* One fresh block of so many, prime too, has small pages although it should have huge ones. */
#define CANARY_EVERY 31

/* A new look counts one part in so many. */
#define AVERAGE 4

/*
 * Bounds of what huge pages may blow up: promoted where a sixteenth is never
 * touched, no longer where it is an eighth.
 */
#define ENTER_HUGE (PROMOTE_ALL - PROMOTE_ALL / 16)
#define LEAVE_HUGE (PROMOTE_ALL - PROMOTE_ALL / 8)

struct promotion promotion_now;

/* Losing one now and then changes nothing. */
static uint32_t turn(_Atomic(uint32_t) *x_turn)
{
	uint32_t now = load_rlx(x_turn);
	store_rlx(x_turn, now + 1);
	return now;
}

enum promote_verdict promote_claimed(struct promotion *p, uint64_t bytes)
{
	size_t policy = load_rlx(&options.x_policy);
	if (policy != POLICY_LEARN && policy != POLICY_FROZEN)
		return PROMOTE_UNKNOWN;
	if (policy == POLICY_LEARN && turn(&p->x_claims) % CANARY_EVERY == CANARY_EVERY - 1)
		return PROMOTE_SMALL;
	return load_rlx(&p->x_judged) ? load_rlx(&p->x_verdict[estimate_bin(bytes)])
				      : PROMOTE_UNKNOWN;
}

bool promote_is_due(struct promotion *p, uint64_t bytes, bool canary)
{
	if (load_rlx(&options.x_policy) != POLICY_LEARN)
		return false;
	return load_rlx(&p->x_looks[estimate_bin(bytes)]) < LOOKS_FIRST ||
	       (canary && load_rlx(&p->x_verdict[estimate_bin(bytes)]) == PROMOTE_HUGE) ||
	       turn(&p->x_frees) % LOOK_EVERY == 0;
}

/* Is every size that was looked at touched nearly everywhere, often enough to say so? */
static bool all_dense(const struct promotion *p)
{
	uint32_t looks = 0;
	for (unsigned bin = 0; bin < ESTIMATE_BINS; bin++) {
		if (!load_rlx(&p->x_looks[bin]))
			continue;
		if (load_rlx(&p->x_touched[bin]) < ENTER_HUGE)
			return false;
		looks += load_rlx(&p->x_looks[bin]);
	}
	return looks >= LOOKS_FIRST;
}

static void judge(struct promotion *p, struct world *w, unsigned bin)
{
	uint32_t touched = load_rlx(&p->x_touched[bin]);
	enum promote_verdict verdict = load_rlx(&p->x_verdict[bin]);
	if (touched < LEAVE_HUGE)
		verdict = PROMOTE_SMALL;
	else if (touched >= ENTER_HUGE)
		verdict = world_has_huge(w) ? PROMOTE_HUGE : PROMOTE_UNKNOWN;
	store_rlx(&p->x_verdict[bin], (uint8_t)verdict);
	store_rlx(&p->x_judged, true);
}

void promote_load(struct promotion *p, const uint8_t verdicts[ESTIMATE_BINS])
{
	for (unsigned bin = 0; bin < ESTIMATE_BINS; bin++) {
		store_rlx(&p->x_verdict[bin], verdicts[bin]);
		if (verdicts[bin] != PROMOTE_UNKNOWN)
			store_rlx(&p->x_judged, true);
	}
}

void promote_observe(struct promotion *p, struct world *w, uint64_t bytes, uint32_t touched)
{
	unsigned bin = estimate_bin(bytes);
	uint32_t looks = load_rlx(&p->x_looks[bin]), all = load_rlx(&p->x_touched[bin]);
	if (looks)
		touched = (all * (AVERAGE - 1) + touched + AVERAGE / 2) / AVERAGE;
	store_rlx(&p->x_touched[bin], touched);
	if (looks < UINT32_MAX)
		store_rlx(&p->x_looks[bin], ++looks);
	if (looks >= LOOKS_FIRST || all_dense(p))
		judge(p, w, bin);
}
