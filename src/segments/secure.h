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

/* Gives a page of which no block was made a key and a mark of its own. */
void secure_page(struct page *page, size_t block_bytes);

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
	return page->mark;
}

/* Sixteen bytes, which the compiler must not turn into a call of memset. */
static ALWAYS_INLINE void wipe_16(char *at)
{
	typedef long long words __attribute__((vector_size(16), may_alias));
	*(words *)at = (words){0, 0};
	__asm__("" : "+m"(*(words *)at));
}

/*
 * Zeroes the option's bytes of a block that is freed, but for the first 16, where the link and
 * the mark go, which are zeroed when it is handed out. Stores overlap rather than branch.
 */
static ALWAYS_INLINE void secure_wipe(const struct page *page, void *block)
{
	char *at = (char *)block + 16, *end = (char *)block + page->wiped;
	if (end <= at)
		return;
	if (end - at >= 64) {
		for (; end - at > 64; at += 64) {
			wipe_16(at);
			wipe_16(at + 16);
			wipe_16(at + 32);
			wipe_16(at + 48);
		}
		at = end - 64;
		wipe_16(at + 32);
		wipe_16(at + 16);
	} else {
		wipe_16(at + ((end - at) >> 5 << 4));
	}
	wipe_16(at);
	wipe_16(end - 16);
}

/* The link and the mark of a block that is handed out. */
static ALWAYS_INLINE void secure_unlink(struct block *block)
{
	wipe_16((char *)block);
}

#else

static ALWAYS_INLINE void secure_page(struct page *page, size_t block_bytes)
{
	(void)page;
	(void)block_bytes;
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

static ALWAYS_INLINE void secure_unlink(struct block *block)
{
	if (HAK_CHECKED)
		block->mark = 0;
}

#endif
#endif
