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

/*
 * Live whales of a node and their bytes, from one counter: whales are whole
 * system pages, so there is room for their number in the low bits.
 */
#define TALLY_BYTES ((uint64_t)1 << 12)
#define TALLY_WHALES (((uint64_t)1 << 24) - 1)

static inline uint64_t whale_count(const struct node *n)
{
	return load_rlx(&n->x_whale_tally) & TALLY_WHALES;
}

static inline uint64_t whale_total_bytes(const struct node *n)
{
	return (load_rlx(&n->x_whale_tally) & ~TALLY_WHALES) / TALLY_BYTES;
}

#endif
