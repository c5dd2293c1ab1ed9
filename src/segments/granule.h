/*
 * granule.h: the node's cache of big blocks: runs of whole granules, between
 * the pool and their owners. Freed runs stay mapped, and resident until they
 * are purged; neighbours join by themselves.
 */
#ifndef SEGMENTS_GRANULE_H
#define SEGMENTS_GRANULE_H

#include "policy/site.h"
#include "segments/types.h"

/*
 * Claims `count` granules in a row, at a multiple of `align` (a power of two),
 * from one region; resident ones where there is a run of them, else in a region
 * of the wanted kind (REGION_WHALES, with or without REGION_HUGE; with REGION_ONLY
 * resident ones in such a region alone). Returns their address, NULL with ENOMEM.
 * *zero: they read as zero.
 */
char *granules_claim(unsigned node, unsigned kind, size_t count, size_t align, bool *zero);

/* The same at an address that continues a run of the caller's; false if taken. */
bool granules_claim_at(char *start, size_t count, bool *zero);

/* Gives granules back, and trims the pool. */
void granules_free(char *start, size_t count, bool dirty, enum site_class class);

/* Before that: leaves the stamp of a freed block with its first `count` granules. */
void granules_stamp(char *start, size_t count, uint32_t stamp);

/*
 * Of a granule in use: was it not resident when it was claimed? Only known while somebody
 * learns from that (policy/choice.h); a hint otherwise.
 */
bool granule_was_fresh(const char *start);

/*
 * Of one word of a region, the granules that are dirty and have been kept for as long
 * as they were to be. Says so to the node where there are others that will be.
 */
uint32_t granules_over(struct region *r, size_t word, uint32_t now_ms);

/* The same without trimming, for a purger: the region's granules from index `from` on. */
void granules_publish(struct region *r, size_t from, size_t count, bool dirty);

/*
 * For a purger: claims the dirty granules of one word (32 of them) of the region, those in
 * `among`, at most `most`, the last ones first. Returns their bits, 0 if there are none.
 */
uint32_t granules_claim_dirty(struct region *r, size_t word, uint32_t among, unsigned most);

#endif
