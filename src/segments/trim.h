/*
 * trim.h: giving back the free parts of small pages that have blocks in use.
 * Functions take a page that the caller owns, unless they say "any".
 */
#ifndef SEGMENTS_TRIM_H
#define SEGMENTS_TRIM_H

#include "segments/types.h"

#include <sys/uio.h>

/* Ranges that one page can have. */
#define TRIM_RANGES_MAX 17

/*
 * Takes the free blocks that fill whole system pages off the free list, and
 * writes the ranges that may now be purged to `ranges` (TRIM_RANGES_MAX of
 * them). Returns their number; the caller purges them while it owns the page.
 */
size_t page_trim(struct page *page, struct iovec *ranges);

/* Puts blocks that were taken off back on the empty free list, at least one. */
void page_restore(struct page *page);

/* any: blocks of the page that are off its free list because of a trim. */
unsigned page_away_blocks(const struct page *page);

/*
 * any: wins a page of the word of x_untrimmed for `owner`, NULL when there is
 * none among *bits, from which it takes those it has tried.
 */
struct page *page_take_untrimmed(struct region *r, size_t word, uint64_t *bits, uintptr_t owner);

#endif
