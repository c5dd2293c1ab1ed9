/*
 * alloc.h: the fast paths of malloc and free, and the entries behind them.
 * Every public function is one of these with another name.
 */
#ifndef TLS_ALLOC_H
#define TLS_ALLOC_H

#include "segments/map.h"
#include "segments/page.h"
#include "tls/heap.h"
#include "tls/sample.h"

/*
 * Blocks of any size and alignment; NULL with ENOMEM. `caller` is the place in
 * the program that asks. The functions without it are called last by public
 * ones, so their return address is that place.
 */
void *alloc_small_slow(size_t size);
void *alloc_due(size_t size); /* small, when it did not pass (sample.h) */
void *alloc_large(size_t size, void *caller);
void *alloc_zeroed(size_t size);
void *alloc_aligned(size_t size, size_t align, bool clear); /* all of its usable bytes */

/* The same from a given heap; *zero: the block reads as zero. */
void *alloc_from(struct heap *h, size_t size, size_t align, bool *zero);

/* As realloc; the bytes that may be used at a block. */
void *block_resize(void *block, size_t size);
size_t block_bytes(const void *block);
size_t block_bytes_for(const void *block, const char *call); /* which is named in reports */

/*
 * Checks what a program says about a block that it is about to free: `size` and
 * `align` as it was asked for, or as realloc was (`resized`).
 */
void block_check_size(const void *p, size_t size, size_t align, bool resized);

void free_slow(void *p);
void free_checked(void *p, size_t size); /* see block_free_sized */
void free_emptied(struct page *page);
void free_turn(void);
void free_mid_fast(void *p, struct page *page);

static ALWAYS_INLINE void *block_alloc(size_t size)
{
	if (unlikely(size > DIRECT_MAX))
		return alloc_large(size, __builtin_return_address(0));
	if (!sample_passes_fast())
		return alloc_due(size);
	struct heap *h = heap_look();
	struct block *block = page_pop(h->direct[(size + BLOCK_ALIGN - 1) / BLOCK_ALIGN]);
	heap_done(h);
	return likely(block) ? block : alloc_small_slow(size);
}

/* A block of a page of this thread's own. */
static ALWAYS_INLINE void free_own(struct heap *h, struct page *page, void *p)
{
	secure_wipe(page, p);
	if (quarantine_is_on(&h->quarantine)) {
		if (unlikely(quarantine_put(&h->quarantine, page, p))) {
			free_turn();
			return;
		}
	} else if (unlikely(page_push(page, p))) {
		free_emptied(page);
		return;
	}
	heap_done(h);
}

static ALWAYS_INLINE void block_free(void *p)
{
	struct region *r = map_window(p);
	if (unlikely(!r)) {
		free_slow(p);
		return;
	}
	struct page *page = map_slice(r, p);
	struct heap *h = heap_look();
	uintptr_t owner = page_owner_acq(page); /* [P3] */
	if (likely(owner == (uintptr_t)heap_again(h))) {
		if (unlikely(!page_may_free(page, p))) {
			heap_done(h);
			free_slow(p);
		} else {
			free_own(h, page, p);
		}
		return;
	}
	heap_done(h);
	if (likely(owner == OWNER_MID))
		free_mid_fast(p, page);
	else
		free_other(p, page, owner);
}

/* Frees a block that was never resized and was asked for with `size`. */
static ALWAYS_INLINE void block_free_sized(void *p, size_t size)
{
	struct region *r = map_window(p);
	if (likely(r && size <= MID_MAX && class_of(size) == map_slice(r, p)->size_class))
		block_free(p);
	else
		free_checked(p, size);
}

#endif
