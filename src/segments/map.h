/*
 * map.h: from an address to the region and the descriptor of its slice, for
 * any value that a program may pass to free. Reads only.
 */
#ifndef SEGMENTS_MAP_H
#define SEGMENTS_MAP_H

#include "segments/types.h"

/*
 * The region of an address, NULL if we never had memory in its window or if it
 * is not a multiple of 16: the rotation takes the low bits to the top, so that
 * one comparison finds misaligned and non-canonical addresses alike.
 */
static ALWAYS_INLINE struct region *map_region(const void *p)
{
	uintptr_t window = ((uintptr_t)p >> 4 | (uintptr_t)p << 60) >> (REGION_SHIFT - 4);
	_Static_assert(BLOCK_ALIGN == 1 << 4, "the rotation above");
	if (unlikely(window >= REGION_MAP_ENTRIES))
		return NULL;
	return load_acq(&region_map[window]); /* [M1] */
}

/* The same without a look at the low bits. */
static ALWAYS_INLINE struct region *map_window(const void *p)
{
	uintptr_t window = (uintptr_t)p >> REGION_SHIFT;
	return likely(window < REGION_MAP_ENTRIES) ? load_acq(&region_map[window]) /* [M1] */
						   : NULL;
}

/* The descriptor of the slice that `p` lies in. */
static ALWAYS_INLINE struct page *map_slice(struct region *r, const void *p)
{
	size_t offset =
		((uintptr_t)p >> (SLICE_SHIFT - PAGE_SHIFT)) & ((REGION_SLICES - 1) << PAGE_SHIFT);
	return (struct page *)((char *)r->pages + offset);
}

/* The descriptor of the span that a block of ours lies in; the block is in use. */
static inline struct page *block_page(const void *block)
{
	struct page *page = map_slice(map_region(block), block);
	return load_rlx(&page->x_owner) == OWNER_INSIDE ? page->head : page;
}

static inline struct region *page_region(const struct page *page)
{
	return load_rlx(&region_map[(uintptr_t)page->start >> REGION_SHIFT]);
}

#endif
