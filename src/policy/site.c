/*
 * site.c: see site.h.
 */
#include "policy/site.h"

#include "base/options.h"
#include "base/os.h"

#define PROBES 8

/* One late reuse outweighs a few quick ones: idle memory costs for as long as it idles. */
#define SCORE_MAX 8
#define SCORE_LATE 3

/* A class is left at another score than it is entered at. */
#define LEAVE_HOT (-4)
#define ENTER_HOT 2
#define ENTER_COLD (-8)
#define LEAVE_COLD (-2)

struct site sites[SITES];

static unsigned find(uintptr_t caller)
{
	uint64_t hash = (uint64_t)caller * 0x9e3779b97f4a7c15u >> 32;
	if (!caller)
		return 0; /* nobody said: first-class heaps */
	for (unsigned i = 0; i < PROBES; i++) {
		unsigned at = 1 + (unsigned)(hash + i) % (SITES - 1);
		uintptr_t found = load_rlx(&sites[at].x_address);
		if (likely(found == caller))
			return at;
		if (!found && (cas_rlx(&sites[at].x_address, &found, caller) || found == caller))
			return at;
	}
	return 0;
}

enum site_class site_classify(int score, enum site_class before)
{
	if (score <= ENTER_COLD || (before == SITE_COLD && score < LEAVE_COLD))
		return SITE_COLD;
	if (score >= ENTER_HOT || (before == SITE_HOT && score > LEAVE_HOT))
		return SITE_HOT;
	return SITE_WARM;
}

/* The site allocates again so long after it last freed. */
static void learn(struct site *s, uint32_t interval_ms)
{
	int score = load_rlx(&s->x_score);
	bool late = interval_ms > load_rlx(&options.x_purge_delay_ms);
	int next = late ? score - SCORE_LATE : score + 1;
	next = next > SCORE_MAX ? SCORE_MAX : next < -SCORE_MAX ? -SCORE_MAX : next;
	enum site_class before = load_rlx(&s->x_class), now = site_classify(next, before);
	if (next != score)
		store_rlx(&s->x_score, next);
	if (now != before)
		store_rlx(&s->x_class, now);
}

/* Two threads at the same time may count as one: cheaper than to be exact. */
static void bump(_Atomic(uint64_t) *x_count, uint64_t by)
{
	store_rlx(x_count, load_rlx(x_count) + by);
}

unsigned site_alloc(uintptr_t caller)
{
	if (!load_rlx(&options.x_sites))
		return 0;
	unsigned number = find(caller);
	struct site *s = &sites[number];
	uint32_t freed_ms = load_rlx(&s->x_freed_ms);
	bump(&s->x_allocs, 1);
	if (freed_ms) {
		learn(s, os_now_ms() - freed_ms);
		store_rlx(&s->x_freed_ms, 0);
	}
	return number;
}

void site_fresh(unsigned site, size_t bytes)
{
	bump(&sites[site].x_fresh_bytes, bytes);
}

enum site_class site_free(unsigned site, uint32_t now)
{
	struct site *s = &sites[site];
	if (!site)
		return SITE_HOT;
	bump(&s->x_frees, 1);
	store_rlx(&s->x_freed_ms, now ? now : 1); /* 0 means none */
	return load_rlx(&s->x_class);
}
