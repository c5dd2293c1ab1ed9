/*
 * blame.c: see blame.h.
 */
#include "segments/blame.h"

#include "base/check.h"
#include "segments/freelist.h"
#include "segments/map.h"
#include "segments/trim.h"
#include "segments/units.h"

/* Where a page is, for every line about it. */
#define PAGE_FORMAT "page of blocks of %zu bytes at %p"
#define PAGE_VALUES(page) load_rlx(&(page)->x_bytes), (void *)(page)->start

static COLD void blame_block(
	const struct page *page, const void *p, const char *call, const char *why)
{
	blame("%s(%p): %s (" PAGE_FORMAT ")", call, p, why, PAGE_VALUES(page));
}

void page_check_start(const struct page *page, const void *p)
{
	size_t offset = (size_t)((const char *)p - page->start);
	if (unlikely(!class_is_multiple(page->size_class, offset)))
		blame_block(page, p, "free", "not the start of a block");
}

/* Is it a block of this page, ever made? */
static bool is_block(const struct page *page, const struct block *block)
{
	size_t offset = (size_t)((const char *)block - page->start);
	return offset < load_rlx(&page->x_carved) * load_rlx(&page->x_bytes) &&
	       class_is_multiple(page->size_class, offset);
}

/* Is it on the owner's list? */
static bool is_listed(const struct page *page, const void *p)
{
	uint32_t used = load_rlx(&page->x_used) - load_rlx(&page->x_pinned);
	uint32_t left = load_rlx(&page->x_carved) - used;
	const struct block *b = page->free;
	for (; left-- > 0 && b != p && b != &list_end && is_block(page, b); b = list_next(page, b))
		;
	return b == p;
}

/* Was it free when its part of the page was given back? */
static bool is_away(const struct page *page, size_t offset)
{
	uint32_t units = load_rlx(&page->x_away) | load_rlx(&page->x_reaped);
	return units && block_is_away(load_rlx(&page->x_bytes), units,
				class_index(page->size_class, offset));
}

void page_check_used(const struct page *page, const void *p, bool owned, const char *call)
{
	size_t offset = (size_t)((const char *)p - page->start);
	const char *why = NULL;
	if (unlikely(!class_is_multiple(page->size_class, offset)))
		why = "not the start of a block";
	else if (unlikely(offset >= load_rlx(&page->x_carved) * load_rlx(&page->x_bytes)))
		why = "this block was never handed out";
	else if (unlikely(owned && ((const struct block *)p)->mark == mark_listed(page) &&
			  is_listed(page, p)))
		why = "double free: the block is free";
	else if (unlikely(owned && is_away(page, offset)))
		why = "double free: the block is free";
	else if (HAK_SECURE && unlikely(((const struct block *)p)->mark == mark_resting(page)))
		why = "double free: the block is free, and held back";
	else if (unlikely(((const struct block *)p)->mark == mark_sent(page) ||
			  ((const struct block *)p)->mark == mark_held(page)))
		why = "double free: the block is on its way to the thread that owns it";
	if (unlikely(why))
		blame_block(page, p, call, why);
}

void page_check_full(const struct page *page)
{
	uint32_t used = load_rlx(&page->x_used) - load_rlx(&page->x_pinned);
	uint32_t carved = load_rlx(&page->x_carved);
	CHECK(used == carved,
		"%u of %u blocks are in use and none is free: one was freed twice, or written to "
		"when free (" PAGE_FORMAT ")",
		used, carved, PAGE_VALUES(page));
}

void page_blame_list(const struct page *page, const struct block *block)
{
	if (is_block(page, block))
		blame("free block %p was written to, or freed twice (" PAGE_FORMAT ")",
			(const void *)block, PAGE_VALUES(page));
	blame("a free block was written to: its link is %p (" PAGE_FORMAT ")", (const void *)block,
		PAGE_VALUES(page));
}

void page_check_list(const struct page *page)
{
	uint32_t used = load_rlx(&page->x_used) - load_rlx(&page->x_pinned);
	uint32_t room = load_rlx(&page->x_carved) - used, count = 0;
	for (const struct block *b = page->free; b != &list_end; b = list_next(page, b))
		if (!is_block(page, b) || (HAK_CHECKED && b->mark != mark_listed(page)) ||
			++count > room)
			page_blame_list(page, b);
	CHECK(count + page_away_blocks(page) == room,
		"%u free blocks are listed, but %u are not in use: one was freed twice, or written "
		"to when free (" PAGE_FORMAT ")",
		count, room, PAGE_VALUES(page));
}

static struct page *check_on_its_way(const struct block *block, uintptr_t way)
{
	struct region *r = map_region(block);
	CHECK(r, "a freed block was written to on its way to its thread: its link is %p",
		(const void *)block);
	struct page *page = block_page(block);
	uintptr_t owner = load_rlx(&page->x_owner);
	CHECK((owner == OWNER_NOBODY || owner > OWNER_SPECIAL_MAX || owner & OWNER_KEPT) &&
			block->mark == secure_mark(page) + way,
		"free block %p was freed twice, or written to on its way to its thread",
		(const void *)block);
	return page;
}

struct page *block_check_sent(const struct block *block)
{
	return check_on_its_way(block, MARK_SENT);
}

struct page *block_check_held(const struct block *block)
{
	return check_on_its_way(block, MARK_HELD);
}
