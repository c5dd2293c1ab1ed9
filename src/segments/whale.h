/*
 * whale.h: blocks above MID_MAX. Up to WHALE_REGION_MAX they are granules of a
 * region; larger ones, and those that outgrow their place, have a mapping of
 * their own. A whale has no owner but its holder: any thread may free it.
 */
#ifndef SEGMENTS_WHALE_H
#define SEGMENTS_WHALE_H

#include "segments/types.h"

/* `bytes` at a multiple of `align` (any power of two). *zero: reads as zero. */
struct page *whale_alloc(unsigned node, size_t bytes, size_t align, bool *zero);

/* The caller owns the block; the descriptor is gone afterwards. */
void whale_free(struct page *page);

/*
 * Makes the whale hold `bytes`, in place or by moving its pages. Returns its
 * descriptor, perhaps another one; NULL (and no change) when it cannot be done
 * without copying. The caller owns the block.
 */
struct page *whale_resize(struct page *page, size_t bytes);

#endif
