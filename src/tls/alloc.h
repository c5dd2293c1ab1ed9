/*
 * alloc.h: the fast paths of malloc and free, and the entries behind them.
 * Every public function is one of these with another name.
 */
#ifndef TLS_ALLOC_H
#define TLS_ALLOC_H

#include "segments/map.h"
#include "segments/page.h"
#include "tls/heap.h"

/*
 * Blocks of any size and alignment; NULL with ENOMEM. `caller` is the place in
 * the program that asks. The functions without it are called last by public
 * ones, so their return address is that place.
 */
void *alloc_small_slow(size_t size);
void *alloc_large(size_t size, void *caller);
void *alloc_zeroed(size_t size);
void *alloc_aligned(size_t size, size_t align, bool clear); /* all of its usable bytes */

/* The same from a given heap; *zero: the block reads as zero. */
void *alloc_from(struct heap *h, size_t size, size_t align, bool *zero);

/* As realloc; the bytes that may be used at a block. */
void *block_resize(void *block, size_t size);
size_t block_bytes(const void *block);

void free_slow(void *p);
void free_emptied(struct page *page);
void free_mid_fast(void *p, struct page *page);

static ALWAYS_INLINE void *block_alloc(size_t size)
{
	if (unlikely(size > DIRECT_MAX))
		return alloc_large(size, __builtin_return_address(0));
	struct heap *h = heap_look();
	struct page *page = h->direct[(size + BLOCK_ALIGN - 1) / BLOCK_ALIGN];
	struct block *block = page->free;
	if (unlikely(!block)) {
		heap_done(h);
		return alloc_small_slow(size);
	}
	page->free = block->next;
	counter32_inc(&page->x_used);
	heap_done(h);
	return block;
}

static ALWAYS_INLINE void block_free(void *p)
{
	struct region *r = map_region(p);
	if (unlikely(!r)) {
		free_slow(p);
		return;
	}
	struct page *page = map_slice(r, p);
	struct heap *h = heap_look();
	uintptr_t owner = page_owner_acq(page); /* [P3] */
	if (likely(owner == (uintptr_t)heap_again(h))) {
		if (unlikely(page_push(page, p)))
			free_emptied(page);
		else
			heap_done(h);
		return;
	}
	heap_done(h);
	if (likely(owner == OWNER_MID))
		free_mid_fast(p, page);
	else
		free_other(p, page, owner);
}

#endif
