/*
 * world.c: see world.h.
 */
#include "policy/world.h"

#include "base/options.h"
#include "base/os.h"
#include "policy/clock.h"

/* Traffic is folded in that often, and halved when it covers so much. */
#define FOLD_MS 100
#define SPAN_MS 16384
#define FIRST_MS 10

/* Until it has been seen for so long the turnover errs towards keeping: that is cheap. */
#define EARLY_MS 1000

/* The peak forgets one part in so many per ms. */
#define PEAK_MS 32768

/* One measurement counts one part in so many; being interrupted is no measurement. */
#define TIMES_SHARE 8
#define TIMES_MOST 4

/* Until what the program does shows more: a huge page that is tried out lies in the caches. */
#define HUGE_BYTES (2 * MIB)
#define HUGE_SHARE 4
#define REFUSED_TIMES 8

/* Given back just before, and long before: ESTIMATE_LATE_MS lie between the two, about. */
#define SOON_MS 300
#define LATE_MS 1000

/* It must be so many times cheaper than its small ones. */
#define HUGE_CHEAPER 2

struct world world_now;

void world_traffic(struct world *w, uint64_t bytes, uint64_t in_use, uint32_t now_ms)
{
	uint32_t last = load_rlx(&w->x_folded_ms), now = now_ms ? now_ms : 1;
	add_rlx(&w->x_traffic, bytes);
	if (in_use > load_rlx(&w->x_peak))
		store_rlx(&w->x_peak, in_use);
	if (!last) {
		cas_rlx(&w->x_folded_ms, &last, now);
		return;
	}
	uint64_t passed = (uint32_t)(now - last), ms = load_rlx(&w->x_ms);
	if (passed < (ms ? FOLD_MS : FIRST_MS) || !cas_rlx(&w->x_folded_ms, &last, now))
		return;
	uint64_t fresh = xchg_rlx(&w->x_traffic, 0);
	uint64_t all = load_rlx(&w->x_bytes) + fresh, peak = load_rlx(&w->x_peak);
	for (ms += passed; ms > SPAN_MS; ms /= 2)
		all /= 2;
	store_rlx(&w->x_bytes, all);
	store_rlx(&w->x_ms, ms);
	peak -= peak / PEAK_MS * min_size(passed, PEAK_MS);
	store_rlx(&w->x_peak, max_size(peak, in_use));
}

/* Bytes took so long: the average by the page of 4 KiB, after `before`. */
static uint32_t average(uint32_t before, uint64_t bytes, uint64_t ns)
{
	uint64_t now = min_size(ns / (bytes / 4096), (uint64_t)before * TIMES_MOST);
	return (uint32_t)(((uint64_t)before * (TIMES_SHARE - 1) + now + TIMES_SHARE / 2) /
			  TIMES_SHARE);
}

void world_purged(struct world *w, uint64_t bytes, uint64_t ns)
{
	uint32_t before = load_rlx(&w->x_purge_ns);
	if (bytes < 4096)
		return;
	add_rlx(&w->x_purged, bytes);
	add_rlx(&w->x_purges, ns);
	store_rlx(&w->x_purge_ns, average(before ? before : ESTIMATE_PURGE_NS, bytes, ns));
}

void world_touched(struct world *w, uint64_t huge_bytes, uint64_t ns, int32_t away_ms)
{
	uint32_t before = load_rlx(&w->x_huge_ns);
	if (!before || before == WORLD_NO_HUGE)
		return;
	/* So quick is a single small page: the kernel had no huge one. */
	uint64_t small = load_rlx(&w->x_fault_ns);
	if (ns < REFUSED_TIMES * small)
		ns = small * (huge_bytes / 4096);
	store_rlx(&w->x_huge_ns, average(before, huge_bytes, ns));
	if (away_ms < 0 || (away_ms > SOON_MS && away_ms < LATE_MS))
		return;
	_Atomic(uint32_t) *x_ns = away_ms > SOON_MS ? &w->x_huge_late_ns : &w->x_huge_soon_ns;
	uint32_t known = load_rlx(x_ns);
	store_rlx(x_ns, average(known ? known : before, huge_bytes, ns));
}

void world_measure(struct world *w)
{
	if (likely(load_rlx(&w->x_fault_ns)))
		return;
	uint32_t ns = os_fault_ns();
	store_rlx(&w->x_fault_ns, ns ? ns : ESTIMATE_FAULT_NS);
}

bool world_huge_is_cheap(const struct world *w)
{
	return load_rlx(&w->x_huge_ns) <= load_rlx(&w->x_fault_ns) / HUGE_CHEAPER;
}

bool world_has_huge(struct world *w)
{
	uint32_t known = load_rlx(&w->x_huge_ns);
	if (likely(known))
		return known != WORLD_NO_HUGE;
	world_measure(w);
	uint32_t small = load_rlx(&w->x_fault_ns), ns = os_fault_huge_ns(HUGE_BYTES);
	bool cheaper = ns && ns <= small / HUGE_CHEAPER;
	ns = (uint32_t)max_size(ns, small / HUGE_SHARE);
	if (cheaper)
		store_rlx(&w->x_huge_soon_ns, ns);
	store_rlx(&w->x_huge_ns, cheaper ? ns : WORLD_NO_HUGE);
	return cheaper;
}

void world_fill(const struct world *w, struct estimate_world *e, struct estimate_prices *p)
{
	uint32_t state = load_rlx(&clock_now.x_state), ns = load_rlx(&w->x_purge_ns);
	bool helped = state == CLOCK_ASLEEP || state == CLOCK_TICKING;
	uint64_t ms = max_size(load_rlx(&w->x_ms), EARLY_MS),
		 peak = max_size(load_rlx(&w->x_peak), MIB);
	uint64_t rate = load_rlx(&w->x_bytes) / ms;
	e->keep_ms = helped ? (uint32_t)load_rlx(&options.x_purge_delay_ms) : 0;
	e->batch_bytes = load_rlx(&options.x_batch_bytes);
	e->batch_rate = rate;
	uint32_t fault = load_rlx(&w->x_fault_ns);
	p->fault_ns = fault ? fault : ESTIMATE_FAULT_NS;
	uint32_t huge = load_rlx(&w->x_huge_ns);
	p->huge_ns = huge && huge != WORLD_NO_HUGE ? huge : ESTIMATE_FAULT_HUGE_NS;
	p->purge_ns = ns ? ns : ESTIMATE_PURGE_NS;
	p->touched = ESTIMATE_TOUCHED;
	/* 2^20 * rate / peak: both are shortened, so that nothing overflows. */
	p->turnover = min_size(rate, (uint64_t)1 << 40) * 1024 / max_size(peak >> 10, 1);
	uint32_t soon = load_rlx(&w->x_huge_soon_ns), late = load_rlx(&w->x_huge_late_ns);
	e->huge_late = soon && late > soon ? estimate_huge_late(p, late - soon) : 0;
}
