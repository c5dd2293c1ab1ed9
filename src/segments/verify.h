/*
 * verify.h: the invariants of types.h, executable. For quiet moments, but for
 * verify_page. Dies with one line at the first that is broken.
 */
#ifndef SEGMENTS_VERIFY_H
#define SEGMENTS_VERIFY_H

#include "segments/types.h"

/* What was seen: small pages, those of them that a heap owns, mid blocks in caches. */
struct verified {
	size_t pages, owned, cached;
};

/* Checks every region, mapping and descriptor, and what nodes count of them. */
struct verified verify_regions(void);

/* A small page: the caller owns it, or its owner is quiet. */
void verify_page(struct page *page);

/*
 * In a forked child: from now on slices and blocks may be missing that other
 * threads of the parent had in hand.
 */
void verify_forked(void);
bool verify_cut_off(void);

#endif
