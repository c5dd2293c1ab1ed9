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

#endif
