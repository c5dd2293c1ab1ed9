/*
 * span.h: runs of slices, between the node's pool and their owners.
 */
#ifndef SEGMENTS_SPAN_H
#define SEGMENTS_SPAN_H

#include "segments/types.h"

/*
 * Claims a span of 1 to 32 slices whose index is a multiple of `align_slices`
 * (a power of two up to 32), resident memory first, else in a region of the
 * wanted kind (REGION_SPANS, with or without REGION_HUGE). *zero: it reads as zero.
 * The caller owns the descriptor, of which start, slices and node are set.
 * NULL with ENOMEM.
 */
struct page *span_claim(
	unsigned node, unsigned kind, unsigned slices, unsigned align_slices, bool *zero);

/* Gives a span back to its node's pool; the caller has let go of all its blocks. */
void span_free(struct page *page);

/* Gives slices of one granule to the pool, with the hints that lead to them. */
void slices_publish(struct region *r, size_t granule, uint32_t mask, bool dirty);

/*
 * For a purger: claims the slices of a granule that are in the pool and may be
 * resident, of those in `among`; the whole granule or nothing if `whole`. Returns their bits.
 */
uint32_t slices_claim_dirty(struct region *r, size_t granule, uint32_t among, bool whole);

#endif
