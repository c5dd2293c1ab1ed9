/*
 * reap.h: giving back memory of pages whose owner is idle, without their owner.
 * Blocks that others freed lie in the owner's inbox; whoever takes that has them
 * in hand, though not their pages. Units of which every block is in hand are
 * purged and left with the page (x_reaped) for its owner to collect; so is what
 * lies beyond the blocks ever made (x_tail).
 */
#ifndef SEGMENTS_REAP_H
#define SEGMENTS_REAP_H

#include "segments/region.h"

/* any: may this thread reap? One at a time; who hears no lets it be. */
bool reap_begin(void);
void reap_end(void);

/* Between the two: counts a block in hand, of a small page that somebody owns. */
void reap_add(struct page *page, const struct block *block, enum split split);

/* After the last of them: does this block go with its page's units? The caller forgets it then. */
void reap_decide(void);
bool reap_takes(struct page *page, const struct block *block);

/*
 * Gives the memory back and leaves the units with their pages. The caller still has
 * the blocks that were not taken; `owner` is a heap to own pages meanwhile.
 */
void reap_purge(uintptr_t owner);

/* own: makes what others have reaped of the page free blocks that are away; false: nothing. */
bool page_collect(struct page *page);

/* In the child of a fork. */
void reap_forked(void);

#endif
