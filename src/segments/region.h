/*
 * region.h: address space for a node, reserved by the window and made
 * accessible step by step.
 */
#ifndef SEGMENTS_REGION_H
#define SEGMENTS_REGION_H

#include "segments/types.h"

/*
 * More fresh granules in a node's pool, at least `granules` in a row with those
 * that were free at the end of the last. False
 * when the kernel refuses; the caller looks into the pool again either way,
 * because another thread may have taken them or given some back.
 */
bool region_grow(unsigned node, unsigned kind, size_t granules);

/*
 * May parts of huge pages in this region be purged? If so it holds plain pages
 * from then on: what is purged would be filled again as the kernel collapses
 * pages, and advice on single ranges would cost a mapping each.
 */
enum split {
	SPLIT_NEVER,
	SPLIT_IDLE, /* where much of it serves nobody */
	SPLIT_ALWAYS,
};
bool region_may_split(struct region *r, enum split split);

/*
 * The descriptor window of an address, made for the node when there is none.
 * NULL: no memory.
 */
struct region *region_window(const void *p, unsigned node);

/*
 * Binds what was reserved before start-up had looked at the nodes. Its first
 * node is the one that number 0 was given to.
 */
void region_bind_all(void);

#endif
