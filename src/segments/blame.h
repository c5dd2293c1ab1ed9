/*
 * blame.h: the slow, exact checks of what a program passes to free and of what
 * it may have done to free blocks. Each ends in one line and an abort.
 */
#ifndef SEGMENTS_BLAME_H
#define SEGMENTS_BLAME_H

#include "segments/types.h"

/*
 * `p`, given to `call`, must be a block of the small page that is in use. Only the
 * page's owner (`owned`) can tell that it is free: a program's own data may look
 * like a mark, when it was copied from where free blocks of the page once were.
 */
void page_check_used(const struct page *page, const void *p, bool owned, const char *call);

/*
 * any: what can be said of a pointer given to free without reading what the
 * owner writes all the time, nor the block: to wait for its line costs a remote
 * free an eighth. The rest is checked when the block comes home.
 */
void page_check_start(const struct page *page, const void *p);

/* The owner's list ended though fewer blocks are in use than were ever made. */
void page_check_full(const struct page *page);

/* The block that is first on the owner's list cannot be handed out; or one that was held back
 * was written to. */
_Noreturn void page_blame_list(const struct page *page, const struct block *block);

/*
 * Walks the owner's whole list: blocks of this page, with marks, as many as are
 * not in use.
 */
void page_check_list(const struct page *page);

/* The page of a block that was sent to a heap; it must be as it was sent. */
struct page *block_check_sent(const struct block *block);

/* The same of a block that a reaper has in hand. */
struct page *block_check_held(const struct block *block);

#endif
