/*
 * span.h: runs of slices, between the node's pool and their owners.
 */
#ifndef SEGMENTS_SPAN_H
#define SEGMENTS_SPAN_H

#include "segments/types.h"

/*
 * Claims a span of 1 to 32 slices whose index is a multiple of `align_slices`
 * (a power of two up to 32), resident memory first. *zero: it reads as zero.
 * The caller owns the descriptor, of which start, slices and node are set.
 * NULL with ENOMEM.
 */
struct page *span_claim(unsigned node, unsigned slices, unsigned align_slices, bool *zero);

/* Gives a span back to its node's pool; the caller has let go of all its blocks. */
void span_free(struct page *page);

/*
 * Purges up to `bytes` of a node's pool. Returns the bytes given back. Any
 * number of threads may purge at the same time.
 */
size_t span_purge(unsigned node, size_t bytes);

/*
 * Claims `count` whole granules in a row, at a multiple of `align_granules`,
 * from one region. Returns their address, NULL with ENOMEM.
 */
char *granules_claim(unsigned node, size_t count, size_t align_granules, bool *zero);
bool granules_claim_at(char *start, size_t count, bool *zero);
void granules_free(char *start, size_t count, bool dirty);

/* Purges when the pool holds more than the option purge_bytes. Preserves errno. */
void pool_trim(unsigned node);

#endif
