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

/* Gives one to a big block whose frees may be sent, as blocks of pages are. */
void secure_big(struct page *page);

/*
 * Zeroes the option's bytes of a freed block that has `room` to itself, or more of them. True:
 * the kernel has taken all the room back, and it reads as zero.
 */
bool secure_wipe_big(char *start, size_t bytes, size_t room);

/* Wipes the blocks of a page that is freed with blocks in use. */
void secure_wipe_page(const struct page *page);

uint64_t secure_random(void);

/* A sequence of numbers whose high halves are random enough to draw places from. */
static ALWAYS_INLINE uint64_t secure_next(uint64_t state)
{
	return state * 0x5851f42d4c957f2du + 0x14057b7ef767814fu;
}

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

typedef long long secure_words __attribute__((vector_size(16), may_alias));

/* Sixteen bytes, which the compiler must not turn into a call of memset. */
static ALWAYS_INLINE void wipe_16(char *at)
{
	*(secure_words *)at = (secure_words){0, 0};
	__asm__("" : "+m"(*(secure_words *)at));
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

/* Is what was wiped of a block still zero? */
static ALWAYS_INLINE bool secure_is_wiped(const struct page *page, const void *block)
{
	const secure_words *at = (const secure_words *)block + 1,
			   *end = (const secure_words *)block + page->wiped / sizeof *at;
	secure_words any = {0, 0};
	for (; end - at >= 5; at += 5)
		any |= (at[0] | at[1]) | (at[2] | at[3]) | at[4];
	for (; at < end; at++)
		any |= *at;
	return !(any[0] | any[1]);
}

/* Bears the block one of the marks of free blocks, from `listed` to `listed` + 3? */
static ALWAYS_INLINE bool secure_is_marked(const struct block *block, uintptr_t listed)
{
	return block->mark - listed <= 3;
}

/* The link and the mark of a block that is handed out. */
static ALWAYS_INLINE void secure_unlink(struct block *block)
{
	wipe_16((char *)block);
}

#else

static ALWAYS_INLINE bool secure_wipe_big(char *start, size_t bytes, size_t room)
{
	(void)start;
	(void)bytes;
	(void)room;
	return false;
}

static ALWAYS_INLINE void secure_page(struct page *page, size_t block_bytes)
{
	(void)page;
	(void)block_bytes;
}

static inline void secure_big(struct page *page)
{
	(void)page;
}

static inline void secure_wipe_page(const struct page *page)
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

static inline bool secure_is_wiped(const struct page *page, const void *block)
{
	(void)page;
	(void)block;
	return true;
}

static ALWAYS_INLINE bool secure_is_marked(const struct block *block, uintptr_t listed)
{
	return block->mark == listed;
}

static ALWAYS_INLINE void secure_unlink(struct block *block)
{
	if (HAK_CHECKED)
		block->mark = 0;
}

#endif

/* Of a freed mid block: less than what is given back. */
static ALWAYS_INLINE void secure_wipe_mid(const struct page *page)
{
	size_t bytes = HAK_SECURE ? load_rlx(&page->x_bytes) : 0;
	secure_wipe_big(page->start, bytes, bytes);
}

#endif
