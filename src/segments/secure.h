/*
 * secure.h: what the secure build (make secure) does to free blocks beyond the
 * checks that every build has: links are encoded and marks secret, blocks are
 * handed out in random order and zeroed when they are freed. In other builds
 * these functions are what they are without.
 */
#ifndef SEGMENTS_SECURE_H
#define SEGMENTS_SECURE_H

#include "base/options.h"
#include "segments/types.h"

#if HAK_SECURE

/* const once the first page is made: random, never 0. */
extern _Atomic(uint64_t) x_secure_secret; /* any: relaxed; cas 0 to secret */

/* Gives a page of which no block was made a key of its own. */
void secure_page(struct page *page);

/* Fills order[] with 0 .. count - 1 in random order. */
void secure_order(uint16_t *order, size_t count);

/* A link says nothing without the page's key, and fits in no other block. */
static ALWAYS_INLINE uintptr_t secure_link(
	const struct page *page, const struct block *block, uintptr_t link)
{
	uintptr_t place = (uintptr_t)block;
	return link ^ page->list_key ^ (place << 17 | place >> 47);
}

static ALWAYS_INLINE uintptr_t secure_mark(const struct page *page)
{
	return (uintptr_t)page ^ load_rlx(&x_secure_secret);
}

/* The option's bytes of a block that is freed. By words: a call of memset costs more. */
static ALWAYS_INLINE void secure_wipe(const struct page *page, void *block)
{
	size_t words = min_size(load_rlx(&page->x_bytes), load_rlx(&options.x_wipe_bytes)) / 8;
	for (volatile uint64_t *w = block, *end = w + words; w < end; w += 2)
		w[0] = w[1] = 0;
}

#else

static ALWAYS_INLINE void secure_page(struct page *page)
{
	(void)page;
}

static ALWAYS_INLINE void secure_order(uint16_t *order, size_t count)
{
	(void)order;
	(void)count;
}

static ALWAYS_INLINE uintptr_t secure_link(
	const struct page *page, const struct block *block, uintptr_t link)
{
	(void)page;
	(void)block;
	return link;
}

static ALWAYS_INLINE uintptr_t secure_mark(const struct page *page)
{
	return (uintptr_t)page;
}

static ALWAYS_INLINE void secure_wipe(const struct page *page, void *block)
{
	(void)page;
	(void)block;
}

#endif
#endif
