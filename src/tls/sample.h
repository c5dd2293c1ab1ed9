/*
 * sample.h: which allocations are guarded (segments/guard.h). Every call of malloc
 * is as likely to be the one. The secure library counts them in the fast path. In
 * the others, which do so only where they are told to, that finds no page for
 * small blocks then: h->front stays empty, each call comes to alloc_small_slow, is
 * counted there, and takes its block from h->current.
 */
#ifndef TLS_SAMPLE_H
#define TLS_SAMPLE_H

#include "base/options.h"
#include "segments/guard.h"

/* own: calls until one is guarded; below 0: not drawn yet. */
extern _Thread_local int64_t sample_left;

/* Counts a call; false: it may be the one, ask sample_block. */
static ALWAYS_INLINE bool sample_passes(void)
{
	return likely(--sample_left > 0);
}

/* The same in the fast path. */
static ALWAYS_INLINE bool sample_passes_fast(void)
{
	return !HAK_SECURE || sample_passes();
}

static inline bool sample_is_on(void)
{
	return load_rlx(&options.x_guard_sample) != 0;
}

/* Are blocks of a class of so many bytes to be taken on the slow path, to be counted? */
static inline bool sample_takes(size_t bytes)
{
	return !HAK_SECURE && sample_is_on() && bytes <= GUARD_BYTES_MAX;
}

/* Counts any other call; true: ask sample_block. */
static inline bool sample_wants(size_t size, size_t align)
{
	return sample_is_on() && size <= GUARD_BYTES_MAX && align <= GUARD_PAGE_BYTES &&
	       !sample_passes();
}

/* Of a call that did not pass: a guarded block, zeroed; NULL: go on as if there was no sampling. */
void *sample_block(size_t size, size_t align);

#endif
