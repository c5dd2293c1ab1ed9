/*
 * freelist.h: the free list of a page, and what lies in free blocks: a link and
 * a mark. The list is checked where it is used: a block is handed out only with
 * the mark of its page (so never twice, and not after the mark was written
 * over), and taken back only without. All functions but the marks are for the
 * page's owner.
 */
#ifndef SEGMENTS_FREELIST_H
#define SEGMENTS_FREELIST_H

#include "segments/secure.h"

/* Ends every free list. Its mark is no page's: taking it fails as for a broken list. */
extern struct block list_end;

/* Added to a page's mark. */
#define MARK_SENT 1
#define MARK_HELD 2
#define MARK_RESTING 3 /* the last one: secure_is_marked */

/* The mark of a block that is on the page's list, of one that is on its way there, and of one
 * that a reaper has taken on its way. */
static ALWAYS_INLINE uintptr_t mark_listed(const struct page *page)
{
	return secure_mark(page);
}

static ALWAYS_INLINE uintptr_t mark_sent(const struct page *page)
{
	return secure_mark(page) + MARK_SENT;
}

static ALWAYS_INLINE uintptr_t mark_held(const struct page *page)
{
	return secure_mark(page) + MARK_HELD;
}

/* Of a block that is held back (tls/quarantine.h). */
static ALWAYS_INLINE uintptr_t mark_resting(const struct page *page)
{
	return secure_mark(page) + MARK_RESTING;
}

static ALWAYS_INLINE bool list_is_empty(const struct page *page)
{
	return page->free == &list_end;
}

static ALWAYS_INLINE struct block *list_next(const struct page *page, const struct block *block)
{
	return (struct block *)secure_link(page, block, (uintptr_t)block->next);
}

/* Puts a block before `next`. */
static ALWAYS_INLINE void list_link(
	const struct page *page, struct block *block, struct block *next)
{
	block->next = (struct block *)secure_link(page, block, (uintptr_t)next);
	if (HAK_CHECKED)
		block->mark = mark_listed(page);
}

/*
 * Could it be a block that is to be freed? Exact where it says yes, and for
 * blocks in the first slice of their span: `p` is a multiple of the block size
 * from there, below x_carved, and not on the list. With f = floor(2^32 / size) + 1
 * the product modulo 2^32 of f and k * size is k * e, where e = f * size - 2^32,
 * and that of any other offset is at least f. So one comparison with
 * x_carved * e tells (page_set_carved).
 */
static ALWAYS_INLINE bool page_may_free(const struct page *page, const void *p)
{
	uint32_t offset = (uint32_t)((uintptr_t)p & (SLICE_BYTES - 1));
	return !HAK_CHECKED || (offset * page->start_factor < page->start_limit &&
				       !secure_is_marked(p, mark_listed(page)));
}

/* Puts a wiped block on the free list; true when that was the last one in use (I3). */
static ALWAYS_INLINE bool page_push(struct page *page, struct block *block)
{
	list_link(page, block, page->free);
	page->free = block;
	return counter32_dec_to_zero(&page->x_used);
}

static ALWAYS_INLINE bool page_spans(const struct page *page, const void *p)
{
	return (size_t)((const char *)p - page->start) < page->span_bytes;
}

/* Takes the first block; NULL when there is none, or the list is broken. */
static ALWAYS_INLINE struct block *page_pop(struct page *page)
{
	struct block *block = page->free;
	if (unlikely(HAK_CHECKED ? block->mark != mark_listed(page) : block == &list_end))
		return NULL;
	struct block *next = list_next(page, block);
	if (HAK_SECURE && unlikely(!page_spans(page, next)) && next != &list_end)
		return NULL;
	page->free = next;
	secure_unlink(block);
	counter32_inc(&page->x_used);
	return block;
}

#endif
