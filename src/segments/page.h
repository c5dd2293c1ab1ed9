/*
 * page.h: small pages: spans of blocks of one class, owned by one heap or by
 * nobody. Functions take a page that the caller owns, unless they say "any".
 */
#ifndef SEGMENTS_PAGE_H
#define SEGMENTS_PAGE_H

#include "base/check.h"
#include "segments/freelist.h"

/* Makes a claimed span a page of a class, owned by `owner`. */
void page_init(struct page *page, unsigned size_class, uintptr_t owner, bool zero);

/*
 * Puts the next blocks of a page that has room on its empty free list, at
 * least one; exactly one where memory is fresh and a block is 4 KiB or more.
 * `populate`: fault in the whole span first.
 */
void page_carve(struct page *page, bool populate);

/* Unmakes an empty page; its span goes to the pool. */
void page_free(struct page *page);

/*
 * Lets go of a page with blocks in use. From here on it may be anybody's: the
 * caller must not touch it again.
 */
void page_let_go(struct page *page);

/* any: takes over a page that nobody owns. One caller wins. */
bool page_take(struct page *page, uintptr_t owner);

/* any: a page of the class with room that nobody owned, now owned; or NULL. */
struct page *page_take_partial(unsigned node, unsigned size_class, uintptr_t owner);

/*
 * May the owner make blocks now? Not while a reaper purges what they would lie in:
 * to the owner the page is as good as full then, and nobody waits.
 */
static inline bool tail_try(struct page *page)
{
	uint8_t found = load_rlx(&page->x_tail);
	return found != TAIL_HELD && cas_acq(&page->x_tail, &found, TAIL_HELD); /* [V4] */
}

static inline void tail_done(struct page *page)
{
	store_rel(&page->x_tail, TAIL_OPEN); /* [V4] */
}

static inline bool page_has_room(const struct page *page)
{
	return !list_is_empty(page) || load_rlx(&page->x_away) || load_rlx(&page->x_reaped) ||
	       (load_rlx(&page->x_carved) < page->total && load_rlx(&page->x_tail) != TAIL_HELD);
}

/* Of its blocks a page must have this share free before it is offered for reuse (I5). */
#define PARTIAL_SHARE 8

/* Words of x_partial that one bit of x_partial_words stands for. */
#define PARTIAL_STRIDE ((REGION_SLICES / 64 + 63) / 64)

/* Has a page that is no current one enough room to be offered? */
static inline bool page_is_partial(const struct page *page)
{
	unsigned room = page->total - load_rlx(&page->x_used);
	return room > 0 && room * PARTIAL_SHARE >= page->total;
}

static inline size_t page_span_bytes(const struct page *page)
{
	return page->slices * SLICE_BYTES;
}

/* The owner, when it may be a heap that the caller will look into. */
static inline uintptr_t page_owner_acq(struct page *page)
{
	return load_acq(&page->x_owner); /* [P3] */
}

static inline uintptr_t page_owner(struct page *page)
{
	return load_rlx(&page->x_owner);
}

#endif
