/*
 * protocol.h: what the programs share that test one lock-free structure alone.
 * They are linked with the library's objects and call its internal functions,
 * so that threads meet in one structure thousands of times more often than
 * they do behind malloc.
 *
 * Marks say who owns a thing. They are relaxed on purpose: a mark that ordered
 * anything would hide from ThreadSanitizer an order that the structure lost.
 */
#ifndef STRESS_PROTOCOL_H
#define STRESS_PROTOCOL_H

/* First: it asks which sanitizer was named on the command line. */
#include "common.h"

#include "segments/types.h"

#include <sched.h>

/* 0: nobody; else worker + 1. */
typedef _Atomic(uint32_t) mark;

static inline void mark_take(mark *m, const struct worker *w, const char *what, size_t index)
{
	uint32_t before = atomic_exchange_explicit(m, w->id + 1, memory_order_relaxed);

	if (before != 0)
		fail("%s %zu has two owners: workers %u and %u", what, index, before - 1, w->id);
}

static inline void mark_drop(mark *m, const struct worker *w, const char *what, size_t index)
{
	uint32_t before = atomic_exchange_explicit(m, 0, memory_order_relaxed);

	if (before != w->id + 1)
		fail("%s %zu: worker %u gives up what worker %d owns", what, index, w->id,
			(int)before - 1);
}

/* About `steps` cycles or a few more, without a system call. */
static inline void spin(size_t steps)
{
	for (; steps > 0; steps--)
		__builtin_ia32_pause();
}

/*
 * Every worker comes here before any goes on: a quiet moment that is cheaper
 * than the end of a round. What a lost update left behind would soon be mended
 * by the next thread, so it must be looked for after every few steps.
 */
static inline void meet(void)
{
	static _Atomic(unsigned) x_arrived; /* release and acquire: all see what all did */
	unsigned mine = atomic_fetch_add_explicit(&x_arrived, 1, memory_order_acq_rel);
	unsigned all = (mine / threads + 1) * threads;

	while ((int)(load_acq(&x_arrived) - all) < 0)
		sched_yield();
}

#endif
