/*
 * world.h: what the costs of a block depend on beside the block: how fast the
 * process turns its memory over, what giving back costs, who gives back idle
 * memory. All of it is measured, for the whole process, on slow paths. Every field
 * is relaxed, and right enough when an update is lost.
 */
#ifndef POLICY_WORLD_H
#define POLICY_WORLD_H

#include "base/atomic.h"
#include "policy/estimate.h"

/* As a price: there are no huge pages, or they are not cheaper. */
#define WORLD_NO_HUGE UINT32_MAX

struct world {
	_Atomic(uint64_t) x_traffic;     /* any: relaxed; bytes since the last fold */
	_Atomic(uint64_t) x_bytes, x_ms; /* any: relaxed; the last 8 to 16 s */
	_Atomic(uint64_t) x_peak;        /* any: relaxed; bytes in use, decaying */
	_Atomic(uint32_t) x_folded_ms;   /* any: relaxed; when, or 0 */
	_Atomic(uint32_t) x_purge_ns;    /* any: relaxed; by the page of 4 KiB, or 0 */
	_Atomic(uint32_t) x_fault_ns;    /* any: relaxed; the first touch of one, or 0 */
	_Atomic(uint32_t) x_huge_ns; /* any: relaxed; within a huge page, or 0, or WORLD_NO_HUGE */
	/* any: relaxed; the same when it was given back just before, and long before; or 0 */
	_Atomic(uint32_t) x_huge_soon_ns, x_huge_late_ns;
	_Atomic(uint64_t) x_purged, x_purges; /* any: relaxed; bytes and ns of what was timed */
};

extern struct world world_now; /* of this process */

/* So many bytes were allocated in big blocks; so many are in use now. */
void world_traffic(struct world *w, uint64_t bytes, uint64_t in_use, uint32_t now_ms);

/* So many bytes in small pages were given back by one call in so many ns. */
void world_purged(struct world *w, uint64_t bytes, uint64_t ns);

/* Finds out, once, what a page fault costs on this machine. */
void world_measure(struct world *w);

/* Finds out, once, whether the kernel gives huge pages, and their first touch is much cheaper. */
bool world_has_huge(struct world *w);

/* Are those that the program touches still that cheap? */
bool world_huge_is_cheap(const struct world *w);

/* That of a huge page took so many ns, which was given back away_ms before; -1: not known. */
void world_touched(struct world *w, uint64_t huge_bytes, uint64_t ns, int32_t away_ms);

/* For estimates; `kept_lost` and `touched` are the caller's. */
void world_fill(const struct world *w, struct estimate_world *e, struct estimate_prices *p);

#endif
