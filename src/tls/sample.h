/*
 * sample.h: which allocations are guarded (segments/guard.h). Where some are to
 * be, the fast paths of malloc find no page for small blocks: h->front stays
 * empty, and each call comes here, is counted, and takes a block of h->current. So
 * every call is as likely to be the one, and without the option nothing changes.
 */
#ifndef TLS_SAMPLE_H
#define TLS_SAMPLE_H

#include "base/options.h"
#include "segments/guard.h"

/* Are allocations of so many bytes counted? */
static inline bool sample_counts(size_t bytes)
{
	return load_rlx(&options.x_guard_sample) && bytes <= GUARD_BYTES_MAX;
}

/* own: calls until one is guarded, that one included; 0: not drawn yet. */
extern _Thread_local uint64_t sample_left;

/* Counts a call that sample_counts; false: it is the one, or the thread's first: sample_block. */
static ALWAYS_INLINE bool sample_passes(void)
{
	if (unlikely(sample_left <= 1))
		return false;
	sample_left--;
	return true;
}

/* The two for other calls. */
static inline bool sample_wants(size_t size, size_t align)
{
	return unlikely(sample_counts(size) && align <= GUARD_PAGE_BYTES && !sample_passes());
}

/* Counts a call that did not pass: a guarded block, zeroed; NULL: go on as if there was no sampling. */
void *sample_block(size_t size, size_t align);

#endif
